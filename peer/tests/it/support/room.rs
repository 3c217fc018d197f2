//! The place of one trial: its folder, its deadline, and what is told when it fails.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use libtest_mimic::Failed;
use tempfile::TempDir;

use super::{Deadline, Outcome};

/// Lines of each log that a failed trial shows.
const TAIL_LINES: usize = 40;

/// A folder and a deadline.
pub(crate) struct Room {
    folder: TempDir,
    /// When the trial is given up.
    pub(crate) deadline: Deadline,
}

impl Room {
    /// Makes the folder `name` in the room.
    pub(crate) fn folder(&self, name: &str) -> Outcome<PathBuf> {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

/// Runs `trial` in a new room. A failure tells the ends of all logs that were written there.
pub(crate) fn run(patience: Duration, trial: impl FnOnce(&Room) -> Outcome) -> Result<(), Failed> {
    let folder = tempfile::Builder::new().prefix("potluck-it-").tempdir()?;
    // opentracker gives up its privileges before it reads its files.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    let room = Room { folder, deadline: Deadline::after(patience) };
    let result = match catch_unwind(AssertUnwindSafe(|| trial(&room))) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(panic) => Err(panic_message(panic.as_ref())),
    };
    result.map_err(|mut message| {
        append_logs(&mut message, room.folder.path());
        Failed::from(message)
    })
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("without a message"))
}

fn append_logs(message: &mut String, folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            append_logs(message, &path);
        } else if path.extension().is_some_and(|extension| extension == "log") {
            append_tail(message, &path);
        }
    }
}

fn append_tail(message: &mut String, log: &Path) {
    let Ok(bytes) = fs::read(log) else { return };
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let _infallible = write!(message, "\n--- the end of {} ({} lines)", log.display(), lines.len());
    for line in &lines[lines.len().saturating_sub(TAIL_LINES)..] {
        let _infallible = write!(message, "\n{}", line.escape_debug());
    }
}
