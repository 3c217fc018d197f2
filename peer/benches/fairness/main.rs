//! Whether free riding pays, among real processes on loopback.
//!
//! `cargo bench -p potluck-peer --bench fairness` lets swarms of real processes share a payload: one slow seed, ten
//! contributors and three pure free riders, which take and never give. Every process has an address of its own and meets
//! the others at our tracker. The contributors are Potluck, libtorrent sessions with eight or with four slots, or half of
//! each; the free riders are always libtorrent sessions. Whoever is complete leaves, only the seed stays. Swarms run side
//! by side, as they are slow and use little of the machine.
//!
//! Each swarm is one JSON line on standard output. Then a table on standard error has for each kind of swarm, as mean and
//! standard deviation over its runs:
//!
//! - *FR/good*: the mean download time of the free riders over that of the contributors. Above 1, free riding costs.
//! - *mean/bound*: the contributors' mean download time over the least that it could be if all peers were alike (Kumar and
//!   Ross 2006): `max(F/u_seed, F/d, N·F/(u_seed + Σu))` for `N` takers, free riders among them. It may be below 1, as
//!   free riders can be made to wait.
//! - what the free riders got from contributors, as a share of all that contributors were able to give in that time.
//!
//! A swarm in which a contributor did not finish byte-exact, or in which a free rider gave anything, counts as failed.
//! `-- --help` tells the options.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

mod arguments;
mod kind;
mod member;
mod payload;
#[path = "../support/process.rs"]
mod process;
#[path = "../support/program.rs"]
mod program;
mod report;
mod swarm;
mod table;
mod tracker;

use std::{
    error::Error,
    fs, thread,
    time::{Duration, Instant},
};

use self::{arguments::Arguments, kind::Kind, report::Report, swarm::Ground, tracker::Tracker};

/// What most functions of this bench give back.
type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Between the starts of two swarms, so that they do not begin in step.
const STAGGER: Duration = Duration::from_millis(1_700);

fn main() -> Outcome {
    let Some(arguments) = Arguments::parse(std::env::args().skip(1))? else {
        print!("{}", arguments::HELP);
        return Ok(());
    };
    let mut reports = earlier(&arguments)?;
    if !arguments.kinds.is_empty() {
        reports.extend(run_all(&arguments)?);
    }
    eprint!("{}", table::render(&reports));
    if table::is_good(&reports) { Ok(()) } else { Err("not every goal is met".into()) }
}

/// The lines of earlier runs.
fn earlier(arguments: &Arguments) -> Outcome<Vec<Report>> {
    let mut reports = Vec::new();
    for path in &arguments.earlier {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        for line in text.lines() {
            reports.push(serde_json::from_str(line).map_err(|error| format!("{}: {error}", path.display()))?);
        }
    }
    Ok(reports)
}

/// Every swarm that is asked for, as many side by side as the options allow.
fn run_all(arguments: &Arguments) -> Outcome<Vec<Report>> {
    let potluck = arguments.potluck.clone().map_or_else(program::built, Ok)?.canonicalize()?;
    let folder = tempfile::Builder::new().prefix("potluck-fairness-").tempdir_in(&arguments.folder)?;
    let tracker = Tracker::start(arguments.network)?;
    let ground = Ground { arguments, potluck: &potluck, tracker: &tracker, folder: folder.path() };
    // Kinds take turns, so that all of them meet the same machine.
    let swarms: Vec<Kind> = (0..arguments.runs).flat_map(|_| arguments.kinds.iter().copied()).collect();
    let mut reports = Vec::new();
    for (batch, kinds) in swarms.chunks(arguments.parallel).enumerate() {
        reports.extend(run_batch(&ground, kinds, batch * arguments.parallel)?);
    }
    Ok(reports)
}

fn run_batch(ground: &Ground<'_>, kinds: &[Kind], first: usize) -> Outcome<Vec<Report>> {
    let began = Instant::now();
    thread::scope(|scope| {
        let running: Vec<_> = kinds
            .iter()
            .enumerate()
            .map(|(number, kind)| {
                let at = began + STAGGER * number as u32;
                scope.spawn(move || {
                    thread::sleep(at.saturating_duration_since(Instant::now()));
                    let report = ground.run(*kind, first + number);
                    if let Ok(line) = serde_json::to_string(&report) {
                        println!("{line}");
                    }
                    eprintln!("{}", table::in_short(&report));
                    report
                })
            })
            .collect();
        let reports = running
            .into_iter()
            .map(|swarm| swarm.join().map_err(|_panic| "a swarm's thread panicked".into()));
        reports.collect()
    })
}
