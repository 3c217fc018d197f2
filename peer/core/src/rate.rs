//! Rates: a token bucket for limits, and a moving estimate for people and for decisions.

use potluck_common::{Duration, Instant};

/// A limit in bytes per second, kept by scheduling: each reservation moves the time at which the next may pass.
///
/// Reservations are served in the order they were made, so those who each hold at most one share the limit in equal
/// turns. Shares by weight are for [`crate::uplink`].
#[derive(Clone, Debug)]
pub struct TokenBucket {
    bytes_per_second: Option<u64>,
    /// When the bucket is level again; it may lie up to `BURST` in the past.
    next_free: Instant,
}

/// How much unused time may be made up for at once. Short, so that a limit shows no bursts.
const BURST: Duration = Duration::from_millis(100);

impl TokenBucket {
    /// A bucket with this limit; `None` is no limit.
    pub fn new(bytes_per_second: Option<u64>) -> Self {
        Self { bytes_per_second, next_free: Instant::ZERO }
    }

    /// Changes the limit; what is already reserved keeps its time.
    pub fn set_limit(&mut self, bytes_per_second: Option<u64>) {
        self.bytes_per_second = bytes_per_second;
    }

    /// Changes the limit; what is already reserved and has not passed yet passes at the new one.
    pub fn change_limit(&mut self, now: Instant, bytes_per_second: Option<u64>) {
        if bytes_per_second == self.bytes_per_second {
            return;
        }
        let waits = self.next_free.since(now).as_micros();
        let bytes = self.bytes_per_second.map_or(0, |old| waits * u128::from(old) / 1_000_000);
        self.bytes_per_second = bytes_per_second;
        if self.next_free > now {
            self.next_free = now + self.time_of(u64::try_from(bytes).unwrap_or(u64::MAX));
        }
    }

    /// When everything that was reserved has passed but the last so many bytes.
    pub fn passed_at(&self, bytes_behind: u64) -> Instant {
        self.free_at() - self.time_of(bytes_behind)
    }

    /// How long so many bytes take.
    fn time_of(&self, bytes: u64) -> Duration {
        let Some(limit) = self.bytes_per_second else { return Duration::ZERO };
        let micros = (u128::from(bytes) * 1_000_000).div_ceil(u128::from(limit.max(1)));
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// The limit in bytes per second.
    pub fn limit(&self) -> Option<u64> {
        self.bytes_per_second
    }

    /// When what was reserved has passed: the next bytes may from then on.
    pub fn free_at(&self) -> Instant {
        self.bytes_per_second.map_or(Instant::ZERO, |_| self.next_free)
    }

    /// Reserves `bytes` and tells when they may pass: at or before `now` means at once.
    pub fn reserve(&mut self, now: Instant, bytes: u64) -> Instant {
        if self.bytes_per_second.is_none() {
            return now;
        }
        let start = self.next_free.max(now - BURST);
        self.next_free = start + self.time_of(bytes);
        start
    }
}

/// The number of one-second cells that a [`RateMeter`] looks back over.
const CELLS: usize = 20;

/// Bytes per second over the last 20 seconds (or since the first byte, if that is more recent).
///
/// It takes memory from the first byte on: most connections never see one.
#[derive(Clone, Debug, Default)]
pub struct RateMeter(Option<Box<Window>>);

#[derive(Clone, Debug)]
struct Window {
    cells: [u64; CELLS],
    /// The second that the newest cell stands for.
    second: u64,
    started: Instant,
    total: u64,
}

impl RateMeter {
    /// Counts `bytes` that passed at `now`.
    pub fn add(&mut self, now: Instant, bytes: u64) {
        let second = now.as_micros() / 1_000_000;
        let new = || Box::new(Window { cells: [0; CELLS], second, started: now, total: 0 });
        let window = self.0.get_or_insert_with(new);
        window.advance(now);
        window.total += bytes;
        window.cells[(window.second % CELLS as u64) as usize] += bytes;
    }

    /// All bytes ever counted.
    pub fn total(&self) -> u64 {
        self.0.as_ref().map_or(0, |window| window.total)
    }

    /// The mean over the window of 20 s, in bytes per second.
    pub fn per_second(&mut self, now: Instant) -> u64 {
        self.0.as_mut().map_or(0, |window| window.over(now, CELLS as u64))
    }

