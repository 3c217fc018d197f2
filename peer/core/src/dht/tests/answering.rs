//! One node, and others that answer as the test says.

use std::{net::SocketAddr, ops::Range};

use potluck_common::{
    Duration, InfoHash, Rng,
    announce::Family,
    krpc::{Body, Message, NodeId, NodeInfo, Query},
};

use super::scene::{Scene, id_of, v4, v6};
use crate::dht::{DhtConfig, DhtInput, DhtSaved, SAVED_NODES_MAX, Tracked};

const TORRENT: InfoHash = InfoHash([0x5a; 20]);

#[test]
fn a_family_that_is_down_empties_no_table_while_the_other_is_up() {
    let mut scene = Scene::new(DhtConfig::default());
    for n in 0..5 {
        scene.tell(DhtInput::Node(v4(n)));
        scene.tell(DhtInput::Node(v6(n)));
    }
    scene.run(Duration::from_secs(10));
    assert_eq!(scene.known(), [5, 5]);
    scene.answers = |addr| addr.is_ipv4();
    scene.tell(DhtInput::Track(TORRENT, Tracked { announce_port: Some(1), is_seed: false }));
    scene.run(Duration::from_secs(2 * 3_600));
    assert_eq!(scene.known(), [5, 5], "it is not their fault");
    scene.answers = |addr| addr.is_ipv4() || addr == v6(0);
    scene.run(Duration::from_secs(2 * 3_600));
    assert_eq!(scene.known(), [5, 1], "now it is");
}

#[test]
fn who_refuses_is_alive() {
    let mut scene = Scene::new(DhtConfig { ipv6: false, ..DhtConfig::default() });
    (0..6).for_each(|n| scene.tell(DhtInput::Node(v4(n))));
    scene.run(Duration::from_secs(10));
    scene.refuses_announces = true;
    for port in 1..=4 {
        let tracked = Tracked { announce_port: Some(port), is_seed: false };
        scene.tell(DhtInput::Track(TORRENT, tracked));
        scene.run(Duration::from_secs(20));
        let status = scene.node.status(scene.now).ipv4.expect("on");
        assert_eq!((status.nodes, status.good), (6, 6), "after announce {port}");
    }
    assert!(scene.reports.len() >= 4 && scene.reports.iter().all(|report| report.announced_to == 0));
    assert!(scene.reports.iter().all(|report| report.answered == 6), "{:?}", scene.reports);
}

#[test]
fn a_short_run_forgets_nothing_but_who_is_gone() {
    let node = |n: u8| NodeInfo { id: id_of(v4(n)), addr: v4(n) };
    let saved = DhtSaved { nodes: (0..SAVED_NODES_MAX as u8).map(node).collect(), ..DhtSaved::default() };
    let mut scene = Scene::new(DhtConfig { ipv6: false, saved: Some(saved.clone()), ..DhtConfig::default() });
    scene.answers = |addr| addr == v4(220) || (0..200).step_by(4).any(|n| addr == v4(n));
    scene.tell(DhtInput::Node(v4(220)));
    scene.run(Duration::from_secs(30));
    let kept = scene.node.saved(scene.now).nodes;
    assert!(kept.len() <= SAVED_NODES_MAX && kept.len() >= 100, "{}", kept.len());
    assert!((scene.answers)(kept[0].addr), "who answered comes first");
    let mut unique = kept.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), kept.len());
    let is_silent = |node: &&NodeInfo| scene.asked.contains(&node.addr) && !(scene.answers)(node.addr);
    let (mut forgotten, mut unasked) = (0, 0);
    for node in &saved.nodes {
        forgotten += usize::from(is_silent(&node) && !kept.contains(node));
        unasked += usize::from(!scene.asked.contains(&node.addr) && kept.contains(node));
    }
    assert!(forgotten >= 5 && unasked >= 100, "{forgotten} forgotten, {unasked} not asked");
}

