//! The peers of a torrent: their coming and going, and what each reports.

use std::{collections::BTreeSet, net::SocketAddr};

use potluck_common::{
    Bitfield, BlockSpan, Duration, Instant, PeerId, PieceIndex, Printable,
    control::{EventKind, PeerDirection, PeerSource},
    wire::allowed_fast_set,
};

use super::{
    BanSubject, Life, Torrent,
    contract::ip_of,
    fairness::Purpose,
    pex::Exchange,
    reach::{Reach, new_stays},
    sources,
};
use crate::{
    Identity, PeerKey,
    choker::ChokerEvent,
    peer_book::PeerBook,
    rate::RateMeter,
    session::{Blame as Fault, CloseReason, Direction, SessionCommand, SessionEvent},
};

/// Allowed-fast pieces remembered of a peer (BEP 6 suggests ten).
const ALLOWED_FAST_MAX: usize = 64;
/// Pieces granted as allowed-fast, to a peer that has fewer (BEP 6 names ten; five deter free riders better). Once for
/// an address and an hour.
const ALLOWED_FAST_GRANTED: u32 = 5;
/// A session calls it a snub after 20 s, and asks for one block at a time. It counts against the peer after 60 s: an
/// honest one with a tiny share of a slow uplink may take as long for a block.
const SNUB_TOLERATED: Duration = Duration::from_secs(40);

/// One connection, as the torrent sees it.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    /// Where it can be reached, as far as is known.
    pub(super) reach: Reach,
    pub(super) direction: Direction,
    pub(super) since: Instant,
    /// Set once its handshake is complete.
    pub(super) id: Option<PeerId>,
    pub(super) client: Option<Printable>,
    pub(super) has: Bitfield,
    /// How many of the pieces it has are wanted.
    pub(super) interesting: u32,
    /// We told it that we are interested.
    pub(super) we_are_interested: bool,
    pub(super) chokes_us: bool,
    pub(super) is_interested: bool,
    pub(super) we_choke: bool,
    pub(super) snubs_us: bool,
    /// When the choker is to be told that it snubs us, if it goes on.
    pub(super) snub_told_at: Option<Instant>,
    pub(super) upload_only: bool,
    /// The choker was told that it has all or is upload-only.
    pub(super) takes_nothing: bool,
    /// What was last sent to it was for.
    pub(super) purpose: Purpose,
    pub(super) allowed_fast: Vec<PieceIndex>,
    /// Blocks that its session can take and has not got: the credit of `SessionEvent::Wants`.
    pub(super) credit: u32,
    pub(super) down: RateMeter,
    pub(super) up: RateMeter,
    /// When payload last passed, or when it connected.
    pub(super) last_useful: Instant,
    /// Since when neither side wants anything of the other; `None` while one does.
    pub(super) dull_since: Option<Instant>,
    /// The choker and whoever listens know of it.
    pub(super) is_counted: bool,
    /// Both sides speak the fast extension (BEP 6).
    pub(super) is_fast: bool,
    /// What it was told of other peers, and told us; once it spoke of that.
    pub(super) exchange: Option<Box<Exchange>>,
    /// Told to close; what it still reports is accounted, nothing new is asked of it.
    pub(super) closing: bool,
}

impl Peer {
    /// By what it is remembered, once its handshake is complete.
    pub(super) fn identity(&self) -> Option<Identity> {
        self.id.map(|id| Identity::of_peer(ip_of(self.address), id))
    }

    /// The name of its program, or its peer id made readable.
    pub(super) fn client_name(&self) -> Printable {
        let of_id = || self.id.map_or_else(String::new, |id| id.0[..8].escape_ascii().to_string());
        self.client.clone().unwrap_or_else(|| Printable::new(&of_id()))
    }
}

impl Torrent {
    pub(super) fn peer_connected(
        &mut self,
        now: Instant,
        key: PeerKey,
        address: SocketAddr,
        direction: Direction,
    ) {
        let peer = Peer {
            address,
            reach: Reach::of(address, direction),
            direction,
            since: now,
            id: None,
            client: None,
            has: Bitfield::empty(self.config.geometry.pieces()),
            interesting: 0,
            we_are_interested: false,
            chokes_us: true,
            is_interested: false,
            we_choke: true,
            snubs_us: false,
            snub_told_at: None,
            upload_only: false,
            takes_nothing: false,
            purpose: Purpose::default(),
            allowed_fast: Vec::new(),
            credit: 0,
            down: RateMeter::default(),
            up: RateMeter::default(),
            last_useful: now,
            dull_since: Some(now),
            is_counted: false,
            is_fast: false,
            exchange: None,
            closing: false,
        };
        if direction == Direction::Outgoing {
            self.book.dialled(address);
        }
        self.peers.insert(key, peer);
        if self.life != Life::Running {
            self.close(key, Fault::Nobody, "we are stopping");
        } else if self.book.is_banned(now, ip_of(address), None) {
            self.close(key, Fault::PeerBan, "its address is banned");
        } else if self.crowded(ip_of(address)) {
            self.close(key, Fault::Nobody, "its address has many connections already");
        } else if direction == Direction::Incoming {
            self.make_room_for_handshakes();
        }
    }

