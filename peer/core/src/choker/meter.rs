//! How much passed in this round and the one before: rates that a decision is made by.

use potluck_common::{Duration, Instant};

/// When a round began, and its number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    pub(super) number: u32,
    pub(super) began: Instant,
    /// How long rounds last.
    pub(super) length: Duration,
}

/// Bytes of this round and the last.
///
/// A rate is over both rounds whole, also for somebody who began in the middle: nobody looks fast by one burst.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Meter {
    /// The round that `this` belongs to.
    round: u32,
    this: u64,
    previous: u64,
}

impl Meter {
    pub(super) fn add(&mut self, round: u32, bytes: u64) {
        (self.this, self.previous) = self.at(round);
        self.round = round;
        self.this += bytes;
    }

    /// These bytes do not count after all.
    pub(super) fn take_back(&mut self, round: u32, bytes: u64) {
        (self.this, self.previous) = self.at(round);
        self.round = round;
        self.previous = self.previous.saturating_sub(bytes.saturating_sub(self.this));
        self.this = self.this.saturating_sub(bytes);
    }

    /// Bytes per second over this round and the last one.
    pub(super) fn per_second(&self, now: Instant, round: Round) -> u64 {
        let (this, previous) = self.at(round.number);
        if this + previous == 0 {
            return 0;
        }
        let span = round.length + now.since(round.began).min(round.length);
        (u128::from(this + previous) * 1_000_000 / span.as_micros().max(1)) as u64
    }

    /// Bytes of the given round and of the one before it.
    fn at(&self, round: u32) -> (u64, u64) {
        match round.wrapping_sub(self.round) {
            0 => (self.this, self.previous),
            1 => (0, self.this),
            _ => (0, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_over_two_rounds() {
        let length = Duration::from_secs(10);
        let round = |number: u32| Round { number, began: Instant::from_secs(u64::from(number) * 10), length };
        let at = Instant::from_secs;
        let mut meter = Meter::default();
        assert_eq!(meter.per_second(at(10), round(1)), 0);
        meter.add(1, 200_000);
        assert_eq!(meter.per_second(at(10), round(1)), 20_000, "a burst is spread over the last round");
        assert_eq!(meter.per_second(at(20), round(1)), 10_000);
        assert_eq!(meter.per_second(at(30), round(2)), 10_000);
        meter.add(2, 100_000);
        assert_eq!(meter.per_second(at(30), round(2)), 15_000);
        meter.take_back(2, 150_000);
        assert_eq!(meter.per_second(at(30), round(2)), 7_500, "the newest bytes go first");
        assert_eq!(meter.per_second(at(40), round(3)), 0);
        assert_eq!(meter.per_second(at(50), round(4)), 0);
    }
}
