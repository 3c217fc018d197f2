//! What a network of nodes does.

use std::net::SocketAddr;

use potluck_common::{Duration, InfoHash, announce::Family};

use super::world::World;
use crate::dht::{DhtConfig, DhtInput, DhtSaved, DhtState, LookupId, Tracked};

const TORRENT: InfoHash = InfoHash([0x5a; 20]);

fn seed_on(port: u16) -> Tracked {
    Tracked { announce_port: Some(port), is_seed: true }
}

const LEECHER: Tracked = Tracked { announce_port: None, is_seed: false };

#[test]
fn nodes_join_and_take_ids_of_their_addresses() {
    let mut world = World::with_nodes(1, 40);
    world.run(Duration::from_secs(60));
    assert_eq!(world.joined(), 40);
    for addr in world.addrs() {
        let node = world.node(addr);
        assert!(node.id(Family::V4).complies_with(addr.ip()), "{addr}");
        assert_eq!(node.status(world.now).ipv4.expect("on").external, Some(addr.ip()));
        assert!(node.status(world.now).nodes() >= 16, "{addr}: {:?}", node.status(world.now));
    }
}

#[test]
fn who_announces_is_found() {
    let mut world = World::with_nodes(2, 40);
    world.run(Duration::from_secs(60));
    let (seed, leecher, asker) = (World::addr(7), World::addr(23), World::addr(31));
    world.tell(seed, DhtInput::Track(TORRENT, seed_on(5_000)));
    world.run(Duration::from_secs(20));
    let (reports, _) = world.heard(seed, TORRENT);
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].announced_to, 8, "{:?}", reports[0]);
    let listens = SocketAddr::new(seed.ip(), 5_000);
    world.tell(leecher, DhtInput::Track(TORRENT, LEECHER));
    world.tell(asker, DhtInput::Lookup(LookupId(9), TORRENT));
    world.run(Duration::from_secs(20));
    for addr in [leecher, asker] {
        let (reports, peers) = world.heard(addr, TORRENT);
        assert_eq!(peers, [listens], "each peer is named once");
        assert!(reports[0].peers == 1 && reports[0].rounds <= 4 && reports[0].announced_to == 0);
    }
    // Announced again in time: an hour later it is still there.
    world.run(Duration::from_secs(3_600));
    let (reports, _) = world.heard(seed, TORRENT);
    assert!((3..=5).contains(&reports.len()), "{} announces in an hour", reports.len());
    world.tell(asker, DhtInput::Lookup(LookupId(10), TORRENT));
    world.run(Duration::from_secs(20));
    assert_eq!(world.heard(asker, TORRENT).1, [listens, listens]);
    // And no longer, an hour after it has ended.
    world.tell(seed, DhtInput::Untrack(TORRENT));
    world.run(Duration::from_secs(3_600));
    world.tell(World::addr(12), DhtInput::Lookup(LookupId(11), TORRENT));
    world.run(Duration::from_secs(20));
    assert_eq!(world.heard(World::addr(12), TORRENT).1, []);
}

#[test]
fn the_network_outlives_its_bootstrap_and_a_node_its_own_end() {
    let mut world = World::with_nodes(3, 20);
    world.run(Duration::from_secs(60));
    world.remove(World::addr(0));
    world.run(Duration::from_secs(3_600));
    assert_eq!(world.joined(), 19);
    // A node comes back with what it kept, and nobody else to ask.
    let back = World::addr(5);
    let saved = world.node(back).saved(world.now);
    let id = world.node(back).id(Family::V4);
    assert_eq!(DhtSaved::decode(&saved.encode()).as_ref(), Some(&saved));
    world.remove(back);
    world.run(Duration::from_secs(600));
    world.add(back, DhtConfig { saved: Some(saved), ipv6: false, ..DhtConfig::default() });
    world.run(Duration::from_secs(30));
    assert_eq!(world.joined(), 19);
    assert_eq!(world.node(back).id(Family::V4), id);
}

