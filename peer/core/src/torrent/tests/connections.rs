//! Who may connect: the share kept for those who come, and who makes room near the limit.

use std::net::SocketAddr;

use potluck_common::control::PeerSource;

use super::alone::Alone;
use crate::{
    PeerKey,
    session::{Direction, SessionEvent},
    torrent::Input,
};

/// Knows so many addresses, and dials until it is satisfied.
fn dials(alone: &mut Alone, addresses: u16) -> usize {
    let address = |n: u16| SocketAddr::from(([9, n as u8, 1, 1], 6881));
    let all = (0..addresses).map(address).collect();
    alone.torrent.handle(alone.now, Input::Candidates(all, PeerSource::Tracker));
    let mut count = 0;
    for _ in 0..200 {
        alone.pass(1);
        for address in std::mem::take(&mut alone.dialled) {
            alone.connect(address, 1_000 + u64::from(address.port()) + count, Direction::Outgoing);
            count += 1;
        }
    }
    count as usize
}

#[test]
fn a_tenth_of_the_room_is_for_those_who_come() {
    let mut alone = Alone::seed(20);
    assert_eq!(dials(&mut alone, 100), 18);
    let came: Vec<PeerKey> = (0..2).map(|n| alone.join(&format!("8.8.{n}.1"))).collect();
    assert_eq!(alone.there.len(), 20, "and nobody had to go for them");
    assert!(came.iter().all(|key| alone.there.contains_key(key)));
    alone.join("7.7.7.7");
    assert_eq!(alone.there.len(), 20, "the next one displaces somebody");
}

#[test]
fn who_is_dialled_on_trial_displaces_and_does_not_fill_the_share_of_others() {
    let mut alone = Alone::leecher(20);
    assert!(dials(&mut alone, 100) > 18, "idle peers are no reason not to look for others");
    assert_eq!(alone.there.len(), 18);
}

#[test]
fn near_the_limit_the_worst_are_evicted_and_those_who_want_nothing_first() {
    let mut alone = Alone::seed(50);
    let keys: Vec<PeerKey> = (0..46).map(|n| alone.join(&format!("9.9.{n}.1"))).collect();
    for key in &keys[..40] {
        alone.says(*key, vec![SessionEvent::Interested]);
    }
    alone.pass(320);
    let gone: Vec<&PeerKey> = keys.iter().filter(|key| !alone.there.contains_key(key)).collect();
    assert_eq!(gone.len(), 2, "4 in a hundred, every five minutes");
    assert!(gone.iter().all(|key| keys[40..].contains(key)), "{gone:?}");
    alone.pass(600);
    assert_eq!(alone.there.len(), 44, "not near the limit any more");
}

#[test]
fn one_household_may_have_eight_connections_and_a_network_of_ipv6_is_one() {
    for households in
        [["9.9.9.9"; 12].map(str::to_owned), std::array::from_fn(|n| format!("2a01:1:2:3::{}", n + 1))]
    {
        let mut alone = Alone::seed(20);
        for n in 0..10 {
            alone.join(&format!("8.8.{n}.1"));
        }
        let others = alone.there.len();
        for address in &households {
            alone.join(address);
        }
        assert_eq!(alone.there.len() - others, 8, "{households:?}");
    }
}
