//! Storing a piece: its hash is compared, and only a piece that holds is written.

use std::sync::Arc;

use potluck_common::{PieceIndex, hash::Sha1Digest};

use super::{
    error::{DiskAction, DiskError},
    piece::{FinishedPiece, PieceBuffer},
    pool::{Callback, DiskPool, Reply, Ticket},
    storage::Storage,
};

/// How the attempt to store a piece ended.
#[derive(Debug)]
pub enum StoreOutcome {
    /// The hash holds and the whole piece was handed to the operating system.
    Stored {
        /// The digest of each block in order, if they were wanted; else empty.
        digests: Vec<Sha1Digest>,
    },
    /// The hash does not hold; nothing was written.
    HashMismatch {
        /// The digest of each block in order, to find who sent the bad one.
        digests: Vec<Sha1Digest>,
    },
    /// The disk failed; the piece may be written in part.
    Failed {
        /// What happened.
        error: DiskError,
        /// The piece, if its hash held: to be tried again with [`DiskPool::store_again`], or dropped.
        unwritten: Option<Unwritten>,
    },
}

/// A piece whose hash held and whose write failed.
#[derive(Debug)]
pub struct Unwritten {
    piece: FinishedPiece,
    digests: Vec<Sha1Digest>,
}

impl DiskPool {
    /// Hashes a complete piece as far as it is not hashed yet, compares the hash and writes the piece with one call
    /// per file. Calls `done` once, on a disk thread (or on this one, with an error, if the pool was shut down).
    /// The buffer is empty afterwards, whatever the outcome; a piece that holds and could not be written comes back.
    pub fn store_piece(
        &self,
        storage: Arc<Storage>,
        piece: PieceIndex,
        buffer: Arc<PieceBuffer>,
        want_digests: bool,
        done: impl FnOnce(StoreOutcome) + Send + 'static,
    ) {
        let reply = Reply::new(&storage, DiskAction::Write, answer(done));
        self.push(u64::from(buffer.length()), move |ticket| {
            let turn = self.to_hash.join(Store { storage, piece, want_digests, reply, ticket }, buffer);
            Box::new(move || turn.come())
        });
    }

    /// Writes a piece again that could not be written before. Calls `done` as [`DiskPool::store_piece`] does.
    pub fn store_again(
        &self,
        storage: Arc<Storage>,
        piece: PieceIndex,
        unwritten: Unwritten,
        done: impl FnOnce(StoreOutcome) + Send + 'static,
    ) {
        let reply = Reply::new(&storage, DiskAction::Write, answer(done));
        self.push(unwritten.piece.bytes().len() as u64, move |ticket| {
            let store = Store { storage, piece, want_digests: false, reply, ticket };
            Box::new(move || store.write_in_turn(unwritten))
        });
    }
}

fn answer(done: impl FnOnce(StoreOutcome) + Send + 'static) -> Callback<StoreOutcome> {
    let failed = |error| StoreOutcome::Failed { error, unwritten: None };
    Box::new(move |result: Result<_, _>| done(result.unwrap_or_else(failed)))
}

/// A piece on its way through the pool.
pub(super) struct Store {
    storage: Arc<Storage>,
    piece: PieceIndex,
    want_digests: bool,
    reply: Reply<StoreOutcome>,
    /// Last, so that the backlog shrinks after the reply.
    ticket: Ticket,
}

impl Store {
    /// Takes the piece out of its buffer; `None`, and an answer, if it is not one.
    pub(super) fn finished(self, buffer: &PieceBuffer) -> Option<(Self, FinishedPiece)> {
        let length = self.storage.layout().geometry().length_of(self.piece) as usize;
        if let Some(finished) = buffer.finish().filter(|piece| piece.bytes().len() == length) {
            return Some((self, finished));
        }
        let defect = self.storage.defect(DiskAction::Write, "a piece was stored before all of it was there");
        self.finish(Err(defect));
        None
    }

    /// Writes the piece, whose digest is this, if it holds.
    pub(super) fn hashed(self, finished: FinishedPiece, digest: &Sha1Digest) {
        self.ticket.figures().hashed(finished.bytes().len() as u64);
        let holds = digest == self.storage.layout().hash_of(self.piece);
        let digests = if self.want_digests || !holds { finished.block_digests() } else { Vec::new() };
        if !holds {
            return self.finish(Ok(StoreOutcome::HashMismatch { digests }));
        }
        self.write_in_turn(Unwritten { piece: finished, digests });
    }

    fn write_in_turn(self, unwritten: Unwritten) {
        let storage = Arc::clone(&self.storage);
        let layout = storage.layout();
        let offset = layout.geometry().offset_of(self.piece);
        let file = layout.parts(offset, unwritten.piece.bytes().len()).next().map_or(0, |part| part.file);
        storage.gate().run(file, Box::new(move || self.write(unwritten)));
    }

