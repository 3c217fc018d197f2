//! Compact nodes and peers, borrowed as they arrived.

use std::net::SocketAddr;

use super::NodeId;
use crate::{addr, announce::Family};

/// A node: who and where.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct NodeInfo {
    /// Its id, as somebody says.
    pub id: NodeId,
    /// Its address.
    pub addr: SocketAddr,
}

/// A list of nodes of one family: 26 bytes each, or 38 (BEP 5, 32). What is left over at its end is ignored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CompactNodes<'b> {
    bytes: &'b [u8],
    family: Family,
}

impl<'b> CompactNodes<'b> {
    /// IPv4 nodes; a part of one at the end is left out.
    pub fn v4(bytes: &'b [u8]) -> Self {
        Self::new(bytes, Family::V4)
    }

    /// IPv6 nodes; a part of one at the end is left out.
    pub fn v6(bytes: &'b [u8]) -> Self {
        Self::new(bytes, Family::V6)
    }

    fn new(bytes: &'b [u8], family: Family) -> Self {
        let length = 20 + family.peer_length();
        Self { bytes: &bytes[..bytes.len() / length * length], family }
    }

    /// The encoded list.
    pub fn as_bytes(&self) -> &'b [u8] {
        self.bytes
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The nodes in order.
    pub fn iter(&self) -> impl Iterator<Item = NodeInfo> + use<'b> {
        self.bytes.chunks_exact(20 + self.family.peer_length()).filter_map(|entry| {
            let (id, peer) = entry.split_at(20);
            Some(NodeInfo { id: NodeId::from_slice(id)?, addr: compact_peer(peer)? })
        })
    }
}

/// Appends the compact form of `nodes` of one family to `out`; those of another are left out.
pub fn write_nodes(out: &mut Vec<u8>, family: Family, nodes: impl IntoIterator<Item = NodeInfo>) {
    for node in nodes.into_iter().filter(|node| Family::of(node.addr.ip()) == family) {
        out.extend_from_slice(&node.id.0);
        addr::write_compact(out, addr::canonical(node.addr));
    }
}

/// The address in six or 18 bytes.
fn compact_peer(bytes: &[u8]) -> Option<SocketAddr> {
    match bytes.len() {
        6 => addr::compact_v4(bytes)?.next(),
        18 => addr::compact_v6(bytes)?.next(),
        _ => None,
    }
}

/// The `values` of a response: an encoded list of compact peers of either family (BEP 32), or none.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct CompactPeers<'b> {
    /// Encoded strings one after the other: what is between the `l` and the `e`. Empty when there is no such list.
    strings: &'b [u8],
}

impl<'b> CompactPeers<'b> {
    /// The strings inside of an encoded list that a scan has passed.
    pub(super) fn of_list(span: &'b [u8]) -> Self {
        let inside = span.strip_prefix(b"l").and_then(|rest| rest.strip_suffix(b"e"));
        Self { strings: inside.unwrap_or_default() }
    }

    /// The strings, without their list.
    pub(super) fn strings(&self) -> &'b [u8] {
        self.strings
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.strings.is_empty()
    }

    /// The peers in order. What is no compact peer is left out, and the first value that is no string ends them.
    pub fn iter(&self) -> impl Iterator<Item = SocketAddr> + use<'b> {
        let mut rest = self.strings;
        std::iter::from_fn(move || {
            let (string, left) = split_string(rest)?;
            rest = left;
            Some(compact_peer(string))
        })
        .flatten()
    }
}

/// The content of the encoded string at the front, and what follows it.
fn split_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = bytes.iter().position(|byte| *byte == b':')?;
    let length = std::str::from_utf8(&bytes[..colon]).ok()?.parse().ok()?;
    bytes[colon + 1..].split_at_checked(length)
}

/// A list of peers that is being made, to stand in a [`super::Response`].
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct PeerList(Vec<u8>);

impl PeerList {
    /// How many bytes one more peer of a family takes.
    pub fn peer_bytes(family: Family) -> usize {
        match family {
            Family::V4 => 2 + 6,
            Family::V6 => 3 + 18,
        }
    }

    /// Appends a peer.
    pub fn push(&mut self, peer: SocketAddr) {
        let peer = addr::canonical(peer);
        self.0.extend_from_slice(if peer.is_ipv4() { b"6:" } else { b"18:" });
        addr::write_compact(&mut self.0, peer);
    }

    /// The list as it goes into a response.
    pub fn as_peers(&self) -> CompactPeers<'_> {
        CompactPeers { strings: &self.0 }
    }
}
