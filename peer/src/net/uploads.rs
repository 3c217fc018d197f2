//! The blocks that one connection is about to send: looked up, read if need be, and paced.

use std::{
    collections::{BTreeMap, VecDeque, btree_map::Entry},
    sync::Arc,
};

use bytes::Bytes;
use potluck_common::{BlockSpan, Instant, PieceIndex};
use tokio::sync::mpsc;

use super::uplink::{Share, Turns};
use crate::disk::{CHUNK_LENGTH, CacheUse, ChunkCache, DiskError, Storage};

/// Blocks taken ahead from the request queue of peers that are choked, of whom there may be hundreds with allowed-fast pieces. (Under a rate limit it is
/// [`Share::window`].)
const WINDOW_CHOKED: usize = 4;

/// Bytes of the cache's chunks that one connection's blocks may hold, but for a single chunk. A block is a view into its
/// chunk, and a peer that asks for one block of each and reads none would otherwise hold as many as it likes.
const HELD_BYTES_MAX: u32 = 16 * CHUNK_LENGTH;

/// Whoever asks for less of a longer chunk gets it read by itself: a peer that asks for single bytes here and there must
/// not make us read a chunk for each. Everybody honest asks for 16 KiB but at the very end.
const FEW_BYTES: u32 = 4 * 1024;

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
    turns: Turns,
    queue: VecDeque<Upload>,
    held: HeldChunks,
    /// The last block of the queue waits for room for its chunk.
    is_held_back: bool,
    /// The peer is choked: its blocks hold no chunks.
    is_choked: bool,
    /// Where reads come back; made for the first of them, since an idle connection needs none.
    reads: Option<(mpsc::UnboundedSender<Fetched>, mpsc::UnboundedReceiver<Fetched>)>,
}

impl Uploads {
    pub(super) fn new(storage: Arc<Storage>, cache: Arc<ChunkCache>, share: Arc<Share>) -> Self {
        Self {
            storage,
            cache,
            cache_use: None,
            turns: Turns::new(share),
            queue: VecDeque::new(),
            held: HeldChunks::default(),
            is_held_back: false,
            is_choked: true,
            reads: None,
        }
    }

    /// Whether another block can be taken.
    pub(super) fn has_room(&self) -> bool {
        // So that reads overlap with sending, and the uplink knows who could send.
        let most = if self.is_choked { WINDOW_CHOKED } else { usize::MAX };
        let window = self.turns.share().window().min(most);
        !self.is_held_back && self.queue.len() < window
    }

    pub(super) fn set_choked(&mut self, is_choked: bool) {
        self.is_choked = is_choked;
    }

    /// The peer's share of a saturated uplink, in hundredths of an ordinary one.
    pub(super) fn set_weight(&mut self, percent: u8) {
        self.turns.set_weight(percent);
    }

    /// Queues a block, and begins to read it unless it lies in memory.
    pub(super) fn push(&mut self, span: BlockSpan) {
        // Whoever is choked gets single blocks, of which nothing is kept.
        if !self.is_choked {
            self.cache_use.get_or_insert_with(|| self.cache.use_it());
        }
        self.queue.push_back(Upload { span, payload: None });
        self.is_held_back = true;
        self.resume();
    }

    /// Begins with the last block, if it was held back and there is room for its chunk by now.
    pub(super) fn resume(&mut self) {
        let Some(last) = self.queue.back_mut().filter(|_| self.is_held_back) else { return };
        let span = last.span;
        let chunk_bytes = self.storage.layout().geometry().length_of(span.piece).min(CHUNK_LENGTH);
        if !self.is_choked && !self.held.take(span, chunk_bytes) {
            return;
        }
        self.is_held_back = false;
        let is_alone = self.is_choked || span.length < FEW_BYTES && chunk_bytes > FEW_BYTES;
        last.payload = if is_alone {
            self.cache.lookup(self.storage.id(), span)
        } else {
            self.cache.get(&self.storage, span)
        };
        if self.is_choked {
            last.payload = last.payload.take().map(|view| Bytes::copy_from_slice(&view));
        }
        if last.payload.is_none() {
            let (reads, _) = self.reads.get_or_insert_with(mpsc::unbounded_channel);
            let reads = reads.clone();
            let done = move |result| {
                // The connection may be gone: then nobody waits for the block.
                let _ = reads.send((span, result));
            };
            if is_alone {
                self.cache.fetch_alone(&self.storage, span, done);
            } else {
                self.cache.fetch(&self.storage, span, done);
            }
        }
    }

