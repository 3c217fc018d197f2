//! Pools in virtual time, over uplinks and crowds that are simple enough to know the right answer.

use potluck_common::Rng;
use proptest::prelude::*;

use super::*;

const ALONE: TorrentId = TorrentId(1);

fn demand(seeding: bool, wanting: u32, taken: u32, slowest: u64) -> Demand {
    Demand { seeding, wanting, taken: taken.min(wanting), slowest_bytes_per_second: Some(slowest) }
}

/// A session whose peers each take what their own downlink lets them.
struct World {
    pool: SlotPool,
    now: Instant,
    sent: u64,
    /// What the network carries, in bytes per second.
    uplink: u64,
    crowds: BTreeMap<TorrentId, Crowd>,
    largest: u32,
    /// How much of what is sent comes and goes by chance, in hundredths.
    noise: Option<(Rng, u32)>,
}

#[derive(Clone, Copy, Debug)]
struct Crowd {
    seeding: bool,
    wanting: u32,
    /// Of each peer, in bytes per second.
    downlink: u64,
    slots: u32,
}

impl World {
    fn new(limit: Option<u64>, uplink: u64) -> Self {
        let pool = SlotPool::new(limit);
        let crowds = BTreeMap::new();
        Self { pool, now: Instant::from_secs(7), sent: 0, uplink, crowds, largest: 0, noise: None }
    }

    fn crowd(&mut self, id: u64, seeding: bool, wanting: u32, downlink: u64) {
        let crowd = Crowd { seeding, wanting, downlink, slots: SLOTS_PER_TORRENT };
        self.crowds.insert(TorrentId(id), crowd);
    }

    fn rounds(&mut self, rounds: u32) {
        for _ in 0..rounds {
            let taken: u64 =
                self.crowds.values().map(|crowd| u64::from(crowd.slots.min(crowd.wanting))).sum();
            let offered: u64 = (self.crowds.values())
                .map(|crowd| u64::from(crowd.slots.min(crowd.wanting)) * crowd.downlink)
                .sum();
            let rate = offered.min(self.uplink);
            for (id, crowd) in self.crowds.clone() {
                let slowest = crowd.downlink.min(rate / taken.max(1));
                let demand = demand(crowd.seeding, crowd.wanting, crowd.slots, slowest);
                self.pool.report(self.now, id, demand, None);
                self.follow();
            }
            self.now += ROUND;
            let percent =
                self.noise.as_mut().map_or(100, |(rng, most)| 100 - *most + rng.below(2 * *most + 1));
            self.sent += rate / 10 * u64::from(percent);
            self.pool.handle_timeout(self.now, self.sent);
            self.follow();
        }
    }

    fn follow(&mut self) {
        self.pool.assert_invariants();
        while let Some((id, slots)) = self.pool.poll_change() {
            self.crowds.get_mut(&id).expect("known").slots = slots;
        }
        self.largest = self.largest.max(self.pool.size());
    }

    fn slots(&self) -> Vec<u32> {
        self.crowds.values().map(|crowd| crowd.slots).collect()
    }
}

#[test]
fn slots_grow_while_the_uplink_has_room_and_somebody_waits() {
    let mut world = World::new(Some(1_000_000), u64::MAX);
    world.crowd(1, true, 60, 50_000);
    world.rounds(2);
    assert_eq!(world.slots(), [5], "two rounds must have room");
    world.rounds(3);
    assert_eq!(world.slots(), [8], "one a round");
    world.rounds(60);
    assert_eq!(world.slots(), [18], "90 % busy");

    let mut nobody_waits = World::new(Some(1_000_000), u64::MAX);
    nobody_waits.crowd(1, true, 5, 50_000);
    nobody_waits.rounds(60);
    assert_eq!(nobody_waits.slots(), [5]);
}

#[test]
fn without_a_limit_it_is_tried_out_what_the_network_carries() {
    // Twenty slow peers fill it.
    let mut world = World::new(None, 1_000_000);
    world.crowd(1, false, 100, 50_000);
    world.rounds(60);
    assert!((19..=21).contains(&world.slots()[0]), "{:?}", world.slots());
    world.rounds(360);
    assert!(world.largest <= 22, "{}", world.largest);
    // The network carries more, and after a while that is found out.
    world.uplink = 1_500_000;
    world.rounds(60);
    assert!((29..=31).contains(&world.slots()[0]), "{:?}", world.slots());

    // One peer fills this one.
    let mut fast = World::new(None, 100_000_000);
    fast.crowd(1, false, 150, 1_000_000_000);
    fast.rounds(720);
    assert!(fast.largest <= 6, "{}", fast.largest);
}

