//! Answers to others: small ones to strangers (reliability: no amplification), whole ones to those who are known.

use std::net::SocketAddr;

use potluck_common::{
    InfoHash, Instant,
    announce::Family,
    krpc::{
        Body, CompactNodes, DATAGRAM_BYTES_MAX, ErrorCode, Message, NodeId, PeerList, Query, Response, Want,
        write_nodes,
    },
};

use super::{Dht, policy::may_name, rpc::VERSION, slot, table::BUCKET_NODES};

/// What a stranger gets is at most so many times as long as the question, which may carry a forged address.
const AMPLIFICATION_MAX: usize = 3;
/// Bytes that a list takes beside its entries, with its key: `5:nodes208:` or `6:nodes6304:`, and `6:valuesle`.
const LIST_BYTES: usize = 12;
/// Nodes that stay in an answer when peers fill the rest.
const NODES_BESIDE_PEERS: usize = 2;

/// A question as it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'b> {
    pub(super) from: SocketAddr,
    /// Bytes of the datagram.
    pub(super) bytes: usize,
    pub(super) transaction: &'b [u8],
    /// Bytes of what else is sent there because of it.
    pub(super) kept: usize,
}

impl<'b> Asked<'b> {
    pub(super) fn new(from: SocketAddr, bytes: usize, transaction: &'b [u8]) -> Self {
        Self { from, bytes, transaction, kept: 0 }
    }

    /// Bytes that an answer may take, to who may not be there at all.
    fn bytes_max(&self) -> usize {
        (AMPLIFICATION_MAX * self.bytes).saturating_sub(self.kept)
    }
}

impl Dht {
    /// Answers a query, if there is enough of what may be sent.
    pub(super) fn answer(&mut self, now: Instant, asked: Asked<'_>, query: Query<'_>) {
        let family = Family::of(asked.from.ip());
        match query {
            Query::Ping => self.respond(now, asked, Response::bare(self.id(family))),
            Query::FindNode { target, want } | Query::Other { target: Some(target), want, .. } => {
                self.answer_nodes(now, asked, target, want);
            }
            Query::GetPeers { info_hash, want, no_seeds } => {
                self.answer_peers(now, asked, info_hash, want, no_seeds);
            }
            Query::AnnouncePeer { info_hash, port, implied_port, token, seed } => {
                if !self.tokens.check(now, asked.from.ip(), &info_hash, token) {
                    self.refuse(now, asked, ErrorCode::Protocol, "bad token");
                    return;
                }
                // Whoever has a token gets what is sent to its address.
                self.proven.entry(now, asked.from, || ());
                let port = if implied_port { asked.from.port() } else { port };
                let peer = SocketAddr::new(asked.from.ip(), port);
                if self.store.announce(now, info_hash, peer, seed) {
                    self.respond(now, asked, Response::bare(self.id(family)));
                } else {
                    self.refuse(now, asked, ErrorCode::Server, "no room");
                }
            }
            Query::Other { .. } => self.refuse(now, asked, ErrorCode::MethodUnknown, "method unknown"),
        }
    }

    /// Says what is wrong with a query.
    pub(super) fn refuse(&mut self, now: Instant, asked: Asked<'_>, code: ErrorCode, text: &str) {
        self.reply(now, asked, Body::Error { code: code.number(), text: text.as_bytes() });
    }

    fn respond(&mut self, now: Instant, asked: Asked<'_>, response: Response<'_>) {
        self.reply(now, asked, Body::Response(response));
    }

    fn reply(&mut self, now: Instant, asked: Asked<'_>, body: Body<'_>) {
        let is_known = self.is_known(now, asked.from);
        let payload = message(asked, body, is_known).encode();
        debug_assert!(payload.len() <= DATAGRAM_BYTES_MAX, "answers fit");
        let fits = is_known || payload.len() <= asked.bytes_max();
        if fits && self.guard.pays(now, payload.len(), is_known) {
            self.out.send(asked.from, payload);
        }
    }

    /// Whether this address is surely who sent the datagram: it answered us, or showed a token.
    fn is_known(&self, now: Instant, from: SocketAddr) -> bool {
        let network = self.networks[slot(Family::of(from.ip()))].as_ref();
        self.proven.contains(now, from) || network.is_some_and(|network| network.table.at(from).is_some())
    }

