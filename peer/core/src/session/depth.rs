//! How many requests to keep outstanding: twice the bandwidth-delay product; of a peer that is known to be slow, no more than it
//! brings in some seconds.
//!
//! The delay is the shortest round trip ever seen, because every later one includes the queue that the depth itself
//! makes. The bandwidth is the highest recent delivery rate, each sample taken over one request's flight. While the
//! link is not full, twice the product is twice what is outstanding now, so the depth doubles each round trip; once
//! it is full, the rate stops growing and so does the depth. (The idea is BBR's, Cardwell et al. 2016.)

use potluck_common::{Duration, Instant, limits::BLOCK_LENGTH};

use super::config::{
    REQUEST_DEPTH_MAX, REQUEST_DEPTH_MIN, REQUEST_DEPTH_NEARBY, REQUEST_DEPTH_SLOW, REQUEST_QUEUE_ASSUMED,
    REQUESTS_LAST,
};

/// How long a delivery rate is remembered, at least; at most twice as long.
const RATE_WINDOW: Duration = Duration::from_secs(5);

/// Below this round trip a fast link is "nearby".
const NEARBY_ROUND_TRIP: Duration = Duration::from_millis(1);

/// From this rate on, in bytes per second, a link is fast.
const FAST_RATE: u64 = 10 * 1000 * 1000;

/// How often a changed round trip is worth telling.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// What was delivered when a request left, for the sample taken when its block comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Departure {
    at: Instant,
    delivered: u64,
}

impl Departure {
    /// When the request left.
    pub(super) fn at(self) -> Instant {
        self.at
    }
}

/// The estimate.
#[derive(Clone, Debug)]
pub(super) struct Depth {
    /// Invariant: `1..=REQUEST_DEPTH_MAX`.
    current: u32,
    /// What the peer queues.
    queue_max: u32,
    round_trip_min: Option<Duration>,
    round_trip_smoothed: Option<Duration>,
    reported_at: Option<Instant>,
    /// All bytes of requested blocks.
    delivered: u64,
    /// Highest rate in the window under way and in the one before, in bytes per second.
    rates: [u64; 2],
    window_start: Instant,
}

impl Default for Depth {
    fn default() -> Self {
        Self {
            current: REQUEST_DEPTH_MIN,
            queue_max: REQUEST_QUEUE_ASSUMED,
            round_trip_min: None,
            round_trip_smoothed: None,
            reported_at: None,
            delivered: 0,
            rates: [0; 2],
            window_start: Instant::ZERO,
        }
    }
}

impl Depth {
    /// How many requests may be outstanding now.
    pub(super) fn current(&self) -> u32 {
        self.current
    }

    /// The smoothed round trip from request to block.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip_smoothed
    }

    /// Takes the peer's `reqq` (BEP 10).
    pub(super) fn set_queue_max(&mut self, queue_max: u32) {
        self.queue_max = queue_max.max(1);
        self.update();
    }

    /// Forgets how fast the peer was, and not how far away it is.
    pub(super) fn restart(&mut self) {
        self.rates = [0; 2];
        self.update();
    }

    /// Marks the departure of a request.
    pub(super) fn departure(&self, now: Instant) -> Departure {
        Departure { at: now, delivered: self.delivered }
    }

    /// Takes the arrival of a requested block of `length` bytes.
    pub(super) fn arrived(&mut self, now: Instant, departure: Departure, length: u32) {
        self.delivered += u64::from(length);
        let flight = now.since(departure.at);
        self.round_trip_min = Some(self.round_trip_min.map_or(flight, |least| least.min(flight)));
        self.round_trip_smoothed =
            Some(self.round_trip_smoothed.map_or(flight, |old| (old * 7 + flight) / 8));
        let micros = (flight.as_micros() as u64).max(1);
        let rate = (self.delivered - departure.delivered).saturating_mul(1_000_000) / micros;
        if now.since(self.window_start) >= RATE_WINDOW {
            self.rates = [0, self.rates[0]];
            self.window_start = now;
        }
        self.rates[0] = self.rates[0].max(rate);
    }

    /// Computes the depth anew; for once after each batch of arrivals.
    pub(super) fn update(&mut self) {
        let rate = self.rates[0].max(self.rates[1]);
        let round_trip = self.round_trip_min.unwrap_or_default();
        let nearby = self.round_trip_min.is_some_and(|least| least < NEARBY_ROUND_TRIP) && rate >= FAST_RATE;
        let least = match rate {
            0 => REQUEST_DEPTH_MIN,
            _ if nearby => REQUEST_DEPTH_NEARBY,
            _ => blocks_in(REQUESTS_LAST, rate).clamp(REQUEST_DEPTH_SLOW, REQUEST_DEPTH_MIN),
        };
        let full = blocks_in(round_trip * 2, rate);
        self.current = full.max(least).min(self.queue_max).min(REQUEST_DEPTH_MAX);
    }

    /// The smoothed round trip, when it is time to tell it again.
    pub(super) fn report(&mut self, now: Instant) -> Option<Duration> {
        let round_trip = self.round_trip_smoothed?;
        if self.reported_at.is_some_and(|last| now.since(last) < REPORT_INTERVAL) {
            return None;
        }
        self.reported_at = Some(now);
        Some(round_trip)
    }
}

