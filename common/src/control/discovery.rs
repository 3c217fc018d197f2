//! Where peers come from, and what each source of them is doing.

use serde::{Deserialize, Serialize};

use crate::Printable;

/// Where an address of a peer came from, in ascending order of worth.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerSource {
    /// It connected to us, and said where it listens.
    #[default]
    Incoming,
    /// Peer exchange: another peer's word (BEP 11).
    Pex,
    /// Local service discovery: it spoke on our own network (BEP 14).
    Lsd,
    /// The distributed hash table (BEP 5).
    Dht,
    /// A magnet link's word (`x.pe`): that of whoever made it.
    Link,
    /// A tracker's answer.
    Tracker,
    /// We were connected to it in an earlier run.
    Resume,
    /// The user's own word.
    User,
}

impl PeerSource {
    /// All of them, in ascending order of worth.
    pub const ALL: [Self; 8] = [
        Self::Incoming,
        Self::Pex,
        Self::Lsd,
        Self::Dht,
        Self::Link,
        Self::Tracker,
        Self::Resume,
        Self::User,
    ];

    /// Its name in a list or a column.
    pub fn word(self) -> &'static str {
        match self {
            Self::Incoming => "incoming",
            Self::Pex => "PEX",
            Self::Lsd => "LSD",
            Self::Dht => "DHT",
            Self::Link => "magnet link",
            Self::Tracker => "tracker",
            Self::Resume => "earlier run",
            Self::User => "user",
        }
    }
}

/// What a source of peers is doing.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiscoveryState {
    /// It is not used; the message says why.
    #[default]
    Off,
    /// It is used, and nothing is under way.
    Idle,
    /// It is being asked.
    Searching,
    /// It gave peers the last time, or is able to.
    Working,
    /// It failed the last time.
    Failed,
}

/// One source of peers of a torrent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DiscoverySnapshot {
    /// Which source.
    pub source: PeerSource,
    /// What it is doing.
    pub state: DiscoveryState,
    /// The last result, or why it is silent, in words.
    pub message: Printable,
    /// Different addresses that it gave in this run.
    pub found: u32,
    /// Peers connected now that are known from it.
    pub connected: u32,
    /// Seconds until it is asked again.
    pub next_seconds: Option<u64>,
}

/// The node of the distributed hash table that all torrents share.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct DhtSummary {
    /// What it is doing.
    pub state: DiscoveryState,
    /// What it waits for, or why it is silent, in words; empty while it works.
    pub message: Printable,
    /// Nodes in the routing table of IPv4.
    pub nodes_v4: u32,
    /// Nodes in the routing table of IPv6 (BEP 32).
    pub nodes_v6: u32,
}

/// Whether strangers can connect to us.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PortReach {
    /// Somebody did.
    Open,
    /// Nobody can, as far as can be told.
    Closed,
    /// There is no evidence yet.
    #[default]
    Unknown,
}

/// The port that we listen on, as others see it.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct PortSummary {
    /// Its number; a router may have given us another one outside.
    pub port: Option<u16>,
    /// Whether strangers can connect to it.
    pub reach: PortReach,
    /// The evidence, and what a router was asked for, in words.
    pub message: Printable,
}
