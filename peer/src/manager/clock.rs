//! The time of a list: of the monotonic clock, counted from when it began by the calendar's.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Tells the time. It never goes back while it runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    origin: Instant,
    /// What the calendar said at the origin, since 1970.
    calendar: Duration,
}

impl Clock {
    pub(super) fn start() -> Self {
        let calendar = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { origin: Instant::now(), calendar }
    }

    /// Since it began.
    pub(super) fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    /// When it began, since 1970.
    pub(super) fn began(&self) -> Duration {
        self.calendar
    }

    /// Milliseconds since 1970.
    pub(super) fn unix_ms(&self) -> u64 {
        (self.calendar + self.elapsed()).as_millis() as u64
    }

    /// Seconds since 1970.
    pub(super) fn unix_seconds(&self) -> u64 {
        self.unix_ms() / 1_000
    }

    /// When the calendar will say so many milliseconds since 1970.
    pub(super) fn at_unix_ms(&self, unix_ms: u64) -> Instant {
        self.origin + Duration::from_millis(unix_ms).saturating_sub(self.calendar)
    }

    /// When so much time will have passed since it began.
    pub(super) fn at_elapsed(&self, elapsed: Duration) -> Instant {
        self.origin + elapsed
    }
}
