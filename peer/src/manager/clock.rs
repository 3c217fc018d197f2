//! The time of a list: durations of the monotonic clock, which stands still while a machine sleeps, and moments of the
//! calendar, which somebody may set.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// The calendar of a machine without a battery begins in 1970, until it hears the time over the network: this is 2020.
const PLAUSIBLE: Duration = Duration::from_secs(1_577_836_800);
/// A calendar that was wrong at the start is put right within this time.
const SETTLED_AFTER: Duration = Duration::from_secs(600);
/// What two clocks differ by that run at the same pace.
const DRIFT: Duration = Duration::from_secs(2);

/// Tells the time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    origin: Instant,
    /// What the calendar said at the origin, since 1970.
    calendar: Duration,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { origin: Instant::now(), calendar: calendar() }
    }

    /// Since it began, but for what the machine slept.
    pub(super) fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    /// When it began, since 1970, as the calendar said then.
    pub(super) fn began(&self) -> Duration {
        self.calendar
    }

    /// Seconds by which the calendar ran ahead since it began: the machine slept, or somebody set it.
    pub(super) fn ahead_seconds(&self) -> f64 {
        ahead_seconds(self.calendar + self.elapsed(), calendar())
    }

    /// Whether what lies ahead of the calendar is wrong, and not the calendar itself.
    pub(super) fn is_settled(&self) -> bool {
        is_settled(self.elapsed(), calendar())
    }

    /// Milliseconds since 1970. It goes back only where the calendar was set.
    pub(super) fn unix_ms(&self) -> u64 {
        let (expected, calendar) = (self.calendar + self.elapsed(), calendar());
        let is_near = expected.abs_diff(calendar) < DRIFT;
        (if is_near { expected } else { calendar }).as_millis() as u64
    }

    /// Seconds since 1970.
    pub(super) fn unix_seconds(&self) -> u64 {
        self.unix_ms() / 1_000
    }

    /// When the calendar will say so many milliseconds since 1970, if nobody sets it.
    pub(super) fn at_unix_ms(&self, unix_ms: u64) -> Instant {
        Instant::now() + Duration::from_millis(unix_ms.saturating_sub(self.unix_ms()))
    }

    /// When so much time will have passed since it began.
    pub(super) fn at_elapsed(&self, elapsed: Duration) -> Instant {
        self.origin + elapsed
    }
}

fn calendar() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn ahead_seconds(expected: Duration, calendar: Duration) -> f64 {
    let ahead = calendar.as_secs_f64() - expected.as_secs_f64();
    if ahead.abs() < DRIFT.as_secs_f64() { 0.0 } else { ahead }
}

fn is_settled(elapsed: Duration, calendar: Duration) -> bool {
    elapsed >= SETTLED_AFTER && calendar >= PLAUSIBLE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_puts_the_calendar_ahead_and_drift_does_not() {
        let at = Duration::from_secs;
        for (expected, calendar, ahead) in
            [(1_000, 1_001, 0.0), (1_000, 4_600, 3_600.0), (4_600, 1_000, -3_600.0), (1_000, 1_000, 0.0)]
        {
            assert!((ahead_seconds(at(expected), at(calendar)) - ahead).abs() < 0.001, "{calendar}");
        }
    }

    #[test]
    fn a_calendar_is_believed_when_it_had_time_to_be_put_right() {
        let (now, year_1970) = (PLAUSIBLE * 2, Duration::from_secs(9_999));
        for (elapsed, calendar, is_believed) in
            [(599, now, false), (600, now, true), (9_999, year_1970, false)]
        {
            assert_eq!(is_settled(Duration::from_secs(elapsed), calendar), is_believed, "{elapsed}");
        }
    }
}
