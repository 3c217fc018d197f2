//! What such a session and its torrent say to each other.

use bytes::Bytes;
use potluck_common::{PeerId, Printable};

use crate::session::CloseReason;

/// What a [`MetadataSession`](super::MetadataSession) tells its torrent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MetadataEvent {
    /// The handshake is complete in both directions.
    Handshaken {
        /// The peer's id.
        peer_id: PeerId,
        /// It speaks the extension protocol (BEP 10), without which it has no metadata for us.
        extended: bool,
    },
    /// What the peer says about itself; it may say so again when something changed.
    Extended {
        /// Its client's name.
        client: Option<Printable>,
        /// The port it listens on.
        listen_port: Option<u16>,
        /// The address under which it sees us.
        your_ip: Option<std::net::IpAddr>,
        /// It speaks `ut_metadata` (BEP 9).
        gives_metadata: bool,
        /// The size of its metadata in bytes, as it claims; `None` if it has none.
        metadata_size: Option<u32>,
    },
    /// A piece of metadata.
    Data {
        /// Its number, as the peer says.
        piece: u32,
        /// The size of all metadata, as the peer says.
        total_size: Option<u32>,
        /// Its bytes: a view into the receive buffer.
        payload: Bytes,
    },
    /// The peer does not give this piece.
    Rejected(u32),
    /// A message of peer exchange (BEP 11), not read yet.
    Pex(Bytes),
    /// The UDP port of the peer's DHT node (BEP 5), never 0.
    DhtPort(u16),
    /// The session is over; nothing follows.
    Closed(CloseReason),
}

/// What a torrent tells such a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MetadataCommand {
    /// Ask for this piece of metadata.
    Ask(u32),
    /// End the connection.
    Close(CloseReason),
}
