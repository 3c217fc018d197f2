//! The one place that reads a clock: mints the machines' [`Instant`] from the operating system's monotonic one.

use potluck_common::Instant;

/// A monotonic clock whose origin is the engine's start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: tokio::time::Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { origin: tokio::time::Instant::now() }
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::from_micros(self.origin.elapsed().as_micros() as u64)
    }

    /// The operating system's instant for a machine's deadline. Deadlines that never come are a day away.
    pub(crate) fn deadline(&self, at: Instant) -> tokio::time::Instant {
        let day = Instant::from_secs(24 * 3600) + std::time::Duration::from_micros(self.now().as_micros());
        self.origin + at.min(day).since(Instant::ZERO)
    }
}
