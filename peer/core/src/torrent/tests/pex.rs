//! Peer exchange: who is told of whom, how often, and what is taken of what others tell.

use std::{collections::BTreeSet, net::SocketAddr};

use bytes::Bytes;
use potluck_common::{
    Bitfield, Rng,
    control::{Aspects, DiscoveryState, PeerSource},
    wire::{PEX_CONTACTS_MAX, PexContact, PexFlags, PexMessage},
};

use super::alone::{Alone, geometry};
use crate::{
    PeerKey,
    session::{Direction, SessionEvent},
    torrent::TorrentConfig,
};

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn extended(listen_port: Option<u16>, pex: bool) -> SessionEvent {
    SessionEvent::Extended { client: None, listen_port, your_ip: None, upload_only: false, pex }
}

impl Alone {
    /// Somebody whom we dialled, and who takes peer exchange.
    fn dialled_at(&mut self, address: &str) -> PeerKey {
        let name = 1_000 + self.there.len() as u64;
        let key = self.connect(at(address), name, Direction::Outgoing);
        self.says(key, vec![extended(None, true)]);
        key
    }

    /// Somebody who comes by itself, and takes peer exchange.
    fn comes(&mut self, ip: &str, listen_port: Option<u16>) -> PeerKey {
        let key = self.join(ip);
        self.says(key, vec![extended(listen_port, true)]);
        key
    }

    fn hears(&mut self, key: PeerKey, message: &PexMessage) {
        self.says(key, vec![SessionEvent::Pex(message.encode().into())]);
    }

    /// What one peer was told: whom it knows of in the end, and how often it heard.
    fn told_to(&self, key: PeerKey) -> (BTreeSet<SocketAddr>, usize) {
        let mut known = BTreeSet::new();
        let mut messages = 0;
        for (_, _, message) in self.told.iter().filter(|(_, to, _)| *to == key) {
            messages += 1;
            for contact in &message.added {
                assert!(known.insert(contact.address), "{} is added once", contact.address);
            }
            for address in &message.dropped {
                assert!(known.remove(address), "{address} was added before it is dropped");
            }
        }
        (known, messages)
    }

    fn why_closed(&self, key: PeerKey) -> Option<&str> {
        self.closed.iter().find(|(closed, _)| *closed == key).map(|(_, why)| why.as_str())
    }
}

fn addresses(texts: &[&str]) -> BTreeSet<SocketAddr> {
    texts.iter().map(|text| at(text)).collect()
}

fn telling(addresses: impl IntoIterator<Item = SocketAddr>) -> PexMessage {
    let contact = |address| PexContact { address, flags: PexFlags::REACHABLE };
    PexMessage { added: addresses.into_iter().map(contact).collect(), dropped: Vec::new() }
}

#[test]
fn peers_are_told_of_each_other_soon_and_then_once_a_minute() {
    let mut alone = Alone::seed(50);
    let one = alone.dialled_at("9.9.9.9:9");
    let other = alone.comes("8.8.8.8", Some(6881));
    let silent = alone.comes("7.7.7.7", None);
    alone.pass(4);
    assert_eq!(alone.told_to(one), (addresses(&["8.8.8.8:6881"]), 1));
    assert_eq!(alone.told_to(other), (addresses(&["9.9.9.9:9"]), 1));
    assert_eq!(alone.told_to(silent).0, addresses(&["9.9.9.9:9", "8.8.8.8:6881"]));
    let flags: Vec<PexFlags> =
        alone.told.iter().flat_map(|(_, _, message)| &message.added).map(|contact| contact.flags).collect();
    assert!(flags.contains(&PexFlags::REACHABLE), "whom we dialled: {flags:?}");
    assert!(flags.contains(&PexFlags::default()), "who came: {flags:?}");
    // Who comes and goes in between is told of once, if at all.
    let passing = alone.comes("6.6.6.6", Some(6));
    alone.leaves(passing);
    alone.leaves(other);
    alone.says(silent, vec![SessionEvent::Bitfield(Bitfield::full(geometry().pieces()))]);
    let late = alone.dialled_at("[2606::5]:5");
    alone.pass(50);
    assert_eq!(alone.told_to(one).1, 1, "not twice in a minute");
    alone.pass(20);
    assert_eq!(alone.told_to(one), (addresses(&["[2606::5]:5"]), 2));
    assert_eq!(alone.told_to(late), (addresses(&["9.9.9.9:9"]), 1));
    alone.pass(600);
    assert_eq!(alone.told_to(one).1, 2, "nothing to tell is not told");
}

