//! A piece in the making: blocks from one or several peers, gathered in one run of memory and hashed on the way.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use potluck_common::{
    BlockSpan,
    hash::{Sha1, Sha1Digest, sha1},
    limits::BLOCK_LENGTH,
};

use super::buffer::Pooled;

/// A piece that several sessions may fill at once. Dropped, its memory goes back to the pool.
#[derive(Debug)]
pub struct PieceBuffer {
    length: u32,
    filling: Mutex<Filling>,
}

/// What [`PieceBuffer::put`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Put {
    /// The block was new.
    Added,
    /// The block was new, and now all are there.
    Completed,
    /// The block was there already; nothing changed.
    Duplicate,
    /// It is not a block of this piece, or the piece was handed to the disk already; nothing changed.
    Refused,
}

#[derive(Debug)]
struct Filling {
    /// `None` once the piece was handed to the disk.
    bytes: Option<Pooled>,
    /// One bit per block that is there.
    there: Box<[u64]>,
    missing: u32,
    /// Bytes that are there.
    received: usize,
    /// `None` while a thread hashes a block outside the lock.
    hasher: Option<Sha1>,
    /// Blocks that went through the hasher, in order from the first.
    hashed: u32,
}

/// How many blocks that came early one `put` hashes in addition to its own: a bound on how long the lock is held.
const CATCH_UP_MAX: u32 = 2;

impl PieceBuffer {
    pub(crate) fn new(bytes: Pooled) -> Self {
        let length = bytes.as_ref().len() as u32;
        let blocks = length.div_ceil(BLOCK_LENGTH);
        let filling = Filling {
            bytes: Some(bytes),
            there: vec![0; blocks.div_ceil(64) as usize].into(),
            missing: blocks,
            received: 0,
            hasher: Some(Sha1::new()),
            hashed: 0,
        };
        Self { length, filling: Mutex::new(filling) }
    }

    /// Bytes of the piece.
    pub fn length(&self) -> u32 {
        self.length
    }

    /// Copies a block to its place. With `hash_inline` the piece's hash advances as well while the bytes are still in
    /// the processor's cache, as far as the blocks before it are there.
    pub fn put(&self, span: BlockSpan, payload: &[u8], hash_inline: bool) -> Put {
        let Some(block) = self.block_number(span, payload) else { return Put::Refused };
        let mut filling = self.lock();
        let put = filling.copy(block, payload);
        if !hash_inline || !matches!(put, Put::Added | Put::Completed) || filling.hashed != block {
            return put;
        }
        let Some(mut hasher) = filling.hasher.take() else { return put };
        // Hashing takes several times as long as copying, so others may copy meanwhile.
        drop(filling);
        hasher.update(payload);
        self.lock().hashed_one(hasher);
        put
    }

    /// Whether every block is there.
    pub fn is_complete(&self) -> bool {
        self.lock().missing == 0
    }

    /// Takes the piece out, if it is complete and was not taken before.
    pub(crate) fn finish(&self) -> Option<FinishedPiece> {
        let mut filling = self.lock();
        if filling.missing > 0 {
            return None;
        }
        let bytes = filling.bytes.take()?;
        bytes.pool().count_released(mem::take(&mut filling.received));
        // A hasher that is out, with a thread that has not come back yet, is as good as none.
        let (hasher, hashed) = match filling.hasher.take() {
            Some(hasher) => (hasher, filling.hashed),
            None => (Sha1::new(), 0),
        };
        drop(filling);
        Some(FinishedPiece { bytes, hasher, hashed })
    }

    fn block_number(&self, span: BlockSpan, payload: &[u8]) -> Option<u32> {
        let fits = span.begin.is_multiple_of(BLOCK_LENGTH) && span.begin < self.length;
        let whole = fits && span.length == BLOCK_LENGTH.min(self.length - span.begin);
        (whole && payload.len() == span.length as usize).then_some(span.begin / BLOCK_LENGTH)
    }