#[test]
fn strangers_leave_places_for_those_whom_we_know() {
    let mut scene = Scene::new(DhtConfig { ipv6: false, ..DhtConfig::default() });
    (0..6).for_each(|n| scene.tell(DhtInput::Node(v4(n))));
    scene.run(Duration::from_secs(10));
    scene.answers = |addr| (0..6).any(|n| addr == v4(n));
    let own = scene.node.id(Family::V4);
    let end = scene.now + Duration::from_secs(40 * 60);
    let mut forged = 0_u32;
    while scene.now < end {
        // Ids near ours, of addresses where nobody is: each is wanted.
        let mut id = own;
        id.0[15..19].copy_from_slice(&forged.to_be_bytes());
        forged += 1;
        let from = SocketAddr::from(((100_u32 << 24 | forged << 9 | 1).to_be_bytes(), 1_000));
        let body = Body::Query { id, query: Query::Ping };
        let ping = Message { transaction: b"f", version: None, ip: None, read_only: false, body }.encode();
        scene.tell(DhtInput::Datagram { from, payload: ping.into() });
        scene.run(Duration::from_millis(100));
    }
    let status = scene.node.status(scene.now).ipv4.expect("on");
    assert_eq!((status.nodes, status.good), (6, 6));
}

/// As good as the same id.
fn beside(mut id: NodeId, n: u8) -> NodeId {
    id.0[19] ^= n;
    id
}

/// Of those that answer pings, half know the way; one names nobody, and one only such as are closer than anybody can be.
#[test]
fn only_who_knows_the_way_has_a_place_where_many_are_known() {
    let mut scene = Scene::new(DhtConfig { ipv6: false, ..DhtConfig::default() });
    scene.names = |addr, target| match addr.ip().to_string().split('.').nth(1) {
        Some("100") => Vec::new(),
        Some("101") => (0..8).map(|n| NodeInfo { id: beside(target, n), addr: v4(200 + n) }).collect(),
        _ => (0..8).map(|n| NodeInfo { id: id_of(v4(n)), addr: v4(n) }).collect(),
    };
    for n in (0..12).chain(100..102) {
        scene.tell(DhtInput::Node(v4(n)));
        scene.run(Duration::from_secs(1));
    }
    let listed = |scene: &Scene, n: u8| scene.node.nodes().any(|(node, _)| node.addr == v4(n));
    assert!((0..8).all(|n| listed(&scene, n)) && (8..12).any(|n| listed(&scene, n)), "{:?}", scene.known());
    assert!(!listed(&scene, 100) && !listed(&scene, 101), "who names nobody, or invents whom it names");
    // And whatever it says, it is not asked again at once.
    let asked = |scene: &Scene| scene.asked.iter().filter(|to| **to == v4(100)).count();
    let before = asked(&scene);
    for _ in 0..20 {
        let body = Body::Query { id: id_of(v4(100)), query: Query::Ping };
        let ping = Message { transaction: b"p", version: None, ip: None, read_only: false, body }.encode();
        scene.tell(DhtInput::Datagram { from: v4(100), payload: ping.into() });
        scene.run(Duration::from_secs(1));
    }
    assert_eq!((before, asked(&scene)), (2, 2), "once whether it is there, and once whom it knows");
    // Who knows few takes anybody: the network may be no larger.
    let mut scene = Scene::new(DhtConfig { ipv6: false, ..DhtConfig::default() });
    (100..105).for_each(|n| scene.tell(DhtInput::Node(v4(n))));
    assert_eq!(scene.known(), [5, 0]);
}

#[test]
fn who_is_another_than_it_was_named_has_no_place_on_that_word() {
    let mut scene = Scene::new(DhtConfig { ipv6: false, ..DhtConfig::default() });
    // Each names a node that is there, under an id that is not its own.
    scene.names = |_, _| vec![NodeInfo { id: NodeId([0x5a; 20]), addr: v4(50) }];
    (0..4).for_each(|n| scene.tell(DhtInput::Node(v4(n))));
    scene.tell(DhtInput::Track(TORRENT, Tracked { announce_port: Some(1), is_seed: false }));
    scene.run(Duration::from_secs(30));
    assert!(scene.asked.contains(&v4(50)));
    assert!(scene.node.nodes().all(|(node, _)| node.addr != v4(50)));
}

