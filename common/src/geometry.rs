//! How a torrent's payload divides into pieces and blocks, and the newtypes that only this module mints.
//!
//! Any piece length is legal (it need not be a multiple of 16 KiB), and both the last piece and the last block of
//! any piece may be short. Indices from the wire become [`PieceIndex`] or [`BlockSpan`] here, once, so that no later
//! code needs another range check.

use thiserror::Error;

use crate::limits::{BLOCK_LENGTH, PIECE_LENGTH_MAX, PIECES_MAX, TOTAL_SIZE_MAX};

/// The index of a piece that exists in the [`Geometry`] that minted it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PieceIndex(u32);

impl PieceIndex {
    /// The zero-based number as it stands on the wire.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The number as an index into a slice.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A part of one piece that lies wholly inside it: what a request, a piece message or a cancel names (BEP 3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BlockSpan {
    /// The piece.
    pub piece: PieceIndex,
    /// Offset within the piece, in bytes.
    pub begin: u32,
    /// Length in bytes, never 0.
    pub length: u32,
}

/// Why a payload cannot be divided.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum GeometryError {
    /// The piece length is 0 or above the limit.
    #[error("piece length {0} is not between 1 and {PIECE_LENGTH_MAX} bytes")]
    PieceLength(u64),
    /// The payload is above the limit.
    #[error("total size {0} is above the limit of {TOTAL_SIZE_MAX} bytes")]
    TotalSize(u64),
    /// There would be too many pieces.
    #[error("{0} pieces are above the limit of {PIECES_MAX}")]
    Pieces(u64),
}

/// The division of a payload into pieces and blocks.
///
/// Invariants: `1 <= piece_length <= PIECE_LENGTH_MAX`; `pieces == ceil(total / piece_length) <= PIECES_MAX`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Geometry {
    total: u64,
    piece_length: u32,
    pieces: u32,
}

impl Geometry {
    /// Divides `total` bytes into pieces of `piece_length` bytes.
    pub fn new(total: u64, piece_length: u64) -> Result<Self, GeometryError> {
        if piece_length == 0 || piece_length > u64::from(PIECE_LENGTH_MAX) {
            return Err(GeometryError::PieceLength(piece_length));
        }
        if total > TOTAL_SIZE_MAX {
            return Err(GeometryError::TotalSize(total));
        }
        let pieces = total.div_ceil(piece_length);
        if pieces > u64::from(PIECES_MAX) {
            return Err(GeometryError::Pieces(pieces));
        }
        Ok(Self { total, piece_length: piece_length as u32, pieces: pieces as u32 })
    }

    /// Bytes of the whole payload.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Bytes of every piece but perhaps the last.
    pub const fn piece_length(&self) -> u32 {
        self.piece_length
    }

    /// The number of pieces; 0 only for an empty payload.
    pub const fn pieces(&self) -> u32 {
        self.pieces
    }

