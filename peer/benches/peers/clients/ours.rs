//! The program of this workspace, as people use it.

use std::{path::PathBuf, process::Command};

use super::{Client, Job, Leecher};
use crate::{Outcome, process::Process};

/// Potluck.
pub(crate) struct Ours {
    pub(crate) program: PathBuf,
}

impl Ours {
    fn command(&self, job: &Job, verb: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(verb).arg(&job.torrent).arg("--output").arg(&job.payload_folder);
        command.args(["--bind", &job.listen.ip().to_string(), "--port", &job.listen.port().to_string()]);
        command.args(["--progress", "never", "--json"]);
        command
    }
}

impl Client for Ours {
    fn name(&self) -> &'static str {
        "ours"
    }

    fn is_installed(&self) -> bool {
        true
    }

    fn seed(&self, job: &Job) -> Outcome<Process> {
        let mut process = Process::start(self.command(job, "seed"), &job.home)?;
        process.wait_ready("the seeder's check", |process| Ok(has_all(process)))?;
        Ok(process)
    }

    fn leech(&self, job: &Job) -> Outcome<Leecher> {
        let mut command = self.command(job, "get");
        command.arg("--seed").arg("--on-done").arg(job.hook());
        Ok(Leecher::Command(command))
    }

    fn is_complete(&self, _job: &Job, process: &Process) -> Outcome<bool> {
        match process.ended()? {
            None => Ok(has_all(process)),
            Some(status) => Err(process.end_of(&status).into()),
        }
    }

    fn is_durable(&self, job: &Job) -> Option<bool> {
        Some(job.is_done())
    }
}

fn has_all(process: &Process) -> bool {
    process.output().contains("\"state\":\"seeding\"")
}
