//! Complete pieces that wait to be hashed: several are hashed at once, which takes a third of the time.
//!
//! Each piece in the line has a [`Turn`] among the pool's jobs. Whoever's turn comes takes others along, and a later
//! turn may find nothing left. One thread that hashes several at once is faster than any network; the other threads
//! write meanwhile.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use potluck_common::hash::{Sha1Digest, sha1_many};

use super::{
    piece::{FinishedPiece, PieceBuffer},
    store::Store,
};

/// More pieces than this together are hardly faster, and the first would wait for the last.
const TOGETHER_MAX: usize = 4;

/// The line. Its pieces may be of different torrents.
#[derive(Default)]
pub(super) struct HashLine {
    waiting: Mutex<VecDeque<Waiting>>,
}

type Waiting = (Store, Arc<PieceBuffer>);

impl HashLine {
    /// Puts a piece at the end of the line.
    pub(super) fn join(self: &Arc<Self>, store: Store, buffer: Arc<PieceBuffer>) -> Turn {
        self.lock().push_back((store, buffer));
        Turn { line: Some(Arc::clone(self)) }
    }

    /// Takes what is hashed together from the front.
    fn front(&self) -> Vec<Waiting> {
        let mut waiting = self.lock();
        let count = waiting.len().min(TOGETHER_MAX);
        waiting.drain(..count).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Waiting>> {
        // A push and a drain leave it whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for HashLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashLine({} pieces)", self.lock().len())
    }
}

/// What a piece in the line has among the jobs of the pool. One that is dropped without having come lets the piece at
/// the front go, which reports so.
pub(super) struct Turn {
    line: Option<Arc<HashLine>>,
}

impl Turn {
    /// Hashes the front of the line, and stores or refuses each piece of it.
    pub(super) fn come(mut self) {
        let Some(line) = self.line.take() else { return };
        let finished = line.front().into_iter().filter_map(|(store, buffer)| store.finished(&buffer));
        let (stores, mut pieces): (Vec<Store>, Vec<FinishedPiece>) = finished.unzip();
        let digests = digests(&mut pieces);
        for ((store, piece), digest) in stores.into_iter().zip(pieces).zip(digests) {
            store.hashed(piece, &digest);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(line) = self.line.take() {
            let front = line.lock().pop_front();
            // Its reply may take the lock again.
            drop(front);
        }
    }
}

/// The digest of each piece: of those together that nobody has begun to hash.
fn digests(pieces: &mut [FinishedPiece]) -> Vec<Sha1Digest> {
    let whole: Vec<&[u8]> =
        pieces.iter().filter(|piece| piece.is_unhashed()).map(FinishedPiece::bytes).collect();
    let mut together = sha1_many(&whole).into_iter();
    let digest = |piece: &mut FinishedPiece| {
        let whole = if piece.is_unhashed() { together.next() } else { None };
        whole.unwrap_or_else(|| piece.digest())
    };
    pieces.iter_mut().map(digest).collect()
}
