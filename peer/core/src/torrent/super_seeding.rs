//! Super-seeding (BEP 16) as the sessions carry it out: they begin with no piece, and hear of each that is shown.

use potluck_common::{Bitfield, Instant, PieceIndex, Printable, control::EventKind};

use super::Torrent;
use crate::{
    PeerKey,
    session::SessionCommand,
    super_seed::{SuperSeed, SuperSeedCommand},
};

impl Torrent {
    /// Whether each peer is told of single pieces, as if nothing else were here.
    pub fn is_super_seeding(&self) -> bool {
        self.super_seed.is_some()
    }

    /// The pieces that a new session is to tell its peer of.
    pub fn offered(&self) -> Bitfield {
        if self.is_super_seeding() {
            Bitfield::empty(self.config.geometry.pieces())
        } else {
            self.picker.have().clone()
        }
    }

    /// Whether a new session is to say that we want nothing (BEP 21). A super-seed does not give itself away.
    pub fn is_upload_only(&self) -> bool {
        self.completed && !self.is_super_seeding()
    }

    /// Tells the machine, if there is one.
    pub(super) fn tell_super_seed(&mut self, tell: impl FnOnce(&mut SuperSeed)) {
        if let Some(machine) = &mut self.super_seed {
            tell(machine);
        }
    }

    /// While less is sent than may be, somebody who waits is shown one more piece.
    pub(super) fn time_super_seed(&mut self, now: Instant) {
        let Some(machine) = &mut self.super_seed else { return };
        if machine.poll_timeout().is_none_or(|at| at > now) {
            return;
        }
        machine.handle_timeout(now);
        let has_room = |limit: u64| self.up.recent(now) < limit / 10 * 9;
        if self.config.limits.up.is_some_and(has_room) {
            machine.uplink_has_room(now);
        }
    }

    pub(super) fn follow_super_seed(&mut self) {
        while let Some(command) = self.super_seed.as_mut().and_then(SuperSeed::poll_command) {
            match command {
                SuperSeedCommand::Show(peer, piece) => {
                    if self.peers.get(&peer).is_some_and(|peer| !peer.connection.closing) {
                        self.tell_have(peer, piece);
                    }
                }
                SuperSeedCommand::End(why) => self.end_super_seeding(why.in_words()),
            }
        }
    }

    /// From now on everybody is told of all that is here.
    pub(super) fn end_super_seeding(&mut self, why: &str) {
        if self.super_seed.take().is_none() {
            return;
        }
        self.event(EventKind::SuperSeedEnded { why: Printable::new(why), uploaded: self.up.total() });
        let geometry = self.config.geometry;
        let all: Vec<PieceIndex> = self.picker.have().iter(&geometry).collect();
        let open = self.peers.iter().filter(|(_, peer)| !peer.connection.closing);
        let keys: Vec<PeerKey> = open.map(|(key, _)| *key).collect();
        for key in keys {
            self.command(key, SessionCommand::Have(all.clone()));
            self.command(key, SessionCommand::UploadOnly(self.completed));
            self.part_if_both_are_done(key);
        }
    }
}
