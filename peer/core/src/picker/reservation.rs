//! Pieces that only one peer may be asked for, so that blame for them will be certain.

use potluck_common::{Duration, Instant, PieceIndex};

use super::{Picker, pick::Turn};
use crate::PeerKey;

/// A reservation ends when its peer is asked for nothing of the piece for this long: it chokes us, or is lost in
/// other work.
const IDLE_MAX: Duration = Duration::from_secs(15);

/// A reservation ends after this long: nobody may hold a piece back by sending it a block at a time.
const LASTS_MAX: Duration = Duration::from_secs(180);

/// Whom a piece is reserved for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Reservation {
    pub(super) peer: PeerKey,
    /// When it was first seen by a pick.
    since: Option<Instant>,
    /// Since when its peer is asked for nothing of the piece.
    idle_since: Option<Instant>,
}

impl Picker {
    /// Reserves `piece` for one peer, so that blame for it will be certain, or ends that. To be called while the
    /// piece is not started; what others send for a reserved piece is [`super::Outcome::Unwanted`]. The reservation
    /// ends when the piece is stored, when the peer leaves, and when the peer brings nothing for a while.
    pub fn set_exclusive(&mut self, piece: PieceIndex, peer: Option<PeerKey>) {
        match peer {
            Some(peer) if !self.have.has(piece) => {
                self.reserved.insert(piece, Reservation { peer, since: None, idle_since: None });
            }
            _ => drop(self.reserved.remove(&piece)),
        }
        self.settle(piece);
        self.line_up(piece);
    }

    /// The peer that `piece` is reserved for.
    pub fn exclusive(&self, piece: PieceIndex) -> Option<PeerKey> {
        self.reserved.get(&piece).map(|only| only.peer)
    }

    pub(super) fn is_reserved_for_other(&self, peer: PeerKey, piece: PieceIndex) -> bool {
        self.exclusive(piece).is_some_and(|only| only != peer)
    }

    /// Nothing is reserved for this peer any more.
    pub fn end_reservations(&mut self, peer: PeerKey) {
        let of_peer = self.reserved.iter().filter(|(_, only)| only.peer == peer);
        for piece in of_peer.map(|(piece, _)| *piece).collect::<Vec<_>>() {
            self.set_exclusive(piece, None);
        }
    }

    /// Ends the reservations that lead to nothing.
    pub(super) fn end_idle_reservations(&mut self, now: Instant) {
        let mut ended = Vec::new();
        for (piece, only) in &mut self.reserved {
            let started = self.started.get(piece);
            let helper = started.and_then(|s| s.helpers.iter().find(|helper| helper.peer == only.peer));
            let since = *only.since.get_or_insert(now);
            if helper.is_some_and(|helper| helper.asked > 0) {
                only.idle_since = None;
            } else {
                only.idle_since.get_or_insert(now);
            }
            let idle = only.idle_since.is_some_and(|idle_since| now.since(idle_since) > IDLE_MAX);
            if idle || now.since(since) > LASTS_MAX {
                ended.push(*piece);
            }
        }
        for piece in ended {
            self.set_exclusive(piece, None);
        }
    }

    /// Pieces that are reserved for the peer.
    pub(super) fn pick_reserved(&mut self, turn: &mut Turn<'_>) {
        if self.reserved.is_empty() {
            return;
        }
        let wanted =
            self.reserved.iter().filter(|(piece, only)| only.peer == turn.peer && self.is_wanted(**piece));
        let pieces: Vec<_> = wanted.map(|(piece, _)| *piece).filter(|piece| turn.permits(*piece)).collect();
        for piece in pieces {
            if !self.started.contains_key(&piece) {
                if turn.is_full() || turn.limits.start_pieces_max == 0 {
                    continue;
                }
                turn.limits.start_pieces_max -= 1;
                self.start(piece);
            }
            self.take(turn, piece);
        }
    }
}
