//! Noticing that a file changed without reading it, and what else the resume state needs of the disk.

use std::{fs::Metadata, time::UNIX_EPOCH};

use super::{
    confined::{Access, Ways},
    error::{DiskAction, DiskError, DiskErrorKind},
    layout::LayoutFile,
    position,
    storage::Storage,
};

/// By what a change of a file is noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileStamp {
    /// In bytes.
    pub length: u64,
    /// When it was last modified, in nanoseconds since 1970; [`FileStamp::UNKNOWN`] where the system does not say.
    pub modified_ns: i64,
}

impl FileStamp {
    /// Stands for a time that is not known or cannot be counted.
    pub const UNKNOWN: i64 = i64::MIN;

    pub(crate) fn new(length: u64, seconds: i128, nanoseconds: i128) -> Self {
        let modified = seconds.checked_mul(1_000_000_000).and_then(|whole| whole.checked_add(nanoseconds));
        let modified = modified.and_then(|modified| i64::try_from(modified).ok());
        Self { length, modified_ns: modified.unwrap_or(Self::UNKNOWN) }
    }

    pub(crate) fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok();
        let since = modified.and_then(|at| match at.duration_since(UNIX_EPOCH) {
            Ok(after) => i128::try_from(after.as_nanos()).ok(),
            Err(before) => i128::try_from(before.duration().as_nanos()).ok().map(|nanoseconds| -nanoseconds),
        });
        Self::new(metadata.len(), 0, since.unwrap_or(i128::MAX))
    }

    /// Whether a file that had this stamp and has the `other` now can be taken for unchanged.
    pub fn agrees(&self, other: &Self) -> bool {
        self == other && self.modified_ns != Self::UNKNOWN
    }
}

impl Storage {
    /// The stamp of file number `file`; `None` if it does not exist.
    pub fn stamp(&self, file: usize) -> Result<Option<FileStamp>, DiskError> {
        self.stamp_by(&Ways::default(), file)
    }

    /// The stamps of all files; `None` for those that do not exist, are padding, or are not `wanted` (by number).
    pub(crate) fn stamps(&self, wanted: impl Fn(usize) -> bool) -> Result<Vec<Option<FileStamp>>, DiskError> {
        // Begun anew each time: a folder that was moved away meanwhile must be missed.
        let ways = Ways::default();
        let files = self.layout().files().iter().enumerate();
        let is_looked_at = |number, file: &LayoutFile| !file.padding && wanted(number);
        files
            .map(
                |(number, file)| {
                    if is_looked_at(number, file) { self.stamp_by(&ways, number) } else { Ok(None) }
                },
            )
            .collect()
    }

    fn stamp_by(&self, ways: &Ways, file: usize) -> Result<Option<FileStamp>, DiskError> {
        let (root, path) = (self.layout().root(), &self.layout().files()[file].path);
        // The way to a file is opened folder by folder.
        self.open_files().with_room(|| ways.inspect(root, path))
    }

    /// When file number `file` was last changed in any way, in nanoseconds since 1970, also where somebody has set its
    /// time of modification back, as copying does; [`FileStamp::UNKNOWN`] if the system does not say.
    pub(crate) fn changed_ns(&self, file: usize) -> i64 {
        let metadata = self.open(file, Access::Read).ok().and_then(|handle| handle.metadata().ok());
        let changed = |metadata: &Metadata| {
            #[cfg(unix)]
            return {
                use std::os::unix::fs::MetadataExt as _;
                FileStamp::new(0, metadata.ctime().into(), metadata.ctime_nsec().into())
            };
            #[cfg(not(unix))]
            FileStamp::of(metadata)
        };
        metadata.as_ref().map(changed).map_or(FileStamp::UNKNOWN, |stamp| stamp.modified_ns)
    }

    /// Fails if another file has taken the place of file number `file` since it was opened: what is written to it is
    /// lost with the last handle. `Ok` where the system does not tell files apart.
    pub(crate) fn must_be_in_place(&self, file: usize) -> Result<(), DiskError> {
        let Some(handle) = self.open_files().get(self, file) else { return Ok(()) };
        let path = self.layout().path_of(file);
        let failed = |error| DiskError::new(DiskAction::Inspect, &path, error);
        // By a way begun anew, as for a stamp.
        let (ways, root, relative) =
            (Ways::default(), self.layout().root(), &self.layout().files()[file].path);
        let in_place = match self.open_files().with_room(|| ways.open(root, relative, Access::Read)) {
            Err(error) if error.kind() == DiskErrorKind::NotFound => return Ok(()),
            other => other?.file.metadata().map_err(failed)?,
        };
        if is_same(&handle.metadata().map_err(failed)?, &in_place) {
            return Ok(());
        }
        let text = "another file has taken its place while it was being written to";
        Err(DiskError::with_kind(DiskErrorKind::Other, DiskAction::Write, &path, text))
    }

