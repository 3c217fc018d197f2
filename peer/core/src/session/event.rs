//! What a session and its torrent say to each other.

use bytes::Bytes;
use potluck_common::{Bitfield, BlockSpan, Duration, PeerId, PieceIndex, Printable};

/// What a session tells its torrent. None of it carries payload.
#[derive(Clone, PartialEq, Debug)]
pub enum SessionEvent {
    /// The handshake is complete in both directions. If the id is our own, the end follows.
    Handshaken {
        /// The peer's id.
        peer_id: PeerId,
        /// Both sides speak the fast extension (BEP 6).
        fast: bool,
        /// Both sides speak the extension protocol (BEP 10).
        extended: bool,
    },
    /// The peer's extended handshake (BEP 10) came; absent fields are `None`.
    Extended {
        /// `v`: its client's name and version.
        client: Option<Printable>,
        /// `p`: the port it listens on.
        listen_port: Option<u16>,
        /// `yourip`: the address it sees us at.
        your_ip: Option<std::net::IpAddr>,
        /// `upload_only` (BEP 21).
        upload_only: bool,
        /// It takes peer exchange, and so do we.
        pex: bool,
    },
    /// A message of peer exchange (BEP 11), not read yet. It comes only if we offered that.
    Pex(Bytes),
    /// The UDP port of the peer's DHT node (BEP 5), never 0. It comes only if we have one.
    DhtPort(u16),
    /// The peer has exactly these pieces: BITFIELD, HAVE ALL or HAVE NONE. Replaces what was known.
    Bitfield(Bitfield),
    /// The peer has this piece too.
    Have(PieceIndex),
    /// The peer chokes us. Without the fast extension the outstanding requests were reported as
    /// [`SessionEvent::Released`] already.
    Choked,
    /// The peer unchokes us.
    Unchoked,
    /// The peer wants blocks of us.
    Interested,
    /// The peer wants nothing of us.
    NotInterested,
    /// The peer lets us request this piece even while it chokes us (BEP 6).
    AllowedFast(PieceIndex),
    /// It refused a block of such a piece: no more may be requested of it while the peer chokes us.
    NotAllowedFast(PieceIndex),
    /// The peer suggests this piece (BEP 6).
    Suggested(PieceIndex),
    /// The session can take this many more blocks, in addition to all it said before: a credit that each assigned
    /// block uses up.
    Wants(u32),
    /// These requested blocks came, and their payload was handed to the shell. In order of arrival.
    Received(Vec<BlockSpan>),
    /// So many bytes of payload came that nobody waits for: cancelled, given up, or never asked for.
    Wasted(u64),
    /// These assigned blocks will not come: choked, rejected, timed out, or not sendable. They may be assigned again.
    Released(Vec<BlockSpan>),
    /// Nothing came for a while although we asked and are unchoked; `true` when it begins, `false` when a block ends it.
    Snubbed(bool),
    /// This many bytes of payload went to the peer.
    Uploaded(u64),
    /// The round trip from a request to its block, smoothed.
    RoundTrip(Duration),
    /// The session is over; nothing follows.
    Closed(CloseReason),
}

/// What a torrent tells a session.
#[derive(Clone, PartialEq, Debug)]
pub enum SessionCommand {
    /// Request these blocks, in this order, as the request depth allows.
    Assign(Vec<BlockSpan>),
    /// These blocks are no longer wanted (they came from someone else): send CANCEL where a request is outstanding.
    Cancel(Vec<BlockSpan>),
    /// Choke the peer: first CHOKE, then REJECT for each queued request that is not allowed-fast (BEP 6).
    Choke,
    /// Unchoke the peer.
    Unchoke,
    /// While the uplink is saturated, the peer is to have so many hundredths of an ordinary share of it, until it is told
    /// otherwise. At first it is 100.
    Weigh(u8),
    /// We want something that the peer has.
    Interested,
    /// The peer has nothing that we want.
    NotInterested,
    /// We now have these pieces.
    Have(Vec<PieceIndex>),
    /// Grant these pieces as allowed-fast (BEP 6).
    AllowFast(Vec<PieceIndex>),
    /// We became a seed or a partial seed (BEP 21): tell the peer `upload_only`.
    UploadOnly(bool),
    /// Send this message of peer exchange (BEP 11), if the peer takes such.
    Pex(Bytes),
    /// End the connection.
    Close(CloseReason),
}

/// Whose doing the end of a connection was; it decides what follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blame {
    /// Nobody's: the connection was no longer useful, or the network ended it.
    Nobody,
    /// The peer broke the protocol: close, and do not hurry back.
    Peer,
    /// The peer is hostile or useless for good: ban its address.
    PeerBan,
    /// Ours.
    Local,
}

/// Why a connection ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CloseReason {
    /// Whose doing it was.
    pub blame: Blame,
    /// One clause for a person, such as "sent a bitfield of the wrong length".
    pub why: Printable,
}

impl CloseReason {
    /// A reason in words.
    pub fn new(blame: Blame, why: &str) -> Self {
        Self { blame, why: Printable::new(why) }
    }
}
