//! What a swarm shares: a random file, and the torrent of it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use potluck_common::{
    Rng,
    metainfo::create::{Options, PieceLength},
};
use potluck_peer::{create, disk::Progress};

use super::Outcome;

const NAME: &str = "payload.bin";
const PIECE_LENGTH: u32 = 128 * 1024;

/// A file in a folder of its own.
pub(super) struct Payload {
    /// The folder that the payload lies in.
    pub(super) folder: PathBuf,
    pub(super) torrent: PathBuf,
}

impl Payload {
    /// One like no other with another `seed`, so that swarms do not mix at a tracker.
    pub(super) fn make(folder: &Path, size: u64, seed: u64, announce_url: &str) -> Outcome<Self> {
        let payload = Self { folder: folder.join("seed"), torrent: folder.join("it.torrent") };
        fs::create_dir_all(&payload.folder)?;
        let mut bytes = vec![0; usize::try_from(size)?];
        Rng::new(seed).fill(&mut bytes);
        fs::write(payload.folder.join(NAME), bytes)?;
        let options = Options {
            piece_length: PieceLength::Fixed(PIECE_LENGTH),
            trackers: vec![vec![announce_url.to_owned()]],
            ..Options::default()
        };
        let made = create::create(&payload.folder.join(NAME), options, 1, &Progress::new())?;
        fs::write(&payload.torrent, made.torrent)?;
        Ok(payload)
    }

    /// Whether the copy in `folder` is the same byte by byte.
    pub(super) fn is_copied(&self, folder: &Path) -> Outcome<bool> {
        Ok(fs::read(self.folder.join(NAME))? == fs::read(folder.join(NAME))?)
    }
}