#[test]
fn who_has_nobody_to_ask_waits_in_words_and_joins_when_somebody_comes() {
    let mut world = World::with_nodes(4, 10);
    let lonely = World::addr(100);
    world.add(lonely, DhtConfig { ipv6: false, ..DhtConfig::default() });
    world.run(Duration::from_secs(30));
    assert_eq!(world.node(lonely).status(world.now).state, DhtState::NoNodes);
    world.tell(lonely, DhtInput::Bootstrap(vec![World::addr(200)]));
    world.run(Duration::from_secs(30));
    let state = world.node(lonely).status(world.now).state;
    assert!(matches!(state, DhtState::Alone { .. }), "{state:?}");
    assert_eq!(state.to_string(), "no DHT node answers");
    world.tell(lonely, DhtInput::Node(World::addr(3)));
    world.run(Duration::from_secs(30));
    assert!(world.node(lonely).status(world.now).nodes() >= 8);
}

#[test]
fn who_was_silent_at_first_is_asked_again() {
    let mut world = World::new(14);
    let [first, late, other, told] = [0, 1, 2, 3].map(World::addr);
    world.add(first, DhtConfig { ipv6: false, ..DhtConfig::default() });
    let bootstrap = vec![first, late];
    world.add(other, DhtConfig { bootstrap: bootstrap.clone(), ipv6: false, ..DhtConfig::default() });
    world.add(told, DhtConfig { bootstrap, ipv6: false, ..DhtConfig::default() });
    world.run(Duration::from_secs(30));
    // Nobody but those whom it was chosen for can know of it.
    world.add(late, DhtConfig { ipv6: false, ..DhtConfig::default() });
    world.run(Duration::from_secs(60));
    world.tell(told, DhtInput::Node(late));
    world.run(Duration::from_secs(5));
    assert!(world.node(told).nodes().any(|(node, _)| node.addr == late), "a word of it is enough");
    world.remove(told);
    world.run(Duration::from_secs(12 * 60));
    assert!(world.node(other).nodes().any(|(node, _)| node.addr == late));
    world.remove(first);
    world.run(Duration::from_secs(3_600));
    assert!(matches!(world.node(other).status(world.now).state, DhtState::Joined { .. }));
}

/// A lab with a bootstrap node: whoever is first has nobody to tell of, and who looks comes before who announces.
#[test]
fn a_network_that_starts_at_once_needs_no_minute() {
    for seed in 20..40 {
        let mut world = World::new(seed);
        for n in 0..6 {
            let bootstrap = if n == 0 { Vec::new() } else { vec![World::addr(0)] };
            world.add(World::addr(n), DhtConfig { bootstrap, ipv6: false, ..DhtConfig::default() });
        }
        let (seeder, leecher) = (World::addr(2), World::addr(4));
        world.tell(leecher, DhtInput::Track(TORRENT, LEECHER));
        world.tell(seeder, DhtInput::Track(TORRENT, seed_on(5_000)));
        world.run(Duration::from_secs(25));
        for addr in world.addrs() {
            assert_eq!(world.node(addr).status(world.now).nodes(), 5, "{addr}, seed {seed}");
        }
        let (reports, found) = world.heard(leecher, TORRENT);
        assert!(found.contains(&SocketAddr::new(seeder.ip(), 5_000)), "seed {seed}: {reports:?}");
        // While they stay so few they are asked ever less often.
        let vain = World::addr(3);
        world.tell(vain, DhtInput::Track(InfoHash([9; 20]), LEECHER));
        world.run(Duration::from_secs(3_600));
        let searches = world.heard(vain, InfoHash([9; 20])).0.len();
        assert!((8..=12).contains(&searches), "{searches} searches in an hour");
    }
}

#[test]
fn read_only_nodes_are_in_no_table_and_find_peers_all_the_same() {
    let mut world = World::with_nodes(5, 20);
    let mobile = World::addr(50);
    let bootstrap = vec![World::addr(1)];
    world.add(mobile, DhtConfig { bootstrap, read_only: true, ipv6: false, ..DhtConfig::default() });
    world.tell(World::addr(4), DhtInput::Track(TORRENT, seed_on(1)));
    world.run(Duration::from_secs(60));
    world.tell(mobile, DhtInput::Lookup(LookupId(1), TORRENT));
    world.run(Duration::from_secs(30));
    assert_eq!(world.heard(mobile, TORRENT).1.len(), 1);
    for addr in world.addrs() {
        assert!(world.node(addr).nodes().all(|(node, _)| node.addr != mobile), "{addr} knows it");
    }
}

