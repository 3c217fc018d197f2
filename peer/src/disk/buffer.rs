//! Large buffers that are used again: the first touch of fresh memory costs several times what copying into it does.

use std::{
    collections::BTreeMap,
    fmt, mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::piece::PieceBuffer;

/// A pool of buffers for pieces and read chunks, shared by the whole engine.
///
/// Memory follows the bytes that were received: a fresh buffer is zeroed memory that the operating system backs page
/// by page as it is written, and at most `spare_bytes_max` of returned buffers are kept.
#[derive(Debug)]
pub struct BufferPool {
    spare_bytes_max: usize,
    spare: Mutex<Spare>,
    received: AtomicU64,
}

#[derive(Default)]
struct Spare {
    /// Buffers by their length.
    buffers: BTreeMap<usize, Vec<Vec<u8>>>,
    /// The sum of their lengths.
    bytes: usize,
}

impl BufferPool {
    /// A pool that keeps at most this many bytes of buffers that nobody uses.
    pub fn new(spare_bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { spare_bytes_max, spare: Mutex::default(), received: AtomicU64::new(0) })
    }

    /// A buffer to gather a piece of `piece_length` bytes in.
    pub fn take(self: &Arc<Self>, piece_length: u32) -> PieceBuffer {
        PieceBuffer::new(self.buffer(piece_length as usize))
    }

    /// Bytes of payload that lie in piece buffers now: received, and not yet written or dropped.
    pub fn received_bytes(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Bytes of spare buffers kept now.
    pub fn spare_bytes(&self) -> usize {
        self.lock().bytes
    }

    /// A buffer of `length` bytes with any content.
    pub(crate) fn buffer(self: &Arc<Self>, length: usize) -> Pooled {
        let bytes = self.lock().take(length).unwrap_or_else(|| vec![0; length]);
        Pooled { bytes, length, pool: Arc::clone(self) }
    }

    pub(crate) fn count_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn count_released(&self, bytes: usize) {
        self.received.fetch_sub(bytes as u64, Ordering::Relaxed);
    }

    fn give_back(&self, bytes: Vec<u8>) {
        let mut spare = self.lock();
        if spare.bytes + bytes.len() <= self.spare_bytes_max {
            spare.bytes += bytes.len();
            spare.buffers.entry(bytes.len()).or_default().push(bytes);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Spare> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spare {
    /// The smallest spare buffer that holds `length` bytes and wastes no more than it holds.
    fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        let (&size, buffers) = self.buffers.range_mut(length..=length.saturating_mul(2)).next()?;
        let buffer = buffers.pop()?;
        if buffers.is_empty() {
            self.buffers.remove(&size);
        }
        self.bytes -= size;
        Some(buffer)
    }
}

impl fmt::Debug for Spare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spare").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// A buffer on loan from its pool, to which it goes back when it is dropped.
pub(crate) struct Pooled {
    /// At least `length` bytes.
    bytes: Vec<u8>,
    length: usize,
    pool: Arc<BufferPool>,
}

impl Pooled {
    pub(crate) fn pool(&self) -> &Arc<BufferPool> {
        &self.pool
    }

    pub(crate) fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length]
    }
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        self.pool.give_back(mem::take(&mut self.bytes));
    }
}

impl fmt::Debug for Pooled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pooled({} bytes)", self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_used_again_and_spare_ones_are_bounded() {
        let pool = BufferPool::new(250);
        let mut first = pool.buffer(100);
        first.as_mut().fill(7);
        let address = first.as_ref().as_ptr();
        drop(first);
        assert_eq!(pool.spare_bytes(), 100);
        let again = pool.buffer(60);
        assert_eq!((again.as_ref().as_ptr(), again.as_ref().len()), (address, 60));
        assert_eq!(pool.spare_bytes(), 0);
        let wasteful = pool.buffer(40);
        assert_eq!(wasteful.as_ref(), [0; 40], "fresh buffers are zeros");
        let others: Vec<_> = (0..5).map(|_| pool.buffer(100)).collect();
        drop((again, wasteful, others));
        assert_eq!(pool.spare_bytes(), 240);
    }
}
