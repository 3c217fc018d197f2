//! When to announce next: clamped intervals, backoff, and the jitter that keeps many torrents from moving in step.

use potluck_common::{Duration, Instant, Rng};

/// Shortest time between two announces without an event, whatever the tracker says.
pub const INTERVAL_MIN: Duration = Duration::from_secs(60);
/// Longest time between two announces, whatever the tracker says: a tracker forgets peers long before that.
pub const INTERVAL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// The interval when the tracker names none; what most trackers say.
pub const INTERVAL_DEFAULT: Duration = Duration::from_secs(30 * 60);
/// The earliest re-announce for want of peers when the tracker names no minimum; libtorrent's figure.
pub const MIN_INTERVAL_DEFAULT: Duration = Duration::from_secs(5 * 60);
/// Shortest wait after a failure.
pub const BACKOFF_MIN: Duration = Duration::from_secs(15);
/// Longest wait after a failure that may pass.
pub const BACKOFF_MAX: Duration = Duration::from_secs(60 * 60);
/// Shortest wait after the tracker itself said no: its reason will hardly change within seconds.
pub const REFUSED_BACKOFF_MIN: Duration = Duration::from_secs(5 * 60);

/// The two times that a good reply sets for its tracker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NextTimes {
    /// The regular re-announce.
    pub(super) regular: Instant,
    /// The earliest re-announce for want of peers.
    pub(super) early: Instant,
}

/// The times that follow from a reply at `now`: the interval is a lower bound, so jitter only adds to it (up to 5 %).
pub(super) fn after_reply(
    now: Instant,
    interval: Option<Duration>,
    min_interval: Option<Duration>,
    rng: &mut Rng,
) -> NextTimes {
    let clamp = |interval: Duration| interval.clamp(INTERVAL_MIN, INTERVAL_MAX);
    let interval = clamp(interval.unwrap_or(INTERVAL_DEFAULT));
    let min_interval = clamp(min_interval.unwrap_or(interval.min(MIN_INTERVAL_DEFAULT)));
    let interval = interval.max(min_interval);
    let regular = interval.mul_f64(1.0 + 0.05 * rng.fraction()).min(INTERVAL_MAX);
    NextTimes { regular: now + regular, early: now + min_interval }
}

/// The wait after the `failures`-th failure in a row: doubling steps from `shortest` to [`BACKOFF_MAX`], drawn evenly
/// from `shortest..2·shortest`, then from twice that, and at last from the upper half of the bound.
pub(super) fn backoff(failures: u32, shortest: Duration, rng: &mut Rng) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let step = (shortest * 2 * 2u32.pow(doublings)).min(BACKOFF_MAX);
    (step / 2).mul_f64(1.0 + rng.fraction())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_6_2_intervals_are_clamped_and_the_minimum_is_kept() {
        let secs = Duration::from_secs;
        // (interval, min interval) of the reply; regular at least, at most; early, all in seconds.
        let cases = [
            (None, None, 1_800, 1_890, 300),
            (Some(secs(0)), None, 60, 63, 60),
            (Some(secs(1)), Some(secs(0)), 60, 63, 60),
            (Some(secs(1_000)), Some(secs(30)), 1_000, 1_050, 60),
            (Some(secs(120)), None, 120, 126, 120),
            (Some(secs(1_800)), Some(secs(900)), 1_800, 1_890, 900),
            (Some(secs(600)), Some(secs(900)), 900, 945, 900),
            (Some(secs(1 << 31)), Some(secs(1 << 31)), 86_400, 86_400, 86_400),
            (Some(Duration::MAX), None, 86_400, 86_400, 300),
        ];
        let now = Instant::from_secs(1_000);
        let mut rng = Rng::new(1);
        for (interval, min_interval, least, most, early) in cases {
            let times = after_reply(now, interval, min_interval, &mut rng);
            let regular = times.regular.since(now);
            assert!(
                secs(least) <= regular && regular <= secs(most),
                "{interval:?} {min_interval:?}: {regular:?}"
            );
            assert_eq!(times.early.since(now), secs(early), "{interval:?} {min_interval:?}");
        }
    }

    #[test]
    fn row_6_1_backoff_doubles_within_its_bounds() {
        let mut rng = Rng::new(2);
        for shortest in [BACKOFF_MIN, REFUSED_BACKOFF_MIN] {
            for failures in [0, 1, 2, 3, 8, 9, 100, u32::MAX] {
                let waits: Vec<_> = (0..200).map(|_| backoff(failures, shortest, &mut rng)).collect();
                let step = (shortest * 2 * 2u32.pow(failures.saturating_sub(1).min(16))).min(BACKOFF_MAX);
                assert!(waits.iter().all(|wait| (shortest..=BACKOFF_MAX).contains(wait)), "{failures}");
                assert!(waits.iter().all(|wait| step / 2 <= *wait && *wait <= step), "{failures}");
                assert!(waits.iter().max() > waits.iter().min(), "jitter");
            }
        }
    }
}
