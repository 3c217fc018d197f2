//! What is shared: made from the seed, the same for everybody.

use bytes::Bytes;
use potluck_common::{BlockSpan, Geometry, PieceIndex, Rng};

/// The true bytes of the torrent.
#[derive(Clone, Debug)]
pub(super) struct Payload {
    pub(super) geometry: Geometry,
    bytes: Bytes,
}

impl Payload {
    pub(super) fn new(geometry: Geometry, rng: &mut Rng) -> Self {
        let mut bytes = vec![0; geometry.total() as usize];
        rng.fill(&mut bytes);
        Self { geometry, bytes: bytes.into() }
    }

    /// The bytes of a piece; no copy.
    pub(super) fn piece(&self, piece: PieceIndex) -> Bytes {
        let begin = self.geometry.offset_of(piece) as usize;
        self.bytes.slice(begin..begin + self.geometry.length_of(piece) as usize)
    }

    /// Whether these are the bytes of `piece`.
    pub(super) fn holds(&self, piece: PieceIndex, bytes: &Bytes) -> bool {
        let wanted = self.piece(piece);
        // What was stored once is the same memory.
        (wanted.as_ptr() == bytes.as_ptr() && wanted.len() == bytes.len()) || wanted == *bytes
    }
}

/// A block of a piece's bytes; shorter where they end too early.
pub(super) fn part(piece: &Bytes, span: BlockSpan) -> Bytes {
    let begin = (span.begin as usize).min(piece.len());
    let end = (begin + span.length as usize).min(piece.len());
    piece.slice(begin..end)
}
