//! transmission-daemon, controlled by its RPC.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use serde_json::{Value, json};

use super::{Driver, Job, Running};
use crate::support::payload::Case;
use crate::support::process::{self, Process};
use crate::support::{Deadline, Outcome, address, http, wait_for};

const PROGRAM: &str = "transmission-daemon";

/// How long it may take until its RPC answers.
const START_PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// Transmission 3.00.
pub(crate) struct Transmission;

impl Driver for Transmission {
    fn name(&self) -> &'static str {
        "transmission"
    }

    fn is_installed(&self) -> bool {
        process::is_installed(PROGRAM)
    }

    fn unable(&self, case: Case) -> Option<&'static str> {
        // So it also does with those that libtorrent makes: its reader trips over the empty keys of v2's file tree.
        (case == Case::Hybrid).then_some("it refuses hybrid torrents")
    }

    fn dials_loopback(&self) -> bool {
        // It drops every 127/8 and ::1 peer that it is told of, and has no setting against it.
        false
    }

    fn creates_empty_files(&self) -> bool {
        false
    }

    fn start(&self, job: &Job) -> Outcome<Box<dyn Running>> {
        let control = address::unused();
        fs::write(job.home.join("settings.json"), settings(job, control).to_string())?;
        if let Some(bootstrap) = job.dht {
            fs::write(job.home.join("dht.bootstrap"), format!("{} {}\n", bootstrap.ip(), bootstrap.port()))?;
        }
        let mut command = Command::new(PROGRAM);
        command.args(["--foreground", "--log-info", "--config-dir"]).arg(&job.home);
        let process = Process::start(&mut command, &job.home)?;
        let mut running = RunningTransmission { process, control, token: String::new() };
        running.add(job)?;
        Ok(Box::new(running))
    }
}

fn settings(job: &Job, control: SocketAddr) -> Value {
    json!({
        "bind-address-ipv4": job.listen.ip().to_string(),
        "bind-address-ipv6": "::1",
        "peer-port": job.listen.port(),
        "rpc-bind-address": control.ip().to_string(),
        "rpc-port": control.port(),
        "rpc-whitelist-enabled": false,
        "rpc-host-whitelist-enabled": false,
        "download-dir": job.payload_folder,
        "dht-enabled": job.dht.is_some(),
        "lpd-enabled": job.lsd,
        "pex-enabled": false,
        "utp-enabled": false,
        "port-forwarding-enabled": false,
        "rename-partial-files": false,
    })
}

struct RunningTransmission {
    process: Process,
    control: SocketAddr,
    token: String,
}

impl RunningTransmission {
    fn add(&mut self, job: &Job) -> Outcome {
        let arguments = json!({ "filename": job.source(), "download-dir": job.payload_folder });
        let added = wait_for(Deadline::after(START_PATIENCE), "transmission answers", || {
            self.process.ensure_running()?;
            Ok(self.call("torrent-add", &arguments).ok())
        })?;
        match added["result"].as_str() {
            Some("success") => Ok(()),
            _ => Err(format!("transmission refuses the torrent: {added}").into()),
        }
    }

    fn call(&mut self, method: &str, arguments: &Value) -> Outcome<Value> {
        let body = json!({ "method": method, "arguments": arguments }).to_string();
        loop {
            let headers = [("X-Transmission-Session-Id", self.token.as_str())];
            let response =
                http::exchange(self.control, "POST", "/transmission/rpc", &headers, body.as_bytes())?;
            match response.header("X-Transmission-Session-Id") {
                Some(token) if response.status == 409 && token != self.token => self.token = token.into(),
                _ => return response.json(),
            }
        }
    }
}

impl Running for RunningTransmission {
    fn is_complete(&mut self) -> Outcome<bool> {
        self.process.ensure_running()?;
        let fields = json!({ "fields": ["status", "percentDone", "error", "errorString"] });
        let reply = self.call("torrent-get", &fields)?;
        let torrent = &reply["arguments"]["torrents"][0];
        // 3 is a local error; 1 and 2 are the tracker's.
        if torrent["error"] == 3 {
            return Err(format!("transmission: {}", torrent["errorString"]).into());
        }
        // Status 6 is "seeding"; while it still checks the files it is 1 or 2.
        Ok(torrent["status"] == 6)
    }
}
