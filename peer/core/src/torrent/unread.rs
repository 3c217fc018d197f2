//! Pieces that the disk did not give: they are offered no more, and looked at again until it does.
//!
//! One error of a drive says little about what lies on it. A piece whose bytes turned out to be others is gone; one that
//! could not be read may be there in a minute. A download asks others for it at once, and takes what comes first.

use std::collections::BTreeMap;

use potluck_common::{Duration, Instant, PieceIndex, control::EventKind};

use super::{DiskTrouble, Effect, Life, Torrent, TroubleKind, contract};

/// The wait before such a piece is looked at again; it doubles up to [`AGAIN_MAX`].
const AGAIN_FIRST: Duration = Duration::from_secs(30);
/// Often enough for who waits for the piece, and no burden to a dying disk.
const AGAIN_MAX: Duration = Duration::from_secs(600);

/// A piece that could not be read.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// When it is looked at again; `None` while it is.
    at: Option<Instant>,
    /// How often it was.
    times: u32,
}

/// The pieces that could not be read. Each was there, so that they are at most as many as the torrent has.
#[derive(Default, Debug)]
pub(super) struct Unread(BTreeMap<PieceIndex, Look>);

impl Unread {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn has(&self, piece: PieceIndex) -> bool {
        self.0.contains_key(&piece)
    }

    /// It is on the disk, anew. Whoever is looking at it is waited for.
    pub(super) fn stored(&mut self, piece: PieceIndex) {
        if self.0.get(&piece).is_some_and(|look| look.at.is_some()) {
            self.0.remove(&piece);
        }
    }

    fn later(&mut self, now: Instant, piece: PieceIndex) {
        if let Some(look) = self.0.get_mut(&piece) {
            look.at = Some(now + AGAIN_FIRST.saturating_mul(1 << look.times.min(8)).min(AGAIN_MAX));
            look.times += 1;
        }
    }
}

impl Torrent {
    /// The disk did not give this piece, which was there.
    pub(super) fn cannot_read(&mut self, now: Instant, piece: PieceIndex, trouble: DiskTrouble) {
        self.lose(now, piece, Some(trouble.message));
        self.unread.0.insert(piece, Look { at: None, times: 0 });
        self.unread.later(now, piece);
    }

    /// Looks again at those whose time has come. What is being fetched or stored meanwhile waits for another time.
    pub(super) fn look_again(&mut self, now: Instant) {
        if self.life != Life::Running {
            return;
        }
        let due = |(_, look): &(&PieceIndex, &Look)| look.at.is_some_and(|at| at <= now);
        let due: Vec<PieceIndex> = self.unread.0.iter().filter(due).map(|(piece, _)| *piece).collect();
        for piece in due {
            if self.picker.is_started(piece) {
                self.unread.later(now, piece);
            } else if let Some(look) = self.unread.0.get_mut(&piece) {
                look.at = None;
                self.effects.push_back(Effect::VerifyPiece(piece));
            }
        }
    }

    /// What came of another look at a piece that was given up.
    pub(super) fn looked_again(
        &mut self,
        now: Instant,
        piece: PieceIndex,
        result: Result<bool, DiskTrouble>,
    ) {
        // Where it came from others meanwhile, or is coming, what was read says nothing.
        if self.picker.have().has(piece) {
            self.unread.0.remove(&piece);
            return;
        }
        if self.picker.is_started(piece) {
            return self.unread.later(now, piece);
        }
        match result {
            Ok(true) => self.regain(now, piece),
            Ok(false) => self.is_something_else(piece),
            Err(trouble) if trouble.kind == TroubleKind::Lasting => {
                self.unread.0.remove(&piece);
                self.fail(now, trouble);
            }
            Err(_) => self.unread.later(now, piece),
        }
    }

    /// What is there can be read, and is not the piece: it is not looked at again, and whoever heard that it would be hears that.
    fn is_something_else(&mut self, piece: PieceIndex) {
        self.unread.0.remove(&piece);
        let fetched_again = self.config.fetches_damaged;
        self.event(EventKind::PieceLost { piece: piece.get(), fetched_again, why: None });
    }

    /// A piece that was given up is there after all. It is wanted as its files are by now: a person may have changed that.
    fn regain(&mut self, now: Instant, piece: PieceIndex) {
        if self.unread.0.remove(&piece).is_none() {
            return;
        }
        let was_wanted = self.picker.is_wanted(piece);
        self.picker.stored(piece);
        let priorities = contract::piece_priorities(&self.config.geometry, &self.config.files);
        self.picker.set_priority(piece, priorities[piece.index()]);
        self.count_wanted();
        self.event(EventKind::PieceFound { piece: piece.get() });
        self.tell_of_piece(now, piece, was_wanted);
    }
}
