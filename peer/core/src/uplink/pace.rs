//! Weights where no limit of ours is in force and the network itself is full: then the senders' TCP shares the uplink
//! about evenly, and whoever weighs less than 100 (is *light*) must hold back by itself.
//!
//! But full sockets do not say whether the uplink is full or each peer's own downlink, and if it is the latter, whatever
//! a light flow holds back is wasted. So that is tried out. While the full flows are mostly blocked, it is watched for
//! some seconds what everybody gets; then light ones are paced to their weight's part of what a full flow gets on average.
//! If what they leave turns up at the full flows, but for a twentieth of all that is sent, they share an uplink, and pacing
//! goes on for two minutes, until it is tried out anew. Else it ends for four. It also pauses at once where full flows have
//! nothing to wait for, and ends where less is sent than the uplink carried when it was full.

use std::collections::VecDeque;

/// Ticks (seconds, but for tests) that a mean is taken over. A system that lets a socket fill in lumps takes some seconds between two.
const WINDOW: usize = 8;
/// Ticks until what already lay in the sockets of light flows has gone.
const SETTLING: usize = 8;
/// Ticks for which light flows are paced before it is tried out anew.
const PACE: u64 = 120;
/// Ticks for which they are not, where that brought nothing.
const LEAVE: u64 = 240;
/// The part of their time that full flows are blocked on a full uplink, in hundredths; to begin with, and to go on.
const BLOCKED_PERCENT: (u64, u64) = (75, 50);
/// Flows on one uplink get about the same: full ones that get less than one part in so many of what light ones do are bound by
/// something else.
const UNEVEN: u64 = 3;
/// What may be left and not be taken up, in hundredths of all that was sent before.
const WASTED_PERCENT_MAX: u64 = 5;
/// What must be sent of what the full uplink carried, in hundredths, for it to be believed still full.
const CARRIED_PERCENT_MIN: u64 = 75;

/// The flows of one kind in one tick.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Class {
    /// How many had something to send.
    pub flows: u64,
    /// What they sent, in bytes.
    pub bytes: u64,
}

/// What was seen in one tick.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tick {
    /// Flows that weigh 100.
    pub full: Class,
    /// Flows that weigh less.
    pub light: Class,
    /// The part of the tick that the full flows waited for their sockets, in hundredths, on average.
    pub blocked_percent: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// How the flows share the network by themselves.
    Watch,
    /// Light flows hold back; this was before.
    Try(Mean),
    /// They do until this tick, on an uplink that carried so much a tick.
    Pace { until: u64, carried: u64 },
    /// They do not until this tick: nobody took up what they left.
    Leave { until: u64 },
}

/// Means over a window, in bytes per tick.
#[derive(Clone, Copy, Debug)]
struct Mean {
    full: u64,
    light: u64,
    /// Of one full flow.
    each_full: u64,
    /// Of one light flow.
    each_light: u64,
    blocked_percent: u64,
}

/// The machine; see the [module](self). Give it what was seen in each tick in which there are light flows.
#[derive(Debug)]
pub struct Pacer {
    state: State,
    ticks: u64,
    window: VecDeque<Tick>,
}

impl Default for Pacer {
    fn default() -> Self {
        Self { state: State::Watch, ticks: 0, window: VecDeque::new() }
    }
}

impl Pacer {
    /// A tick is over. Returns what a full flow gets in the next one on average, in bytes, of which a light one is to send no
    /// more than its weight's part; `None` is as much as it can.
    pub fn tick(&mut self, tick: Tick) -> Option<u64> {
        self.ticks += 1;
        let is_shared = tick.full.flows > 0 && tick.light.flows > 0;
        let as_before =
            |last: &Tick| last.full.flows == tick.full.flows && last.light.flows == tick.light.flows;
        let is_measuring = matches!(self.state, State::Watch | State::Try(_));
        if is_measuring && (!is_shared || !self.window.back().is_none_or(as_before)) {
            self.enter(State::Watch);
        }
        if !is_shared {
            return None;
        }
        self.window.push_back(tick);
        match self.state {
            State::Watch => self.watch(),
            State::Try(before) => self.judge(before),
            State::Pace { until, carried } => self.pace(until, carried),
            State::Leave { until } => {
                if self.ticks >= until {
                    self.enter(State::Watch);
                }
                None
            }
        }
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.window.clear();
    }

