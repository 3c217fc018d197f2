//! When a torrent is announced, and whom we believe.

use std::{collections::BTreeMap, net::SocketAddr};

use bytes::Bytes;
use potluck_common::{
    Duration, InfoHash, Instant,
    lsd::{Announce, Cookie, INFO_HASHES_MAX},
};
use proptest::prelude::*;

use super::{Lsd, LsdConfig, LsdEffect, LsdInput, LsdStatus};

const COOKIE: u64 = 7;

fn hash(number: u16) -> InfoHash {
    let mut bytes = [0; 20];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    InfoHash(bytes)
}

fn track(number: u16) -> LsdInput {
    LsdInput::Track { info_hash: hash(number), is_private: false }
}

fn machine() -> Lsd {
    Lsd::new(LsdConfig { port: 6881, cookie: Cookie::ours(COOKIE) })
}

/// Runs `lsd` from `start` to `end`: what it announced, and when.
fn run(lsd: &mut Lsd, start: Instant, end: Instant) -> Vec<(Instant, Vec<InfoHash>)> {
    let mut sent = Vec::new();
    let mut now = start;
    while let Some(due) = lsd.poll_timeout().filter(|due| *due <= end) {
        now = now.max(due);
        lsd.handle_timeout(now);
        while let Some(effect) = lsd.poll_effect() {
            let LsdEffect::Send(announce) = effect else { panic!("nobody spoke: {effect:?}") };
            assert_eq!((announce.port, announce.cookie), (6881, Some(Cookie::ours(COOKIE))));
            sent.push((now, announce.info_hashes));
        }
    }
    lsd.assert_invariants();
    sent
}

fn datagram(from: &str, announce: &Announce) -> LsdInput {
    let payload = Bytes::from(announce.encode("239.192.152.143:6771"));
    LsdInput::Datagram { from: from.parse().expect("an address"), is_neighbour: false, payload }
}

fn told(port: u16, hashes: &[u16]) -> Announce {
    Announce { port, info_hashes: hashes.iter().copied().map(hash).collect(), cookie: None }
}

fn peers(lsd: &mut Lsd) -> Vec<(InfoHash, SocketAddr)> {
    lsd.assert_invariants();
    std::iter::from_fn(|| lsd.poll_effect())
        .map(|effect| match effect {
            LsdEffect::Peer { info_hash, address } => (info_hash, address),
            LsdEffect::Send(announce) => panic!("nothing was due: {announce:?}"),
        })
        .collect()
}

#[test]
fn a_torrent_is_announced_at_once_and_then_each_five_minutes() {
    let mut lsd = machine();
    lsd.handle(Instant::from_secs(3), track(1));
    let at = |secs| (Instant::from_secs(secs), vec![hash(1)]);
    assert_eq!(
        run(&mut lsd, Instant::from_secs(3), Instant::from_secs(1_000)),
        [at(3), at(303), at(603), at(903)]
    );
    lsd.handle(Instant::from_secs(1_000), LsdInput::Untrack(hash(1)));
    assert_eq!((lsd.poll_timeout(), lsd.tracked(&hash(1))), (None, None));
}

#[test]
fn row_3_5_a_private_torrent_is_neither_announced_nor_found() {
    let mut lsd = machine();
    lsd.handle(Instant::ZERO, LsdInput::Track { info_hash: hash(1), is_private: true });
    assert_eq!(lsd.poll_timeout(), None);
    lsd.handle(Instant::ZERO, datagram("192.168.1.7:6771", &told(5000, &[1])));
    assert_eq!((peers(&mut lsd), lsd.status()), (vec![], LsdStatus { ignored: 1, ..LsdStatus::default() }));
}

