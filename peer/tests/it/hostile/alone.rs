//! Trials in a process of their own, which alone can tell what they cost in memory and in descriptors.

use std::env;
use std::fs;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use potluck_peer::engine::raise_descriptor_limit;

use super::{PATIENCE, block_on};
use crate::support::Outcome;
use crate::support::room::{self, Room};

/// Descriptors that a trial of both ends of a crowd needs.
const DESCRIPTORS: u64 = 2_000;

/// Set in the environment of such a process.
const ALONE: &str = "POTLUCK_IT_ALONE";

/// A trial that runs in a process of its own: this program again, with this trial only.
pub(super) fn trial(name: &str, run: impl AsyncFnOnce(&Room) -> Outcome + Send + 'static) -> Trial {
    trial_within(PATIENCE, name, run)
}

/// The same with another patience.
pub(super) fn trial_within(
    patience: Duration,
    name: &str,
    run: impl AsyncFnOnce(&Room) -> Outcome + Send + 'static,
) -> Trial {
    let name = format!("hostile::{name}");
    let full_name = name.clone();
    let runner = move || {
        if env::var_os(ALONE).is_some() {
            // It may hold both ends of many connections.
            raise_descriptor_limit();
            room::run(patience, |room| block_on(room, run))
        } else {
            run_alone(&full_name)
        }
    };
    // Memory and descriptors are read from /proc.
    Trial::test(name, runner).with_ignored_flag(!cfg!(target_os = "linux") || !grants(DESCRIPTORS))
}

/// Whether the system lets a process have so many descriptors.
pub(super) fn grants(descriptors: u64) -> bool {
    use rustix::process::{Resource, getrlimit};
    getrlimit(Resource::Nofile).maximum.is_none_or(|most| most >= descriptors)
}

fn run_alone(name: &str) -> Result<(), Failed> {
    let mut command = Command::new(env::current_exe()?);
    let output = command.args(["--exact", name, "--test-threads", "1"]).env(ALONE, "1").output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && told.contains("1 passed") {
        return Ok(());
    }
    Err(format!("in its own process ({}):\n{told}{}", output.status, String::from_utf8_lossy(&output.stderr))
        .into())
}

/// This process's memory since a moment at which it had settled.
pub(super) struct Memory {
    baseline: u64,
    /// Whether the system forgot the peak before that moment.
    knows_peak: bool,
}

impl Memory {
    /// From now on.
    pub(super) fn watch() -> Outcome<Self> {
        // 5 makes the present size the peak (proc(5)). Some containers do not let us.
        let knows_peak = fs::write("/proc/self/clear_refs", "5").is_ok();
        Ok(Self { baseline: status("VmRSS:")?, knows_peak })
    }

    /// Bytes of resident memory that came in addition, at the worst moment since.
    pub(super) fn growth(&self) -> Outcome<u64> {
        let field = if self.knows_peak { "VmHWM:" } else { "VmRSS:" };
        Ok(status(field)?.saturating_sub(self.baseline))
    }

    /// An error if it grew by `bytes` or more.
    pub(super) fn ensure_below(&self, bytes: u64) -> Outcome {
        let growth = self.growth()?;
        super::ensure(growth < bytes, || {
            format!("the memory grew by {} KiB, the bound is {} KiB", growth / 1024, bytes / 1024)
        })
    }
}

/// A size in /proc/self/status, in bytes.
fn status(field: &str) -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).ok_or("a field is missing")?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes * 1024)
}

/// How many descriptors this process has open.
pub(super) fn descriptors() -> Outcome<usize> {
    Ok(fs::read_dir("/proc/self/fd")?.count())
}
