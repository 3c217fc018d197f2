//! Keeping states in a folder so that a cut of the power at any moment leaves the newest or the one before it.

use std::{fs::File, io, path::Path, path::PathBuf, sync::Arc, thread, time::Duration};

use potluck_common::{InfoHash, Printable, metainfo::Metainfo};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    destination,
    fs::{RealFs, StateFs},
    state::{ResumeState, STATE_BYTES_MAX},
};
use crate::disk::{DiskAction, DiskError, DiskErrorKind};

/// How long and how often it is waited until a state that is there can be read or locked: descriptors may be scarce for a moment.
const READ_WAIT: Duration = Duration::from_millis(20);
const READ_WAITS_MAX: u32 = 25;

/// Where states are kept, below the folder of all state.
pub(super) fn folder_of(state_dir: &Path) -> PathBuf {
    state_dir.join("resume")
}

/// Why an entry cannot be opened.
#[derive(Debug, Error)]
pub(crate) enum OpenError {
    /// Another process has it.
    #[error("another Potluck has it")]
    InUse,
    /// The folder cannot be written to.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// How much of a torrent must agree with what is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) info_hash: InfoHash,
    pub(crate) pieces: u32,
    pub(crate) files: usize,
}

impl Shape {
    pub(crate) fn of(metainfo: &Metainfo) -> Self {
        Self {
            info_hash: metainfo.info_hash(),
            pieces: metainfo.geometry().pieces(),
            files: metainfo.files().len(),
        }
    }
}

/// A lock, and its share of the descriptors.
#[derive(Debug)]
struct Lock {
    _file: File,
    _share: Option<OwnedSemaphorePermit>,
}

/// The place of one torrent's states, with its lock.
#[derive(Debug)]
pub(crate) struct Entry {
    fs: Box<dyn StateFs>,
    name: String,
    shape: Shape,
    /// The generation of the state that was read or written last.
    generation: u64,
    /// Held until this is dropped or it is given up.
    lock: Option<Lock>,
}

impl Entry {
    /// The place of a torrent with this destination, for nobody else as long as this lives.
    pub(crate) fn open(state_dir: &Path, shape: Shape, directory: &Path) -> Result<Self, OpenError> {
        let fs = RealFs::open(&folder_of(state_dir))?;
        let stem = stem(shape.info_hash, directory);
        let lock = patiently(|| fs.lock(&format!("{stem}.lock")))?.ok_or(OpenError::InUse)?;
        let lock = Lock { _file: lock, _share: None };
        Ok(Self { lock: Some(lock), ..Self::at(Box::new(fs), &stem, shape) })
    }

    /// Counts the descriptor of the lock in `locks`. Where none is left there the lock is given up; returns whether it
    /// is kept.
    pub(crate) fn share_lock(&mut self, locks: &Arc<Semaphore>) -> bool {
        let share = Arc::clone(locks).try_acquire_owned().ok();
        let lock = self.lock.take().filter(|_| share.is_some());
        self.lock = lock.map(|lock| Lock { _share: share, ..lock });
        self.lock.is_some()
    }

    pub(super) fn at(fs: Box<dyn StateFs>, stem: &str, shape: Shape) -> Self {
        Self { fs, name: format!("{stem}.resume"), shape, generation: 0, lock: None }
    }

    /// The newest state. One that is no state of the torrent is set aside, so that it is there to be looked at and in
    /// nobody's way, and the one before it is read. One that may be whole and cannot be read now is an error, and stays:
    /// to go on without it would be to forget that the torrent was finished.
    pub(crate) fn load(&mut self) -> Result<Option<ResumeState>, DiskError> {
        for name in [self.name.clone(), self.old()] {
            match self.read_patiently(&name) {
                Ok(Some(state)) => {
                    self.generation = state.generation;
                    return Ok(Some(state));
                }
                Ok(None) => {}
                Err(ReadError::Useless(why)) => self.set_aside(&name, &why),
                Err(ReadError::Io(error)) => {
                    return Err(DiskError::new(DiskAction::Read, &self.fs.path_of(&name), error));
                }
            }
        }
        Ok(None)
    }

    fn read_patiently(&self, name: &str) -> Result<Option<ResumeState>, ReadError> {
        for _ in 0..READ_WAITS_MAX {
            match read(&*self.fs, name, self.shape) {
                Err(ReadError::Io(_)) => thread::sleep(READ_WAIT),
                other => return other,
            }
        }
        read(&*self.fs, name, self.shape)
    }

