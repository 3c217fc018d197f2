//! Opening files below a root folder so that nothing below it is ever reached through a symbolic link.
//!
//! The root is the user's own choice and may lead through links. Every component below it came from a torrent: each
//! is opened from the folder before it, and refused if it is a link, whatever happens to the tree meanwhile.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    error::{DiskAction, DiskError, DiskErrorKind},
    stamp::FileStamp,
};

#[cfg(not(unix))]
use self::portable as system;
#[cfg(unix)]
use self::unix as system;

#[cfg(any(test, not(unix)))]
mod portable;
#[cfg(unix)]
mod unix;

/// What a file is opened for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// Reading only; nothing is created or changed.
    Read,
    /// Reading and writing; the file and the folders on the way are created where they are missing.
    Write,
}

impl Access {
    fn action(self) -> DiskAction {
        match self {
            Self::Read => DiskAction::Open,
            Self::Write => DiskAction::Create,
        }
    }
}

/// A file that was opened, and the folders that got a new entry on the way: their own `sync` is still owed.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) file: File,
    pub(crate) folders_changed: Vec<PathBuf>,
}

/// How long the way to a folder is remembered. No longer than it could take to open a file at the end of it: so nobody
/// is surprised who moves a folder.
const REMEMBERED: Duration = Duration::from_millis(100);

/// The way to a file below a root, with the folder that the last one led to: files of the same folder mostly follow each
/// other.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    last: Mutex<Option<Way>>,
}

#[derive(Debug)]
struct Way {
    root: PathBuf,
    parent: PathBuf,
    folder: system::Folder,
    since: Instant,
}

impl Ways {
    /// Opens the ordinary file `path` below `root`.
    pub(crate) fn open(&self, root: &Path, path: &Path, access: Access) -> Result<Opened, DiskError> {
        let name = name_of(path, access)?;
        // What fails there is for the whole way to say.
        let remembered = self.remembered(root, path);
        if let Some(opened) = remembered.and_then(|folder| system::open_in(&folder, name, access).ok()) {
            return Ok(opened);
        }
        let (folder, changed) = system::folder_of(root, path, access)?;
        let mut opened = system::open_in(&folder, name, access)?;
        opened.folders_changed.splice(..0, changed);
        self.remember(root, path, folder);
        Ok(opened)
    }

    /// The stamp of the file `path` below `root`; `None` if it or a folder on the way is missing.
    pub(crate) fn inspect(&self, root: &Path, path: &Path) -> Result<Option<FileStamp>, DiskError> {
        let name = name_of(path, Access::Read)?;
        let remembered = self.remembered(root, path);
        if let Some(stamp) = remembered.and_then(|folder| system::inspect_in(&folder, name).ok()) {
            return Ok(Some(stamp));
        }
        let stamp = system::folder_of(root, path, Access::Read).and_then(|(folder, _)| {
            let stamp = system::inspect_in(&folder, name)?;
            self.remember(root, path, folder);
            Ok(stamp)
        });
        match stamp {
            Err(error) if error.kind() == DiskErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }

    /// Forgets the last one, which keeps its folder open.
    pub(crate) fn forget(&self) {
        drop(self.lock().take());
    }

    fn remembered(&self, root: &Path, path: &Path) -> Option<system::Folder> {
        let last = self.lock();
        let way = last.as_ref().filter(|way| way.root == root && Some(&*way.parent) == path.parent())?;
        (way.since.elapsed() < REMEMBERED).then(|| way.folder.clone())
    }

    fn remember(&self, root: &Path, path: &Path, folder: system::Folder) {
        let parent = path.parent().unwrap_or(Path::new("")).to_owned();
        let way = Way { root: root.to_owned(), parent, folder, since: Instant::now() };
        // Closing may take a while on some file systems: not under the lock.
        let before = self.lock().replace(way);
        drop(before);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Way>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name_of(path: &Path, access: Access) -> Result<&OsStr, DiskError> {
    let invalid = || refused(access.action(), path, io::ErrorKind::InvalidInput.into());
    path.file_name().ok_or_else(invalid)
}

/// Removes the ordinary file `path` below `root`. What has its place and is something else stays, as an error.
pub(crate) fn remove_file(root: &Path, path: &Path) -> Result<bool, DiskError> {
    system::remove_file(root, path).map(|()| true)
}

/// Removes the folder `path` below `root`; false if it is not empty.
pub(crate) fn remove_folder(root: &Path, path: &Path) -> Result<bool, DiskError> {
    let place = root.join(path);
    match system::remove_folder(root, path)? {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
        Err(error) => Err(refused(DiskAction::Remove, &place, error)),
    }
}

/// Makes the entries of a folder durable: `folder` is the root or one that was opened below it. A folder that may not
/// be read, is gone, or lies on a file system that does not know this is passed over.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), DiskError> {
    // Only Unix can open a folder as a file, and only there a new entry needs it.
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(error) if !is_beyond_us(&error) => Err(DiskError::new(DiskAction::Sync, folder, error)),
        _ => Ok(()),
    }
}

fn is_beyond_us(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::NotFound
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::Unsupported
    )
}

