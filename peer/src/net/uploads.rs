//! The blocks that one connection is about to send: looked up, read if need be, and paced.

use std::{
    collections::{BTreeMap, VecDeque, btree_map::Entry},
    sync::Arc,
};

use bytes::Bytes;
use potluck_common::{BlockSpan, Instant, PieceIndex};
use tokio::sync::mpsc;

use super::limiter::Limits;
use crate::disk::{CHUNK_LENGTH, CacheUse, ChunkCache, DiskError, Storage};

/// Blocks taken from the peer's request queue ahead of sending, so that reads overlap with sending.
const WINDOW: usize = 64;
/// The same under a rate limit: what was taken is beyond the reach of the peer's CANCEL, so little is.
const WINDOW_LIMITED: usize = 4;

/// Bytes of the cache's chunks that one connection's blocks may hold, but for a single chunk. A block is a view into its
/// chunk, and a peer that asks for one block of each and reads none would otherwise hold as many as it likes.
const HELD_BYTES_MAX: u32 = 4 * CHUNK_LENGTH;

/// A read that came back.
pub(super) type Fetched = (BlockSpan, Result<Bytes, DiskError>);

#[derive(Debug)]
struct Upload {
    span: BlockSpan,
    payload: Option<Bytes>,
}

/// The blocks that one connection is about to send, in the order in which they were asked for.
pub(super) struct Uploads {
    storage: Arc<Storage>,
    cache: Arc<ChunkCache>,
    /// There since the first block after the last choke.
    cache_use: Option<CacheUse>,
    limits: Limits,
    queue: VecDeque<Upload>,
    /// The turn that the first block of the queue has reserved with the rate limits.
    turn: Option<Instant>,
    held: HeldChunks,
    /// The last block of the queue waits for room for its chunk.
    is_held_back: bool,
    reads: mpsc::UnboundedSender<Fetched>,
}

impl Uploads {
    pub(super) fn new(
        storage: Arc<Storage>,
        cache: Arc<ChunkCache>,
        limits: Limits,
    ) -> (Self, mpsc::UnboundedReceiver<Fetched>) {
        let (reads, fetched) = mpsc::unbounded_channel();
        let uploads = Self {
            storage,
            cache,
            cache_use: None,
            limits,
            queue: VecDeque::new(),
            turn: None,
            held: HeldChunks::default(),
            is_held_back: false,
            reads,
        };
        (uploads, fetched)
    }

    /// Whether another block can be taken.
    pub(super) fn has_room(&self) -> bool {
        let window = if self.limits.is_limited() { WINDOW_LIMITED } else { WINDOW };
        !self.is_held_back && self.queue.len() < window
    }

    /// Queues a block, and begins to read it unless it lies in memory.
    pub(super) fn push(&mut self, span: BlockSpan) {
        self.cache_use.get_or_insert_with(|| self.cache.use_it());
        self.queue.push_back(Upload { span, payload: None });
        self.is_held_back = true;
        self.resume();
    }

    /// Begins with the last block, if it was held back and there is room for its chunk by now.
    pub(super) fn resume(&mut self) {
        let Some(last) = self.queue.back_mut().filter(|_| self.is_held_back) else { return };
        let span = last.span;
        let chunk_bytes = self.storage.layout().geometry().length_of(span.piece).min(CHUNK_LENGTH);
        if !self.held.take(span, chunk_bytes) {
            return;
        }
        self.is_held_back = false;
        last.payload = self.cache.lookup(self.storage.id(), span);
        if last.payload.is_none() {
            let reads = self.reads.clone();
            self.cache.fetch(&self.storage, span, move |result| {
                // The connection may be gone: then nobody waits for the block.
                let _ = reads.send((span, result));
            });
        }
    }

    /// A read came back well.
    pub(super) fn fetched(&mut self, span: BlockSpan, payload: &Bytes) {
        for upload in self.queue.iter_mut().filter(|upload| upload.span == span) {
            upload.payload = Some(payload.clone());
        }
    }

    /// A block that was given out is sent, and holds its chunk no more.
    pub(super) fn sent(&mut self, span: BlockSpan) {
        self.held.release(span);
    }

