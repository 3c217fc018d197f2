//! What can go wrong with a file, said so that a person can act on it.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use potluck_common::Printable;

/// What happened, as far as it decides what to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskErrorKind {
    /// The disk or the quota is full.
    NoSpace,
    /// The file system cannot hold a file of this size.
    TooLarge,
    /// The file system is mounted read-only.
    ReadOnly,
    /// The user may not do this here.
    Permission,
    /// The file or a folder on the way to it does not exist.
    NotFound,
    /// The file or a folder on the way to it is a symbolic link; none is ever followed.
    Symlink,
    /// Something that is not a file (or not a folder) has the place.
    NotAFile,
    /// The file ends before the bytes that were asked for.
    ShortFile,
    /// The process or the system has too many files open.
    TooManyFiles,
    /// The system was short of memory or busy for the moment.
    Busy,
    /// The device failed.
    Device,
    /// A defect of ours, caught at the edge of the disk threads.
    Internal,
    /// Anything else; the text of the operating system says more.
    Other,
}

impl DiskErrorKind {
    pub(crate) fn of(error: &io::Error) -> Self {
        #[cfg(unix)]
        if let Some(errno) = rustix::io::Errno::from_io_error(error) {
            use rustix::io::Errno;
            match errno {
                Errno::LOOP => return Self::Symlink,
                Errno::IO | Errno::NXIO => return Self::Device,
                Errno::MFILE | Errno::NFILE => return Self::TooManyFiles,
                Errno::NOMEM | Errno::NOBUFS | Errno::AGAIN | Errno::INTR | Errno::BUSY => return Self::Busy,
                _ => {}
            }
        }
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace,
            io::ErrorKind::FileTooLarge => Self::TooLarge,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::PermissionDenied => Self::Permission,
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => Self::NotAFile,
            io::ErrorKind::UnexpectedEof => Self::ShortFile,
            _ => Self::Other,
        }
    }

    fn remedy(self) -> Option<&'static str> {
        match self {
            Self::NoSpace => Some("free some space or choose another folder"),
            Self::TooLarge => Some("choose a folder on a file system for large files; see ulimit -f, too"),
            Self::ReadOnly => Some("choose a folder that can be written to"),
            Self::Permission => Some("check the permissions or choose another folder"),
            Self::NotFound => Some("check that the drive is connected and the path is right"),
            Self::Symlink => Some("put a real file or folder in its place"),
            Self::NotAFile => Some("move away what has its place"),
            Self::ShortFile => Some("something else has changed it; check the payload again"),
            Self::TooManyFiles => Some("raise the limit on open files"),
            Self::Busy => Some("close other programs or try again"),
            Self::Device => Some("check the disk and its cable"),
            Self::Internal => Some("please report this defect"),
            Self::Other => None,
        }
    }
}

/// What was being done to a file or folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskAction {
    /// Opening it for reading.
    Open,
    /// Creating it, or opening it for writing.
    Create,
    /// Reading from it.
    Read,
    /// Writing to it.
    Write,
    /// Making what was written durable.
    Sync,
    /// Looking at its length or kind.
    Inspect,
    /// Removing it.
    Remove,
}

impl fmt::Display for DiskAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Create => "create",
            Self::Read => "read",
            Self::Write => "write",
            Self::Sync => "save",
            Self::Inspect => "look at",
            Self::Remove => "remove",
        })
    }
}

/// A failure of the disk. Its text is one line that names the path, says what happened and what can be done.
#[derive(Clone, Debug)]
pub struct DiskError {
    kind: DiskErrorKind,
    action: DiskAction,
    path: PathBuf,
    cause: Arc<io::Error>,
}

impl DiskError {
    /// The failure of `action` on `path`.
    pub fn new(action: DiskAction, path: &Path, cause: io::Error) -> Self {
        let kind = DiskErrorKind::of(&cause);
        Self { kind, action, path: path.to_owned(), cause: Arc::new(cause) }
    }

