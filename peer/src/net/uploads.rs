//! The blocks that one connection is about to send: looked up, read if need be, and paced.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use potluck_common::{BlockSpan, Instant, PieceIndex};
use tokio::sync::mpsc;

use super::limiter::Limits;
use crate::disk::{CHUNK_LENGTH, ChunkCache, DiskError, Storage};

/// Blocks taken from the peer's request queue ahead of sending, so that reads overlap with sending.
const WINDOW: usize = 64;
/// The same under a rate limit: what was taken is beyond the reach of the peer's CANCEL, so little is.
const WINDOW_LIMITED: usize = 4;

/// Bytes of the cache's chunks that one connection's blocks may keep in memory. A block is a view into its chunk, and a
/// peer that asks for one block of each and reads none would otherwise keep as many chunks as it likes.
const HELD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A block that is at least such a part of its chunk may hold it.
const WASTE_MAX: usize = 4;
/// Blocks after which an earlier one is gone: more than a window and an output hold of blocks that are not small.
const BLOCKS_ALIVE_MAX: u64 = 192;
/// Small blocks are copied. An output may hold any number of them.
const SMALL_BLOCK_BYTES: usize = 4 * 1024;

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
    limits: Limits,
    queue: VecDeque<Upload>,
    /// The turn that the first block of the queue has reserved with the rate limits.
    turn: Option<Instant>,
    held: HeldChunks,
    reads: mpsc::UnboundedSender<Fetched>,
}

impl Uploads {
    pub(super) fn new(
        storage: Arc<Storage>,
        cache: Arc<ChunkCache>,
        limits: Limits,
    ) -> (Self, mpsc::UnboundedReceiver<Fetched>) {
        let (reads, fetched) = mpsc::unbounded_channel();
        let held = HeldChunks::default();
        (Self { storage, cache, limits, queue: VecDeque::new(), turn: None, held, reads }, fetched)
    }

    pub(super) fn has_room(&self) -> bool {
        self.queue.len() < if self.limits.is_limited() { WINDOW_LIMITED } else { WINDOW }
    }

    /// Queues a block, and begins to read it unless it lies in memory.
    pub(super) fn push(&mut self, span: BlockSpan) {
        let payload = self.cache.lookup(self.storage.id(), span);
        if payload.is_none() {
            let reads = self.reads.clone();
            self.cache.fetch(&self.storage, span, move |result| {
                // The connection may be gone: then nobody waits for the block.
                let _ = reads.send((span, result));
            });
        }
        let payload = payload.map(|payload| self.hold(span, payload));
        self.queue.push_back(Upload { span, payload });
    }

    /// A read came back well.
    pub(super) fn fetched(&mut self, span: BlockSpan, payload: Bytes) {
        let payload = self.hold(span, payload);
        for upload in self.queue.iter_mut().filter(|upload| upload.span == span) {
            upload.payload = Some(payload.clone());
        }
    }

    fn hold(&mut self, span: BlockSpan, payload: Bytes) -> Bytes {
        let chunk_bytes = self.storage.layout().geometry().length_of(span.piece).min(CHUNK_LENGTH);
        self.held.hold(span, payload, chunk_bytes as usize)
    }

    /// Drops a block that could not be read.
    pub(super) fn failed(&mut self, span: BlockSpan) {
        self.queue.retain(|upload| upload.span != span);
    }

    /// Drops every block; they are not to be sent.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = BlockSpan> + '_ {
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

/// The chunks that the latest blocks of a connection are views into.
///
/// Invariant: the lengths of the chunks sum up to at most [`HELD_BYTES_MAX`], and each is there once.
#[derive(Debug, Default)]
struct HeldChunks(Vec<HeldChunk>);

#[derive(Debug)]
struct HeldChunk {
    piece: PieceIndex,
    /// Its number in its piece.
    chunk: u32,
    bytes: usize,
    /// Blocks that were taken since one was a view into it.
    age: u64,
}

impl HeldChunks {
    /// The payload of a block to keep until it is sent: itself, or a copy that does not hold its chunk, which is
    /// `chunk_bytes` long.
    fn hold(&mut self, span: BlockSpan, payload: Bytes, chunk_bytes: usize) -> Bytes {
        if chunk_bytes <= payload.len() * WASTE_MAX {
            return payload;
        }
        if payload.len() < SMALL_BLOCK_BYTES {
            return Bytes::copy_from_slice(&payload);
        }
        self.0.retain_mut(|held| {
            held.age += 1;
            held.age < BLOCKS_ALIVE_MAX
        });
        let (piece, chunk) = (span.piece, span.begin / CHUNK_LENGTH);
        if let Some(held) = self.0.iter_mut().find(|held| (held.piece, held.chunk) == (piece, chunk)) {
            held.age = 0;
            return payload;
        }
        if self.0.iter().map(|held| held.bytes).sum::<usize>() + chunk_bytes > HELD_BYTES_MAX {
            return Bytes::copy_from_slice(&payload);
        }
        self.0.push(HeldChunk { piece, chunk, bytes: chunk_bytes, age: 0 });
        payload
    }
}

#[cfg(test)]
mod tests {
    use potluck_common::Geometry;

    use super::*;

    #[test]
    fn few_chunks_are_held_and_small_blocks_hold_none() {
        let geometry = Geometry::new(64 << 20, 1 << 20).expect("valid");
        let chunk = Bytes::from(vec![7; CHUNK_LENGTH as usize]);
        let mut held = HeldChunks::default();
        let mut is_view = |piece: u32, length: u32, chunk_bytes: usize| {
            let span = geometry.span(piece, 0, length).expect("exists");
            let payload = chunk.slice(..length as usize);
            let kept = held.hold(span, payload.clone(), chunk_bytes);
            assert_eq!(kept, payload);
            kept.as_ptr() == payload.as_ptr()
        };
        let block = 16 * 1024;
        for piece in 0..4 {
            assert!(is_view(piece, block, 1 << 20), "piece {piece}");
        }
        assert!(!is_view(40, block, 1 << 20), "one chunk too many");
        assert!(is_view(1, block, 1 << 20), "a chunk that is held anyway");
        assert!(is_view(40, block, 64 * 1024), "a small chunk");
        assert!(!is_view(1, 100, 1 << 20), "a small block");
        for _ in 0..BLOCKS_ALIVE_MAX {
            assert!(is_view(2, block, 1 << 20));
        }
        assert!(is_view(40, block, 1 << 20), "the others are sent by now");
    }
}