#[test]
fn few_torrents_go_one_by_one_and_thousands_together() {
    for (torrents, most) in [(1, 1), (60, 1), (61, 2), (600, 10), (1_000, 17), (5_000, INFO_HASHES_MAX)] {
        let mut lsd = machine();
        for number in 0..torrents {
            lsd.handle(Instant::ZERO, track(number));
        }
        let sent = run(&mut lsd, Instant::ZERO, Instant::from_secs(1_200));
        let longest = sent.iter().map(|(_, hashes)| hashes.len()).max();
        assert_eq!(longest, Some(most), "{torrents} torrents");
        let gaps = sent.windows(2).map(|pair| pair[1].0.since(pair[0].0));
        assert!(
            gaps.min().is_none_or(|gap| gap >= Duration::from_secs(1)),
            "{torrents}: faster than one a second"
        );
        // The first round takes a minute, or as long as the messages need.
        let round = usize::from(torrents).div_ceil(most) as u64;
        assert!(round <= 60 || most == INFO_HASHES_MAX);
        for number in 0..torrents {
            let times: Vec<Instant> =
                sent.iter().filter(|(_, hashes)| hashes.contains(&hash(number))).map(|(at, _)| *at).collect();
            assert!(
                times[0] < Instant::from_secs(round),
                "{number} of {torrents} waits until {:?}",
                times[0]
            );
            let gaps = times.windows(2).map(|pair| pair[1].since(pair[0]));
            let (shortest, longest) =
                gaps.fold((Duration::MAX, Duration::ZERO), |(a, b), gap| (a.min(gap), b.max(gap)));
            assert!(shortest >= Duration::from_secs(300), "{number} of {torrents}: again after {shortest:?}");
            assert!(
                longest <= Duration::from_secs(300 + round),
                "{number} of {torrents}: silent for {longest:?}"
            );
        }
    }
}

#[test]
fn hurry_means_at_once_but_not_within_a_minute() {
    let mut lsd = machine();
    lsd.handle(Instant::ZERO, track(1));
    run(&mut lsd, Instant::ZERO, Instant::ZERO);
    for (asked, due) in [(10, 60), (20, 60), (59, 60)] {
        lsd.handle(Instant::from_secs(asked), LsdInput::Hurry(hash(1)));
        assert_eq!(lsd.poll_timeout(), Some(Instant::from_secs(due)), "asked at {asked} s");
    }
    run(&mut lsd, Instant::from_secs(60), Instant::from_secs(60));
    lsd.handle(Instant::from_secs(200), LsdInput::Hurry(hash(1)));
    assert_eq!(lsd.poll_timeout(), Some(Instant::from_secs(200)));
    run(&mut lsd, Instant::from_secs(200), Instant::from_secs(200));
    // A new interface hurries all; a torrent that nobody tracks none.
    lsd.handle(Instant::from_secs(290), LsdInput::Hurry(hash(2)));
    assert_eq!(lsd.poll_timeout(), Some(Instant::from_secs(500)));
    lsd.handle(Instant::from_secs(290), LsdInput::NewInterface);
    assert_eq!(lsd.poll_timeout(), Some(Instant::from_secs(290)));
    lsd.assert_invariants();
}

#[test]
fn row_3_5_only_those_who_are_near_are_believed() {
    for (from, is_neighbour, is_believed) in [
        ("127.0.0.1:6771", false, true),
        ("192.168.1.7:6771", false, true),
        ("10.1.2.3:999", false, true),
        ("169.254.3.4:6771", false, true),
        ("[::1]:6771", false, true),
        ("[fd00::7]:6771", false, true),
        ("[::ffff:192.168.1.7]:6771", false, true),
        ("8.8.8.8:6771", false, false),
        ("[2606::1]:6771", false, false),
        ("8.8.8.8:6771", true, true),
        ("[2606::1]:6771", true, true),
        // It could not be dialled without its interface.
        ("[fe80::1]:6771", true, false),
        ("0.0.0.0:6771", true, false),
        ("239.192.152.143:6771", true, false),
    ] {
        let mut lsd = machine();
        lsd.handle(Instant::ZERO, track(1));
        let LsdInput::Datagram { from: sender, payload, .. } = datagram(from, &told(5000, &[1])) else {
            unreachable!("that is what it makes")
        };
        lsd.handle(Instant::ZERO, LsdInput::Datagram { from: sender, is_neighbour, payload });
        let address = SocketAddr::new(sender.ip().to_canonical(), 5000);
        let wanted = if is_believed { vec![(hash(1), address)] } else { vec![] };
        assert_eq!(peers(&mut lsd), wanted, "{from}");
    }
}

