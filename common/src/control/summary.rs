//! What a torrent is doing, at one moment.

use std::{ops::Deref, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::TorrentDetail;
use crate::{InfoHash, Printable};

/// What a torrent is doing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TorrentState {
    /// Only its info-hash is known: waiting for peers that have the metadata (BEP 9).
    Metadata {
        /// Bytes of the metadata that are there.
        have: u64,
        /// Bytes of the metadata, once somebody said so.
        size: Option<u64>,
    },
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
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TorrentErrorKind {
    /// No space left, permission, read-only, I/O error.
    Disk,
    /// The payload that should be seeded is not there.
    MissingPayload,
    /// The payload that should be seeded is damaged.
    DamagedPayload,
    /// What peers gave as its metadata is no usable torrent, or nothing that is to be transferred.
    BadTorrent,
    /// What was asked for is not in it, or there is no place for it.
    NotFound,
    /// What was asked for cannot be understood.
    Invalid,
    /// Something else is there already, or another process has its payload.
    Conflict,
    /// The engine failed.
    Internal,
}

/// Why a torrent cannot go on.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TorrentError {
    /// What kind of trouble.
    pub kind: TorrentErrorKind,
    /// One line that names the thing and the remedy.
    pub message: Printable,
}

/// One torrent at one moment, without its lists. Sizes are in bytes, rates in bytes per second, ages in seconds.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TorrentSummary {
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
    /// Connected peers that unchoke us and have what we want.
    pub unchoked_by: u32,
    /// Connected peers that we unchoke and that want something of us.
    pub unchoked: u32,
    /// Connected peers that have everything.
    pub seeds_connected: u32,
    /// Connected peers that lack something.
    pub leechers_connected: u32,
    /// Seeds that the trackers know of, whose count may be old: at least those that are connected, where it is known who has what.
    pub seeds_known: Option<u32>,
    /// Leechers that the trackers know of, likewise.
    pub leechers_known: Option<u32>,
    /// Addresses known and not connected.
    pub candidates: u32,
    /// Copies of the rarest wanted piece among the connected peers and ourselves, and above it the share of the pieces with more: "distributed copies".
    pub distributed_copies: f32,
    /// Seconds since the torrent was added.
    pub age_seconds: f64,
    /// Why nothing moves, in one sentence; `None` while it moves or needs nothing.
    pub stall: Option<Printable>,
    /// What limits the download while it moves, in one sentence; `None` while nothing does that a person could know or change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<Printable>,
    /// What keeps the download from going on for now, without ending it: a full disk.
    pub trouble: Option<TorrentError>,
}

impl TorrentSummary {
    /// A torrent of which only this is known: it has no peers, and nothing moved.
    pub fn nothing_known(info_hash: InfoHash, name: Printable, state: TorrentState) -> Self {
        Self {
            info_hash,
            name,
            state,
            is_durable: false,
            total_size: 0,
            wanted_size: 0,
            wanted_have: 0,
            have_size: 0,
            piece_length: 0,
            pieces: 0,
            pieces_have: 0,
            downloaded: 0,
            uploaded: 0,
            wasted: 0,
            hash_failures: 0,
            down_rate: 0,
            up_rate: 0,
            eta_seconds: None,
            unchoked_by: 0,
            unchoked: 0,
            seeds_connected: 0,
            leechers_connected: 0,
            seeds_known: None,
            leechers_known: None,
            candidates: 0,
            distributed_copies: 0.0,
            age_seconds: 0.0,
            stall: None,
            pace: None,
            trouble: None,
        }
    }
}

/// One torrent at one moment, with as much of its lists as was asked for. It can be read as its summary.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct TorrentSnapshot {
    /// Its state in a few numbers.
    #[serde(flatten)]
    pub summary: TorrentSummary,
    /// Its lists; empty unless somebody looks.
    #[serde(flatten)]
    pub detail: TorrentDetail,
}

impl Deref for TorrentSnapshot {
    type Target = TorrentSummary;

    fn deref(&self) -> &TorrentSummary {
        &self.summary
    }
}

/// Bytes per second that may be carried; `None` is no limit.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// Of what comes.
    pub down: Option<u64>,
    /// Of what is sent.
    pub up: Option<u64>,
}

/// A torrent in the list: what it is doing, and what the list knows of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TorrentRow {
    /// Its place in the list, from 1; it does not change while the torrent is there.
    pub number: u32,
    /// What it is doing.
    #[serde(flatten)]
    pub summary: TorrentSummary,
    /// It waits until somebody starts it.
    pub is_paused: bool,
    /// It shall run, and waits until fewer others do: see [`Settings::downloads_max`](super::Settings::downloads_max).
    #[serde(default)]
    pub is_queued: bool,
    /// Where it stands in the queue: the least is first.
    #[serde(default)]
    pub queue_place: i64,
    /// The folder that holds its payload.
    pub directory: PathBuf,
    /// What people call it.
    pub labels: Vec<Printable>,
    /// When it was taken in, in seconds since 1970 (UTC).
    pub added_at: u64,
    /// When all that is wanted was there, in seconds since 1970 (UTC).
    pub completed_at: Option<u64>,
    /// When every piece that it lacks was last seen with somebody, in seconds since 1970 (UTC), to the minute.
    #[serde(default)]
    pub available_at: Option<u64>,
    /// Payload that came since it was taken in.
    pub downloaded_ever: u64,
    /// Payload that was sent since it was taken in.
    pub uploaded_ever: u64,
    /// Its own limits.
    pub limits: Limits,
    /// Only its trackers may hand out peers (BEP 27).
    pub is_private: bool,
}

impl TorrentRow {
    /// Every piece that is wanted is there.
    pub fn is_complete(&self) -> bool {
        self.summary.pieces > 0 && self.summary.wanted_have == self.summary.wanted_size
    }

    /// What was sent for each byte of the payload that is there.
    pub fn ratio(&self) -> f64 {
        let base = self.downloaded_ever.max(self.summary.have_size);
        if base == 0 { 0.0 } else { self.uploaded_ever as f64 / base as f64 }
    }
}