    pub(super) fn peer_reported(
        &mut self,
        now: Instant,
        key: PeerKey,
        events: Vec<SessionEvent>,
        duplicates: &[BlockSpan],
    ) {
        for event in events {
            if !self.peers.contains_key(&key) {
                return;
            }
            self.peer_event(now, key, event, duplicates);
        }
    }

    fn peer_event(&mut self, now: Instant, key: PeerKey, event: SessionEvent, duplicates: &[BlockSpan]) {
        let peer = self.peers.get_mut(&key).expect("the caller looked");
        match event {
            SessionEvent::Handshaken { peer_id, fast, .. } => {
                peer.is_fast = fast;
                self.handshaken(now, key, peer_id);
            }
            SessionEvent::Wasted(bytes) => {
                self.wasted += bytes;
                self.down.add(now, bytes);
            }
            SessionEvent::Extended { client, listen_port, upload_only, pex, .. } => {
                peer.client = client.or_else(|| peer.client.take());
                peer.upload_only = upload_only;
                self.tell_upload_only(now, key);
                if let Some(port) = listen_port {
                    self.learn_listen_port(now, key, port);
                }
                self.takes_pex(now, key, pex);
                self.part_if_both_are_done(key);
            }
            SessionEvent::Bitfield(has) => self.peer_has_all_of(now, key, has),
            SessionEvent::Have(piece) => self.peer_has(now, key, piece),
            SessionEvent::Choked => {
                peer.chokes_us = true;
                self.choker.handle(now, ChokerEvent::RemoteChoke(key, true));
                self.hungry.insert(key);
            }
            SessionEvent::Unchoked => {
                peer.chokes_us = false;
                self.choker.handle(now, ChokerEvent::RemoteChoke(key, false));
                self.hungry.insert(key);
            }
            SessionEvent::Interested | SessionEvent::NotInterested => {
                peer.is_interested = event == SessionEvent::Interested;
                let interested = peer.is_interested;
                self.tell_super_seed(|machine| machine.interested(now, key, interested));
                self.choker.handle(now, ChokerEvent::Interested(key, interested));
                self.part_if_both_are_done(key);
            }
            SessionEvent::NotAllowedFast(piece) => peer.allowed_fast.retain(|allowed| *allowed != piece),
            SessionEvent::AllowedFast(piece) => {
                if peer.allowed_fast.len() < ALLOWED_FAST_MAX && !peer.allowed_fast.contains(&piece) {
                    peer.allowed_fast.push(piece);
                    self.hungry.insert(key);
                }
            }
            SessionEvent::Pex(payload) => self.pex_came(now, key, &payload),
            // The last one is not offered to anybody yet.
            SessionEvent::Suggested(_) | SessionEvent::RoundTrip(_) | SessionEvent::DhtPort(_) => {}
            SessionEvent::Wants(credit) => {
                peer.credit = peer.credit.saturating_add(credit);
                self.hungry.insert(key);
            }
            SessionEvent::Received(spans) => self.received(now, key, &spans, duplicates),
            SessionEvent::Released(spans) => self.released(key, &spans),
            SessionEvent::Snubbed(snubs) => {
                peer.snubs_us = snubs;
                let was_told = peer.snub_told_at.is_none();
                peer.snub_told_at = snubs.then(|| now + SNUB_TOLERATED);
                if !snubs && was_told {
                    self.choker.handle(now, ChokerEvent::Snubbed(key, false));
                }
                if snubs {
                    // What is reserved for it, so that blame be certain, must not wait for it.
                    self.picker.end_reservations(key);
                    self.everyone_may_be_hungry();
                }
            }
            SessionEvent::Uploaded(bytes) => {
                peer.up.add(now, bytes);
                peer.last_useful = now;
                self.up.add(now, bytes);
                self.book_sent(now, key, bytes);
                self.tell_super_seed(|machine| machine.sent(now, key, bytes));
                self.choker.handle(now, ChokerEvent::Sent(key, bytes));
            }
            SessionEvent::Closed(reason) => self.peer_closed(now, key, &reason),
        }
    }

