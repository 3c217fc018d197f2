//! Announce codecs: tracker requests and replies over HTTP and UDP, in both directions, and the URL rules.
//!
//! The values here are the same for both transports; [`http`] and [`udp`] turn them into bytes and back. What
//! comes from a tracker is decoded leniently but bounded; what comes from a client is checked strictly by
//! [`http`], because a wrong port would be handed out to others.

mod escape;
pub mod http;
pub mod udp;
pub mod url;

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6},
};

use crate::{Duration, InfoHash, PeerId, Printable};

pub use self::url::{Scheme, TrackerUrl, UrlError};

/// Most peers kept of one reply: far above what any client can use, and it bounds memory at about 160 KB.
pub const REPLY_PEERS_MAX: usize = 5_000;

/// Most info-hashes of one scrape, over HTTP and UDP: the reply then fits one datagram (BEP 15).
pub const SCRAPE_HASHES_MAX: usize = 74;

/// Longest `tracker id` that is kept and sent back; real ones are a few dozen bytes.
pub const TRACKER_ID_BYTES_MAX: usize = 256;

/// What happened to the torrent since the last announce (BEP 3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum Event {
    /// Nothing: a regular announce.
    #[default]
    None,
    /// The first announce of a run.
    Started,
    /// The download has just become complete.
    Completed,
    /// The client leaves the swarm.
    Stopped,
}

/// What a client tells a tracker (BEP 3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AnnounceRequest {
    /// The torrent.
    pub info_hash: InfoHash,
    /// The client's id in this run.
    pub peer_id: PeerId,
    /// The port it listens on; never 0 in a parsed request.
    pub port: u16,
    /// Payload bytes sent since the `started` event.
    pub uploaded: u64,
    /// Payload bytes received since the `started` event.
    pub downloaded: u64,
    /// Payload bytes that are still missing; 0 says that the client is a seed.
    pub left: u64,
    /// What happened since the last announce.
    pub event: Event,
    /// How many peers the client would like; `None` leaves it to the tracker.
    pub numwant: Option<u32>,
    /// A secret that stays the same over the run, by which a tracker knows a client that changed its address.
    /// Over UDP 0 stands for none.
    pub key: Option<u32>,
    /// The client takes compact peers (BEP 23). Over UDP always true.
    pub compact: bool,
    /// An address that the client claims to have (`ip`); trackers that are not told otherwise ignore it.
    pub ip: Option<IpAddr>,
    /// An IPv4 endpoint that the client claims to have too (BEP 7, HTTP only).
    pub ipv4: Option<SocketAddrV4>,
    /// An IPv6 endpoint that the client claims to have too (BEP 7, HTTP only).
    pub ipv6: Option<SocketAddrV6>,
    /// What the tracker gave as `tracker id` (HTTP only), at most [`TRACKER_ID_BYTES_MAX`].
    pub tracker_id: Option<Vec<u8>>,
}

impl AnnounceRequest {
    /// A regular announce of a client that has nothing yet and makes no claims.
    pub fn new(info_hash: InfoHash, peer_id: PeerId, port: u16) -> Self {
        Self {
            info_hash,
            peer_id,
            port,
            uploaded: 0,
            downloaded: 0,
            left: 0,
            event: Event::None,
            numwant: None,
            key: None,
            compact: true,
            ip: None,
            ipv4: None,
            ipv6: None,
            tracker_id: None,
        }
    }
}

/// What a tracker answers to an announce.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct AnnounceReply {
    /// When to announce again; whatever the tracker said, so clamp it. Whole seconds on the wire.
    pub interval: Option<Duration>,
    /// Never announce again sooner than this, events aside.
    pub min_interval: Option<Duration>,
    /// Seeds in the swarm.
    pub complete: Option<u32>,
    /// Others in the swarm.
    pub incomplete: Option<u32>,
    /// How often the torrent was completed.
    pub downloaded: Option<u32>,
    /// Peers as the tracker gave them, both families, at most [`REPLY_PEERS_MAX`]; IPv4-mapped addresses are
    /// turned back. May hold duplicates, port 0, unusable addresses and ourselves.
    pub peers: Vec<SocketAddr>,
    /// Something for the user to read, although the announce went well.
    pub warning: Option<Printable>,
    /// Opaque bytes to send back with the next announce.
    pub tracker_id: Option<Vec<u8>>,
    /// The address that the tracker sees the client at (BEP 24).
    pub external_ip: Option<IpAddr>,
}

/// A tracker's refusal of a request.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the tracker refused: {reason}")]
pub struct Failure {
    /// Why, in the tracker's words.
    pub reason: Printable,
    /// When to try again (BEP 31), if the tracker said so.
    pub retry: Option<Retry>,
}

impl Failure {
    /// A refusal that says nothing about a retry.
    pub fn new(reason: &str) -> Self {
        Self { reason: Printable::new(reason), retry: None }
    }
}

/// When a refused request may be tried again (BEP 31).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    /// After this time; whole minutes on the wire.
    After(Duration),
    /// Not at all.
    Never,
}

/// The counters of one swarm (BEP 48).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ScrapeEntry {
    /// Seeds.
    pub complete: u32,
    /// Everyone else.
    pub incomplete: u32,
    /// How often the torrent was completed.
    pub downloaded: u32,
}

/// What a tracker answers to a scrape, by torrent.
pub type ScrapeReply = BTreeMap<InfoHash, ScrapeEntry>;

/// Why a tracker's reply gave nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReplyError {
    /// The tracker answered and said no.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// What came is not a tracker's reply.
    #[error("the tracker's reply makes no sense: {0}")]
    Malformed(Printable),
}

impl ReplyError {
    fn malformed(why: &str) -> Self {
        Self::Malformed(Printable::new(why))
    }
}

/// The address family of a UDP exchange: it decides how long a peer is in the reply (BEP 15).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Family {
    /// Six bytes per peer.
    V4,
    /// 18 bytes per peer.
    V6,
}

impl Family {
    /// The family of `ip`; an IPv4-mapped IPv6 address is of IPv4.
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The length of one compact peer in bytes.
    pub fn peer_length(self) -> usize {
        match self {
            Self::V4 => 6,
            Self::V6 => 18,
        }
    }
}

/// Reads compact peers of one family into `peers`; what is left over of an incomplete last one is dropped.
fn read_compact(family: Family, bytes: &[u8], peers: &mut Vec<SocketAddr>) {
    let room = REPLY_PEERS_MAX.saturating_sub(peers.len());
    let length = family.peer_length();
    let whole = &bytes[..bytes.len() / length * length];
    match family {
        Family::V4 => peers.extend(crate::addr::compact_v4(whole).into_iter().flatten().take(room)),
        Family::V6 => peers.extend(crate::addr::compact_v6(whole).into_iter().flatten().take(room)),
    }
}
