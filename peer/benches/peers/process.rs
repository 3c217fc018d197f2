//! A program at work, what it has used of the processor, and how much memory it took at most.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus, waitid};

use super::Outcome;

/// How long a program may take to be ready: to answer, or to check what it seeds.
const READY_PATIENCE: Duration = Duration::from_secs(90);
const READY_POLL: Duration = Duration::from_millis(20);

/// Clock ticks of the times in `/proc`: 100 a second on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// A running program. Dropping it kills it, and nothing else.
pub(super) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` in `home`, with its output in `home/output.log` and its own settings folder there.
    pub(super) fn start(command: Command, home: &Path) -> Outcome<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let path = home.join("output.log");
        let log = File::create(&path)?;
        let child = guarded(command)
            .current_dir(home)
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home)
            .env("XDG_DATA_HOME", home)
            .env("XDG_STATE_HOME", home)
            .env("XDG_CACHE_HOME", home)
            .env("LC_ALL", "C.UTF-8")
            .env("TERM", "dumb")
            .env_remove("http_proxy")
            .env_remove("HTTP_PROXY")
            .env_remove("ALL_PROXY")
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| format!("cannot start {name}: {error}"))?;
        Ok(Self { name, child, log: path })
    }

    /// Writes a line to its standard input.
    pub(super) fn say(&mut self, line: &str) -> Outcome {
        let input = self.child.stdin.as_mut().ok_or("its standard input is a pipe")?;
        writeln!(input, "{line}")?;
        Ok(())
    }

    /// How it ended, if it has. Its figures can still be read.
    pub(super) fn ended(&self) -> Outcome<Option<WaitIdStatus>> {
        let pid = Pid::from_child(&self.child);
        Ok(waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT)?)
    }

    /// What it has printed.
    pub(super) fn output(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The last of what it has printed, for an error.
    pub(super) fn last_words(&self) -> String {
        let output = self.output();
        let lines: Vec<&str> = output.lines().collect();
        lines[lines.len().saturating_sub(3)..].join(" / ")
    }

    /// Its end in words.
    pub(super) fn end_of(&self, status: &WaitIdStatus) -> String {
        let code = status.exit_status().map_or_else(|| "a signal".into(), |code| format!("code {code}"));
        format!("{} ended with {code}: {}", self.name, self.last_words())
    }

    /// Waits until `is_ready`, as long as it runs.
    pub(super) fn wait_ready(
        &mut self,
        what: &str,
        mut is_ready: impl FnMut(&mut Self) -> Outcome<bool>,
    ) -> Outcome {
        let end = Instant::now() + READY_PATIENCE;
        while !is_ready(self)? {
            if let Some(status) = self.ended()? {
                return Err(self.end_of(&status).into());
            }
            if Instant::now() > end {
                return Err(format!("{}: waited in vain for {what}: {}", self.name, self.last_words()).into());
            }
            thread::sleep(READY_POLL);
        }
        Ok(())
    }

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

impl Drop for Process {
    fn drop(&mut self) {
        // It fails only when the program has ended already.
        let _ended = self.child.kill();
        let _status = self.child.wait();
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

/// The same program under `setpriv`, where there is one: it then ends with this process however that ends.
pub(super) fn guarded(command: Command) -> Command {
    static HAS_SETPRIV: OnceLock<bool> = OnceLock::new();
    if !*HAS_SETPRIV.get_or_init(|| find("setpriv").is_some()) {
        return command;
    }
    let mut guarded = Command::new("setpriv");
    guarded.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
    guarded
}

/// Where the program of this name lies on the path.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|program| program.is_file())
}
