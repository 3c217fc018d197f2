//! What the disk did in this run, counted where it does so, for whoever wants to see it.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;

use super::error::DiskError;

/// A piece that waits longer than this to be written was kept back by the disk.
pub(super) const SLOW_WRITE: Duration = Duration::from_secs(1);

/// Counters that only grow.
#[derive(Default, Debug)]
pub struct Figures {
    written: AtomicU64,
    read: AtomicU64,
    hashed: AtomicU64,
    hits: AtomicU64,
    misses: AtomicU64,
    slow_writes: AtomicU64,
    errors: AtomicU64,
    last_error: Mutex<Option<DiskError>>,
}

/// The counters at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct DiskTotals {
    /// Bytes written of pieces.
    pub written: u64,
    /// Bytes read, for peers or for a check.
    pub read: u64,
    /// Bytes hashed.
    pub hashed: u64,
    /// Chunks that a peer asked for and that were kept.
    pub hits: u64,
    /// Those that had to be read.
    pub misses: u64,
    /// Pieces that waited longer than a second to be written.
    pub slow_writes: u64,
    /// Reads and writes that failed.
    pub errors: u64,
}

impl Figures {
    /// All of them.
    pub fn totals(&self) -> DiskTotals {
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        DiskTotals {
            written: now(&self.written),
            read: now(&self.read),
            hashed: now(&self.hashed),
            hits: now(&self.hits),
            misses: now(&self.misses),
            slow_writes: now(&self.slow_writes),
            errors: now(&self.errors),
        }
    }

    /// Why a read or a write failed the last time that one did.
    pub fn last_error(&self) -> Option<DiskError> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// So many bytes of what is there were read and hashed.
    pub(crate) fn checked(&self, bytes: u64) {
        self.read(bytes);
        self.hashed(bytes);
    }

    pub(super) fn written(&self, bytes: u64) {
        self.written.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn read(&self, bytes: u64) {
        self.read.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Something was read for a peer, or could not be.
    pub(super) fn note_read(&self, result: &Result<Bytes, DiskError>) {
        match result {
            Ok(bytes) => self.read(bytes.len() as u64),
            Err(error) => self.failed(error),
        }
    }

    pub(super) fn hashed(&self, bytes: u64) {
        self.hashed.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Somebody asked for a chunk, which was kept or not.
    pub(super) fn asked(&self, is_kept: bool) {
        let counter = if is_kept { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// A piece was written, or was not, so long after it was handed over.
    pub(super) fn waited(&self, time: Duration) {
        if time > SLOW_WRITE {
            self.slow_writes.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn failed(&self, error: &DiskError) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
    }
}
