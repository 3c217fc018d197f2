//! The state of a torrent at one moment.

use std::net::SocketAddr;

use serde::Serialize;

use crate::{InfoHash, Printable};

/// What a torrent is doing.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TorrentState {
    /// Hashing what lies on the disk, as far as it is not known from an earlier run.
    Checking {
        /// Pieces looked at.
        done: u32,
        /// Pieces to look at; 0 while it is not known yet whether there are any.
        total: u32,
    },
    /// Fetching wanted pieces.
    Downloading,
    /// Every wanted piece is there; giving.
    Seeding,
    /// Announcing `stopped` and flushing.
    Stopping,
    /// Over, without an error.
    Stopped,
    /// Over, or waiting for a person.
    Failed(TorrentError),
}

/// What kind of trouble ended a torrent; the command line's exit code follows from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TorrentErrorKind {
    /// No space left, permission, read-only, I/O error.
    Disk,
    /// The payload that should be seeded is not there.
    MissingPayload,
    /// The payload that should be seeded is damaged.
    DamagedPayload,
    /// The engine failed.
    Internal,
}

/// Why a torrent cannot go on.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct TorrentError {
    /// What kind of trouble.
    pub kind: TorrentErrorKind,
    /// One line that names the thing and the remedy.
    pub message: Printable,
}

/// One torrent at one moment. Sizes are in bytes, rates in bytes per second, ages in seconds.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct TorrentSnapshot {
    /// Which torrent.
    pub info_hash: InfoHash,
    /// Its name.
    pub name: Printable,
    /// What it is doing.
    #[serde(flatten)]
    pub state: TorrentState,
    /// Every wanted piece is there and was made durable: a power cut takes nothing away any more.
    pub is_durable: bool,
    /// Bytes of the whole payload.
    pub total_size: u64,
    /// Bytes of the selected files' pieces.
    pub wanted_size: u64,
    /// Verified bytes of the wanted pieces.
    pub wanted_have: u64,
    /// Verified bytes in all.
    pub have_size: u64,
    /// Bytes per piece.
    pub piece_length: u32,
    /// Number of pieces.
    pub pieces: u32,
    /// Verified pieces.
    pub pieces_have: u32,
    /// Payload received in this run, with what was thrown away.
    pub downloaded: u64,
    /// Payload sent in this run.
    pub uploaded: u64,
    /// Payload received twice or unusable.
    pub wasted: u64,
    /// Pieces whose hash failed in this run.
    pub hash_failures: u32,
    /// Download rate over the last seconds.
    pub down_rate: u64,
    /// Upload rate over the last seconds.
    pub up_rate: u64,
    /// Seconds until the wanted pieces are there, at the present rate.
    pub eta_seconds: Option<u64>,
    /// Connected peers that have everything.
    pub seeds_connected: u32,
    /// Connected peers that lack something.
    pub leechers_connected: u32,
    /// Seeds that the trackers know of.
    pub seeds_known: Option<u32>,
    /// Leechers that the trackers know of.
    pub leechers_known: Option<u32>,
    /// Addresses known and not connected.
    pub candidates: u32,
    /// Copies of the rarest wanted piece among the connected peers and ourselves, and above it the share of the pieces with more: "distributed copies".
    pub distributed_copies: f32,
    /// Seconds since the torrent was added.
    pub age_seconds: f64,
    /// Why nothing moves, in one sentence; `None` while it moves or needs nothing.
    pub stall: Option<Printable>,
    /// What keeps the download from going on for now, without ending it: a full disk.
    pub trouble: Option<TorrentError>,
    /// One entry a connected peer.
    pub peers: Vec<PeerSnapshot>,
    /// One entry a tracker.
    pub trackers: Vec<TrackerSnapshot>,
    /// One entry a file of the payload (padding left out).
    pub files: Vec<FileSnapshot>,
    /// One entry a piece.
    #[serde(skip)]
    pub piece_states: Vec<PieceState>,
}

/// What a cell of the availability map shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PieceState {
    /// We have it, verified.
    pub have: bool,
    /// Some of its blocks are requested or received.
    pub in_flight: bool,
    /// Connected peers that have it.
    pub availability: u16,
}

/// Who opened a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerDirection {
    /// We did.
    Outgoing,
    /// The peer did.
    Incoming,
}

/// One connected peer.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PeerSnapshot {
    /// Its address.
    pub address: SocketAddr,
    /// Who opened the connection.
    pub direction: PeerDirection,
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
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
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
#[derive(Clone, PartialEq, Debug, Serialize)]
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
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct FileSnapshot {
    /// Its path below the download folder.
    pub path: Printable,
    /// Its length.
    pub length: u64,
    /// Verified bytes of it.
    pub have: u64,
    /// It is selected.
    pub wanted: bool,
}