    /// A failure that the operating system's error alone does not tell.
    pub(crate) fn with_kind(
        kind: DiskErrorKind,
        action: DiskAction,
        path: &Path,
        text: &'static str,
    ) -> Self {
        Self { kind, action, path: path.to_owned(), cause: Arc::new(io::Error::other(text)) }
    }

    /// What happened.
    pub fn kind(&self) -> DiskErrorKind {
        self.kind
    }

    /// What was being done.
    pub fn action(&self) -> DiskAction {
        self.action
    }

    /// The file or folder. It may hold text of foreign origin: show the error itself instead, which is made safe.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = Printable::new(&self.path.to_string_lossy());
        write!(f, "cannot {} {path}: ", self.action)?;
        match self.kind {
            DiskErrorKind::NoSpace => f.write_str("no space left on the disk")?,
            DiskErrorKind::TooLarge => f.write_str("the file system holds no file of this size")?,
            DiskErrorKind::ReadOnly => f.write_str("the file system is read-only")?,
            DiskErrorKind::Permission => f.write_str("permission denied")?,
            DiskErrorKind::NotFound => f.write_str("it does not exist")?,
            DiskErrorKind::Symlink => f.write_str("it is a symbolic link, and links are not followed")?,
            DiskErrorKind::ShortFile => f.write_str("the file is shorter than it should be")?,
            DiskErrorKind::TooManyFiles => f.write_str("too many files are open")?,
            DiskErrorKind::Device => f.write_str("the device failed")?,
            DiskErrorKind::NotAFile => f.write_str("something else has its place")?,
            DiskErrorKind::Busy | DiskErrorKind::Internal | DiskErrorKind::Other => {
                write!(f, "{}", self.cause)?;
            }
        }
        match self.kind.remedy() {
            Some(remedy) => write!(f, " ({remedy})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for DiskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_names_the_path_and_a_remedy() {
        let check = |kind: io::ErrorKind, expected: DiskErrorKind, words: &str| {
            let error = DiskError::new(DiskAction::Write, Path::new("/d/evil\x1b[2J"), io::Error::from(kind));
            assert_eq!(error.kind(), expected);
            let text = error.to_string();
            assert!(text.starts_with("cannot write /d/evil\\u{1b}[2J: "), "{text}");
            assert!(text.contains(words), "{text}");
        };
        check(io::ErrorKind::StorageFull, DiskErrorKind::NoSpace, "free some space");
        check(io::ErrorKind::QuotaExceeded, DiskErrorKind::NoSpace, "no space");
        check(io::ErrorKind::ReadOnlyFilesystem, DiskErrorKind::ReadOnly, "read-only");
        check(io::ErrorKind::PermissionDenied, DiskErrorKind::Permission, "permissions");
        check(io::ErrorKind::NotFound, DiskErrorKind::NotFound, "does not exist");
        check(io::ErrorKind::UnexpectedEof, DiskErrorKind::ShortFile, "shorter");
        check(io::ErrorKind::IsADirectory, DiskErrorKind::NotAFile, "its place");
    }

    #[cfg(unix)]
    #[test]
    fn error_numbers_without_a_portable_name_are_known() {
        use rustix::io::Errno;
        for (errno, kind) in [
            (Errno::IO, DiskErrorKind::Device),
            (Errno::LOOP, DiskErrorKind::Symlink),
            (Errno::DQUOT, DiskErrorKind::NoSpace),
            (Errno::FBIG, DiskErrorKind::TooLarge),
            (Errno::NOMEM, DiskErrorKind::Busy),
            (Errno::NOSPC, DiskErrorKind::NoSpace),
            (Errno::ROFS, DiskErrorKind::ReadOnly),
            (Errno::ACCESS, DiskErrorKind::Permission),
            (Errno::MFILE, DiskErrorKind::TooManyFiles),
            (Errno::NODEV, DiskErrorKind::Other),
        ] {
            let error = DiskError::new(DiskAction::Write, Path::new("f"), errno.into());
            assert_eq!(error.kind(), kind, "{errno}");
        }
    }
}