/// Whole blocks that come in this time at a rate in bytes per second.
fn blocks_in(time: Duration, rate: u64) -> u32 {
    let bytes = u128::from(rate) * time.as_micros() / 1_000_000;
    u32::try_from(bytes / u128::from(BLOCK_LENGTH)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// A sender's line, and the requests that are out on it.
    struct Link {
        depth: Depth,
        now: Instant,
        free_at: Instant,
        flying: VecDeque<(Instant, Departure)>,
    }

    impl Link {
        fn new(queue_max: u32) -> Self {
            let mut depth = Depth::default();
            depth.set_queue_max(queue_max);
            Self { depth, now: Instant::from_secs(1), free_at: Instant::ZERO, flying: VecDeque::new() }
        }

        /// Runs with this rate and round trip until the depth has settled, and returns it.
        fn settle(&mut self, bytes_per_second: u64, round_trip: Duration) -> u32 {
            let per_block = Duration::from_micros(u64::from(BLOCK_LENGTH) * 1_000_000 / bytes_per_second);
            let end = self.now + Duration::from_secs(12).max(round_trip * 30);
            while self.now < end {
                while self.flying.len() < self.depth.current() as usize {
                    // The line serves requests one after another, and each has travelled first.
                    self.free_at = self.free_at.max(self.now + round_trip) + per_block;
                    self.flying.push_back((self.free_at, self.depth.departure(self.now)));
                }
                let (arrival, departure) = self.flying.pop_front().expect("the depth is at least one");
                self.now = arrival;
                self.depth.arrived(self.now, departure, BLOCK_LENGTH);
                self.depth.update();
            }
            self.depth.current()
        }
    }

    #[test]
    fn depth_settles_at_twice_the_bandwidth_delay_product_or_some_seconds_of_a_slow_link() {
        let ms = Duration::from_millis;
        let cases = [
            (20_000, ms(50), 500, 4..=4),
            (50_000, ms(50), 500, 8..=10),
            (50_000, ms(3_000), 500, 18..=21),
            (90_000, ms(50), 500, 16..=16),
            (1_000_000, ms(50), 500, 16..=16),
            (10_000_000, ms(100), 500, 120..=126),
            (5_000_000, ms(200), 500, 120..=126),
            (50_000_000, ms(100), 500, 500..=500),
            (50_000_000, ms(100), 2_000, 512..=512),
            (10_000_000, ms(100), 50, 50..=50),
            (10_000_000, ms(100), 5, 5..=5),
            (1_000_000_000, Duration::from_micros(100), 500, 64..=64),
            (1_000_000, Duration::from_micros(100), 500, 16..=16),
        ];
        for (rate, round_trip, queue_max, expected) in cases {
            let depth = Link::new(queue_max).settle(rate, round_trip);
            assert!(expected.contains(&depth), "{rate} B/s, {round_trip:?}, reqq {queue_max}: {depth}");
        }
    }

    #[test]
    fn depth_follows_a_rate_that_changes() {
        let mut link = Link::new(500);
        let round_trip = Duration::from_millis(100);
        assert_eq!(link.settle(1_000_000, round_trip), 16);
        assert!((120..=126).contains(&link.settle(10_000_000, round_trip)));
        assert_eq!(link.settle(1_000_000, round_trip), 16, "the old rate is forgotten");
    }
}
