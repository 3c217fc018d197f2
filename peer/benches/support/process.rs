//! A program at work, which does not outlive the benchmark.

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

use crate::Outcome;

/// How long a program may take to be ready: to answer, or to check what it seeds.
const READY_PATIENCE: Duration = Duration::from_secs(90);
const READY_POLL: Duration = Duration::from_millis(20);

/// A running program. Dropping it kills it, and nothing else.
pub(crate) struct Process {
    name: String,
    pub(crate) child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` in `home`, with its output in `home/output.log` and its own settings folder there.
    pub(crate) fn start(command: Command, home: &Path) -> Outcome<Self> {
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
    pub(crate) fn say(&mut self, line: &str) -> Outcome {
        let input = self.child.stdin.as_mut().ok_or("its standard input is a pipe")?;
        writeln!(input, "{line}")?;
        Ok(())
    }

    /// How it ended, if it has. Its figures can still be read.
    pub(crate) fn ended(&self) -> Outcome<Option<WaitIdStatus>> {
        let pid = Pid::from_child(&self.child);
        Ok(waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT)?)
    }

    /// What it has printed.
    pub(crate) fn output(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The last of what it has printed, for an error.
    pub(crate) fn last_words(&self) -> String {
        let output = self.output();
        let lines: Vec<&str> = output.lines().collect();
        lines[lines.len().saturating_sub(3)..].join(" / ")
    }

    /// Its end in words.
    pub(crate) fn end_of(&self, status: &WaitIdStatus) -> String {
        let code = status.exit_status().map_or_else(|| "a signal".into(), |code| format!("code {code}"));
        format!("{} ended with {code}: {}", self.name, self.last_words())
    }

    /// Waits until `is_ready`, as long as it runs.
    pub(crate) fn wait_ready(
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
}

impl Drop for Process {
    fn drop(&mut self) {
        // It fails only when the program has ended already.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// The same program under `setpriv`, where there is one: it then ends with this process however that ends.
pub(crate) fn guarded(command: Command) -> Command {
    static HAS_SETPRIV: OnceLock<bool> = OnceLock::new();
    if !*HAS_SETPRIV.get_or_init(|| find("setpriv").is_some()) {
        return command;
    }
    let mut guarded = Command::new("setpriv");
    guarded.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
    guarded
}

/// Where the program of this name lies on the path.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|program| program.is_file())
}
