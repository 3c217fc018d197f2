//! One attempt to put an `info` dictionary together.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use potluck_common::{Instant, wire::MetadataSize};

use crate::Identity;

/// The pieces of an `info` dictionary of one size, as far as they came. Each is a copy of its own bytes, so that none keeps a
/// receive buffer alive.
#[derive(Debug)]
pub(super) struct Attempt {
    size: MetadataSize,
    pieces: BTreeMap<u32, (Bytes, Identity)>,
    /// When the last of them came.
    fed_at: Instant,
}

impl Attempt {
    pub(super) fn new(size: MetadataSize) -> Self {
        Self { size, pieces: BTreeMap::new(), fed_at: Instant::ZERO }
    }

    /// Takes a piece, if it is lacking. It has the length of a piece with this number.
    pub(super) fn put(&mut self, now: Instant, piece: u32, payload: &Bytes, from: Identity) {
        if piece < self.size.pieces() && !self.pieces.contains_key(&piece) {
            self.pieces.insert(piece, (Bytes::copy_from_slice(payload), from));
            self.fed_at = now;
        }
    }

    /// When it last came nearer to its end.
    pub(super) fn fed_at(&self) -> Instant {
        self.fed_at
    }

    /// Pieces that came.
    pub(super) fn have(&self) -> u32 {
        self.pieces.len() as u32
    }

    /// Bytes that came.
    pub(super) fn bytes(&self) -> u64 {
        self.pieces.values().map(|(payload, _)| payload.len() as u64).sum()
    }

    pub(super) fn is_complete(&self) -> bool {
        self.have() == self.size.pieces()
    }

    /// The numbers of the pieces that did not come.
    pub(super) fn lacking(&self) -> impl Iterator<Item = u32> {
        (0..self.size.pieces()).filter(|number| !self.pieces.contains_key(number))
    }

    /// Who gave something.
    pub(super) fn contributors(&self) -> BTreeSet<Identity> {
        self.pieces.values().map(|(_, from)| *from).collect()
    }

    /// The whole.
    pub(super) fn join(self) -> Bytes {
        let mut info = BytesMut::with_capacity(self.size.get() as usize);
        for (payload, _) in self.pieces.into_values() {
            info.extend_from_slice(&payload);
        }
        info.freeze()
    }

    pub(super) fn assert_invariants(&self) {
        for (number, (payload, _)) in &self.pieces {
            let length = Some(payload.len() as u32);
            assert!(length == self.size.length_of(*number), "pieces have their length");
        }
    }
}
