//! Shares, limits and idleness, against what weights and limits say by arithmetic.

use std::collections::BTreeMap;

use potluck_common::Duration;
use proptest::prelude::*;

use super::*;

/// What each flow has ready at a time: as much as may be dealt out before it can ask for more.
const WINDOW: u64 = 64 * QUANTUM;
/// What a limit lets pass at once after a time of rest, in seconds.
const BURST: f64 = 0.1;

/// An uplink in virtual time, whose flows send what they may.
struct World {
    uplink: Uplink,
    now: Instant,
    groups: Vec<GroupId>,
    flows: Vec<FlowId>,
    sent: BTreeMap<FlowId, u64>,
}

impl World {
    /// With the limits of the engine and of each torrent.
    fn new(engine: Option<u64>, torrents: &[Option<u64>]) -> Self {
        let mut uplink = Uplink::new(engine);
        let groups = torrents.iter().map(|limit| uplink.add_group(*limit)).collect();
        let now = Instant::from_secs(5);
        Self { uplink, now, groups, flows: Vec::new(), sent: BTreeMap::new() }
    }

    fn flow(&mut self, group: usize, percent: u8) -> FlowId {
        let id = self.uplink.add_flow(self.groups[group]);
        self.uplink.set_weight(id, percent);
        self.flows.push(id);
        id
    }

    /// Lets time pass while each of `greedy` always wants more.
    fn run(&mut self, time: Duration, greedy: &[FlowId]) {
        let end = self.now + time;
        for id in greedy {
            self.uplink.want(self.now, *id, WINDOW);
        }
        while self.now < end {
            self.step(greedy);
            let next = self.uplink.poll_timeout().unwrap_or(end);
            self.now = next.max(self.now + Duration::from_micros(100)).min(end);
        }
    }

    fn step(&mut self, greedy: &[FlowId]) {
        self.uplink.run(self.now);
        self.uplink.assert_invariants();
        while let Some(id) = self.uplink.poll_granted() {
            *self.sent.entry(id).or_default() += self.uplink.take(id);
            if greedy.contains(&id) {
                self.uplink.want(self.now, id, WINDOW);
            }
        }
    }

    fn sent(&self, id: FlowId) -> u64 {
        self.sent.get(&id).copied().unwrap_or(0)
    }

    fn all_sent(&self) -> u64 {
        self.sent.values().sum()
    }
}

/// Asserts that `sent` is within so many blocks of `wanted`.
#[track_caller]
fn near(sent: u64, wanted: f64, blocks: f64, what: &str) {
    let difference = (sent as f64 - wanted).abs() / QUANTUM as f64;
    assert!(difference <= blocks, "{what}: {sent} bytes instead of {wanted:.0}, {difference:.1} blocks away");
}

#[test]
fn a_trial_gets_half_of_an_earned_slot() {
    let mut world = World::new(Some(1_000_000), &[None]);
    let flows: Vec<_> = [100, 100, 50, 25].map(|percent| world.flow(0, percent)).into();
    world.run(Duration::from_secs(60), &flows);
    let unit = world.all_sent() as f64 / 2.75;
    for (id, weight) in flows.iter().zip([1.0, 1.0, 0.5, 0.25]) {
        near(world.sent(*id), unit * weight, 4.0, "its share");
    }
    near(world.all_sent(), 60_000_000.0 + 1_000_000.0 * BURST, 1.0, "the limit");
}

#[test]
fn what_one_leaves_the_others_take() {
    let mut world = World::new(Some(1_000_000), &[None]);
    let (earned, trial) = (world.flow(0, 100), world.flow(0, 25));
    world.run(Duration::from_secs(10), &[trial]);
    assert_eq!(world.sent(earned), 0);
    near(world.sent(trial), 10_000_000.0 + 1_000_000.0 * BURST, 1.0, "alone");
    // Nothing is saved up, and nobody pays for having been alone.
    let before = world.sent(trial);
    world.run(Duration::from_secs(10), &[earned, trial]);
    near(world.sent(earned), 8_000_000.0, 5.0, "both want something");
    near(world.sent(trial) - before, 2_000_000.0, 5.0, "both want something");
}

