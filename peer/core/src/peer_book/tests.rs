//! The peer book by itself.

use potluck_common::{Duration, PeerId};

use super::{outcomes::RETRY_MIN, tally::Tally, *};

fn book() -> PeerBook {
    PeerBook::new(BTreeSet::from([at("10.0.0.1:6881")]), Rng::new(1))
}

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// The address of this number, each in a network of its own.
fn nth(number: u32) -> SocketAddr {
    SocketAddr::new(IpAddr::from((0x0b00_0000 + (number << 8)).to_be_bytes()), 1)
}

fn giver(text: &str) -> (Identity, IpAddr) {
    let ip = text.parse().expect("an address");
    (Identity::of(ip), ip)
}

fn told(address: SocketAddr, by: &str) -> Told {
    Told { giver: Some(giver(by)), ..Told::from(address) }
}

fn flagged(address: SocketAddr, flags: PexFlags) -> Told {
    Told { flags, ..Told::from(address) }
}

fn known(book: &PeerBook, address: SocketAddr) -> Option<PeerSource> {
    book.entries.get(&address).map(Entry::source)
}

const NOW: Instant = Instant::from_secs(100);

#[test]
fn what_no_source_may_name_is_not_learnt_and_the_same_is_learnt_once() {
    let mut book = book();
    for text in
        ["10.0.0.1:6881", "1.2.3.4:0", "0.0.0.0:1", "239.1.1.1:5", "[ff02::1]:5", "[::ffff:10.0.0.1]:6881"]
    {
        assert!(!book.learn(NOW, at(text), PeerSource::Tracker), "{text}");
    }
    assert!(book.learn(NOW, at("[::ffff:1.2.3.4]:5"), PeerSource::Tracker));
    assert!(!book.learn(NOW, at("1.2.3.4:5"), PeerSource::Tracker), "the same address in another form");
    assert!(!book.learn(NOW, told(at("10.0.0.7:5"), "8.8.8.8"), PeerSource::Pex), "from afar");
    assert!(book.learn(NOW, told(at("10.0.0.7:5"), "10.0.0.9"), PeerSource::Pex), "from nearby");
    book.assert_invariants();
}

#[test]
fn failures_wait_longer_and_end() {
    // Whether we once met it, and whether somebody else is connected: how often it is tried in two hours.
    for (is_met, somebody, tries) in
        [(false, true, 10..=10), (true, true, 28..=32), (false, false, 28..=32), (true, false, 140..=190)]
    {
        let mut book = book();
        let mut now = NOW;
        book.learn(now, at("1.2.3.4:5"), PeerSource::Tracker);
        if is_met {
            book.met(now, at("1.2.3.4:5"));
        }
        if somebody {
            book.learn(now, at("4.3.2.1:5"), PeerSource::Incoming);
            book.connected(at("4.3.2.1:5"));
        }
        let mut waits = Vec::new();
        let due_at = |book: &PeerBook| match book.entries.get(&at("1.2.3.4:5"))?.phase {
            Phase::Waiting(at) => Some(at),
            _ => None,
        };
        while let Some(due) = due_at(&book).filter(|due| due.since(NOW) < Duration::from_secs(7_200)) {
            waits.push(due.since(now));
            now = due;
            assert_eq!(book.next_due(now), Some(at("1.2.3.4:5")));
            book.assert_invariants();
            book.failed(now, at("1.2.3.4:5"));
        }
        assert!(tries.contains(&waits.len()), "{is_met} {somebody}: {} of {tries:?}", waits.len());
        let quarter = &waits[..waits.len().min(20)];
        assert!(
            waits[1] >= RETRY_MIN && quarter.iter().all(|wait| *wait < Duration::from_secs(50)),
            "row 6.3: {waits:?}"
        );
    }
}

