//! The peers of a torrent whose metadata is not known.

use std::{
    cmp::Reverse,
    net::{IpAddr, SocketAddr},
};

use potluck_common::{
    AddrScope, Instant, PeerId, Printable,
    control::EventKind,
    wire::{PexContact, PexMessage},
};

use super::{CONNECTIONS_PER_ADDRESS_MAX, Life, Magnet, PATIENCE, PEERS_MAX};
use crate::{
    Identity, PeerKey,
    metadata::Standing,
    peer_book::{PeerBook, Told},
    session::{Blame, CloseReason, Direction, MetadataCommand, MetadataEvent},
    torrent::{
        BanSubject, Source,
        contract::ip_of,
        pex::Heard,
        reach::{Reach, new_stays},
    },
};

/// One connection.
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
    /// Bytes of metadata that it gave.
    pub(super) gave: u64,
    /// When it told of others.
    pub(super) heard: Heard,
    /// Told to close.
    pub(super) closing: bool,
}

impl Magnet {
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
            gave: 0,
            heard: Heard::default(),
            closing: false,
        };
        if direction == Direction::Outgoing {
            self.book.dialled(address);
        }
        self.peers.insert(key, peer);
        if matches!(self.life, Life::Stopping | Life::Finished) {
            self.close(key, Blame::Nobody, "we are stopping");
        } else if self.book.is_banned(now, ip_of(address), None) {
            self.close(key, Blame::PeerBan, "its address is banned");
        } else if self.is_crowded(ip_of(address)) {
            self.close(key, Blame::Nobody, "its address has many connections already");
        } else if self.peers.len() > PEERS_MAX {
            self.make_room(now);
        }
    }

    /// Whether one more connection of this address is too many: whoever has many must not fill the room alone.
    fn is_crowded(&self, ip: IpAddr) -> bool {
        let who = Identity::of(ip);
        let same = |peer: &&Peer| Identity::of(ip_of(peer.address)) == who;
        AddrScope::of(ip) == AddrScope::Global
            && self.peers.len() > PEERS_MAX / 2
            && self.peers.values().filter(same).count() > CONNECTIONS_PER_ADDRESS_MAX
    }

    pub(super) fn peer_reported(&mut self, now: Instant, key: PeerKey, events: Vec<MetadataEvent>) {
        for event in events {
            if !self.peers.contains_key(&key) {
                return;
            }
            self.peer_event(now, key, event);
        }
    }

    fn peer_event(&mut self, now: Instant, key: PeerKey, event: MetadataEvent) {
        let peer = self.peers.get_mut(&key).expect("the caller looked");
        if peer.closing && !matches!(event, MetadataEvent::Closed(_)) {
            // Nothing more is asked of it.
            return;
        }
        match event {
            MetadataEvent::Handshaken { peer_id, extended } => self.handshaken(now, key, peer_id, extended),
            MetadataEvent::Extended { client, listen_port, gives_metadata, metadata_size, .. } => {
                peer.client = client.or_else(|| peer.client.take());
                let (address, id) = (peer.address, peer.id);
                if let Some(listens_at) = listen_port.and_then(|port| peer.reach.listens(address, port)) {
                    self.book.learn(now, listens_at, Source::Incoming);
                    self.book.connected(listens_at);
                }
                let Some(id) = id else { return };
                if !gives_metadata {
                    return self.part(key, "gives no metadata to anybody");
                }
                let who = Identity::of_peer(ip_of(address), id);
                self.collector.offers(now, key, who, metadata_size);
            }
            MetadataEvent::Data { piece, total_size, payload } => {
                peer.gave += payload.len() as u64;
                self.collector.gives(now, key, piece, total_size, &payload);
            }
            MetadataEvent::Rejected(piece) => self.collector.rejects(now, key, piece),
            MetadataEvent::Pex(payload) => self.told_of_others(now, key, &payload),
            MetadataEvent::DhtPort(port) => {
                let node = SocketAddr::new(peer.address.ip(), port);
                self.effects.push_back(super::MagnetEffect::DhtNode(node));
            }
            MetadataEvent::Closed(reason) => self.peer_closed(now, key, &reason),
        }
    }

    /// Peer exchange (BEP 11): whom this one is connected to, as far as it may speak of them.
    fn told_of_others(&mut self, now: Instant, key: PeerKey, payload: &[u8]) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if peer.heard.is_too_much(now) {
            return self.close(key, Blame::Peer, "sent peer exchange more often than once a minute");
        }
        let ip = peer.address.ip();
        let giver = peer.id.map(|id| (Identity::of_peer(ip, id), ip));
        match PexMessage::decode(payload) {
            Ok(message) => {
                for PexContact { address, flags } in message.added {
                    self.book.learn(now, Told { address, flags, giver }, Source::Pex);
                }
            }
            Err(error) => self.close(key, Blame::Peer, &error.to_string()),
        }
    }

    fn handshaken(&mut self, now: Instant, key: PeerKey, id: PeerId, extended: bool) {
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
            return self.close(key, Blame::Nobody, "it is ourselves");
        }
        if self.book.is_banned(now, ip_of(address), Some(id)) {
            return self.close(key, Blame::PeerBan, "it is banned");
        }
        let is_other =
            |(other, peer): &(&PeerKey, &Peer)| **other != key && peer.id == Some(id) && !peer.closing;
        if let Some((&other, older)) = self.peers.iter().find(is_other) {
            let directions = [older.direction, direction];
            let new_stays = new_stays(now.since(older.since), directions, self.config.peer_id > id);
            self.close(if new_stays { other } else { key }, Blame::Nobody, "we are connected to it already");
            if !new_stays {
                return;
            }
        }
        let client = Some(Printable::new(&id.0[..8].escape_ascii().to_string()));
        let source = self.book.source_of(address);
        self.event(EventKind::PeerConnected { peer: address, client, source });
        if !extended {
            self.part(key, "cannot give metadata");
        }
    }

    /// Nothing is to be had there before the metadata is known.
    fn part(&mut self, key: PeerKey, why: &str) {
        if let Some(peer) = self.peers.get(&key) {
            peer.reach.with(peer.address).for_each(|address| self.book.part(address));
            self.close(key, Blame::Nobody, why);
        }
    }

    /// Gives up the peer that is of least use, and has had its time: one that has no metadata before one that does not give
    /// it. Whoever gives stays, and whoever was not asked yet.
    pub(super) fn evict_one(&mut self, now: Instant) {
        let had_its_time =
            self.peers.iter().filter(|(_, peer)| !peer.closing && now.since(peer.since) >= PATIENCE);
        let ranked =
            had_its_time.map(|(key, peer)| (self.collector.standing(*key), Reverse(peer.since), *key));
        let useless = ranked.filter(|(standing, ..)| *standing > Standing::Untried);
        if let Some((.., key)) = useless.max() {
            self.close(key, Blame::Nobody, "makes room for somebody who may have the metadata");
        }
    }

    /// One more came than there is room for: the least useful goes, else the last.
    fn make_room(&mut self, now: Instant) {
        let open = self.peers.values().filter(|peer| !peer.closing).count();
        if open > PEERS_MAX {
            self.evict_one(now);
        }
        let open = self.peers.iter().filter(|(_, peer)| !peer.closing);
        let keys: Vec<PeerKey> = open.map(|(key, _)| *key).collect();
        if keys.len() > PEERS_MAX
            && let Some(last) = keys.last()
        {
            self.close(*last, Blame::Nobody, "there are enough others");
        }
    }

    pub(super) fn close(&mut self, key: PeerKey, blame: Blame, why: &str) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if !std::mem::replace(&mut peer.closing, true) {
            self.command(key, MetadataCommand::Close(CloseReason::new(blame, why)));
        }
    }

    pub(super) fn ban(&mut self, now: Instant, key: PeerKey, why: &str) {
        let Some(peer) = self.peers.get(&key) else { return };
        let (address, id) = (peer.address, peer.id);
        if let Some(id) = id
            && self.book.ban(now, BanSubject::of(ip_of(address), id))
        {
            self.event(EventKind::PeerBanned { peer: address, why: Printable::new(why) });
        }
        self.close(key, Blame::PeerBan, why);
    }

    fn peer_closed(&mut self, now: Instant, key: PeerKey, reason: &CloseReason) {
        let peer = self.peers.remove(&key).expect("the caller looked");
        self.commands.remove(&key);
        self.collector.leaves(now, key);
        if peer.id.is_some() {
            self.event(EventKind::PeerDisconnected { peer: peer.address, why: reason.why.clone() });
        }
        self.note_end(now, &peer, reason.blame);
    }

    /// Notes in the peer book how a connection ended, under each address that stands for the peer.
    fn note_end(&mut self, now: Instant, peer: &Peer, blame: Blame) {
        for address in peer.reach.with(peer.address) {
            let same = |other: &Peer| {
                !other.closing && (peer.id.is_some() && other.id == peer.id || other.reach.has(address))
            };
            let survivor = self.peers.values_mut().find(|other| same(other));
            if survivor.is_some() && !peer.reach.has(address) {
                // From where it connected nobody can be reached.
                continue;
            }
            if survivor.is_some_and(|other| other.reach.add(address)) {
                // One of two connections to the same peer ended: its address is the other's now.
                self.book.connected(address);
            } else if blame == Blame::PeerBan {
                self.book.retire(address);
            } else {
                self.book.left(now, address);
                if blame == Blame::Peer {
                    self.book.shunned(now, address);
                }
            }
        }
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
}
