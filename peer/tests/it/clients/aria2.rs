//! aria2, controlled by its JSON-RPC interface.

use std::net::SocketAddr;
use std::process::Command;

use serde_json::json;

use super::{Driver, Job, Running};
use crate::support::payload::Case;
use crate::support::process::{self, Process};
use crate::support::{Outcome, address, http};

const PROGRAM: &str = "aria2c";

/// aria2 1.36.
pub(crate) struct Aria2;

impl Driver for Aria2 {
    fn name(&self) -> &'static str {
        "aria2"
    }

    fn is_installed(&self) -> bool {
        process::is_installed(PROGRAM)
    }

    fn unable(&self, case: Case) -> Option<&'static str> {
        (case == Case::Hybrid).then_some("its info-hash of hybrid torrents is wrong")
    }

    fn announces_as_leecher_by_magnet(&self) -> bool {
        // It says that nothing is left.
        false
    }

    fn announces_over_udp(&self) -> bool {
        // Its UDP trackers share the DHT's socket: "udp is not supported yet".
        false
    }

    fn start(&self, job: &Job) -> Outcome<Box<dyn Running>> {
        // The interface listens on 127.0.0.1 or everywhere, nothing else.
        let control = address::unused_localhost();
        let mut command = Command::new(PROGRAM);
        command.args(["--no-conf", "--enable-rpc", "--rpc-listen-all=false"]);
        command.arg(format!("--rpc-listen-port={}", control.port()));
        command.arg(format!("--listen-port={}", job.listen.port()));
        command.arg(format!("--interface={}", job.listen.ip()));
        command.args(["--disable-ipv6", "--enable-dht6=false"]);
        command.arg(format!("--bt-enable-lpd={}", job.lsd));
        if job.lsd {
            command.arg(format!("--bt-lpd-interface={}", job.interface));
        }
        match job.dht {
            Some(bootstrap) => {
                command.args(["--enable-dht=true", "--dht-file-path=dht.dat"]);
                command.arg(format!("--dht-entry-point={bootstrap}"));
                command.arg(format!("--dht-listen-port={}", job.listen.port()));
            }
            None => drop(command.arg("--enable-dht=false")),
        }
        command.args(["--enable-peer-exchange=false", "--file-allocation=none", "--bt-max-peers=0"]);
        // Without these two it stops once it is complete, or does not look at what is there.
        command.args(["--seed-ratio=0.0", "--check-integrity=true"]);
        command.args(["--show-console-readout=false", "--log=aria2.log", "--log-level=notice"]);
        command.arg("--dir").arg(&job.payload_folder);
        match &job.magnet {
            Some(magnet) => command.arg(magnet),
            None => command.arg("--torrent-file").arg(&job.torrent),
        };
        let process = Process::start(&mut command, &job.home)?;
        Ok(Box::new(RunningAria2 { process, control }))
    }
}

struct RunningAria2 {
    process: Process,
    control: SocketAddr,
}

impl Running for RunningAria2 {
    fn is_complete(&mut self) -> Outcome<bool> {
        self.process.ensure_running()?;
        let call = json!({
            "jsonrpc": "2.0",
            "id": 1,
            "method": "aria2.tellActive",
            "params": [["seeder", "status", "errorMessage"]],
        });
        // It listens only after it has read the torrent.
        let Ok(response) = http::exchange(self.control, "POST", "/jsonrpc", &[], call.to_string().as_bytes())
        else {
            return Ok(false);
        };
        Ok(response.json()?["result"][0]["seeder"] == "true")
    }
}