#[test]
fn row_2_12_a_flood_is_bounded_and_displaces_only_itself() {
    for source in [PeerSource::Pex, PeerSource::Dht, PeerSource::Tracker] {
        let mut book = book();
        let tracker: Vec<SocketAddr> = (0..400).map(|number| nth(100_000 + number)).collect();
        let earlier = if source == PeerSource::Tracker { PeerSource::Dht } else { PeerSource::Tracker };
        for address in &tracker {
            assert!(book.learn(NOW, *address, earlier));
        }
        book.learn(NOW, at("9.9.9.9:9"), PeerSource::User);
        for number in 0..10_000 {
            book.learn(NOW, nth(number), source);
            if number % 1000 == 0 {
                book.assert_invariants();
            }
        }
        assert!(tracker.iter().all(|address| known(&book, *address) == Some(earlier)), "{source:?}");
        assert_eq!(book.next_due(NOW), Some(at("9.9.9.9:9")));
        // And the others have their turn.
        let dialled: Vec<SocketAddr> = (0..20).filter_map(|_| book.next_due(NOW)).collect();
        let of_others = dialled.iter().filter(|address| tracker.contains(address)).count();
        assert_eq!(of_others, 10, "{source:?}");
        book.assert_invariants();
    }
}

#[test]
fn a_newcomer_of_a_small_source_displaces_the_worst_of_the_greatest() {
    let mut book = book();
    (0..ENTRIES_MAX as u32).for_each(|number| assert!(book.learn(NOW, nth(number), PeerSource::Dht)));
    let bad = book.next_due(NOW).expect("all are due");
    book.failed(NOW, bad);
    assert!(book.learn(NOW, nth(5_000), PeerSource::Tracker));
    assert_eq!(known(&book, bad), None, "who failed goes first");
    assert_eq!(known(&book, nth(5_000)), Some(PeerSource::Tracker));
    book.assert_invariants();
}

#[test]
fn row_2_12_strangers_make_us_dial_no_faster_than_their_budget() {
    let mut book = book();
    for number in 0..1_000 {
        book.learn(NOW, nth(number), PeerSource::Pex);
    }
    for number in 1_000..1_500 {
        book.learn(NOW, nth(number), PeerSource::Dht);
    }
    let mut now = NOW;
    let mut dials = |seconds| {
        let end = now + Duration::from_secs(seconds);
        let mut dials = 0;
        while now < end {
            while let Some(address) = book.next_due(now) {
                dials += 1;
                book.failed(now, address);
            }
            now += Duration::from_millis(10);
        }
        book.assert_invariants();
        dials
    };
    assert!((20..=27).contains(&dials(1)), "a burst at the beginning");
    assert!((290..=301).contains(&dials(60)), "five a second from then on");
}

#[test]
fn row_2_12_a_liar_gives_no_more() {
    let mut book = book();
    let (liar, honest) = ("8.8.8.8", "8.8.4.4");
    book.learn(NOW, at("4.3.2.1:5"), PeerSource::Incoming);
    book.connected(at("4.3.2.1:5"));
    (0..40).for_each(|number| assert!(book.learn(NOW, told(nth(number), liar), PeerSource::Pex)));
    // One that the tracker names, too, is not the liar's any more.
    assert!(!book.learn(NOW, nth(39), PeerSource::Tracker));
    let mut now = NOW;
    (100..140).for_each(|number| assert!(book.learn(now, told(nth(number), honest), PeerSource::Pex)));
    let mut fails = 0;
    while fails < givers::FAILURES_MAX {
        now += Duration::from_secs(1);
        let Some(address) = book.next_due(now) else { continue };
        match (0..39).any(|number| nth(number) == address) {
            true if book.entries[&address].failures == 0 => {
                fails += 1;
                book.failed(now, address);
            }
            true => book.failed(now, address),
            false => book.met(now, address),
        }
    }
    assert!((0..39).all(|number| known(&book, nth(number)).is_none()), "what it told is forgotten");
    assert!(known(&book, nth(39)).is_some());
    assert!(!book.learn(now, told(nth(500), liar), PeerSource::Pex));
    assert!(book.learn(now, told(nth(500), honest), PeerSource::Pex));
    let (who, ip) = giver(honest);
    book.ban(now, BanSubject::Address(ip));
    assert!(!book.givers.is_trusted(who), "who is banned gives no more either");
    assert_eq!(known(&book, nth(500)), None);
    book.assert_invariants();
}

