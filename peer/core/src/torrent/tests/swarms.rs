//! Whole swarms: all arrives byte-exact, poisoners are banned, and the same seed gives the same trace.

use super::*;

#[test]
fn any_geometry_arrives_byte_exact() {
    for (total, piece_length) in [
        (1, 16_384),
        (16_384, 16_384),
        (100_000, 40_960),
        (1_000_001, 65_536),
        (300_000, 1_000),
        (70_000, 7),
        (500_000, 262_144),
    ] {
        let mut world =
            World::new(geometry(total, piece_length), 1, &[seeder(4_000_000), leecher(1_000_000)]);
        assert!(world.run_until(120, World::all_complete), "{total} in pieces of {piece_length}");
        world.assert_byte_exact(1);
    }
}

#[test]
fn a_slow_seeder_sends_little_more_than_one_copy_to_five_leechers() {
    let total = 12_000_000;
    let members = [
        seeder(500_000),
        leecher(500_000),
        leecher(500_000),
        leecher(500_000),
        leecher(500_000),
        leecher(500_000),
    ];
    let mut world = World::new(geometry(total, 131_072), 3, &members);
    assert!(world.run_until(200, World::all_complete));
    let now = world.now;
    let copies = world.nodes[0].torrent.snapshot(now).uploaded as f64 / total as f64;
    assert!(copies < 1.5, "the seeder sent {copies:.2} copies");
    for number in 1..6 {
        world.assert_byte_exact(number);
        let wasted = world.nodes[number].torrent.snapshot(now).wasted as f64 / total as f64;
        assert!(wasted < 0.03, "leecher {number} wasted {wasted:.3} of a copy");
    }
}

#[test]
fn a_poisoner_is_banned_and_the_honest_never() {
    for seed in 0..10 {
        let members =
            [seeder(400_000), seeder(400_000), leecher(400_000), leecher(400_000), poisoner(800_000)];
        let mut world = World::new(geometry(4_000_000, 65_536), seed, &members);
        let honest_done = |world: &World| (0..4).all(|number| world.nodes[number].torrent.is_complete());
        assert!(world.run_until(300, honest_done), "seed {seed}");
        for number in 2..4 {
            world.assert_byte_exact(number);
            let failures = world.nodes[number].torrent.snapshot(world.now).hash_failures;
            assert!(failures <= 5 + 8, "seed {seed}: {failures} failures at {number}");
            for event in &world.nodes[number].events {
                if let EventKind::PeerBanned { peer, .. } = event {
                    assert_eq!(
                        peer.ip(),
                        world.nodes[4].address.ip(),
                        "seed {seed}: only the poisoner may be banned"
                    );
                }
            }
        }
    }
}

#[test]
fn a_lone_poisoner_is_banned_within_five_bad_pieces() {
    let mut world = World::new(geometry(4_000_000, 65_536), 1, &[poisoner(1_000_000), leecher(400_000)]);
    let banned = |world: &World| {
        world.nodes[1].events.iter().any(|event| matches!(event, EventKind::PeerBanned { .. }))
    };
    assert!(world.run_until(60, banned));
    assert!(world.nodes[1].torrent.snapshot(world.now).hash_failures <= 5);
    assert!(!world.run_until(30, |world| !world.nodes[1].disk.is_empty()), "nothing bad was written");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let digest = |seed| {
        let mut world = World::new(
            geometry(2_000_000, 65_536),
            seed,
            &[seeder(300_000), leecher(300_000), leecher(300_000)],
        );
        assert!(world.run_until(100, World::all_complete));
        sha1(&world.trace)
    };
    assert_eq!(digest(5), digest(5));
    assert_ne!(digest(5), digest(6));
}

#[test]
fn stopping_ends_every_connection_and_then_the_machine() {
    let mut world = World::new(geometry(4_000_000, 65_536), 1, &[seeder(100_000), leecher(100_000)]);
    assert!(!world.run_until(5, World::all_complete));
    let now = world.now;
    world.nodes[1].torrent.handle(now, Input::Stop);
    assert!(world.run_until(2, |world| world.nodes[1].finished));
    assert!(world.nodes[1].connections.is_empty());
    assert_eq!(world.nodes[1].torrent.snapshot(now).state, TorrentState::Stopped);
}

#[test]
fn a_stall_is_explained() {
    let mut world = World::new(geometry(4_000_000, 65_536), 1, &[leecher(100_000), leecher(100_000)]);
    world.run_until(10, |_| false);
    let now = world.now;
    let stall = world.nodes[0].torrent.snapshot(now).summary.stall.expect("nothing moves");
    assert_eq!(stall.as_str(), "the one connected peer has none of the 62 pieces we lack");
}
