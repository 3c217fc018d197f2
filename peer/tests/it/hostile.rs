//! The engine against peers that mean harm, over real loopback sockets.
//!
//! A hostile peer is a few lines of raw bytes ([`peer`]) against an engine on an address of its own ([`scene`]). Trials
//! that weigh this process's memory or count its descriptors run in a process of their own ([`alone`]). No trial
//! measures a time exactly: what must come has a generous deadline, what must not come too early a bound of its own.

mod alone;
mod blocks;
mod crowds;
mod deadlines;
mod endings;
mod extended;
mod handshakes;
pub(crate) mod idle_crowd;
mod lengths;
mod partition;
mod peer;
mod pieces_told;
mod poison;
mod requests;
mod scene;
mod uploads;

use std::time::Duration;

use libtest_mimic::Trial;
use tokio::runtime::Builder;
use tokio::time::{self, timeout};

use crate::support::Outcome;
use crate::support::room::{self, Room};

/// How long a trial may take, on a machine that is busy with other trials.
const PATIENCE: Duration = Duration::from_secs(90);

/// The trials of this folder. The slow ones come first, so that they run beside the others.
pub(crate) fn trials() -> Vec<Trial> {
    let trials = [
        handshakes::trials(),
        crowds::trials(),
        idle_crowd::trials(),
        endings::trials(),
        extended::trials(),
        partition::trials(),
        poison::trials(),
        uploads::trials(),
        deadlines::trials(),
        lengths::trials(),
        requests::trials(),
        blocks::trials(),
        pieces_told::trials(),
    ];
    trials.into_iter().flatten().collect()
}

/// A trial that runs beside others.
fn trial(name: &str, run: impl AsyncFnOnce(&Room) -> Outcome + Send + 'static) -> Trial {
    Trial::test(format!("hostile::{name}"), move || room::run(PATIENCE, |room| block_on(room, run)))
}

fn block_on(room: &Room, run: impl AsyncFnOnce(&Room) -> Outcome) -> Outcome {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = runtime.block_on(async { timeout(room.deadline.remaining(), run(room)).await });
    // The engine's threads may be at work for a trial that was given up.
    runtime.shutdown_timeout(Duration::from_secs(2));
    result.map_err(|_| "not before the deadline")?
}

/// A trial on one thread, which alone may put the clock forward.
fn trial_with_clock(name: &str, run: impl AsyncFnOnce(&Room) -> Outcome + Send + 'static) -> Trial {
    let runner = move |room: &Room| {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let result = runtime.block_on(run(room));
        runtime.shutdown_timeout(Duration::from_secs(2));
        result
    };
    Trial::test(format!("hostile::{name}"), move || room::run(PATIENCE, runner))
}

/// Lets time pass for the engine.
async fn pass(seconds: u64) {
    time::pause();
    time::advance(Duration::from_secs(seconds)).await;
    time::resume();
}

/// Waits for `future`, but no longer than `seconds`.
async fn within<T>(seconds: u64, what: &str, future: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    match timeout(Duration::from_secs(seconds), future).await {
        Ok(result) => result.map_err(|error| format!("{what}: {error}").into()),
        Err(_) => Err(format!("{what}: not within {seconds} s").into()),
    }
}

/// An error with the text of `message` unless `holds`.
fn ensure(holds: bool, message: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(message().into()) }
}
