//! The pieces of one torrent that are being assembled, where its connections put their blocks.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use potluck_common::{BlockSpan, Geometry, PieceIndex};

use crate::disk::{BufferPool, PieceBuffer, Put, Unwritten};

/// The open pieces of a torrent. The torrent's task opens and takes pieces; the tasks of its connections put blocks
/// into open ones, and what they bring for others is refused, so that a late block costs no memory.
#[derive(Debug)]
pub(crate) struct PieceTable {
    geometry: Geometry,
    pool: Arc<BufferPool>,
    /// `None` until the first block comes: memory follows the bytes received.
    open: Mutex<HashMap<PieceIndex, Option<Arc<PieceBuffer>>>>,
    /// Pieces that could not be written for now.
    unwritten: Mutex<HashMap<PieceIndex, Unwritten>>,
    /// Whether blocks are hashed where they arrive. With several fast peers that is quickest; with a single one the
    /// disk threads hash, so that the connection's task is free to receive.
    hash_inline: AtomicBool,
}

impl PieceTable {
    pub(crate) fn new(geometry: Geometry, pool: Arc<BufferPool>) -> Self {
        Self {
            geometry,
            pool,
            open: Mutex::default(),
            unwritten: Mutex::default(),
            hash_inline: AtomicBool::new(true),
        }
    }

    pub(crate) fn set_hash_inline(&self, inline: bool) {
        self.hash_inline.store(inline, Ordering::Relaxed);
    }

    pub(crate) fn open(&self, piece: PieceIndex) {
        self.lock().entry(piece).or_insert(None);
    }

    /// Closes `piece` and gives what was assembled of it.
    pub(crate) fn take(&self, piece: PieceIndex) -> Option<Arc<PieceBuffer>> {
        self.lock().remove(&piece).flatten()
    }

    /// Keeps a piece that could not be written, until it is tried again or nobody wants it.
    pub(crate) fn keep(&self, piece: PieceIndex, unwritten: Unwritten) {
        self.lock_unwritten().insert(piece, unwritten);
    }

    /// Takes a piece that was kept.
    pub(crate) fn take_unwritten(&self, piece: PieceIndex) -> Option<Unwritten> {
        self.lock_unwritten().remove(&piece)
    }

    /// Forgets what there is of `piece`.
    pub(crate) fn close(&self, piece: PieceIndex) {
        drop((self.take(piece), self.take_unwritten(piece)));
    }

    /// Takes a block. `false` if the piece is not open or the block was there already.
    pub(crate) fn put(&self, span: BlockSpan, payload: &[u8]) -> bool {
        let buffer = {
            let mut open = self.lock();
            let Some(slot) = open.get_mut(&span.piece) else { return false };
            let length = self.geometry.length_of(span.piece);
            Arc::clone(slot.get_or_insert_with(|| Arc::new(self.pool.take(length))))
        };
        let put = buffer.put(span, payload, self.hash_inline.load(Ordering::Relaxed));
        matches!(put, Put::Added | Put::Completed)
    }

    fn lock_unwritten(&self) -> std::sync::MutexGuard<'_, HashMap<PieceIndex, Unwritten>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PieceIndex, Option<Arc<PieceBuffer>>>> {
        // Nothing that can panic happens under the lock but allocation; the map stays whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