    fn lock(&self) -> MutexGuard<'_, Filling> {
        // Nothing in here panics between two states that belong together.
        self.filling.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Filling {
    fn copy(&mut self, block: u32, payload: &[u8]) -> Put {
        let Some(bytes) = &mut self.bytes else { return Put::Refused };
        let (word, bit) = (block as usize / 64, 1 << (block % 64));
        if self.there[word] & bit != 0 {
            return Put::Duplicate;
        }
        let begin = start_of(block);
        bytes.as_mut()[begin..begin + payload.len()].copy_from_slice(payload);
        bytes.pool().count_received(payload.len());
        self.received += payload.len();
        self.there[word] |= bit;
        self.missing -= 1;
        if self.missing == 0 { Put::Completed } else { Put::Added }
    }

    /// Takes back the hasher after the next block went through it, and catches up with a few that came early.
    fn hashed_one(&mut self, mut hasher: Sha1) {
        let Some(bytes) = &self.bytes else { return };
        self.hashed += 1;
        for _ in 0..CATCH_UP_MAX {
            if !self.is_there(self.hashed) {
                break;
            }
            hasher.update(block_of(bytes.as_ref(), self.hashed));
            self.hashed += 1;
        }
        self.hasher = Some(hasher);
    }

    fn is_there(&self, block: u32) -> bool {
        self.there.get(block as usize / 64).is_some_and(|word| word >> (block % 64) & 1 == 1)
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        if let Some(bytes) = &self.bytes {
            bytes.pool().count_released(self.received);
        }
    }
}

/// A complete piece on its way to the disk.
#[derive(Debug)]
pub(crate) struct FinishedPiece {
    bytes: Pooled,
    hasher: Sha1,
    hashed: u32,
}

impl FinishedPiece {
    /// Whether nothing of it was hashed on the way.
    pub(crate) fn is_unhashed(&self) -> bool {
        self.hashed == 0
    }

    /// Hashes what was not hashed on the way.
    pub(crate) fn digest(&mut self) -> Sha1Digest {
        let mut hasher = mem::take(&mut self.hasher);
        let from = start_of(self.hashed).min(self.bytes.as_ref().len());
        hasher.update(&self.bytes.as_ref()[from..]);
        hasher.finish()
    }

