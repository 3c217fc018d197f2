//! Which pieces of a payload lie on the disk already: for resuming, for seeding what somebody has, and for `verify`.
//!
//! A piece that touches a missing or short file is simply not there.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use potluck_common::{
    Bitfield, Geometry, PieceIndex,
    hash::{Sha1, Sha1Digest, sha1_lanes},
};

use crate::disk::{
    DiskError, DiskErrorKind, LayoutFile, Progress, Storage,
    scan::{self, PieceReader},
};

/// What a check found.
#[derive(Clone, Debug)]
pub struct CheckResult {
    /// The pieces whose hash holds.
    pub have: Bitfield,
    /// One report per file of the layout, in its order.
    pub files: Vec<FileReport>,
    /// The check was cancelled: what it did not reach counts as not there.
    pub cancelled: bool,
}

impl CheckResult {
    /// Whether the whole payload is there, byte for byte, and no file is too long.
    pub fn is_complete(&self) -> bool {
        self.have.is_full() && self.files.iter().all(|file| file.state == FileState::Complete)
    }
}

/// The state of one file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileReport {
    /// All in all.
    pub state: FileState,
    /// Its length on the disk in bytes; `None` if it is missing (or padding, which never is on the disk).
    pub length: Option<u64>,
    /// The number of pieces that it has a part of.
    pub pieces: u32,
    /// How many of those do not hold, or were not checked.
    pub bad: u32,
}

/// What is wrong with a file, the gravest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FileState {
    /// It does not exist.
    Missing,
    /// It ends too early.
    Short,
    /// Pieces of it do not hold although all of their bytes are there.
    Damaged,
    /// A piece of it was not checked, or reaches into a file that is missing or short; no damage was found.
    Unverified,
    /// Its pieces hold, and more bytes follow.
    Long,
    /// It is as it should be.
    Complete,
}

/// What a check has found so far, for whoever wants to know while it runs.
#[derive(Debug)]
pub struct Findings(Mutex<Found>);

/// See [`Findings`].
#[derive(Clone, Debug)]
pub struct Found {
    /// The pieces whose hash holds.
    pub have: Bitfield,
    /// The pieces that were dealt with, the others among them.
    pub looked_at: Bitfield,
    /// How many of those had to be read. The others lie in files that are missing or too short, or where nothing was ever
    /// written.
    pub read: u32,
    /// A file became shorter or went away meanwhile: pieces of it are not among those looked at.
    pub shrank: bool,
}

impl Findings {
    /// Of a check of a payload of `pieces` that has not begun.
    pub fn new(pieces: u32) -> Self {
        let (have, looked_at) = (Bitfield::empty(pieces), Bitfield::empty(pieces));
        Self(Mutex::new(Found { have, looked_at, read: 0, shrank: false }))
    }

    /// What was found up to now.
    pub fn so_far(&self) -> Found {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Checks the pieces in `only`, or all of them, on `threads` threads, this one included. Fails on what is neither
/// present nor absent: a link or a folder in the place of a file, missing permission, a device that fails.
pub fn check(
    storage: &Storage,
    only: Option<&Bitfield>,
    threads: usize,
    progress: &Progress,
) -> Result<CheckResult, DiskError> {
    check_noting(storage, only, threads, progress, &Findings::new(storage.layout().geometry().pieces()))
}

/// As [`check()`], and notes in `findings` what it finds as it goes on.
pub fn check_noting(
    storage: &Storage,
    only: Option<&Bitfield>,
    threads: usize,
    progress: &Progress,
    findings: &Findings,
) -> Result<CheckResult, DiskError> {
    let geometry = storage.layout().geometry();
    let pieces: Vec<PieceIndex> =
        geometry.iter().filter(|piece| only.is_none_or(|only| only.has(*piece))).collect();
    progress.begin(pieces.iter().map(|piece| u64::from(geometry.length_of(*piece))).sum());
    let lengths = lengths_of(storage)?;
    let reader = PieceReader::new(storage, progress, went_away);
    let check = Check { storage, lengths, zeros: Zeros::default(), reader, progress };
    scan::each_group(&pieces, sha1_lanes(), threads, progress, |group, buffer| {
        check.note(group, buffer, findings)
    })?;
    let have = findings.so_far().have;
    let files = reports(storage, only, &check.lengths, &have);
    Ok(CheckResult { have, files, cancelled: progress.is_cancelled() })
}

/// The length of each file on the disk; for padding, its length in the payload.
fn lengths_of(storage: &Storage) -> Result<Vec<Option<u64>>, DiskError> {
    let files = storage.layout().files().iter().enumerate();
    files
        .map(|(number, file)| if file.padding { Ok(Some(file.length)) } else { storage.file_length(number) })
        .collect()
}

struct Check<'a> {
    storage: &'a Storage,
    lengths: Vec<Option<u64>>,
    zeros: Zeros,
    reader: PieceReader<'a>,
    progress: &'a Progress,
}

impl Check<'_> {
    /// Looks at `pieces` and notes which hold.
    fn note(
        &self,
        pieces: &[PieceIndex],
        buffer: &mut Vec<u8>,
        findings: &Findings,
    ) -> Result<(), DiskError> {
        let mut judged = Vec::with_capacity(pieces.len());
        let mut unread = Vec::with_capacity(pieces.len());
        for piece in pieces {
            match self.holds_unread(*piece) {
                Some(holds) => judged.push((*piece, holds)),
                None => unread.push(*piece),
            }
        }
        let digests = self.reader.sha1(&unread, buffer)?;
        // A piece without a digest went away, or was not read because of a cancellation.
        let shrank = digests.contains(&None) && !self.progress.is_cancelled();
        for (piece, digest) in unread.iter().zip(digests) {
            if let Some(digest) = digest {
                judged.push((*piece, digest == *self.storage.layout().hash_of(*piece)));
            }
        }
        let mut found = findings.lock();
        found.read += unread.len() as u32;
        found.shrank |= shrank;
        for (piece, holds) in judged {
            found.looked_at.insert(piece);
            if holds {
                found.have.insert(piece);
            }
        }
        Ok(())
    }

