//! The program on a terminal of its own.

use std::{
    io::{Read as _, Write as _},
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::sandbox::{ALONE, LOOKS, NO_CONFIG, PATIENCE, Sandbox};

/// The program on a terminal of its own. It is ended with the test.
pub(crate) struct OnTerminal {
    child: Box<dyn Child + Send + Sync>,
    keyboard: Option<Box<dyn std::io::Write + Send>>,
    // The terminal lives as long as somebody holds it.
    terminal: Option<Box<dyn MasterPty + Send>>,
    /// Nobody reads what is sent any more.
    is_deaf: Arc<AtomicBool>,
    output: Receiver<Vec<u8>>,
    /// All that was sent.
    pub(crate) seen: String,
    /// What a person sees.
    screen: vt100::Parser,
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).expect("a terminal has cells")
}

impl OnTerminal {
    pub(crate) fn start(sandbox: &Sandbox, line: &str, cols: u16, rows: u16) -> Self {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_potluck"));
        command.args(line.split_whitespace());
        Self::start_command(sandbox, command, cols, rows)
    }

    pub(crate) fn start_command(
        sandbox: &Sandbox,
        mut command: CommandBuilder,
        cols: u16,
        rows: u16,
    ) -> Self {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a terminal");
        command.cwd(sandbox.path("."));
        command.env("TMPDIR", sandbox.path("."));
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        for variable in ALONE {
            command.env(variable, "1");
        }
        if command.get_env("POTLUCK_STATE_DIR").is_none_or(|folder| !sandbox.owns(folder)) {
            command.env("POTLUCK_STATE_DIR", sandbox.path("state-of-terminal"));
        }
        if command.get_env("POTLUCK_CONFIG").is_none_or(|file| !sandbox.owns(file)) {
            command.env("POTLUCK_CONFIG", NO_CONFIG);
        }
        for variable in ["CLICOLOR_FORCE", "POTLUCK_LOG", "COLORTERM"] {
            command.env_remove(variable);
        }
        for variable in LOOKS {
            // What a test set stays.
            if command.get_env(variable) == std::env::var_os(variable).as_deref() {
                command.env_remove(variable);
            }
        }
        if command.get_env("POTLUCK_IT_COLORLESS").is_none() {
            command.env_remove("NO_COLOR");
        }
        let child = pair.slave.spawn_command(command).expect("the program starts");
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let keyboard = pair.master.take_writer().expect("a keyboard");
        let (sender, output) = channel();
        let is_deaf = Arc::new(AtomicBool::new(false));
        let stops = Arc::clone(&is_deaf);
        thread::spawn(move || {
            let mut buffer = [0; 8192];
            // The end of the program is an error or an end here, as the system likes.
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                if stops.load(Ordering::SeqCst) || sender.send(buffer[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        let screen = vt100::Parser::new(cells(rows), cells(cols), 0);
        let (keyboard, terminal) = (Some(keyboard), Some(pair.master));
        Self { child, keyboard, terminal, is_deaf, output, seen: String::new(), screen }
    }

    /// Reads on until `part` was seen.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, part: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.seen.contains(part) {
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.take(&bytes),
                Err(error) => panic!("{error} before {part:?}; seen: {:?}", self.seen),
            }
        }
    }

    /// Reads on until `part` stands on the screen.
    #[track_caller]
    pub(crate) fn wait_to_see(&mut self, part: &str) {
        self.wait_for_screen(part, |text| text.contains(part));
    }

    /// Reads on until the screen is as wanted.
    #[track_caller]
    pub(crate) fn wait_for_screen(&mut self, what: &str, is_wanted: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_wanted(&self.text()) {
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.take(&bytes),
                Err(error) => panic!("{error} before {what:?}; there is:\n{}", self.text()),
            }
        }
    }

    /// Reads on until `part` was sent so many times.
    #[track_caller]
    pub(crate) fn wait_for_count(&mut self, part: &str, times: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.seen.matches(part).count() < times {
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.take(&bytes),
                Err(error) => panic!("{error} before {part:?} {times} times; seen: {:?}", self.seen),
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.seen.push_str(&String::from_utf8_lossy(bytes));
        self.screen.process(bytes);
    }

    /// What stands on the screen.
    pub(crate) fn text(&self) -> String {
        self.screen.screen().contents()
    }

    pub(crate) fn press(&mut self, keys: &str) {
        let keyboard = self.keyboard.as_mut().expect("it is there");
        keyboard.write_all(keys.as_bytes()).and_then(|()| keyboard.flush()).expect("it listens");
    }

    pub(crate) fn resize(&mut self, cols: u16, rows: u16) {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        // Before the program knows: what comes then is for the new size.
        self.screen.screen_mut().set_size(cells(rows), cells(cols));
        self.terminal.as_ref().expect("it is there").resize(size).expect("it is resized");
    }

    /// Closes the terminal, as its window is.
    pub(crate) fn hang_up(&mut self) {
        self.is_deaf.store(true, Ordering::SeqCst);
        // What is drawn then is the last that is read; after it nobody holds the terminal.
        self.resize(77, 23);
        let deadline = Instant::now() + PATIENCE;
        while !matches!(self.output.recv_timeout(Duration::from_secs(1)), Err(RecvTimeoutError::Disconnected))
        {
            assert!(Instant::now() < deadline, "the program draws nothing");
        }
        (self.keyboard, self.terminal) = (None, None);
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = self.child.process_id().expect("it runs").cast_signed();
        let pid = rustix::process::Pid::from_raw(pid).expect("it runs");
        rustix::process::kill_process(pid, signal).expect("it runs");
    }

    /// Whether the process is stopped, as the system says.
    #[cfg(target_os = "linux")]
    pub(crate) fn is_stopped(&self) -> bool {
        let pid = self.child.process_id().expect("it runs");
        let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
        status.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
    }

    /// Reads to the end, and says the exit code.
    pub(crate) fn finish(&mut self) -> u32 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.take(&bytes),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("no end; seen: {:?}", self.seen),
            }
        }
        self.child.wait().expect("a child of ours").exit_code()
    }

    /// Checks that the screen was taken, and given back last of all.
    #[track_caller]
    pub(crate) fn assert_restored(&self) {
        let at = |sequence: &str| self.seen.rfind(sequence).unwrap_or_else(|| panic!("no {sequence:?}"));
        assert!(at("\x1b[?1049h") < at("\x1b[?1049l"), "the alternate screen was left");
        assert!(at("\x1b[?25l") < at("\x1b[?25h"), "the cursor is shown");
        for mode in ["\x1b[?1000", "\x1b[?1002", "\x1b[?1006", "\x1b[?2004"] {
            let on = self.seen.rfind(&format!("{mode}h"));
            assert!(on.is_none_or(|on| on < at(&format!("{mode}l"))), "{mode:?} is off again");
        }
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
