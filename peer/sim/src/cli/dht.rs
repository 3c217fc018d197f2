//! `potluck-sim dht`: networks of the DHT's nodes, one line of JSON for each seed.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "threads and the clock are the shell's"
)]

use std::{
    io::Write,
    process::ExitCode,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Instant,
};

use potluck_sim::dht::{self, Plan, Report};

use super::seeds::Seeds;

/// Which networks are played.
#[derive(Debug, clap::Args)]
pub(crate) struct Dht {
    /// Nodes of the network
    #[arg(long, default_value_t = 3_000, value_parser = clap::value_parser!(u32).range(20..=20_000))]
    nodes: u32,
    /// Seeds: a number, or a range that includes both ends
    #[arg(long, default_value = "1..3")]
    seed: Seeds,
    /// How long lookups are spread over, in minutes of the network
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    minutes: u32,
    /// Hostile nodes, in percent
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=90))]
    hostile: u32,
    /// All hostile nodes are of one clique: they name each other by true names and nobody else, which no goal is set for yet
    #[arg(long)]
    clique: bool,
    /// Fail where fewer than 99 % of lookups find a peer in log2(n) + 4 rounds, where tables grow, or where the death of the
    /// bootstrap node matters
    #[arg(long)]
    check: bool,
    /// Runs at the same time; as many as there are processors when nothing is said
    #[arg(long)]
    jobs: Option<usize>,
}

/// Does what the arguments say; 1 is the exit code when a check fails.
pub(crate) fn run(arguments: &Dht) -> ExitCode {
    let plan = Plan {
        lookups_minutes: arguments.minutes,
        hostile_percent: arguments.hostile,
        is_clique: arguments.clique,
        ..Plan::of(arguments.nodes)
    };
    let seeds: Vec<u64> = arguments.seed.iter().collect();
    let threads = arguments.jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let next = AtomicUsize::new(0);
    let (results, arrived) = mpsc::channel();
    let all_hold = thread::scope(|scope| {
        for _ in 0..threads.clamp(1, seeds.len()) {
            let (results, next, seeds) = (results.clone(), &next, &seeds);
            scope.spawn(move || {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let began = Instant::now();
                    let report = dht::run(&plan, *seed);
                    say(&format!(
                        "{} nodes, seed {seed}: {:.1} s",
                        plan.nodes,
                        began.elapsed().as_secs_f64()
                    ));
                    if results.send((*seed, report)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(results);
        let mut reports: Vec<(u64, Report)> = arrived.iter().collect();
        reports.sort_unstable_by_key(|(seed, _)| *seed);
        let failed = reports.iter().filter(|(seed, report)| !judge(&plan, *seed, report, arguments.check));
        failed.count() == 0
    });
    if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Tells of one run; whether all holds that is checked.
fn judge(plan: &Plan, seed: u64, report: &Report, check: bool) -> bool {
    let value = serde_json::json!({ "seed": seed, "dht": report });
    // Whoever reads may have gone.
    let _ = writeln!(std::io::stdout().lock(), "{value}");
    let broken = if check { dht::check(plan, report) } else { Vec::new() };
    for words in &broken {
        say(&format!("seed {seed}: {words}"));
    }
    broken.is_empty()
}

#[expect(clippy::print_stderr, reason = "for people")]
fn say(words: &str) {
    eprintln!("{words}");
}
