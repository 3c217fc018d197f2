//! What a picker is told, and what it answers.

use potluck_common::PieceIndex;

use crate::PeerKey;

/// How much the user wants a piece.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub enum Priority {
    /// Not at all.
    Skip,
    /// After all others.
    Low,
    /// As usual.
    #[default]
    Normal,
    /// Before all others.
    High,
}

/// The order in which new pieces are started within one priority.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Order {
    /// The piece that fewest peers have; ties fall at random.
    #[default]
    RarestFirst,
    /// From the first to the last, for somebody who watches.
    Sequential,
}

/// Settings of a [`super::Picker`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PickerConfig {
    /// The order of new pieces.
    pub order: Order,
    /// Until we have this many pieces, new ones are drawn at random and peers share them: something to trade is
    /// needed soon, and a rare piece comes slowly.
    pub random_first_pieces: u32,
}

impl Default for PickerConfig {
    fn default() -> Self {
        Self { order: Order::RarestFirst, random_first_pieces: 4 }
    }
}

/// What bounds one call of [`super::Picker::pick`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PickLimits<'a> {
    /// How many new pieces may be started now: the bound on memory for incomplete pieces.
    pub start_pieces_max: u32,
    /// Only these pieces, when `Some`: what a peer that chokes us allows (BEP 6).
    pub allowed: Option<&'a [PieceIndex]>,
    /// What the peer gives us, in payload bytes per second; 0 when nothing came yet. It decides whether the peer
    /// gets pieces of its own, and whose blocks are worth asking twice in the end game.
    pub rate_bytes_per_second: u64,
}

impl Default for PickLimits<'_> {
    fn default() -> Self {
        Self { start_pieces_max: u32::MAX, allowed: None, rate_bytes_per_second: 0 }
    }
}

/// What a received block was worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It was missing: keep it.
    New,
    /// It was there already: drop it.
    Duplicate,
    /// It is no block of a piece under way, or the piece is reserved for another peer: drop it.
    Unwanted,
}

/// The answer to [`super::Picker::received`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// What the block was worth.
    pub outcome: Outcome,
    /// This block made its piece complete: hash it.
    pub piece_complete: bool,
    /// Others that are still asked for the same block: send them CANCEL. The picker has forgotten their requests.
    pub cancel: Vec<PeerKey>,
}

impl Receipt {
    pub(super) fn worthless(outcome: Outcome) -> Self {
        Self { outcome, piece_complete: false, cancel: Vec::new() }
    }
}

/// A started piece, for snapshots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PieceProgress {
    /// The piece.
    pub piece: PieceIndex,
    /// Its number of blocks.
    pub blocks: u32,
    /// Blocks that are received.
    pub received: u32,
    /// Blocks that are asked for.
    pub asked: u32,
    /// Peers that are asked for some.
    pub peers: u32,
}
