//! What is kept from run to run: our ids and good nodes, as bencode.

use potluck_common::{
    announce::Family,
    bencode::{self, Limits},
    krpc::{CompactNodes, NodeId, NodeInfo, write_nodes},
};

/// Nodes that are kept of one family: enough to find some that are still there after weeks.
pub const SAVED_NODES_MAX: usize = 200;

const LIMITS: Limits = Limits::lenient(4, 64, 64 * 1024);

/// What one run leaves to the next.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct DhtSaved {
    /// Who we were in the IPv4 network.
    pub ipv4_id: Option<NodeId>,
    /// Who we were in the IPv6 network.
    pub ipv6_id: Option<NodeId>,
    /// Nodes that answered lately, of both families.
    pub nodes: Vec<NodeInfo>,
}

impl DhtSaved {
    /// The id of a family.
    pub(super) fn id(&self, family: Family) -> Option<NodeId> {
        match family {
            Family::V4 => self.ipv4_id,
            Family::V6 => self.ipv6_id,
        }
    }

    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let compact = |family| {
            let mut bytes = Vec::new();
            write_nodes(&mut bytes, family, self.nodes.iter().copied());
            bytes
        };
        bencode::encode_dict(|out| {
            for (key, id) in [(&b"id"[..], self.ipv4_id), (b"id6", self.ipv6_id)] {
                if let Some(id) = id {
                    out.bytes(key, &id.0);
                }
            }
            out.bytes(b"nodes", &compact(Family::V4));
            out.bytes(b"nodes6", &compact(Family::V6));
        })
    }

    /// From bytes; what is missing or damaged is left out, and `None` is no bencoded dictionary at all.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let document = bencode::parse(bytes, &LIMITS).ok()?;
        let dict = document.root().as_dict()?;
        let field = |key: &[u8]| dict.get(key).and_then(|node| node.as_bytes());
        let nodes = CompactNodes::v4(field(b"nodes").unwrap_or_default());
        let nodes6 = CompactNodes::v6(field(b"nodes6").unwrap_or_default());
        Some(Self {
            ipv4_id: field(b"id").and_then(NodeId::from_slice),
            ipv6_id: field(b"id6").and_then(NodeId::from_slice),
            nodes: nodes.iter().take(SAVED_NODES_MAX).chain(nodes6.iter().take(SAVED_NODES_MAX)).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn of_a_file_no_more_nodes_are_taken_than_are_kept() {
        let node = |n: u32, family: Family| NodeInfo {
            id: NodeId([n as u8; 20]),
            addr: match family {
                Family::V4 => SocketAddr::from((((80 << 24) + n).to_be_bytes(), 1)),
                Family::V6 => SocketAddr::from(([0x2606, n as u16, 0, 0, 0, 0, 0, 1], 1)),
            },
        };
        let nodes: Vec<NodeInfo> = [Family::V4, Family::V6]
            .into_iter()
            .flat_map(|family| (0..900).map(move |n| node(n, family)))
            .collect();
        let saved = DhtSaved::decode(&DhtSaved { nodes, ..DhtSaved::default() }.encode()).expect("bencode");
        let of = |is_v4: bool| saved.nodes.iter().filter(|node| node.addr.is_ipv4() == is_v4).count();
        assert_eq!((of(true), of(false)), (SAVED_NODES_MAX, SAVED_NODES_MAX));
    }
}
