//! Nodes that want the network to fail.

use std::net::{IpAddr, SocketAddr};

use potluck_common::{
    InfoHash, Rng,
    announce::Family,
    krpc::{Body, CompactNodes, Message, NodeId, NodeInfo, PeerList, Query, Response, Want, write_nodes},
};

/// What a hostile node does. All of them answer pings, ask others so that they become known, and have ids that belong
/// to their addresses, or they would be in few tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Names nodes that do not exist, close to what is asked for.
    Garbage,
    /// Names other hostile nodes under ids close to what is asked for, and answers under whatever id it was asked by.
    Closest,
    /// Names peers that do not exist, and no nodes.
    FalsePeers,
    /// Answers nothing but pings.
    Mute,
    /// Sends datagrams all the time, half of them nonsense.
    Flood,
    /// Names the closest of the hostile nodes, as who they are, and nobody else: who believes it knows none but them.
    Clique,
}

/// Those of a mixed crowd.
const KINDS: [Kind; 5] = [Kind::Garbage, Kind::Closest, Kind::FalsePeers, Kind::Mute, Kind::Flood];

/// A hostile node.
#[derive(Debug)]
pub(super) struct Hostile {
    kind: Kind,
    id: NodeId,
    rng: Rng,
}

impl Hostile {
    /// `in_clique`: all of them are of one clique.
    pub(super) fn new(number: u32, ip: IpAddr, in_clique: bool, rng: &mut Rng) -> Self {
        let id = NodeId::of_address(ip, rng);
        let kind = if in_clique { Kind::Clique } else { KINDS[number as usize % KINDS.len()] };
        Self { kind, id, rng: rng.fork() }
    }

    pub(super) fn id(&self) -> NodeId {
        self.id
    }

    /// How many datagrams it sends by itself each time it is woken.
    pub(super) fn wakes_for(&self) -> u32 {
        if self.kind == Kind::Flood { 10 } else { 1 }
    }

    /// A datagram to somebody.
    pub(super) fn begin(&mut self) -> Vec<u8> {
        if self.kind == Kind::Flood && self.rng.below(2) == 0 {
            let mut nonsense = vec![0; 1 + self.rng.below(200) as usize];
            self.rng.fill(&mut nonsense);
            nonsense[0] = b'd';
            return nonsense;
        }
        let target = NodeId::random(&mut self.rng);
        let query = match self.rng.below(3) {
            0 => Query::Ping,
            1 => Query::FindNode { target, want: Want::DEFAULT },
            _ => Query::GetPeers { info_hash: InfoHash(target.0), want: Want::DEFAULT, no_seeds: false },
        };
        message(b"h", None, Body::Query { id: self.id, query }).encode()
    }

    /// Its answer to a datagram. `others` are the hostile nodes.
    pub(super) fn answer(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        others: &[NodeInfo],
    ) -> Option<Vec<u8>> {
        let received = Message::decode(datagram).ok()?;
        let Body::Query { query, .. } = received.body else { return None };
        let target = match query {
            Query::Ping | Query::AnnouncePeer { .. } => None,
            Query::FindNode { target, .. } => Some(target),
            Query::GetPeers { info_hash, .. } => Some(info_hash.into()),
            Query::Other { .. } => return None,
        };
        let mut nodes = Vec::new();
        let mut peers = PeerList::default();
        let mut id = self.id;
        if let Some(target) = target {
            match self.kind {
                Kind::Mute => return None,
                Kind::Garbage => {
                    let made_up: Vec<NodeInfo> = (0..8).map(|_| self.made_up(target)).collect();
                    write_nodes(&mut nodes, Family::V4, made_up);
                }
                Kind::Closest => {
                    id = self.close_to(target);
                    let mut name = || {
                        let addr = self.rng.choose(others)?.addr;
                        Some(NodeInfo { id: target.random_sharing(40, &mut self.rng), addr })
                    };
                    let named: Vec<NodeInfo> = (0..8).filter_map(|_| name()).collect();
                    write_nodes(&mut nodes, Family::V4, named);
                }
                Kind::Clique => {
                    let mut closest = others.to_vec();
                    closest.sort_unstable_by_key(|node| node.id.distance(&target));
                    write_nodes(&mut nodes, Family::V4, closest.into_iter().take(8));
                }
                Kind::FalsePeers | Kind::Flood => (0..20).for_each(|_| {
                    let addr = self.anywhere();
                    peers.push(addr);
                }),
            }
        }
        let is_search = matches!(query, Query::GetPeers { .. });
        let response = Response {
            id,
            nodes: CompactNodes::v4(&nodes),
            peers: if is_search { peers.as_peers() } else { Response::bare(id).peers },
            token: is_search.then_some(b"evil"),
            ..Response::bare(id)
        };
        // It lies about who others are, too.
        let lie = SocketAddr::new([9, 9, 9, 9].into(), from.port());
        Some(message(received.transaction, Some(lie), Body::Response(response)).encode())
    }

    /// Half of the time it says who it is, and else somebody close.
    fn close_to(&mut self, target: NodeId) -> NodeId {
        if self.rng.below(2) == 0 { self.id } else { target.random_sharing(40, &mut self.rng) }
    }

    /// A node that does not exist, with an id that belongs to its address if that can be had cheaply.
    fn made_up(&mut self, target: NodeId) -> NodeInfo {
        let addr = self.anywhere();
        let mut id = NodeId::of_address(addr.ip(), &mut self.rng);
        if self.rng.below(2) == 0 {
            id = target.random_sharing(30, &mut self.rng);
        }
        NodeInfo { id, addr }
    }

    fn anywhere(&mut self) -> SocketAddr {
        let [_, a, b, c] = self.rng.below(u32::MAX).to_be_bytes();
        SocketAddr::from(([130, a, b, c], 1 + self.rng.below(60_000) as u16))
    }
}

fn message<'m>(transaction: &'m [u8], ip: Option<SocketAddr>, body: Body<'m>) -> Message<'m> {
    Message { transaction, version: None, ip, read_only: false, body }
}
