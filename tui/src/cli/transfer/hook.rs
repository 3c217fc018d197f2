//! The program of `--on-done`.

use std::{path::Path, process::Stdio};

use potluck_common::control::TorrentSnapshot;
use tokio::process::Command;

use crate::cli::{
    exit::{Exit, Failure, Outcome, describe},
    words::split_words,
};

/// A program with its arguments, to be run when a torrent is complete.
#[derive(Clone, Debug)]
pub(super) struct Hook {
    words: Vec<String>,
}

impl Hook {
    /// Reads the value of `--on-done`.
    pub(super) fn parse(command: &str) -> Outcome<Self> {
        match split_words(command) {
            Some(words) if words.first().is_some_and(|program| !program.is_empty()) => Ok(Self { words }),
            Some(_) => Err(Failure::new(Exit::Usage, "--on-done", "an empty command", "name a program")),
            None => Err(Failure::new(Exit::Usage, "--on-done", "a quote is not closed", "close it")),
        }
    }

    /// Runs the program and waits for its end. What it prints goes to standard error: standard output is for our data.
    pub(super) async fn run(self, snapshot: &TorrentSnapshot, name: &str, directory: &Path) -> Outcome {
        let program = &self.words[0];
        let mut child = Command::new(program)
            .args(&self.words[1..])
            .env("POTLUCK_NAME", name)
            .env("POTLUCK_PATH", directory.join(name))
            .env("POTLUCK_DIRECTORY", directory)
            .env("POTLUCK_INFO_HASH", snapshot.info_hash.to_string())
            .env("POTLUCK_SIZE", snapshot.wanted_size.to_string())
            .stdin(Stdio::null())
            .stdout(std::io::stderr())
            .spawn()
            .map_err(|error| {
                Failure::new(Exit::Other, program, describe(&error), "check the program of --on-done")
            })?;
        match child.wait().await {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => {
                Err(Failure::new(Exit::Other, program, format!("--on-done ended with {status}"), ""))
            }
            Err(error) => Err(Failure::new(Exit::Other, program, describe(&error), "")),
        }
    }
}