/// Whoever finds out its address becomes somebody else (BEP 42), and says so by asking us something.
#[test]
fn who_speaks_under_another_id_is_asked_who_it_is() {
    const RENAMED: NodeId = NodeId([0xa5; 20]);
    let mut scene = Scene::new(DhtConfig { ipv6: false, ..DhtConfig::default() });
    // A dozen, so that none has a place for want of others.
    scene.names = |_, _| (0..12).map(|n| NodeInfo { id: id_of(v4(n)), addr: v4(n) }).collect();
    (0..12).for_each(|n| scene.tell(DhtInput::Node(v4(n))));
    scene.run(Duration::from_secs(10));
    let listed = |scene: &Scene| {
        let ids = scene.node.nodes().filter(|(node, _)| node.addr == v4(3)).map(|(node, _)| node.id);
        ids.collect::<Vec<_>>()
    };
    let speaks = |scene: &mut Scene| {
        let before = scene.asked.len();
        let body = Body::Query { id: RENAMED, query: Query::Ping };
        let ping = Message { transaction: b"p", version: None, ip: None, read_only: false, body }.encode();
        scene.tell(DhtInput::Datagram { from: v4(3), payload: ping.into() });
        scene.asked[before..].iter().filter(|to| **to == v4(3)).count()
    };
    assert_eq!(listed(&scene), [id_of(v4(3))]);
    // Somebody forged its address: it is still who it was, and is not asked for every such word.
    assert_eq!((0..40).map(|_| speaks(&mut scene)).sum::<usize>(), 1);
    assert_eq!(listed(&scene), [id_of(v4(3))]);
    scene.run(Duration::from_secs(61));
    scene.ids = |addr| if addr == v4(3) { RENAMED } else { id_of(addr) };
    assert!(speaks(&mut scene) >= 1);
    assert_eq!(listed(&scene), [RENAMED]);
}

/// Strangers have had all that answers may cost just then: that nothing was asked does not count as having asked.
#[test]
fn who_speaks_under_another_id_while_nothing_can_be_paid_for_is_asked_the_next_time() {
    let ping = |id: NodeId, read_only: bool| {
        let body = Body::Query { id, query: Query::Ping };
        Message { transaction: b"p", version: None, ip: None, read_only, body }.encode()
    };
    let mut scene = Scene::new(DhtConfig { ipv6: false, ..DhtConfig::default() });
    (0..8).for_each(|n| scene.tell(DhtInput::Node(v4(n))));
    scene.run(Duration::from_secs(10));
    assert_eq!(scene.known(), [8, 0]);
    let speaks = |scene: &mut Scene| {
        let before = scene.asked.len();
        scene.tell(DhtInput::Datagram { from: v4(3), payload: ping(NodeId([0xa5; 20]), false).into() });
        scene.asked[before..].contains(&v4(3))
    };
    for n in 0..2_000_u32 {
        let from = SocketAddr::from(((100_u32 << 24 | n << 9 | 1).to_be_bytes(), 1_000));
        scene.tell(DhtInput::Datagram { from, payload: ping(id_of(from), true).into() });
    }
    assert!(!speaks(&mut scene), "there is nothing to pay it with");
    scene.run(Duration::from_secs(6));
    assert!(speaks(&mut scene), "it was not asked before");
}

/// Who we are, whose id is of the address that others see.
fn own() -> NodeId {
    NodeId::of_address(v4(250).ip(), &mut Rng::new(1))
}

