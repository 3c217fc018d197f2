//! One attempt to put an `info` dictionary together.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use potluck_common::wire::MetadataSize;

use crate::Identity;

/// The pieces of an `info` dictionary of one size, as far as they came. Each is a copy of its own bytes, so that none keeps a
/// receive buffer alive.
#[derive(Debug)]
pub(super) struct Attempt {
    size: MetadataSize,
    pieces: Vec<Option<(Bytes, Identity)>>,
    have: u32,
}

impl Attempt {
    pub(super) fn new(size: MetadataSize) -> Self {
        Self { size, pieces: vec![None; size.pieces() as usize], have: 0 }
    }

    /// Takes a piece, if it is lacking. It has the length of a piece with this number.
    pub(super) fn put(&mut self, piece: u32, payload: &Bytes, from: Identity) {
        let Some(place @ None) = self.pieces.get_mut(piece as usize) else { return };
        *place = Some((Bytes::copy_from_slice(payload), from));
        self.have += 1;
    }

    /// Pieces that came.
    pub(super) fn have(&self) -> u32 {
        self.have
    }

    /// Bytes that came.
    pub(super) fn bytes(&self) -> u64 {
        self.pieces.iter().flatten().map(|(payload, _)| payload.len() as u64).sum()
    }

    pub(super) fn is_complete(&self) -> bool {
        self.have as usize == self.pieces.len()
    }

    /// The numbers of the pieces that did not come.
    pub(super) fn lacking(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.pieces).filter(|(_, piece)| piece.is_none()).map(|(number, _)| number)
    }

    /// Who gave something.
    pub(super) fn contributors(&self) -> BTreeSet<Identity> {
        self.pieces.iter().flatten().map(|(_, from)| *from).collect()
    }

    /// The whole.
    pub(super) fn join(self) -> Bytes {
        let mut info = BytesMut::with_capacity(self.size.get() as usize);
        for (payload, _) in self.pieces.into_iter().flatten() {
            info.extend_from_slice(&payload);
        }
        info.freeze()
    }

    pub(super) fn assert_invariants(&self) {
        assert_eq!(self.have as usize, self.pieces.iter().flatten().count(), "a recount agrees");
        for (number, piece) in (0..).zip(&self.pieces) {
            let length = piece.as_ref().map(|(payload, _)| payload.len() as u32);
            assert!(length.is_none() || length == self.size.length_of(number), "pieces have their length");
        }
    }
}