#[test]
fn a_limit_above_what_the_network_carries_is_no_reason_to_grow_for_ever() {
    let mut world = World::new(Some(10_000_000), 1_000_000);
    world.crowd(1, true, 150, 200_000);
    world.rounds(720);
    assert!(world.largest <= 7, "{}", world.largest);
}

#[test]
fn what_comes_and_goes_by_chance_is_not_taken_for_what_a_slot_brings() {
    // Noise in hundredths, slots that fill the uplink, and the most that there are in two hours.
    let cases = [(0, 20, 22), (5, 20, 50), (5, 10, 25), (5, 1, 8), (10, 20, 80), (10, 10, 40), (10, 1, 20)];
    for (noise, needed, most) in cases {
        for seed in 0..5 {
            let mut world = World::new(None, 1_000_000);
            world.noise = Some((Rng::new(seed), noise));
            world.crowd(1, true, 150, 1_000_000 / needed);
            world.rounds(180);
            let slots = u64::from(world.slots()[0]);
            assert!(slots * 5 >= needed * 4, "{noise} % of noise: {slots} slots instead of {needed}");
            world.rounds(540);
            assert!(world.largest <= most, "{noise} % of noise: {} slots instead of {needed}", world.largest);
        }
    }
}

#[test]
fn under_a_limit_noise_keeps_no_slots_away() {
    // Noise in hundredths, slots that fill the limit, and the least of them that there are in the second hour, on average.
    let cases =
        [(0, 100, 90), (2, 100, 80), (5, 100, 80), (10, 100, 80), (5, 20, 17), (10, 20, 17), (10, 190, 140)];
    for (noise, needed, least) in cases {
        for seed in 0..5 {
            let mut world = World::new(Some(needed * 50_000), needed * 50_000);
            world.noise = Some((Rng::new(seed), noise));
            world.crowd(1, true, 300, 50_000);
            world.rounds(360);
            let mut slots = 0;
            for _ in 0..360 {
                world.rounds(1);
                slots += u64::from(world.slots()[0]);
            }
            let mean = slots / 360;
            assert!(mean >= least, "{noise} % of noise: {mean} slots instead of {needed}");
        }
    }
}

#[test]
fn there_is_an_end_to_growth() {
    let mut world = World::new(None, u64::MAX);
    world.crowd(1, true, 10_000, 1_000_000);
    world.rounds(420);
    assert_eq!(world.slots(), [SLOTS_MAX]);
}

#[test]
fn a_slot_that_idles_goes_and_five_stay() {
    let mut world = World::new(Some(1_000_000), u64::MAX);
    world.crowd(1, true, 100, 50_000);
    world.rounds(40);
    assert_eq!(world.slots(), [18]);
    // Most of them go: there are more slots than anybody wants.
    world.crowds.get_mut(&ALONE).expect("there").wanting = 12;
    world.rounds(100);
    assert_eq!(world.slots(), [12]);
    // A slot that carries next to nothing of a full uplink takes it from others.
    world.pool.limit = Some(18_000);
    world.rounds(100);
    assert_eq!(world.slots(), [10], "a block in ten seconds for each");
    world.crowds.get_mut(&ALONE).expect("there").wanting = 3;
    world.rounds(100);
    assert_eq!(world.slots(), [5]);
}

#[test]
fn a_thin_uplink_has_no_more_slots_than_it_keeps_busy() {
    let cases = [(1_u64, 1), (1_638, 1), (4_096, 2), (8_191, 4), (8_192, 5), (1_000_000, 5), (u64::MAX, 5)];
    for (limit, slots) in cases {
        let mut world = World::new(Some(limit), limit);
        world.crowd(1, true, 50, u64::MAX / 1_000);
        world.rounds(1);
        assert_eq!(world.slots(), [slots], "{limit}");
    }
    // A torrent's own limit is as thin.
    let mut pool = SlotPool::new(None);
    pool.report(Instant::ZERO, ALONE, demand(true, 50, 5, 1_000), Some(4_096));
    assert_eq!(pool.poll_change(), Some((ALONE, 2)));
}

