//! What a session is told at its start, and the limits that it keeps.

use std::net::SocketAddr;

use bytes::Bytes;
use potluck_common::{Duration, Geometry, InfoHash, PeerId, limits};

/// Who opened the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// We dialled: our handshake goes first.
    Outgoing,
    /// The peer dialled: nothing is sent before its info-hash is ours.
    Incoming,
}

/// What a session needs to know when its connection is established.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// The torrent.
    pub info_hash: InfoHash,
    /// Our own id.
    pub peer_id: PeerId,
    /// Who opened the connection.
    pub direction: Direction,
    /// The peer's address; it is told to the peer as `yourip` (BEP 10).
    pub remote: SocketAddr,
    /// How the torrent divides into pieces and blocks.
    pub geometry: Geometry,
    /// The port that we listen on, told to the peer as `p` (BEP 10).
    pub listen_port: Option<u16>,
    /// Our name and version, told to the peer as `v` (BEP 10): "Potluck 0.1.0".
    pub client: &'static str,
    /// Whether we download nothing more (BEP 21).
    pub upload_only: bool,
    /// Whether the torrent is private (BEP 27): then no extension that finds peers is offered, whatever [`Extensions`] says.
    pub private: bool,
    /// What we offer beyond the wire protocol.
    pub extensions: Extensions,
}

/// The extensions that we offer to a peer.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Extensions {
    /// The `info` dictionary, given to peers that ask for it (BEP 9).
    pub metadata: Option<Bytes>,
    /// Peer exchange (BEP 11).
    pub pex: bool,
    /// The UDP port of our DHT node, told to peers that have one (BEP 5).
    pub dht_port: Option<u16>,
}

/// The extended id under which we want to receive peer exchange.
pub(super) const PEX_ID: u8 = 1;
/// The name of peer exchange (BEP 11).
pub(super) const PEX_NAME: &str = "ut_pex";
/// The extended id under which we want to receive messages about the metadata (BEP 9).
pub(super) const METADATA_ID: u8 = 2;

/// From the connection to the end of the handshake, as libtorrent has it (reliability: slow-loris).
pub(super) const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// Without progress inside a message: neither its end nor [`MESSAGE_PROGRESS_BYTES`] more of it.
pub(super) const MESSAGE_TIME_MAX: Duration = Duration::from_secs(60);

/// What counts as progress inside a message. Single bytes do not, or one every minute would hold a connection; but a
/// block from an honest peer with a tiny share of a slow uplink may take minutes.
pub(super) const MESSAGE_PROGRESS_BYTES: usize = 1024;

/// Without any message, keep-alives included. Peers send those every two minutes (BEP 3), some to the second, so that
/// a limit of two minutes itself would be a toss of a coin with each of them.
pub(super) const IDLE_TIME_MAX: Duration = Duration::from_secs(140);

/// Of our own silence before a keep-alive: enough sooner than [`IDLE_TIME_MAX`] for slow networks.
pub(super) const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(100);

/// Without a block, although requests are outstanding, before the peer counts as snubbing us.
pub(super) const SNUB_TIME: Duration = Duration::from_secs(20);

/// How much older than two round trips a request may get while later ones are answered. A peer without BEP 6 drops
/// requests silently when its queue is full, and no other deadline would ever notice.
pub(super) const OVERTAKEN_TIME_MAX: Duration = Duration::from_secs(20);

/// Without a block before the last request to a snubbing peer is given up, too.
pub(super) const REQUEST_TIME_MAX: Duration = Duration::from_secs(60);

/// After a CHOKE of ours, requests that were under way still arrive and do not count against the peer (BEP 6).
pub(super) const CHOKE_GRACE: Duration = Duration::from_secs(5);

/// What a peer that we choke counts for at most while the uplink is saturated, in hundredths of an ordinary one: as much
/// as a trial that is least believed in. It has its allowed-fast pieces (BEP 6), and others have a slot.
pub(super) const WEIGHT_CHOKED_PERCENT: u8 = 25;

/// Requests that a peer may send while we choke it; libtorrent's bound.
pub(super) const CHOKED_REQUESTS_MAX: u32 = 300;

/// Requests for what does not exist, what we do not have, or more than one block.
pub(super) const INVALID_REQUESTS_MAX: u32 = 32;

/// Requests above the advertised queue, counted since a block was last sent.
pub(super) const OVERFLOWING_REQUESTS_MAX: u32 = 1_000;