/// Turns a failure at `path` into an error, telling a symbolic link from other things that are in the way.
fn refused(action: DiskAction, path: &Path, error: io::Error) -> DiskError {
    let link = path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
    if link {
        return DiskError::with_kind(DiskErrorKind::Symlink, action, path, "a symbolic link");
    }
    DiskError::new(action, path, error)
}

/// An opened file must be an ordinary one: reading a device or a pipe could block for ever.
fn ordinary(file: File, action: DiskAction, path: &Path) -> Result<File, DiskError> {
    let metadata = file.metadata().map_err(|error| DiskError::new(DiskAction::Inspect, path, error))?;
    if metadata.is_file() {
        return Ok(file);
    }
    Err(DiskError::with_kind(DiskErrorKind::NotAFile, action, path, "not an ordinary file"))
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;

    type Open = fn(&Path, &Path, Access) -> Result<Opened, DiskError>;
    type Inspect = fn(&Path, &Path) -> Result<FileStamp, DiskError>;

    /// Every implementation that compiles here, so that the portable one is tested on Unix too.
    const SYSTEMS: [(Open, Inspect); 2] = [(open_here, inspect_here), (open_anywhere, inspect_anywhere)];

    fn open_here(root: &Path, path: &Path, access: Access) -> Result<Opened, DiskError> {
        Ways::default().open(root, path, access)
    }

    fn inspect_here(root: &Path, path: &Path) -> Result<FileStamp, DiskError> {
        let (folder, _) = system::folder_of(root, path, Access::Read)?;
        system::inspect_in(&folder, name_of(path, Access::Read)?)
    }

    fn open_anywhere(root: &Path, path: &Path, access: Access) -> Result<Opened, DiskError> {
        let (folder, changed) = portable::folder_of(root, path, access)?;
        let mut opened = portable::open_in(&folder, name_of(path, access)?, access)?;
        opened.folders_changed.splice(..0, changed);
        Ok(opened)
    }

    fn inspect_anywhere(root: &Path, path: &Path) -> Result<FileStamp, DiskError> {
        let (folder, _) = portable::folder_of(root, path, Access::Read)?;
        portable::inspect_in(&folder, name_of(path, Access::Read)?)
    }

    #[test]
    fn a_way_that_is_remembered_leads_to_the_same_files() {
        let folder = tempfile::tempdir().expect("folder");
        let (root, other) = (folder.path().join("root"), folder.path().join("other"));
        let ways = Ways::default();
        let write = |root: &Path, path: &str| {
            let mut opened = ways.open(root, Path::new(path), Access::Write).expect("created");
            opened.file.write_all(path.as_bytes()).expect("written");
            opened.folders_changed
        };
        assert!(write(&root, "a/1").contains(&root));
        for (root, path) in [(&root, "a/2"), (&other, "a/2"), (&root, "a/b/2"), (&root, "2"), (&root, "3")] {
            let parent = root.join(path).parent().expect("it is in a folder").to_owned();
            assert_eq!(write(root, path).last(), Some(&parent), "{path}");
            assert_eq!(fs::read(root.join(path)).expect("file"), path.as_bytes());
            let stamp = ways.inspect(root, Path::new(path)).expect("inspected").expect("there");
            assert_eq!(stamp.length, path.len() as u64);
            assert_eq!(ways.inspect(root, Path::new("a/none")).expect("inspected"), None);
        }
        // Removed with all that is in it, and made again.
        write(&root, "a/1");
        fs::remove_dir_all(root.join("a")).expect("removed");
        assert_eq!(ways.inspect(&root, Path::new("a/1")).expect("inspected"), None);
        write(&root, "a/1");
        fs::remove_dir_all(root.join("a")).expect("removed");
        assert!(write(&root, "a/1").contains(&root.join("a")));
        assert!(root.join("a/1").exists());
    }

    #[test]
    fn writing_creates_what_is_missing_and_reading_does_not() {
        for (open, inspect) in SYSTEMS {
            let folder = tempfile::tempdir().expect("folder");
            let root = folder.path().join("new/root");
            let path = Path::new("a/b/c.bin");
            assert_eq!(open(&root, path, Access::Read).unwrap_err().kind(), DiskErrorKind::NotFound);
            assert!(!root.exists());
            let mut opened = open(&root, path, Access::Write).expect("created");
            assert!(opened.folders_changed.contains(&root.join("a/b")), "{:?}", opened.folders_changed);
            assert!(opened.folders_changed.contains(&root));
            opened.file.write_all(b"abc").expect("written");
            assert_eq!(inspect(&root, path).expect("there").length, 3);
            let again = open(&root, path, Access::Write).expect("there");
            assert_eq!(again.folders_changed, Vec::<PathBuf>::new());
            assert_eq!(inspect(&root, Path::new("a/b/d")).unwrap_err().kind(), DiskErrorKind::NotFound);
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_below_the_root_are_refused_and_the_root_may_be_one() {
        use std::os::unix::fs::symlink;
        for (open, inspect) in SYSTEMS {
            let folder = tempfile::tempdir().expect("folder");
            let outside = folder.path().join("outside");
            fs::create_dir(&outside).expect("folder");
            fs::write(outside.join("secret"), b"secret").expect("file");
            fs::create_dir(folder.path().join("real")).expect("folder");
            let root = folder.path().join("root");
            symlink("real", &root).expect("link");
            symlink(&outside, root.join("dir")).expect("link");
            symlink(outside.join("secret"), root.join("file")).expect("link");
            symlink(outside.join("nothing"), root.join("dangling")).expect("link");
            for path in ["dir/secret", "dir/new", "file", "dangling", "dir"] {
                for access in [Access::Read, Access::Write] {
                    let error = open(&root, Path::new(path), access).unwrap_err();
                    assert_eq!(error.kind(), DiskErrorKind::Symlink, "{path} {access:?}: {error}");
                }
                let error = inspect(&root, Path::new(path)).unwrap_err();
                assert_eq!(error.kind(), DiskErrorKind::Symlink, "{path}: {error}");
            }
            assert_eq!(fs::read_dir(&outside).expect("folder").count(), 1);
            open(&root, Path::new("plain"), Access::Write).expect("the root may be a link");
        }
    }

    #[test]
    fn row_5_12_only_files_and_empty_folders_are_removed() {
        type RemoveFile = fn(&Path, &Path) -> Result<(), DiskError>;
        type RemoveFolder = fn(&Path, &Path) -> Result<io::Result<()>, DiskError>;
        const REMOVERS: [(RemoveFile, RemoveFolder); 2] =
            [(system::remove_file, system::remove_folder), (portable::remove_file, portable::remove_folder)];
        for (remove_file, remove_folder) in REMOVERS {
            let folder = tempfile::tempdir().expect("folder");
            let (root, path) = (folder.path(), Path::new("a/b"));
            fs::create_dir(root.join("a")).and_then(|()| fs::write(root.join(path), b"b")).expect("file");
            assert_eq!(remove_file(root, Path::new("a")).unwrap_err().kind(), DiskErrorKind::NotAFile);
            let full = remove_folder(root, Path::new("a")).expect("reached").unwrap_err();
            assert_eq!(full.kind(), io::ErrorKind::DirectoryNotEmpty);
            remove_file(root, path).expect("removed");
            assert_eq!(remove_file(root, path).unwrap_err().kind(), DiskErrorKind::NotFound);
            remove_folder(root, Path::new("a")).expect("reached").expect("empty");
            assert!(!root.join("a").exists());
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_not_a_file_is_refused_without_blocking() {
        for (open, inspect) in SYSTEMS {
            let folder = tempfile::tempdir().expect("folder");
            fs::create_dir(folder.path().join("dir")).expect("folder");
            fs::write(folder.path().join("file"), b"").expect("file");
            let fifo = folder.path().join("fifo");
            rustix::fs::mknodat(
                rustix::fs::CWD,
                &fifo,
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::from_raw_mode(0o600),
                0,
            )
            .expect("pipe");
            for path in ["dir", "fifo", "file/below"] {
                for access in [Access::Read, Access::Write] {
                    let error = open(folder.path(), Path::new(path), access).unwrap_err();
                    assert_eq!(error.kind(), DiskErrorKind::NotAFile, "{path} {access:?}: {error}");
                }
                let error = inspect(folder.path(), Path::new(path)).unwrap_err();
                assert_eq!(error.kind(), DiskErrorKind::NotAFile, "{path}: {error}");
            }
        }
    }
}
