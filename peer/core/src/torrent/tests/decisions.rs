//! Decisions of the choker as user interfaces are told them.

use std::collections::BTreeMap;

use potluck_common::control::{PeerAction, PeerDecision};

use super::*;
use crate::{choker::ChokerConfig, torrent::paced};

fn decisions(node: &Node) -> impl Iterator<Item = &PeerDecision> {
    node.events.iter().filter_map(|event| match event {
        EventKind::Decision(decision) => Some(decision),
        _ => None,
    })
}

/// A seeder and nine leechers, more than there are slots, until all are complete.
fn swarm() -> World {
    let mut members = vec![seeder(60_000)];
    members.resize_with(10, || leecher(60_000));
    let mut world = World::new(geometry(2_000_000, 65_536), 5, &members);
    assert!(world.run_until(200, World::all_complete));
    world
}

#[test]
fn no_time_lapse_makes_rounds_of_nothing() {
    for (pace, round_millis, trial_millis) in
        [(0, 10_000, 30_000), (1, 10_000, 30_000), (10, 1_000, 3_000), (100, 100, 300), (u32::MAX, 100, 300)]
    {
        let config = paced(ChokerConfig::default(), pace);
        let (round, trial) = (Duration::from_millis(round_millis), Duration::from_millis(trial_millis));
        assert_eq!((config.round, config.optimistic), (round, trial), "{pace}");
    }
}

#[test]
fn what_was_told_of_a_peer_last_is_what_it_is() {
    let mut world = swarm();
    let now = world.now;
    for node in &mut world.nodes {
        let told: BTreeMap<SocketAddr, PeerAction> =
            decisions(node).map(|decision| (decision.peer, decision.action)).collect();
        for peer in node.torrent.snapshot(now).detail.peers {
            let told = told.get(&peer.address).copied().unwrap_or(PeerAction::Choke);
            assert_eq!(told == PeerAction::Choke, peer.we_choke, "{told:?} {peer:?}");
            assert!(!peer.why.as_str().is_empty(), "there always is a reason");
        }
    }
}

#[test]
fn a_decision_tells_what_it_was_made_by() {
    let world = swarm();
    let of_leechers = || world.nodes[1..].iter().flat_map(decisions);
    assert!(world.nodes.iter().all(|node| decisions(node).count() > 0), "everybody decided something");
    for decision in world.nodes.iter().flat_map(decisions) {
        assert!(!decision.why.as_str().is_empty() && decision.age_seconds >= 0.0, "{decision:?}");
    }
    let repay: Vec<_> =
        of_leechers().filter(|decision| decision.why.as_str().starts_with("repays")).collect();
    assert!(repay.iter().all(|decision| decision.action == PeerAction::Unchoke && decision.rate > 0));
    // Who comes between rounds has no rank yet.
    assert!(of_leechers().any(|decision| decision.rank.is_some()), "somebody is ranked");
    let trial = of_leechers().find(|decision| decision.why.as_str().starts_with("trial 0 of 30 s"));
    assert_eq!(trial.map(|decision| decision.action), Some(PeerAction::Unchoke));
}
