//! What a run comes to, in figures.

use std::collections::BTreeMap;

use potluck_common::Instant;

use crate::{
    scenario::Scenario,
    world::{Node, Role, World},
};

/// The figures of one run by name; what a scenario has nothing of (free riders, a mix) is missing.
pub type Metrics = BTreeMap<String, f64>;

/// Computes them at the end of a run.
pub(crate) fn of(scenario: &Scenario, world: &World) -> Metrics {
    let mut metrics = Metrics::new();
    let mut put = |name: &str, value: f64| {
        if value.is_finite() {
            metrics.insert(name.to_owned(), (value * 1e4).round() / 1e4);
        }
    };
    let took = |node: &Node| node.done.unwrap_or(world.now()).since(node.joined).as_secs_f64();
    let leechers: Vec<&Node> = world.nodes().iter().filter(|node| node.role != Role::Seed).collect();
    let times = |wanted: &dyn Fn(&Node) -> bool| -> Vec<f64> {
        let mut times: Vec<f64> =
            leechers.iter().filter(|node| wanted(node)).map(|node| took(node)).collect();
        times.sort_by(f64::total_cmp);
        times
    };
    let good = times(&Node::is_contributor);
    let riders = times(&Node::is_free_rider);
    let file = scenario.payload_bytes();
    let bound = bound(scenario, &leechers);
    let tally = world.tally();

    put("bound_s", bound);
    put("good_mean_s", mean(&good));
    put("good_p95_s", p95(&good));
    put("good_max_s", good.last().copied().unwrap_or(f64::NAN));
    put("mean_over_bound", mean(&good) / bound);
    put("p95_over_bound", p95(&good) / bound);
    put("jain_rate", jain(&good.iter().map(|seconds| file / seconds).collect::<Vec<_>>()));
    put("free_riders_mean_s", mean(&riders));
    put("free_riders_over_good", mean(&riders) / mean(&good));
    let seed_share = tally.seed_bytes_to_free_riders / tally.seed_bytes;
    put("seed_share_to_free_riders", seed_share);
    put("seed_share_over_fair", seed_share / (riders.len() as f64 / leechers.len() as f64));
    put("leecher_share_to_free_riders", tally.leecher_bytes_to_free_riders / tally.leecher_bytes);
    put("uplink_use", tally.used / tally.capacity);
    put("interest", tally.interest());
    let full_copy = tally.first_full_copy.map_or(f64::NAN, |at| at.since(Instant::ZERO).as_secs_f64());
    put("first_full_copy_s", full_copy);
    put(
        "first_full_copy_over_ideal",
        full_copy / (file / (scenario.seeds.up * f64::from(scenario.seeds.count))),
    );
    put("completion_over_ideal", good.last().map_or(f64::NAN, |last| last / (file / scenario.seeds.up)));
    put("pieces_died", tally.pieces_died as f64);
    put("quick_flips", tally.quick_flips as f64);
    put("unfinished", leechers.iter().filter(|node| node.done.is_none()).count() as f64);
    put("flows", tally.flows as f64);
    put("ended_s", world.now().since(Instant::ZERO).as_secs_f64());
    if scenario.classes.len() > 1 {
        for (number, class) in scenario.classes.iter().enumerate() {
            let of_class = times(&|node| node.is_contributor() && usize::from(node.class) == number);
            put(&format!("class_{:.0}_mean_s", class.up), mean(&of_class));
            put(&format!("class_{:.0}_max_s", class.up), of_class.last().copied().unwrap_or(f64::NAN));
        }
        let of_class =
            |number| mean(&times(&|node| node.is_contributor() && usize::from(node.class) == number));
        put("slow_over_fast", slow_over_fast(scenario, of_class));
        let contributors = leechers.iter().filter(|node| node.is_contributor());
        let points: Vec<_> = contributors.map(|node| (node.up, -took(node))).collect();
        put("rank_correlation", rank_correlation(&points));
    }
    if scenario.mix.is_some() {
        let mixed = mean(&times(&|node| node.role == Role::Contributor { mixed: true }));
        let others = mean(&times(&|node| node.role == Role::Contributor { mixed: false }));
        put("mixed_over_others", mixed / others);
        put("group_slowdown", (mixed / others).max(others / mixed));
    }
    metrics
}

/// No distribution can be faster than this (Kumar and Ross 2006), in seconds.
fn bound(scenario: &Scenario, leechers: &[&Node]) -> f64 {
    let file = scenario.payload_bytes();
    let seeds = scenario.seeds.up * f64::from(scenario.seeds.count);
    let uplinks: f64 = leechers.iter().filter(|node| node.is_contributor()).map(|node| node.up).sum();
    let slowest = leechers.iter().map(|node| node.down).fold(f64::INFINITY, f64::min);
    (file / seeds).max(file / slowest).max(leechers.len() as f64 * file / (seeds + uplinks))
}

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
