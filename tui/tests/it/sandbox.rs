//! A folder of its own for each test, and the program in it.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::{Duration, Instant},
};

use potluck_common::Rng;
use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine; a test that reaches it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The program itself.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_potluck");

/// The samples of this repository.
pub(crate) const TORRENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../torrents");

/// Tests talk to nobody but each other, and only where they say so.
pub(crate) const ALONE: [&str; 3] = ["POTLUCK_NO_DHT", "POTLUCK_NO_LSD", "POTLUCK_NO_PORT_MAP"];

/// A configuration that says nothing.
pub(crate) const NO_CONFIG: &str = "/dev/null";

/// What changes how a dashboard looks.
pub(crate) const LOOKS: [&str; 3] = ["POTLUCK_THEME", "POTLUCK_ASCII", "POTLUCK_NO_MOUSE"];

/// A folder that goes away, and addresses that no other test has.
pub(crate) struct Sandbox {
    folder: TempDir,
    network: u32,
    hosts: AtomicU32,
}

/// What a finished command left.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        static NETWORKS: AtomicU32 = AtomicU32::new(0);
        let network = (std::process::id() << 6).wrapping_add(NETWORKS.fetch_add(1, Ordering::Relaxed));
        let folder = tempfile::Builder::new().prefix("potluck-it-").tempdir().expect("a folder");
        Self { folder, network, hosts: AtomicU32::new(1) }
    }

    /// Whether this is a place in it.
    pub(crate) fn owns(&self, path: &OsStr) -> bool {
        Path::new(path).starts_with(self.folder.path())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A loopback address of its own.
    pub(crate) fn ip(&self) -> String {
        let host = self.hosts.fetch_add(1, Ordering::Relaxed);
        let [_, _, high, low] = self.network.to_be_bytes();
        format!("127.{}.{low}.{host}", 128 | (high & 63))
    }

    /// Writes a file of so many bytes that follow from `seed`.
    pub(crate) fn file(&self, name: &str, length: usize, seed: u64) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("below the sandbox")).expect("a folder");
        let mut bytes = vec![0; length];
        Rng::new(seed).fill(&mut bytes);
        fs::write(&path, bytes).expect("a file");
        path
    }

    /// The program, to be run in the folder, with nothing of our environment that could change what it says.
    pub(crate) fn command(&self) -> Command {
        self.command_of(Path::new(PROGRAM))
    }

    pub(crate) fn command_of(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .env("TMPDIR", self.folder.path())
            .env("POTLUCK_STATE_DIR", self.path("state"))
            .env("POTLUCK_CONFIG", NO_CONFIG)
            .envs(ALONE.map(|variable| (variable, "1")))
            .env("LC_ALL", "C.UTF-8");
        for variable in ["NO_COLOR", "CLICOLOR_FORCE", "POTLUCK_LOG", "SOURCE_DATE_EPOCH", "RUST_BACKTRACE"] {
            command.env_remove(variable);
        }
        for variable in LOOKS {
            command.env_remove(variable);
        }
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Done {
        let mut command = self.command();
        command.args(arguments);
        Running::start(command).finish()
    }

    /// Runs the program with the words of `line`.
    pub(crate) fn potluck(&self, line: &str) -> Done {
        self.run(line.split_whitespace())
    }

    /// Starts the program with the words of `line`.
    pub(crate) fn start(&self, line: &str) -> Running {
        let mut command = self.command();
        command.args(line.split_whitespace());
        Running::start(command)
    }

    /// Starts to seed with `line`, and waits until it listens and seeds. Says where.
    pub(crate) fn seed(&self, line: &str) -> (Running, SocketAddr) {
        let mut seed = self.start(&format!("seed --json --bind {} --port 0 {line}", self.ip()));
        let added = seed.wait_for(|event| event["event"] == "added");
        seed.wait_for(|event| event["state"] == "seeding");
        (seed, added["listen"][0].as_str().expect("an address").parse().expect("an address"))
    }

    /// Makes a torrent of `path`.
    pub(crate) fn create(&self, line: &str) {
        let done = self.potluck(&format!("create {line}"));
        assert_eq!(done.code, Some(0), "{done:?}");
    }
}

