//! A torrent from near: its peers, trackers, files and pieces.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{Aspects, DiscoverySnapshot, FairnessSnapshot, PeerSource};
use crate::{InfoHash, Printable};

/// The lists of a torrent, each empty unless somebody looks at it.
#[derive(Clone, PartialEq, Default, Debug, Serialize, Deserialize)]
pub struct TorrentDetail {
    /// What its metainfo says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// One entry a connected peer, in the order in which they came.
    pub peers: Vec<PeerSnapshot>,
    /// One entry a tracker.
    pub trackers: Vec<TrackerSnapshot>,
    /// One entry a source of peers but the trackers; it is made with them.
    #[serde(default)]
    pub discovery: Vec<DiscoverySnapshot>,
    /// One entry a file of the payload (padding left out).
    pub files: Vec<FileSnapshot>,
    /// One entry a piece.
    #[serde(skip)]
    pub pieces: Vec<PieceState>,
    /// Who has the pieces that were asked about.
    #[serde(skip)]
    pub holders: Vec<PieceHolders>,
    /// How its uploads are shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fairness: Option<FairnessSnapshot>,
    /// Which of these were made: the others say nothing, also where they are empty.
    #[serde(skip)]
    pub made: Aspects,
}

impl TorrentDetail {
    /// Who has a piece; `None` if that is not known, or nobody asked.
    pub fn holders_of(&self, piece: u32) -> Option<&[SocketAddr]> {
        self.holders.iter().find(|holders| holders.piece == piece).map(|holders| &holders.peers[..])
    }
}

/// The connected peers that have a piece.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PieceHolders {
    /// The piece's number.
    pub piece: u32,
    /// Their addresses.
    pub peers: Vec<SocketAddr>,
}

/// What a torrent's metainfo says of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct About {
    /// The folder that holds its payload.
    pub directory: PathBuf,
    /// Words of who made it.
    pub comment: Printable,
    /// The program that made it.
    pub creator: Printable,
    /// When it was made, in seconds since 1970 (UTC).
    pub created_at: Option<i64>,
    /// Only its trackers may hand out peers (BEP 27).
    pub is_private: bool,
    /// A magnet link to it.
    pub magnet: String,
}

/// What a cell of the availability map shows.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct PieceState {
    /// We have it, verified.
    pub have: bool,
    /// Some of its blocks are requested or received.
    pub in_flight: bool,
    /// We lack it and do not want it: its files are skipped.
    #[serde(default)]
    pub is_skipped: bool,
    /// Connected peers that have it.
    pub availability: u16,
}

/// Who opened a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerDirection {
    /// We did.
    Outgoing,
    /// The peer did.
    Incoming,
}

/// Which upload slot a peer has.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerSlot {
    /// None.
    #[default]
    None,
    /// It earned one.
    Earned,
    /// It is tried out.
    Optimistic,
    /// It has one in turn, from a seed.
    Turn,
}

/// One connected peer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PeerSnapshot {
    /// Its address.
    pub address: SocketAddr,
    /// Who opened the connection.
    pub direction: PeerDirection,
    /// Where its address is known from: the best source that named it.
    #[serde(default)]
    pub source: PeerSource,
    /// Its client's name, or its peer id made readable.
    pub client: Printable,
    /// Pieces that it has.
    pub pieces_have: u32,
    /// It has everything.
    pub is_seed: bool,
    /// Payload rate from it.
    pub down_rate: u64,
    /// Payload rate to it.
    pub up_rate: u64,
    /// Payload from it on this connection.
    pub downloaded: u64,
    /// Payload to it on this connection.
    pub uploaded: u64,
    /// It chokes us.
    pub chokes_us: bool,
    /// We are interested in it.
    pub we_are_interested: bool,
    /// We choke it.
    pub we_choke: bool,
    /// It is interested in us.
    pub is_interested: bool,
    /// The slot that it has with us.
    pub slot: PeerSlot,
    /// It lets us wait although we asked.
    pub snubs_us: bool,
    /// Why we choke or unchoke it, in words.
    pub why: Printable,
    /// Its place among those that give us something and want something of us; 1 is the fastest.
    pub rank: Option<u32>,
    /// What its address took from us beyond what it gave, in bytes.
    pub debt: u64,
    /// Seconds since the connection stands.
    pub age_seconds: f64,
}

/// What a tracker is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrackerState {
    /// Not asked yet.
    Idle,
    /// Waiting for its answer.
    Announcing,
    /// It answered the last time.
    Working,
    /// It failed the last time.
    Failed,
}

/// One tracker of a torrent.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TrackerSnapshot {
    /// Its URL, without secrets.
    pub url: Printable,
    /// Its tier (BEP 12), from 0.
    pub tier: u32,
    /// What it is doing.
    pub state: TrackerState,
    /// Its last answer or failure, in words.
    pub message: Printable,
    /// Failures in a row.
    pub failures: u32,
    /// Seconds until the next announce.
    pub next_seconds: Option<u64>,
    /// Seeds it knows of.
    pub seeders: Option<u32>,
    /// Leechers it knows of.
    pub leechers: Option<u32>,
    /// Peers in its last answer.
    pub peers: u32,
}

/// One file of the payload.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct FileSnapshot {
    /// Its path below the download folder.
    pub path: Printable,
    /// Its length.
    pub length: u64,
    /// Verified bytes of it.
    pub have: u64,
    /// How much it is wanted.
    pub priority: FilePriority,
}

/// How much a file is wanted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilePriority {
    /// Not at all.
    Skip,
    /// After all others.
    Low,
    /// As usual.
    #[default]
    Normal,
    /// Before all others.
    High,
}

/// A peer, and the torrent that it is connected for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TorrentPeer {
    /// Which torrent.
    pub info_hash: InfoHash,
    /// The peer.
    pub peer: PeerSnapshot,
}
