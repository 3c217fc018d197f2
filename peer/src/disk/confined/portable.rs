//! The walk where folders cannot be opened as files: each component is looked at before it is used.
//!
//! Somebody who can change the tree between the look and the use could still lead it astray; systems that offer
//! better have a walk of their own.

use std::{
    ffi::OsStr,
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use super::{Access, Opened, name_of, ordinary, refused};
use crate::disk::{
    error::{DiskAction, DiskError, DiskErrorKind},
    stamp::FileStamp,
};

/// A folder below the root that was looked at on the way to it.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

/// Goes to the folder that `path` lies in. Gives back, too, the folders that got a new entry.
pub(super) fn folder_of(
    root: &Path,
    path: &Path,
    access: Access,
) -> Result<(Folder, Vec<PathBuf>), DiskError> {
    let mut changed = Vec::new();
    if access == Access::Write && !root.exists() {
        fs::create_dir_all(root).map_err(|error| DiskError::new(access.action(), root, error))?;
        changed.extend(root.parent().map(Path::to_owned));
    }
    let folder = enter_parent_of(root, path, access, &mut changed)?;
    Ok((Folder(folder), changed))
}

/// Opens the file of this name in `folder`.
pub(super) fn open_in(folder: &Folder, name: &OsStr, access: Access) -> Result<Opened, DiskError> {
    let place = folder.0.join(name);
    let there = match kind_of(&place) {
        Ok(Kind::File) => true,
        Ok(other) => return Err(other.refuse(access.action(), &place)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(DiskError::new(access.action(), &place, error)),
    };
    let writing = access == Access::Write;
    let opened = OpenOptions::new().read(true).write(writing).create(writing).truncate(false).open(&place);
    let file = opened.map_err(|error| refused(access.action(), &place, error))?;
    let folders_changed = if there { Vec::new() } else { vec![folder.0.clone()] };
    Ok(Opened { file: ordinary(file, access.action(), &place)?, folders_changed })
}

/// The stamp of the file of this name in `folder`.
pub(super) fn inspect_in(folder: &Folder, name: &OsStr) -> Result<FileStamp, DiskError> {
    let place = folder.0.join(name);
    let inspect = |error| DiskError::new(DiskAction::Inspect, &place, error);
    match kind_of(&place).map_err(inspect)? {
        Kind::File => Ok(FileStamp::of(&place.symlink_metadata().map_err(inspect)?)),
        other => Err(other.refuse(DiskAction::Inspect, &place)),
    }
}

pub(super) fn remove_file(root: &Path, path: &Path) -> Result<(), DiskError> {
    let (folder, _) = folder_of(root, path, Access::Read)?;
    inspect_in(&folder, name_of(path, Access::Read)?)?;
    let place = root.join(path);
    fs::remove_file(&place).map_err(|error| DiskError::new(DiskAction::Remove, &place, error))
}

pub(super) fn remove_folder(root: &Path, path: &Path) -> Result<io::Result<()>, DiskError> {
    enter_parent_of(root, path, Access::Read, &mut Vec::new())?;
    Ok(fs::remove_dir(root.join(path)))
}

fn enter_parent_of(
    root: &Path,
    path: &Path,
    access: Access,
    changed: &mut Vec<PathBuf>,
) -> Result<PathBuf, DiskError> {
    let mut place = root.to_owned();
    for component in path.parent().into_iter().flatten() {
        let above = place.clone();
        place.push(component);
        match kind_of(&place) {
            Ok(Kind::Folder) => {}
            Ok(other) => return Err(other.refuse(access.action(), &place)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && access == Access::Write => {
                match fs::create_dir(&place) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                        return Err(DiskError::new(DiskAction::Create, &place, error));
                    }
                    _ => changed.push(above),
                }
            }
            Err(error) => return Err(DiskError::new(access.action(), &place, error)),
        }
    }
    Ok(place)
}

enum Kind {
    File,
    Folder,
    Link,
    Else,
}

impl Kind {
    fn refuse(self, action: DiskAction, place: &Path) -> DiskError {
        let kind = match self {
            Self::Link => DiskErrorKind::Symlink,
            Self::File | Self::Folder | Self::Else => DiskErrorKind::NotAFile,
        };
        DiskError::with_kind(kind, action, place, "not an ordinary file")
    }
}

fn kind_of(place: &Path) -> io::Result<Kind> {
    let kind = place.symlink_metadata()?.file_type();
    Ok(match kind {
        _ if kind.is_symlink() => Kind::Link,
        _ if kind.is_dir() => Kind::Folder,
        _ if kind.is_file() => Kind::File,
        _ => Kind::Else,
    })
}
