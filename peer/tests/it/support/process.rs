//! A program of someone else, its output in a log file, ended when the trial drops it.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::Outcome;

/// A running program. Dropping it kills it, and nothing else.
pub(crate) struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts `command` in `home`, with its output in `home/output.log` and its own settings folder there.
    pub(crate) fn start(command: &mut Command, home: &Path) -> Outcome<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let log = File::create(home.join("output.log"))?;
        let child = command
            .current_dir(home)
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home)
            .env("XDG_DATA_HOME", home)
            .env("XDG_CACHE_HOME", home)
            .env("LC_ALL", "C.UTF-8")
            .env("TERM", "dumb")
            .env_remove("http_proxy")
            .env_remove("HTTP_PROXY")
            .env_remove("ALL_PROXY")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| format!("cannot start {name}: {error}"))?;
        Ok(Self { name, child })
    }

    /// An error when the program has ended by itself.
    pub(crate) fn ensure_running(&mut self) -> Outcome {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("{} ended by itself: {status}", self.name).into()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It fails only when the program has ended already.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Whether a program of this name is on the path.
pub(crate) fn is_installed(program: &str) -> bool {
    let Some(path) = std::env::var_os("PATH") else { return false };
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
