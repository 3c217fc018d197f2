//! How a command ends: the exit codes and the one error type of the command line.

use std::{error::Error, fmt, io, path::Path};

use potluck_common::Printable;

/// The exit codes of every command. Scripts rely on them: a number never changes its meaning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Exit {
    /// What was asked for is done.
    Done = 0,
    /// A failure without a number of its own.
    Other = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A file, torrent or payload is not there.
    NotFound = 3,
    /// The torrent, magnet link or metainfo is bad or refused.
    BadTorrent = 4,
    /// The network, a server or a port is not available.
    Network = 5,
    /// `--timeout` or `--stall-timeout` has passed.
    TimedOut = 6,
    /// Stopped by the user with work unfinished.
    Stopped = 7,
    /// No space, no permission, or an I/O error.
    Disk = 8,
    /// Data failed its verification.
    Damaged = 9,
    /// Something is there already.
    Conflict = 10,
    /// Access was refused.
    Refused = 11,
    /// Ctrl-C twice.
    Interrupted = 130,
    /// SIGTERM.
    Terminated = 143,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed: shown as one line, `potluck: <thing>: <what>; <remedy>`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// The file, URL, address or option it is about.
    pub thing: Printable,
    /// What is wrong with it.
    pub what: Printable,
    /// What to do; empty when there is nothing to advise.
    pub remedy: Printable,
}

/// The result of a command.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure that names the thing, what is wrong with it, and what to do.
    pub fn new(
        exit: Exit,
        thing: impl fmt::Display,
        what: impl fmt::Display,
        remedy: impl fmt::Display,
    ) -> Self {
        Self {
            exit,
            thing: Printable::new(&thing.to_string()),
            what: Printable::new(&without_numbers(&what.to_string())),
            remedy: Printable::new(&remedy.to_string()),
        }
    }

    /// A failure to read or write `path`; missing files are [`Exit::NotFound`], everything else [`Exit::Disk`].
    pub fn io(path: &Path, error: &io::Error) -> Self {
        let (exit, remedy) = match error.kind() {
            io::ErrorKind::NotFound => (Exit::NotFound, "check the path"),
            io::ErrorKind::PermissionDenied => (Exit::Disk, "check its permissions or choose another folder"),
            io::ErrorKind::ReadOnlyFilesystem => (Exit::Disk, "choose a folder that can be written to"),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                (Exit::Disk, "free some space or choose another folder")
            }
            io::ErrorKind::AlreadyExists => (Exit::Conflict, "choose another name"),
            _ => (Exit::Disk, "check the path and the disk"),
        };
        Self::new(exit, path.display(), describe(error), remedy)
    }

    /// A failure whose text names the thing and the remedy already.
    pub fn sentence(exit: Exit, text: impl fmt::Display) -> Self {
        Self::new(exit, "", text, "")
    }

    /// The failure without the `potluck: ` that begins its line.
    pub fn line(&self) -> String {
        let Self { thing, what, remedy, .. } = self;
        let mut line = what.to_string();
        if !thing.as_str().is_empty() {
            line.insert_str(0, &format!("{thing}: "));
        }
        if !remedy.as_str().is_empty() {
            line.push_str("; ");
            line.push_str(remedy.as_str());
        }
        line
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "potluck: {}", self.line())
    }
}

impl Error for Failure {}

/// What an I/O error means, without the "(os error 13)" that helps nobody.
pub fn describe(error: &io::Error) -> String {
    let text = without_numbers(&error.to_string());
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => "unknown error".into(),
    }
}

/// `text` without the numbers that the standard library adds to the words of the operating system.
pub fn without_numbers(text: &str) -> String {
    let mut parts = text.split(" (os error ");
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // What is no number stays as it was.
        match part.split_once(')') {
            Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => clean.push_str(rest),
            _ => clean.extend([" (os error ", part]),
        }
    }
    clean
}

/// The exit code of several inputs: the highest-numbered failure.
pub fn worst(exits: impl IntoIterator<Item = Exit>) -> Exit {
    exits.into_iter().max().unwrap_or(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_whatever_the_names_contain() {
        let failure = Failure::new(Exit::NotFound, "a\nb\x1b[2J", "no such\r\nfile", "look again");
        assert_eq!(failure.to_string(), "potluck: a\\u{a}b\\u{1b}[2J: no such\\u{d}\\u{a}file; look again");
        assert_eq!(Failure::new(Exit::Other, "x", "broke", "").to_string(), "potluck: x: broke");
        assert_eq!(Failure::sentence(Exit::Other, "x broke").to_string(), "potluck: x broke");
    }

    #[test]
    fn errors_of_the_operating_system_choose_the_exit_code() {
        let cases = [
            (io::ErrorKind::NotFound, Exit::NotFound),
            (io::ErrorKind::PermissionDenied, Exit::Disk),
            (io::ErrorKind::StorageFull, Exit::Disk),
            (io::ErrorKind::AlreadyExists, Exit::Conflict),
            (io::ErrorKind::Other, Exit::Disk),
        ];
        for (kind, exit) in cases {
            assert_eq!(Failure::io(Path::new("f"), &kind.into()).exit, exit, "{kind:?}");
        }
        let failure = Failure::io(Path::new("f"), &io::Error::from_raw_os_error(2));
        assert!(!failure.line().contains("os error"), "{}", failure.line());
        let texts = ["refused (os error 111); again (os error 5)", " (os error x)", "", "plain"];
        let clean = ["refused; again", " (os error x)", "", "plain"];
        assert_eq!(texts.map(without_numbers), clean);
    }

    #[test]
    fn the_worst_of_several_is_the_highest_number() {
        assert_eq!(worst([]), Exit::Done);
        assert_eq!(worst([Exit::Done, Exit::Disk, Exit::NotFound]), Exit::Disk);
    }
}
