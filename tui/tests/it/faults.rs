//! Row 5.5 to 5.6 and section 0 of the threat table: the n-th system call of a transfer fails, for each n.
//!
//! `strace` makes the n-th call of a kind fail in each thread of the real program, which transfers a tiny payload over
//! loopback. It must complete byte for byte, or end with a documented exit code and one line that says why; no panic, no
//! signal, no hang; and the same command without the fault must complete then.
//!
//! By default a few calls are tried; with `POTLUCK_FAULTS=all` in the environment (`just faults`) each call of the list.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write as _},
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use libtest_mimic::Trial;
use rustix::process::Signal;

use crate::{
    sandbox::{Done, PROGRAM, Running, Sandbox, assert_same},
    test,
};

/// The system calls that fail, and how: what the kernel documents and a machine in trouble does. Memory is left out (the
/// language ends the process), and so are `write` and `sendto`, with which the runtime wakes itself, and what
/// only the start of a process or of a thread needs.
const CALLS: &[(&str, &[&str])] = &[
    ("openat", &["EMFILE", "EIO", "EACCES", "ENOSPC"]),
    ("mkdir", &["ENOSPC", "EACCES"]),
    ("mkdirat", &["ENOSPC", "EIO"]),
    ("pwrite64", &["ENOSPC", "EIO", "EINTR", "EDQUOT", "EFBIG"]),
    ("pread64", &["EIO", "EINTR", "ENOMEM"]),
    ("preadv2", &["EIO", "EINTR", "ENOMEM"]),
    ("read", &["EIO", "EINTR"]),
    ("fsync", &["EIO", "ENOSPC"]),
    ("fdatasync", &["EIO"]),
    ("ftruncate", &["EIO"]),
    ("rename", &["ENOSPC", "EACCES"]),
    ("renameat2", &["ENOSPC"]),
    ("unlink", &["EACCES"]),
    ("readlink", &["EIO"]),
    ("getcwd", &["ENOMEM"]),
    ("flock", &["EINTR", "ENOLCK"]),
    ("getdents64", &["EIO"]),
    ("close", &["EIO", "EINTR"]),
    ("fcntl", &["EINVAL", "EMFILE"]),
    ("statx", &["EIO", "ENOMEM"]),
    ("newfstatat", &["EIO", "EACCES"]),
    ("lseek", &["EIO", "EINVAL"]),
    ("socket", &["EMFILE", "ENOBUFS"]),
    ("bind", &["EADDRINUSE", "EACCES"]),
    ("listen", &["EADDRINUSE"]),
    ("connect", &["ECONNREFUSED", "ENETUNREACH", "EINTR"]),
    ("accept4", &["EMFILE", "ECONNABORTED", "ENOMEM"]),
    ("getsockname", &["ENOBUFS"]),
    ("getsockopt", &["ENOBUFS"]),
    ("setsockopt", &["ENOBUFS"]),
    ("writev", &["ECONNRESET", "EPIPE", "EINTR", "ENOBUFS"]),
    ("recvfrom", &["ECONNRESET", "EINTR", "ENOMEM"]),
    ("epoll_ctl", &["ENOMEM", "ENOSPC"]),
    ("epoll_wait", &["EINTR"]),
    ("epoll_create1", &["EMFILE"]),
    ("eventfd2", &["EMFILE"]),
    ("socketpair", &["EMFILE"]),
    ("sched_getaffinity", &["EPERM"]),
    ("clone3", &["EAGAIN"]),
];

/// What is tried where not everything is.
const FEW: &[(&str, &str, u32)] = &[
    ("get", "openat EMFILE", 3),
    ("get", "pwrite64 EIO", 1),
    ("get", "fsync EIO", 2),
    ("get", "epoll_ctl ENOMEM", 2),
    ("seed", "pread64 EIO", 2),
    ("seed", "accept4 EMFILE", 1),
];

/// The exit codes that the documentation knows.
const DOCUMENTED: [i32; 9] = [1, 2, 3, 4, 5, 6, 7, 8, 9];
/// Far longer than any of these transfers takes, with the waits before something is tried again.
const STALL: &str = "40s";

pub(crate) fn trials() -> Vec<Trial> {
    let can_trace = Command::new("strace").arg("-V").output().is_ok_and(|output| output.status.success());
    let all = std::env::var_os("POTLUCK_FAULTS").is_some_and(|value| value == "all");
    if !all {
        return vec![test("faults_few_system_calls_fail_once", few).with_ignored_flag(!can_trace)];
    }
    let mut trials = Vec::new();
    for side in ["get", "seed"] {
        for (call, errors) in CALLS {
            for error in *errors {
                let run = move || {
                    Matrix::new(side, call, error).run(u32::MAX);
                    Ok(())
                };
                trials.push(
                    Trial::test(format!("faults_{side}_{call}_{error}"), run).with_ignored_flag(!can_trace),
                );
            }
        }
    }
    trials
}

