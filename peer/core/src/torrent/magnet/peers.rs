//! The peers of a torrent whose metadata is not known.

use std::{cmp::Reverse, net::SocketAddr};

use potluck_common::{
    Instant, PeerId, Printable,
    control::EventKind,
    wire::{PexContact, PexMessage},
};

use super::{Life, Magnet, PATIENCE, PEERS_MAX, ROOM};
use crate::{
    PeerKey,
    metadata::Standing,
    peer_book::Told,
    session::{Blame, CloseReason, Direction, MetadataCommand, MetadataEvent},
    torrent::{
        BanSubject, Source,
        connection::{self, Connection, End, refusal},
        contract::ip_of,
        pex::Heard,
    },
};

/// One connection.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) connection: Connection,
    /// Bytes of metadata that it gave.
    pub(super) gave: u64,
    /// When it told of others.
    pub(super) heard: Heard,
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

impl Magnet {
    pub(super) fn peer_connected(
        &mut self,
        now: Instant,
        key: PeerKey,
        address: SocketAddr,
        direction: Direction,
    ) {
        let connection = Connection::new(now, address, direction);
        if direction == Direction::Outgoing {
            self.book.dialled(address);
        }
        self.peers.insert(key, Peer { connection, gave: 0, heard: Heard::default() });
        if matches!(self.life, Life::Stopping | Life::Finished) {
            self.close(key, Blame::Nobody, "we are stopping");
        } else if let Some((key, blame, why)) = refusal(&self.peers, &self.book, now, key, ROOM) {
            self.close(key, blame, why);
        } else if self.peers.len() > PEERS_MAX {
            self.make_room(now);
        }
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
        if peer.connection.closing && !matches!(event, MetadataEvent::Closed(_)) {
            // Nothing more is asked of it.
            return;
        }
        match event {
            MetadataEvent::Handshaken { peer_id, extended } => self.handshaken(now, key, peer_id, extended),
            MetadataEvent::Extended { client, listen_port, gives_metadata, metadata_size, .. } => {
                let connection = &mut peer.connection;
                connection.client = client.or_else(|| connection.client.take());
                if let Some(port) = listen_port {
                    connection.listens(now, port, &mut self.book);
                }
                let Some(who) = connection.identity() else { return };
                if !gives_metadata {
                    return self.part(key, "gives no metadata to anybody");
                }
                self.collector.offers(now, key, who, metadata_size);
            }
            MetadataEvent::Data { piece, total_size, payload } => {
                peer.gave += payload.len() as u64;
                self.collector.gives(now, key, piece, total_size, &payload);
            }
            MetadataEvent::Rejected(piece) => self.collector.rejects(now, key, piece),
            MetadataEvent::Pex(payload) => self.told_of_others(now, key, &payload),
            MetadataEvent::DhtPort(port) => {
                let node = SocketAddr::new(peer.connection.address.ip(), port);
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
        let giver = peer.connection.identity().map(|who| (who, peer.connection.address.ip()));
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
        let ours = self.config.peer_id;
        let verdict = connection::handshaken(&mut self.peers, &mut self.book, now, key, id, ours);
        if let Some((loser, blame, why)) = verdict {
            self.close(loser, blame, why);
            if loser == key {
                return;
            }
        }
        let Connection { address, .. } = self.peers[&key].connection;
        let client = Some(self.peers[&key].connection.client_name());
        let source = self.book.source_of(address);
        self.event(EventKind::PeerConnected { peer: address, client, source });
        if !extended {
            self.part(key, "cannot give metadata");
        }
    }

    /// Nothing is to be had there before the metadata is known.
    fn part(&mut self, key: PeerKey, why: &str) {
        if let Some(peer) = self.peers.get(&key) {
            peer.connection.addresses().for_each(|address| self.book.part(address));
            self.close(key, Blame::Nobody, why);
        }
    }

    /// Gives up the peer that is of least use, and has had its time: one that has no metadata before one that does not give
    /// it. Whoever gives stays, and whoever was not asked yet.
    pub(super) fn evict_one(&mut self, now: Instant) {
        let had_its_time = self
            .peers
            .iter()
            .filter(|(_, peer)| !peer.connection.closing && now.since(peer.connection.since) >= PATIENCE);
        let ranked = had_its_time
            .map(|(key, peer)| (self.collector.standing(*key), Reverse(peer.connection.since), *key));
        let useless = ranked.filter(|(standing, ..)| *standing > Standing::Untried);
        if let Some((.., key)) = useless.max() {
            self.close(key, Blame::Nobody, "makes room for somebody who may have the metadata");
        }
    }

    /// One more came than there is room for: the least useful goes, else the last.
    fn make_room(&mut self, now: Instant) {
        let open = self.peers.values().filter(|peer| !peer.connection.closing).count();
        if open > PEERS_MAX {
            self.evict_one(now);
        }
        let open = self.peers.iter().filter(|(_, peer)| !peer.connection.closing);
        let keys: Vec<PeerKey> = open.map(|(key, _)| *key).collect();
        if keys.len() > PEERS_MAX
            && let Some(last) = keys.last()
        {
            self.close(*last, Blame::Nobody, "there are enough others");
        }
    }

    pub(super) fn close(&mut self, key: PeerKey, blame: Blame, why: &str) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if !std::mem::replace(&mut peer.connection.closing, true) {
            self.command(key, MetadataCommand::Close(CloseReason::new(blame, why)));
        }
    }

    pub(super) fn ban(&mut self, now: Instant, key: PeerKey, why: &str) {
        let Some(peer) = self.peers.get(&key) else { return };
        let (address, id) = (peer.connection.address, peer.connection.id);
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
        if peer.connection.id.is_some() {
            self.event(EventKind::PeerDisconnected {
                peer: peer.connection.address,
                why: reason.why.clone(),
            });
        }
        // That it gave metadata says nothing of payload.
        let end = End { blame: reason.blame, is_proof: false };
        connection::ended(&mut self.peers, &mut self.book, now, &peer.connection, end);
    }
}
