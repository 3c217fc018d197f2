//! What peers hear of our choker on the wire.

use std::collections::BTreeMap;

use super::*;

/// The time between two rounds of the choker.
const ROUND: Duration = Duration::from_secs(10);

/// How often anybody was choked or unchoked; nobody twice within a round.
fn flips(world: &World) -> usize {
    let mut last: BTreeMap<(usize, PeerKey), (Instant, bool)> = BTreeMap::new();
    for &(at, number, key, choked) in &world.chokes_heard {
        if let Some((before, was_choked)) = last.insert((number, key), (at, choked)) {
            assert_ne!(was_choked, choked, "{number} {key:?} heard news");
            let between = at.since(before) + STEP * 2;
            assert!(between >= ROUND, "{number} {key:?} heard two changes within {between:?}");
        }
    }
    world.chokes_heard.len()
}

#[test]
fn nobody_is_choked_or_unchoked_twice_within_ten_seconds() {
    let uplinks = [20_000, 40_000, 80_000, 160_000];
    let leechers = || (0..9).map(|number| leecher(uplinks[number % 4]));
    let super_seed = || Member { super_seeds: true, ..seeder(100_000) };
    let swarms: [Vec<Member>; 3] = [
        leechers().chain([seeder(100_000)]).collect(),
        leechers().chain([seeder(100_000), seeder(60_000)]).collect(),
        leechers().chain([super_seed()]).collect(),
    ];
    for (number, members) in swarms.into_iter().enumerate() {
        let mut world = World::new(geometry(6_000_000, 65_536), 7, &members);
        world.run_until(40, World::all_complete);
        let count = flips(&world);
        assert!(count > 30, "swarm {number}: {count} changes were heard");
    }
}
