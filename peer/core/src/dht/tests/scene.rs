//! One node, and others that answer at once as a test says.

use std::net::SocketAddr;

use potluck_common::{
    Duration, Instant,
    announce::Family,
    hash,
    krpc::{
        Body, CompactNodes, ErrorCode, Message, NodeId, NodeInfo, PeerList, Query, Response, write_nodes,
    },
};

use crate::dht::{Dht, DhtConfig, DhtEffect, DhtInput, SearchReport};

pub(super) fn v4(n: u8) -> SocketAddr {
    SocketAddr::from(([80, n, 1, 1], 6881))
}

pub(super) fn v6(n: u8) -> SocketAddr {
    SocketAddr::from(([0x2606, u16::from(n) + 1, 0, 0, 0, 0, 0, 1], 6881))
}

pub(super) fn id_of(addr: SocketAddr) -> NodeId {
    NodeId(hash::sha1(addr.to_string().as_bytes()))
}

/// The node, and what of the others answers.
pub(super) struct Scene {
    pub(super) node: Dht,
    pub(super) now: Instant,
    pub(super) answers: fn(SocketAddr) -> bool,
    pub(super) refuses_announces: bool,
    /// Whom each of them names near an id.
    pub(super) names: fn(SocketAddr, NodeId) -> Vec<NodeInfo>,
    /// Whom each of them knows to have what is looked for.
    pub(super) peers: fn(SocketAddr) -> Option<SocketAddr>,
    /// As whom each of them answers.
    pub(super) ids: fn(SocketAddr) -> NodeId,
    pub(super) asked: Vec<SocketAddr>,
    pub(super) found: Vec<SocketAddr>,
    pub(super) reports: Vec<SearchReport>,
}

impl Scene {
    pub(super) fn new(config: DhtConfig) -> Self {
        let now = Instant::from_secs(1_000);
        let node = Dht::new(config, 5, now);
        let (asked, found, reports) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            node,
            now,
            answers: |_| true,
            refuses_announces: false,
            names: |_, _| Vec::new(),
            peers: |_| None,
            ids: id_of,
            asked,
            found,
            reports,
        }
    }

    pub(super) fn tell(&mut self, input: DhtInput) {
        self.node.handle(self.now, input);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        while let Some(effect) = self.node.poll_effect() {
            match effect {
                DhtEffect::Send { to, payload } => self.asked(to, &payload),
                DhtEffect::Searched { report, .. } => self.reports.push(report),
                DhtEffect::Peers { peers, .. } => self.found.extend(peers),
            }
        }
        self.node.assert_invariants();
    }

    fn asked(&mut self, to: SocketAddr, payload: &[u8]) {
        let message = Message::decode(payload).expect("ours");
        let Body::Query { query, .. } = message.body else { return };
        self.asked.push(to);
        if !(self.answers)(to) {
            return;
        }
        let mut nodes = Vec::new();
        let target = match query {
            Query::FindNode { target, .. } => Some(target),
            Query::GetPeers { info_hash, .. } => Some(info_hash.into()),
            _ => None,
        };
        let named = target.map(|target| (self.names)(to, target));
        write_nodes(&mut nodes, Family::V4, named.into_iter().flatten());
        let nodes = CompactNodes::v4(&nodes);
        let mut peers = PeerList::default();
        if let (Query::GetPeers { .. }, Some(peer)) = (&query, (self.peers)(to)) {
            peers.push(peer);
        }
        let peers = peers.as_peers();
        let response = Response { token: Some(b"token"), nodes, peers, ..Response::bare((self.ids)(to)) };
        let body = match query {
            Query::AnnouncePeer { .. } if self.refuses_announces => {
                Body::Error { code: ErrorCode::Server.number(), text: b"no room" }
            }
            _ => Body::Response(response),
        };
        let answer =
            Message { transaction: message.transaction, version: None, ip: None, read_only: false, body };
        self.now += Duration::from_millis(20);
        self.node.handle(self.now, DhtInput::Datagram { from: to, payload: answer.encode().into() });
    }

    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.node.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.node.handle_timeout(self.now);
            self.carry_out();
        }
        self.now = self.now.max(end);
    }

    pub(super) fn known(&self) -> [usize; 2] {
        let status = self.node.status(self.now);
        [status.ipv4, status.ipv6].map(|family| family.map_or(0, |family| family.nodes))
    }
}