#[test]
fn to_name_only_us_is_to_name_nobody() {
    let honest = |_, _| nodes_of(0..8);
    let our_id = |_, _| vec![NodeInfo { id: own(), addr: v4(230) }];
    let our_address = |_, _| vec![NodeInfo { id: id_of(v4(250)), addr: v4(250) }];
    let is_listed = |names: fn(SocketAddr, NodeId) -> Vec<NodeInfo>| {
        let saved = DhtSaved { ipv4_id: Some(own()), ..DhtSaved::default() };
        let config = DhtConfig { ipv6: false, saved: Some(saved), ..DhtConfig::default() };
        let mut scene = Scene::new(config);
        scene.tell(DhtInput::ExternalAddress(v4(250).ip()));
        assert_eq!(scene.node.id(Family::V4), own());
        scene.names = honest;
        (0..12).for_each(|n| scene.tell(DhtInput::Node(v4(n))));
        scene.run(Duration::from_secs(10));
        assert!(scene.known()[0] >= 8);
        scene.names = names;
        scene.tell(DhtInput::Node(v4(100)));
        scene.node.nodes().any(|(node, _)| node.addr == v4(100))
    };
    assert!(is_listed(honest));
    assert!(!is_listed(our_id) && !is_listed(our_address));
}

fn nodes_of(numbers: Range<u8>) -> Vec<NodeInfo> {
    numbers.map(|n| NodeInfo { id: id_of(v4(n)), addr: v4(n) }).collect()
}

/// Eight are known far from the torrent; eight beside it, and only these know another eight.
fn neighbours(by: SocketAddr, target: NodeId) -> Vec<NodeInfo> {
    let is_beside = (60..68).any(|n| by == v4(n));
    nodes_of(match (target == TORRENT.into(), is_beside) {
        (false, _) => 0..8,
        (true, false) => 60..68,
        (true, true) => 70..78,
    })
}

/// And they name two that live closer to it than anybody else can be, and name each other.
fn neighbours_and_placed(by: SocketAddr, target: NodeId) -> Vec<NodeInfo> {
    let placed = (1..=2).map(|n| NodeInfo { id: beside(target, n), addr: v4(200 + n) });
    match [201, 202].iter().any(|n| by == v4(*n)) {
        true => placed.collect(),
        false if target == TORRENT.into() => neighbours(by, target).into_iter().chain(placed).collect(),
        false => neighbours(by, target),
    }
}

/// What is looked for is known to all, so that somebody may place two nodes beside it: those who name them are honest.
#[test]
fn two_that_were_placed_beside_a_torrent_hide_none_of_its_neighbours() {
    let peer = SocketAddr::from(([90, 1, 1, 1], 5_000));
    let look_up = |names: fn(SocketAddr, NodeId) -> Vec<NodeInfo>| {
        let mut scene = Scene::new(DhtConfig { ipv6: false, ..DhtConfig::default() });
        scene.names = names;
        // Only who is not known from elsewhere has it.
        scene.peers = |to| (70..78).any(|n| to == v4(n)).then_some(SocketAddr::from(([90, 1, 1, 1], 5_000)));
        scene.ids = |addr| match [1, 2].into_iter().find(|n| addr == v4(200 + n)) {
            Some(n) => beside(TORRENT.into(), n),
            None => id_of(addr),
        };
        (0..8).for_each(|n| scene.tell(DhtInput::Node(v4(n))));
        scene.run(Duration::from_secs(10));
        assert_eq!(scene.known(), [8, 0]);
        scene.tell(DhtInput::Track(TORRENT, Tracked { announce_port: Some(1), is_seed: false }));
        scene.run(Duration::from_secs(30));
        let nodes = scene.node.nodes().map(|(node, _)| node.addr);
        let mut listed: Vec<SocketAddr> = nodes.filter(|addr| (60..78).any(|n| *addr == v4(n))).collect();
        listed.sort_unstable();
        (scene.found, listed)
    };
    let (found, listed) = look_up(neighbours);
    assert!(found == [peer] && listed.len() >= 2, "{found:?} {listed:?}");
    assert_eq!(look_up(neighbours_and_placed), (found, listed), "nobody is hidden, and nobody loses a place");
}