#[test]
fn while_our_own_network_is_down_nobody_lies() {
    let mut book = book();
    for number in 0..50 {
        book.learn(NOW, told(nth(number), "8.8.8.8"), PeerSource::Pex);
    }
    let mut now = NOW;
    for _ in 0..50 {
        now += Duration::from_secs(1);
        book.next_due(now).into_iter().for_each(|address| book.failed(now, address));
    }
    assert!(book.learn(now, told(nth(500), "8.8.8.8"), PeerSource::Pex));
}

#[test]
fn a_seed_does_not_dial_whom_peers_call_a_seed() {
    let mut book = book();
    book.set_seed(true);
    book.learn(NOW, flagged(nth(1), PexFlags::SEED), PeerSource::Pex);
    book.learn(NOW, flagged(nth(2), PexFlags::SEED), PeerSource::Pex);
    book.learn(NOW, nth(2), PeerSource::Tracker);
    assert_eq!(book.next_due(NOW), Some(nth(2)), "whom others know, too, is not theirs to hide");
    assert_eq!(book.next_due(NOW), None);
    assert_eq!(book.waiting(), 0);
    book.set_seed(false);
    book.revive(NOW);
    assert_eq!(book.next_due(NOW), Some(nth(1)));
    book.assert_invariants();
}

#[test]
fn nobody_calls_a_seed_whom_another_peer_calls_a_leecher() {
    let mut book = book();
    book.set_seed(true);
    let told = |number, flags| Told { flags, ..told(nth(number), "8.8.8.8") };
    let lie = |number| Told { flags: PexFlags::SEED, ..self::told(nth(number), "7.7.7.7") };
    book.learn(NOW, told(1, PexFlags::REACHABLE), PeerSource::Pex);
    book.learn(NOW, lie(1), PeerSource::Pex);
    assert_eq!(book.next_due(NOW), Some(nth(1)), "the lie came later");
    book.learn(NOW, lie(2), PeerSource::Pex);
    assert_eq!(book.next_due(NOW), None, "nobody says otherwise");
    book.learn(NOW, told(2, PexFlags::REACHABLE), PeerSource::Pex);
    book.learn(NOW, lie(2), PeerSource::Pex);
    assert_eq!(book.next_due(NOW), Some(nth(2)), "the lie came sooner, and once more");
    book.learn(NOW, lie(3), PeerSource::Pex);
    assert_eq!(book.next_due(NOW), None);
    book.learn(NOW, nth(3), PeerSource::Tracker);
    assert_eq!(book.next_due(NOW), Some(nth(3)), "a tracker knows it, too");
    book.assert_invariants();
}

#[test]
fn strangers_name_few_ports_of_one_address() {
    let mut book = book();
    let learn =
        |book: &mut PeerBook, port, source| book.learn(NOW, SocketAddr::from(([1, 2, 3, 4], port)), source);
    let learnt = (1..=100).filter(|port| learn(&mut book, *port, PeerSource::Pex)).count();
    assert_eq!(learnt, PORTS_PER_ADDRESS_MAX);
    assert!(!learn(&mut book, 101, PeerSource::Dht));
    assert!(learn(&mut book, 101, PeerSource::Tracker), "a tracker knows a household");
    let local = |port| book.learn(NOW, SocketAddr::from(([127, 0, 0, 1], port)), PeerSource::Pex);
    assert_eq!((1..=100).map(local).filter(|is_new| *is_new).count(), 100, "and a lab is no victim");
}

#[test]
fn who_made_a_link_is_a_stranger() {
    let mut book = book();
    let scan = |book: &mut PeerBook, text: &str| {
        let learns = |port: &u16| {
            let address = SocketAddr::new(at(text).ip(), *port);
            book.learn(NOW, address, PeerSource::Link)
        };
        (1..=100).filter(learns).count()
    };
    for (text, learnt) in [
        ("1.2.3.4:1", PORTS_PER_ADDRESS_MAX),
        ("192.168.1.1:1", PORTS_PER_ADDRESS_MAX),
        ("127.0.0.1:1", 0),
        ("[fe80::1]:1", 0),
    ] {
        assert_eq!(scan(&mut book, text), learnt, "{text}");
    }
    // Not before anybody else, and no faster than others whom we do not know.
    (0..100).for_each(|number| assert!(book.learn(NOW, nth(number), PeerSource::Link)));
    book.learn(NOW, nth(1_000), PeerSource::Tracker);
    let dialled: Vec<SocketAddr> = std::iter::from_fn(|| book.next_due(NOW)).collect();
    assert!(dialled.len() < 30, "{} at once", dialled.len());
    assert!(dialled[..2].contains(&nth(1_000)), "sources take turns");
    book.learn(NOW, at("192.168.1.1:1"), PeerSource::User);
    assert_eq!(book.next_due(NOW), Some(at("192.168.1.1:1")), "what the user names is the user's");
    book.assert_invariants();
}