    /// Waits for the next read that comes back, or until more may be sent (`None`); for ever, if neither is to come.
    pub(super) async fn next_wake(&mut self) -> Option<Fetched> {
        let reads = self.reads.as_mut();
        let fetched = async {
            let Some((_, fetched)) = reads else { return std::future::pending().await };
            fetched.recv().await.expect("its sender is beside it")
        };
        tokio::select! {
            biased;
            fetched = fetched => Some(fetched),
            () = self.turns.granted() => None,
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
        self.turns.give_up();
        self.queue.drain(..).map(|upload| upload.span)
    }

    /// The next block, if it is read and its turn has come.
    pub(super) fn next_ready(&mut self, now: Instant) -> Option<(BlockSpan, Bytes)> {
        let mut payloads = self.queue.iter().map_while(|upload| upload.payload.as_ref());
        let bytes = payloads.next()?.len() as u64;
        if !self.turns.pass(now, bytes, || payloads.map(|payload| payload.len() as u64).sum()) {
            return None;
        }
        let upload = self.queue.pop_front()?;
        Some((upload.span, upload.payload?))
    }

    /// When the first block's turn comes, if it is read and only the time keeps it.
    pub(super) fn next_turn(&mut self, now: Instant) -> Option<Instant> {
        self.queue.front()?.payload.as_ref()?;
        self.turns.free_at(now)
    }

    /// The socket took so many bytes of blocks, and takes no more for now, or has taken everything.
    pub(super) fn wrote(&self, now: Instant, bytes: u64, is_blocked: bool) {
        self.turns.wrote(now, bytes, is_blocked);
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
    use crate::{
        disk::{
            BufferPool, DiskPool,
            testing::{one_file, span},
        },
        engine::clock::Clock,
        net::uplink::Uplink,
    };

    #[tokio::test]
    async fn single_bytes_here_and_there_read_no_chunks() {
        const MIB: usize = 1024 * 1024;
        let folder = tempfile::tempdir().expect("a folder");
        let payload: Vec<u8> = (0..16 * MIB).map(|offset| (offset % 251) as u8).collect();
        std::fs::write(folder.path().join("file"), &payload).expect("written");
        let storage = one_file(folder.path(), MIB as u64, &payload);
        let pool = DiskPool::start(1, 0).expect("threads");
        let cache = ChunkCache::new(&pool, &BufferPool::new(4 * MIB), 64 * MIB);
        let share = Share::new(&Uplink::new(Clock::start(), None), None);
        let mut uploads = Uploads::new(Arc::clone(&storage), Arc::clone(&cache), share);
        uploads.set_choked(false);
        let mut ask = async |piece: u32, begin: u32, length: u32| {
            let span = span(&storage, piece, begin, length);
            uploads.push(span);
            if uploads.queue.front().is_some_and(|first| first.payload.is_none()) {
                let (read, result) = uploads.next_wake().await.expect("a read");
                uploads.fetched(read, &result.expect("read"));
            }
            let (sent, bytes) = uploads.next_ready(Instant::ZERO).expect("it is there");
            uploads.sent(sent);
            let offset = piece as usize * MIB + begin as usize;
            assert_eq!((sent, &bytes[..]), (span, &payload[offset..offset + length as usize]));
        };
        for piece in 0..16 {
            ask(piece, piece * 50_000, 1).await;
            ask(piece, 70_000, FEW_BYTES - 1).await;
        }
        assert_eq!(cache.bytes(), 0, "nothing but what was asked for was read");
        ask(3, 0, 16 * 1024).await;
        assert_eq!(cache.bytes(), CHUNK_LENGTH as usize);
        ask(3, 77, 1).await;

        assert!(uploads.cache_use.is_some());
        drop(uploads.drain());
        uploads.set_choked(true);
        uploads.push(span(&storage, 3, 0, 16 * 1024));
        assert!(uploads.cache_use.is_none(), "a choked peer's blocks make no room in the cache");
    }

    #[test]
    fn sixteen_chunks_are_held_until_their_blocks_are_sent() {
        let geometry = Geometry::new(64 << 20, u64::from(CHUNK_LENGTH)).expect("valid");
        let block = |piece: u32, block: u32| geometry.span(piece, block * 16_384, 16_384).expect("exists");
        let mut held = HeldChunks::default();
        for piece in 0..16 {
            assert!(held.take(block(piece, 0), CHUNK_LENGTH), "piece {piece}");
        }
        assert!(!held.take(block(16, 0), CHUNK_LENGTH), "one chunk too many");
        assert!(held.take(block(3, 1), CHUNK_LENGTH), "a chunk that is held anyway");
        held.release(block(3, 0));
        assert!(!held.take(block(16, 0), CHUNK_LENGTH), "the other block still holds it");
        held.release(block(3, 1));
        assert!(held.take(block(16, 0), CHUNK_LENGTH));
        for piece in (0..17).filter(|piece| *piece != 3) {
            held.release(block(piece, 0));
        }
        assert_eq!((held.bytes, held.chunks.len()), (0, 0));
    }
}
