//! The payload of one torrent as one run of bytes over its files.
//!
//! Files are opened when they are first touched: for reading only until something is written, so that a read-only
//! folder seeds and no time stamp changes. Nothing is allocated ahead: files are sparse. Every access is a `pread` or
//! a `pwrite`; a file that was truncated under us is an error and never a signal.

use std::{
    collections::BTreeSet,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use super::{
    confined::{self, Access},
    error::{DiskAction, DiskError, DiskErrorKind},
    gate::WriteGate,
    layout::Layout,
    open_files::OpenFiles,
    position,
};

/// One storage of this process; never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StorageId(u64);

impl StorageId {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The files of one torrent. All methods block on the disk and may be called from several threads at once.
#[derive(Debug)]
pub struct Storage {
    id: StorageId,
    layout: Layout,
    open_files: Arc<OpenFiles>,
    /// Per file: written to since the last [`Storage::sync`].
    dirty: Box<[AtomicBool]>,
    /// Folders that got a new entry since the last [`Storage::sync`].
    folders_changed: Mutex<BTreeSet<PathBuf>>,
    gate: WriteGate,
    /// Held for reading by whoever changes a file.
    writers: RwLock<()>,
    /// No file is changed any more.
    is_retired: AtomicBool,
}

impl Storage {
    /// The storage of a layout. Touches nothing yet.
    pub fn new(layout: Layout, open_files: &Arc<OpenFiles>) -> Arc<Self> {
        let dirty = layout.files().iter().map(|_| AtomicBool::new(false)).collect();
        Arc::new(Self {
            id: StorageId::next(),
            layout,
            open_files: Arc::clone(open_files),
            dirty,
            folders_changed: Mutex::default(),
            gate: WriteGate::default(),
            writers: RwLock::default(),
            is_retired: AtomicBool::new(false),
        })
    }

    /// This storage among all of the process.
    pub fn id(&self) -> StorageId {
        self.id
    }

    /// Where the bytes lie.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Fills `buffer` with the payload from `offset` on; padding reads as zeros. The range must lie in the payload.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        self.assert_inside(offset, buffer.len());
        for part in self.layout.parts(offset, buffer.len()) {
            let target = &mut buffer[part.start..part.start + part.length];
            if self.layout.files()[part.file].padding {
                target.fill(0);
                continue;
            }
            let file = self.open(part.file, Access::Read)?;
            position::read_exact_at(&file, target, part.offset)
                .map_err(|error| self.error(DiskAction::Read, part.file, error))?;
        }
        Ok(())
    }

    /// As [`Storage::read_at`], but never waits: `false`, with anything in `buffer`, unless all files are open and the
    /// system has all of the range in its memory.
    pub(crate) fn read_in_memory(&self, offset: u64, buffer: &mut [u8]) -> bool {
        self.assert_inside(offset, buffer.len());
        self.layout.parts(offset, buffer.len()).all(|part| {
            let target = &mut buffer[part.start..part.start + part.length];
            if self.layout.files()[part.file].padding {
                target.fill(0);
                return true;
            }
            let file = self.open_files.get(self, part.file);
            file.is_some_and(|file| position::read_in_memory(&file, target, part.offset))
        })
    }

    /// Tells the system that a range is going to be read in order.
    pub(crate) fn read_ahead(&self, offset: u64, length: usize) {
        for part in self.layout.parts(offset, length) {
            if let Some(file) = self.open_files.get(self, part.file) {
                position::read_ahead(&file, part.offset, part.length as u64);
            }
        }
    }

    /// Writes `bytes` to the payload from `offset` on, in calls of some length each; creates what is missing. What falls on
    /// padding is dropped. The range must lie in the payload.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.assert_inside(offset, bytes.len());
        let _writing = self.begin_write()?;
        for part in self.layout.parts(offset, bytes.len()) {
            if self.layout.files()[part.file].padding {
                continue;
            }
            let file = self.open(part.file, Access::Write)?;
            let written =
                position::write_all_at(&file, &bytes[part.start..part.start + part.length], part.offset);
            // Not before: a `sync` that ran meanwhile would have taken the mark, and the next one passed it over.
            self.dirty[part.file].store(true, Ordering::Release);
            written.map_err(|error| self.error(DiskAction::Write, part.file, error))?;
        }
        Ok(())
    }

    /// Creates the empty files among those that are `wanted` (by number): no block ever touches them.
    pub fn create_empty_files(&self, wanted: impl Fn(usize) -> bool) -> Result<(), DiskError> {
        let _writing = self.begin_write()?;
        for (number, file) in self.layout.files().iter().enumerate() {
            // One that is there already may lie in a folder that cannot be written to.
            if file.length == 0 && !file.padding && wanted(number) && self.file_length(number)?.is_none() {
                self.open(number, Access::Write)?;
            }
        }
        Ok(())
    }

    /// Cuts each existing file among those `wanted` (by number) that is longer than it should be, as after a download
    /// over an older version.
    pub fn trim_long_files(&self, wanted: impl Fn(usize) -> bool) -> Result<(), DiskError> {
        let _writing = self.begin_write()?;
        for (number, stamp) in self.stamps(&wanted)?.into_iter().enumerate() {
            let file = &self.layout.files()[number];
            if stamp.is_none_or(|stamp| stamp.length <= file.length) {
                continue;
            }
            let cut = self.open(number, Access::Write)?.set_len(file.length);
            self.dirty[number].store(true, Ordering::Release);
            cut.map_err(|error| self.error(DiskAction::Write, number, error))?;
        }
        Ok(())
    }

    /// The length on the disk of file number `file`, in bytes; `None` if it does not exist.
    pub fn file_length(&self, file: usize) -> Result<Option<u64>, DiskError> {
        Ok(self.stamp(file)?.map(|stamp| stamp.length))
    }

    /// Whether the system knows, without reading more than edges, that the range is all zeros, as where a sparse file was
    /// never written. The files must be long enough.
    pub(crate) fn is_hole(&self, offset: u64, length: usize) -> bool {
        self.layout.parts(offset, length).all(|part| {
            self.layout.files()[part.file].padding
                || self
                    .open(part.file, Access::Read)
                    .is_ok_and(|file| position::is_hole(&file, part.offset, part.length as u64))
        })
    }

    /// Makes all that was written since the last call durable, whose writes have returned: files first, then the folders
    /// that name them. After an error the written data must be taken for lost and checked again: the system may drop it
    /// and report it only once. Only [`DiskErrorKind::TooManyFiles`] says that nothing was lost, and can be tried again.
    pub fn sync(&self) -> Result<(), DiskError> {
        // Windows flushes only what is open for writing.
        let access = if cfg!(windows) { Access::Write } else { Access::Read };
        let mut failed = None;
        for (number, dirty) in self.dirty.iter().enumerate() {
            if dirty.swap(false, Ordering::AcqRel) {
                // What could not even be opened is as it was, and still to be synced.
                let opened = self.open(number, access).inspect_err(|_| dirty.store(true, Ordering::Release));
                let synced = opened.and_then(|file| {
                    file.sync_all().map_err(|error| self.error(DiskAction::Sync, number, error))
                });
                failed = graver(failed, synced.err());
            }
        }
        let folders = std::mem::take(&mut *self.lock_folders());
        for folder in folders {
            if let Err(error) = confined::sync_folder(&folder) {
                failed = graver(failed, Some(error));
                self.lock_folders().insert(folder);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Waits for the changes under way and refuses all later ones: what is noted of the files after this stays true, and
    /// what is removed does not come back.
    pub(crate) fn retire(&self) {
        // First the flag, so that whoever comes now does not queue for the lock.
        self.is_retired.store(true, Ordering::Release);
        drop(self.writers.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// To be held while files are changed.
    fn begin_write(&self) -> Result<RwLockReadGuard<'_, ()>, DiskError> {
        let retired = || self.defect(DiskAction::Write, "the torrent has ended already");
        if self.is_retired.load(Ordering::Acquire) {
            return Err(retired());
        }
        let writing = self.writers.read().unwrap_or_else(PoisonError::into_inner);
        // It may have ended while this waited.
        if self.is_retired.load(Ordering::Acquire) { Err(retired()) } else { Ok(writing) }
    }

    /// Whether file number `file` was written to since the last [`Storage::sync`].
    #[cfg(test)]
    pub(crate) fn is_dirty(&self, file: usize) -> bool {
        self.dirty[file].load(Ordering::Acquire)
    }

    /// Closes the handles of all its files; the next access opens them again.
    pub fn close_files(&self) {
        self.open_files.close_all_of(self.id);
    }

    pub(super) fn open_files(&self) -> &OpenFiles {
        &self.open_files
    }

    pub(crate) fn gate(&self) -> &WriteGate {
        &self.gate
    }

    /// An error that concerns the payload as a whole.
    pub(crate) fn defect(&self, action: DiskAction, text: &'static str) -> DiskError {
        DiskError::with_kind(DiskErrorKind::Internal, action, self.layout.root(), text)
    }

    pub(crate) fn open(&self, file: usize, access: Access) -> Result<Arc<File>, DiskError> {
        match self.open_files.open(self, file, access) {
            Ok((handle, folders)) => {
                if !folders.is_empty() {
                    self.lock_folders().extend(folders);
                }
                Ok(handle)
            }
            Err(error) => {
                if access == Access::Write {
                    // Some of them may have been made before it failed, and the next try finds them there.
                    let path = self.layout.path_of(file);
                    self.lock_folders().extend(path.ancestors().skip(1).map(Path::to_owned));
                }
                Err(error)
            }
        }
    }

    fn error(&self, action: DiskAction, file: usize, error: io::Error) -> DiskError {
        DiskError::new(action, &self.layout.path_of(file), error)
    }

    fn assert_inside(&self, offset: u64, length: usize) {
        let end = offset.checked_add(length as u64);
        assert!(end.is_some_and(|end| end <= self.layout.geometry().total()), "a range of another payload");
    }

    fn lock_folders(&self) -> std::sync::MutexGuard<'_, BTreeSet<PathBuf>> {
        self.folders_changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of two failures of one sync the one that may have lost data.
fn graver(first: Option<DiskError>, second: Option<DiskError>) -> Option<DiskError> {
    let is_harmless = |error: &DiskError| error.kind() == DiskErrorKind::TooManyFiles;
    match (first, second) {
        (Some(first), Some(second)) if is_harmless(&first) => Some(second),
        (first, second) => first.or(second),
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.close_files();
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use potluck_common::Rng;
    use proptest::prelude::*;

    use super::*;
    use crate::disk::testing::{one_file, random_bytes, storage, storage_with};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn reads_and_writes_agree_with_one_run_of_bytes(
            lengths in prop::collection::vec((0u64..60, any::<bool>()), 1..9),
            steps in prop::collection::vec((0.0..1.0f64, 0.0..1.0f64, any::<bool>(), any::<u8>()), 1..25),
            budget in 1usize..4,
        ) {
            let names: Vec<String> = lengths.iter().enumerate().map(|(number, (_, padding))| {
                format!("{}/{}/{number}", if *padding { "pad" } else { "dir" }, number % 3)
            }).collect();
            let files: Vec<(&str, u64)> =
                names.iter().map(String::as_str).zip(lengths.iter().map(|(length, _)| *length)).collect();
            let total = lengths.iter().map(|(length, _)| *length).sum::<u64>() as usize;
            let folder = tempfile::tempdir().expect("folder");
            let open_files = OpenFiles::new(budget);
            let storage = storage_with(folder.path(), &files, 16, &vec![0; total], &open_files);

            // `None` is a byte that was never written; padding is always zero.
            let mut model: Vec<Option<u8>> = Vec::new();
            for (length, padding) in &lengths {
                model.resize(model.len() + *length as usize, padding.then_some(0));
            }
            let padded = model.clone();
            let mut touched = vec![false; files.len()];
            for (from, share, write, byte) in steps {
                let from = (from * total as f64) as usize;
                let length = (share * (total - from) as f64) as usize;
                let range = from..from + length;
                if write {
                    storage.write_at(from as u64, &vec![byte; length]).expect("written");
                    for part in storage.layout().parts(from as u64, length) {
                        touched[part.file] |= !storage.layout().files()[part.file].padding;
                    }
                    for place in range {
                        model[place] = padded[place].or(Some(byte));
                    }
                } else {
                    let mut bytes = vec![0xaa; length];
                    if storage.read_at(from as u64, &mut bytes).is_ok() {
                        // A hole that a later byte left reads as zeros.
                        let expected: Vec<u8> = model[range].iter().map(|byte| byte.unwrap_or(0)).collect();
                        prop_assert_eq!(bytes, expected);
                    } else {
                        prop_assert!(model[range].contains(&None), "written bytes must be readable");
                    }
                }
                prop_assert!(open_files.count() <= budget);
            }
            storage.sync().expect("synced");
            for (number, touched) in touched.iter().enumerate() {
                let there = storage.file_length(number).expect("inspected").is_some();
                prop_assert_eq!(there, *touched, "only a write creates a file: {}", names[number]);
            }
        }
    }

    #[test]
    fn empty_files_are_made_on_demand_and_long_ones_trimmed() {
        let folder = tempfile::tempdir().expect("folder");
        let files = [("a/empty", 0), ("b", 3), ("unwanted", 0), ("pad/0", 0)];
        let storage = storage(folder.path(), &files, 4, &[0; 3]);
        storage.create_empty_files(|file| file != 2).expect("created");
        let lengths: Vec<_> = (0..4).map(|file| storage.file_length(file).expect("inspected")).collect();
        assert_eq!(lengths, [Some(0), None, None, None]);
        fs::write(folder.path().join("b"), b"too long").expect("file");
        fs::write(folder.path().join("unwanted"), b"too long").expect("file");
        storage.trim_long_files(|file| file != 2).expect("trimmed");
        assert_eq!(fs::read(folder.path().join("b")).expect("file"), b"too");
        assert_eq!(storage.file_length(2).expect("inspected"), Some(8));
        storage.sync().expect("synced");
    }

    #[test]
    fn what_is_retired_waits_for_its_writers_and_changes_nothing_any_more() {
        let folder = tempfile::tempdir().expect("folder");
        let storage = storage(folder.path(), &[("a", 4), ("empty", 0), ("b", 4)], 4, &[1; 8]);
        storage.write_at(0, &[1; 4]).expect("written");
        let late = storage.begin_write().expect("runs");
        let (sender, retired) = std::sync::mpsc::channel();
        let other = Arc::clone(&storage);
        let thread = std::thread::spawn(move || {
            other.retire();
            sender.send(()).expect("heard");
        });
        while !storage.is_retired.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        assert!(retired.try_recv().is_err(), "a write is under way");
        drop(late);
        thread.join().expect("ended");
        let removal = storage.remove_files(|_| false);
        assert_eq!(removal.files, 1);
        for result in [storage.write_at(0, &[1; 8]), storage.create_empty_files(|_| true)] {
            assert_eq!(result.expect_err("refused").kind(), DiskErrorKind::Internal);
        }
        assert!(fs::read_dir(folder.path()).expect("folder").next().is_none(), "nothing came back");
    }

    #[test]
    fn a_short_or_missing_file_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().expect("folder");
        let payload = random_bytes(&mut Rng::new(1), 100);
        let storage = storage(folder.path(), &[("a", 40), ("b", 60)], 50, &payload);
        let mut buffer = [0; 100];
        let error = storage.read_at(0, &mut buffer).unwrap_err();
        assert_eq!(error.kind(), DiskErrorKind::NotFound);
        assert_eq!(error.path(), folder.path().join("a"));
        storage.write_at(0, &payload).expect("written");
        storage.read_at(0, &mut buffer).expect("read");
        assert_eq!(buffer[..], payload);
        // Truncated under us, with the handle open.
        File::options().write(true).open(folder.path().join("b")).and_then(|f| f.set_len(10)).expect("cut");
        let error = storage.read_at(0, &mut buffer).unwrap_err();
        assert_eq!((error.kind(), error.path()), (DiskErrorKind::ShortFile, &*folder.path().join("b")));
        storage.read_at(0, &mut buffer[..50]).expect("what is there can be read");
    }

    #[cfg(unix)]
    #[test]
    fn reading_changes_nothing_and_a_link_in_the_way_is_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("file");
        fs::write(&path, b"payload").expect("file");
        let modified = || fs::metadata(&path).and_then(|metadata| metadata.modified()).expect("time");
        let before = modified();
        let storage = one_file(folder.path(), 16, b"payload");
        let mut buffer = [0; 7];
        storage.read_at(0, &mut buffer).expect("read");
        storage.sync().expect("nothing to do");
        assert_eq!((modified(), &buffer), (before, b"payload"));
        let handle = storage.open(0, Access::Read).expect("open");
        let flags = rustix::fs::fcntl_getfl(&*handle).expect("flags");
        assert!(!flags.contains(rustix::fs::OFlags::RDWR), "opened for reading only");
        storage.write_at(0, b"P").expect("reopened for writing");
        storage.read_at(0, &mut buffer).expect("read");
        assert_eq!(&buffer, b"Payload");

        storage.close_files();
        fs::rename(&path, folder.path().join("elsewhere")).expect("moved");
        std::os::unix::fs::symlink("elsewhere", &path).expect("link");
        assert_eq!(storage.read_at(0, &mut buffer).unwrap_err().kind(), DiskErrorKind::Symlink);
        assert_eq!(storage.write_at(0, b"p").unwrap_err().kind(), DiskErrorKind::Symlink);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_without_permission_seeds_but_cannot_be_written_to() {
        use std::os::unix::fs::PermissionsExt as _;
        if rustix::process::geteuid().is_root() {
            eprintln!("skipped: no permission bit stops root; see the read-only file system below");
            return;
        }
        let folder = tempfile::tempdir().expect("folder");
        fs::write(folder.path().join("file"), b"payload").expect("file");
        let permit = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
        permit(&folder.path().join("file"), 0o444).and_then(|()| permit(folder.path(), 0o555)).expect("mode");
        let storage = storage(folder.path(), &[("file", 7), ("new", 1)], 16, b"payload!");
        storage.read_at(0, &mut [0; 7]).expect("read");
        assert_eq!(storage.write_at(0, b"P").unwrap_err().kind(), DiskErrorKind::Permission);
        assert_eq!(storage.write_at(7, b"P").unwrap_err().kind(), DiskErrorKind::Permission);
        permit(folder.path(), 0o755).expect("mode");
    }

    /// A tiny file system of its own, for as long as it lives.
    #[cfg(target_os = "linux")]
    struct Mount(tempfile::TempDir);

    #[cfg(target_os = "linux")]
    impl Mount {
        fn new() -> Option<Self> {
            let folder = tempfile::tempdir().expect("folder");
            Self::mount(&["-t", "tmpfs", "-o", "size=64k", "none"], folder.path())
                .then(|| Self(folder))
                .or_else(|| {
                    eprintln!("skipped: mounting a file system needs root");
                    None
                })
        }

        fn mount(arguments: &[&str], path: &Path) -> bool {
            let mut command = std::process::Command::new("mount");
            command.args(arguments).arg(path).stderr(std::process::Stdio::null());
            command.status().is_ok_and(|status| status.success())
        }
    }

    #[cfg(target_os = "linux")]
    impl Drop for Mount {
        fn drop(&mut self) {
            let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
        }
    }

    #[test]
    fn of_two_failures_the_one_that_may_have_lost_data_is_told() {
        let failure = |kind| Some(DiskError::with_kind(kind, DiskAction::Sync, Path::new("f"), "failed"));
        let (harmless, grave) = (|| failure(DiskErrorKind::TooManyFiles), || failure(DiskErrorKind::Device));
        let kind = |error: Option<DiskError>| error.map(|error| error.kind());
        assert_eq!(kind(graver(harmless(), grave())), Some(DiskErrorKind::Device));
        assert_eq!(kind(graver(grave(), harmless())), Some(DiskErrorKind::Device));
        assert_eq!(kind(graver(None, harmless())), Some(DiskErrorKind::TooManyFiles));
        assert_eq!(kind(graver(harmless(), None)), Some(DiskErrorKind::TooManyFiles));
        assert_eq!(kind(graver(None, None)), None);
    }

    #[test]
    fn folders_made_before_a_failure_are_still_to_be_synced() {
        let folder = tempfile::tempdir().expect("folder");
        let root = folder.path().join("root");
        let storage = storage(&root, &[("a/b/c", 10)], 10, &[7; 10]);
        fs::create_dir_all(root.join("a")).expect("folder");
        fs::write(root.join("a/b"), b"in the way").expect("file");
        storage.write_at(0, &[7; 10]).unwrap_err();
        let noted = storage.lock_folders().clone();
        assert!(noted.contains(&root) && noted.contains(&root.join("a")), "{noted:?}");
        fs::remove_file(root.join("a/b")).expect("removed");
        storage.write_at(0, &[7; 10]).expect("written");
        storage.sync().expect("synced");
        assert!(storage.lock_folders().is_empty());
        assert!(!storage.dirty[0].load(Ordering::Acquire));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_and_a_read_only_one_are_told_apart() {
        let Some(mount) = Mount::new() else { return };
        let payload = random_bytes(&mut Rng::new(1), 200_000);
        let storage = storage(mount.0.path(), &[("a", 10_000), ("b", 190_000)], 100_000, &payload);
        storage.write_at(0, &payload[..10_000]).expect("fits");
        let error = storage.write_at(0, &payload).unwrap_err();
        assert_eq!((error.kind(), error.path()), (DiskErrorKind::NoSpace, &*mount.0.path().join("b")));
        let mut buffer = vec![0; 10_000];
        storage.read_at(0, &mut buffer).expect("seeding goes on");
        assert_eq!(buffer, payload[..10_000]);
        storage.sync().expect("what fitted is there");
        fs::remove_file(mount.0.path().join("b")).expect("freed");
        storage.close_files();
        storage.write_at(10_000, &payload[10_000..20_000]).expect("there is room again");

        storage.close_files();
        assert!(Mount::mount(&["-o", "remount,ro"], mount.0.path()));
        storage.read_at(0, &mut buffer).expect("a read-only folder seeds");
        let error = storage.write_at(0, &payload[..10_000]).unwrap_err();
        assert_eq!((error.kind(), error.action()), (DiskErrorKind::ReadOnly, DiskAction::Create));
    }
}