    /// Every piece in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = PieceIndex> + ExactSizeIterator + use<> {
        (0..self.pieces).map(PieceIndex)
    }

    /// The piece with this number, if it exists.
    pub fn piece(&self, number: u32) -> Option<PieceIndex> {
        (number < self.pieces).then_some(PieceIndex(number))
    }

    /// Bytes of this piece; short for the last one.
    pub fn length_of(&self, piece: PieceIndex) -> u32 {
        let rest = self.total - self.offset_of(piece);
        rest.min(u64::from(self.piece_length)) as u32
    }

    /// Where this piece begins in the payload, in bytes.
    pub fn offset_of(&self, piece: PieceIndex) -> u64 {
        assert!(piece.0 < self.pieces, "a piece of another torrent");
        u64::from(piece.0) * u64::from(self.piece_length)
    }

    /// The number of 16 KiB blocks of this piece, counting a short last one.
    pub fn blocks_in(&self, piece: PieceIndex) -> u32 {
        self.length_of(piece).div_ceil(BLOCK_LENGTH)
    }

    /// Block number `block` of `piece`, if it exists.
    pub fn block(&self, piece: PieceIndex, block: u32) -> Option<BlockSpan> {
        let length = self.length_of(piece);
        let begin = block.checked_mul(BLOCK_LENGTH).filter(|begin| *begin < length)?;
        Some(BlockSpan { piece, begin, length: BLOCK_LENGTH.min(length - begin) })
    }

    /// The block number of a span that is exactly one of our blocks.
    pub fn block_number(&self, span: BlockSpan) -> Option<u32> {
        if !span.begin.is_multiple_of(BLOCK_LENGTH) {
            return None;
        }
        let number = span.begin / BLOCK_LENGTH;
        (self.block(span.piece, number) == Some(span)).then_some(number)
    }

    /// The span that three wire integers name, if it lies wholly inside an existing piece and is not empty.
    pub fn span(&self, piece: u32, begin: u32, length: u32) -> Option<BlockSpan> {
        let piece = self.piece(piece)?;
        let end = u64::from(begin) + u64::from(length);
        (length > 0 && end <= u64::from(self.length_of(piece))).then_some(BlockSpan { piece, begin, length })
    }

    /// The pieces that overlap the byte range `offset..offset + length`, as a range of piece numbers.
    pub fn pieces_of_range(&self, offset: u64, length: u64) -> std::ops::Range<u32> {
        if length == 0 || offset >= self.total {
            return 0..0;
        }
        let last = offset.saturating_add(length).min(self.total) - 1;
        let piece_length = u64::from(self.piece_length);
        (offset / piece_length) as u32..(last / piece_length) as u32 + 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn blocks_tile_every_piece_and_pieces_tile_the_payload(total in 0u64..3_000_000, piece_length in 1u64..200_000) {
            let geometry = Geometry::new(total, piece_length).expect("in bounds");
            let mut offset = 0;
            for piece in geometry.iter() {
                prop_assert_eq!(geometry.offset_of(piece), offset);
                let mut begin = 0;
                for number in 0..geometry.blocks_in(piece) {
                    let span = geometry.block(piece, number).expect("exists");
                    prop_assert_eq!(span.begin, begin);
                    prop_assert_eq!(geometry.block_number(span), Some(number));
                    prop_assert_eq!(geometry.span(piece.get(), span.begin, span.length), Some(span));
                    begin += span.length;
                }
                prop_assert_eq!(begin, geometry.length_of(piece));
                prop_assert_eq!(geometry.block(piece, geometry.blocks_in(piece)), None);
                offset += u64::from(begin);
            }
            prop_assert_eq!(offset, total);
            prop_assert_eq!(geometry.piece(geometry.pieces()), None);
        }
    }

    #[test]
    fn hostile_numbers_are_refused() {
        assert_eq!(Geometry::new(1, 0), Err(GeometryError::PieceLength(0)));
        assert_eq!(Geometry::new(1, 1 << 62), Err(GeometryError::PieceLength(1 << 62)));
        assert_eq!(Geometry::new(u64::MAX, 16384), Err(GeometryError::TotalSize(u64::MAX)));
        assert!(matches!(Geometry::new(1 << 40, 1), Err(GeometryError::Pieces(_))));
        let geometry = Geometry::new(40_000, 32_768).expect("valid");
        for (piece, begin, length) in [
            (2, 0, 1),
            (u32::MAX, 0, 1),
            (0, 32_768, 1),
            (0, 1, 32_768),
            (0, u32::MAX, u32::MAX),
            (0, 0, 0),
            (1, 7_000, 300),
        ] {
            assert_eq!(geometry.span(piece, begin, length), None, "{piece} {begin} {length}");
        }
    }

    #[test]
    fn ranges_name_the_pieces_they_touch() {
        let geometry = Geometry::new(100, 10).expect("valid");
        for (offset, length, pieces) in
            [(0, 1, 0..1), (9, 2, 0..2), (10, 10, 1..2), (95, 1000, 9..10), (100, 1, 0..0), (5, 0, 0..0)]
        {
            assert_eq!(geometry.pieces_of_range(offset, length), pieces);
        }
    }
}
