//! One lookup among those who lie.

use std::net::SocketAddr;

use potluck_common::{
    Rng,
    announce::Family,
    krpc::{NodeId, NodeInfo},
};

use crate::dht::leg::Leg;

const TARGET: NodeId = NodeId([0; 20]);

/// A node with an id of its address; a lower number is closer to the target.
fn node(number: u8) -> NodeInfo {
    let mut rng = Rng::new(u64::from(number));
    let addr = SocketAddr::from(([50 + number, 1, 1, 1], 6881));
    NodeInfo { id: NodeId::of_address(addr.ip(), &mut rng), addr }
}

/// Nodes in order of their distance from the target.
fn nodes() -> Vec<NodeInfo> {
    let mut nodes: Vec<_> = (0..60).map(node).collect();
    nodes.sort_by_key(|node| node.id.distance(&TARGET));
    nodes
}

fn leg(begins_with: &[NodeInfo]) -> Leg {
    let mut leg = Leg::new(Family::V4, NodeId([0xff; 20]), TARGET);
    for node in begins_with {
        leg.begin_with(*node, None);
    }
    leg
}

/// Asks until nobody is left; `answer` says whom a node names, or that it is silent. Returns who was asked.
fn play(leg: &mut Leg, answer: impl Fn(SocketAddr) -> Option<Vec<NodeInfo>>) -> Vec<SocketAddr> {
    let mut asked = Vec::new();
    while let Some(next) = leg.next() {
        leg.assert_invariants();
        asked.push(next.addr);
        let id = next.id.expect("all are known by their ids");
        match answer(next.addr) {
            Some(named) => {
                let from = NodeInfo { id, addr: next.addr };
                leg.answered(from, Some(b"t"), named.into_iter()).expect("it was asked");
            }
            None => leg.silent(next.addr),
        }
        leg.assert_invariants();
    }
    assert!(leg.is_done());
    asked
}

#[test]
fn those_who_name_nobody_do_not_end_a_lookup() {
    let nodes = nodes();
    let (near, rest) = nodes.split_at(10);
    let (liars, honest) = rest.split_at(12);
    let mut leg = leg(&nodes[10..30]);
    let asked = play(&mut leg, |addr| {
        if liars.iter().any(|liar| liar.addr == addr) { Some(Vec::new()) } else { Some(near[..8].to_vec()) }
    });
    assert!(honest.iter().any(|node| asked.contains(&node.addr)), "those behind the liars are asked");
    let told: Vec<_> = leg.announce_to().into_iter().map(|(node, _)| node).collect();
    assert_eq!(told, near[..8], "the closest are found through them");
    assert!(leg.is_confirmed());
}

#[test]
fn liars_who_back_each_other_hide_nobody() {
    let nodes = nodes();
    let (dead, living) = nodes.split_at(40);
    let mut leg = leg(living);
    // Each of twenty liars names another eight of the dead, all closer than anybody who lives.
    let asked = play(&mut leg, |addr| {
        let liar = living.iter().position(|node| node.addr == addr)?;
        Some((0..8).map(|n| dead[(liar * 2 + n * 5) % dead.len()]).collect())
    });
    assert!(living.iter().all(|node| asked.contains(&node.addr)), "the others are asked all the same");
    assert!(!leg.is_confirmed());
}

#[test]
fn what_one_node_alone_names_is_asked_three_times_in_vain() {
    let nodes = nodes();
    let (dead, living) = nodes.split_at(20);
    let mut leg = leg(&living[..1]);
    let asked = play(&mut leg, |addr| (addr == living[0].addr).then(|| dead[..8].to_vec()));
    assert_eq!(asked.len(), 1 + 3);
}

/// Two that live beside the target are named by the honest nodes next to it, too, as they should be.
#[test]
fn those_placed_beside_a_target_silence_none_of_its_neighbours() {
    let nodes = nodes();
    let placed = (1..=2).map(|n| {
        let mut id = TARGET;
        id.0[19] = n;
        NodeInfo { id, addr: SocketAddr::from(([120 + n, 1, 1, 1], 6881)) }
    });
    let placed: Vec<NodeInfo> = placed.collect();
    let mut leg = leg(&nodes[20..30]);
    let answer = || nodes[..6].iter().chain(&placed).copied().collect();
    let asked = play(&mut leg, |_| Some(answer()));
    assert!(nodes[..6].iter().all(|node| asked.contains(&node.addr)), "{asked:?}");
    assert!(placed.iter().all(|node| !asked.contains(&node.addr)), "{asked:?}");
    let told: Vec<_> = leg.announce_to().into_iter().map(|(node, _)| node).collect();
    assert_eq!(told[..6], nodes[..6], "the closest");
    assert!(leg.is_confirmed());
}
