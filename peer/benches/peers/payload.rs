//! What is moved: random files, the torrent of them, and whether a copy is right.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use potluck_common::{
    InfoHash, Rng,
    metainfo::{
        Metainfo,
        create::{Options, PieceLength},
    },
};
use potluck_peer::{create, disk::Progress};

use super::{Outcome, tracker::Tracker};

const SMALL_FILE: u64 = 128 * 1024;
const CHUNK: usize = 1024 * 1024;

/// Files in a folder of their own, with two torrents that differ only in the tracker.
pub(super) struct Payload {
    /// The folder that the payload lies in.
    pub(super) folder: PathBuf,
    /// Names a tracker, too: rtorrent refuses one without.
    pub(super) torrent_of_seeders: PathBuf,
    /// Names the tracker that knows the seeders.
    pub(super) torrent_of_leechers: PathBuf,
    pub(super) info_hash: InfoHash,
    /// The whole size.
    pub(super) bytes: u64,
    files: Vec<PathBuf>,
}

impl Payload {
    /// One file, in pieces of 1 MiB.
    pub(super) fn one_file(folder: &Path, bytes: u64, tracker: &Tracker) -> Outcome<Self> {
        Self::make(folder, "payload".as_ref(), vec![("payload".into(), bytes)], 1024 * 1024, tracker)
    }

    /// Many files in some folders, in pieces of 256 KiB.
    pub(super) fn small_files(folder: &Path, count: u32, tracker: &Tracker) -> Outcome<Self> {
        let path = |number| PathBuf::from(format!("payload/{:02}/{number:05}.bin", number / 100));
        let files = (0..count).map(|number| (path(number), SMALL_FILE)).collect();
        Self::make(folder, "payload".as_ref(), files, 256 * 1024, tracker)
    }

    fn make(
        folder: &Path,
        name: &Path,
        files: Vec<(PathBuf, u64)>,
        piece_length: u32,
        tracker: &Tracker,
    ) -> Outcome<Self> {
        let mut rng = Rng::new(1);
        let mut chunk = vec![0; CHUNK];
        let seed = folder.join("seed");
        for (path, length) in &files {
            let path = seed.join(path);
            fs::create_dir_all(path.parent().ok_or("a file lies in a folder")?)?;
            let mut file = File::create(path)?;
            let mut left = *length;
            while left > 0 {
                let part = &mut chunk[..left.min(CHUNK as u64) as usize];
                rng.fill(part);
                file.write_all(part)?;
                left -= part.len() as u64;
            }
        }
        let torrent = |url: &str, file: &str| -> Outcome<(PathBuf, Vec<u8>)> {
            let options = Options {
                piece_length: PieceLength::Fixed(piece_length),
                trackers: vec![vec![url.to_owned()]],
                ..Options::default()
            };
            let bytes = create::create(&seed.join(name), options, 2, &Progress::new())?.torrent;
            let path = folder.join(file);
            fs::write(&path, &bytes)?;
            Ok((path, bytes))
        };
        let (torrent_of_seeders, bytes) = torrent(&tracker.url_of_seeders, "seeders.torrent")?;
        let (torrent_of_leechers, _) = torrent(&tracker.url_of_leechers, "leechers.torrent")?;
        let info_hash = Metainfo::parse(&bytes)?.info_hash();
        Ok(Self {
            folder: seed,
            torrent_of_seeders,
            torrent_of_leechers,
            info_hash,
            bytes: files.iter().map(|(_, length)| length).sum(),
            files: files.into_iter().map(|(path, _)| path).collect(),
        })
    }

    /// An error where the payload in `folder` is not the same byte by byte.
    pub(super) fn check_copy(&self, folder: &Path) -> Outcome {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for path in &self.files {
            let (original, copy) = (File::open(self.folder.join(path))?, File::open(folder.join(path))?);
            loop {
                ours.clear();
                theirs.clear();
                let count = (&original).take(CHUNK as u64).read_to_end(&mut ours)?;
                (&copy).take(CHUNK as u64).read_to_end(&mut theirs)?;
                if ours != theirs {
                    return Err(format!("the copy of {} differs", path.display()).into());
                }
                if count == 0 {
                    break;
                }
            }
        }
        Ok(())
    }
}