    /// Bytes that lists may take in this answer.
    fn room(&self, now: Instant, asked: Asked<'_>, response: Response<'_>) -> usize {
        let is_known = self.is_known(now, asked.from);
        let most = if is_known { DATAGRAM_BYTES_MAX } else { asked.bytes_max() };
        let bare = message(asked, Body::Response(response), is_known).encode().len();
        most.min(DATAGRAM_BYTES_MAX).saturating_sub(bare)
    }

    fn answer_nodes(&mut self, now: Instant, asked: Asked<'_>, target: NodeId, want: Want) {
        let bare = Response::bare(self.id(Family::of(asked.from.ip())));
        let room = self.room(now, asked, bare);
        let (nodes, nodes6) = self.nodes_near(asked, target, want, room);
        let response =
            Response { nodes: CompactNodes::v4(&nodes), nodes6: CompactNodes::v6(&nodes6), ..bare };
        self.respond(now, asked, response);
    }

    fn answer_peers(
        &mut self,
        now: Instant,
        asked: Asked<'_>,
        info_hash: InfoHash,
        want: Want,
        no_seeds: bool,
    ) {
        let family = Family::of(asked.from.ip());
        let token = self.tokens.make(now, asked.from.ip(), &info_hash);
        let bare = Response { token: Some(&token), ..Response::bare(self.id(family)) };
        let room = self.room(now, asked, bare);
        let peer_bytes = PeerList::peer_bytes(family);
        let node_bytes = 20 + family.peer_length();
        let kept_for_nodes = LIST_BYTES + NODES_BESIDE_PEERS * node_bytes;
        let most = room.saturating_sub(kept_for_nodes + LIST_BYTES) / peer_bytes;
        // Peers of a local network are nobody's business elsewhere.
        let may_tell = |peer: &SocketAddr| {
            Family::of(peer.ip()) == family && *peer != asked.from && may_name(asked.from, *peer)
        };
        let peers = self.store.sample(now, info_hash, most, no_seeds, &mut self.rng, may_tell);
        let mut list = PeerList::default();
        for peer in &peers {
            list.push(*peer);
        }
        let taken = if peers.is_empty() { 0 } else { LIST_BYTES + peers.len() * peer_bytes };
        let (nodes, nodes6) = self.nodes_near(asked, info_hash.into(), want, room - taken);
        let response = Response {
            nodes: CompactNodes::v4(&nodes),
            nodes6: CompactNodes::v6(&nodes6),
            peers: list.as_peers(),
            ..bare
        };
        self.respond(now, asked, response);
    }

    /// The nodes closest to `target` in compact form, as many as fit: of the families that are wanted, or of that of the
    /// datagram (BEP 32).
    fn nodes_near(&self, asked: Asked<'_>, target: NodeId, want: Want, room: usize) -> (Vec<u8>, Vec<u8>) {
        let own_family = Family::of(asked.from.ip());
        let mut room = room;
        let mut list = |family: Family, wanted: bool| {
            let mut bytes = Vec::new();
            let wanted = if want.is_default() { family == own_family } else { wanted };
            let Some(network) = self.networks[slot(family)].as_ref().filter(|_| wanted) else { return bytes };
            let fitting = room.saturating_sub(LIST_BYTES) / (20 + family.peer_length());
            let nodes = network.table.closest(&target, BUCKET_NODES.min(fitting) + 1);
            let others = nodes.iter().map(|node| node.info).filter(|node| node.addr != asked.from);
            write_nodes(
                &mut bytes,
                family,
                others.filter(|node| may_name(asked.from, node.addr)).take(fitting.min(BUCKET_NODES)),
            );
            room = room.saturating_sub(if bytes.is_empty() { 0 } else { bytes.len() + LIST_BYTES });
            bytes
        };
        let first = list(own_family, if own_family == Family::V4 { want.ipv4 } else { want.ipv6 });
        let (other, wanted) = match own_family {
            Family::V4 => (Family::V6, want.ipv6),
            Family::V6 => (Family::V4, want.ipv4),
        };
        let second = list(other, wanted);
        if own_family == Family::V4 { (first, second) } else { (second, first) }
    }
}

fn message<'m>(asked: Asked<'m>, body: Body<'m>, is_known: bool) -> Message<'m> {
    Message {
        transaction: asked.transaction,
        version: is_known.then_some(VERSION),
        ip: Some(asked.from),
        read_only: false,
        body,
    }
}