#[test]
fn thousands_of_torrents_are_spread_over_time_and_hurry_is_bounded() {
    let mut world = World::with_nodes(6, 12);
    world.run(Duration::from_secs(30));
    let busy = World::addr(3);
    let torrent = |n: u16| {
        let mut info_hash = [7; 20];
        info_hash[..2].copy_from_slice(&(n.wrapping_mul(40_503)).to_be_bytes());
        InfoHash(info_hash)
    };
    for n in 0..400 {
        world.tell(busy, DhtInput::Track(torrent(n), seed_on(1)));
    }
    world.run(Duration::from_secs(10 * 60));
    let searched = (0..400).filter(|n| !world.heard(busy, torrent(*n)).0.is_empty()).count();
    assert_eq!(searched, 400);
    // Whoever is in need goes first, and not again and again.
    let before = world.heard(busy, torrent(200)).0.len();
    for _ in 0..600 {
        world.tell(busy, DhtInput::Hurry(torrent(200)));
        world.run(Duration::from_secs(1));
    }
    let hurried = world.heard(busy, torrent(200)).0.len() - before;
    assert!((2..=5).contains(&hurried), "{hurried} searches in ten minutes");
    let status = world.node(busy).tracked(&torrent(200)).expect("tracked");
    assert!(status.last.is_some() && status.next_at > world.now - Duration::from_secs(60));
}

#[test]
fn hurried_searches_flood_nobody_in_a_small_network() {
    let mut world = World::with_nodes(16, 3);
    world.run(Duration::from_secs(60));
    let busy = World::addr(2);
    let torrent = |n: u16| {
        let mut info_hash = [7; 20];
        info_hash[..2].copy_from_slice(&(n.wrapping_mul(40_503)).to_be_bytes());
        InfoHash(info_hash)
    };
    // Others keep 200 of one host.
    for n in 0..190 {
        world.tell(busy, DhtInput::Track(torrent(n), seed_on(1)));
        world.tell(busy, DhtInput::Hurry(torrent(n)));
    }
    world.run(Duration::from_secs(8 * 60));
    for n in 0..190 {
        let (reports, _) = world.heard(busy, torrent(n));
        assert!(
            !reports.is_empty() && reports.iter().all(|report| report.announced_to == 2),
            "{n}: {reports:?}"
        );
    }
}

#[test]
fn each_family_is_a_network_of_its_own() {
    let mut world = World::new(7);
    let v6 = |n: u32| SocketAddr::from(([0x2606, n as u16 + 1, 0, 0, 0, 0, 0, 1], 6881));
    let (mut v4_only, mut v6_only) = (Vec::new(), Vec::new());
    for n in 0..10 {
        let config = |first: SocketAddr, own: SocketAddr| DhtConfig {
            ipv4: own.is_ipv4(),
            ipv6: own.is_ipv6(),
            bootstrap: if own == first { Vec::new() } else { vec![first] },
            ..DhtConfig::default()
        };
        world.add(World::addr(n), config(World::addr(0), World::addr(n)));
        world.add(v6(n), config(v6(0), v6(n)));
        v4_only.push(World::addr(n));
        v6_only.push(v6(n));
        world.run(Duration::from_secs(1));
    }
    world.run(Duration::from_secs(60));
    assert_eq!(world.joined(), 20);
    world.tell(v6_only[3], DhtInput::Track(TORRENT, seed_on(9)));
    world.run(Duration::from_secs(20));
    world.tell(v6_only[8], DhtInput::Lookup(LookupId(1), TORRENT));
    world.tell(v4_only[8], DhtInput::Lookup(LookupId(1), TORRENT));
    world.run(Duration::from_secs(20));
    assert_eq!(world.heard(v6_only[8], TORRENT).1, [SocketAddr::new(v6_only[3].ip(), 9)]);
    assert_eq!(world.heard(v4_only[8], TORRENT).1, []);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let trace = |seed: u64| {
        let mut world = World::with_nodes(seed, 15);
        world.tell(World::addr(2), DhtInput::Track(TORRENT, seed_on(5)));
        world.run(Duration::from_secs(1_800));
        let tables: Vec<_> =
            world.addrs().iter().map(|addr| world.node(*addr).nodes().collect::<Vec<_>>()).collect();
        (format!("{:?}", world.said), tables)
    };
    assert_eq!(trace(8), trace(8));
    assert_ne!(trace(8).1, trace(9).1);
}