#[test]
fn too_many_torrents_for_a_thin_uplink_give_slots_up() {
    // Limit, uplink, torrents, noise in hundredths, slots in the second round, and the most that stay.
    let cases = [
        (None, 20_000, 20, 0, 100, 25),
        // More torrents than there can be slots for.
        (None, 250_000, 60, 0, 200, 155),
        (None, 250_000, 60, 5, 200, 165),
        (None, 20_000, 60, 0, 200, 25),
        // A limit that forbids some, and is above what the network carries.
        (Some(250_000), 20_000, 60, 0, 152, 25),
    ];
    for case in cases {
        let (limit, uplink, torrents, noise, at_first, most) = case;
        let mut world = World::new(limit, uplink);
        world.noise = Some((Rng::new(1), noise));
        for id in 0..torrents {
            world.crowd(id, true, 8, 1_000_000);
        }
        world.rounds(2);
        assert_eq!(world.slots().iter().sum::<u32>(), at_first, "{case:?}");
        world.rounds(600);
        let slots: u32 = world.slots().iter().sum();
        assert!((5..=most).contains(&slots), "{case:?}: {slots}");
    }
}

#[test]
fn downloads_get_seven_of_ten_and_what_is_left_flows() {
    // Torrents (seeding, wanting) and what each gets.
    type Case<'a> = (&'a [(bool, u32)], &'a [u32]);
    let cases: [Case<'_>; 6] = [
        (&[(false, 50), (true, 50)], &[7, 3]),
        (&[(false, 50), (false, 50), (true, 50), (true, 50)], &[7, 7, 3, 3]),
        (&[(false, 4), (true, 50)], &[4, 6]),
        (&[(false, 50), (true, 1)], &[9, 1]),
        (&[(true, 50), (true, 2), (true, 50)], &[7, 2, 6]),
        // What nobody wants is there for newcomers.
        (&[(false, 1), (true, 1)], &[5, 5]),
    ];
    for (torrents, slots) in cases {
        let mut world = World::new(Some(1_000_000), 1_000_000);
        for (id, (seeding, wanting)) in torrents.iter().enumerate() {
            world.crowd(id as u64, *seeding, *wanting, 1_000_000_000);
        }
        world.rounds(1);
        assert_eq!(world.slots(), slots, "{torrents:?}");
    }
}

#[test]
fn a_torrent_that_nobody_wants_anything_of_is_not_in_the_pool() {
    let mut pool = SlotPool::new(None);
    for id in 0..10_000 {
        pool.report(Instant::ZERO, TorrentId(id), Demand::default(), None);
    }
    assert_eq!((pool.poll_change(), pool.poll_timeout(), pool.members.len()), (None, None, 0));
    pool.report(Instant::ZERO, ALONE, demand(true, 3, 3, 1), None);
    assert_eq!(pool.poll_timeout(), Some(Instant::ZERO + ROUND));
    assert_eq!(pool.poll_change(), Some((ALONE, 5)), "at once");
    pool.report(Instant::ZERO, ALONE, Demand::default(), None);
    assert_eq!((pool.poll_change(), pool.poll_timeout()), (None, None), "it keeps what it had at first");
    pool.report(Instant::ZERO, ALONE, demand(true, 3, 3, 1), None);
    pool.leave(ALONE);
    pool.leave(ALONE);
    pool.assert_invariants();
    assert_eq!(pool.poll_timeout(), None);
}

#[test]
fn a_torrent_whose_slots_were_taken_has_some_again_when_nobody_wants_anything() {
    let mut pool = SlotPool::new(Some(3_300));
    pool.report(Instant::ZERO, TorrentId(0), demand(true, 3, 3, 1), None);
    pool.report(Instant::ZERO, ALONE, demand(true, 3, 3, 1), None);
    let changes: Vec<_> = std::iter::from_fn(|| pool.poll_change()).collect();
    assert_eq!(changes, [(TorrentId(0), 2), (ALONE, 0)]);
    pool.report(Instant::ZERO, ALONE, Demand::default(), None);
    assert_eq!(pool.poll_change(), Some((ALONE, 2)), "as many as the uplink is worth");
}

