//! `potluck-sim wire`: seeds of the wire simulator on several threads, one line of JSON for each.

#![expect(clippy::disallowed_types, reason = "threads and files are the shell's")]

use std::{
    fs,
    hash::{BuildHasher, RandomState},
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::Context;
use potluck_sim::wire::{self, Record, Run, Trace};

use super::seeds::Seeds;

/// What seeds are played, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Wire {
    /// Seeds: a number, or a range that includes both ends
    #[arg(long, default_value = "1..64")]
    seed: Seeds,
    /// Play each seed twice, and fail where the second run is another one
    #[arg(long)]
    check: bool,
    /// Play seeds as when there was nothing yet but pieces: no metadata, PORT, private torrents or remembered peers
    #[arg(long)]
    early: bool,
    /// Play also the seeds that once failed
    #[arg(long)]
    kept: bool,
    /// Play one seed more, which nobody chose; it is named
    #[arg(long)]
    fresh: bool,
    /// Break the swarm on purpose, one way after the other, and fail where no property notices
    #[arg(long)]
    self_check: bool,
    /// Write all that happens in words to this file; for one seed
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Runs at the same time; as many as there are processors when nothing is said
    #[arg(long)]
    jobs: Option<usize>,
}

/// A seed, and which run is meant by it.
#[derive(Clone, Copy)]
struct Seed {
    number: u64,
    is_early: bool,
}

/// Does what the arguments say; 1 is the exit code when a seed fails.
pub(crate) fn run(arguments: &Wire) -> anyhow::Result<ExitCode> {
    if arguments.self_check {
        let missed = wire::self_check();
        for missed in &missed {
            say(missed);
        }
        say(&format!("{} defects on purpose were missed", missed.len()));
        return Ok(if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let mut seeds: Vec<Seed> =
        arguments.seed.iter().map(|number| Seed { number, is_early: arguments.early }).collect();
    if arguments.kept {
        let kept = wire::kept_seeds().into_iter();
        seeds.extend(kept.map(|kept| Seed { number: kept.number, is_early: kept.is_early }));
    }
    if arguments.fresh {
        let seed = fresh();
        say(&format!("the fresh seed is {seed}"));
        seeds.push(Seed { number: seed, is_early: false });
    }
    if let Some(path) = &arguments.trace {
        return write_trace(seeds[0], path);
    }
    let threads = arguments.jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    quietly(|| {
        thread::scope(|scope| {
            for _ in 0..threads.clamp(1, seeds.len()) {
                scope.spawn(|| {
                    while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if !judge(*seed, arguments.check) {
                            failed.lock().expect("nobody panics under it").push(seed.number);
                        }
                    }
                });
            }
        });
    });
    let mut failed = failed.into_inner().expect("nobody panics under it");
    failed.sort_unstable();
    say(&format!("{} of {} seeds hold; failed: {failed:?}", seeds.len() - failed.len(), seeds.len()));
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A seed that nobody can foresee, from the standard library's seed of its hash maps.
fn fresh() -> u64 {
    RandomState::new().hash_one(0) % 1_000_000_000 + 1_000_000
}

/// Plays a seed; whether all held.
fn judge(seed: Seed, twice: bool) -> bool {
    let mut trace = Trace::new(Record::Nothing);
    let mut outcome = play(seed, &mut trace);
    if twice && let Ok(run) = &outcome {
        let again = play(seed, &mut Trace::new(Record::Nothing));
        if again.as_ref() != Ok(run) {
            outcome = Err(format!("the same seed is the same run: {run:?}, then {again:?}"));
        }
    }
    match outcome {
        Ok(run) => {
            line(&serde_json::json!({ "seed": seed.number, "run": run }));
            true
        }
        Err(why) => {
            line(&serde_json::json!({ "seed": seed.number, "violation": why }));
            say(&explain(seed, &why));
            false
        }
    }
}

/// Plays a seed; what does not hold, or a panic, in words.
fn play(seed: Seed, trace: &mut Trace) -> Result<Run, String> {
    match catch_unwind(AssertUnwindSafe(|| wire::run(seed.number, seed.is_early, trace))) {
        Ok(Ok(run)) => Ok(run),
        Ok(Err(violation)) => Err(violation.to_string()),
        Err(panic) => {
            let words = panic.downcast_ref::<String>().cloned();
            let words = words.or_else(|| panic.downcast_ref::<&str>().map(|&words| words.to_owned()));
            Err(format!("a panic: {}", words.unwrap_or_default()))
        }
    }
}

/// The report of a failed seed: how to see it again, and what happened last.
fn explain(seed: Seed, why: &str) -> String {
    let Seed { number, is_early } = seed;
    let mut trace = Trace::new(Record::Last);
    let _same = play(seed, &mut trace);
    let last: Vec<String> = trace.lines().map(|line| format!("  {line:.300}")).collect();
    format!(
        "\nseed {number} fails: {why}\n  {}\n{}\n  again: potluck-sim wire --seed {number}{} --trace FILE\n",
        wire::describe(number, is_early),
        last.join("\n"),
        if is_early { " --early" } else { "" },
    )
}

fn write_trace(seed: Seed, path: &std::path::Path) -> anyhow::Result<ExitCode> {
    let mut trace = Trace::new(Record::Everything);
    let outcome = quietly(|| play(seed, &mut trace));
    let file = fs::File::create(path).with_context(|| path.display().to_string())?;
    let mut out = std::io::BufWriter::new(file);
    writeln!(out, "seed {}: {}", seed.number, wire::describe(seed.number, seed.is_early))?;
    for line in trace.lines() {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "{outcome:?}")?;
    out.flush()?;
    say(&format!("seed {}: {outcome:?}", seed.number));
    Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Panics are caught and told in one line, without what the system says of them.
fn quietly<T>(what: impl FnOnce() -> T) -> T {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = what();
    std::panic::set_hook(usual);
    result
}

/// A line for programs.
fn line(value: &serde_json::Value) {
    // Whoever reads may have gone.
    let _ = writeln!(std::io::stdout().lock(), "{value}");
}

#[expect(clippy::print_stderr, reason = "for people")]
fn say(words: &str) {
    eprintln!("{words}");
}
