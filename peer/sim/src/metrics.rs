//! What a run comes to, in figures.

use std::collections::BTreeMap;

use potluck_common::Instant;

use crate::{
    scenario::Scenario,
    world::{Node, Role, Tally},
};

/// The figures of one run by name; what a scenario has nothing of (free riders, a mix) is missing.
pub type Metrics = BTreeMap<String, f64>;

/// A swarm at the end of a run, of whichever simulator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended<'a> {
    pub(crate) nodes: &'a [Node],
    pub(crate) tally: &'a Tally,
    pub(crate) now: Instant,
}

/// Computes them at the end of a run.
pub(crate) fn of(scenario: &Scenario, world: Ended<'_>) -> Metrics {
    let mut figures = Figures(Metrics::new());
    figures.put_times(scenario, world);
    figures.put_bytes(scenario, world);
    figures.put_health(scenario, world);
    if scenario.classes.len() > 1 {
        figures.put_classes(scenario, world);
    }
    if scenario.mix.is_some() {
        figures.put_mix(scenario, world);
    }
    figures.0
}

fn leechers(world: Ended<'_>) -> impl Iterator<Item = &Node> {
    world.nodes.iter().filter(|node| node.role != Role::Seed)
}

/// Figures that are being computed.
struct Figures(Metrics);

impl Figures {
    fn put(&mut self, name: &str, value: f64) {
        if value.is_finite() {
            self.0.insert(name.to_owned(), (value * 1e4).round() / 1e4);
        }
    }

    fn put_times(&mut self, scenario: &Scenario, world: Ended<'_>) {
        let good = times(world, Node::is_contributor);
        let riders = times(world, Node::is_free_rider);
        let (file, bound) = (scenario.payload_bytes(), bound(scenario, world));
        let rates: Vec<f64> = good.iter().map(|seconds| file / seconds).collect();
        let last = good.last().copied().unwrap_or(f64::NAN);
        self.put("bound_s", bound);
        self.put("good_mean_s", mean(&good));
        self.put("good_p95_s", p95(&good));
        self.put("good_max_s", last);
        self.put("mean_over_bound", mean(&good) / bound);
        self.put("p95_over_bound", p95(&good) / bound);
        self.put("jain_rate", jain(&rates));
        self.put("completion_over_ideal", last / (file / scenario.seeds.up));
        self.put("free_riders_mean_s", mean(&riders));
        self.put("free_riders_over_good", mean(&riders) / mean(&good));
        self.put("unfinished", leechers(world).filter(|node| node.done.is_none()).count() as f64);
        self.put("ended_s", world.now.since(Instant::ZERO).as_secs_f64());
    }

    fn put_bytes(&mut self, scenario: &Scenario, world: Ended<'_>) {
        let tally = world.tally;
        let fair =
            leechers(world).filter(|node| node.is_free_rider()).count() as f64 / f64::from(scenario.leechers);
        let seed_share = tally.seed_bytes_to_free_riders / tally.seed_bytes;
        self.put("seed_share_to_free_riders", seed_share);
        self.put("seed_share_over_fair", seed_share / fair);
        self.put("leecher_share_to_free_riders", tally.leecher_bytes_to_free_riders / tally.leecher_bytes);
        self.put("uplink_use", tally.used / tally.capacity);
        self.put("flows", tally.flows as f64);
    }

    fn put_health(&mut self, scenario: &Scenario, world: Ended<'_>) {
        let tally = world.tally;
        let seeds = scenario.seeds.up * f64::from(scenario.seeds.count);
        let full_copy = tally.first_full_copy.map_or(f64::NAN, |at| at.since(Instant::ZERO).as_secs_f64());
        self.put("interest", tally.interest());
        self.put("first_full_copy_s", full_copy);
        self.put("first_full_copy_over_ideal", full_copy / (scenario.payload_bytes() / seeds));
        self.put("pieces_died", tally.pieces_died as f64);
        self.put("quick_flips", tally.quick_flips as f64);
    }

    fn put_classes(&mut self, scenario: &Scenario, world: Ended<'_>) {
        let of_class =
            |number| times(world, |node| node.is_contributor() && usize::from(node.class) == number);
        for (number, class) in scenario.classes.iter().enumerate() {
            let times = of_class(number);
            self.put(&format!("class_{:.0}_mean_s", class.up), mean(&times));
            self.put(&format!("class_{:.0}_max_s", class.up), times.last().copied().unwrap_or(f64::NAN));
        }
        let mean_of_class = |number| mean(&of_class(number));
        self.put("slow_over_fast", slow_over_fast(scenario, mean_of_class));
        let contributors = leechers(world).filter(|node| node.is_contributor());
        let points: Vec<_> = contributors.map(|node| (node.up, -took(world, node))).collect();
        self.put("rank_correlation", rank_correlation(&points));
        let classes = scenario.classes.iter().enumerate();
        let points: Vec<_> = classes.map(|(number, class)| (class.up, -mean_of_class(number))).collect();
        self.put("class_rank_correlation", rank_correlation(&points));
    }