impl Done {
    /// Checks the exit code and that standard error is one line with these parts.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        let mut lines =
            self.stderr.lines().filter(|line| line.starts_with("potluck: ") && !line.contains("warning:"));
        let line = lines.next().unwrap_or_else(|| panic!("no message in {self:?}"));
        assert_eq!(lines.next(), None, "one message in {self:?}");
        for part in parts {
            assert!(line.contains(part), "{part:?} is missing in {line:?}");
        }
        assert!(!self.stderr.contains("panicked") && !self.stderr.contains("backtrace"), "{self:?}");
    }

    /// The only JSON object on standard output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Every JSON object on standard output.
    pub(crate) fn events(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.stdout.lines().map(parse).collect()
    }
}

/// The program while it runs. It is ended with the test.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    stdout: String,
    stderr: thread::JoinHandle<String>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let (stdout, stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let Ok(line) = line else { break };
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let stderr = thread::spawn(move || {
            let mut text = Vec::new();
            // What was read before a failure is what there is.
            let _ = BufReader::new(stderr).read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Self { child, lines, stdout: String::new(), stderr }
    }

    /// The next JSON object on standard output that is as wanted.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, is_wanted: impl FnMut(&Value) -> bool) -> Value {
        self.wait_for_or_end(is_wanted)
            .unwrap_or_else(|| panic!("it ended before it came; so far:\n{}", self.stdout))
    }

    /// The same, unless it came already.
    #[track_caller]
    pub(crate) fn wait_until_seen(&mut self, is_wanted: impl Fn(&Value) -> bool) {
        let mut lines = self.stdout.lines().filter_map(|line| serde_json::from_str(line).ok());
        if !lines.any(|event| is_wanted(&event)) {
            self.wait_for(is_wanted);
        }
    }

    /// The same; `None` if it ends before.
    #[track_caller]
    pub(crate) fn wait_for_or_end(&mut self, mut is_wanted: impl FnMut(&Value) -> bool) -> Option<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => line,
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(error) => panic!("{error} before it came; so far:\n{}", self.stdout),
            };
            self.stdout.push_str(&line);
            self.stdout.push('\n');
            let event: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            if is_wanted(&event) {
                return Some(event);
            }
        }
    }

    /// The root of its file systems, as it sees them.
    #[cfg(target_os = "linux")]
    pub(crate) fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.child.id()))
    }

    /// Its number.
    #[cfg(unix)]
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        assert!(self.try_signal(signal), "it runs");
    }

    /// Sends a signal; false if it has ended.
    #[cfg(unix)]
    pub(crate) fn try_signal(&self, signal: rustix::process::Signal) -> bool {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).is_ok()
    }

    /// Whether it ends by itself in this time.
    #[cfg(unix)]
    pub(crate) fn ends_within(&mut self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.stdout.push_str(&line);
                    self.stdout.push('\n');
                }
                Err(error) => return error == RecvTimeoutError::Disconnected,
            }
        }
    }

    /// Waits for its end. Panics when that does not come.
    pub(crate) fn finish(self) -> Done {
        self.finish_within(PATIENCE)
    }

    pub(crate) fn finish_within(mut self, patience: Duration) -> Done {
        let deadline = Instant::now() + patience;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.stdout.push_str(&line);
                    self.stdout.push('\n');
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    self.end();
                    panic!("no end within {patience:?}; so far:\n{}", self.stdout);
                }
            }
        }
        let status: ExitStatus = self.child.wait().expect("a child of ours");
        let stderr = std::mem::replace(&mut self.stderr, thread::spawn(String::new));
        let stderr = stderr.join().expect("the reader does not panic");
        Done { code: status.code(), stdout: std::mem::take(&mut self.stdout), stderr }
    }

    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether two folders or files hold the same.
#[track_caller]
pub(crate) fn assert_same(one: &Path, other: &Path) {
    if one.is_dir() {
        let names = |folder: &Path| {
            let entries =
                fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
            let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names(one), names(other), "{} and {}", one.display(), other.display());
        for name in names(one) {
            assert_same(&one.join(&name), &other.join(&name));
        }
    } else {
        let read = |path: &Path| fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(read(one) == read(other), "{} and {} differ", one.display(), other.display());
    }
}
