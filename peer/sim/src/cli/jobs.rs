//! Runs on several threads. Each run is a thread's own, and results come out in order.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "threads and the clock are the shell's"
)]

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    sync::mpsc,
    thread,
    time::Instant,
};

use potluck_sim::Scenario;

/// One run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<'a> {
    pub(crate) name: &'a str,
    pub(crate) scenario: &'a Scenario,
    pub(crate) seed: u64,
}

/// Plays every job on `threads` threads; `done` gets the results in the order of the jobs.
pub(crate) fn run_all<'a, Played: Send, Failed: std::error::Error + Send + Sync + 'static>(
    jobs: &[Job<'a>],
    threads: Option<usize>,
    play: impl Fn(&Scenario, u64) -> Result<Played, Failed> + Sync,
    mut done: impl FnMut(&Job<'a>, Played) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let threads = threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let next = AtomicUsize::new(0);
    let (results, arrived) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, jobs.len().max(1)) {
            let (results, next, play) = (results.clone(), &next, &play);
            scope.spawn(move || {
                while let Some((number, job)) = take(jobs, next) {
                    if results.send((number, timed(job, play))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(results);
        in_order(jobs, &arrived, &mut done)
    })
}

fn take<'a, 'b>(jobs: &'b [Job<'a>], next: &AtomicUsize) -> Option<(usize, &'b Job<'a>)> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    jobs.get(number).map(|job| (number, job))
}

fn timed<Result>(job: &Job<'_>, play: impl Fn(&Scenario, u64) -> Result) -> Result {
    let began = Instant::now();
    let result = play(job.scenario, job.seed);
    #[expect(clippy::print_stderr, reason = "times are for people, and not part of the report")]
    {
        eprintln!("{} seed {}: {:.1} s", job.name, job.seed, began.elapsed().as_secs_f64());
    }
    result
}

fn in_order<'a, Played, Failed: std::error::Error + Send + Sync + 'static>(
    jobs: &[Job<'a>],
    arrived: &mpsc::Receiver<(usize, Result<Played, Failed>)>,
    done: &mut impl FnMut(&Job<'a>, Played) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut waiting = std::collections::BTreeMap::new();
    let mut next = 0;
    for (number, result) in arrived {
        waiting.insert(number, result);
        while let Some(result) = waiting.remove(&next) {
            done(&jobs[next], result?)?;
            next += 1;
        }
    }
    Ok(())
}
