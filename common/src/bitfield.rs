//! Which pieces somebody has. The memory is the wire format (BEP 3: most significant bit first).
//!
//! Scans go over the raw bytes in 64-bit chunks: iterating `bitvec` bit by bit is 10 to 145 times slower.

use std::{fmt, sync::Arc};

use bitvec::{order::Msb0, vec::BitVec};

use crate::geometry::{Geometry, PieceIndex};

/// A set of pieces of one torrent. Spare bits past the last piece are always zero.
///
/// Clones share their memory until one of them changes: what a seed has, it has once for all its connections.
#[derive(Clone, PartialEq, Eq)]
pub struct Bitfield {
    bits: Arc<BitVec<u8, Msb0>>,
    /// The number of set bits.
    count: u32,
}

impl Bitfield {
    /// No piece of `pieces`.
    pub fn empty(pieces: u32) -> Self {
        Self { bits: Arc::new(BitVec::repeat(false, pieces as usize)), count: 0 }
    }

    /// Every piece of `pieces`.
    pub fn full(pieces: u32) -> Self {
        let mut bits: BitVec<u8, Msb0> = BitVec::repeat(true, pieces as usize);
        bits.set_uninitialized(false);
        Self { bits: Arc::new(bits), count: pieces }
    }

    /// The set that a BITFIELD message's payload names, or `None` when its length is wrong or a spare bit is set.
    pub fn from_wire(payload: &[u8], pieces: u32) -> Option<Self> {
        if payload.len() != (pieces as usize).div_ceil(8) {
            return None;
        }
        let spare = payload.len() * 8 - pieces as usize;
        if spare > 0 && payload.last().is_some_and(|last| last & ((1u8 << spare) - 1) != 0) {
            return None;
        }
        let mut bits = BitVec::from_vec(payload.to_vec());
        bits.truncate(pieces as usize);
        let count = payload.iter().map(|byte| byte.count_ones()).sum();
        Some(Self { bits: Arc::new(bits), count })
    }

    /// The payload of a BITFIELD message.
    pub fn as_wire(&self) -> &[u8] {
        self.bits.as_raw_slice()
    }

    /// The number of pieces that the torrent has.
    pub fn pieces(&self) -> u32 {
        self.bits.len() as u32
    }

    /// The number of pieces in the set.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether every piece is in the set.
    pub fn is_full(&self) -> bool {
        self.count as usize == self.bits.len()
    }

    /// Whether no piece is in the set.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether `piece` is in the set.
    pub fn has(&self, piece: PieceIndex) -> bool {
        let (byte, bit) = (piece.index() / 8, piece.index() % 8);
        self.bits.as_raw_slice()[byte] & 0x80 >> bit != 0
    }

    /// Adds `piece`; false if it was there.
    pub fn insert(&mut self, piece: PieceIndex) -> bool {
        let added = !self.has(piece);
        if added {
            Arc::make_mut(&mut self.bits).set(piece.index(), true);
            self.count += 1;
        }
        added
    }

    /// Removes `piece`; false if it was not there.
    pub fn remove(&mut self, piece: PieceIndex) -> bool {
        let removed = self.has(piece);
        if removed {
            Arc::make_mut(&mut self.bits).set(piece.index(), false);
            self.count -= 1;
        }
        removed
    }

    /// The pieces of the set in order.
    pub fn iter<'a>(&'a self, geometry: &'a Geometry) -> impl Iterator<Item = PieceIndex> + 'a {
        self.scan(|chunk, _| chunk, None, geometry)
    }

