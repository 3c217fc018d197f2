//! What the peers of a torrent have, who wants something of whom for that, and who parts because nobody does.

use potluck_common::{Bitfield, Instant, PieceIndex, wire::allowed_fast_set};

use super::Torrent;
use crate::{
    PeerKey,
    choker::ChokerEvent,
    session::{Blame as Fault, SessionCommand},
};

/// Pieces granted as allowed-fast, to a peer that has fewer (BEP 6 names ten; five deter free riders better). Once for
/// an address and an hour.
const ALLOWED_FAST_GRANTED: u32 = 5;

impl Torrent {
    pub(super) fn peer_has_all_of(&mut self, now: Instant, key: PeerKey, has: Bitfield) {
        let peer = self.peers.get_mut(&key).expect("the caller looked");
        self.picker.peer_removed(&peer.has);
        self.picker.peer_added(&has);
        peer.interesting =
            has.iter(&self.config.geometry).filter(|piece| self.picker.is_wanted(*piece)).count() as u32;
        let had = std::mem::replace(&mut peer.has, has);
        if let Some(machine) = &mut self.super_seed {
            machine.peer_has_all_of(now, key, &had, &peer.has);
        }
        self.copies_changed();
        self.help_a_newcomer(now, key);
        self.peer_has_changed(now, key);
    }

    /// A peer with next to nothing cannot earn its first pieces by giving: BEP 6 lets it have a few even while choked. Not from
    /// who alone has some piece: in a flash crowd everybody would have a few of the only seed, most of them
    /// the same, before the others are in the swarm at all.
    fn help_a_newcomer(&mut self, now: Instant, key: PeerKey) {
        let peer = &self.peers[&key];
        let is_new = peer.is_fast && peer.has.count() < ALLOWED_FAST_GRANTED;
        let (ip, who) = (peer.connection.ip(), peer.connection.identity());
        let may_have_some =
            is_new && !self.offered().is_empty() && !self.never_uploads() && !self.is_only_source();
        if may_have_some && who.is_some_and(|who| self.fast_ledger.grant(now, who)) {
            let pieces = allowed_fast_set(
                ip,
                &self.config.info_hash,
                &self.config.geometry,
                ALLOWED_FAST_GRANTED as usize,
            );
            self.command(key, SessionCommand::AllowFast(pieces));
        }
    }

    /// Whether nobody whom we are connected to has some piece that we have.
    fn is_only_source(&self) -> bool {
        let mut ours = self.picker.have().iter(&self.config.geometry);
        ours.any(|piece| self.picker.availability(piece) == 0)
    }

    fn never_uploads(&self) -> bool {
        self.config.slots == Some(0)
    }

    pub(super) fn peer_has(&mut self, now: Instant, key: PeerKey, piece: PieceIndex) {
        let peer = self.peers.get_mut(&key).expect("the caller looked");
        if peer.has.insert(piece) {
            self.picker.peer_has(piece);
            peer.interesting += u32::from(self.picker.is_wanted(piece));
            self.tell_super_seed(|machine| machine.peer_has(now, key, piece));
            self.copies_changed();
            self.peer_has_changed(now, key);
        }
    }

    fn peer_has_changed(&mut self, now: Instant, key: PeerKey) {
        self.tell_upload_only(now, key);
        self.hungry.insert(key);
        self.update_interest(key);
        self.part_if_both_are_done(key);
    }

    /// A seed wants nothing, and nor does who says so (BEP 21).
    pub(super) fn tell_upload_only(&mut self, now: Instant, key: PeerKey) {
        let peer = self.peers.get_mut(&key).expect("the caller looked");
        let takes_nothing = peer.upload_only || peer.has.is_full();
        if std::mem::replace(&mut peer.takes_nothing, takes_nothing) != takes_nothing {
            self.choker.handle(now, ChokerEvent::UploadOnly(key, takes_nothing));
        }
    }

    pub(super) fn update_interest(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let interesting = peer.interesting > 0;
        if peer.we_are_interested != interesting && !peer.connection.closing {
            peer.we_are_interested = interesting;
            let command =
                if interesting { SessionCommand::Interested } else { SessionCommand::NotInterested };
            self.command(key, command);
        }
    }

    /// Two seeds have nothing to give each other (BEP 21).
    pub(super) fn part_if_both_are_done(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.get(&key) else { return };
        // A super-seed waits until it believes the other, or a lie would end it.
        let is_waited_for = peer.has.is_full() && self.is_super_seeding();
        let it_wants_nothing = peer.has.is_full() && peer.connection.id.is_some()
            || peer.upload_only && !peer.is_interested && peer.connection.client.is_some();
        if self.completed && it_wants_nothing && !is_waited_for && self.config.geometry.pieces() > 0 {
            peer.connection.addresses().for_each(|address| self.book.part(address));
            self.close(key, Fault::Nobody, "neither of us needs anything");
        }
    }
}
