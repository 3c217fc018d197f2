//! What every trial needs: addresses, processes, payloads, trackers, and waiting for something outside to happen.

pub(crate) mod address;
pub(crate) mod bencode;
pub(crate) mod http;
pub(crate) mod payload;
pub(crate) mod process;
pub(crate) mod room;
pub(crate) mod tracker;
pub(crate) mod transfer;
pub(crate) mod trial;

use std::time::{Duration, Instant};

/// Any error of a trial: it is only ever printed.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// What a step of a trial gives.
pub(crate) type Outcome<T = ()> = Result<T, Error>;

/// When a trial is given up.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    pub(crate) fn after(patience: Duration) -> Self {
        Self(Instant::now() + patience)
    }

    pub(crate) fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// Asks `question` every 50 ms until it answers, fails, or `deadline` passes. Other programs can only be polled.
pub(crate) fn wait_for<T>(
    deadline: Deadline,
    what: &str,
    mut question: impl FnMut() -> Outcome<Option<T>>,
) -> Outcome<T> {
    loop {
        if let Some(answer) = question().map_err(|error| format!("{what}: {error}"))? {
            return Ok(answer);
        }
        if deadline.remaining().is_zero() {
            return Err(format!("{what}: not before the deadline").into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
