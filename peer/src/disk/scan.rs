//! Reading a payload from end to end on all processors.
//!
//! Each thread takes the next pieces that nobody has, as many as are best hashed together, so that a disk with a moving
//! head still reads nearly in sequence.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use potluck_common::{
    PieceIndex,
    hash::{Sha1, Sha1Digest, Sha1Lanes},
};

use super::{error::DiskError, progress::Progress, storage::Storage};

/// Bytes read at a time of a piece that is hashed alone: many enough for the disk, few enough to be hashed while they
/// are in the processor's cache.
const READ_LENGTH: usize = 256 * 1024;

/// The same of each of the pieces that are hashed together.
const LANE_READ_LENGTH: usize = 128 * 1024;

/// How far apart the buffers of those are. At the distance of a power of two they would all compete for the same few
/// lines of the cache.
const LANE_STRIDE: usize = LANE_READ_LENGTH + 128;

/// Bytes a second from which on reading counts as fast: more than a disk with a moving head gives, and less than one
/// processor hashes piece by piece.
const FAST_RATE: u128 = 500_000_000;

/// Calls `work` for groups of at most `group_max` successive pieces, so that each piece is in one, on `threads` threads,
/// this one included, until it fails once or the job is cancelled. `work` gets a buffer that stays with its thread.
pub(crate) fn each_group<E: Send>(
    pieces: &[PieceIndex],
    group_max: usize,
    threads: usize,
    progress: &Progress,
    work: impl Fn(&[PieceIndex], &mut Vec<u8>) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let failure = Mutex::new(None);
    // Towards the end the groups get smaller, so that the threads end together.
    let group_length = |rest: usize| rest.div_ceil(threads.max(1)).min(group_max);
    let take = || {
        let from = next
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |from| {
                let rest = pieces.len() - from;
                (rest > 0).then(|| from + group_length(rest))
            })
            .ok()?;
        Some(&pieces[from..from + group_length(pieces.len() - from)])
    };
    let run = || {
        let mut buffer = Vec::new();
        while !failed.load(Ordering::Relaxed) && !progress.is_cancelled() {
            let Some(group) = take() else { return };
            if let Err(error) = work(group, &mut buffer) {
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

/// Hashes pieces of a storage: several together where reading is fast. To read a little of each of them in turn would
/// make a disk with a moving head many times slower, and there hashing is not what one waits for.
pub(crate) struct PieceReader<'a> {
    storage: &'a Storage,
    progress: &'a Progress,
    /// Whether an error only means that there is no such piece.
    is_absence: fn(&DiskError) -> bool,
    /// What was read last came at [`FAST_RATE`].
    is_fast: AtomicBool,
}

impl<'a> PieceReader<'a> {
    pub(crate) fn new(
        storage: &'a Storage,
        progress: &'a Progress,
        is_absence: fn(&DiskError) -> bool,
    ) -> Self {
        Self { storage, progress, is_absence, is_fast: AtomicBool::new(false) }
    }

    /// The SHA-1 of each of `pieces`, which are in order; `None` for one that is absent, and for those that were not
    /// read to their end before the job was cancelled.
    pub(crate) fn sha1(
        &self,
        pieces: &[PieceIndex],
        buffer: &mut Vec<u8>,
    ) -> Result<Vec<Option<Sha1Digest>>, DiskError> {
        let geometry = self.storage.layout().geometry();
        // Only the last piece of a payload may be shorter than the others.
        let equal = pieces.partition_point(|piece| geometry.length_of(*piece) == geometry.piece_length());
        let mut digests = Vec::with_capacity(pieces.len());
        while let Some(piece) = pieces.get(digests.len()) {
            let together = &pieces[digests.len()..equal.max(digests.len())];
            let is_fast = self.is_fast.load(Ordering::Relaxed);
            match Sha1Lanes::new(together.len()).filter(|_| is_fast) {
                Some(hasher) => digests.extend(self.sha1_together(hasher, together, buffer)?),
                None => digests.push(self.sha1_alone(*piece, buffer)?),
            }
        }
        Ok(digests)
    }

    fn sha1_alone(&self, piece: PieceIndex, buffer: &mut Vec<u8>) -> Result<Option<Sha1Digest>, DiskError> {
        let length = self.storage.layout().geometry().length_of(piece) as usize;
        buffer.resize(READ_LENGTH.max(buffer.len()), 0);
        let mut hasher = Sha1::new();
        let mut meter = Meter::default();
        let mut done = 0;
        while done < length {
            let count = READ_LENGTH.min(length - done);
            if self.progress.is_cancelled() || !self.read(piece, done, &mut buffer[..count], &mut meter)? {
                return Ok(None);
            }
            hasher.update(&buffer[..count]);
            done += count;
        }
        self.judge(&meter);
        Ok(Some(hasher.finish()))
    }

    /// All of `pieces` are of the ordinary length.
    fn sha1_together(
        &self,
        mut hasher: Sha1Lanes,
        pieces: &[PieceIndex],
        buffer: &mut Vec<u8>,
    ) -> Result<Vec<Option<Sha1Digest>>, DiskError> {
        let length = self.storage.layout().geometry().piece_length() as usize;
        let mut absent = vec![false; pieces.len()];
        buffer.resize((pieces.len() * LANE_STRIDE).max(buffer.len()), 0);
        let mut meter = Meter::default();
        let mut done = 0;
        while done < length {
            if self.progress.is_cancelled() {
                return Ok(vec![None; pieces.len()]);
            }
            let count = LANE_READ_LENGTH.min(length - done);
            let lanes = buffer.chunks_mut(LANE_STRIDE);
            for ((piece, absent), lane) in pieces.iter().zip(&mut absent).zip(lanes) {
                // The lane of an absent piece goes on with what is in the buffer.
                *absent = *absent || !self.read(*piece, done, &mut lane[..count], &mut meter)?;
            }
            let lanes = buffer.chunks(LANE_STRIDE).take(pieces.len());
            hasher.update(&lanes.map(|lane| &lane[..count]).collect::<Vec<_>>());
            done += count;
        }
        self.judge(&meter);
        let digests = hasher.finish().into_iter().zip(absent);
        Ok(digests.map(|(digest, absent)| (!absent).then_some(digest)).collect())
    }

    /// Fills `buffer` with the bytes of `piece` from `begin` on; `false` if they are absent.
    fn read(
        &self,
        piece: PieceIndex,
        begin: usize,
        buffer: &mut [u8],
        meter: &mut Meter,
    ) -> Result<bool, DiskError> {
        let offset = self.storage.layout().geometry().offset_of(piece) + begin as u64;
        let begun = Instant::now();
        match self.storage.read_at(offset, buffer) {
            Ok(()) => {
                meter.time += begun.elapsed();
                meter.bytes += buffer.len() as u64;
                self.progress.add(buffer.len() as u64);
                Ok(true)
            }
            Err(error) if (self.is_absence)(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn judge(&self, meter: &Meter) {
        if meter.bytes > 0 {
            self.is_fast.store(meter.is_fast(), Ordering::Relaxed);
        }
    }
}

/// How long reading took.
#[derive(Default)]
struct Meter {
    bytes: u64,
    time: Duration,
}

impl Meter {
    fn is_fast(&self) -> bool {
        u128::from(self.bytes) * 1_000_000_000 >= FAST_RATE * self.time.as_nanos()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        sync::atomic::{AtomicU64, AtomicUsize},
    };

    use potluck_common::{Geometry, Rng};

    use super::*;
    use crate::disk::{
        DiskErrorKind,
        testing::{random_bytes, storage},
    };

    #[test]
    fn each_piece_is_in_one_group_and_a_failure_ends_it() {
        for (count, group_max, threads) in [(0, 16, 2), (1, 16, 0), (5, 16, 1), (100, 16, 3), (40, 1, 2)] {
            let geometry = Geometry::new(count * 10, 10).expect("valid");
            let pieces: Vec<PieceIndex> = geometry.iter().collect();
            let seen: Vec<AtomicU64> = pieces.iter().map(|_| AtomicU64::new(0)).collect();
            let work = |group: &[PieceIndex], _: &mut Vec<u8>| {
                assert!((1..=group_max).contains(&group.len()));
                for piece in group {
                    seen[piece.index()].fetch_add(1, Ordering::Relaxed);
                }
                Ok::<(), ()>(())
            };
            each_group(&pieces, group_max, threads, &Progress::new(), work).expect("done");
            assert!(
                seen.iter().all(|times| times.load(Ordering::Relaxed) == 1),
                "{count} {group_max} {threads}"
            );

            let calls = AtomicUsize::new(0);
            let fail = |_: &[PieceIndex], _: &mut Vec<u8>| {
                calls.fetch_add(1, Ordering::Relaxed);
                Err("no")
            };
            let result = each_group(&pieces, group_max, threads, &Progress::new(), fail);
            assert_eq!(result.is_err(), count > 0);
            assert!(calls.into_inner() <= threads.max(1));
        }
    }

    /// 40 pieces of one and a half reads of a lane, and a short one.
    const PIECE: usize = LANE_READ_LENGTH + LANE_READ_LENGTH / 2 + 3;
    const PAYLOAD: usize = 40 * PIECE + 1000;
    /// In file `b`, of pieces 10 to 20.
    const FILES: [(&str, u64); 3] =
        [("a", 10 * PIECE as u64 + 7), ("b", 10 * PIECE as u64), ("c", (PAYLOAD - 20 * PIECE - 7) as u64)];

    #[test]
    fn together_and_alone_find_the_same() {
        let folder = tempfile::tempdir().expect("folder");
        let payload = random_bytes(&mut Rng::new(5), PAYLOAD);
        let storage = storage(folder.path(), &FILES, PIECE as u64, &payload);
        storage.write_at(0, &payload).expect("written");
        let pieces: Vec<PieceIndex> = storage.layout().geometry().iter().collect();
        // Cut in the middle of piece 15.
        let cut = File::options().write(true).open(folder.path().join("b")).expect("file");
        cut.set_len(5 * PIECE as u64 + LANE_READ_LENGTH as u64).expect("cut");
        for is_fast in [false, true] {
            let progress = Progress::new();
            let reader =
                PieceReader::new(&storage, &progress, |error| error.kind() == DiskErrorKind::ShortFile);
            let mut buffer = Vec::new();
            for group in pieces.chunks(16) {
                reader.is_fast.store(is_fast, Ordering::Relaxed);
                for (piece, digest) in group.iter().zip(reader.sha1(group, &mut buffer).expect("read")) {
                    let expected = *storage.layout().hash_of(*piece);
                    let is_there = !(15..=20).contains(&piece.index());
                    assert_eq!(digest, is_there.then_some(expected), "{piece:?}, fast: {is_fast}");
                }
            }
            assert!(progress.done() >= 34 * PIECE as u64 + 1000 && progress.done() < PAYLOAD as u64);
            assert!(buffer.len() <= READ_LENGTH.max(16 * LANE_STRIDE), "memory is bounded");

            let strict = PieceReader::new(&storage, &progress, |_| false);
            strict.is_fast.store(is_fast, Ordering::Relaxed);
            let error = strict.sha1(&pieces[..16], &mut buffer).unwrap_err();
            assert_eq!(error.kind(), DiskErrorKind::ShortFile);

            progress.cancel();
            let digests = strict.sha1(&pieces[20..36], &mut buffer).expect("ended");
            assert_eq!(digests, [None; 16], "cancelled");
        }
    }

    #[test]
    fn fast_is_what_no_moving_head_gives() {
        let is_fast =
            |bytes, milliseconds| Meter { bytes, time: Duration::from_millis(milliseconds) }.is_fast();
        assert!(!is_fast(250_000_000, 1000));
        assert!(is_fast(500_000_000, 1000));
        assert!(is_fast(1, 0));
    }
}
