//! The metadata of links that earlier runs fetched: the folder `metadata` in that of all state, with an `info` dictionary a
//! file, named by its hash. Nobody else cleans up there, so what was not used for long goes when something is added.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use potluck_common::{InfoHash, limits::METAINFO_BYTES_MAX, magnet::Magnet, metainfo::Metainfo};

/// Most files kept, those that were used last.
const FILES_MAX: usize = 1_000;
/// Most bytes of them: a thousand usual ones are less, and a few of the largest do not fill a disk.
const BYTES_MAX: u64 = 128 * 1024 * 1024;
/// What was not used for so long goes.
const AGE_MAX: Duration = Duration::from_secs(180 * 24 * 3600);
/// The ending of a file that is whole, and of one that is being written.
const ENDINGS: [&str; 2] = ["info", "new"];

/// The folder.
pub(super) struct Kept(PathBuf);

impl Kept {
    /// That in the folder of all state.
    pub(super) fn below(state: &Path) -> Self {
        Self(state.join("metadata"))
    }

    fn path(&self, info_hash: InfoHash) -> PathBuf {
        self.0.join(format!("{info_hash}.info"))
    }

    /// The torrent of a link; its hash is compared anew.
    pub(super) fn metainfo(&self, magnet: &Magnet) -> Option<Metainfo> {
        let path = self.path(magnet.info_hash());
        let length = fs::metadata(&path).ok()?.len();
        let info = (length <= METAINFO_BYTES_MAX as u64).then(|| fs::read(&path).ok())??;
        let metainfo = Metainfo::parse(&magnet.torrent_file(&info)).ok()?;
        if metainfo.info_hash() != magnet.info_hash() {
            return None;
        }
        // By that it is known to be of use; where it does not work, the file goes sooner.
        let _ = File::options().write(true).open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        Some(metainfo)
    }

    /// Keeps the metadata of a link for later runs; where that does not work they fetch it again.
    pub(super) fn keep(&self, magnet: &Magnet, metainfo: &Metainfo) {
        let path = self.path(magnet.info_hash());
        let written = fs::create_dir_all(&self.0).and_then(|()| {
            let new = path.with_extension("new");
            fs::write(&new, metainfo.info_bytes())?;
            fs::rename(&new, &path)
        });
        if let Err(error) = written {
            tracing::warn!(%error, "the metadata is not kept for the next run");
        }
        if let Err(error) = self.clean_up(SystemTime::now()) {
            tracing::debug!(%error, "old metadata stays");
        }
    }

    /// Removes what is too old or too much.
    fn clean_up(&self, now: SystemTime) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let path = entry?.path();
            let is_ours = path.extension().is_some_and(|ending| ENDINGS.iter().any(|ours| ending == *ours));
            // It may be gone meanwhile, by another run.
            if let Ok(known) = fs::symlink_metadata(&path)
                && is_ours
                && known.is_file()
            {
                files.push((known.modified()?, known.len(), path));
            }
        }
        files.sort_unstable_by(|one, other| other.cmp(one));
        let mut bytes = 0;
        let mut outcome = Ok(());
        for (number, (used_at, length, path)) in files.into_iter().enumerate() {
            bytes += length;
            // A time to come is as good as now.
            let age = now.duration_since(used_at).unwrap_or_default();
            if number >= FILES_MAX || bytes > BYTES_MAX || age > AGE_MAX {
                match fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => outcome = Err(error),
                    _ => {}
                }
            }
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of `length` bytes each, of which the first was used now and each other an hour before the one before it.
    fn folder(count: u64, length: u64, now: SystemTime) -> (tempfile::TempDir, Kept) {
        let state = tempfile::tempdir().expect("a folder");
        let kept = Kept::below(state.path());
        fs::create_dir(&kept.0).expect("a folder");
        for number in 0..count {
            let file = File::create(kept.0.join(format!("{number:040}.info"))).expect("a file");
            file.set_len(length).expect("space");
            file.set_modified(now - Duration::from_secs(number * 3600)).expect("a time");
        }
        (state, kept)
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_last_used_stays() {
        let now = SystemTime::now();
        let hours = AGE_MAX.as_secs() / 3600;
        for (count, length, stays) in
            [(10, 1_000, 10), (FILES_MAX as u64 + 5, 0, FILES_MAX as u64), (10, BYTES_MAX / 4, 4)]
        {
            let (_state, kept) = folder(count, length, now);
            fs::write(kept.0.join("notes.txt"), "somebody else's").expect("a file");
            kept.clean_up(now).expect("it works");
            let left = fs::read_dir(&kept.0).expect("a folder").count() as u64;
            assert_eq!(left, stays + 1, "of {count}");
            assert!(kept.0.join(format!("{:040}.info", stays - 1)).exists(), "those used last stay");
            assert!(kept.0.join("notes.txt").exists(), "what is not ours stays");
        }
        let (_state, kept) = folder(3, 10, now - Duration::from_secs((hours - 1) * 3600));
        kept.clean_up(now).expect("it works");
        assert_eq!(fs::read_dir(&kept.0).expect("a folder").count(), 2, "what was not used for long goes");
    }
}
