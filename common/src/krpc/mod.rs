//! KRPC, the datagrams of the Mainline DHT (BEP 5, 32, 42, 43 and the `seed` of BEP 33).
//!
//! One datagram is one bencoded dictionary. [`Message::decode`] scans it within bounds and borrows from it; what real
//! nodes get wrong where nothing depends on it (odd lengths of node lists, missing `y`, bytes after the end) is
//! tolerated. A query that cannot be answered still gives its transaction, so that the sender can be told.

mod compact;
mod decode;
mod encode;
mod node_id;

#[cfg(test)]
mod tests;

use std::{fmt, net::SocketAddr};

use thiserror::Error;

pub use self::{
    compact::{CompactNodes, CompactPeers, NodeInfo, PeerList, write_nodes},
    node_id::{Distance, NodeId},
};
use crate::{InfoHash, bencode::BencodeError};

/// Largest payload that we send (BEP 32): it crosses any tunnel in one fragment.
pub const DATAGRAM_BYTES_MAX: usize = 1_024;

/// Largest payload that is read: others send as much as fits an Ethernet frame, or a little more.
pub const DATAGRAM_BYTES_READ_MAX: usize = 4 * 1_024;

/// Most values in one datagram: a reply of 4 KiB cannot hold more compact peers.
const TOKENS_MAX: usize = 1_000;

/// Deepest nesting of a datagram: replies of BEP 44 carry values of their own.
const DEPTH_MAX: usize = 20;

/// Longest token that is kept or echoed: real ones have 4 to 20 bytes.
pub const TOKEN_BYTES_MAX: usize = 64;

/// Longest transaction id that is echoed: real ones have two or four bytes.
pub const TRANSACTION_BYTES_MAX: usize = 32;

/// One datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message<'b> {
    /// What the answer must echo: `t`.
    pub transaction: &'b [u8],
    /// The sender's software: `v`, two letters and a version.
    pub version: Option<&'b [u8]>,
    /// Who the receiver is, as the sender sees it: `ip` (BEP 42). The port is 0 where only the address was sent.
    pub ip: Option<SocketAddr>,
    /// The sender answers no queries: `ro` (BEP 43).
    pub read_only: bool,
    /// What it says.
    pub body: Body<'b>,
}

/// What a datagram says: `y`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Body<'b> {
    /// `q`: somebody asks.
    Query {
        /// Who asks.
        id: NodeId,
        /// What.
        query: Query<'b>,
    },
    /// `r`: an answer.
    Response(Response<'b>),
    /// `e`: a refusal.
    Error {
        /// Usually one of [`ErrorCode`]'s numbers.
        code: i64,
        /// What is wrong, as the sender puts it; not safe to show as it is.
        text: &'b [u8],
    },
}

/// A question to a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Query<'b> {
    /// Is somebody there?
    Ping,
    /// Which nodes do you know closest to `target`?
    FindNode {
        /// An id near which nodes are looked for.
        target: NodeId,
        /// Of which address families.
        want: Want,
    },
    /// Who has this torrent, or who may know?
    GetPeers {
        /// The torrent.
        info_hash: InfoHash,
        /// Of which address families nodes are wanted; peers are of the datagram's.
        want: Want,
        /// Seeds are of no use to who asks (BEP 33).
        no_seeds: bool,
    },
    /// The sender has the torrent.
    AnnouncePeer {
        /// The torrent.
        info_hash: InfoHash,
        /// Where it listens; meaningless with `implied_port`.
        port: u16,
        /// It listens on the port that this datagram came from.
        implied_port: bool,
        /// What a `get_peers` was answered with.
        token: &'b [u8],
        /// It has all of it (BEP 33).
        seed: bool,
    },
    /// A method that is not known here. Where it names a target it can be answered with nodes, as its authors hope.
    Other {
        /// Its name.
        method: &'b [u8],
        /// What it is about: its `target` or `info_hash`.
        target: Option<NodeId>,
        /// Of which address families nodes are wanted.
        want: Want,
    },
}

/// The address families of nodes that an answer should name (BEP 32).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Want {
    /// `n4`.
    pub ipv4: bool,
    /// `n6`.
    pub ipv6: bool,
}

impl Want {
    /// Nothing is said: those of the family of the datagram.
    pub const DEFAULT: Self = Self { ipv4: false, ipv6: false };
    /// Both.
    pub const BOTH: Self = Self { ipv4: true, ipv6: true };

    /// Whether nothing is said.
    pub fn is_default(self) -> bool {
        self == Self::DEFAULT
    }
}

/// The answer to any query: who answers, and what of the rest there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Response<'b> {
    /// Who answers.
    pub id: NodeId,
    /// IPv4 nodes: `nodes`.
    pub nodes: CompactNodes<'b>,
    /// IPv6 nodes: `nodes6`.
    pub nodes6: CompactNodes<'b>,
    /// Peers: `values`.
    pub peers: CompactPeers<'b>,
    /// What an announce to this node must carry.
    pub token: Option<&'b [u8]>,
}

impl Response<'_> {
    /// The answer to a ping or an announce.
    pub fn bare(id: NodeId) -> Self {
        let (nodes, nodes6) = (CompactNodes::v4(&[]), CompactNodes::v6(&[]));
        Self { id, nodes, nodes6, peers: CompactPeers::default(), token: None }
    }
}

/// The numbers of refusals (BEP 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorCode {
    /// 201.
    Generic,
    /// 202.
    Server,
    /// 203: a malformed query, invalid arguments or a bad token.
    Protocol,
    /// 204.
    MethodUnknown,
}

impl ErrorCode {
    /// The number on the wire.
    pub fn number(self) -> i64 {
        match self {
            Self::Generic => 201,
            Self::Server => 202,
            Self::Protocol => 203,
            Self::MethodUnknown => 204,
        }
    }

    /// Which one a number stands for, if any.
    pub fn of(number: i64) -> Option<Self> {
        [Self::Generic, Self::Server, Self::Protocol, Self::MethodUnknown]
            .into_iter()
            .find(|code| code.number() == number)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Generic => "generic error",
            Self::Server => "server error",
            Self::Protocol => "protocol error",
            Self::MethodUnknown => "method unknown",
        })
    }
}

/// Why a datagram is not understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum KrpcError<'b> {
    /// It is not bencoded within the bounds.
    #[error("not bencoded: {0}")]
    Bencode(BencodeError),
    /// It is no dictionary, or has no `t` of a length that can be echoed.
    #[error("a message without a transaction id")]
    NoTransaction,
    /// It has none of `q`, `r` and `e`, or not that which its `y` says.
    #[error("neither a query nor a response nor an error")]
    NoBody,
    /// A response without the id of who answers.
    #[error("a response without a node id")]
    NoId,
    /// A query lacks something; its sender can be told.
    #[error("a query without {missing}")]
    Query {
        /// What the refusal must echo.
        transaction: &'b [u8],
        /// What is missing or malformed, in words.
        missing: &'static str,
    },
}