    /// Drops a block that could not be read.
    pub(super) fn failed(&mut self, span: BlockSpan) {
        if self.is_held_back && self.queue.back().is_some_and(|last| last.span == span) {
            self.is_held_back = false;
            self.queue.pop_back();
        }
        let held = &mut self.held;
        self.queue.retain(|upload| {
            let stays = upload.span != span;
            if !stays {
                held.release(span);
            }
            stays
        });
    }

    /// Drops every block; they are not to be sent, and what was given out holds no chunk.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = BlockSpan> + '_ {
        self.held = HeldChunks::default();
        self.is_held_back = false;
        self.cache_use = None;
        self.queue.drain(..).map(|upload| upload.span)
    }

    /// The next block, if it is read and its turn has come.
    pub(super) fn next_ready(&mut self, now: Instant) -> Option<(BlockSpan, Bytes)> {
        let payload = self.queue.front()?.payload.clone()?;
        let turn = *self.turn.get_or_insert_with(|| self.limits.reserve(now, payload.len() as u64));
        if turn > now {
            return None;
        }
        self.turn = None;
        let upload = self.queue.pop_front()?;
        Some((upload.span, payload))
    }

    /// When the first block's turn comes, if it waits for that alone.
    pub(super) fn next_turn(&self) -> Option<Instant> {
        self.queue.front().and_then(|upload| upload.payload.as_ref()).and(self.turn)
    }
}

/// The chunks that the blocks of one connection are views into, from when a block is begun until it is sent.
///
/// Invariant: `bytes` is the sum of the lengths of `chunks`, and no count is 0.
#[derive(Debug, Default)]
struct HeldChunks {
    /// By piece and number within it: the length, and how many blocks hold it.
    chunks: BTreeMap<(PieceIndex, u32), (u32, u32)>,
    bytes: u32,
}

impl HeldChunks {
    /// Lets `span` hold its chunk, which is so long; false if that would be too much.
    fn take(&mut self, span: BlockSpan, chunk_bytes: u32) -> bool {
        let is_full = !self.chunks.is_empty() && self.bytes + chunk_bytes > HELD_BYTES_MAX;
        match self.chunks.entry(chunk_of(span)) {
            Entry::Occupied(mut held) => held.get_mut().1 += 1,
            Entry::Vacant(_) if is_full => return false,
            Entry::Vacant(free) => {
                free.insert((chunk_bytes, 1));
                self.bytes += chunk_bytes;
            }
        }
        true
    }

    fn release(&mut self, span: BlockSpan) {
        let Entry::Occupied(mut held) = self.chunks.entry(chunk_of(span)) else { return };
        held.get_mut().1 -= 1;
        if held.get().1 == 0 {
            self.bytes -= held.remove().0;
        }
    }
}

fn chunk_of(span: BlockSpan) -> (PieceIndex, u32) {
    (span.piece, span.begin / CHUNK_LENGTH)
}

#[cfg(test)]
mod tests {
    use potluck_common::Geometry;

    use super::*;

    #[test]
    fn four_chunks_are_held_until_their_blocks_are_sent() {
        let geometry = Geometry::new(64 << 20, 1 << 20).expect("valid");
        let block = |piece: u32, block: u32| geometry.span(piece, block * 16_384, 16_384).expect("exists");
        let mut held = HeldChunks::default();
        for piece in 0..4 {
            assert!(held.take(block(piece, 0), CHUNK_LENGTH), "piece {piece}");
        }
        assert!(!held.take(block(4, 0), CHUNK_LENGTH), "one chunk too many");
        assert!(held.take(block(3, 1), CHUNK_LENGTH), "a chunk that is held anyway");
        held.release(block(3, 0));
        assert!(!held.take(block(4, 0), CHUNK_LENGTH), "the other block still holds it");
        held.release(block(3, 1));
        assert!(held.take(block(4, 0), CHUNK_LENGTH));
        for piece in [0, 1, 2, 4] {
            held.release(block(piece, 0));
        }
        assert_eq!((held.bytes, held.chunks.len()), (0, 0));
    }
}