fn few() {
    for (side, fault, most) in FEW {
        let (call, error) = fault.split_once(' ').expect("two words");
        let cases = Matrix::new(side, call, error).run(*most);
        assert!(cases > 0, "{side} {fault}: no fault came about");
    }
}

/// One kind of fault on one side, for each n.
struct Matrix {
    sandbox: Sandbox,
    side: &'static str,
    call: &'static str,
    error: &'static str,
    /// The healthy seeder of a getter's faults.
    seed: Option<(Running, String)>,
    cases: u32,
}

impl Matrix {
    fn new(side: &'static str, call: &'static str, error: &'static str) -> Self {
        let sandbox = Sandbox::new();
        for number in 0..3 {
            sandbox.file(&format!("src/d/{number}"), 90_000, number);
        }
        sandbox.create("src/d --piece 32k");
        let seed = (side == "get").then(|| {
            let (seed, address) = sandbox.seed("d.torrent -o src");
            (seed, address.to_string())
        });
        Self { sandbox, side, call, error, seed, cases: 0 }
    }

    /// Returns how many faults came about; none only if the call is never made.
    fn run(mut self, most: u32) -> u32 {
        let (before_main, calls) = self.count_calls();
        // A thread may make a few more calls in the next run, and some threads hardly any in this one.
        let last = if calls == 0 { 0 } else { calls + 2 };
        let first = if most == u32::MAX { 1 } else { before_main + 1 };
        for n in first..=last.min(first.saturating_add(most - 1)) {
            let started = Instant::now();
            let (reached, outcome) = if self.side == "get" {
                self.get_case(n, before_main)
            } else {
                self.seed_case(n, before_main)
            };
            if reached {
                self.cases += 1;
                let Self { side, call, error, .. } = self;
                say(&format!(
                    "{side} {call} {error} {n}: {outcome} after {:.1} s",
                    started.elapsed().as_secs_f64()
                ));
            }
        }
        say(&format!("{} {} {}: {} cases", self.side, self.call, self.error, self.cases));
        assert!(calls == 0 || self.cases > 0, "{}: {calls} calls and no fault", self.name());
        self.cases
    }

    /// How often the main thread makes the call before `main`, and how often any thread makes it in all.
    fn count_calls(&self) -> (u32, u32) {
        let log = self.sandbox.path("dry.log");
        let options = format!("-f -qq -o {} -e trace={},poll,execve", log.display(), self.call);
        if self.side == "get" {
            let done = self.get(&options, self.address()).finish();
            assert_eq!(done.code, Some(0), "without a fault it completes: {done:?}");
        } else {
            let (seed, address) = self.start_seed(&options);
            let done = self.get("", &address.expect("without a fault it seeds")).finish();
            assert_eq!(done.code, Some(0), "without a fault it completes: {done:?}");
            seed.signal(Signal::TERM);
            assert_eq!(seed.finish().code, Some(143));
        }
        let text = fs::read_to_string(&log).expect("a log");
        let main = text.lines().next().and_then(|line| line.split_whitespace().next()).expect("a thread");
        let mut counts = BTreeMap::<&str, u32>::new();
        let mut before_main = 0;
        let pattern = format!(" {}(", self.call);
        for line in text.lines() {
            let thread = line.split_whitespace().next().expect("a thread");
            // What Rust's start looks at first: whether the three standard files are open.
            if thread == main && line.contains(" poll([{fd=0") {
                before_main = counts.get(main).copied().unwrap_or(0);
            }
            if line.contains(&pattern) {
                *counts.entry(thread).or_default() += 1;
            }
        }
        (before_main, counts.into_values().max().unwrap_or(0))
    }

    fn get_case(&self, n: u32, before_main: u32) -> (bool, String) {
        let done = self.get(&self.inject(n), self.address()).finish();
        let reached = self.was_reached();
        let outcome = self.judge(n, n <= before_main, &done);
        if outcome == "complete" {
            assert!(!self.lost_payload(), "{} {n}: what could not be saved is not complete", self.name());
            assert_same(&self.sandbox.path("src/d"), &self.sandbox.path("dst/d"));
        } else {
            let again = self.again(self.address());
            assert_eq!(
                again.code,
                Some(0),
                "the second run completes after {} {n}: {done:?} {again:?}",
                self.name()
            );
            assert_same(&self.sandbox.path("src/d"), &self.sandbox.path("dst/d"));
        }
        (reached, outcome)
    }