    fn watch(&mut self) -> Option<u64> {
        if self.window.len() < WINDOW {
            return None;
        }
        let mean = self.mean();
        let bound_elsewhere = mean.each_full < mean.each_light / UNEVEN;
        if mean.blocked_percent < BLOCKED_PERCENT.0 || bound_elsewhere {
            self.window.pop_front();
            return None;
        }
        self.enter(State::Try(mean));
        Some(mean.each_full)
    }

    fn judge(&mut self, before: Mean) -> Option<u64> {
        if self.window.len() <= SETTLING {
            return Some(self.mean().each_full.max(before.each_full));
        }
        let mean = self.mean_of_last(self.window.len() - SETTLING);
        if mean.blocked_percent < BLOCKED_PERCENT.1 {
            self.enter(State::Watch);
            return None;
        }
        if self.window.len() < SETTLING + WINDOW {
            return Some(mean.each_full);
        }
        let freed = before.light.saturating_sub(mean.light);
        let gained = mean.full.saturating_sub(before.full);
        let carried = before.full + before.light;
        if freed.saturating_sub(gained) * 100 > carried * WASTED_PERCENT_MAX {
            self.enter(State::Leave { until: self.ticks + LEAVE });
            return None;
        }
        self.state = State::Pace { until: self.ticks + PACE, carried };
        Some(mean.each_full)
    }

    fn pace(&mut self, until: u64, carried: u64) -> Option<u64> {
        while self.window.len() > WINDOW {
            self.window.pop_front();
        }
        let mean = self.mean();
        if self.ticks >= until || (mean.full + mean.light) * 100 < carried * CARRIED_PERCENT_MIN {
            self.enter(State::Watch);
            return None;
        }
        (mean.blocked_percent >= BLOCKED_PERCENT.1).then_some(mean.each_full)
    }

    fn mean(&self) -> Mean {
        self.mean_of_last(self.window.len())
    }

