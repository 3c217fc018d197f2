//! Super-seeding (BEP 16) over the wire: what leechers hear, what is sent, and how it ends.

use potluck_common::control::EventKind;

use super::{Member, World, geometry, leecher, seeder};
use crate::PeerKey;

const TOTAL: u64 = 4_000_000;

fn super_seeder(uplink: u64) -> Member {
    Member { super_seeds: true, ..seeder(uplink) }
}

fn world(leechers: usize, uplink: u64) -> World {
    let mut members = vec![super_seeder(uplink)];
    members.extend((0..leechers).map(|_| leecher(500_000)));
    World::new(geometry(TOTAL, 131_072), 3, &members)
}

fn ends(world: &World) -> Vec<(String, u64)> {
    let ends = world.nodes[0].events.iter().filter_map(|event| match event {
        EventKind::SuperSeedEnded { why, uploaded } => Some((why.to_string(), *uploaded)),
        _ => None,
    });
    ends.collect()
}

/// What the leecher `number` heard of the pieces of member 0.
fn heard(world: &World, number: usize) -> u32 {
    let connections = world.nodes[number].connections.values();
    let of_seed = connections.filter(|connection| connection.remote.0 == 0);
    of_seed.map(|connection| connection.session.remote_pieces().count()).max().unwrap_or(0)
}

#[test]
fn every_piece_is_sent_once_to_whatever_number_of_leechers() {
    for leechers in [1, 2, 3, 6] {
        let mut world = world(leechers, 500_000);
        assert!(world.run_until(200, World::all_complete), "{leechers} leechers");
        world.run_until(1, |_| false);
        let copies = |bytes: u64| bytes as f64 / TOTAL as f64;
        // A sole leecher was shown all, one by one, takes us for a seed and parts: it ends when somebody stays.
        let ends = ends(&world);
        assert_eq!(ends.len(), usize::from(leechers > 1), "it ends once: {ends:?}");
        for (_, uploaded) in ends {
            assert!(copies(uploaded) < 1.05, "{leechers} leechers: {:.3} copies by then", copies(uploaded));
        }
        let now = world.now;
        let all = copies(world.nodes[0].torrent.snapshot(now).uploaded);
        assert!(all < 1.3, "{leechers} leechers: {all:.3} copies in all");
        for number in 1..=leechers {
            world.assert_byte_exact(number);
        }
    }
}

#[test]
fn it_takes_no_longer_than_usual_seeding() {
    for leechers in [1, 4] {
        let seconds = |super_seeds| {
            let mut members = vec![Member { super_seeds, ..seeder(400_000) }];
            members.extend((0..leechers).map(|_| leecher(500_000)));
            let mut world = World::new(geometry(TOTAL, 131_072), 3, &members);
            let begun = world.now;
            assert!(world.run_until(300, World::all_complete), "{leechers} leechers");
            world.now.since(begun).as_secs_f64()
        };
        let (usual, supers) = (seconds(false), seconds(true));
        assert!(supers < usual * 1.1, "{leechers} leechers: {supers:.1} s, and usually {usual:.1} s");
    }
}

#[test]
fn leechers_hear_of_a_few_pieces_and_take_it_for_no_seed() {
    let mut world = world(3, 300_000);
    let mut most = 0;
    while world.nodes[0].torrent.is_super_seeding() {
        world.step();
        for number in 1..4 {
            let unknown = |key: &&PeerKey| world.nodes[number].connections[*key].remote.0 == 0;
            let Some(key) = world.nodes[number].connections.keys().find(unknown) else { continue };
            let session = &world.nodes[number].connections[key].session;
            let news = session.remote_pieces().count_difference(world.nodes[number].torrent.have());
            most = most.max(news);
        }
        let now = world.now;
        let snapshot = world.nodes[1].torrent.snapshot(now);
        let address = world.nodes[0].address;
        let seed = snapshot.detail.peers.iter().find(|peer| peer.address.ip() == address.ip());
        assert!(seed.is_none_or(|seed| !seed.is_seed || !world.nodes[0].torrent.is_super_seeding()));
    }
    assert!((2..=6).contains(&most), "{most} pieces that it lacks were shown to one at a time");
    let hears_of_all = |world: &World| heard(world, 1) == world.geometry.pieces();
    assert!(world.run_until(1, hears_of_all), "in the end everybody hears of all");
}

#[test]
fn another_seed_ends_it_and_both_part() {
    let mut world =
        World::new(geometry(TOTAL, 131_072), 3, &[super_seeder(100_000), seeder(400_000), leecher(400_000)]);
    assert!(world.run_until(100, World::all_complete));
    assert!(world.nodes[0].torrent.is_super_seeding(), "it doubts for a while");
    let is_there =
        |world: &World| world.nodes[0].connections.values().any(|connection| connection.remote.0 == 1);
    assert!(is_there(&world));
    assert!(world.run_until(200, |world| !world.nodes[0].torrent.is_super_seeding()));
    assert_eq!(ends(&world)[0].0, "there is another seed");
    assert!(world.run_until(5, |world| !is_there(world)));
}

#[test]
fn only_a_complete_torrent_super_seeds() {
    let members = [Member { super_seeds: true, ..leecher(1) }, Member { super_seeds: true, ..seeder(1) }];
    let world = World::new(geometry(TOTAL, 131_072), 3, &members);
    assert!(!world.nodes[0].torrent.is_super_seeding());
    assert!(world.nodes[1].torrent.is_super_seeding());
}
