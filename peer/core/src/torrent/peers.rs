//! The peers of a torrent: their coming and going, and what each reports.

use std::{collections::BTreeSet, net::SocketAddr};

use potluck_common::{
    Bitfield, BlockSpan, Duration, Instant, PeerId, PieceIndex, Printable,
    control::{EventKind, PeerDirection, PeerSource},
};

use super::{
    BanSubject, Life, Torrent,
    connection::{self, Connection, End, refusal},
    contract::ip_of,
    fairness::Purpose,
    pex::Exchange,
    sources,
};
use crate::{
    PeerKey,
    choker::ChokerEvent,
    rate::RateMeter,
    session::{Blame as Fault, CloseReason, Direction, SessionCommand, SessionEvent},
};

/// Allowed-fast pieces remembered of a peer (BEP 6 suggests ten).
const ALLOWED_FAST_MAX: usize = 64;
/// A session calls it a snub after 20 s, and asks for one block at a time. It counts against the peer after 60 s: an
/// honest one with a tiny share of a slow uplink may take as long for a block.
const SNUB_TOLERATED: Duration = Duration::from_secs(40);

/// One connection, as the torrent sees it.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) connection: Connection,
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
}

impl AsRef<Connection> for Peer {
    fn as_ref(&self) -> &Connection {
        &self.connection
    }
}

impl AsMut<Connection> for Peer {
    fn as_mut(&mut self) -> &mut Connection {
        &mut self.connection
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
            connection: Connection::new(now, address, direction),
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
        };
        if direction == Direction::Outgoing {
            self.book.dialled(address);
        }
        self.peers.insert(key, peer);
        if self.life != Life::Running {
            self.close(key, Fault::Nobody, "we are stopping");
        } else if let Some((key, fault, why)) = refusal(&self.peers, &self.book, now, key, self.room()) {
            self.close(key, fault, why);
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
                peer.connection.client = client.or_else(|| peer.connection.client.take());
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
        let ours = self.config.peer_id;
        let verdict = connection::handshaken(&mut self.peers, &mut self.book, now, key, id, ours);
        if let Some((loser, fault, why)) = verdict {
            self.close(loser, fault, why);
            if loser == key {
                return;
            }
        }
        let peer = self.peers.get_mut(&key).expect("the caller looked");
        peer.is_counted = true;
        let (address, direction) = (peer.connection.address, peer.connection.direction);
        let client = Some(peer.connection.client_name());
        let identity = peer.connection.identity().expect("its handshake is complete");
        self.note_contact(key);
        self.tell_super_seed(|machine| machine.peer_came(now, key));
        self.choker.handle(now, ChokerEvent::Connected { peer: key, identity });
        self.settle_account(now, key, identity);
        let source = self.source_of(&self.peers[&key]);
        self.event(EventKind::PeerConnected { peer: address, client, source });
        self.make_room(now, direction);
    }

    fn learn_listen_port(&mut self, now: Instant, key: PeerKey, port: u16) {
        let Some(peer) = self.peers.get_mut(&key).filter(|peer| !peer.connection.closing) else { return };
        if peer.connection.listens(now, port, &mut self.book) {
            self.note_contact(key);
        }
    }

    pub(super) fn close(&mut self, key: PeerKey, blame: Fault, why: &str) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if !std::mem::replace(&mut peer.connection.closing, true) {
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
            self.event(EventKind::PeerDisconnected {
                peer: peer.connection.address,
                why: reason.why.clone(),
            });
        }
        if reason.blame == Fault::PeerBan {
            self.ban(now, peer.connection.address, peer.connection.id, &reason.why);
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

    /// Notes in the peer book how a connection ended.
    fn note_end(&mut self, now: Instant, peer: &Peer, blame: Fault) {
        let gave = peer.down.total() + peer.up.total() > 0;
        let end = End { blame, is_proof: gave && matches!(blame, Fault::Nobody | Fault::Local) };
        for heir in connection::ended(&mut self.peers, &mut self.book, now, &peer.connection, end) {
            self.note_contact(heir);
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