    fn mean_of_last(&self, count: usize) -> Mean {
        let ticks = count.max(1) as u64;
        let sum = |of: fn(&Tick) -> u64| self.window.iter().rev().take(count).map(of).sum::<u64>();
        let (full, light) = (sum(|tick| tick.full.bytes), sum(|tick| tick.light.bytes));
        Mean {
            full: full / ticks,
            light: light / ticks,
            each_full: full / sum(|tick| tick.full.flows).max(1),
            each_light: light / sum(|tick| tick.light.flows).max(1),
            blocked_percent: sum(|tick| tick.blocked_percent) / ticks,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A flow of a network that shares its uplink evenly.
    #[derive(Clone, Copy, Debug)]
    struct Flow {
        percent: u64,
        /// What its peer takes, in bytes a tick.
        downlink: u64,
    }

    const FULL: Flow = Flow { percent: 100, downlink: u64::MAX };
    const LIGHT: Flow = Flow { percent: 50, downlink: u64::MAX };

    struct World {
        uplink: u64,
        flows: Vec<Flow>,
        pacer: Pacer,
        pace: Option<u64>,
    }

    impl World {
        fn new(uplink: u64, flows: &[Flow]) -> Self {
            Self { uplink, flows: flows.to_vec(), pacer: Pacer::default(), pace: None }
        }

        /// What each flow sends in so many ticks.
        fn run(&mut self, ticks: u64) -> Vec<u64> {
            let mut sent = vec![0; self.flows.len()];
            for _ in 0..ticks {
                let rates = self.rates(self.pace);
                let mut tick = Tick::default();
                for ((flow, rate), sent) in self.flows.iter().zip(&rates).zip(&mut sent) {
                    let class = if flow.percent < 100 { &mut tick.light } else { &mut tick.full };
                    class.flows += 1;
                    class.bytes += rate;
                    *sent += rate;
                }
                // Whatever the bottleneck is, a socket with enough behind it is full.
                tick.blocked_percent = 95;
                self.pace = self.pacer.tick(tick);
            }
            sent
        }

        /// Even shares, as far as each flow can and may use its own.
        fn rates(&self, pace: Option<u64>) -> Vec<u64> {
            let may = |flow: &Flow| match pace {
                Some(pace) if flow.percent < 100 => flow.downlink.min(pace * flow.percent / 100),
                _ => flow.downlink,
            };
            let mut order: Vec<usize> = (0..self.flows.len()).collect();
            order.sort_by_key(|place| may(&self.flows[*place]));
            let (mut left, mut rates) = (self.uplink, vec![0; self.flows.len()]);
            for (rank, place) in order.iter().enumerate() {
                rates[*place] = may(&self.flows[*place]).min(left / (self.flows.len() - rank) as u64);
                left -= rates[*place];
            }
            rates
        }
    }

    #[test]
    fn on_a_full_uplink_a_light_flow_gets_its_weights_part() {
        let mut world = World::new(1_000_000, &[FULL, FULL, FULL, FULL, LIGHT]);
        world.run(60);
        let sent = world.run(60);
        let part = sent[4] as f64 / sent[0] as f64;
        assert!((0.49..0.51).contains(&part), "{sent:?}");
        assert!(sent.iter().sum::<u64>() > 59_900_000, "and nothing is wasted: {sent:?}");
        let sent = world.run(1_000);
        let part = sent[4] as f64 / sent[0] as f64;
        assert!((0.5..0.55).contains(&part), "it is tried out anew now and then: {sent:?}");
    }

    #[test]
    fn what_nobody_takes_up_is_not_left() {
        let slow = |percent| Flow { percent, downlink: 50_000 };
        let mut world = World::new(10_000_000, &[slow(100), slow(100), slow(50), slow(50)]);
        let sent = world.run(1_000);
        assert!(sent[2] > 950 * 50_000, "{sent:?}");
        // The full ones are bound by something else altogether.
        let stuck = Flow { percent: 100, downlink: 10 };
        let mut world = World::new(1_000_000, &[stuck, LIGHT]);
        let sent = world.run(1_000);
        assert!(sent[1] > 999_000_000 - 20_000, "{sent:?}");
    }

    #[test]
    fn it_ends_when_the_full_flows_do_not_use_the_uplink_any_more() {
        let mut world = World::new(1_000_000, &[FULL, FULL, LIGHT]);
        world.run(60);
        assert!(world.pace.is_some());
        for flow in &mut world.flows[..2] {
            flow.downlink = 10;
        }
        world.run(WINDOW as u64);
        assert_eq!(world.pace, None);
        let sent = world.run(1_000);
        assert!(sent[2] > 990_000_000, "{sent:?}");
        world.flows.retain(|flow| flow.percent < 100);
        world.run(1);
        assert_eq!(world.pace, None, "alone");
    }

    #[test]
    fn where_full_flows_have_nothing_to_wait_for_nobody_holds_back() {
        let mut pacer = Pacer::default();
        let class = Class { flows: 2, bytes: 100_000 };
        for blocked_percent in [0, 50, 74] {
            let tick = Tick { full: class, light: class, blocked_percent };
            assert!((0..100).all(|_| pacer.tick(tick).is_none()), "{blocked_percent}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever binds the flows, hardly anything is wasted over the minutes, and nobody has less than its weight gives.
        #[test]
        fn little_is_wasted(
            uplink in 10_000..100_000_000_u64,
            flows in proptest::collection::vec(
                (prop_oneof![Just(100_u64), Just(50), Just(25)], 1_000..50_000_000_u64),
                1..12,
            ),
        ) {
            let flows: Vec<_> = flows.iter().map(|(percent, downlink)| Flow { percent: *percent, downlink: *downlink }).collect();
            let mut world = World::new(uplink, &flows);
            let could: u64 = world.rates(None).iter().sum();
            let sent = world.run(2_600);
            let part = sent.iter().sum::<u64>() as f64 / (could as f64 * 2_600.0);
            prop_assert!(part > 0.92, "{part}");
        }
    }
}
