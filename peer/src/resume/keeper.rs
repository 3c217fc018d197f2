//! When a running torrent's claims are written down.

use std::{
    net::SocketAddr,
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

    /// Claims what came since the last time, if that is due, away from the runtime, and notes `peers` with it. Calls `failed`
    /// if it could not be made durable.
    pub(crate) fn tick(
        &mut self,
        now: Instant,
        have: &Bitfield,
        totals: Totals,
        peers: impl FnOnce() -> Option<Vec<SocketAddr>>,
        failed: impl FnOnce(DiskError) + Send + 'static,
    ) {
        if !self.keeps || !self.is_due(now, have, totals) || self.is_busy.swap(true, Ordering::AcqRel) {
            return;
        }
        (self.claimed, self.totals, self.at, self.is_urgent) = (have.count(), totals, now, false);
        let (journal, storage, peers) = (Arc::clone(&self.journal), Arc::clone(&self.storage), peers());
        let (is_busy, is_owed, have) = (Arc::clone(&self.is_busy), Arc::clone(&self.is_owed), have.clone());
        tokio::task::spawn_blocking(move || {
            let busy = Busy(is_busy);
            let mut journal = lock(&journal);
            if let Some(peers) = peers {
                journal.note_peers(peers);
            }
            let claimed = journal.claim(&storage, &have, totals);
            drop(journal);
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
    use potluck_common::InfoHash;

    use super::*;
    use crate::{
        disk::{Layout, LayoutFile, OpenFiles, testing::storage},
        resume::ResumeState,
    };

    /// In pieces of 1 KiB, 300 of them claimed at the beginning.
    fn keeper() -> Keeper {
        let storage = storage(std::path::Path::new("/nowhere"), &[("a", 1 << 20)], 1024, &vec![0; 1 << 20]);
        let unknown = ResumeState::unknown(InfoHash([0; 20]), 1024, 1);
        let journal = Arc::new(Mutex::new(Journal::new(None, unknown)));
        Keeper::new(journal, storage, Duration::from_secs(10), &pieces(300), Instant::ZERO)
    }

    fn pieces(count: usize) -> Bitfield {
        let geometry = Geometry::new(1 << 20, 1024).expect("valid");
        let mut set = Bitfield::empty(1024);
        for piece in geometry.iter().take(count) {
            set.insert(piece);
        }
        set
    }

    #[test]
    fn claims_are_due_when_something_came_and_time_has_passed() {
        let keeper = keeper();
        let still = Totals::default();
        let sent = Totals { downloaded: 0, uploaded: 1 };
        for (what, seconds, count, totals, is_due) in [
            ("nothing happened", 3_600, 300, still, false),
            ("something came just now", 9, 301, still, false),
            ("something came", 10, 301, still, true),
            ("something was lost", 0, 299, still, true),
            ("something was sent", 299, 300, sent, false),
            ("something was sent long ago", 300, 300, sent, true),
        ] {
            assert_eq!(keeper.is_due(Instant::from_secs(seconds), &pieces(count), totals), is_due, "{what}");
        }
        let urgent = Keeper { is_urgent: true, ..keeper };
        assert!(urgent.is_due(Instant::ZERO, &pieces(300), still));
    }

    #[test]
    fn much_is_claimed_without_waiting() {
        // A layout of this size without its payload: nothing is read.
        let geometry = Geometry::new(300 << 20, 1 << 20).expect("valid");
        let file = LayoutFile { path: "a".into(), offset: 0, length: geometry.total(), padding: false };
        let hashes = vec![[0; 20]; 300].into();
        let layout = Layout::new("/nowhere".into(), vec![file], geometry, hashes).expect("valid");
        let storage = Storage::new(layout, &OpenFiles::new(1));
        let unknown = ResumeState::unknown(InfoHash([0; 20]), 300, 1);
        let journal = Arc::new(Mutex::new(Journal::new(None, unknown)));
        let none = Bitfield::empty(300);
        let keeper = Keeper::new(journal, storage, Duration::from_secs(10), &none, Instant::ZERO);
        let mut have = none;
        for piece in geometry.iter().take(255) {
            have.insert(piece);
        }
        assert!(!keeper.is_due(Instant::ZERO, &have, Totals::default()));
        have.insert(geometry.piece(255).expect("exists"));
        assert!(keeper.is_due(Instant::ZERO, &have, Totals::default()), "256 MiB");
    }

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
