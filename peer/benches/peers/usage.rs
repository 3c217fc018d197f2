//! What a program has used of the processor, and how much memory it took at most.

use std::{fs, time::Duration};

use crate::process::Process;

/// Clock ticks of the times in `/proc`: 100 a second on every Linux.
const TICK: Duration = Duration::from_millis(10);

impl Process {
    /// The processor time of all its threads and of the children that it waited for, user and system.
    pub(super) fn cpu(&self) -> Duration {
        self.read_cpu().unwrap_or_default()
    }

    fn read_cpu(&self) -> Option<Duration> {
        let stat = fs::read_to_string(self.proc("stat")).ok()?;
        // After the name in parentheses, counted from 0: 11 user, 12 system, 13 and 14 those of children.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<u32>().ok();
        Some(TICK * (ticks(11)? + ticks(12)? + ticks(13)? + ticks(14)?))
    }

    /// Makes the peak of its memory the present.
    pub(super) fn forget_peak(&self) {
        // Without the permission the peak is that of its whole life.
        let _ = fs::write(self.proc("clear_refs"), "5");
    }

    /// Its memory now; `None` when it has ended.
    pub(super) fn memory(&self) -> Option<Memory> {
        let status = fs::read_to_string(self.proc("status")).ok()?;
        let bytes = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            line.trim_end_matches("kB").trim().parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
        };
        Some(Memory { anonymous: bytes("RssAnon:")?, resident_peak: bytes("VmHWM:")? })
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.id())
    }
}

/// Bytes of memory.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Memory {
    /// Not backed by a file: what the program itself took.
    pub(super) anonymous: u64,
    /// The peak of all, with the pages of files that it maps.
    pub(super) resident_peak: u64,
}

impl Memory {
    /// The larger of both, each by itself.
    pub(super) fn max(self, other: Self) -> Self {
        Self {
            anonymous: self.anonymous.max(other.anonymous),
            resident_peak: self.resident_peak.max(other.resident_peak),
        }
    }
}
