//! The few things that keeping states asks of a file system, behind a trait: so that a test can record them and cut
//! them off at every step.

use std::{
    fmt,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

/// One folder of files. Nothing is durable before it was synced: the content of a file by [`StateFile::sync`], its name
/// by [`StateFs::sync_folder`].
pub(crate) trait StateFs: fmt::Debug + Send + Sync {
    /// A new empty file, in the place of one that may be there.
    fn create(&self, name: &str) -> io::Result<Box<dyn StateFile>>;
    /// Gives a file another name, in the place of one that may be there.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes the names durable.
    fn sync_folder(&self) -> io::Result<()>;
    /// The content of a file; [`io::ErrorKind::FileTooLarge`] if it has more than `bytes_max`, and
    /// [`io::ErrorKind::InvalidInput`] if it is no file.
    fn read(&self, name: &str, bytes_max: usize) -> io::Result<Vec<u8>>;
    /// The names of all files, in no order. What is no UTF-8 is none of ours.
    fn names(&self) -> io::Result<Vec<String>>;
    /// Where a file lies, for people.
    fn path_of(&self, name: &str) -> PathBuf;
}

/// A file that is being written.
pub(crate) trait StateFile {
    /// Appends `bytes`.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes the content durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// A folder of the operating system.
#[derive(Clone, Debug)]
pub(crate) struct RealFs {
    folder: PathBuf,
}

impl RealFs {
    /// Makes the folder if it is missing, for nobody but the user: what somebody downloads is nobody else's business.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// A folder to read from. It need not exist.
    pub(crate) fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Whether a file can be made here.
    pub(crate) fn probe(&self) -> io::Result<()> {
        let name = format!("probe-{}", std::process::id());
        drop(self.create(&name)?);
        self.remove(&name)
    }

    /// The lock of this name: nobody else has it while the file is open. `None` if somebody has it now; a file system
    /// without locks gives it to everybody.
    pub(crate) fn lock(&self, name: &str) -> io::Result<Option<File>> {
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).open(self.folder.join(name))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(None),
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(file)),
        }
    }
}

impl StateFs for RealFs {
    fn create(&self, name: &str) -> io::Result<Box<dyn StateFile>> {
        Ok(Box::new(File::create(self.folder.join(name))?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.folder.join(from), self.folder.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.folder.join(name))
    }

    fn sync_folder(&self) -> io::Result<()> {
        // Only Unix can open a folder as a file, and only there a name needs it.
        if cfg!(unix) { File::open(&self.folder)?.sync_all() } else { Ok(()) }
    }

    fn read(&self, name: &str, bytes_max: usize) -> io::Result<Vec<u8>> {
        let path = self.folder.join(name);
        // A pipe in the place of the file would block whoever opens it.
        if !fs::metadata(&path)?.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let file = File::open(path)?;
        let mut bytes = Vec::new();
        file.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > bytes_max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.folder)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    }

    fn path_of(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl StateFile for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}