    /// The mean over the last five seconds, in bytes per second: what a person reads as "now".
    pub fn recent(&mut self, now: Instant) -> u64 {
        self.0.as_mut().map_or(0, |window| window.over(now, 5))
    }
}

impl Window {
    fn over(&mut self, now: Instant, seconds: u64) -> u64 {
        self.advance(now);
        // The newest cell is under way: the window is the whole cells behind it plus its passed part.
        let sum: u64 = (0..seconds)
            .filter_map(|back| self.second.checked_sub(back))
            .map(|s| self.cells[(s % CELLS as u64) as usize])
            .sum();
        let part = Duration::from_micros(now.as_micros() % 1_000_000);
        let window = (Duration::from_secs(seconds - 1) + part)
            .min(now.since(self.started))
            .max(Duration::from_millis(500));
        (sum as f64 / window.as_secs_f64()) as u64
    }

    fn advance(&mut self, now: Instant) {
        let second = now.as_micros() / 1_000_000;
        let passed = second.saturating_sub(self.second).min(CELLS as u64);
        for back in 0..passed {
            self.cells[((second - back) % CELLS as u64) as usize] = 0;
        }
        self.second = self.second.max(second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_5_9_no_time_is_too_late_to_count() {
        for now in [315_360_000, 3_153_600_000, u64::MAX / 1_000_000].map(Instant::from_secs) {
            for now in [now, Instant::FAR_FUTURE] {
                let mut bucket = TokenBucket::new(Some(1));
                bucket.reserve(now, u64::MAX);
                assert!(bucket.reserve(now, 1) >= now);
                let mut meter = RateMeter::default();
                meter.add(Instant::ZERO, 5);
                meter.add(now, 1_000_000);
                assert_eq!(meter.total(), 1_000_005);
                // Even a clock that was put back.
                meter.add(Instant::ZERO, 1_000_000);
                assert!(meter.per_second(now) <= 4_000_000 && meter.recent(Instant::ZERO) <= 4_000_000);
            }
        }
    }

    #[test]
    fn a_bucket_passes_its_limit_and_no_more() {
        let mut bucket = TokenBucket::new(Some(1_000_000));
        let mut now = Instant::from_secs(10);
        let start = now;
        for _ in 0..1_000 {
            now = bucket.reserve(now, 16_384).max(now);
        }
        let rate = 1_000.0 * 16_384.0 / now.since(start).as_secs_f64();
        assert!((990_000.0..1_020_000.0).contains(&rate), "{rate}");
        assert_eq!(TokenBucket::new(None).reserve(now, u64::MAX), now);
    }

    #[test]
    fn a_changed_limit_holds_for_what_waits() {
        let now = Instant::from_secs(10);
        let mut bucket = TokenBucket::new(Some(1_000));
        bucket.reserve(now, 16_100);
        assert_eq!(bucket.free_at(), now + Duration::from_secs(16), "100 bytes are made up for");
        assert_eq!(bucket.passed_at(6_000), now + Duration::from_secs(10));
        bucket.change_limit(now + Duration::from_secs(6), Some(1_000_000));
        assert_eq!(bucket.free_at(), now + Duration::from_millis(6_010));
        bucket.change_limit(now + Duration::from_secs(6), Some(100));
        assert_eq!(bucket.free_at(), now + Duration::from_secs(106));
        bucket.change_limit(now + Duration::from_secs(7), None);
        assert_eq!(bucket.reserve(now, 1 << 40), now);
        bucket.change_limit(now + Duration::from_secs(8), Some(100));
        assert!(bucket.free_at() <= now + Duration::from_secs(8), "what waited has gone");
    }

    #[test]
    fn a_meter_reads_a_steady_rate_and_forgets() {
        let mut meter = RateMeter::default();
        let mut now = Instant::from_secs(100);
        for _ in 0..600 {
            meter.add(now, 5_000);
            now += Duration::from_millis(50);
        }
        for rate in [meter.per_second(now), meter.recent(now)] {
            assert!((95_000..=105_000).contains(&rate), "{rate}");
        }
        now += Duration::from_secs(21);
        assert_eq!(meter.per_second(now), 0);
        assert_eq!(meter.total(), 3_000_000);
    }
}