#[test]
fn who_is_connected_again_is_not_told_of_again() {
    let mut alone = Alone::seed(50);
    let one = alone.dialled_at("9.9.9.9:9");
    let other = alone.dialled_at("8.8.8.8:8");
    alone.pass(70);
    alone.leaves(other);
    alone.dialled_at("8.8.8.8:8");
    alone.pass(200);
    assert_eq!(alone.told_to(one), (addresses(&["8.8.8.8:8"]), 1));
}

#[test]
fn row_2_12_nobody_afar_is_told_of_addresses_nearby() {
    let mut alone = Alone::seed(50);
    let all = ["9.9.9.9:9", "8.8.8.8:8", "192.168.1.2:2", "10.0.0.3:3", "127.0.0.1:4", "127.0.0.1:5"];
    let keys: Vec<PeerKey> = all.iter().map(|address| alone.dialled_at(address)).collect();
    alone.pass(100);
    for (key, others) in [(0, 1..2), (2, 0..4), (4, 0..6)] {
        let mut expected = addresses(&all[others]);
        expected.remove(&at(all[key]));
        assert_eq!(alone.told_to(keys[key]).0, expected, "{}", all[key]);
    }
}

#[test]
fn no_message_tells_of_more_than_fifty() {
    let mut alone = Alone::seed(500);
    let mut keys: Vec<PeerKey> = (0..180).map(|n| alone.dialled_at(&format!("9.{n}.9.9:9"))).collect();
    alone.pass(400);
    for key in keys.split_off(60) {
        alone.leaves(key);
    }
    alone.pass(400);
    for (_, _, message) in &alone.told {
        assert!(message.added.len() <= PEX_CONTACTS_MAX && message.dropped.len() <= PEX_CONTACTS_MAX);
        let added: BTreeSet<_> = message.added.iter().map(|contact| contact.address).collect();
        assert!(message.dropped.iter().all(|address| !added.contains(address)), "not both in one message");
    }
    for (number, key) in keys.iter().enumerate() {
        let (known, _) = alone.told_to(*key);
        let there: BTreeSet<SocketAddr> = (0..60).map(|n| at(&format!("9.{n}.9.9:9"))).collect();
        assert!(known.is_subset(&there) && !known.contains(&at(&format!("9.{number}.9.9:9"))), "{known:?}");
    }
}

#[test]
fn row_2_12_what_is_told_is_judged_and_bounded() {
    let mut alone = Alone::leecher_with(50, |config| config.ours = BTreeSet::from([at("1.1.1.1:1")]));
    let one = alone.comes("8.8.8.8", Some(8));
    let bad = ["1.2.3.4:0", "239.1.1.1:5", "0.0.0.0:5", "127.0.0.1:22", "192.168.1.1:80", "1.1.1.1:1"];
    let good = ["4.4.4.4:4", "[2606::4]:4"];
    alone.hears(one, &telling(bad.iter().chain(&good).map(|text| at(text))));
    alone.pass(2);
    assert_eq!(alone.dialled.iter().copied().collect::<BTreeSet<_>>(), addresses(&good));
    let lists = alone.torrent.detail(alone.now, Aspects::ALL, &[]);
    let line = lists.discovery.iter().find(|line| line.source == PeerSource::Pex).expect("a line");
    assert_eq!((line.state, line.found), (DiscoveryState::Working, 2));
    assert_eq!(line.message.as_str(), "1 peer tells, 2 new in the last minute");
}

#[test]
fn row_2_12_who_tells_too_often_or_nonsense_is_parted_with() {
    let mut alone = Alone::leecher(50);
    let often = alone.comes("8.8.8.8", Some(8));
    let steady = alone.comes("7.7.7.7", Some(7));
    for second in 0..400 {
        if second % 60 == 0 {
            alone.hears(steady, &telling([at("4.4.4.4:4")]));
        }
        alone.pass(1);
    }
    assert_eq!(alone.why_closed(steady), None);
    alone.hears(often, &telling([at("4.4.4.4:4")]));
    alone.hears(often, &telling([at("4.4.4.5:4")]));
    assert_eq!(alone.why_closed(often), None, "two at once may be");
    alone.pass(59);
    alone.hears(often, &telling([at("4.4.4.6:4")]));
    assert_eq!(alone.why_closed(often), Some("sent peer exchange more often than once a minute"));
    for (payload, why) in [
        (&b"d5:added"[..], "sent a peer exchange that cannot be read"),
        (b"le", "sent a peer exchange that is not a dictionary"),
        (b"d5:added7:1234567e", "sent a peer exchange with half an address"),
    ] {
        let one = alone.comes("5.5.5.5", Some(5));
        alone.says(one, vec![SessionEvent::Pex(Bytes::copy_from_slice(payload))]);
        let closed = alone.why_closed(one).expect("parted with").to_owned();
        assert!(closed.starts_with(why), "{closed}");
    }
}

