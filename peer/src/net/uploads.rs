//! The blocks that one connection is about to send: looked up, read if need be, and paced.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use potluck_common::{BlockSpan, Instant};
use tokio::sync::mpsc;

use super::limiter::Limits;
use crate::disk::{ChunkCache, DiskError, Storage};

/// Blocks taken from the peer's request queue ahead of sending, so that reads overlap with sending.
const WINDOW: usize = 64;
/// The same under a rate limit: what was taken is beyond the reach of the peer's CANCEL, so little is.
const WINDOW_LIMITED: usize = 4;

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
    reads: mpsc::UnboundedSender<Fetched>,
}

impl Uploads {
    pub(super) fn new(
        storage: Arc<Storage>,
        cache: Arc<ChunkCache>,
        limits: Limits,
    ) -> (Self, mpsc::UnboundedReceiver<Fetched>) {
        let (reads, fetched) = mpsc::unbounded_channel();
        (Self { storage, cache, limits, queue: VecDeque::new(), turn: None, reads }, fetched)
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
        self.queue.push_back(Upload { span, payload });
    }

    /// A read came back well.
    pub(super) fn fetched(&mut self, span: BlockSpan, payload: &Bytes) {
        for upload in self.queue.iter_mut().filter(|upload| upload.span == span) {
            upload.payload = Some(payload.clone());
        }
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
