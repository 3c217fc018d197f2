//! Messages of equal length that arrive in chunks.

use std::{fmt, slice};

use crate::{
    BLOCK_LENGTH, LANES_MAX, Sha1Digest,
    kernel::{Kernel, Lanes, State},
};

/// The state before the first block (FIPS 180-4 §5.3.1).
const INITIAL: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

/// An incremental SHA-1 of several messages of equal length, which grow in step.
#[derive(Clone)]
pub struct Sha1Lanes {
    kernel: Kernel,
    /// How many lanes are in use: at least 1, at most the kernel's.
    streams: usize,
    state: State,
    /// Bytes appended to each message.
    length: u64,
    /// The first `length % BLOCK_LENGTH` bytes of each are the begun block of its message.
    begun: [[u8; BLOCK_LENGTH]; LANES_MAX],
}

impl Sha1Lanes {
    /// A hasher of `streams` empty messages; `None` if hashing them one after another may be as fast, or if they are
    /// more than [`lanes`](crate::lanes).
    pub fn new(streams: usize) -> Option<Self> {
        Kernel::for_streams(streams).map(|kernel| Self::with_kernel(kernel, streams))
    }

    /// A hasher of `streams` empty messages by this kernel, even if another way is faster.
    ///
    /// # Panics
    /// When there is no message, or more than the kernel has lanes.
    pub fn with_kernel(kernel: Kernel, streams: usize) -> Self {
        assert!((1..=kernel.lanes()).contains(&streams), "{streams} messages for {kernel:?}");
        let state = INITIAL.map(|word| [word; LANES_MAX]);
        Self { kernel, streams, state, length: 0, begun: [[0; BLOCK_LENGTH]; LANES_MAX] }
    }

    /// Appends a chunk to each message, in their order. Multiples of [`BLOCK_LENGTH`] are never copied.
    ///
    /// # Panics
    /// When there is not one chunk for each message, or the chunks differ in length.
    pub fn update(&mut self, chunks: &[&[u8]]) {
        assert_eq!(chunks.len(), self.streams, "a chunk for each message");
        let length = chunks[0].len();
        assert!(chunks.iter().all(|chunk| chunk.len() == length), "messages grow in step");
        let held = self.held();
        self.length += length as u64;
        let mut from = 0;
        if held > 0 {
            from = length.min(BLOCK_LENGTH - held);
            for (begun, chunk) in self.begun.iter_mut().zip(chunks) {
                begun[held..held + from].copy_from_slice(&chunk[..from]);
            }
            if held + from < BLOCK_LENGTH {
                return;
            }
            self.compress_begun();
        }
        let mut lanes: Lanes<'_> = [&[]; LANES_MAX];
        for ((lane, begun), chunk) in lanes.iter_mut().zip(&mut self.begun).zip(chunks) {
            let (blocks, tail) = chunk[from..].as_chunks();
            *lane = blocks;
            begun[..tail.len()].copy_from_slice(tail);
        }
        // Idle lanes must have something to work on too.
        let first = lanes[0];
        lanes[self.streams..].fill(first);
        self.kernel.compress(&mut self.state, &lanes, self.streams);
    }

    /// The digest of each message, in their order.
    pub fn finish(mut self) -> Vec<Sha1Digest> {
        let held = self.held();
        let bits = self.length.wrapping_mul(8).to_be_bytes();
        let length_at = BLOCK_LENGTH - bits.len();
        for begun in &mut self.begun {
            begun[held] = 0x80;
            begun[held + 1..].fill(0);
        }
        if held >= length_at {
            self.compress_begun();
            self.begun = [[0; BLOCK_LENGTH]; LANES_MAX];
        }
        for begun in &mut self.begun {
            begun[length_at..].copy_from_slice(&bits);
        }
        self.compress_begun();
        (0..self.streams).map(|lane| self.digest(lane)).collect()
    }

    /// Bytes of the begun block.
    fn held(&self) -> usize {
        (self.length % BLOCK_LENGTH as u64) as usize
    }

    fn compress_begun(&mut self) {
        let lanes = self.begun.each_ref().map(slice::from_ref);
        self.kernel.compress(&mut self.state, &lanes, self.streams);
    }

    fn digest(&self, lane: usize) -> Sha1Digest {
        let mut digest = Sha1Digest::default();
        for (bytes, word) in digest.chunks_exact_mut(4).zip(&self.state) {
            bytes.copy_from_slice(&word[lane].to_be_bytes());
        }
        digest
    }
}

impl fmt::Debug for Sha1Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha1Lanes({} messages of {} bytes so far, {:?})", self.streams, self.length, self.kernel)
    }
}
