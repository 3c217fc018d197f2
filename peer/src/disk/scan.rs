//! Reading a payload from end to end on all processors.
//!
//! Each thread takes the next piece that nobody has, so that a disk with a moving head still reads nearly in sequence.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use potluck_common::{
    PieceIndex,
    hash::{Sha1, Sha1Digest},
};

use super::{error::DiskError, progress::Progress, storage::Storage};

/// Bytes read at a time: many enough for the disk, few enough to be hashed while they are in the processor's cache.
const READ_LENGTH: usize = 256 * 1024;

/// Calls `work` once for each piece on `threads` threads, this one included, until it fails once or the job is
/// cancelled. `work` gets a buffer that stays with its thread.
pub(crate) fn each_piece<E: Send>(
    pieces: &[PieceIndex],
    threads: usize,
    progress: &Progress,
    work: impl Fn(PieceIndex, &mut Vec<u8>) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let failure = Mutex::new(None);
    let run = || {
        let mut buffer = Vec::new();
        while !failed.load(Ordering::Relaxed) && !progress.is_cancelled() {
            let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
            if let Err(error) = work(*piece, &mut buffer) {
                failed.store(true, Ordering::Relaxed);
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        }
    };
    thread::scope(|scope| {
        for number in 1..threads.min(pieces.len()) {
            // A system that refuses a thread gets by with those there are.
            let _ = thread::Builder::new().name(format!("scan-{number}")).spawn_scoped(scope, run);
        }
        run();
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// The SHA-1 of a range of the payload; `None` if the job was cancelled before its end.
pub(crate) fn sha1_of_range(
    storage: &Storage,
    offset: u64,
    length: u32,
    buffer: &mut Vec<u8>,
    progress: &Progress,
) -> Result<Option<Sha1Digest>, DiskError> {
    buffer.resize(READ_LENGTH, 0);
    let mut hasher = Sha1::new();
    let mut done = 0;
    while done < length as usize {
        if progress.is_cancelled() {
            return Ok(None);
        }
        let count = READ_LENGTH.min(length as usize - done);
        storage.read_at(offset + done as u64, &mut buffer[..count])?;
        hasher.update(&buffer[..count]);
        done += count;
        progress.add(count as u64);
    }
    Ok(Some(hasher.finish()))
}
