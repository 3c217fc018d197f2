//! What a person changes while the torrent runs: how much files are wanted, and that trackers be asked now.

use potluck_common::{Instant, PieceIndex, control::FilePriority};

use super::{Effect, Life, Torrent, contract};
use crate::{
    PeerKey,
    picker::{Picker, Priority},
};

impl Torrent {
    /// Trackers are asked now, as far as they allow it.
    pub(super) fn reannounce(&mut self, now: Instant) {
        if self.life == Life::Running {
            self.announcer.announce_now(now);
        }
    }

    /// Files are wanted more or less than before. What was complete may have something to fetch again, and what was not may
    /// be complete by wanting less.
    pub(super) fn set_files(&mut self, now: Instant, changes: &[(usize, FilePriority)]) {
        for (number, priority) in changes {
            if let Some(file) = self.config.files.get_mut(*number) {
                file.priority = *priority;
            }
        }
        let geometry = self.config.geometry;
        self.picker.begin_changes();
        for (piece, priority) in
            geometry.iter().zip(contract::piece_priorities(&geometry, &self.config.files))
        {
            // What is only seeded is never fetched, whoever wants it.
            let is_to_come = self.config.fetches_damaged || self.picker.have().has(piece);
            let priority = if is_to_come { priority } else { Priority::Skip };
            if priority != self.picker.priority(piece) {
                self.set_priority(piece, priority);
            }
        }
        self.picker.end_changes();
        self.count_wanted();
        self.count_interesting();
        if self.life != Life::Running {
            return;
        }
        if self.picker.wanted_left() > 0 {
            if self.completed {
                self.begin_again(now);
            }
            self.everyone_may_be_hungry();
        } else {
            self.complete_when_nothing_is_left(now);
        }
    }

    /// A piece is wanted so much from now on. What came of one that is not wanted is given up, unless it is complete and on
    /// its way to the disk.
    fn set_priority(&mut self, piece: PieceIndex, priority: Priority) {
        if priority == Priority::Skip && self.waits_no_more(piece) {
            self.abandon(piece);
            self.close_piece(piece);
        }
        let was_complete = self.storing.has(piece) || self.waits_to_be_stored(piece);
        let cancelled = self.picker.set_priority(piece, priority);
        self.cancel_all(cancelled);
        if priority == Priority::Skip && !was_complete && self.open.contains(&piece) {
            self.close_piece(piece);
        }
    }

    fn close_piece(&mut self, piece: PieceIndex) {
        self.effects.push_back(Effect::ClosePiece(piece));
        self.forget_buffer(piece);
    }

    /// Counts anew what each peer has of what is wanted, and tells those for whom that begins or ends to be something.
    fn count_interesting(&mut self) {
        let geometry = self.config.geometry;
        let wanted_of = |picker: &Picker, peer: &super::Peer| {
            peer.has.iter(&geometry).filter(|piece| picker.is_wanted(*piece)).count() as u32
        };
        for peer in self.peers.values_mut() {
            peer.interesting = wanted_of(&self.picker, peer);
        }
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in keys {
            self.update_interest(key);
        }
    }
}
