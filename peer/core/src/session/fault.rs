//! What a peer can do wrong.

use bytes::BytesMut;
use potluck_common::wire::{ExtendedError, HandshakeError, MetadataMessageError, WireError};
use thiserror::Error;

use super::event::{Blame, CloseReason};

/// A breach of the protocol by the peer that ends the connection. Each reads as a clause after "the peer".
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub(super) enum PeerFault {
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    #[error("opened the connection for another torrent")]
    InfoHash,
    #[error("is ourselves")]
    Ourselves,
    #[error("did not complete its handshake in time")]
    HandshakeTime,
    #[error("began a message and did not complete it in time")]
    MessageTime,
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error(transparent)]
    Extended(#[from] ExtendedError),
    #[error(transparent)]
    Metadata(#[from] MetadataMessageError),
    #[error("repeated its extended handshake too often")]
    ExtendedHandshakes,
    #[error("sent a bitfield with bits set past the last piece")]
    BitfieldSpareBits,
    #[error("changed between having all and no pieces too often")]
    WholesaleChanges,
    #[error("changed its mind thousands of times in a minute")]
    Flips,
    #[error("named piece {0}, which does not exist")]
    PieceNumber(u32),
    #[error("used the fast extension without announcing it")]
    FastNotAgreed,
    #[error("sent too many blocks that were not asked for")]
    UnaskedBlocks,
    #[error("rejected too many requests that were not sent")]
    UnaskedRejects,
    #[error("rejects every request although it does not choke")]
    RejectsEverything,
    #[error("sent too many invalid requests")]
    InvalidRequests,
    #[error("sent more requests than the queue we advertise holds")]
    OverflowingRequests,
    #[error("sent too many requests while choked")]
    ChokedRequests,
}

impl PeerFault {
    /// What of `output` is still said: nothing, but who we are to ourselves. The end that dialled learns from it not to do so
    /// again.
    pub(super) fn last_words(self, output: &mut BytesMut) -> BytesMut {
        if self == Self::Ourselves { std::mem::take(output) } else { BytesMut::new() }
    }
}

impl From<PeerFault> for CloseReason {
    fn from(fault: PeerFault) -> Self {
        // What is late may be the network's fault, and whoever refuses may have a disk that cannot be read for a moment: both
        // are worth another try soon.
        let blame = match fault {
            PeerFault::HandshakeTime | PeerFault::MessageTime | PeerFault::RejectsEverything => Blame::Nobody,
            _ => Blame::Peer,
        };
        Self::new(blame, &fault.to_string())
    }
}