    /// The SHA-1 of each block in order: who sent a block that differs from a good one is to blame for a bad piece.
    pub(crate) fn block_digests(&self) -> Vec<Sha1Digest> {
        self.bytes.as_ref().chunks(BLOCK_LENGTH as usize).map(sha1).collect()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

fn start_of(block: u32) -> usize {
    block as usize * BLOCK_LENGTH as usize
}

fn block_of(bytes: &[u8], block: u32) -> &[u8] {
    &bytes[start_of(block)..bytes.len().min(start_of(block + 1))]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use potluck_common::{Geometry, Rng};

    use super::*;
    use crate::disk::{buffer::BufferPool, testing::random_bytes};

    fn spans(length: usize) -> Vec<BlockSpan> {
        let geometry = Geometry::new(length as u64, length as u64).expect("valid");
        let piece = geometry.piece(0).expect("exists");
        (0..geometry.blocks_in(piece)).filter_map(|block| geometry.block(piece, block)).collect()
    }

    fn payload(bytes: &[u8], span: BlockSpan) -> &[u8] {
        &bytes[span.begin as usize..][..span.length as usize]
    }

    #[test]
    fn any_order_and_any_hashing_give_the_same_digest() {
        let mut rng = Rng::new(1);
        for round in 0u32..60 {
            let length = 1 + rng.below(300_000) as usize;
            let bytes = random_bytes(&mut rng, length);
            let mut order = spans(length);
            if round % 3 != 0 {
                rng.shuffle(&mut order);
            }
            let pool = BufferPool::new(1 << 20);
            let buffer = pool.take(length as u32);
            for (number, span) in order.iter().enumerate() {
                assert!(buffer.finish().is_none());
                let put = buffer.put(*span, payload(&bytes, *span), rng.below(3) > 0);
                let last = number + 1 == order.len();
                assert_eq!(put, if last { Put::Completed } else { Put::Added });
            }
            assert_eq!(pool.received_bytes(), length as u64);
            let mut finished = buffer.finish().expect("complete");
            assert_eq!(finished.digest(), sha1(&bytes));
            assert_eq!(finished.bytes(), bytes);
            let digests: Vec<_> = bytes.chunks(16_384).map(sha1).collect();
            assert_eq!(finished.block_digests(), digests);
            assert!(buffer.finish().is_none(), "taken once");
            assert_eq!(buffer.put(order[0], payload(&bytes, order[0]), true), Put::Refused);
            assert_eq!(pool.received_bytes(), 0);
        }
    }

    #[test]
    fn in_order_blocks_are_hashed_on_the_way_and_early_ones_caught_up_with() {
        let bytes = random_bytes(&mut Rng::new(2), 5 * 16_384);
        let order = spans(bytes.len());
        let buffer = BufferPool::new(0).take(bytes.len() as u32);
        let hashed = |block: usize| {
            buffer.put(order[block], payload(&bytes, order[block]), true);
            buffer.lock().hashed
        };
        assert_eq!([hashed(0), hashed(3), hashed(2), hashed(1), hashed(4)], [1, 1, 1, 4, 5]);
    }

    #[test]
    fn a_second_copy_changes_nothing_and_misfits_are_refused() {
        let pool = BufferPool::new(0);
        let buffer = pool.take(20_000);
        let order = spans(20_000);
        assert_eq!(buffer.put(order[1], &[1; 3_616], false), Put::Added);
        assert_eq!(buffer.put(order[1], &[2; 3_616], false), Put::Duplicate);
        for (begin, length) in [(1, 16_384), (0, 100), (16_384, 16_384), (32_768, 1), (u32::MAX, 1)] {
            let span = BlockSpan { begin, length, ..order[0] };
            assert_eq!(buffer.put(span, &vec![0; length as usize], true), Put::Refused, "{span:?}");
        }
        assert_eq!(buffer.put(order[0], &[1; 10], true), Put::Refused);
        assert_eq!(buffer.put(order[0], &[1; 16_384], false), Put::Completed);
        assert_eq!(buffer.finish().expect("complete").bytes(), vec![1; 20_000]);
        let partial = pool.take(20_000);
        partial.put(order[0], &[1; 16_384], true);
        assert_eq!(pool.received_bytes(), 16_384);
        drop(partial);
        assert_eq!(pool.received_bytes(), 0);
    }

    #[test]
    fn several_threads_fill_one_piece() {
        let mut rng = Rng::new(3);
        let bytes = Arc::new(random_bytes(&mut rng, 4 * 1024 * 1024 - 77));
        for hash_inline in [true, false] {
            let buffer = BufferPool::new(0).take(bytes.len() as u32);
            let orders: Vec<Vec<BlockSpan>> = (0..4)
                .map(|thread| {
                    let mut order = spans(bytes.len());
                    if thread > 0 {
                        rng.shuffle(&mut order);
                    }
                    order
                })
                .collect();
            let counts: Vec<(usize, usize)> = std::thread::scope(|scope| {
                let fill = |order: &Vec<BlockSpan>| {
                    let puts = order.iter().map(|s| buffer.put(*s, payload(&bytes, *s), hash_inline));
                    let puts: Vec<Put> = puts.collect();
                    let count = |which| puts.iter().filter(|put| **put == which).count();
                    (count(Put::Added), count(Put::Completed))
                };
                let threads: Vec<_> = orders.iter().map(|order| scope.spawn(move || fill(order))).collect();
                threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
            });
            assert_eq!(counts.iter().map(|(added, _)| added).sum::<usize>(), 255);
            assert_eq!(counts.iter().map(|(_, completed)| completed).sum::<usize>(), 1);
            let mut finished = buffer.finish().expect("complete");
            assert_eq!(finished.digest(), sha1(&bytes));
        }
    }
}