/// Blocks that were never asked for, or have another offset or length than was asked for.
pub(super) const UNASKED_BLOCKS_MAX: u32 = 4;

/// Rejects of requests that were never sent.
pub(super) const UNASKED_REJECTS_MAX: u32 = 8;

/// Rejects in a row, with no block between, while the peer does not choke us: it will not serve us, and asking on
/// would only burn processor time.
pub(super) const REJECTS_IN_A_ROW_MAX: u32 = 2 * REQUEST_DEPTH_MAX;

/// Changes by HAVE ALL or HAVE NONE. BEP 6 allows one, and each costs the torrent a whole bitfield for five bytes.
pub(super) const WHOLESALE_CHANGES_MAX: u32 = 8;

/// Changes of choke, interest or bitfield within [`FLIPS_TIME`]. Each honest one is followed by payload or a wait of
/// seconds.
pub(super) const FLIPS_MAX: u32 = 2_000;

/// Requests for metadata that wait for their turn; Transmission sends up to 64 ahead, others two.
pub(super) const METADATA_REQUESTS_MAX: usize = 64;

/// Pieces of metadata for which a peer has a right within [`METADATA_BUDGET_TIME`], in times of all of them.
pub(super) const METADATA_BUDGET: u64 = 2;

/// The time within which [`METADATA_BUDGET`] counts.
pub(super) const METADATA_BUDGET_TIME: Duration = Duration::from_secs(60);

/// Messages about the metadata that cannot be read, before they are taken for an attack.
pub(super) const METADATA_INVALID_MAX: u32 = 8;

/// Extended handshakes within [`FLIPS_TIME`] (before the metadata is known: at all). A peer says so when something changed.
pub(super) const EXTENDED_HANDSHAKES_MAX: u32 = 32;
/// The time within which [`FLIPS_MAX`] and [`EXTENDED_HANDSHAKES_MAX`] count.
pub(super) const FLIPS_TIME: Duration = Duration::from_secs(60);

/// Requests that a peer without BEP 6 may have waiting, 128 MiB of them. Such peers were written before `reqq`, and
/// rtorrent asks ahead for several seconds of its rate; there is no way to refuse one but to close.
pub(super) const REQUEST_QUEUE_PLAIN_MAX: usize = 8_192;

/// Pieces that a peer may grant or suggest; BEP 6 grants ten.
pub(super) const PIECES_OFFERED_MAX: usize = 128;

/// Requests that are outstanding at least while the speed of a peer is unknown, and to one that is not slow.
pub(super) const REQUEST_DEPTH_MIN: u32 = 16;

/// What a slow peer brings in this time is asked of it at once: more would wait there while others could bring it.
pub(super) const REQUESTS_LAST: Duration = Duration::from_secs(3);

/// Requests that are outstanding at least to a slow peer.
pub(super) const REQUEST_DEPTH_SLOW: u32 = 4;

/// Requests that are outstanding at least on a fast link with a tiny round trip, where time is lost in task
/// switches rather than on the wire.
pub(super) const REQUEST_DEPTH_NEARBY: u32 = 64;

/// Requests that are outstanding at most: 8 MiB, the bandwidth-delay product of 30 MB/s at 140 ms, twice.
pub(super) const REQUEST_DEPTH_MAX: u32 = 512;

/// What a peer is taken to queue if it does not say: the default that BEP 10 names.
pub(super) const REQUEST_QUEUE_ASSUMED: u32 = 250;

/// Requests that were cancelled or given up and may still be answered.
pub(super) const CANCELLED_MAX: usize = 2 * REQUEST_DEPTH_MAX as usize;

/// Room for effects that a session keeps when it has none.
pub(super) const EFFECTS_KEPT: usize = 1_024;

const _: () = assert!(KEEP_ALIVE_INTERVAL.as_secs() < IDLE_TIME_MAX.as_secs());
const _: () = assert!(SNUB_TIME.as_secs() < REQUEST_TIME_MAX.as_secs());
const _: () = assert!(REQUEST_DEPTH_SLOW <= REQUEST_DEPTH_MIN && REQUEST_DEPTH_MIN <= REQUEST_DEPTH_NEARBY);
const _: () = assert!(REQUEST_DEPTH_NEARBY <= REQUEST_DEPTH_MAX);
const _: () = assert!(limits::REQUEST_QUEUE_MAX >= REQUEST_QUEUE_ASSUMED);