#[test]
fn row_3_5_what_is_not_ours_to_know_is_ignored() {
    let ours = Announce { cookie: Some(Cookie::ours(COOKIE)), ..told(6881, &[1]) };
    let others = Announce { cookie: Some(Cookie::ours(8)), ..told(5000, &[1]) };
    let at = |port| (hash(1), SocketAddr::from(([10, 0, 0, 7], port)));
    for (what, announce, wanted) in [
        ("our own announce", ours, vec![]),
        ("a torrent that we do not have", told(5000, &[2]), vec![]),
        ("another client", others, vec![at(5000)]),
        ("one of many", told(5000, &[5, 4, 3, 2, 1]), vec![at(5000)]),
    ] {
        let mut lsd = machine();
        lsd.handle(Instant::ZERO, track(1));
        lsd.handle(Instant::ZERO, datagram("10.0.0.7:6771", &announce));
        assert_eq!(peers(&mut lsd), wanted, "{what}");
    }
}

#[test]
fn row_3_5_one_datagram_names_one_address() {
    let mut lsd = machine();
    (1..=30).for_each(|number| lsd.handle(Instant::ZERO, track(number)));
    let all: Vec<u16> = (1..=24).collect();
    lsd.handle(Instant::ZERO, datagram("10.0.0.7:6771", &told(5000, &all)));
    let found = peers(&mut lsd);
    assert_eq!(found.len(), 24);
    assert!(found.iter().all(|(_, address)| *address == SocketAddr::from(([10, 0, 0, 7], 5000))));
    assert_eq!(lsd.tracked(&hash(24)).map(|torrent| torrent.answers), Some(1));
}

#[test]
fn row_3_5_a_flood_is_cut_off_and_harms_nobody_else() {
    let mut lsd = machine();
    lsd.handle(Instant::ZERO, track(1));
    let flood = |lsd: &mut Lsd, now, count| {
        (0..count).for_each(|_| lsd.handle(now, datagram("10.0.0.7:6771", &told(5000, &[1]))));
        peers(lsd).len()
    };
    assert_eq!(flood(&mut lsd, Instant::ZERO, 1_000), 40, "twenty seconds' worth at once");
    assert_eq!(flood(&mut lsd, Instant::from_secs(10), 1_000), 20, "then two a second");
    lsd.handle(Instant::from_secs(10), datagram("10.0.0.8:6771", &told(5000, &[1])));
    assert_eq!(peers(&mut lsd).len(), 1, "somebody else");
    assert_eq!(lsd.status().ignored, 960 + 980);
}

#[test]
fn row_3_5_one_machine_has_few_ports() {
    let mut lsd = machine();
    lsd.handle(Instant::ZERO, track(1));
    let scan = |lsd: &mut Lsd, now| {
        (5_000..5_030).for_each(|port| lsd.handle(now, datagram("10.0.0.7:6771", &told(port, &[1]))));
        peers(lsd).iter().map(|(_, address)| address.port()).collect::<Vec<_>>()
    };
    assert_eq!(scan(&mut lsd, Instant::ZERO), [5_000, 5_001, 5_002, 5_003]);
    assert_eq!(scan(&mut lsd, Instant::from_secs(300)), [5_000, 5_001, 5_002, 5_003], "they are known");
    lsd.handle(Instant::from_secs(800), datagram("10.0.0.7:6771", &told(5_003, &[1])));
    lsd.handle(Instant::from_secs(1_000), datagram("10.0.0.7:6771", &told(9_000, &[1])));
    let ports: Vec<u16> = peers(&mut lsd).iter().map(|(_, address)| address.port()).collect();
    assert_eq!(ports, [5_003, 9_000], "a place is free again");
}

