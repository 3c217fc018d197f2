//! A torrent says what it could use of the session's upload slots, and follows what it is given.

use potluck_common::Duration;

use super::alone::Alone;
use crate::{PeerKey, session::SessionEvent, torrent::Input};

fn interested(alone: &mut Alone, count: usize) -> Vec<PeerKey> {
    let join = |number| {
        let key = alone.join(&format!("9.9.{number}.1"));
        alone.says(key, vec![SessionEvent::Interested]);
        key
    };
    (0..count).map(join).collect()
}

/// What was told since the last time, as (wanting, taken).
fn told(alone: &mut Alone) -> Vec<(u32, u32)> {
    alone.demands.drain(..).map(|demand| (demand.wanting, demand.taken)).collect()
}

#[test]
fn a_demand_is_told_when_it_begins_once_a_round_and_when_it_ends() {
    let mut alone = Alone::seed(50);
    alone.join("9.8.7.6");
    alone.pass(60);
    assert_eq!(told(&mut alone), [], "nobody wants anything");
    let peers = interested(&mut alone, 8);
    assert_eq!(told(&mut alone), [(1, 1)], "the first of them");
    alone.pass(60);
    let rounds = told(&mut alone);
    assert!((5..=6).contains(&rounds.len()) && rounds.iter().all(|told| *told == (8, 5)), "{rounds:?}");
    for key in &peers {
        alone.says(*key, vec![SessionEvent::NotInterested]);
    }
    alone.pass(30);
    assert_eq!(told(&mut alone), [(0, 0)], "somebody is there, and wants nothing");

    alone.says(peers[0], vec![SessionEvent::Interested]);
    told(&mut alone);
    for key in peers {
        alone.leaves(key);
    }
    alone.pass(20);
    assert_eq!(told(&mut alone), [(0, 0)]);
}

#[test]
fn nobody_is_left_who_could_tell_and_yet_it_is_told() {
    let mut alone = Alone::seed(50);
    alone.torrent.handle(alone.now, Input::Settled(1));
    let peers = interested(&mut alone, 1);
    told(&mut alone);
    alone.leaves(peers[0]);
    assert_eq!(told(&mut alone), [(0, 0)]);
    assert!(alone.torrent.is_idle(), "and no round is waited for");
    alone.now += Duration::from_secs(3_600);
    alone.pass(1);
    assert_eq!(told(&mut alone), []);
}

#[test]
fn slots_are_followed_unless_the_user_has_set_them() {
    for (set, unchoked) in [(None, 9), (Some(3), 3)] {
        let mut alone = Alone::seed_with(50, set);
        interested(&mut alone, 20);
        alone.torrent.handle(alone.now, Input::SetSlots(9));
        alone.pass(15);
        let now = alone.now;
        let peers = alone.torrent.snapshot(now).detail.peers;
        assert_eq!(peers.iter().filter(|peer| !peer.we_choke).count(), unchoked, "{set:?}");
        assert_eq!(told(&mut alone).is_empty(), set.is_some());
    }
}
