//! What peers ask for, read once: a cache of large chunks that blocks are cut from without copying.

use std::{
    collections::HashMap,
    mem,
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::{Bytes, BytesMut};
use potluck_common::{BlockSpan, PieceIndex};
use tokio::sync::oneshot;

use super::{
    buffer::BufferPool,
    error::{DiskAction, DiskError},
    lru::Lru,
    pool::{Callback, DiskPool, Reply},
    storage::{Storage, StorageId},
};

/// Bytes of a chunk: a piece is read in runs of this length, or as a whole where it is shorter. Small enough that what
/// was read is still in the processor's cache when it is sent.
pub const CHUNK_LENGTH: u32 = 256 * 1024;

/// How far a disk is told to read ahead of the chunk that it was asked for: a moving head should not come back for the
/// next one.
const READ_AHEAD: u64 = 1024 * 1024;

/// Bytes of chunks that are kept for each connection that uploads: what it sends, reads ahead, and others may want as
/// well. The page cache of the operating system is behind, and costs a copy.
const BYTES_PER_USE: usize = 4 * 1024 * 1024;

/// Chunks of pieces of any torrent, kept in the order of their last use, up to a bound on their bytes that grows with
/// the number of connections that upload. Only pieces that the torrent has may be asked for.
#[derive(Debug)]
pub struct ChunkCache {
    pool: Arc<DiskPool>,
    buffers: Arc<BufferPool>,
    bytes_max: usize,
    /// Connections that upload now.
    users: AtomicUsize,
    state: Mutex<State>,
}

/// What a connection holds while it uploads: the cache is as large as those need who use it.
#[derive(Debug)]
pub struct CacheUse {
    cache: Arc<ChunkCache>,
}

impl Drop for CacheUse {
    fn drop(&mut self) {
        self.cache.users.fetch_sub(1, Ordering::Relaxed);
        self.cache.shrink(self.cache.lock());
    }
}

/// Invariant: `bytes` is the sum of the lengths of `chunks`.
#[derive(Debug)]
struct State {
    chunks: Lru<ChunkKey, Bytes>,
    bytes: usize,
    /// How often something was forgotten.
    invalidations: u64,
    loading: HashMap<ChunkKey, Arc<Load>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct ChunkKey {
    storage: StorageId,
    piece: PieceIndex,
    /// The number of the chunk in its piece.
    chunk: u32,
}

/// A chunk that is being read, for everybody who asked for it meanwhile.
#[derive(Default)]
struct Load {
    waiters: Mutex<Vec<Waiter>>,
}

struct Waiter {
    within: Range<usize>,
    done: Callback<Bytes>,
}

impl ChunkCache {
    /// A cache of at most `bytes_max` bytes that reads on the threads of `pool` into memory of `buffers`.
    pub fn new(pool: &Arc<DiskPool>, buffers: &Arc<BufferPool>, bytes_max: usize) -> Arc<Self> {
        let state = State { chunks: Lru::new(), bytes: 0, invalidations: 0, loading: HashMap::new() };
        Arc::new(Self {
            pool: Arc::clone(pool),
            buffers: Arc::clone(buffers),
            bytes_max,
            users: AtomicUsize::new(0),
            state: Mutex::new(state),
        })
    }

    /// Announces that a connection begins to upload; it ends when the result is dropped.
    pub fn use_it(self: &Arc<Self>) -> CacheUse {
        self.users.fetch_add(1, Ordering::Relaxed);
        CacheUse { cache: Arc::clone(self) }
    }

    /// What may be cached now, in bytes.
    fn limit(&self) -> usize {
        let users = self.users.load(Ordering::Relaxed).max(1);
        users.saturating_mul(BYTES_PER_USE).min(self.bytes_max)
    }

    /// The bytes of `span`, if they lie in one chunk that is cached.
    pub fn lookup(&self, storage: StorageId, span: BlockSpan) -> Option<Bytes> {
        let (key, within) = only_part_of(storage, span)?;
        self.lock().chunks.get(&key).map(|chunk| chunk.slice(within))
    }

    /// The bytes of `span`, if they lie in one chunk and can be had without waiting: because it is cached, or because the
    /// operating system has it in its memory, from where no thread is needed to fetch it.
    pub fn get(&self, storage: &Storage, span: BlockSpan) -> Option<Bytes> {
        let (key, within) = only_part_of(storage.id(), span)?;
        let mut state = self.lock();
        if let Some(chunk) = state.chunks.get(&key) {
            self.pool.figures().asked(true);
            return Some(chunk.slice(within));
        }
        if state.loading.contains_key(&key) {
            return None;
        }
        let invalidations = state.invalidations;
        drop(state);
        let (offset, length) = place_of(storage, key);
        let mut buffer = self.buffers.buffer(length as usize);
        if !storage.read_in_memory(offset, buffer.as_mut()) {
            return None;
        }
        self.pool.figures().asked(false);
        self.pool.figures().read(u64::from(length));
        let chunk = Bytes::from_owner(buffer);
        self.insert(key, chunk.clone(), invalidations);
        Some(chunk.slice(within))
    }

    /// Gives the bytes of `span` to `done`: at once on this thread if they are cached, else from a disk thread after
    /// the chunks were read, each only once for all who ask meanwhile. `done` is called exactly once.
    pub fn fetch(
        self: &Arc<Self>,
        storage: &Arc<Storage>,
        span: BlockSpan,
        done: impl FnOnce(Result<Bytes, DiskError>) + Send + 'static,
    ) {
        let geometry = storage.layout().geometry();
        assert!(
            u64::from(span.begin) + u64::from(span.length) <= u64::from(geometry.length_of(span.piece)),
            "a span of another torrent"
        );
        let mut parts: Vec<_> = parts_of(storage.id(), span).collect();
        if parts.len() == 1
            && let Some((key, within)) = parts.pop()
        {
            return self.fetch_part(storage, key, within, Box::new(done));
        }
        let join = Arc::new(Join::new(parts.len(), Box::new(done)));
        for (number, (key, within)) in parts.into_iter().enumerate() {
            let join = Arc::clone(&join);
            self.fetch_part(storage, key, within, Box::new(move |part| join.put(number, part)));
        }
    }

    /// Gives the bytes of `span` to `done` from a disk thread, which reads just them and keeps nothing.
    pub fn fetch_alone(
        &self,
        storage: &Arc<Storage>,
        span: BlockSpan,
        done: impl FnOnce(Result<Bytes, DiskError>) + Send + 'static,
    ) {
        let reply = Reply::new(storage, DiskAction::Read, Box::new(done));
        let storage = Arc::clone(storage);
        self.pool.push(0, move |ticket| {
            Box::new(move || {
                let mut bytes = vec![0; span.length as usize];
                let offset = storage.layout().geometry().offset_of(span.piece) + u64::from(span.begin);
                let read = storage.read_at(offset, &mut bytes).map(|()| Bytes::from(bytes));
                ticket.figures().note_read(&read);
                reply.send(read);
                drop(ticket);
            })
        });
    }

    /// Like [`ChunkCache::fetch`], to be awaited.
    pub async fn read(self: &Arc<Self>, storage: &Arc<Storage>, span: BlockSpan) -> Result<Bytes, DiskError> {
        let (sender, receiver) = oneshot::channel();
        self.fetch(storage, span, move |result| {
            // Nobody may wait for it any more.
            let _ = sender.send(result);
        });
        receiver.await.unwrap_or_else(|_| Err(storage.defect(DiskAction::Read, "a read was not answered")))
    }

    /// Forgets all chunks of a storage, as when its payload is checked again. Reads under way are delivered to those
    /// who asked before, and not kept.
    pub fn invalidate(&self, storage: StorageId) {
        self.invalidate_where(|key| key.storage == storage);
    }

    /// Forgets the chunks of one piece.
    pub fn invalidate_piece(&self, storage: StorageId, piece: PieceIndex) {
        self.invalidate_where(|key| key.storage == storage && key.piece == piece);
    }

    /// Bytes cached now.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn fetch_part(
        self: &Arc<Self>,
        storage: &Arc<Storage>,
        key: ChunkKey,
        within: Range<usize>,
        done: Callback<Bytes>,
    ) {
        let mut state = self.lock();
        if let Some(chunk) = state.chunks.get(&key) {
            let part = chunk.slice(within);
            drop(state);
            self.pool.figures().asked(true);
            return done(Ok(part));
        }
        let waiter = Waiter { within, done };
        if let Some(load) = state.loading.get(&key) {
            return load.add(waiter);
        }
        let load = Arc::new(Load::default());
        load.add(waiter);
        state.loading.insert(key, Arc::clone(&load));
        drop(state);
        self.pool.figures().asked(false);
        self.start(storage, key, load);
    }

    fn start(self: &Arc<Self>, storage: &Arc<Storage>, key: ChunkKey, load: Arc<Load>) {
        let cache = Arc::clone(self);
        let callback = move |result| cache.loaded(key, &load, &result);
        let reply = Reply::new(storage, DiskAction::Read, Box::new(callback));
        let (storage, buffers) = (Arc::clone(storage), Arc::clone(&self.buffers));
        self.pool.push(0, move |ticket| {
            Box::new(move || {
                let read = read_chunk(&storage, &buffers, key);
                ticket.figures().note_read(&read);
                reply.send(read);
                drop(ticket);
            })
        });
    }

    fn loaded(&self, key: ChunkKey, load: &Arc<Load>, result: &Result<Bytes, DiskError>) {
        let mut state = self.lock();
        // Everybody joins under the same lock, so after this nobody does.
        let wanted = state.loading.get(&key).is_some_and(|current| Arc::ptr_eq(current, load));
        if wanted {
            state.loading.remove(&key);
        }
        let invalidations = state.invalidations;
        let waiters = load.take();
        drop(state);
        if let (true, Ok(chunk)) = (wanted, result) {
            self.insert(key, chunk.clone(), invalidations);
        }
        for Waiter { within, done } in waiters {
            done(result.as_ref().map(|chunk| chunk.slice(within)).map_err(Clone::clone));
        }
    }

    /// Keeps a chunk, unless something was forgotten since the count of `invalidations` was this.
    fn insert(&self, key: ChunkKey, chunk: Bytes, invalidations: u64) {
        let mut state = self.lock();
        if chunk.len() > self.bytes_max || state.invalidations != invalidations {
            return;
        }
        state.bytes += chunk.len();
        let replaced = state.chunks.insert(key, chunk);
        state.bytes -= replaced.as_ref().map_or(0, Bytes::len);
        self.shrink(state);
        drop(replaced);
    }

    fn shrink(&self, mut state: MutexGuard<'_, State>) {
        let limit = self.limit();
        let mut dropped = Vec::new();
        while state.bytes > limit {
            let Some(oldest) = state.chunks.pop_oldest() else { break };
            state.bytes -= oldest.len();
            dropped.push(oldest);
        }
        drop(state);
        // Giving memory back may take a while: not under the lock.
        drop(dropped);
    }

    fn invalidate_where(&self, unwanted: impl Fn(&ChunkKey) -> bool) {
        let mut state = self.lock();
        state.invalidations += 1;
        let dropped = state.chunks.remove_where(&unwanted);
        state.bytes -= dropped.iter().map(Bytes::len).sum::<usize>();
        state.loading.retain(|key, _| !unwanted(key));
        drop(state);
        drop(dropped);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Load {
    fn add(&self, waiter: Waiter) {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner).push(waiter);
    }

    fn take(&self) -> Vec<Waiter> {
        mem::take(&mut self.waiters.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Load")
    }
}

/// A span that crosses the border of chunks, put together from its parts.
struct Join {
    state: Mutex<JoinState>,
}

struct JoinState {
    parts: Vec<Option<Bytes>>,
    missing: usize,
    done: Option<Callback<Bytes>>,
}

impl Join {
    fn new(parts: usize, done: Callback<Bytes>) -> Self {
        let state = JoinState { parts: vec![None; parts], missing: parts, done: Some(done) };
        Self { state: Mutex::new(state) }
    }

    /// The first error is the answer; else the last part makes it.
    fn put(&self, number: usize, part: Result<Bytes, DiskError>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match part {
            Ok(part) => {
                state.parts[number] = Some(part);
                state.missing -= 1;
                (state.missing == 0).then(|| Ok(state.concat()))
            }
            Err(error) => Some(Err(error)),
        };
        let done = answer.and_then(|answer| state.done.take().map(|done| (done, answer)));
        drop(state);
        if let Some((done, answer)) = done {
            done(answer);
        }
    }
}

impl JoinState {
    fn concat(&self) -> Bytes {
        let mut whole = BytesMut::with_capacity(self.parts.iter().flatten().map(Bytes::len).sum());
        for part in self.parts.iter().flatten() {
            whole.extend_from_slice(part);
        }
        whole.freeze()
    }
}

/// The chunks that a span lies in, and where in each.
fn parts_of(storage: StorageId, span: BlockSpan) -> impl Iterator<Item = (ChunkKey, Range<usize>)> {
    let end = u64::from(span.begin) + u64::from(span.length);
    let chunks = span.begin / CHUNK_LENGTH..=((end.max(1) - 1) / u64::from(CHUNK_LENGTH)) as u32;
    chunks.map(move |chunk| {
        let start = u64::from(chunk) * u64::from(CHUNK_LENGTH);
        let from = u64::from(span.begin).max(start) - start;
        let to = (end - start).min(u64::from(CHUNK_LENGTH));
        (ChunkKey { storage, piece: span.piece, chunk }, from as usize..to as usize)
    })
}

/// The chunk of `span`, and where in it, if it lies in one.
fn only_part_of(storage: StorageId, span: BlockSpan) -> Option<(ChunkKey, Range<usize>)> {
    let mut parts = parts_of(storage, span);
    let part = parts.next()?;
    parts.next().is_none().then_some(part)
}

fn read_chunk(storage: &Storage, buffers: &Arc<BufferPool>, key: ChunkKey) -> Result<Bytes, DiskError> {
    let (offset, length) = place_of(storage, key);
    let mut buffer = buffers.buffer(length as usize);
    storage.read_at(offset, buffer.as_mut())?;
    let geometry = storage.layout().geometry();
    let piece_end = geometry.offset_of(key.piece) + u64::from(geometry.length_of(key.piece));
    let (ahead, end) = (offset + u64::from(length), piece_end.min(offset + READ_AHEAD));
    storage.read_ahead(ahead, end.saturating_sub(ahead) as usize);
    Ok(Bytes::from_owner(buffer))
}

/// Where a chunk begins in the payload, and its length, in bytes.
fn place_of(storage: &Storage, key: ChunkKey) -> (u64, u32) {
    let geometry = storage.layout().geometry();
    let start = key.chunk * CHUNK_LENGTH;
    let length = CHUNK_LENGTH.min(geometry.length_of(key.piece) - start);
    (geometry.offset_of(key.piece) + u64::from(start), length)
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::mpsc};

    use potluck_common::Rng;

    use super::*;
    use crate::disk::{
        DiskErrorKind,
        testing::{one_file, piece, random_bytes, span},
    };

    const CHUNK: u32 = CHUNK_LENGTH;

    struct Bench {
        folder: tempfile::TempDir,
        payload: Vec<u8>,
        storage: Arc<Storage>,
        pool: Arc<DiskPool>,
        cache: Arc<ChunkCache>,
    }

    impl Bench {
        fn new(length: usize, piece_length: u64, bytes_max: usize) -> Self {
            let folder = tempfile::tempdir().expect("folder");
            let payload = random_bytes(&mut Rng::new(7), length);
            fs::write(folder.path().join("file"), &payload).expect("file");
            let storage = one_file(folder.path(), piece_length, &payload);
            let pool = DiskPool::start(1, 0).expect("threads");
            let cache = ChunkCache::new(&pool, &BufferPool::new(4 << 20), bytes_max);
            Self { folder, payload, storage, pool, cache }
        }

        fn span(&self, piece: u32, begin: u32, length: u32) -> BlockSpan {
            span(&self.storage, piece, begin, length)
        }

        fn expected(&self, span: BlockSpan) -> &[u8] {
            let offset = self.storage.layout().geometry().offset_of(span.piece) + u64::from(span.begin);
            &self.payload[offset as usize..][..span.length as usize]
        }

        async fn check(&self, span: BlockSpan) {
            let bytes = self.cache.read(&self.storage, span).await.expect("read");
            assert_eq!(bytes, self.expected(span), "{span:?}");
        }

        /// What is cached of `span`, if it lies in one chunk.
        fn cached(&self, span: BlockSpan) -> Option<Bytes> {
            self.cache.lookup(self.storage.id(), span)
        }

        /// Holds the only disk thread until the sender is dropped.
        fn hold(&self) -> mpsc::Sender<()> {
            let (release, held) = mpsc::channel();
            self.pool.spawn(move || {
                let _ = held.recv();
            });
            release
        }
    }

    #[tokio::test]
    async fn spans_come_right_within_and_across_chunks() {
        let bench = Bench::new(5 * CHUNK as usize + 99, 2 * u64::from(CHUNK) + 17, 64 << 20);
        // For one alone it would not keep everything.
        let _uses = [bench.cache.use_it(), bench.cache.use_it()];
        for (piece, begin, length) in [
            (0, 0, 16_384),
            (0, CHUNK - 1, 2),
            (0, CHUNK, 16_384),
            (0, 7, 2 * CHUNK),
            (1, 2 * CHUNK, 17),
            (1, 2 * CHUNK - 10, 20),
            (2, CHUNK - 20, 30),
            (0, 0, 2 * CHUNK + 17),
        ] {
            let span = bench.span(piece, begin, length);
            bench.check(span).await;
            let crosses = begin / CHUNK != (begin + length - 1) / CHUNK;
            let hit = bench.cached(span);
            assert_eq!(hit.as_deref(), (!crosses).then(|| bench.expected(span)), "{span:?}");
        }
        fs::remove_file(bench.folder.path().join("file")).expect("removed");
        bench.storage.close_files();
        bench.check(bench.span(0, 5, 100)).await;
        bench.cache.invalidate_piece(bench.storage.id(), piece(&bench.storage, 0));
        bench.check(bench.span(1, CHUNK + 5, 100)).await;
        let error = bench.cache.read(&bench.storage, bench.span(0, 5, 100)).await.unwrap_err();
        assert_eq!(error.kind(), DiskErrorKind::NotFound);
        let error = bench.cache.read(&bench.storage, bench.span(0, 0, CHUNK + 1)).await.unwrap_err();
        assert_eq!(error.kind(), DiskErrorKind::NotFound);
    }

    #[tokio::test]
    async fn the_bytes_are_bounded_and_the_oldest_go_first() {
        let bench = Bench::new(10 * 100_000, 100_000, 350_000);
        for piece in [0, 1, 2, 3, 4] {
            bench.check(bench.span(piece, 0, 10)).await;
            assert!(bench.cache.bytes() <= 350_000);
        }
        let cached = |piece| bench.cached(bench.span(piece, 50, 50)).is_some();
        assert_eq!([0, 1, 2, 3, 4].map(cached), [false, false, true, true, true]);
        bench.cache.invalidate(bench.storage.id());
        assert_eq!((bench.cache.bytes(), cached(4)), (0, false));
    }

    #[tokio::test]
    async fn concurrent_requests_of_a_chunk_share_one_read() {
        let bench = Bench::new(100_000, 50_000, 1 << 20);
        let release = bench.hold();
        let (sender, receiver) = mpsc::channel();
        for number in 0..100u32 {
            let sender = sender.clone();
            let span = bench.span(0, number * 100, 100);
            bench.cache.fetch(&bench.storage, span, move |result| {
                sender.send((number, result.expect("read"))).expect("received");
            });
        }
        assert_eq!(bench.pool.backlog_jobs(), 2, "the held job and one read");
        drop(release);
        drop(sender);
        let answers: Vec<_> = receiver.iter().collect();
        assert_eq!(answers.len(), 100);
        for (number, bytes) in answers {
            assert_eq!(bytes, bench.expected(bench.span(0, number * 100, 100)));
        }
    }

    #[tokio::test]
    async fn a_read_that_began_before_an_invalidation_is_not_kept() {
        let bench = Bench::new(100_000, 50_000, 1 << 20);
        let release = bench.hold();
        let span = bench.span(0, 0, 100);
        let early = tokio::spawn({
            let (cache, storage) = (bench.cache.clone(), bench.storage.clone());
            async move { cache.read(&storage, span).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(bench.pool.backlog_jobs(), 2);
        bench.cache.invalidate(bench.storage.id());
        drop(release);
        assert_eq!(early.await.expect("joined").expect("answered"), bench.expected(span));
        assert_eq!(bench.cached(span), None);
        bench.check(span).await;
        assert!(bench.cached(span).is_some());
    }

    #[tokio::test]
    async fn it_is_as_large_as_its_users_need() {
        let bench = Bench::new(20 << 20, u64::from(CHUNK), 12 << 20);
        let read_all = async || {
            for piece in 0..80 {
                bench.check(bench.span(piece, 0, 16_384)).await;
            }
            bench.cache.bytes() >> 20
        };
        assert_eq!(read_all().await, 4, "one that nobody announced");
        let uses: Vec<CacheUse> = (0..2).map(|_| bench.cache.use_it()).collect();
        assert_eq!(read_all().await, 8);
        let more: Vec<CacheUse> = (0..2).map(|_| bench.cache.use_it()).collect();
        assert_eq!(read_all().await, 12, "never more than the bound");
        drop((uses, more));
        assert_eq!(bench.cache.bytes() >> 20, 4, "and given back at once");
    }

    #[tokio::test]
    async fn what_the_system_has_in_its_memory_needs_no_thread() {
        let bench = Bench::new(3 * CHUNK as usize, 3 * u64::from(CHUNK), 64 << 20);
        let [first, second, third] = [0, CHUNK, 2 * CHUNK].map(|begin| bench.span(0, begin, 100));
        assert_eq!(bench.cache.get(&bench.storage, first), None, "its file is not open yet");
        bench.check(first).await;
        assert_eq!(bench.cache.get(&bench.storage, first).as_deref(), Some(bench.expected(first)));
        let can = bench.storage.read_in_memory(u64::from(CHUNK), &mut [0; 100]);
        let release = bench.hold();
        let got = bench.cache.get(&bench.storage, second);
        assert_eq!(got.as_deref(), can.then(|| bench.expected(second)), "the disk thread is busy");
        assert_eq!(bench.cached(second).is_some(), can);
        assert_eq!(bench.cache.get(&bench.storage, bench.span(0, CHUNK - 5, 10)), None, "two chunks");

        bench.cache.fetch(&bench.storage, third, |_| {});
        assert_eq!(bench.cache.get(&bench.storage, third), None, "it is being read");
        drop(release);
        bench.pool.shut_down();
        assert_eq!(bench.cache.get(&bench.storage, third).as_deref(), Some(bench.expected(third)));
        bench.cache.invalidate(bench.storage.id());
        let error = bench.cache.read(&bench.storage, first).await.unwrap_err();
        assert_eq!(error.kind(), DiskErrorKind::Internal, "a closed pool answers too");
    }
}
