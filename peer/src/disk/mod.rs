//! The payload on the disk: where it lies, how it is read, gathered, hashed and written.
//!
//! A session's task puts blocks into a [`PieceBuffer`]; a complete piece goes to the [`DiskPool`], which hashes what
//! was not hashed on the way, compares, and writes it into the [`Storage`] with one call per file. What peers ask
//! for comes from the [`ChunkCache`]. Nothing here knows a peer, and nothing but the pool's threads (and `check` and
//! `create`) waits for a disk.

mod buffer;
mod cache;
mod confined;
mod error;
mod figures;
mod gate;
mod hashing;
mod layout;
mod lru;
mod open_files;
mod piece;
mod pool;
mod position;
mod progress;
mod remove;
pub(crate) mod scan;
mod stamp;
mod storage;
mod store;
#[cfg(test)]
pub(crate) mod testing;

use std::{io, path::Path, sync::Arc};

pub use self::{
    buffer::BufferPool,
    cache::{CHUNK_LENGTH, CacheUse, ChunkCache},
    error::{DiskAction, DiskError, DiskErrorKind},
    figures::{DiskTotals, Figures},
    layout::{Layout, LayoutError, LayoutFile, Part},
    open_files::OpenFiles,
    piece::{PieceBuffer, Put},
    pool::DiskPool,
    progress::Progress,
    remove::Removal,
    stamp::FileStamp,
    storage::{Storage, StorageId},
    store::{StoreOutcome, Unwritten},
};

/// Bytes free where a folder is, or will be; `None` if nobody can say. Blocks.
#[cfg(unix)]
pub(crate) fn free_space(folder: &Path) -> Option<u64> {
    let place = folder.ancestors().find(|place| place.is_dir())?;
    let space = rustix::fs::statvfs(place).ok()?;
    Some(space.f_bavail.saturating_mul(space.f_frsize))
}

/// Bytes free where a folder is, or will be; `None` if nobody can say. Blocks.
#[cfg(not(unix))]
pub(crate) fn free_space(_folder: &Path) -> Option<u64> {
    None
}

/// The bounds of an engine's disk side.
#[derive(Clone, Copy, Debug)]
pub struct DiskConfig {
    /// Threads that hash, write and read.
    pub threads: usize,
    /// Payload files open at once.
    pub open_files_max: usize,
    /// Bytes of pieces that may wait to be stored before sessions should stop reading from their sockets.
    pub backlog_bytes_max: u64,
    /// Bytes of chunks kept for peers to come, however many upload.
    pub cache_bytes_max: usize,
    /// Bytes of unused buffers kept for reuse.
    pub spare_bytes_max: usize,
}

impl Default for DiskConfig {
    fn default() -> Self {
        Self {
            threads: DiskPool::default_threads(),
            open_files_max: 256,
            backlog_bytes_max: 64 * 1024 * 1024,
            cache_bytes_max: 64 * 1024 * 1024,
            spare_bytes_max: 8 * 1024 * 1024,
        }
    }
}

/// What all torrents of an engine share of the disk.
#[derive(Clone, Debug)]
pub struct Disk {
    /// The budget of open files.
    pub open_files: Arc<OpenFiles>,
    /// The memory of pieces and chunks.
    pub buffers: Arc<BufferPool>,
    /// The threads.
    pub pool: Arc<DiskPool>,
    /// What was read for peers.
    pub cache: Arc<ChunkCache>,
}

impl Disk {
    /// Starts the threads. Fails if the system refuses one.
    pub fn start(config: &DiskConfig) -> io::Result<Self> {
        let pool = DiskPool::start(config.threads, config.backlog_bytes_max)?;
        let buffers = BufferPool::new(config.spare_bytes_max);
        let cache = ChunkCache::new(&pool, &buffers, config.cache_bytes_max);
        Ok(Self { open_files: OpenFiles::new(config.open_files_max), buffers, pool, cache })
    }
}
