//! The walk on Unix: `openat` from folder to folder with `O_NOFOLLOW`, so that no race can lead outside.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, mkdirat, openat, statat, unlinkat},
    io::Errno,
};

use super::{Access, Opened, ordinary, refused};
use crate::disk::{
    error::{DiskAction, DiskError, DiskErrorKind},
    stamp::FileStamp,
};

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// A pipe that has the place of a file must not block the thread that opens it.
const FILE: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

pub(super) fn open(root: &Path, path: &Path, access: Access) -> Result<Opened, DiskError> {
    let mut walk = Walk::start(root, access)?;
    let name = walk.enter_parent_of(path)?;
    let file = walk.open_file(name)?;
    Ok(Opened { file, folders_changed: walk.changed })
}

pub(super) fn inspect(root: &Path, path: &Path) -> Result<FileStamp, DiskError> {
    let mut walk = Walk::start(root, Access::Read)?;
    let name = walk.enter_parent_of(path)?;
    let place = walk.place.join(name);
    let stat = statat(&walk.folder, name, AtFlags::SYMLINK_NOFOLLOW)
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
    // A link or a folder is not ours, and not what the torrent put there.
    inspect(root, path)?;
    let mut walk = Walk::start(root, Access::Read)?;
    let name = walk.enter_parent_of(path)?;
    unlinkat(&walk.folder, name, AtFlags::empty())
        .map_err(|errno| refused(DiskAction::Remove, &walk.place.join(name), errno.into()))
}

pub(super) fn remove_folder(root: &Path, path: &Path) -> Result<io::Result<()>, DiskError> {
    let mut walk = Walk::start(root, Access::Read)?;
    let name = walk.enter_parent_of(path)?;
    Ok(unlinkat(&walk.folder, name, AtFlags::REMOVEDIR).map_err(io::Error::from))
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

    /// Enters each folder on the way and gives back the file's own name.
    fn enter_parent_of<'a>(&mut self, path: &'a Path) -> Result<&'a OsStr, DiskError> {
        if let Some(parent) = path.parent() {
            for component in parent {
                self.enter(component)?;
            }
        }
        path.file_name().ok_or_else(|| refused(self.access.action(), path, Errno::INVAL.into()))
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

    fn open_file(&mut self, name: &OsStr) -> Result<File, DiskError> {
        let rights = if self.access == Access::Write { OFlags::RDWR } else { OFlags::RDONLY };
        let mut opened = openat(&self.folder, name, rights.union(FILE), Mode::empty());
        if opened.as_ref().is_err_and(|errno| *errno == Errno::NOENT) && self.access == Access::Write {
            let flags = rights.union(FILE).union(OFlags::CREATE);
            opened = openat(&self.folder, name, flags, Mode::from_raw_mode(0o666));
            self.changed.push(self.place.clone());
        }
        let place = self.place.join(name);
        let opened = opened.map_err(|errno| not_ordinary(errno, self.access, &place))?;
        ordinary(File::from(opened), self.access.action(), &place)
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
