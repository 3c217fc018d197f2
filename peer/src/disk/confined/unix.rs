//! The walk on Unix: `openat` from folder to folder with `O_NOFOLLOW`, so that no race can lead outside.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, mkdirat, openat, statat, unlinkat},
    io::Errno,
};

use super::{Access, Opened, name_of, ordinary, refused};
use crate::disk::{
    error::{DiskAction, DiskError, DiskErrorKind},
    stamp::FileStamp,
};

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// A pipe that has the place of a file must not block the thread that opens it.
const FILE: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// A folder below the root that was reached by a walk.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    handle: Arc<OwnedFd>,
    /// Its path, for messages.
    place: PathBuf,
}

/// Walks to the folder that `path` lies in. Gives back, too, the folders that got a new entry.
pub(super) fn folder_of(
    root: &Path,
    path: &Path,
    access: Access,
) -> Result<(Folder, Vec<PathBuf>), DiskError> {
    let mut walk = Walk::start(root, access)?;
    walk.enter_parent_of(path)?;
    Ok((Folder { handle: Arc::new(walk.folder), place: walk.place }, walk.changed))
}

/// Opens the file of this name in `folder`.
pub(super) fn open_in(folder: &Folder, name: &OsStr, access: Access) -> Result<Opened, DiskError> {
    let Folder { handle, place } = folder;
    let mut folders_changed = Vec::new();
    let rights = if access == Access::Write { OFlags::RDWR } else { OFlags::RDONLY };
    let mut opened = openat(handle, name, rights.union(FILE), Mode::empty());
    if opened.as_ref().is_err_and(|errno| *errno == Errno::NOENT) && access == Access::Write {
        let flags = rights.union(FILE).union(OFlags::CREATE);
        opened = openat(handle, name, flags, Mode::from_raw_mode(0o666));
        folders_changed.push(place.clone());
    }
    let place = place.join(name);
    let opened = opened.map_err(|errno| not_ordinary(errno, access, &place))?;
    Ok(Opened { file: ordinary(File::from(opened), access.action(), &place)?, folders_changed })
}

/// The stamp of the file of this name in `folder`.
pub(super) fn inspect_in(folder: &Folder, name: &OsStr) -> Result<FileStamp, DiskError> {
    let place = folder.place.join(name);
    let stat = statat(&folder.handle, name, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|errno| refused(DiskAction::Inspect, &place, errno.into()))?;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            let length = u64::try_from(stat.st_size).unwrap_or(0);
            return Ok(FileStamp::new(length, stat.st_mtime.into(), stat.st_mtime_nsec.into()));
        }
        FileType::Symlink => DiskErrorKind::Symlink,
        _ => DiskErrorKind::NotAFile,
    };
    Err(DiskError::with_kind(kind, DiskAction::Inspect, &place, "not an ordinary file"))
}

pub(super) fn remove_file(root: &Path, path: &Path) -> Result<(), DiskError> {
    let (folder, _) = folder_of(root, path, Access::Read)?;
    let name = name_of(path, Access::Read)?;
    // A link or a folder is not ours, and not what the torrent put there.
    inspect_in(&folder, name)?;
    unlinkat(&folder.handle, name, AtFlags::empty())
        .map_err(|errno| refused(DiskAction::Remove, &folder.place.join(name), errno.into()))
}

pub(super) fn remove_folder(root: &Path, path: &Path) -> Result<io::Result<()>, DiskError> {
    let (folder, _) = folder_of(root, path, Access::Read)?;
    let name = name_of(path, Access::Read)?;
    Ok(unlinkat(&folder.handle, name, AtFlags::REMOVEDIR).map_err(io::Error::from))
}

/// The way from the root to a file.
struct Walk {
    access: Access,
    /// The folder reached so far.
    folder: OwnedFd,
    /// Its path, for messages.
    place: PathBuf,
    /// Folders that got a new entry.
    changed: Vec<PathBuf>,
}

impl Walk {
    fn start(root: &Path, access: Access) -> Result<Self, DiskError> {
        let mut changed = Vec::new();
        let folder = match openat(CWD, root, FOLDER, Mode::empty()) {
            Err(Errno::NOENT) if access == Access::Write => {
                create_root(root, &mut changed).and_then(|()| Ok(openat(CWD, root, FOLDER, Mode::empty())?))
            }
            other => other.map_err(io::Error::from),
        };
        let folder = folder.map_err(|error| DiskError::new(access.action(), root, error))?;
        Ok(Self { access, folder, place: root.to_owned(), changed })
    }

    /// Enters each folder on the way.
    fn enter_parent_of(&mut self, path: &Path) -> Result<(), DiskError> {
        path.parent().into_iter().flatten().try_for_each(|component| self.enter(component))
    }

    fn enter(&mut self, name: &OsStr) -> Result<(), DiskError> {
        let flags = FOLDER.union(OFlags::NOFOLLOW);
        let mut opened = openat(&self.folder, name, flags, Mode::empty());
        if opened.as_ref().is_err_and(|errno| *errno == Errno::NOENT) && self.access == Access::Write {
            match mkdirat(&self.folder, name, Mode::from_raw_mode(0o777)) {
                Ok(()) => self.changed.push(self.place.clone()),
                // Another thread was faster.
                Err(Errno::EXIST) => {}
                Err(errno) => {
                    return Err(DiskError::new(DiskAction::Create, &self.place.join(name), errno.into()));
                }
            }
            opened = openat(&self.folder, name, flags, Mode::empty());
        }
        self.place.push(name);
        self.folder = opened.map_err(|errno| refused(self.access.action(), &self.place, errno.into()))?;
        Ok(())
    }
}

/// Creates the root and remembers the deepest folder that was there already.
fn create_root(root: &Path, changed: &mut Vec<PathBuf>) -> io::Result<()> {
    let missing = root.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    changed.extend(
        missing
            .filter_map(Path::parent)
            .map(|parent| if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() }),
    );
    fs::create_dir_all(root)
}

/// Opening a pipe for nothing but writing, or a socket, fails with `ENXIO`.
fn not_ordinary(errno: Errno, access: Access, place: &Path) -> DiskError {
    if errno == Errno::NXIO {
        return DiskError::with_kind(DiskErrorKind::NotAFile, access.action(), place, "not an ordinary file");
    }
    refused(access.action(), place, errno.into())
}