#[test]
fn a_torrent_at_its_limit_is_in_no_ones_way() {
    let mut world = World::new(Some(1_000_000), &[Some(100_000), None]);
    let slow = [world.flow(0, 100), world.flow(0, 50)];
    let free = [world.flow(1, 100), world.flow(1, 50)];
    let all: Vec<_> = slow.iter().chain(&free).copied().collect();
    world.run(Duration::from_secs(30), &all);
    near(world.sent(slow[0]) + world.sent(slow[1]), 3_000_000.0, 2.0, "the torrent's limit");
    near(world.sent(slow[0]), 2_000_000.0, 3.0, "shares within it");
    near(world.all_sent(), 30_000_000.0, 8.0, "the engine's limit");
    near(world.sent(free[0]), 18_000_000.0, 8.0, "shares of the rest");
    // Somebody new in the torrent that is behind the others gets its share at once.
    let late = world.flow(0, 50);
    let before = world.sent(slow[0]);
    world.run(Duration::from_secs(30), &[all, vec![late]].concat());
    near(world.sent(late), 750_000.0, 3.0, "a newcomer's share");
    near(world.sent(slow[0]) - before, 1_500_000.0, 3.0, "and that of another");
}

#[test]
fn without_a_limit_everything_passes_at_once() {
    let mut world = World::new(None, &[None]);
    let flow = world.flow(0, 25);
    world.uplink.want(world.now, flow, 100 * QUANTUM);
    world.step(&[]);
    assert_eq!((world.sent(flow), world.uplink.poll_timeout()), (100 * QUANTUM, None));
}

#[test]
fn who_leaves_is_waited_for_no_more() {
    let mut world = World::new(Some(100_000), &[Some(50_000), None]);
    let flows = [world.flow(0, 100), world.flow(0, 100), world.flow(1, 100)];
    world.run(Duration::from_secs(1), &flows);
    world.uplink.remove_flow(flows[0]);
    world.uplink.assert_invariants();
    world.uplink.want(world.now, flows[0], 5);
    world.uplink.remove_group(world.groups[0]);
    world.uplink.assert_invariants();
    world.uplink.want(world.now, flows[2], 0);
    world.uplink.assert_invariants();
    assert_eq!(world.uplink.poll_timeout(), None, "nobody wants anything");
    assert_eq!((world.uplink.take(flows[0]), world.uplink.take(flows[1])), (0, 0));
}

/// What happens in an uplink.
#[derive(Clone, Debug)]
enum Step {
    Want(usize, u64),
    Weigh(usize, u8),
    Leave(usize),
    Come(usize, u8),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let percent = || prop_oneof![Just(100_u8), Just(50), Just(25), 1..=100_u8];
    let step = prop_oneof![
        6 => (0..12_usize, 0..200_000_u64).prop_map(|(flow, bytes)| Step::Want(flow, bytes)),
        1 => (0..12_usize, percent()).prop_map(|(flow, percent)| Step::Weigh(flow, percent)),
        1 => (0..12_usize).prop_map(Step::Leave),
        3 => (0..3_usize, percent()).prop_map(|(group, percent)| Step::Come(group, percent)),
        8 => (0..300_000_u64).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..150)
}