    fn set_aside(&self, name: &str, why: &str) {
        let bad = format!("{name}.bad");
        let name = Printable::new(name);
        match self.fs.rename(name.as_str(), &bad) {
            Ok(()) => {
                tracing::warn!(
                    "resume state {name}: {why}; it is kept as {bad}, and what it told is checked"
                );
            }
            Err(error) => tracing::warn!("resume state {name}: {why}, and cannot be set aside: {error}"),
        }
    }

    /// Writes `state` as the newest generation. On an error the one before is still there.
    pub(crate) fn save(&mut self, state: &mut ResumeState) -> io::Result<()> {
        state.generation = self.generation + 1;
        let new = format!("{}.new", self.name);
        let written = self.fs.create(&new).and_then(|mut file| {
            file.write(&state.encode())?;
            // Before it gets the name: else a cut of the power could leave the name and not the content.
            file.sync()
        });
        if written.is_err() {
            // What could not be written may have filled the disk.
            let _ = self.fs.remove(&new);
        }
        written?;
        match self.fs.rename(&self.name, &self.old()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.fs.rename(&new, &self.name)?;
        self.fs.sync_folder()?;
        self.generation = state.generation;
        Ok(())
    }

    /// Removes the generation before the newest, which claims what the newest withdraws.
    pub(crate) fn forget_previous(&self) -> io::Result<()> {
        match self.fs.remove(&self.old()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => self.fs.sync_folder(),
        }
    }

    fn old(&self) -> String {
        format!("{}.old", self.name)
    }
}

/// Removes what is remembered of a torrent with this destination: its payload was removed. The lock's file stays, as
/// another process may be about to take it.
pub(crate) fn forget(state_dir: &Path, shape: Shape, directory: &Path) -> Result<(), OpenError> {
    let entry = Entry::open(state_dir, shape, directory)?;
    for name in [entry.old(), entry.name.clone()] {
        match entry.fs.remove(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(entry.fs.sync_folder()?)
}

/// As [`Entry::load`], changing nothing.
pub(super) fn peek(state_dir: &Path, metainfo: &Metainfo, directory: &Path) -> Option<ResumeState> {
    let fs = RealFs::at(&folder_of(state_dir));
    let name = format!("{}.resume", stem(metainfo.info_hash(), directory));
    let names = [name.clone(), format!("{name}.old")];
    names.iter().find_map(|name| read(&fs, name, Shape::of(metainfo)).ok().flatten())
}

fn stem(info_hash: InfoHash, directory: &Path) -> String {
    format!("{info_hash}-{}", destination::short_name(directory))
}

/// Calls `attempt`, and again after a wait while there is no descriptor for it.
fn patiently<T>(attempt: impl Fn() -> io::Result<T>) -> io::Result<T> {
    for _ in 0..READ_WAITS_MAX {
        match attempt() {
            Err(error) if DiskErrorKind::of(&error) == DiskErrorKind::TooManyFiles => {
                thread::sleep(READ_WAIT);
            }
            other => return other,
        }
    }
    attempt()
}

/// Why there is a file and no state.
enum ReadError {
    /// What is there is no state of the torrent.
    Useless(String),
    /// What is there cannot be read now.
    Io(io::Error),
}

/// The state in the file `name`; `None` if there is none.
fn read(fs: &dyn StateFs, name: &str, shape: Shape) -> Result<Option<ResumeState>, ReadError> {
    use io::ErrorKind::{FileTooLarge, InvalidInput, NotFound};
    match fs.read(name, STATE_BYTES_MAX) {
        Err(error) if error.kind() == NotFound => Ok(None),
        Err(error) if matches!(error.kind(), FileTooLarge | InvalidInput) => {
            Err(ReadError::Useless(error.to_string()))
        }
        Err(error) => Err(ReadError::Io(error)),
        Ok(bytes) => ResumeState::decode(&bytes, shape.info_hash, shape.pieces, shape.files)
            .map(Some)
            .map_err(|error| ReadError::Useless(error.to_string())),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::cell::Cell;

    use rustix::io::Errno;

    use super::*;

    #[test]
    fn a_lock_waits_for_a_descriptor_and_for_nothing_else() {
        let endless = u32::MAX;
        for (failures, errno, is_given, tries) in [
            (0, Errno::MFILE, true, 1),
            (3, Errno::MFILE, true, 4),
            (2, Errno::NFILE, true, 3),
            (endless, Errno::MFILE, false, READ_WAITS_MAX + 1),
            (endless, Errno::ACCESS, false, 1),
        ] {
            let tried = Cell::new(0);
            let given = patiently(|| {
                tried.set(tried.get() + 1);
                if tried.get() > failures { Ok(()) } else { Err(errno.into()) }
            });
            assert_eq!((given.is_ok(), tried.get()), (is_given, tries), "{failures} {errno}");
        }
    }
}
