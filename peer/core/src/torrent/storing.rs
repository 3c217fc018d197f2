//! Pieces on their way to the disk, and whether so many wait that more would only take memory.

use std::collections::BTreeSet;

use potluck_common::{Duration, Geometry, Instant, PieceIndex};

/// What may wait to be hashed and written while the disk answers promptly (or two pieces, if they are larger), in bytes:
/// enough for every disk thread to have work. What the disk cannot take now it will not take sooner for being asked.
const WAITING_BYTES: u64 = 4 * 1024 * 1024;
/// As much again may wait for each time of this length in which the disk answers nothing: a hiccup, as while a journal
/// is committed, is no reason to stop the network.
const SILENCE: Duration = Duration::from_millis(20);

/// The pieces handed to the shell with [`Effect::StorePiece`](super::Effect::StorePiece) and not answered yet.
///
/// Invariant: `bytes` is the sum of their lengths.
#[derive(Debug)]
pub(super) struct Storing {
    geometry: Geometry,
    pieces: BTreeSet<PieceIndex>,
    bytes: u64,
    /// When the last one was answered, or the first one handed over after a time without any.
    answered: Instant,
    /// No piece is begun because of what waits.
    holds_back: bool,
}

impl Storing {
    pub(super) fn new(geometry: Geometry, now: Instant) -> Self {
        Self { geometry, pieces: BTreeSet::new(), bytes: 0, answered: now, holds_back: false }
    }

    pub(super) fn begin(&mut self, now: Instant, piece: PieceIndex) {
        if self.pieces.is_empty() {
            self.answered = now;
        }
        if self.pieces.insert(piece) {
            self.bytes += u64::from(self.geometry.length_of(piece));
        }
    }

    pub(super) fn end(&mut self, now: Instant, piece: PieceIndex) {
        if self.pieces.remove(&piece) {
            self.bytes -= u64::from(self.geometry.length_of(piece));
            self.answered = now;
        }
    }

    pub(super) fn has(&self, piece: PieceIndex) -> bool {
        self.pieces.contains(&piece)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(super) fn count(&self) -> usize {
        self.pieces.len()
    }

    /// Whether too much waits now.
    pub(super) fn is_behind(&self, now: Instant) -> bool {
        now < self.enough_at()
    }

    /// As [`Storing::is_behind`], by somebody who holds back because of it and wants to be woken.
    pub(super) fn hold_back(&mut self, now: Instant) -> bool {
        self.holds_back |= self.is_behind(now);
        self.is_behind(now)
    }

    /// When it is no longer too much, if the disk goes on to answer nothing; for whoever holds back.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.holds_back.then(|| self.enough_at())
    }

    /// Whether somebody held back and need not any more. Says so once.
    pub(super) fn lets_go(&mut self, now: Instant) -> bool {
        let lets_go = self.holds_back && !self.is_behind(now);
        self.holds_back &= !lets_go;
        lets_go
    }

    fn enough_at(&self) -> Instant {
        let waiting = WAITING_BYTES.max(2 * u64::from(self.geometry.piece_length()));
        let times = u32::try_from(self.bytes / waiting).unwrap_or(u32::MAX);
        self.answered + SILENCE.saturating_mul(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_may_wait_the_longer_the_disk_is_silent() {
        let geometry = Geometry::new(64 << 20, 1 << 20).expect("valid");
        let mut storing = Storing::new(geometry, Instant::ZERO);
        let at = |milliseconds| Instant::from_secs(10) + Duration::from_millis(milliseconds);
        let mut pieces = geometry.iter();
        let mut hand_over = |storing: &mut Storing, now| storing.begin(now, pieces.next().expect("enough"));
        for _ in 0..3 {
            hand_over(&mut storing, at(0));
        }
        assert!(!storing.hold_back(at(0)));
        assert_eq!(storing.poll_timeout(), None);
        hand_over(&mut storing, at(5));
        assert!(storing.hold_back(at(5)));
        assert_eq!(storing.poll_timeout(), Some(at(20)), "counted from when the disk got something to do");
        assert!(!storing.lets_go(at(19)));
        assert!(storing.lets_go(at(20)));
        assert_eq!((storing.lets_go(at(20)), storing.poll_timeout()), (false, None));
        for _ in 0..4 {
            hand_over(&mut storing, at(20));
        }
        assert!(storing.is_behind(at(39)) && !storing.is_behind(at(40)));
        // An answer: the disk is alive, and the measure is the short one again.
        storing.end(at(40), geometry.piece(0).expect("exists"));
        assert!(storing.is_behind(at(59)) && !storing.is_behind(at(60)));
        for number in 1..5 {
            storing.end(at(41), geometry.piece(number).expect("exists"));
        }
        assert_eq!((storing.count(), storing.is_behind(at(41))), (3, false));
    }

    #[test]
    fn two_large_pieces_may_always_wait() {
        let geometry = Geometry::new(64 << 20, 16 << 20).expect("valid");
        let mut storing = Storing::new(geometry, Instant::ZERO);
        storing.begin(Instant::ZERO, geometry.piece(0).expect("exists"));
        assert!(!storing.is_behind(Instant::ZERO));
        storing.begin(Instant::ZERO, geometry.piece(1).expect("exists"));
        assert!(storing.is_behind(Instant::ZERO));
    }
}