    fn seed_case(&self, n: u32, before_main: u32) -> (bool, String) {
        let (seed, address) = self.start_seed(&self.inject(n));
        let Some(address) = address else {
            let done = seed.finish();
            return (self.was_reached(), self.judge(n, n <= before_main, &done));
        };
        let got = self.get("", &address).finish();
        // It may have ended by itself.
        let alive = seed.try_signal(Signal::TERM);
        let done = seed.finish_within(Duration::from_secs(20));
        let reached = self.was_reached();
        let lives = alive && done.code == Some(143);
        if lives && got.code == Some(0) {
            assert_same(&self.sandbox.path("src/d"), &self.sandbox.path("dst/d"));
            return (reached, "serves".to_owned());
        }
        // The fault may have come in one thread, and again in the one that looked into it.
        let gave_up = done.stdout.contains("piece_lost");
        assert!(
            !lives || gave_up,
            "a seeder that lives on serves after {} {n}: {got:?} {done:?}",
            self.name()
        );
        let (_healthy, address) = self.start_seed("");
        let again = self.again(&address.expect("without a fault it seeds"));
        assert_eq!(again.code, Some(0), "the second run completes after {} {n}: {again:?}", self.name());
        assert_same(&self.sandbox.path("src/d"), &self.sandbox.path("dst/d"));
        if lives {
            return (reached, "serves all but a piece, and says so".to_owned());
        }
        (reached, self.judge(n, n <= before_main, &done))
    }

    /// Checks how a faulty run ended.
    fn judge(&self, n: u32, before_main: bool, done: &Done) -> String {
        let name = self.name();
        let panicked = !done.stderr.contains("self-pipe")
            && ["panicked", "internal error"].iter().any(|words| done.stderr.contains(words));
        assert!(!panicked, "{name} {n}: {done:?}");
        if done.code == Some(0) {
            return "complete".to_owned();
        }
        if done.code.is_none() && done.stderr.contains("self-pipe") {
            return "the runtime's own signals do not come".to_owned();
        }
        let code = done.code.unwrap_or_else(|| panic!("{name} {n}: ended by a signal: {done:?}"));
        if before_main && code == 127 {
            return "the loader gave up".to_owned();
        }
        assert!(DOCUMENTED.contains(&code), "{name} {n}: exit code {code}: {done:?}");
        let lines: Vec<&str> = done.stderr.lines().filter(|line| !line.contains("warning:")).collect();
        let says_why = lines.iter().filter(|line| line.starts_with("potluck: ")).count() == 1;
        assert!(says_why, "{name} {n}: one line says why: {done:?}");
        format!("exit {code}: {}", lines.join(" / "))
    }

    fn name(&self) -> String {
        format!("{} {} {}", self.side, self.call, self.error)
    }

    fn address(&self) -> &str {
        &self.seed.as_ref().expect("a getter's faults").1
    }

    fn log(&self) -> PathBuf {
        self.sandbox.path("fault.log")
    }

    fn inject(&self, n: u32) -> String {
        let Self { call, error, .. } = self;
        format!(
            "-f -y -qq -o {} -e trace={call} -e inject={call}:error={error}:when={n}",
            self.log().display()
        )
    }

    fn was_reached(&self) -> bool {
        fs::read_to_string(self.log()).is_ok_and(|log| log.contains("INJECTED"))
    }

    /// Whether the fault was that something of the payload could not be made durable.
    fn lost_payload(&self) -> bool {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let of_payload = |line: &str| line.contains("/dst") && line.contains("INJECTED");
        self.call.ends_with("sync") && log.lines().any(of_payload)
    }

    /// Starts the program under `strace` with these options, or alone if there are none.
    fn start(&self, strace: &str, line: &str) -> Running {
        if strace.is_empty() {
            return self.sandbox.start(line);
        }
        let mut command = self.sandbox.command_of("strace".as_ref());
        // As a grandchild, so that signals and the exit code are the program's own.
        // Cargo's own, which makes the loader look in many folders.
        command
            .env_remove("LD_LIBRARY_PATH")
            .arg("-D")
            .args(strace.split_whitespace())
            .arg(PROGRAM)
            .args(line.split_whitespace());
        Running::start(command)
    }

    fn get(&self, strace: &str, peer: &str) -> Running {
        // What is not there need not be removed.
        let _ = fs::remove_dir_all(self.sandbox.path("dst"));
        // Else what is missing now would be missed.
        let _ = fs::remove_dir_all(self.sandbox.path("state"));
        self.start(strace, &self.get_line(peer))
    }

    fn again(&self, peer: &str) -> Done {
        self.start("", &self.get_line(peer)).finish()
    }

    fn get_line(&self, peer: &str) -> String {
        format!(
            "get d.torrent -o dst --port 0 --bind {} --peer {peer} --stall-timeout {STALL}",
            self.sandbox.ip()
        )
    }

    /// Starts a seeder; its address unless it ends before it seeds.
    fn start_seed(&self, strace: &str) -> (Running, Option<String>) {
        let line = format!("seed d.torrent -o src --json --port 0 --bind {}", self.sandbox.ip());
        let mut seed = self.start(strace, &line);
        let mut address = None;
        let seeds = seed.wait_for_or_end(|event| {
            if event["event"] == "added" {
                address = event["listen"][0].as_str().map(str::to_owned);
            }
            event["state"] == "seeding"
        });
        (seed, seeds.and(address))
    }
}

/// A line of the report of `just faults`.
fn say(line: &str) {
    // Nobody may be listening.
    let _ = writeln!(io::stdout(), "{line}");
}
