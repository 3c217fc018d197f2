//! When a running torrent's claims are written down.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use potluck_common::{Bitfield, Geometry, Instant};

use super::Journal;
use crate::disk::{DiskError, DiskErrorKind, Storage};

/// New data is claimed at the latest when there is so much of it, in bytes: what a crash can cost.
const CLAIM_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// What was sent is written down as often as this; it is worth no more.
const TOTALS_EVERY: Duration = Duration::from_secs(300);

/// Payload moved, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Totals {
    pub(crate) downloaded: u64,
    pub(crate) uploaded: u64,
}

/// Drives the journal of a running torrent. Nothing here waits for a disk.
#[derive(Debug)]
pub(crate) struct Keeper {
    journal: Arc<Mutex<Journal>>,
    storage: Arc<Storage>,
    every: Duration,
    is_busy: Arc<AtomicBool>,
    /// The last claim could not be tried for want of descriptors.
    is_owed: Arc<AtomicBool>,
    keeps: bool,
    /// The number of pieces claimed, the totals then, and when that was.
    claimed: u32,
    totals: Totals,
    at: Instant,
    is_urgent: bool,
}

impl Keeper {
    /// Begins at `now` with the pieces `have` claimed.
    pub(crate) fn new(
        journal: Arc<Mutex<Journal>>,
        storage: Arc<Storage>,
        every: Duration,
        have: &Bitfield,
        now: Instant,
    ) -> Self {
        let keeps = lock(&journal).keeps();
        Self {
            journal,
            storage,
            every,
            is_busy: Arc::default(),
            is_owed: Arc::default(),
            keeps,
            claimed: have.count(),
            totals: Totals::default(),
            at: now,
            is_urgent: false,
        }
    }

    /// All that is wanted is there: claims it without waiting for its time.
    pub(crate) fn hurry(&mut self) {
        self.is_urgent = true;
    }

    /// Claims what came since the last time, if that is due, away from the runtime. Calls `failed` if it could not be
    /// made durable.
    pub(crate) fn tick(
        &mut self,
        now: Instant,
        have: &Bitfield,
        totals: Totals,
        failed: impl FnOnce(DiskError) + Send + 'static,
    ) {
        if !self.keeps || !self.is_due(now, have, totals) || self.is_busy.swap(true, Ordering::AcqRel) {
            return;
        }
        (self.claimed, self.totals, self.at, self.is_urgent) = (have.count(), totals, now, false);
        let (journal, storage) = (Arc::clone(&self.journal), Arc::clone(&self.storage));
        let (is_busy, is_owed, have) = (Arc::clone(&self.is_busy), Arc::clone(&self.is_owed), have.clone());
        tokio::task::spawn_blocking(move || {
            let busy = Busy(is_busy);
            let claimed = lock(&journal).claim(&storage, &have, totals);
            let is_passing = claimed.as_ref().is_err_and(|error| error.kind() == DiskErrorKind::TooManyFiles);
            is_owed.store(is_passing, Ordering::Release);
            drop(busy);
            match claimed {
                // Nothing was lost; there will be another time.
                Err(_) if is_passing => {}
                Err(error) => failed(error),
                Ok(()) => {}
            }
        });
    }

    fn is_due(&self, now: Instant, have: &Bitfield, totals: Totals) -> bool {
        let fresh = u64::from(have.count().saturating_sub(self.claimed))
            * piece_length(self.storage.layout().geometry());
        let waited = now.since(self.at);
        self.is_urgent
            || (self.is_owed.load(Ordering::Acquire) && waited >= self.every)
            || have.count() < self.claimed
            || fresh >= CLAIM_BYTES_MAX
            || (have.count() != self.claimed && waited >= self.every)
            || (totals != self.totals && waited >= self.every.max(TOTALS_EVERY))
    }
}

/// A claim that is under way. One that panics must not be the last.
struct Busy(Arc<AtomicBool>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

fn piece_length(geometry: &Geometry) -> u64 {
    u64::from(geometry.piece_length())
}

/// A panic in a journal leaves at worst a claim unmade.
pub(crate) fn lock(journal: &Mutex<Journal>) -> std::sync::MutexGuard<'_, Journal> {
    journal.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_panics_is_over() {
        let flag = Arc::new(AtomicBool::new(true));
        let busy = Busy(Arc::clone(&flag));
        let ended = std::thread::spawn(move || {
            let _busy = busy;
            panic!("on purpose");
        });
        ended.join().expect_err("it panicked");
        assert!(!flag.load(Ordering::Acquire));
    }
}