    /// Whether `piece` holds, if that is known without reading it.
    fn holds_unread(&self, piece: PieceIndex) -> Option<bool> {
        let layout = self.storage.layout();
        let geometry = layout.geometry();
        let (offset, length) = (geometry.offset_of(piece), geometry.length_of(piece));
        let holds = if !is_there(self.storage, &self.lengths, piece) {
            false
        } else if self.storage.is_hole(offset, length as usize) {
            self.zeros.digest(geometry, length) == *layout.hash_of(piece)
        } else {
            return None;
        };
        self.progress.add(u64::from(length));
        Some(holds)
    }
}

/// Whether an error means that a file became shorter or went away meanwhile.
fn went_away(error: &DiskError) -> bool {
    matches!(error.kind(), DiskErrorKind::ShortFile | DiskErrorKind::NotFound)
}

/// Whether every file that `piece` lies in is long enough.
fn is_there(storage: &Storage, lengths: &[Option<u64>], piece: PieceIndex) -> bool {
    let layout = storage.layout();
    let geometry = layout.geometry();
    layout
        .parts(geometry.offset_of(piece), geometry.length_of(piece) as usize)
        .all(|part| lengths[part.file].is_some_and(|length| length >= part.offset + part.length as u64))
}

/// The digests of zeros, for pieces that were never written: as long as most pieces, and as long as the last.
#[derive(Default)]
struct Zeros {
    whole: OnceLock<Sha1Digest>,
    last: OnceLock<Sha1Digest>,
}

impl Zeros {
    fn digest(&self, geometry: &Geometry, length: u32) -> Sha1Digest {
        let place = if length == geometry.piece_length() { &self.whole } else { &self.last };
        *place.get_or_init(|| {
            let mut hasher = Sha1::new();
            let zeros = [0; 4096];
            let mut rest = length as usize;
            while rest > 0 {
                let count = rest.min(zeros.len());
                hasher.update(&zeros[..count]);
                rest -= count;
            }
            hasher.finish()
        })
    }
}