#[test]
fn bep_27_a_private_torrent_or_one_without_pex_neither_tells_nor_listens() {
    for (private, pex, why) in [
        (true, true, "the torrent is private: only its trackers may tell its peers"),
        (false, false, "you switched it off"),
    ] {
        let change = |config: &mut TorrentConfig| (config.private, config.pex) = (private, pex);
        let mut alone = Alone::leecher_with(50, change);
        let one = alone.dialled_at("9.9.9.9:9");
        alone.dialled_at("8.8.8.8:8");
        alone.hears(one, &telling([at("4.4.4.4:4")]));
        alone.pass(200);
        assert!(alone.told.is_empty() && alone.dialled.is_empty());
        let lists = alone.torrent.detail(alone.now, Aspects::ALL, &[]);
        let line = lists.discovery.iter().find(|line| line.source == PeerSource::Pex).expect("a line");
        assert_eq!((line.state, line.message.as_str()), (DiscoveryState::Off, why));
    }
}

/// Peers come, go, change what they tell, and hear: whatever the order, each knows of nobody whom we are not connected to
/// once it was told of everything.
#[test]
fn in_the_end_everybody_knows_only_who_is_there() {
    for seed in 0..10 {
        let mut rng = Rng::new(seed);
        let mut alone = Alone::seed(200);
        let mut keys: Vec<PeerKey> = Vec::new();
        for _ in 0..300 {
            match rng.below(5) {
                0 | 1 => {
                    let ip = format!("9.{}.9.9", rng.below(40));
                    keys.push(match rng.below(2) {
                        0 => alone.dialled_at(&format!("{ip}:9")),
                        _ => alone.comes(&ip, Some(9)),
                    });
                }
                2 if !keys.is_empty() => {
                    let gone = keys.swap_remove(rng.below(keys.len() as u32) as usize);
                    if alone.there.contains_key(&gone) {
                        alone.leaves(gone);
                    }
                }
                _ => alone.pass(u64::from(rng.below(20))),
            }
            keys.retain(|key| alone.there.contains_key(key));
        }
        alone.pass(200);
        let there: BTreeSet<SocketAddr> =
            keys.iter().map(|key| SocketAddr::new(alone.there[key].ip(), 9)).collect();
        for key in &keys {
            let (known, _) = alone.told_to(*key);
            assert!(known.is_subset(&there), "seed {seed}: {known:?} of {there:?}");
        }
    }
}

#[test]
fn a_minute_costs_each_peer_what_has_changed_and_not_who_is_there() {
    let mut alone = Alone::seed(400);
    for n in 0..190 {
        alone.dialled_at(&format!("9.{n}.9.9:9"));
    }
    alone.pass(300);
    let before = alone.told.len();
    let newcomer = alone.dialled_at("8.8.8.8:8");
    alone.pass(70);
    let told: Vec<_> = alone.told[before..].iter().filter(|(_, key, _)| *key != newcomer).collect();
    assert_eq!(told.len(), 190);
    let most = told.iter().map(|(_, _, message)| message.added.len() + message.dropped.len()).max();
    assert_eq!(most, Some(1), "everybody heard of the others before");
}

#[test]
fn whoever_names_port_after_port_is_told_of_at_one_address_and_not_when_it_is_gone() {
    let mut alone = Alone::seed(50);
    let listener = alone.dialled_at("9.9.9.9:9");
    let liar = alone.comes("8.8.8.8", Some(1));
    for port in 2..500 {
        alone.says(liar, vec![extended(Some(port), true)]);
    }
    alone.pass(70);
    assert_eq!(alone.told_to(listener).0, addresses(&["8.8.8.8:1"]));
    alone.leaves(liar);
    alone.pass(70);
    assert_eq!(alone.told_to(listener).0, BTreeSet::new());
    let honest = alone.comes("8.8.8.8", Some(77));
    alone.pass(70);
    assert_eq!(alone.told_to(listener).0, addresses(&["8.8.8.8:77"]));
    assert!(alone.there.contains_key(&honest));
}
