//! What a collection is asked for, what it wishes, and what it tells of itself.

use bytes::Bytes;
use potluck_common::{
    InfoHash, InfoHashV2,
    hash::{sha1, sha256},
    wire::MetadataSize,
};

use crate::PeerKey;

/// What the hash of an `info` dictionary must be. At least one is there; each that is there must hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expected {
    /// SHA-1 (BEP 3).
    pub v1: Option<InfoHash>,
    /// SHA-256 (BEP 52).
    pub v2: Option<InfoHashV2>,
}

impl Expected {
    /// Whether these are the bytes.
    pub fn holds(&self, info: &[u8]) -> bool {
        let v1 = self.v1.is_none_or(|hash| hash.0 == sha1(info));
        let v2 = self.v2.is_none_or(|hash| hash.0 == sha256(info));
        v1 && v2 && (self.v1.is_some() || self.v2.is_some())
    }
}

/// What the owner must do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wish {
    /// Ask this peer for this piece.
    Ask(PeerKey, u32),
    /// This peer broke the protocol, as the clause says.
    Close(PeerKey, &'static str),
    /// This peer took part in too many failures.
    Ban(PeerKey),
    /// The metadata came from so many peers, and it was something else than was looked for.
    Failed {
        /// How many had a part in it.
        contributors: u32,
    },
    /// It is complete, and its hash holds.
    Complete {
        /// The `info` dictionary.
        info: Bytes,
        /// How many gave something of it.
        contributors: u32,
    },
}

/// Of what use a peer is to the collection: the least is the best.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Standing {
    /// It gave something since it last failed to.
    Gives,
    /// It says that it has metadata, and was not asked, or not for long.
    Untried,
    /// It says so, and rejected so many requests in a row, or left them unanswered.
    Fails(u32),
    /// It has none, as far as is known.
    HasNone,
}

/// How far the collection is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Progress {
    /// The size of the attempt that is furthest.
    pub size: Option<MetadataSize>,
    /// Its pieces that came.
    pub pieces: u32,
    /// Their bytes.
    pub bytes: u64,
    /// Whoever gave something of them, by their addresses.
    pub givers: u32,
    /// Peers here that say that their metadata has this size.
    pub claimants: u32,
}
