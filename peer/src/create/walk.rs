//! Finding the files that a torrent is made of.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use potluck_common::Printable;

use super::CreateError;
use crate::disk::{DiskAction, DiskError, FileStamp};

/// What lies at a path: one file, or a folder with the files below it.
#[derive(Debug)]
pub(super) struct Found {
    /// The name of the file or folder.
    pub(super) name: String,
    /// The folder that the files' paths are below.
    pub(super) root: PathBuf,
    /// It is one file without a folder.
    pub(super) is_single: bool,
    /// In the order of their paths, component by component and byte by byte: the order that v2 (BEP 52) prescribes.
    pub(super) files: Vec<FoundFile>,
    /// What was left out: symbolic links, and what is neither a file nor a folder.
    pub(super) skipped: Vec<PathBuf>,
}

impl Found {
    pub(super) fn path_of(&self, file: &FoundFile) -> PathBuf {
        self.root.join(file.relative())
    }
}

/// One file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct FoundFile {
    /// The path below the root.
    pub(super) components: Vec<String>,
    pub(super) stamp: FileStamp,
}

impl FoundFile {
    /// The path below the root.
    pub(super) fn relative(&self) -> PathBuf {
        self.components.iter().collect()
    }
}

/// The stamp of the file at `path` now.
pub(super) fn stamp_now(path: &Path) -> io::Result<FileStamp> {
    path.symlink_metadata().map(|metadata| FileStamp::of(&metadata))
}

/// Looks at `path`, which may be or lead through a symbolic link: the user named it. Below it none is followed.
pub(super) fn walk(path: &Path) -> Result<Found, CreateError> {
    let real = fs::canonicalize(path).map_err(failed(DiskAction::Open, path))?;
    let name = path.file_name().or(real.file_name());
    let name = name.map(|name| text_of(name, path)).transpose()?;
    let name = name.ok_or_else(|| CreateError::NoName(shown(path)))?;
    let metadata = fs::metadata(&real).map_err(failed(DiskAction::Inspect, path))?;
    if metadata.is_dir() {
        return walk_folder(name, real);
    }
    if !metadata.is_file() {
        return Err(CreateError::NotAFile(shown(path)));
    }
    let own_name = real.file_name().map_or_else(|| Ok(name.clone()), |own| text_of(own, &real))?;
    Ok(Found {
        name,
        root: real.parent().unwrap_or(&real).to_owned(),
        is_single: true,
        files: vec![FoundFile { components: vec![own_name], stamp: FileStamp::of(&metadata) }],
        skipped: Vec::new(),
    })
}

fn walk_folder(name: String, root: PathBuf) -> Result<Found, CreateError> {
    let (mut files, mut skipped) = (Vec::new(), Vec::new());
    let mut folders: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(folder) = folders.pop() {
        let place: PathBuf = std::iter::once(root.as_os_str()).chain(folder.iter().map(OsStr::new)).collect();
        for entry in fs::read_dir(&place).map_err(failed(DiskAction::Read, &place))? {
            let entry = entry.map_err(failed(DiskAction::Read, &place))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(failed(DiskAction::Inspect, &path))?;
            if !kind.is_dir() && !kind.is_file() {
                skipped.push(path);
                continue;
            }
            let mut components = folder.clone();
            components.push(text_of(&entry.file_name(), &path)?);
            if kind.is_dir() {
                folders.push(components);
            } else {
                let metadata = entry.metadata().map_err(failed(DiskAction::Inspect, &path))?;
                files.push(FoundFile { components, stamp: FileStamp::of(&metadata) });
            }
        }
    }
    files.sort_unstable_by(|a, b| a.components.cmp(&b.components));
    skipped.sort_unstable();
    if files.is_empty() {
        return Err(CreateError::NoFile(shown(&root)));
    }
    Ok(Found { name, root, is_single: false, files, skipped })
}

/// Torrents hold names in UTF-8, and only there other systems would find them again.
fn text_of(name: &OsStr, path: &Path) -> Result<String, CreateError> {
    name.to_str().map(str::to_owned).ok_or_else(|| CreateError::NotUtf8(shown(path)))
}

fn failed(action: DiskAction, path: &Path) -> impl FnOnce(io::Error) -> CreateError {
    move |error| CreateError::Disk(DiskError::new(action, path, error))
}

pub(super) fn shown(path: &Path) -> Printable {
    Printable::new(&path.to_string_lossy())
}