    /// The pieces that are in `self` and not in `other`, in order.
    pub fn iter_difference<'a>(
        &'a self,
        other: &'a Self,
        geometry: &'a Geometry,
    ) -> impl Iterator<Item = PieceIndex> + 'a {
        self.scan(|mine, theirs| mine & !theirs, Some(other), geometry)
    }

    /// How many pieces are in `self` and not in `other`.
    pub fn count_difference(&self, other: &Self) -> u32 {
        self.chunks().zip(other.chunks()).map(|(mine, theirs)| (mine & !theirs).count_ones()).sum()
    }

    fn chunks(&self) -> impl Iterator<Item = u64> + '_ {
        self.bits.as_raw_slice().chunks(8).map(chunk_of)
    }

    fn scan<'a>(
        &'a self,
        combine: impl Fn(u64, u64) -> u64 + 'a,
        other: Option<&'a Self>,
        geometry: &'a Geometry,
    ) -> impl Iterator<Item = PieceIndex> + 'a {
        let mine = self.bits.as_raw_slice().chunks(8);
        let theirs = other.map(|other| other.bits.as_raw_slice().chunks(8));
        Scan { mine, theirs, combine, rest: 0, begin: 0, end: 0, geometry }
    }
}

/// The bits that are set of what two fields combine to, in order.
struct Scan<'a, C> {
    mine: std::slice::Chunks<'a, u8>,
    theirs: Option<std::slice::Chunks<'a, u8>>,
    combine: C,
    /// Those bits of the chunk at hand that are still to come.
    rest: u64,
    /// Where the chunk at hand begins, and the next one.
    begin: u32,
    end: u32,
    geometry: &'a Geometry,
}

impl<C: Fn(u64, u64) -> u64> Iterator for Scan<'_, C> {
    type Item = PieceIndex;

    fn next(&mut self) -> Option<PieceIndex> {
        while self.rest == 0 {
            let mine = chunk_of(self.mine.next()?);
            let theirs = self.theirs.as_mut().and_then(Iterator::next).map_or(0, chunk_of);
            self.rest = (self.combine)(mine, theirs);
            (self.begin, self.end) = (self.end, self.end + 64);
        }
        let bit = self.rest.leading_zeros();
        self.rest &= !(1 << 63 >> bit);
        // Spare bits are never set: nothing comes after the last piece.
        self.geometry.piece(self.begin + bit)
    }
}

/// The count alone: a trace of a run must not depend on addresses in memory, which `bitvec` shows.
impl fmt::Debug for Bitfield {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bitfield({} of {})", self.count, self.bits.len())
    }
}

fn chunk_of(bytes: &[u8]) -> u64 {
    let mut whole = [0; 8];
    whole[..bytes.len()].copy_from_slice(bytes);
    u64::from_be_bytes(whole)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wire_form_is_checked() {
        assert!(Bitfield::from_wire(&[0xff, 0x80], 9).expect("valid").is_full());
        assert_eq!(Bitfield::from_wire(&[0xff, 0xc0], 9), None, "spare bit set");
        assert_eq!(Bitfield::from_wire(&[0xff], 9), None, "short");
        assert_eq!(Bitfield::from_wire(&[0xff, 0, 0], 9), None, "long");
        assert_eq!(Bitfield::full(9).as_wire(), [0xff, 0x80]);
        assert_eq!(Bitfield::empty(0), Bitfield::from_wire(&[], 0).expect("valid"));
    }

    proptest! {
        #[test]
        fn scans_agree_with_a_set(pieces in 0u32..300, mine: Vec<u32>, theirs: Vec<u32>) {
            let geometry = Geometry::new(u64::from(pieces), 1).expect("valid");
            let build = |numbers: &[u32]| {
                let mut field = Bitfield::empty(pieces);
                let mut model = std::collections::BTreeSet::new();
                for piece in numbers.iter().filter_map(|n| geometry.piece(n % pieces.max(1))) {
                    assert_eq!(field.insert(piece), model.insert(piece));
                }
                (field, model)
            };
            let (a, a_model) = build(&mine);
            let (b, b_model) = build(&theirs);
            prop_assert_eq!(a.iter(&geometry).collect::<Vec<_>>(), a_model.iter().copied().collect::<Vec<_>>());
            let difference: Vec<_> = a_model.difference(&b_model).copied().collect();
            prop_assert_eq!(a.count_difference(&b) as usize, difference.len());
            prop_assert_eq!(a.iter_difference(&b, &geometry).collect::<Vec<_>>(), difference);
            prop_assert_eq!(a.count() as usize, a_model.len());
            prop_assert_eq!(Bitfield::from_wire(a.as_wire(), pieces), Some(a));
        }
    }
}
