//! Figures over all pieces, kept so that a summary need not look at each of them.

use potluck_common::{Duration, Instant, PieceIndex};

use super::{Torrent, contract};
use crate::picker::Priority;

/// Copies are counted anew as often as this at most.
const COPIES_EVERY: Duration = Duration::from_secs(1);

/// What was counted.
///
/// Invariant: `wanted` and `missing` agree with a recount.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// Bytes of the wanted files' pieces.
    wanted: u64,
    /// Those of them that we lack.
    missing: u64,
    copies: Copies,
    /// When copies were counted.
    counted: Option<Instant>,
    /// Somebody has other pieces than then, or other pieces are wanted.
    is_stale: bool,
}

/// How often the wanted pieces are there, at connected peers and with us.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub(super) struct Copies {
    /// The copies of the rarest piece, and behind the point the share of the pieces with more.
    pub(super) distributed: f32,
    /// Pieces that are wanted.
    pub(super) pieces: u32,
    /// Those of them of which there is no copy.
    pub(super) nowhere: u32,
}

impl Torrent {
    /// Other files are wanted, or a piece was lost.
    pub(super) fn count_wanted(&mut self) {
        (self.figures.wanted, self.figures.missing) = self.recount_wanted();
        self.figures.is_stale = true;
    }

    /// A piece came.
    pub(super) fn count_stored(&mut self, piece: PieceIndex) {
        if self.picker.priority(piece) != Priority::Skip {
            self.figures.missing -= u64::from(self.config.geometry.length_of(piece));
        }
        self.figures.is_stale = true;
    }

    /// Peers have other pieces than before.
    pub(super) fn copies_changed(&mut self) {
        self.figures.is_stale = true;
    }

    /// Bytes of the wanted files' pieces, and how many of them are there.
    pub(super) fn wanted_bytes(&self) -> (u64, u64) {
        (self.figures.wanted, self.figures.wanted - self.figures.missing)
    }

    /// The copies of the wanted pieces as they were a second ago at most.
    pub(super) fn copies(&mut self, now: Instant) -> Copies {
        let is_recent = self.figures.counted.is_some_and(|at| now.since(at) < COPIES_EVERY);
        if self.figures.is_stale && !is_recent {
            self.figures.copies = self.count_copies();
            (self.figures.counted, self.figures.is_stale) = (Some(now), false);
        }
        self.figures.copies
    }

    /// Whether a summary a moment later would have other figures, though nothing happens.
    pub fn has_stale_figures(&self) -> bool {
        self.figures.is_stale
    }

    fn recount_wanted(&self) -> (u64, u64) {
        let geometry = &self.config.geometry;
        let priorities = contract::piece_priorities(geometry, &self.config.files);
        let (mut wanted, mut missing) = (0, 0);
        for (piece, _) in geometry.iter().zip(priorities).filter(|(_, priority)| *priority != Priority::Skip)
        {
            let length = u64::from(geometry.length_of(piece));
            wanted += length;
            missing += if self.picker.have().has(piece) { 0 } else { length };
        }
        (wanted, missing)
    }

    fn count_copies(&self) -> Copies {
        let (mut least, mut pieces, mut of_least, mut nowhere) = (u32::MAX, 0, 0, 0);
        for piece in self.config.geometry.iter() {
            if self.picker.priority(piece) == Priority::Skip {
                continue;
            }
            let copies = self.picker.availability(piece) + u32::from(self.picker.have().has(piece));
            pieces += 1;
            nowhere += u32::from(copies == 0);
            if copies < least {
                (least, of_least) = (copies, 0);
            }
            of_least += u32::from(copies == least);
        }
        if pieces == 0 {
            return Copies::default();
        }
        let more = (pieces - of_least) as f32 / pieces as f32;
        Copies { distributed: least as f32 + more, pieces, nowhere }
    }

    pub(super) fn assert_figures(&self) {
        let counted = (self.figures.wanted, self.figures.missing);
        assert_eq!(counted, self.recount_wanted(), "wanted bytes agree with a recount");
    }
}
