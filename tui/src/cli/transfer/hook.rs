//! The program of `--on-done`.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
    process::Stdio,
};

use potluck_common::{Printable, control::TorrentSnapshot};
use tempfile::NamedTempFile;
use tokio::process::Command;

use crate::cli::{
    exit::{Exit, Failure, Outcome, describe},
    words::split_words,
};

/// Most bytes of its words that are kept while they cannot be shown.
const SAID_MAX: u64 = 64 << 10;

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
    /// While that `is_held` it is returned instead, the lines that it would have printed.
    pub(super) async fn run(
        self,
        snapshot: &TorrentSnapshot,
        name: &str,
        directory: &Path,
        is_held: bool,
    ) -> (Vec<Printable>, Outcome) {
        // In a file, not a pipe: it may outlive us, and must be able to go on.
        let kept = is_held.then(Kept::new).transpose();
        let failed = |error: &io::Error| {
            Failure::new(Exit::Other, "--on-done", describe(error), "check the folder for temporary files")
        };
        match kept {
            Ok(kept) => {
                let result = self.run_into(kept.as_ref(), snapshot, name, directory).await;
                (kept.map(Kept::lines).unwrap_or_default(), result)
            }
            Err(error) => (Vec::new(), Err(failed(&error))),
        }
    }

    async fn run_into(
        &self,
        kept: Option<&Kept>,
        snapshot: &TorrentSnapshot,
        name: &str,
        directory: &Path,
    ) -> Outcome {
        let program = &self.words[0];
        let failed = |error: &io::Error| {
            Failure::new(Exit::Other, program, describe(error), "check the program of --on-done")
        };
        let (stdout, stderr) = match kept {
            Some(kept) => {
                (kept.end().map_err(|error| failed(&error))?, kept.end().map_err(|error| failed(&error))?)
            }
            None => (io::stderr().into(), Stdio::inherit()),
        };
        let mut child = Command::new(program)
            .args(&self.words[1..])
            .env("POTLUCK_NAME", name)
            .env("POTLUCK_PATH", directory.join(name))
            .env("POTLUCK_DIRECTORY", directory)
            .env("POTLUCK_INFO_HASH", snapshot.info_hash.to_string())
            .env("POTLUCK_SIZE", snapshot.wanted_size.to_string())
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .map_err(|error| failed(&error))?;
        match child.wait().await {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => {
                Err(Failure::new(Exit::Other, program, format!("--on-done ended with {status}"), ""))
            }
            Err(error) => Err(Failure::new(Exit::Other, program, describe(&error), "")),
        }
    }
}

/// A place for what a program prints while nobody can see it.
struct Kept {
    file: NamedTempFile,
    reader: File,
}

impl Kept {
    fn new() -> io::Result<Self> {
        let file = NamedTempFile::new()?;
        let reader = file.reopen()?;
        Ok(Self { file, reader })
    }

    /// Where the program writes.
    fn end(&self) -> io::Result<Stdio> {
        self.file.as_file().try_clone().map(Stdio::from)
    }

    /// What it wrote, of which the rest is left out.
    fn lines(self) -> Vec<Printable> {
        let mut said = Vec::new();
        // What was read before a failure is what there is.
        let _ = self.reader.take(SAID_MAX).read_to_end(&mut said);
        String::from_utf8_lossy(&said).lines().map(Printable::new).collect()
    }
}