#[test]
fn bep_40_decides_among_equals_once_we_know_where_we_are() {
    let mut book = book();
    book.ours.insert(at("0.0.0.0:6881"));
    for number in 0..50 {
        book.learn(NOW, nth(number), PeerSource::Tracker);
    }
    book.is_us("123.213.32.10".parse().expect("an address"));
    book.assert_invariants();
    let own = at("123.213.32.10:6881");
    let dialled: Vec<_> = (0..50).filter_map(|_| priority::priority(own, book.next_due(NOW)?)).collect();
    assert_eq!(dialled.len(), 50);
    assert!(dialled.is_sorted_by(|one, next| one >= next), "{dialled:?}");
    assert_eq!(book.priority_of(at("98.76.54.32:1")), Some(0xec2d_7224));
    assert!(!book.learn(NOW, own, PeerSource::Dht), "it is us");
}

#[test]
fn what_is_handed_on_is_where_somebody_was_met() {
    let mut book = book();
    for number in 0..100 {
        book.learn(NOW, nth(number), PeerSource::Dht);
        let now = NOW + Duration::from_secs(u64::from(number));
        match number {
            0 => {}
            1 => book.retire(nth(1)),
            _ => book.met(now, nth(number)),
        }
    }
    book.proved(nth(7));
    let best = book.best();
    assert_eq!((best.len(), best[0], best[1]), (50, nth(7), nth(99)));
    assert_eq!(book.tally(PeerSource::Dht), Tally { found: 100, known: 100 });
    book.learn(NOW, nth(7), PeerSource::Tracker);
    assert_eq!(book.tally(PeerSource::Tracker), Tally { found: 1, known: 1 });
    assert_eq!(book.tally(PeerSource::Dht), Tally { found: 100, known: 99 });
}

#[test]
fn row_2_8_bans_shut_out_public_addresses_and_single_private_peers() {
    let mut book = book();
    let (one, other) = (PeerId([1; 20]), PeerId([2; 20]));
    let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
    for (banned, asked, same_id, expected) in [
        ("9.9.9.9", "9.9.9.9", false, true),
        ("2606::1:2:3:4", "2606::9:9:9:9", false, true),
        ("127.0.0.1", "127.0.0.1", true, true),
        ("127.0.0.1", "127.0.0.1", false, false),
    ] {
        book.ban(NOW, BanSubject::of(ip(banned), one));
        let asking = if same_id { one } else { other };
        assert_eq!(book.is_banned(NOW, ip(asked), Some(asking)), expected, "{banned} {asked}");
    }
    assert!(!book.is_banned(NOW + bans::BAN, ip("9.9.9.9"), Some(one)), "a ban ends");
}

#[test]
fn whatever_happens_the_indices_agree_with_the_entries() {
    for seed in 0..20 {
        let mut rng = Rng::new(seed);
        let mut book = book();
        let mut now = NOW;
        for _ in 0..3_000 {
            now += Duration::from_millis(u64::from(rng.below(3_000)));
            let address = nth(rng.below(60));
            match rng.below(18) {
                0..4 => {
                    let source = *rng.choose(&PeerSource::ALL).expect("there are some");
                    book.learn(now, told(address, "8.8.8.8"), source);
                }
                4..7 => drop(book.next_due(now)),
                7 => book.connected(address),
                8 => book.met(now, address),
                9 => book.proved(address),
                10 | 11 => book.failed(now, address),
                12 => book.shunned(now, address),
                13 => book.postponed(now, address),
                14 if rng.below(8) == 0 => book.retire(address),
                14 => book.part(address),
                15 => book.dialled(address),
                16 => book.left(now, address),
                _ => {
                    book.set_seed(rng.below(2) == 0);
                    book.revive(now);
                }
            }
            book.assert_invariants();
        }
    }
}
