//! rqbit, which cargo installs.

use std::{path::PathBuf, process::Command};

use super::{Client, Job, Leecher};
use crate::{
    Outcome, http,
    process::{Process, find},
};

/// rqbit.
pub(super) struct Rqbit;

fn program() -> Option<PathBuf> {
    std::env::var_os("RQBIT").map(PathBuf::from).filter(|program| program.is_file()).or_else(|| find("rqbit"))
}

impl Rqbit {
    fn command(job: &Job, switches: &[&str]) -> Outcome<Command> {
        let (ip, port) = (job.listen.ip().to_string(), job.listen.port().to_string());
        let mut command = Command::new(program().ok_or("not installed")?);
        command.args(["-v", "error", "--disable-dht", "--disable-lsd", "--disable-upnp-port-forward"]);
        // On some addresses it announces only where the port is named.
        command.args(["--ipv4-only", "--listen-ip", &ip, "--listen-port", &port, "--announce-port", &port]);
        command.args(["--http-api-listen-addr", &job.control.to_string()]);
        command.arg("download").args(switches).arg("--output-folder").arg(&job.payload_folder);
        command.arg(&job.torrent);
        Ok(command)
    }
}

impl Client for Rqbit {
    fn name(&self) -> &'static str {
        "rqbit"
    }

    fn is_installed(&self) -> bool {
        program().is_some()
    }

    fn seed(&self, job: &Job) -> Outcome<Process> {
        let mut process = Process::start(Self::command(job, &["--overwrite"])?, &job.home)?;
        process.wait_ready("rqbit's check", |_| {
            let Ok(reply) = http::get(job.control, "/torrents/0/stats/v1") else { return Ok(false) };
            let Ok(stats) = reply.json() else { return Ok(false) };
            Ok(stats["finished"] == true && stats["state"] == "live")
        })?;
        Ok(process)
    }

    fn leech(&self, job: &Job) -> Outcome<Leecher> {
        Ok(Leecher::Command(Self::command(job, &["--exit-on-finish", "--disable-http-api"])?))
    }

    /// It has no hook.
    fn is_complete(&self, _job: &Job, process: &Process) -> Outcome<bool> {
        match process.ended()? {
            None => Ok(false),
            Some(status) if status.exit_status() == Some(0) => Ok(true),
            Some(status) => Err(process.end_of(&status).into()),
        }
    }
}
