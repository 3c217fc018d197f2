//! Limits on what is received, shared by many connections. What is sent is shared by weight: see [`super::uplink`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use potluck_common::Instant;
use potluck_core::rate::TokenBucket;

/// A [`TokenBucket`] that several tasks share, and whose limit may change at any time.
#[derive(Debug)]
pub(crate) struct Limiter(Mutex<State>);

#[derive(Debug)]
struct State {
    bucket: TokenBucket,
    /// All bytes that were ever reserved.
    reserved: u64,
}

impl Limiter {
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        Self(Mutex::new(State { bucket: TokenBucket::new(bytes_per_second), reserved: 0 }))
    }

    /// From now on this is the limit, for what was reserved and has not passed too.
    pub(crate) fn set_limit(&self, now: Instant, bytes_per_second: Option<u64>) {
        self.lock().bucket.change_limit(now, bytes_per_second);
    }

    /// Reserves `bytes`; tells how many were reserved up to their end.
    fn reserve(&self, now: Instant, bytes: u64) -> u64 {
        let mut state = self.lock();
        state.bucket.reserve(now, bytes);
        state.reserved = state.reserved.wrapping_add(bytes);
        state.reserved
    }

    /// When so many of the reserved bytes have passed.
    fn passed_at(&self, reserved: u64) -> Instant {
        let state = self.lock();
        state.bucket.passed_at(state.reserved.wrapping_sub(reserved))
    }

    fn is_limited(&self) -> bool {
        self.lock().bucket.limit().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The limits that one connection is under: its engine's and its torrent's.
#[derive(Debug, Clone)]
pub(crate) struct Limits(pub(crate) [Arc<Limiter>; 2]);

/// What a connection reserved, so that it can tell when it has passed, even if a limit changes meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reserved([u64; 2]);

impl Limits {
    /// Reserves `bytes` with every limit.
    pub(crate) fn reserve(&self, now: Instant, bytes: u64) -> Reserved {
        Reserved(self.0.each_ref().map(|limiter| limiter.reserve(now, bytes)))
    }

    /// When what was reserved has passed every limit, as they are now.
    pub(crate) fn passed_at(&self, Reserved(reserved): Reserved) -> Instant {
        let [engine, torrent] = &self.0;
        engine.passed_at(reserved[0]).max(torrent.passed_at(reserved[1]))
    }

    pub(crate) fn is_limited(&self) -> bool {
        self.0.iter().any(|limiter| limiter.is_limited())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_follows_the_limits_as_they_change() {
        let at = Instant::from_secs;
        let limits = Limits([Arc::new(Limiter::new(Some(1_000))), Arc::new(Limiter::new(None))]);
        assert!(limits.is_limited());
        let first = limits.reserve(at(10), 16_100);
        let second = limits.reserve(at(10), 1_000);
        assert_eq!((limits.passed_at(first), limits.passed_at(second)), (at(26), at(27)));
        limits.0[0].set_limit(at(16), Some(11_000));
        assert_eq!((limits.passed_at(second), limits.passed_at(first) < at(17)), (at(17), true));
        limits.0[0].set_limit(at(16), None);
        assert!(!limits.is_limited() && limits.passed_at(second) <= at(16), "nothing waits any more");
        limits.0[1].set_limit(at(16), Some(1_000));
        assert!(limits.is_limited() && limits.passed_at(second) <= at(16), "for what came before it");
        let third = limits.reserve(at(16), 2_100);
        assert_eq!(limits.passed_at(third), at(18));
    }
}