    /// Tells the choker who has been snubbing us for a minute.
    pub(super) fn tell_snubs(&mut self, now: Instant) {
        for (key, peer) in &mut self.peers {
            if peer.snub_told_at.take_if(|at| *at <= now).is_some() {
                self.choker.handle(now, ChokerEvent::Snubbed(*key, true));
            }
        }
    }

    fn handshaken(&mut self, now: Instant, key: PeerKey, id: PeerId) {
        let peer = self.peers.get_mut(&key).expect("the caller looked");
        peer.id = Some(id);
        let (address, direction) = (peer.address, peer.direction);
        if direction == Direction::Outgoing {
            self.book.met(now, address);
        }
        if id == self.config.peer_id {
            if direction == Direction::Outgoing {
                self.book.retire(address);
            }
            return self.close(key, Fault::Nobody, "it is ourselves");
        }
        if self.book.is_banned(now, ip_of(address), Some(id)) {
            return self.close(key, Fault::PeerBan, "it is banned");
        }
        if let Some(loser) = self.double_connection(now, key, id) {
            self.close(loser, Fault::Nobody, "we are connected to it already");
            if loser == key {
                return;
            }
        }
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.is_counted = true;
        }
        self.note_contact(key);
        self.tell_super_seed(|machine| machine.peer_came(now, key));
        let identity = Identity::of_peer(ip_of(address), id);
        self.choker.handle(now, ChokerEvent::Connected { peer: key, identity });
        self.settle_account(now, key, identity);
        let client = Some(Printable::new(&id.0[..8].escape_ascii().to_string()));
        let source = self.source_of(&self.peers[&key]);
        self.event(EventKind::PeerConnected { peer: address, client, source });
        self.make_room(now, direction);
    }

    /// Of two connections to one peer, the one to close.
    fn double_connection(&self, now: Instant, key: PeerKey, id: PeerId) -> Option<PeerKey> {
        let (&other_key, other) =
            self.peers.iter().find(|(other, peer)| **other != key && peer.id == Some(id) && !peer.closing)?;
        let new = &self.peers[&key];
        let directions = [other.direction, new.direction];
        let new_stays = new_stays(now.since(other.since), directions, self.config.peer_id > id);
        Some(if new_stays { other_key } else { key })
    }

    fn learn_listen_port(&mut self, now: Instant, key: PeerKey, port: u16) {
        let Some(peer) = self.peers.get_mut(&key).filter(|peer| !peer.closing) else { return };
        let Some(address) = peer.reach.listens(peer.address, port) else { return };
        self.book.learn(now, address, PeerSource::Incoming);
        // We are connected to it this very moment: known, and not to be dialled.
        self.book.connected(address);
        self.note_contact(key);
    }

    /// A dial led to nothing, of which `how` is told to the book. Whoever is there may have come by itself meanwhile.
    pub(super) fn dial_ended(
        &mut self,
        now: Instant,
        address: SocketAddr,
        how: fn(&mut PeerBook, Instant, SocketAddr),
    ) {
        how(&mut self.book, now, address);
        if self.peers.values().any(|peer| peer.reach.has(address)) {
            self.book.connected(address);
        }
    }

    fn peer_has_all_of(&mut self, now: Instant, key: PeerKey, has: Bitfield) {
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

    /// A peer with next to nothing cannot earn its first pieces by giving: BEP 6 lets it have a few even while choked.
    fn help_a_newcomer(&mut self, now: Instant, key: PeerKey) {
        let peer = &self.peers[&key];
        let is_new = peer.is_fast && peer.has.count() < ALLOWED_FAST_GRANTED;
        let (ip, id) = (ip_of(peer.address), peer.id);
        let may_have_some = is_new && !self.offered().is_empty() && !self.never_uploads();
        if may_have_some && id.is_some_and(|id| self.fast_ledger.grant(now, Identity::of_peer(ip, id))) {
            let pieces = allowed_fast_set(
                ip,
                &self.config.info_hash,
                &self.config.geometry,
                ALLOWED_FAST_GRANTED as usize,
            );
            self.command(key, SessionCommand::AllowFast(pieces));
        }
    }

    fn never_uploads(&self) -> bool {
        self.config.slots == Some(0)
    }

    fn peer_has(&mut self, now: Instant, key: PeerKey, piece: PieceIndex) {
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
    fn tell_upload_only(&mut self, now: Instant, key: PeerKey) {
        let peer = self.peers.get_mut(&key).expect("the caller looked");
        let takes_nothing = peer.upload_only || peer.has.is_full();
        if std::mem::replace(&mut peer.takes_nothing, takes_nothing) != takes_nothing {
            self.choker.handle(now, ChokerEvent::UploadOnly(key, takes_nothing));
        }
    }

    pub(super) fn update_interest(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let interesting = peer.interesting > 0;
        if peer.we_are_interested != interesting && !peer.closing {
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
        let it_wants_nothing = peer.has.is_full() && peer.id.is_some()
            || peer.upload_only && !peer.is_interested && peer.client.is_some();
        if self.completed && it_wants_nothing && !is_waited_for && self.config.geometry.pieces() > 0 {
            peer.reach.with(peer.address).for_each(|address| self.book.part(address));
            self.close(key, Fault::Nobody, "neither of us needs anything");
        }
    }

    pub(super) fn close(&mut self, key: PeerKey, blame: Fault, why: &str) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if !std::mem::replace(&mut peer.closing, true) {
            self.command(key, SessionCommand::Close(CloseReason::new(blame, why)));
        }
    }

    pub(super) fn close_all(&mut self, why: &str) {
        let all: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in all {
            self.close(key, Fault::Nobody, why);
        }
    }

    fn peer_closed(&mut self, now: Instant, key: PeerKey, reason: &CloseReason) {
        let peer = self.peers.remove(&key).expect("the caller looked");
        self.commands.remove(&key);
        self.hungry.remove(&key);
        self.picker.peer_removed(&peer.has);
        self.copies_changed();
        self.tell_super_seed(|machine| machine.peer_gone(now, key, &peer.has));
        if reason.blame == Fault::Local {
            self.forget_work_of(key);
        }
        self.picker.peer_gone(key);
        if peer.is_counted {
            self.choker.handle(now, ChokerEvent::Gone(key));
            self.event(EventKind::PeerDisconnected { peer: peer.address, why: reason.why.clone() });
        }
        if reason.blame == Fault::PeerBan {
            self.ban(now, peer.address, peer.id, &reason.why);
        }
        self.note_contact_gone(key, &peer);
        self.note_end(now, &peer, reason.blame);
        self.remember_giver(key, &peer);
        self.everyone_may_be_hungry();
    }

    /// The session of this peer broke: nobody knows what it put into the pieces that it was asked for.
    fn forget_work_of(&mut self, key: PeerKey) {
        let pieces: BTreeSet<PieceIndex> = self.picker.in_flight(key).map(|span| span.piece).collect();
        for piece in pieces {
            self.restart(piece);
        }
    }

    /// Notes in the peer book how a connection ended, under each address that stands for the peer.
    fn note_end(&mut self, now: Instant, peer: &Peer, blame: Fault) {
        let gave = peer.down.total() + peer.up.total() > 0 && matches!(blame, Fault::Nobody | Fault::Local);
        for address in peer.reach.with(peer.address) {
            let same = |other: &Peer| {
                !other.closing
                    && (peer.id.is_some() && other.id == peer.id
                        || other.address == address
                        || other.reach.has(address))
            };
            let survivor = self.peers.iter_mut().find(|(_, other)| same(other));
            if survivor.is_some() && !peer.reach.has(address) {
                // From where it connected nobody can be reached.
                continue;
            }
            let inherits = |(key, other): (&PeerKey, &mut Peer)| other.reach.add(address).then_some(*key);
            if let Some(key) = survivor.and_then(inherits) {
                // One of two connections to the same peer ended: its address is the other's now.
                self.book.connected(address);
                self.note_contact(key);
            } else if blame == Fault::PeerBan {
                self.book.retire(address);
            } else {
                if gave {
                    self.book.proved(address);
                }
                self.book.left(now, address);
                if blame == Fault::Peer {
                    self.book.shunned(now, address);
                }
            }
        }
    }

    pub(super) fn ban(&mut self, now: Instant, address: SocketAddr, id: Option<PeerId>, why: &Printable) {
        let Some(id) = id else { return };
        if !self.book.is_banned(now, ip_of(address), Some(id)) {
            self.book.ban(now, BanSubject::of(ip_of(address), id));
            self.event(EventKind::PeerBanned { peer: address, why: why.clone() });
        }
    }

    pub(super) fn learn(&mut self, now: Instant, addresses: Vec<SocketAddr>, source: PeerSource) {
        if !sources::is_allowed(source, self.config.private) {
            return;
        }
        for address in addresses {
            self.book.learn(now, address, source);
        }
    }
}

impl From<Direction> for PeerDirection {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Outgoing => Self::Outgoing,
            Direction::Incoming => Self::Incoming,
        }
    }
}
