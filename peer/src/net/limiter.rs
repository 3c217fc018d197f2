//! Limits on what is received, shared by many connections. What is sent is shared by weight: see [`super::uplink`].

use std::sync::{Mutex, PoisonError};

use potluck_common::Instant;
use potluck_core::rate::TokenBucket;

/// A [`TokenBucket`] that several tasks share.
#[derive(Debug)]
pub(crate) struct Limiter(Mutex<TokenBucket>);

impl Limiter {
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        Self(Mutex::new(TokenBucket::new(bytes_per_second)))
    }

    /// Reserves `bytes`; they may pass at the instant returned.
    pub(crate) fn reserve(&self, now: Instant, bytes: u64) -> Instant {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).reserve(now, bytes)
    }

    pub(crate) fn is_limited(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).limit().is_some()
    }
}

/// The limits that one connection is under: its engine's and its torrent's.
#[derive(Debug, Clone)]
pub(crate) struct Limits(pub(crate) [std::sync::Arc<Limiter>; 2]);

impl Limits {
    /// Reserves `bytes` with every limit; they may pass at the latest of the instants.
    pub(crate) fn reserve(&self, now: Instant, bytes: u64) -> Instant {
        self.0.iter().map(|limiter| limiter.reserve(now, bytes)).fold(now, Instant::max)
    }

    pub(crate) fn is_limited(&self) -> bool {
        self.0.iter().any(|limiter| limiter.is_limited())
    }
}
