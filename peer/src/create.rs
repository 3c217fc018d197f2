//! Making a torrent of what lies on the disk: the files are found, laid out by the pure plan, and hashed on all
//! processors.

mod hash;
mod walk;

use std::path::{Path, PathBuf};

use potluck_common::{
    Printable,
    metainfo::create::{self as plan, Options, Plan},
};
use thiserror::Error;

use self::walk::{Found, stamp_now};
use crate::disk::{DiskError, DiskErrorKind, FileStamp, Progress};

/// A torrent that was made.
#[derive(Clone, Debug)]
pub struct Created {
    /// The name of the file or folder, which is the torrent's.
    pub name: String,
    /// The bytes of the `.torrent` file.
    pub torrent: Vec<u8>,
    /// What was left out: symbolic links, and what is neither a file nor a folder. The paths may hold anything: show
    /// them through [`Printable`].
    pub skipped: Vec<PathBuf>,
    /// Each file, in the order of the torrent's (padding left out), as it was before it was hashed: who seeds this
    /// right away need not hash it again (see [`TorrentParams::vouched`](crate::engine::TorrentParams::vouched)).
    pub stamps: Vec<FileStamp>,
}

/// Why no torrent was made.
#[derive(Clone, Debug, Error)]
pub enum CreateError {
    /// A file or folder cannot be read.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The path is that of the whole file system, or the like.
    #[error("{0} has no name that the torrent could have: name a file or folder below it")]
    NoName(Printable),
    /// A name that torrents cannot hold.
    #[error("the name {0} is not UTF-8, which torrents ask for: rename it")]
    NotUtf8(Printable),
    /// The path is neither a file nor a folder.
    #[error("{0} is neither a file nor a folder")]
    NotAFile(Printable),
    /// The folder holds no file.
    #[error("there is no file in {0}")]
    NoFile(Printable),
    /// A file changed while it was hashed.
    #[error("{0} changed while it was hashed: try again when nothing writes to it")]
    Changed(Printable),
    /// What was found does not make a torrent.
    #[error(transparent)]
    Plan(#[from] plan::CreateError),
    /// The job was [cancelled](Progress::cancel).
    #[error("cancelled")]
    Cancelled,
}

/// Makes a torrent of the file or folder at `path` on `threads` threads, this one included. Hidden files are part of it,
/// symbolic links are not.
pub fn create(
    path: &Path,
    options: Options,
    threads: usize,
    progress: &Progress,
) -> Result<Created, CreateError> {
    let found = walk::walk(path)?;
    let files = found.files.iter().map(|file| (file.components.clone(), file.stamp.length)).collect();
    let plan = Plan::new(&found.name, files, found.is_single, options)?;
    let hashes = hash::hash(&plan, &found, threads, progress);
    // A file that became shorter is first noticed by who reads it.
    let hashes = hashes.map_err(|error| match error.kind() {
        DiskErrorKind::ShortFile | DiskErrorKind::NotFound => CreateError::Changed(walk::shown(error.path())),
        _ => CreateError::Disk(error),
    })?;
    let hashes = hashes.ok_or(CreateError::Cancelled)?;
    refuse_changed(&found)?;
    let torrent = plan.finish(&hashes.pieces, &hashes.merkles);
    let sources = plan.files().iter().filter_map(|file| file.source);
    let stamps = sources.map(|source| found.files[source].stamp).collect();
    Ok(Created { name: found.name, torrent, skipped: found.skipped, stamps })
}

fn refuse_changed(found: &Found) -> Result<(), CreateError> {
    for file in &found.files {
        let path = found.path_of(file);
        if stamp_now(&path).ok() != Some(file.stamp) {
            return Err(CreateError::Changed(walk::shown(&path)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use potluck_common::{
        Rng,
        metainfo::{MerkleHasher, Metainfo, Version, create::PieceLength},
    };

    use super::*;
    use crate::{
        check::check,
        disk::{Layout, OpenFiles, Storage, testing::random_bytes},
    };

    fn options(version: Version, piece_length: u32) -> Options {
        Options { version, piece_length: PieceLength::Fixed(piece_length), ..Options::default() }
    }

    fn write(root: &Path, files: &[(&str, usize)]) {
        let mut rng = Rng::new(9);
        for (path, length) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("below the root")).expect("folder");
            fs::write(path, random_bytes(&mut rng, *length)).expect("file");
        }
    }

    fn paths(metainfo: &Metainfo) -> Vec<String> {
        let files = metainfo.files().iter().filter(|file| file.is_on_disk());
        files.map(|file| file.path.to_slash_string()).collect()
    }

    #[test]
    fn what_is_made_describes_what_is_there() {
        let folder = tempfile::tempdir().expect("folder");
        let root = folder.path().join("näme");
        let files = [
            ("b/2", 100_000),
            ("b/.hidden", 1),
            ("b.txt", 65_536),
            ("a", 300_001),
            ("empty", 0),
            ("b/c/d/e", 65_537),
            ("z", 20_000),
        ];
        write(&root, &files);
        for (version, piece_length) in [
            (Version::V1, 40_000),
            (Version::V1, 7),
            (Version::V1, 1 << 24),
            (Version::Hybrid, 65_536),
            (Version::Hybrid, 1 << 20),
            (Version::V2, 16_384),
            (Version::V2, 65_536),
        ] {
            for threads in [1, 3] {
                let progress = Progress::new();
                let made = create(&root, options(version, piece_length), threads, &progress).expect("made");
                assert_eq!((&made.name[..], made.skipped.len()), ("näme", 0));
                assert_eq!(progress.done(), progress.total());
                let metainfo = Metainfo::parse(&made.torrent).expect("valid");
                let order = ["a", "b/.hidden", "b/2", "b/c/d/e", "b.txt", "empty", "z"];
                assert_eq!(paths(&metainfo), order.map(|path| format!("näme/{path}")));
                check_content(folder.path(), &metainfo);
            }
        }
    }

    fn check_content(root: &Path, metainfo: &Metainfo) {
        if metainfo.version().has_v1() {
            let layout = Layout::from_metainfo(metainfo, root.into()).expect("valid");
            let storage = Storage::new(layout, &OpenFiles::new(4));
            assert!(check(&storage, None, 2, &Progress::new()).expect("checked").is_complete());
        }
        if !metainfo.version().has_v2() {
            return;
        }
        for file in metainfo.files().iter().filter(|file| file.is_on_disk()) {
            let mut hasher = MerkleHasher::new(metainfo.geometry().piece_length());
            hasher.update(&fs::read(root.join(file.path.to_path_buf())).expect("file"));
            let merkle = hasher.finish();
            if let Some(root) = &merkle.root {
                let told = metainfo.info_bytes().windows(root.len()).any(|bytes| bytes == root);
                assert!(told, "{}", file.path);
                let layer = metainfo.piece_layer(root).unwrap_or_default();
                assert_eq!(layer, merkle.layer, "{}", file.path);
            }
        }
    }

    #[test]
    fn one_file_is_named_by_itself() {
        let folder = tempfile::tempdir().expect("folder");
        write(folder.path(), &[("dir/one.bin", 50_000)]);
        for version in [Version::V1, Version::V2, Version::Hybrid] {
            let path = folder.path().join("dir/one.bin");
            let made = create(&path, options(version, 16_384), 2, &Progress::new()).expect("made");
            let metainfo = Metainfo::parse(&made.torrent).expect("valid");
            assert!(metainfo.is_single_file());
            assert_eq!((metainfo.name(), &made.name[..]), ("one.bin", "one.bin"));
            check_content(&folder.path().join("dir"), &metainfo);
        }
        // The name of `.` is that of the folder.
        let here = folder.path().join("dir/.");
        let made = create(&here, options(Version::V1, 16_384), 1, &Progress::new()).expect("made");
        assert_eq!(made.name, "dir");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_left_out_and_odd_names_refused() {
        use std::{
            ffi::OsStr,
            os::unix::{ffi::OsStrExt as _, fs::symlink},
        };
        let folder = tempfile::tempdir().expect("folder");
        let root = folder.path().join("root");
        write(&root, &[("a", 10), ("sub/b", 10)]);
        symlink("a", root.join("link")).expect("link");
        symlink("..", root.join("sub/loop")).expect("link");
        symlink("root", folder.path().join("named")).expect("link");
        let make =
            |path: &str| create(&folder.path().join(path), options(Version::V1, 16_384), 1, &Progress::new());
        let made = make("root").expect("made");
        assert_eq!(made.skipped, [root.join("link"), root.join("sub/loop")]);
        assert_eq!(paths(&Metainfo::parse(&made.torrent).expect("valid")), ["root/a", "root/sub/b"]);
        let made = make("named").expect("the user may name a link");
        assert_eq!(paths(&Metainfo::parse(&made.torrent).expect("valid")), ["named/a", "named/sub/b"]);

        let odd = root.join(OsStr::from_bytes(b"sub/\xff\x1b"));
        fs::write(&odd, b"x").expect("file");
        let error = make("root").unwrap_err();
        assert!(matches!(error, CreateError::NotUtf8(_)), "{error}");
        assert!(!error.to_string().contains('\x1b'));
        fs::remove_file(&odd).expect("removed");

        fs::create_dir(folder.path().join("bare")).expect("folder");
        assert!(matches!(make("bare").unwrap_err(), CreateError::NoFile(_)));
        assert!(matches!(make("nothing").unwrap_err(), CreateError::Disk(_)));
        let whole = create(Path::new("/"), options(Version::V1, 16_384), 1, &Progress::new());
        assert!(matches!(whole.unwrap_err(), CreateError::NoName(_)));
        let device = create(Path::new("/dev/null"), options(Version::V1, 16_384), 1, &Progress::new());
        assert!(matches!(device.unwrap_err(), CreateError::NotAFile(_)));
    }

    #[test]
    fn a_file_that_changes_meanwhile_is_noticed() {
        let folder = tempfile::tempdir().expect("folder");
        let root = folder.path().join("root");
        let changes: [fn(&Path) -> std::io::Result<()>; 3] = [
            |path| fs::write(path, b"longer than before"),
            |path| fs::write(path, b"less"),
            |path| fs::remove_file(path),
        ];
        for change in changes {
            write(&root, &[("a", 10), ("b", 10)]);
            let found = walk::walk(&root).expect("found");
            refuse_changed(&found).expect("as it was");
            change(&root.join("b")).expect("changed");
            let error = refuse_changed(&found).unwrap_err();
            assert!(error.to_string().contains("b changed while"), "{error}");
        }
    }

    #[test]
    fn a_cancelled_job_makes_nothing() {
        let folder = tempfile::tempdir().expect("folder");
        write(folder.path(), &[("root/a", 100_000)]);
        let progress = Progress::new();
        progress.cancel();
        let result = create(&folder.path().join("root"), options(Version::Hybrid, 16_384), 2, &progress);
        assert!(matches!(result.unwrap_err(), CreateError::Cancelled));
    }
}