fn reports(
    storage: &Storage,
    only: Option<&Bitfield>,
    lengths: &[Option<u64>],
    have: &Bitfield,
) -> Vec<FileReport> {
    let layout = storage.layout();
    let geometry = layout.geometry();
    let report = |(file, length): (&LayoutFile, &Option<u64>)| {
        let pieces = geometry.pieces_of_range(file.offset, file.length);
        let count = pieces.len() as u32;
        let bad: Vec<PieceIndex> =
            pieces.filter_map(|number| geometry.piece(number)).filter(|piece| !have.has(*piece)).collect();
        let was_checked = |piece: &PieceIndex| {
            only.is_none_or(|only| only.has(*piece)) && is_there(storage, lengths, *piece)
        };
        let state = match length {
            _ if file.padding => FileState::Complete,
            None => FileState::Missing,
            Some(length) if *length < file.length => FileState::Short,
            _ if bad.iter().any(was_checked) => FileState::Damaged,
            _ if !bad.is_empty() => FileState::Unverified,
            Some(length) if *length > file.length => FileState::Long,
            Some(_) => FileState::Complete,
        };
        let length = length.filter(|_| !file.padding);
        FileReport { state, length, pieces: count, bad: bad.len() as u32 }
    };
    layout.files().iter().zip(lengths).map(report).collect()
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        path::Path,
        sync::Arc,
    };

    use potluck_common::{Rng, hash::sha1};

    use super::{FileState::*, *};
    use crate::disk::testing::{one_file, piece, random_bytes, storage};

    /// In pieces of 100 kB, `a` shares piece 10 with `dir/b`.
    const FILES: [(&str, u64); 5] =
        [("a", 1_050_000), ("dir/b", 550_000), ("pad/0", 100), ("empty", 0), ("c", 399_900)];

    /// A complete payload on the disk.
    fn complete(root: &Path) -> Arc<Storage> {
        let mut payload = random_bytes(&mut Rng::new(8), 2_000_000);
        payload[1_600_000..1_600_100].fill(0);
        let storage = storage(root, &FILES, 100_000, &payload);
        storage.write_at(0, &payload).expect("written");
        storage.create_empty_files(|_| true).expect("created");
        storage.close_files();
        storage
    }

    fn missing(storage: &Storage, have: &Bitfield) -> Vec<u32> {
        let geometry = storage.layout().geometry();
        Bitfield::full(geometry.pieces()).iter_difference(have, geometry).map(PieceIndex::get).collect()
    }

    fn set_length(path: &Path, length: u64) {
        File::options().write(true).open(path).and_then(|file| file.set_len(length)).expect("length");
    }

    fn flip(path: &Path, place: usize) {
        let mut bytes = fs::read(path).expect("file");
        bytes[place] ^= 1;
        fs::write(path, bytes).expect("file");
    }

    #[test]
    fn each_kind_of_harm_is_told_apart() {
        let check = |name: &str, harm: fn(&Path), states: [FileState; 5], bad: &[u32]| {
            let folder = tempfile::tempdir().expect("folder");
            let root = folder.path().join("root");
            let storage = complete(&root);
            harm(&root);
            for threads in [1, 4] {
                let progress = Progress::new();
                let result = check(&storage, None, threads, &progress).expect("checked");
                let found: Vec<_> = result.files.iter().map(|file| file.state).collect();
                assert_eq!(found, states, "{name}");
                assert_eq!(missing(&storage, &result.have), bad, "{name}");
                assert_eq!((progress.done(), progress.total()), (2_000_000, 2_000_000), "{name}");
                assert_eq!(result.is_complete(), states == [Complete; 5], "{name}");
            }
        };
        let all = [Complete; 5];
        let [a, b, _, empty, c] = [0, 1, 2, 3, 4];
        let with = |changes: &[(usize, FileState)]| {
            let mut states = all;
            for (file, state) in changes {
                states[*file] = *state;
            }
            states
        };
        check("none", |_| {}, all, &[]);
        check("a byte", |root| flip(&root.join("a"), 350_000), with(&[(a, Damaged)]), &[3]);
        check(
            "a byte of the shared piece",
            |root| flip(&root.join("dir/b"), 7),
            with(&[(a, Damaged), (b, Damaged)]),
            &[10],
        );
        check(
            "a missing folder",
            |root| fs::remove_dir_all(root.join("dir")).expect("removed"),
            with(&[(a, Unverified), (b, Missing)]),
            &[10, 11, 12, 13, 14, 15],
        );
        check("a short file", |root| set_length(&root.join("c"), 250_000), with(&[(c, Short)]), &[18, 19]);
        check("a long file", |root| set_length(&root.join("dir/b"), 600_000), with(&[(b, Long)]), &[]);
        check(
            "no empty file",
            |root| fs::remove_file(root.join("empty")).expect("removed"),
            with(&[(empty, Missing)]),
            &[],
        );
        let everything: Vec<u32> = (0..20).collect();
        check(
            "nothing there",
            |root| fs::remove_dir_all(root).expect("removed"),
            with(&[(a, Missing), (b, Missing), (empty, Missing), (c, Missing)]),
            &everything,
        );
    }

    #[test]
    fn only_the_pieces_asked_for_are_checked_and_none_once_cancelled() {
        let folder = tempfile::tempdir().expect("folder");
        let storage = complete(folder.path());
        let mut only = Bitfield::empty(20);
        for number in [3, 4, 19] {
            only.insert(piece(&storage, number));
        }
        let progress = Progress::new();
        let findings = Findings::new(20);
        let result = check_noting(&storage, Some(&only), 2, &progress, &findings).expect("checked");
        assert_eq!((&result.have, progress.total()), (&only, 300_000));
        let found = findings.so_far();
        assert_eq!((&found.have, &found.looked_at, found.read), (&only, &only, 3));
        assert_eq!((result.files[0].state, result.files[0].bad), (Unverified, 9));
        progress.cancel();
        let findings = Findings::new(20);
        let result = check_noting(&storage, None, 2, &progress, &findings).expect("ended");
        assert!(result.cancelled && result.have.is_empty());
        assert!(findings.so_far().looked_at.is_empty(), "what was not read is not known");
    }

    /// What went away between the look at the lengths and the reading is not known to be absent.
    #[test]
    fn what_shrinks_under_a_check_was_not_looked_at() {
        let folder = tempfile::tempdir().expect("folder");
        let storage = complete(folder.path());
        let progress = Progress::new();
        let lengths = lengths_of(&storage).expect("inspected");
        let reader = PieceReader::new(&storage, &progress, went_away);
        let check =
            Check { storage: &storage, lengths, zeros: Zeros::default(), reader, progress: &progress };
        fs::remove_file(folder.path().join("dir/b")).expect("removed");
        set_length(&folder.path().join("c"), 250_000);
        let findings = Findings::new(20);
        let pieces =
            |numbers: &[u32]| numbers.iter().map(|number| piece(&storage, *number)).collect::<Vec<_>>();
        check.note(&pieces(&[0, 1]), &mut Vec::new(), &findings).expect("read");
        assert!(!findings.so_far().shrank);
        check.note(&pieces(&[9, 10, 17, 19]), &mut Vec::new(), &findings).expect("read");
        let found = findings.so_far();
        let looked_at: Vec<u32> =
            found.looked_at.iter(storage.layout().geometry()).map(PieceIndex::get).collect();
        assert_eq!((&looked_at[..], found.shrank), (&[0, 1, 9, 17][..], true));
    }

    #[test]
    fn what_was_never_written_reads_as_zeros() {
        let folder = tempfile::tempdir().expect("folder");
        let mut payload = vec![0; 10 * 65_536 - 5_000];
        payload[3 * 65_536..5 * 65_536].fill(7);
        let storage = one_file(folder.path(), 65_536, &payload);
        File::create(folder.path().join("file")).expect("file");
        set_length(&folder.path().join("file"), payload.len() as u64);
        storage.write_at(3 * 65_536, &payload[..65_536]).expect("written");
        let findings = Findings::new(10);
        let result = check_noting(&storage, None, 2, &Progress::new(), &findings).expect("checked");
        assert_eq!(missing(&storage, &result.have), [3, 4]);
        assert!(findings.so_far().looked_at.is_full());
        if cfg!(target_os = "linux") {
            assert_eq!(findings.so_far().read, 1, "holes are not read");
            assert!(storage.is_hole(5 * 65_536, 5 * 65_536 - 5_000), "not read at all");
        }
        assert!(!storage.is_hole(2 * 65_536, 2 * 65_536));
        assert_eq!(*storage.layout().hash_of(piece(&storage, 9)), sha1(&vec![0; 65_536 - 5_000]));
    }

    /// Pieces that do not begin where the blocks of the file system do.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_was_never_written_beside_what_was_is_not_read() {
        let folder = tempfile::tempdir().expect("folder");
        let payload = random_bytes(&mut Rng::new(11), 32 * 32_768);
        let storage = storage(folder.path(), &[("a", 1_000), ("b", 32 * 32_768 - 1_000)], 32_768, &payload);
        let written: Vec<u32> = (0..32).filter(|number| number % 3 == 1 || *number == 31).collect();
        for number in &written {
            let from = *number as usize * 32_768;
            storage.write_at(from as u64, &payload[from..from + 32_768]).expect("written");
        }
        let findings = Findings::new(32);
        check_noting(&storage, None, 2, &Progress::new(), &findings).expect("checked");
        let found = findings.so_far();
        assert_eq!((found.have.count(), found.read), (written.len() as u32, written.len() as u32));
        // What is only nearly a hole is looked at as a whole.
        storage.write_at(5 * 32_768 + 20_000, b"x").expect("written");
        let findings = Findings::new(32);
        check_noting(&storage, None, 2, &Progress::new(), &findings).expect("checked");
        assert_eq!(findings.so_far().read, written.len() as u32 + 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_place_of_a_file_is_an_error() {
        let folder = tempfile::tempdir().expect("folder");
        let storage = complete(folder.path());
        fs::rename(folder.path().join("c"), folder.path().join("d")).expect("moved");
        std::os::unix::fs::symlink("d", folder.path().join("c")).expect("link");
        let error = check(&storage, None, 2, &Progress::new()).unwrap_err();
        assert_eq!(error.kind(), DiskErrorKind::Symlink);
    }
}