    /// Makes what anybody wrote to file number `file` durable, whoever it was. One that is gone is passed over.
    pub(crate) fn sync_file(&self, file: usize) -> Result<(), DiskError> {
        let access = if cfg!(windows) { Access::Write } else { Access::Read };
        let synced = self.open(file, access).and_then(|handle| {
            let failed = |error| DiskError::new(DiskAction::Sync, &self.layout().path_of(file), error);
            handle.sync_all().map_err(failed)
        });
        match synced {
            Err(error) if error.kind() == DiskErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Asks the system to read this range from the device when it is read next, and not from its memory, which may hold
    /// what the device refused to take. No more than a request, and nothing where the system knows none.
    pub(crate) fn forget_cached(&self, offset: u64, length: usize) {
        for part in self.layout().parts(offset, length) {
            if !self.layout().files()[part.file].padding
                && let Ok(file) = self.open(part.file, Access::Read)
            {
                position::forget_cached(&file, part.offset, part.length as u64);
            }
        }
    }
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same(_: &Metadata, _: &Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        time::{Duration, SystemTime},
    };

    use super::*;
    use crate::disk::testing::one_file;

    #[test]
    fn both_ways_to_a_stamp_agree_also_before_1970() {
        let folder = tempfile::tempdir().expect("folder");
        let storage = one_file(folder.path(), 16, b"payload");
        assert_eq!(storage.stamp(0).expect("inspected"), None);
        storage.write_at(0, b"payload").expect("written");
        let path = folder.path().join("file");
        let hour = Duration::from_secs(3600);
        for at in [SystemTime::now(), UNIX_EPOCH, UNIX_EPOCH - hour, UNIX_EPOCH + hour] {
            File::options().write(true).open(&path).and_then(|file| file.set_modified(at)).expect("set");
            let stamp = storage.stamp(0).expect("inspected").expect("there");
            assert_eq!(stamp, FileStamp::of(&fs::metadata(&path).expect("there")));
            assert!(stamp.agrees(&stamp) && stamp.length == 7);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_was_replaced_is_noticed_and_one_that_is_gone_is_missed_elsewhere() {
        let folder = tempfile::tempdir().expect("folder");
        let storage = one_file(folder.path(), 16, b"payload");
        let path = folder.path().join("file");
        storage.must_be_in_place(0).expect("nothing is open");
        storage.write_at(0, b"payload").expect("written");
        storage.must_be_in_place(0).expect("in place");
        fs::rename(&path, folder.path().join("away")).expect("moved");
        storage.must_be_in_place(0).expect("nothing is in its place");
        fs::write(&path, b"foreign").expect("written");
        let error = storage.must_be_in_place(0).expect_err("another file");
        assert!(error.path() == path && error.to_string().contains("another file"), "{error}");
        storage.close_files();
        storage.must_be_in_place(0).expect("nothing is open");
    }

    #[cfg(unix)]
    #[test]
    fn a_copy_that_keeps_the_time_of_its_original_is_new_all_the_same() {
        let folder = tempfile::tempdir().expect("folder");
        let storage = one_file(folder.path(), 16, b"payload");
        assert_eq!(storage.changed_ns(0), FileStamp::UNKNOWN);
        storage.write_at(0, b"payload").expect("written");
        let path = folder.path().join("file");
        let year = Duration::from_secs(365 * 86_400);
        let before = SystemTime::now() - year;
        File::options().write(true).open(&path).and_then(|file| file.set_modified(before)).expect("set");
        let modified = storage.stamp(0).expect("inspected").expect("there").modified_ns;
        assert!(storage.changed_ns(0) - modified >= year.as_nanos() as i64 - 1_000_000_000);
    }

    #[test]
    fn an_unknown_time_agrees_with_nothing() {
        let stamp = FileStamp::new(7, i128::MAX, 0);
        assert_eq!(stamp.modified_ns, FileStamp::UNKNOWN);
        assert!(!stamp.agrees(&stamp));
        assert!(!FileStamp::new(7, 1, 0).agrees(&FileStamp::new(8, 1, 0)));
    }
}
