//! What the disk does for all torrents together.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Printable;

/// Folders that are shown with their free space.
const FOLDERS_SHOWN: usize = 4;

/// The disk at one moment. Sizes are in bytes, rates in bytes per second over the last seconds, counts of this run.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct DiskSnapshot {
    /// What is written of pieces that came.
    pub write_rate: u64,
    /// What is read, for peers or to check what is there.
    pub read_rate: u64,
    /// What is hashed, of what came or of what is there.
    pub hash_rate: u64,
    /// Payload in memory that came and is not written yet.
    pub unwritten: u64,
    /// As much of that makes downloads wait for the disk.
    pub unwritten_max: u64,
    /// Of [`DiskSnapshot::unwritten`] what is in whole pieces, which wait only to be hashed and written.
    pub queued: u64,
    /// What waits to be done by the disk's threads or is being done, of whatever kind.
    pub jobs: u32,
    /// What is kept in memory for peers to come.
    pub cache: u64,
    /// Most of that.
    pub cache_max: u64,
    /// How often a peer asked for what was kept.
    pub cache_hits: u64,
    /// How often it had to be read.
    pub cache_misses: u64,
    /// Pieces that waited longer than a second to be written.
    pub slow_writes: u64,
    /// Reads and writes that failed.
    pub errors: u64,
    /// Why the last of them did.
    pub last_error: Option<Printable>,
    /// Where payload is, and how much room is left there; at most [`DiskSnapshot::FOLDERS_SHOWN`].
    pub folders: Vec<FolderSpace>,
    /// That the disk is what limits, in one sentence; `None` while it is not.
    pub limit: Option<Printable>,
}

impl DiskSnapshot {
    /// Folders that are shown with their free space.
    pub const FOLDERS_SHOWN: usize = FOLDERS_SHOWN;

    /// How often of a hundred times a peer asked for what was kept; `None` before anybody asked.
    pub fn hit_percent(&self) -> Option<u64> {
        let asked = self.cache_hits + self.cache_misses;
        (asked > 0).then(|| self.cache_hits * 100 / asked)
    }

    /// Nothing moves and nothing waits: it stays so until something happens.
    pub fn is_idle(&self) -> bool {
        (self.write_rate, self.read_rate, self.hash_rate, self.unwritten, self.jobs) == (0, 0, 0, 0, 0)
    }
}

/// The room in a folder.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FolderSpace {
    /// The folder.
    pub directory: PathBuf,
    /// Bytes free there; `None` if nobody could say.
    pub free: Option<u64>,
}
