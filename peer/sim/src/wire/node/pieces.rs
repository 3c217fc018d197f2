//! The pieces that are being assembled, as the engine keeps them.

use std::collections::BTreeMap;

use bytes::Bytes;
use potluck_common::{BlockSpan, PieceIndex, hash::Sha1Digest, hash::sha1};

use crate::wire::payload::Payload;

/// A piece that could not be written, for the next try.
#[derive(Debug)]
pub(in crate::wire) struct Unwritten {
    pub(in crate::wire) bytes: Bytes,
    pub(in crate::wire) digests: Vec<Sha1Digest>,
}

/// The blocks of a piece by their offset.
type Blocks = BTreeMap<u32, Bytes>;

/// What came of hashing a piece.
#[derive(Debug)]
pub(in crate::wire) enum Hashed {
    Holds(Unwritten),
    Mismatch(Vec<Sha1Digest>),
}

/// Open pieces and those that wait to be written again.
#[derive(Debug, Default)]
pub(in crate::wire) struct Pieces {
    open: BTreeMap<PieceIndex, Blocks>,
    unwritten: BTreeMap<PieceIndex, Unwritten>,
    bytes: usize,
}

impl Pieces {
    /// Returns whether it was not open before.
    pub(in crate::wire) fn open(&mut self, piece: PieceIndex) -> bool {
        self.open.insert(piece, Blocks::new()).is_none()
    }

    pub(in crate::wire) fn close(&mut self, piece: PieceIndex) {
        drop((self.take(piece), self.unwritten.remove(&piece)));
    }

    /// Takes a block. `false` if the piece is not open or the block was there already.
    pub(in crate::wire) fn put(&mut self, span: BlockSpan, payload: Bytes) -> bool {
        let Some(blocks) = self.open.get_mut(&span.piece) else { return false };
        if blocks.contains_key(&span.begin) {
            return false;
        }
        self.bytes += payload.len();
        blocks.insert(span.begin, payload);
        true
    }

    fn take(&mut self, piece: PieceIndex) -> Option<Blocks> {
        let blocks = self.open.remove(&piece)?;
        self.bytes -= blocks.values().map(Bytes::len).sum::<usize>();
        Some(blocks)
    }

    pub(in crate::wire) fn keep(&mut self, piece: PieceIndex, unwritten: Unwritten) {
        self.unwritten.insert(piece, unwritten);
    }

    /// What is to be stored: a piece that waited, or one whose last block came. `None` if it is not all there. With digests
    /// of its blocks if they are `wanted`, or do not hold.
    pub(in crate::wire) fn take_to_store(
        &mut self,
        piece: PieceIndex,
        payload: &Payload,
        wanted: bool,
    ) -> Option<Hashed> {
        if let Some(unwritten) = self.unwritten.remove(&piece) {
            return Some(Hashed::Holds(unwritten));
        }
        let blocks = self.take(piece)?;
        let length: usize = blocks.values().map(Bytes::len).sum();
        if length != payload.geometry.length_of(piece) as usize {
            return None;
        }
        let truth = payload.piece(piece);
        let holds = blocks.iter().all(|(begin, block)| {
            let begin = *begin as usize;
            truth.get(begin..begin + block.len()) == Some(block)
        });
        let is_wanted = wanted || !holds;
        let digests = blocks.values().filter(|_| is_wanted).map(|block| sha1(block)).collect();
        // What holds is the true payload: its memory is there already.
        Some(if holds {
            Hashed::Holds(Unwritten { bytes: truth, digests })
        } else {
            Hashed::Mismatch(digests)
        })
    }

    /// Bytes of blocks in memory, and of pieces that wait for the disk.
    pub(in crate::wire) fn bytes(&self) -> usize {
        self.bytes + self.unwritten.values().map(|unwritten| unwritten.bytes.len()).sum::<usize>()
    }
}
