//! The engine's budget of open payload files: handles are kept in the order of their last use and closed oldest first.

use std::{
    fmt,
    fs::File,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread,
    time::Duration,
};

use super::{
    confined::{Access, Ways},
    error::{DiskError, DiskErrorKind},
    lru::Lru,
    storage::{Storage, StorageId},
};

/// Handles of payload files, shared by all storages of an engine.
pub struct OpenFiles {
    limit: usize,
    handles: Mutex<Lru<FileKey, Handle>>,
    ways: Ways,
    /// Makes others in the process give up descriptors.
    relief: OnceLock<Relief>,
}

type Relief = Box<dyn Fn() + Send + Sync>;

impl fmt::Debug for OpenFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenFiles")
            .field("limit", &self.limit)
            .field("open", &self.count())
            .finish_non_exhaustive()
    }
}

/// How long a thread waits for a descriptor at a time, and how often, before its file counts as one that cannot be
/// opened.
const ROOM_WAIT: Duration = Duration::from_millis(20);
const ROOM_WAITS_MAX: u32 = 50;

type FileKey = (StorageId, usize);

#[derive(Clone, Debug)]
struct Handle {
    file: Arc<File>,
    access: Access,
}

impl OpenFiles {
    /// A budget of `limit` handles, at least 1. A thread that uses a file keeps it open even when the budget closes
    /// it, so that a few more than the limit may be open for a moment.
    pub fn new(limit: usize) -> Arc<Self> {
        let (limit, handles) = (limit.max(1), Mutex::new(Lru::new()));
        Arc::new(Self { limit, handles, ways: Ways::default(), relief: OnceLock::new() })
    }

    /// What to do when the process has no descriptor left and no handle here that could be closed. The first one counts.
    pub(crate) fn on_shortage(&self, relief: impl Fn() + Send + Sync + 'static) {
        // A second one is of the same engine.
        let _ = self.relief.set(Box::new(relief));
    }

    /// The number of handles open now.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// The handle of file number `file`, opened for `access` if it is not yet. Gives back, too, the folders that
    /// got a new entry by it.
    pub(crate) fn open(
        &self,
        storage: &Storage,
        file: usize,
        access: Access,
    ) -> Result<(Arc<File>, Vec<PathBuf>), DiskError> {
        let key = (storage.id(), file);
        if let Some(handle) = self.lock().get(&key)
            && (access == Access::Read || handle.access == Access::Write)
        {
            return Ok((Arc::clone(&handle.file), Vec::new()));
        }
        let layout = storage.layout();
        let path = &layout.files()[file].path;
        let opened = self.with_room(|| self.ways.open(layout.root(), path, access))?;
        let file = Arc::new(opened.file);
        self.keep(key, Handle { file: Arc::clone(&file), access });
        Ok((file, opened.folders_changed))
    }

    /// The handle of file number `file`, if it is open.
    pub(crate) fn get(&self, storage: &Storage, file: usize) -> Option<Arc<File>> {
        self.lock().get(&(storage.id(), file)).map(|handle| Arc::clone(&handle.file))
    }

    /// Calls `open`, and again for as long as the process has too many files open: with fewer of ours each time, and
    /// then after a wait, since others need theirs only for a moment.
    pub(super) fn with_room<T>(&self, open: impl Fn() -> Result<T, DiskError>) -> Result<T, DiskError> {
        let mut waits = 0;
        loop {
            match open() {
                Err(error) if error.kind() == DiskErrorKind::TooManyFiles && waits < ROOM_WAITS_MAX => {
                    if !self.close_half() {
                        waits += 1;
                        if let Some(relief) = self.relief.get() {
                            relief();
                        }
                        thread::sleep(ROOM_WAIT);
                    }
                }
                other => return other,
            }
        }
    }

    /// Closes the handles of one storage.
    pub(crate) fn close_all_of(&self, storage: StorageId) {
        self.ways.forget();
        let closed = self.lock().remove_where(|(owner, _)| *owner == storage);
        // Closing may take a while on some file systems: not under the lock.
        drop(closed);
    }

    fn keep(&self, key: FileKey, handle: Handle) {
        let mut handles = self.lock();
        // Where two threads opened the same file at once, the handle that can do more stays.
        let better = handles.get(&key).is_some_and(|there| there.access == Access::Write);
        let mut closed = Vec::new();
        if !better {
            closed.extend(handles.insert(key, handle));
        }
        while handles.len() > self.limit {
            closed.extend(handles.pop_oldest());
        }
        drop(handles);
        drop(closed);
    }

    /// Closes those that were used longest ago. Returns whether there was one.
    pub(crate) fn close_half(&self) -> bool {
        let mut handles = self.lock();
        let closed: Vec<_> = (0..handles.len().div_ceil(2)).filter_map(|_| handles.pop_oldest()).collect();
        drop(handles);
        !closed.is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Lru<FileKey, Handle>> {
        // A panic in here leaves at worst a handle too many or too few.
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::disk::error::DiskAction;

    #[test]
    fn row_2_15_a_file_is_opened_once_somebody_gives_up_a_descriptor() {
        let full = || {
            let cause = std::io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error());
            DiskError::new(DiskAction::Open, std::path::Path::new("file"), cause)
        };
        let files = OpenFiles::new(4);
        for (failures, opens) in [(0, true), (1, true), (3, true), (u32::MAX, false)] {
            let tries = Cell::new(0);
            let opened = files.with_room(|| {
                tries.set(tries.get() + 1);
                if tries.get() > failures { Ok(()) } else { Err(full()) }
            });
            assert_eq!(opened.is_ok(), opens, "{failures}");
            assert!(tries.get() <= 1 + ROOM_WAITS_MAX, "it does not try for ever");
        }
    }
}
