//! Sources of addresses that the shell asks: who may give any, and when they are asked.

use std::net::SocketAddr;

use potluck_common::{
    Duration,
    control::{Aspects, DiscoveryState},
};

use super::alone::Alone;
use crate::torrent::{Effect, Input, Source, SourceReport};

fn tells(alone: &mut Alone, source: Source, port: u16) {
    let address = SocketAddr::from(([10, 1, 1, 1], port));
    alone.torrent.handle(alone.now, Input::Candidates(vec![address, address], source));
    let next_at = Some(alone.now + Duration::from_secs(300));
    let report =
        SourceReport { source, state: DiscoveryState::Working, message: "it answered".into(), next_at };
    alone.torrent.handle(alone.now, Input::Source(report));
}

#[test]
fn bep_27_a_private_torrent_believes_its_trackers_and_its_user_alone() {
    for (source, is_open) in [
        (Source::Dht, false),
        (Source::Pex, false),
        (Source::Lsd, false),
        (Source::Tracker, true),
        (Source::Link, true),
        (Source::Resume, true),
        (Source::User, true),
    ] {
        for private in [false, true] {
            let mut alone = Alone::leecher_with(50, |config| config.private = private);
            tells(&mut alone, source, 6881);
            alone.pass(2);
            assert_eq!(!alone.dialled.is_empty(), is_open || !private, "{source:?}, private: {private}");
            let lists = alone.torrent.detail(alone.now, Aspects::ALL, &[]).discovery;
            let line = lists.iter().find(|line| line.source == source).expect("a line");
            let told = (line.state, line.found, line.next_seconds);
            let expected = if is_open || !private {
                (DiscoveryState::Working, 1, Some(298))
            } else {
                (DiscoveryState::Off, 0, None)
            };
            assert_eq!(told, expected, "{source:?}, private: {private}");
            if told.0 == DiscoveryState::Off {
                assert!(line.message.as_str().contains("private"), "{}", line.message);
            }
        }
    }
}

#[test]
fn while_peers_are_few_sources_are_asked_once_a_minute_and_a_seed_asks_nobody() {
    let asked = |alone: &Alone| alone.effects.iter().filter(|effect| **effect == Effect::WantPeers).count();
    let mut leecher = Alone::leecher(50);
    leecher.pass(5);
    assert_eq!(asked(&leecher), 1, "at once");
    leecher.pass(180);
    assert!((3..=4).contains(&asked(&leecher)), "{}", asked(&leecher));
    let mut seed = Alone::seed(50);
    seed.pass(180);
    assert_eq!(asked(&seed), 0);
}