    fn put_mix(&mut self, scenario: &Scenario, world: Ended<'_>) {
        let mixed = mean(&times(world, |node| node.role == Role::Contributor { mixed: true }));
        let others = mean(&times(world, |node| node.role == Role::Contributor { mixed: false }));
        let bound = bound(scenario, world);
        self.put("mixed_mean_over_bound", mixed / bound);
        self.put("others_mean_over_bound", others / bound);
        self.put("mixed_over_others", mixed / others);
        self.put("group_slowdown", (mixed / others).max(others / mixed));
    }
}

/// How long the leechers that are `wanted` took, in seconds, in ascending order.
pub(crate) fn times(world: Ended<'_>, wanted: impl Fn(&Node) -> bool) -> Vec<f64> {
    let leechers = world.nodes.iter().filter(|node| node.role != Role::Seed && wanted(node));
    let mut times: Vec<f64> = leechers.map(|node| took(world, node)).collect();
    times.sort_by(f64::total_cmp);
    times
}

/// How long a leecher took, or has taken when the run ended; in seconds.
fn took(world: Ended<'_>, node: &Node) -> f64 {
    node.done.unwrap_or(world.now).since(node.joined).as_secs_f64()
}

/// No distribution can be faster than this (Kumar and Ross 2006), in seconds.
fn bound(scenario: &Scenario, world: Ended<'_>) -> f64 {
    let file = scenario.payload_bytes();
    let seeds = scenario.seeds.up * f64::from(scenario.seeds.count);
    let uplinks: f64 = leechers(world).filter(|node| node.is_contributor()).map(|node| node.up).sum();
    let slowest = leechers(world).map(|node| node.down).fold(f64::INFINITY, f64::min);
    (file / seeds).max(file / slowest).max(f64::from(scenario.leechers) * file / (seeds + uplinks))
}

/// The mean time of the slowest class over that of the fastest.
fn slow_over_fast(scenario: &Scenario, mean_of_class: impl Fn(usize) -> f64) -> f64 {
    let by_up = |a: &usize, b: &usize| scenario.classes[*a].up.total_cmp(&scenario.classes[*b].up);
    let numbers = 0..scenario.classes.len();
    let slow = numbers.clone().min_by(by_up).map_or(f64::NAN, &mean_of_class);
    slow / numbers.max_by(by_up).map_or(f64::NAN, &mean_of_class)
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Of sorted values.
fn p95(values: &[f64]) -> f64 {
    let place = (values.len() as f64 * 0.95) as usize;
    values.get(place.min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// Jain's index of fairness: 1 when all are equal, 1/n when one has everything.
fn jain(values: &[f64]) -> f64 {
    let sum: f64 = values.iter().sum();
    let squares: f64 = values.iter().map(|value| value * value).sum();
    sum * sum / (values.len() as f64 * squares)
}

/// Spearman's correlation of ranks; equal values share the mean of their ranks.
fn rank_correlation(points: &[(f64, f64)]) -> f64 {
    let xs = ranks(&points.iter().map(|point| point.0).collect::<Vec<_>>());
    let ys = ranks(&points.iter().map(|point| point.1).collect::<Vec<_>>());
    let (mx, my) = (mean(&xs), mean(&ys));
    let pairs = || xs.iter().map(|x| x - mx).zip(ys.iter().map(|y| y - my));
    let both: f64 = pairs().map(|(x, y)| x * y).sum();
    let (x, y) = pairs().fold((0.0, 0.0), |(a, b), (x, y)| (a + x * x, b + y * y));
    both / (x * y).sqrt()
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let rank = |value: &f64| {
        let below = values.iter().filter(|other| *other < value).count() as f64;
        let equal = values.iter().filter(|other| other.total_cmp(value).is_eq()).count() as f64;
        below + f64::midpoint(equal, 1.0)
    };
    values.iter().map(rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jain_is_one_for_equals_and_one_nth_for_a_monopoly() {
        assert!((jain(&[3.0; 7]) - 1.0).abs() < 1e-12);
        assert!((jain(&[1.0, 0.0, 0.0, 0.0]) - 0.25).abs() < 1e-12);
    }

    #[test]
    fn p95_is_what_all_but_a_twentieth_reach() {
        let hundred: Vec<f64> = (0..100).map(f64::from).collect();
        assert!((p95(&hundred) - 95.0).abs() < 1e-12);
        assert!((p95(&[4.0]) - 4.0).abs() < 1e-12);
        assert!(p95(&[]).is_nan());
    }

    #[test]
    fn ranks_correlate_whatever_the_distances() {
        let cases: [(&[(f64, f64)], f64); 4] = [
            (&[(1.0, 1.0), (2.0, 10.0), (3.0, 11.0)], 1.0),
            (&[(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)], -1.0),
            (&[(1.0, 1.0), (2.0, 2.0), (3.0, 4.0), (4.0, 3.0)], 0.8),
            (&[(1.0, 1.0), (1.0, 2.0), (2.0, 1.0), (2.0, 2.0)], 0.0),
        ];
        for (points, wanted) in cases {
            let is = rank_correlation(points);
            assert!((is - wanted).abs() < 1e-12, "{points:?}: {is}");
        }
    }
}