#[test]
fn row_3_5_made_up_senders_are_bounded() {
    let mut lsd = machine();
    lsd.handle(Instant::ZERO, track(1));
    let from = |number: u32| format!("10.0.{}.{}:6771", number / 256, number % 256);
    (0..5_000).for_each(|number| lsd.handle(Instant::ZERO, datagram(&from(number), &told(5000, &[1]))));
    assert_eq!(peers(&mut lsd).len(), 256, "none is forgotten that has just spoken");
    lsd.handle(Instant::from_secs(1), datagram("192.168.0.1:6771", &told(5000, &[1])));
    assert_eq!(peers(&mut lsd).len(), 1, "a moment later there is a place");
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Track(u16, bool),
    Untrack(u16),
    Hurry(u16),
    NewInterface,
    Heard(u8, u16, Vec<u16>),
    Noise(Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u64..200_000_000).prop_map(Step::Wait),
        3 => (0u16..20, any::<bool>()).prop_map(|(number, private)| Step::Track(number, private)),
        1 => (0u16..20).prop_map(Step::Untrack),
        2 => (0u16..20).prop_map(Step::Hurry),
        1 => Just(Step::NewInterface),
        3 => (any::<u8>(), 1u16.., proptest::collection::vec(0u16..20, 1..5))
            .prop_map(|(host, port, hashes)| Step::Heard(host, port, hashes)),
        1 => proptest::collection::vec(any::<u8>(), 0..50).prop_map(Step::Noise),
    ]
}

proptest! {
    /// Against the plain rules: at most one announce a second, no torrent within a minute of its last announce, none that
    /// is not tracked or private, and each of them at least every six minutes.
    #[test]
    fn whatever_happens_the_rules_hold(steps in proptest::collection::vec(step(), 0..80)) {
        let mut lsd = machine();
        let mut now = Instant::ZERO;
        // Since when each torrent waits for its next announce, and the last one.
        let mut model: BTreeMap<InfoHash, (Instant, Option<Instant>)> = BTreeMap::new();
        let mut last: Option<Instant> = None;
        for step in steps {
            let until = if let Step::Wait(micros) = step { now + Duration::from_micros(micros) } else { now };
            for (at, hashes) in run(&mut lsd, now, until) {
                prop_assert!(last.is_none_or(|last| at.since(last) >= Duration::from_secs(1)));
                last = Some(at);
                for info_hash in hashes {
                    let (since, announced) = model.get_mut(&info_hash).expect("it is tracked");
                    prop_assert!(announced.is_none_or(|before| at.since(before) >= Duration::from_secs(60)));
                    (*since, *announced) = (at, Some(at));
                }
            }
            now = until;
            let input = match step {
                Step::Wait(_) => continue,
                Step::Track(number, is_private) => {
                    if !is_private {
                        model.entry(hash(number)).or_insert((now, None));
                    }
                    LsdInput::Track { info_hash: hash(number), is_private }
                }
                Step::Untrack(number) => {
                    model.remove(&hash(number));
                    LsdInput::Untrack(hash(number))
                }
                Step::Hurry(number) => LsdInput::Hurry(hash(number)),
                Step::NewInterface => LsdInput::NewInterface,
                Step::Heard(host, port, hashes) => datagram(&format!("10.0.0.{host}:1"), &told(port, &hashes)),
                Step::Noise(bytes) => {
                    let from = SocketAddr::from(([10, 0, 0, 1], 1));
                    LsdInput::Datagram { from, is_neighbour: false, payload: bytes.into() }
                }
            };
            lsd.handle(now, input);
            for (info_hash, address) in peers(&mut lsd) {
                prop_assert!(model.contains_key(&info_hash) && address.port() != 0);
            }
            prop_assert_eq!(lsd.status().torrents, model.len());
            for (since, _) in model.values() {
                prop_assert!(now.since(*since) <= Duration::from_secs(360), "one is never announced");
            }
        }
    }
}
