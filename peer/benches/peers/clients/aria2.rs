//! aria2.

use std::process::Command;

use serde_json::json;

use super::{Client, Job, Leecher};
use crate::{
    Outcome, http,
    process::{Process, find},
};

const PROGRAM: &str = "aria2c";

/// aria2.
pub(super) struct Aria2;

impl Aria2 {
    fn command(job: &Job) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(["--no-conf", "--show-console-readout=false", "--seed-ratio=0.0", "--bt-max-peers=0"]);
        command.args([
            "--enable-dht=false",
            "--enable-dht6=false",
            "--bt-enable-lpd=false",
            "--enable-peer-exchange=false",
            "--disable-ipv6",
            "--file-allocation=none",
        ]);
        command.arg(format!("--listen-port={}", job.listen.port()));
        command.arg(format!("--interface={}", job.listen.ip()));
        command.arg("--dir").arg(&job.payload_folder).arg("--torrent-file").arg(&job.torrent);
        command
    }
}

impl Client for Aria2 {
    fn name(&self) -> &'static str {
        "aria2"
    }

    fn is_installed(&self) -> bool {
        find(PROGRAM).is_some()
    }

    fn seed(&self, job: &Job) -> Outcome<Process> {
        let mut command = Self::command(job);
        command.args(["--bt-seed-unverified=true", "--enable-rpc", "--rpc-listen-all=false"]);
        command.arg(format!("--rpc-listen-port={}", job.control.port()));
        let mut process = Process::start(command, &job.home)?;
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "aria2.tellActive", "params": [["seeder"]] });
        process.wait_ready("aria2", |_| {
            // It listens only after it has read the torrent.
            let Ok(reply) = http::exchange(job.control, "POST", "/jsonrpc", &[], call.to_string().as_bytes())
            else {
                return Ok(false);
            };
            Ok(reply.json()?["result"][0]["seeder"] == "true")
        })?;
        Ok(process)
    }

    fn leech(&self, job: &Job) -> Outcome<Leecher> {
        let mut command = Self::command(job);
        command.arg(format!("--on-bt-download-complete={}", job.hook().display()));
        Ok(Leecher::Command(command))
    }
}