    fn write(self, unwritten: Unwritten) {
        let offset = self.storage.layout().geometry().offset_of(self.piece);
        let outcome = match self.storage.write_at(offset, unwritten.piece.bytes()) {
            Ok(()) => {
                self.ticket.figures().written(unwritten.piece.bytes().len() as u64);
                StoreOutcome::Stored { digests: unwritten.digests }
            }
            Err(error) => StoreOutcome::Failed { error, unwritten: Some(unwritten) },
        };
        self.finish(Ok(outcome));
    }

    fn finish(self, result: Result<StoreOutcome, DiskError>) {
        if let Err(error) | Ok(StoreOutcome::Failed { error, .. }) = &result {
            self.ticket.figures().failed(error);
        }
        self.reply.send(result);
        drop(self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::mpsc};

    use potluck_common::{Rng, hash::sha1};

    use super::*;
    use crate::disk::{
        BufferPool, DiskErrorKind,
        testing::{filled, one_file, piece, random_bytes, storage},
    };

    fn store(
        pool: &DiskPool,
        storage: &Arc<Storage>,
        number: u32,
        buffer: Arc<PieceBuffer>,
        want_digests: bool,
    ) -> StoreOutcome {
        let (sender, receiver) = mpsc::channel();
        let done = move |outcome| sender.send(outcome).expect("received");
        pool.store_piece(Arc::clone(storage), piece(storage, number), buffer, want_digests, done);
        receiver.recv().expect("answered")
    }

    #[test]
    fn good_pieces_are_written_and_bad_ones_are_not() {
        let folder = tempfile::tempdir().expect("folder");
        let payload = random_bytes(&mut Rng::new(4), 150_000);
        let files = [("a", 70_000), ("dir/b", 79_999), ("c", 1)];
        let storage = storage(folder.path(), &files, 40_000, &payload);
        let (pool, buffers) = (DiskPool::start(2, 1 << 20).expect("threads"), BufferPool::new(1 << 20));
        for number in 0..4 {
            let want_digests = number == 1;
            let buffer = filled(&buffers, &storage, number, &payload);
            let outcome = store(&pool, &storage, number, buffer, want_digests);
            let StoreOutcome::Stored { digests } = outcome else {
                panic!("{outcome:?}");
            };
            let expected = payload.chunks(40_000).nth(number as usize).expect("exists");
            let blocks: Vec<_> = expected.chunks(16_384).map(sha1).collect();
            assert_eq!(digests, if want_digests { blocks } else { vec![] });
        }
        let written: Vec<u8> =
            files.iter().flat_map(|(name, _)| fs::read(folder.path().join(name)).expect("file")).collect();
        assert_eq!(written, payload);

        let mut wrong = payload.clone();
        wrong[90_000] ^= 1;
        let outcome = store(&pool, &storage, 2, filled(&buffers, &storage, 2, &wrong), false);
        let StoreOutcome::HashMismatch { digests } = outcome else { panic!("{outcome:?}") };
        let good: Vec<_> = payload[80_000..120_000].chunks(16_384).map(sha1).collect();
        assert_eq!(
            [digests[0] == good[0], digests[1] == good[1], digests[2] == good[2]],
            [false, true, true]
        );
        let mut there = vec![0; payload.len()];
        storage.read_at(0, &mut there).expect("read");
        assert_eq!(there, payload, "a bad piece is not written");
        // The reply comes before the thread lets go of the buffer.
        pool.shut_down();
        assert_eq!(buffers.received_bytes(), 0);
        assert!(buffers.spare_bytes() >= 40_000);
    }

    #[test]
    fn pieces_that_wait_are_hashed_together_and_judged_each() {
        let folder = tempfile::tempdir().expect("folder");
        let payload = random_bytes(&mut Rng::new(9), 250_000);
        let storage = one_file(folder.path(), 40_000, &payload);
        let (pool, buffers) = (DiskPool::start(1, 1 << 20).expect("threads"), BufferPool::new(1 << 20));
        let (release, held) = mpsc::channel::<()>();
        pool.spawn(move || held.recv().unwrap_or_default());
        let mut wrong = payload.clone();
        wrong[100_000] ^= 1;
        let (sender, receiver) = mpsc::channel();
        for number in 0..7 {
            let bytes = if number == 2 { &wrong } else { &payload };
            let buffer = filled(&buffers, &storage, number, bytes);
            let sender = sender.clone();
            pool.store_piece(storage.clone(), piece(&storage, number), buffer, false, move |outcome| {
                sender.send((number, outcome)).expect("received");
            });
        }
        drop((sender, release));
        let outcomes: Vec<_> = receiver.iter().collect();
        assert_eq!(outcomes.len(), 7);
        for (number, outcome) in outcomes {
            let as_expected = if number == 2 {
                matches!(outcome, StoreOutcome::HashMismatch { .. })
            } else {
                matches!(outcome, StoreOutcome::Stored { .. })
            };
            assert!(as_expected, "{number}: {outcome:?}");
        }
        let mut there = vec![0; payload.len()];
        storage.read_at(0, &mut there).expect("read");
        there[80_000..120_000].copy_from_slice(&payload[80_000..120_000]);
        assert_eq!(there, payload);
    }

    #[test]
    fn every_failure_is_answered() {
        let folder = tempfile::tempdir().expect("folder");
        let payload = random_bytes(&mut Rng::new(5), 100_000);
        let storage = one_file(folder.path(), 50_000, &payload);
        let (pool, buffers) = (DiskPool::start(1, 0).expect("threads"), BufferPool::new(0));
        let kind = |outcome| match outcome {
            StoreOutcome::Failed { error, .. } => error.kind(),
            other => panic!("{other:?}"),
        };
        let incomplete = Arc::new(buffers.take(50_000));
        assert_eq!(kind(store(&pool, &storage, 0, incomplete, false)), DiskErrorKind::Internal);
        let short = BufferPool::new(0).take(16_384);
        short.put(
            storage.layout().geometry().block(piece(&storage, 0), 0).expect("exists"),
            &payload[..16_384],
            true,
        );
        assert_eq!(kind(store(&pool, &storage, 0, Arc::new(short), false)), DiskErrorKind::Internal);

        fs::create_dir(folder.path().join("file")).expect("folder in the way");
        let blocked = filled(&buffers, &storage, 1, &payload);
        assert_eq!(kind(store(&pool, &storage, 1, blocked, false)), DiskErrorKind::NotAFile);

        let (sender, receiver) = mpsc::channel();
        pool.store_piece(
            storage.clone(),
            piece(&storage, 1),
            filled(&buffers, &storage, 1, &payload),
            false,
            {
                let sender = sender.clone();
                move |_| {
                    sender.send(()).expect("received");
                    std::panic::resume_unwind(Box::new(()));
                }
            },
        );
        receiver.recv().expect("answered before it panicked");
        fs::remove_dir(folder.path().join("file")).expect("out of the way");
        let buffer = filled(&buffers, &storage, 1, &payload);
        let outcome = store(&pool, &storage, 1, buffer, false);
        assert!(matches!(outcome, StoreOutcome::Stored { .. }), "the pool lives on: {outcome:?}");

        pool.shut_down();
        let late = filled(&buffers, &storage, 1, &payload);
        assert_eq!(kind(store(&pool, &storage, 1, late, false)), DiskErrorKind::Internal);
        assert_eq!(pool.backlog_bytes(), 0);
    }

    #[test]
    fn row_5_5_a_piece_that_could_not_be_written_is_not_lost() {
        let folder = tempfile::tempdir().expect("folder");
        let payload = random_bytes(&mut Rng::new(7), 90_000);
        let storage = storage(folder.path(), &[("a", 40_000), ("b", 50_000)], 90_000, &payload);
        let (pool, buffers) = (DiskPool::start(1, 1 << 20).expect("threads"), BufferPool::new(1 << 20));
        fs::create_dir(folder.path().join("b")).expect("folder in the way");
        let outcome = store(&pool, &storage, 0, filled(&buffers, &storage, 0, &payload), true);
        let StoreOutcome::Failed { mut unwritten, .. } = outcome else { panic!("{outcome:?}") };
        let (sender, receiver) = mpsc::channel();
        let again = |unwritten: Option<Unwritten>| {
            let unwritten = unwritten.expect("it came back");
            let sender = sender.clone();
            let done = move |outcome| sender.send(outcome).expect("received");
            pool.store_again(Arc::clone(&storage), piece(&storage, 0), unwritten, done);
            receiver.recv().expect("answered")
        };
        for _ in 0..3 {
            let StoreOutcome::Failed { error, unwritten: next } = again(unwritten.take()) else { panic!() };
            assert_eq!(error.kind(), DiskErrorKind::NotAFile);
            unwritten = next;
        }
        fs::remove_dir(folder.path().join("b")).expect("out of the way");
        let outcome = again(unwritten);
        let StoreOutcome::Stored { digests } = outcome else { panic!("{outcome:?}") };
        assert_eq!(digests.len(), 6, "with the digests that were wanted");
        assert_eq!(fs::read(folder.path().join("b")).expect("file"), payload[40_000..]);
        pool.shut_down();
        assert_eq!((pool.backlog_bytes(), buffers.received_bytes()), (0, 0));
    }

    #[test]
    fn many_pieces_of_one_storage_at_once() {
        let folder = tempfile::tempdir().expect("folder");
        let payload = random_bytes(&mut Rng::new(6), 300 * 10_000);
        let storage = one_file(folder.path(), 10_000, &payload);
        let (pool, buffers) = (DiskPool::start(8, 1 << 20).expect("threads"), BufferPool::new(1 << 20));
        let (sender, receiver) = mpsc::channel();
        for number in 0..300 {
            let buffer = filled(&buffers, &storage, number, &payload);
            let sender = sender.clone();
            pool.store_piece(storage.clone(), piece(&storage, number), buffer, false, move |outcome| {
                sender.send(matches!(outcome, StoreOutcome::Stored { .. })).expect("received");
            });
        }
        drop(sender);
        assert_eq!(receiver.iter().filter(|stored| *stored).count(), 300);
        assert_eq!(fs::read(folder.path().join("file")).expect("file"), payload);
    }
}
