//! What goes into the machine and what comes out of it.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use bytes::Bytes;
use potluck_common::{Duration, InfoHash, Instant, krpc::NodeId};

use super::DhtSaved;

/// A lookup that somebody asked for once; the number is the caller's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LookupId(pub u64);

/// What a node is made with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DhtConfig {
    /// There is a socket for IPv4.
    pub ipv4: bool,
    /// There is a socket for IPv6.
    pub ipv6: bool,
    /// Answer nobody and say so (BEP 43).
    pub read_only: bool,
    /// Nodes to begin with, resolved. They may be local, as somebody chose them.
    pub bootstrap: Vec<SocketAddr>,
    /// What the last run left.
    pub saved: Option<DhtSaved>,
    /// What may be sent in answers, in bytes a second; a bootstrap node for many needs more.
    pub answer_bytes_per_second: u32,
    /// Torrents that are searched for at one time.
    pub searches_max: usize,
    /// Torrents whose peers are kept for others.
    pub torrents_stored_max: usize,
    /// Peers that are kept of one torrent.
    pub peers_stored_max: usize,
    /// Peers that are kept in all.
    pub peers_stored_total_max: usize,
}

impl Default for DhtConfig {
    fn default() -> Self {
        Self {
            ipv4: true,
            ipv6: true,
            read_only: false,
            bootstrap: Vec::new(),
            saved: None,
            answer_bytes_per_second: 8_000,
            searches_max: 32,
            torrents_stored_max: 2_000,
            peers_stored_max: 500,
            peers_stored_total_max: 100_000,
        }
    }
}

/// What is said about a torrent that is looked for again and again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tracked {
    /// Where we listen, as others can reach it; `None` looks for peers and tells nobody of us.
    pub announce_port: Option<u16>,
    /// We have all of it: who searches needs no seeds told, and others are told that we are one (BEP 33).
    pub is_seed: bool,
}

/// Something happened outside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DhtInput {
    /// A datagram that begins with `d`.
    Datagram {
        /// Whose.
        from: SocketAddr,
        /// What it says.
        payload: Bytes,
    },
    /// Addresses of bootstrap nodes, resolved (again); they take the place of those that were there.
    Bootstrap(Vec<SocketAddr>),
    /// Somebody may run a node there: from a PORT message or the `nodes` of a torrent. It is asked, not trusted.
    Node(SocketAddr),
    /// Look this torrent up and announce it from now on; said again, what is said of it changes.
    Track(InfoHash, Tracked),
    /// No longer.
    Untrack(InfoHash),
    /// Few usable peers are left of a tracked torrent: look soon. How often that helps is bounded.
    Hurry(InfoHash),
    /// Look once, and announce nothing.
    Lookup(LookupId, InfoHash),
    /// Who we are to others (BEP 42), by a word that can be trusted.
    ExternalAddress(IpAddr),
    /// The network says that nothing of ours arrives there; anybody may have forged that.
    Unreachable(SocketAddr),
    /// Our own system refused to send there.
    Unsent(SocketAddr),
    /// Whether others can reach us; while they cannot we are read-only.
    Network(bool),
}

/// What the shell must do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DhtEffect {
    /// Send a datagram.
    Send {
        /// To whom.
        to: SocketAddr,
        /// What.
        payload: Vec<u8>,
    },
    /// Peers were found: such as this search has not named before.
    Peers {
        /// Of which torrent.
        info_hash: InfoHash,
        /// Who, as other nodes say.
        peers: Vec<SocketAddr>,
        /// Whose lookup it is, if it is one of [`DhtInput::Lookup`].
        lookup: Option<LookupId>,
    },
    /// A search has ended.
    Searched {
        /// Of which torrent.
        info_hash: InfoHash,
        /// Whose lookup it is, if it is one of [`DhtInput::Lookup`].
        lookup: Option<LookupId>,
        /// What came of it.
        report: SearchReport,
    },
}

/// What came of one search, in all address families.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct SearchReport {
    /// Nodes that were asked.
    pub asked: u32,
    /// Nodes that answered.
    pub answered: u32,
    /// Nodes that took our announce.
    pub announced_to: u32,
    /// Peers that were named.
    pub peers: u32,
    /// How many steps from our own table the first peers were found, or, when none were, how far the search went.
    pub rounds: u32,
    /// How many steps from our own table the farthest node is that answered.
    pub depth: u32,
    /// How long it took.
    pub took: Duration,
}

/// How the node is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DhtStatus {
    /// IPv4, if there is a socket.
    pub ipv4: Option<FamilyStatus>,
    /// IPv6, if there is a socket.
    pub ipv6: Option<FamilyStatus>,
    /// Searches under way, our own upkeep apart.
    pub searches: usize,
    /// Torrents that are looked for again and again.
    pub tracked: usize,
    /// Torrents whose peers we keep for others.
    pub torrents_stored: usize,
    /// Peers that we keep for others.
    pub peers_stored: usize,
    /// In a word and in words.
    pub state: DhtState,
}

impl DhtStatus {
    /// Nodes of both families.
    pub fn nodes(&self) -> usize {
        [&self.ipv4, &self.ipv6].into_iter().flatten().map(|family| family.nodes).sum()
    }
}

/// One address family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FamilyStatus {
    /// Who we are in it.
    pub id: NodeId,
    /// Nodes in the routing table, all of which have answered us.
    pub nodes: usize,
    /// Those that did lately.
    pub good: usize,
    /// Our address as others see it.
    pub external: Option<IpAddr>,
}

/// What the node is doing; its `Display` is a sentence for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DhtState {
    /// There is no socket.
    Off,
    /// Nobody is known whom it could ask.
    NoNodes,
    /// It asks the first nodes.
    Joining,
    /// None of those that it knows answers.
    Alone {
        /// When it asks them again.
        retry_at: Instant,
    },
    /// It is a part of the network.
    Joined {
        /// Good nodes that it knows.
        good: usize,
        /// It answers nobody.
        read_only: bool,
        /// Because it was made so, and not because others cannot reach it.
        by_choice: bool,
    },
}

impl fmt::Display for DhtState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("the DHT has no socket"),
            Self::NoNodes => f.write_str("no DHT node is known to begin with"),
            Self::Joining => f.write_str("joining the DHT"),
            Self::Alone { .. } => f.write_str("no DHT node answers"),
            Self::Joined { good, read_only, by_choice } => {
                let s = if *good == 1 { "" } else { "s" };
                write!(f, "{good} good DHT node{s}")?;
                match (read_only, by_choice) {
                    (false, _) => Ok(()),
                    (true, true) => f.write_str(", and it only asks"),
                    (true, false) => f.write_str(", and others cannot reach us"),
                }
            }
        }
    }
}

/// A tracked torrent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrackedStatus {
    /// When the last search ended and what came of it.
    pub last: Option<(Instant, SearchReport)>,
    /// When the next one is to begin; it may have to wait for others.
    pub next_at: Instant,
    /// One is under way.
    pub searching: bool,
}