/// Torrents as (seeding, wanting).
fn torrents() -> impl Strategy<Value = Vec<(bool, u32)>> {
    proptest::collection::vec((any::<bool>(), 1..30_u32), 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// However few slots there are: all of them are used, and every torrent has its turn, again and again.
    #[test]
    fn nobody_starves(torrents in torrents(), limit in prop_oneof![0..4_000_u64, 4_000..100_000_u64]) {
        let mut world = World::new(Some(limit), limit);
        for (id, (seeding, wanting)) in torrents.iter().enumerate() {
            world.crowd(id as u64, *seeding, *wanting, 1_000_000);
        }
        let wanting: u32 = torrents.iter().map(|(_, wanting)| wanting).sum();
        let mut hungry = vec![0_u32; torrents.len()];
        // A turn lasts three rounds and comes after those of all others; of a single slot each side has three turns in ten.
        let sides = if limit < 4_000 { 10 } else { 1 };
        let patience = 3 * sides * torrents.len() as u32 + 3;
        for _ in 0..patience * 3 / 2 {
            world.rounds(1);
            let slots = world.slots();
            let used: u32 = slots.iter().zip(&torrents).map(|(slots, (_, wanting))| slots.min(wanting)).sum();
            prop_assert_eq!(used, wanting.min(world.pool.size()));
            prop_assert!(slots.iter().sum::<u32>() <= world.pool.size());
            for (hungry, slots) in hungry.iter_mut().zip(&slots) {
                *hungry = if *slots == 0 { *hungry + 1 } else { 0 };
                prop_assert!(*hungry <= patience, "{slots:?}");
            }
        }
    }

    /// Whatever torrents say and whenever: slots are counted, and what each torrent was told is what the pool believes.
    #[test]
    fn whatever_happens_the_books_are_right(
        limit in proptest::option::of(0..10_000_000_u64),
        steps in proptest::collection::vec((0..8_u64, 0..5_u8, 0..60_u32, 0..20_000_u64), 1..200),
    ) {
        let mut pool = SlotPool::new(limit);
        let mut now = Instant::from_secs(1);
        let mut sent = 0;
        let mut told: BTreeMap<TorrentId, u32> = BTreeMap::new();
        for (id, what, count, rate) in steps {
            let id = TorrentId(id);
            match what {
                0..=2 => pool.report(now, id, demand(what == 0, count, count / 2, rate), (id.0 == 3).then_some(rate)),
                3 => {
                    pool.leave(id);
                    told.remove(&id);
                }
                _ => {
                    now += Duration::from_secs(u64::from(count % 15));
                    sent += rate * u64::from(count);
                    pool.handle_timeout(now, sent);
                }
            }
            pool.assert_invariants();
            while let Some((id, slots)) = pool.poll_change() {
                told.insert(id, slots);
            }
            for (id, member) in &pool.members {
                prop_assert_eq!(told.get(id), Some(&member.slots));
            }
        }
    }
}

#[test]
fn a_number_that_a_person_sets_holds_at_once_and_until_it_is_taken_back() {
    let mut world = World::new(None, 10_000_000);
    world.crowd(1, true, 30, 1_000_000);
    world.crowd(2, false, 30, 1_000_000);
    world.rounds(3);
    assert!(world.pool.is_automatic());
    assert_eq!(World::new(Some(5), 9).pool.capacity(), Some(5));
    let automatic = world.pool.size();
    for (slots, expected) in [(4, 4), (0, 1), (1_000, SLOTS_MAX), (7, 7)] {
        world.pool.set_fixed(Some(slots));
        world.follow();
        assert_eq!(world.pool.size(), expected);
        assert_eq!(world.slots().iter().sum::<u32>(), expected.min(SLOTS_MAX), "dealt at once");
        world.rounds(20);
        assert_eq!(world.pool.size(), expected, "whatever the uplink could carry");
    }
    assert!(!world.pool.is_automatic());
    world.pool.set_fixed(None);
    world.follow();
    assert_eq!(world.pool.size(), automatic, "what was known of the uplink still is");
}

#[test]
fn another_limit_gives_other_slots() {
    let mut world = World::new(None, 10_000_000);
    world.crowd(1, true, 30, 100_000);
    world.rounds(4);
    assert!(world.slots()[0] >= 5);
    world.pool.set_limit(Some(4_096));
    world.rounds(1);
    assert_eq!(world.slots(), [2], "what such a limit keeps busy");
    world.pool.set_limit(None);
    world.rounds(1);
    assert!(world.slots()[0] >= 5);
    let demand = demand(true, 30, 5, 1_000);
    world.pool.report(world.now, ALONE, demand, Some(4_096));
    world.now += ROUND;
    world.pool.handle_timeout(world.now, world.sent);
    world.follow();
    assert_eq!(world.slots(), [2], "of its own limit");
}