fn limits() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![Just(None), (1_000..5_000_000_u64).prop_map(Some)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whoever always wants more gets its weight's share, whatever the others weigh, to within a few blocks.
    #[test]
    fn shares_follow_weights(
        weights in proptest::collection::vec(25..=100_u8, 1..40),
        limit in 50_000..10_000_000_u64,
        seconds in 1..10_u64,
    ) {
        let mut world = World::new(Some(limit), &[None]);
        let flows: Vec<_> = weights.iter().map(|percent| world.flow(0, *percent)).collect();
        world.run(Duration::from_secs(seconds), &flows);
        let unit = world.all_sent() as f64 / weights.iter().map(|weight| f64::from(*weight)).sum::<f64>();
        for (flow, weight) in flows.iter().zip(&weights) {
            // Goyal et al.: no two differ by more than a block of each, counted in units of the heavier.
            near(world.sent(*flow), unit * f64::from(*weight), 5.0, "a share");
        }
        // The times of blocks are whole microseconds.
        let most = limit as f64 * (seconds as f64 + BURST);
        near(world.all_sent(), most, 1.0 + most * 1e-3 / QUANTUM as f64, "no limit is left unused");
    }

    /// Whatever happens: neither limit is exceeded over any time, and none is left unused while somebody could use it.
    #[test]
    fn limits_hold_and_are_used(engine in limits(), torrents in [limits(), limits(), limits()], steps in steps()) {
        let mut world = World::new(engine, &torrents);
        let mut groups: BTreeMap<FlowId, usize> = BTreeMap::new();
        // For the engine, and each torrent: when something was dealt out, and how much.
        let mut dealt: [Vec<(Instant, u64)>; 4] = Default::default();
        for step in steps {
            let pick = |place: usize| groups.keys().nth(place % groups.len().max(1)).copied();
            match step {
                Step::Want(flow, bytes) => {
                    if let Some(flow) = pick(flow) {
                        world.uplink.want(world.now, flow, bytes);
                    }
                }
                Step::Weigh(flow, percent) => {
                    if let Some(flow) = pick(flow) {
                        world.uplink.set_weight(flow, percent);
                    }
                }
                Step::Leave(flow) => {
                    if let Some(flow) = pick(flow) {
                        world.uplink.remove_flow(flow);
                        groups.remove(&flow);
                    }
                }
                Step::Come(group, percent) => {
                    let flow = world.flow(group, percent);
                    groups.insert(flow, group);
                }
                Step::Pass(micros) => world.now += Duration::from_micros(micros),
            }
            world.uplink.assert_invariants();
            world.uplink.run(world.now);
            world.uplink.assert_invariants();
            while let Some(flow) = world.uplink.poll_granted() {
                let bytes = world.uplink.take(flow);
                dealt[0].push((world.now, bytes));
                dealt[groups[&flow] + 1].push((world.now, bytes));
            }
            let next = world.uplink.poll_timeout();
            prop_assert!(next.is_none_or(|at| at > world.now), "something could be dealt out and was not");
            let wants = world.uplink.flows.values().any(|flow| flow.wanted > 0);
            prop_assert_eq!(next.is_some(), wants, "whoever wants something is waited for");
        }
        for (limit, dealt) in std::iter::once(engine).chain(torrents).zip(&dealt) {
            let Some(limit) = limit else { continue };
            for (begin, first) in dealt.iter().enumerate() {
                let mut bytes = 0;
                for last in &dealt[begin..] {
                    bytes += last.1;
                    let time = last.0.since(first.0).as_secs_f64() + BURST;
                    prop_assert!(bytes as f64 <= limit as f64 * time + QUANTUM as f64 + 1.0, "{bytes} bytes in {time} s");
                }
            }
        }
    }
}

#[test]
fn limits_that_change_hold_from_then_on() {
    let mut world = World::new(None, &[None, Some(2_000)]);
    let flows = [world.flow(0, 100), world.flow(1, 100)];
    world.uplink.set_limit(world.now, Some(1_000_000));
    world.run(Duration::from_secs(10), &flows);
    near(world.all_sent(), 10_000_000.0, 10.0, "a limit where there was none");
    // The second torrent is dealt a block every eight seconds, and need not wait for the rest of them.
    world.uplink.set_group_limit(world.now, world.groups[1], Some(500_000));
    let (all, second) = (world.all_sent(), world.sent(flows[1]));
    world.run(Duration::from_secs(10), &flows);
    near(world.all_sent() - all, 10_000_000.0, 10.0, "the engine's");
    near(world.sent(flows[1]) - second, 5_000_000.0, 10.0, "the torrent's");
    world.uplink.set_limit(world.now, Some(100_000));
    let all = world.all_sent();
    world.run(Duration::from_secs(10), &flows);
    near(world.all_sent() - all, 1_000_000.0, 10.0, "a lower one");
    world.uplink.set_limit(world.now, None);
    world.uplink.set_group_limit(world.now, world.groups[0], Some(300_000));
    let (first, second) = (world.sent(flows[0]), world.sent(flows[1]));
    world.run(Duration::from_secs(10), &flows);
    near(world.sent(flows[0]) - first, 3_000_000.0, 10.0, "only its own");
    near(world.sent(flows[1]) - second, 5_000_000.0, 10.0, "only its own");
    world.uplink.set_group_limit(world.now, GroupId(u64::MAX), None);
}
