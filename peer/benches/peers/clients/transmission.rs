//! transmission-daemon, controlled by its RPC.

use std::{fs, net::SocketAddr, process::Command};

use serde_json::{Value, json};

use super::{Client, Job, Leecher};
use crate::{
    Outcome, http,
    process::{Process, find},
};

const PROGRAM: &str = "transmission-daemon";

/// Transmission.
pub(super) struct Transmission;

impl Transmission {
    fn start(job: &Job) -> Outcome<Process> {
        fs::write(job.home.join("settings.json"), settings(job).to_string())?;
        let mut command = Command::new(PROGRAM);
        command.args(["--foreground", "--log-error", "--config-dir"]).arg(&job.home);
        let mut process = Process::start(command, &job.home)?;
        let mut control = Control::new(job);
        process.wait_ready("transmission", |_| Ok(control.call("session-get", &json!({})).is_ok()))?;
        Ok(process)
    }
}

fn settings(job: &Job) -> Value {
    json!({
        "bind-address-ipv4": job.listen.ip().to_string(),
        "bind-address-ipv6": "::1",
        "peer-port": job.listen.port(),
        "rpc-bind-address": job.control.ip().to_string(),
        "rpc-port": job.control.port(),
        "rpc-whitelist-enabled": false,
        "rpc-host-whitelist-enabled": false,
        "download-dir": job.payload_folder,
        "dht-enabled": false,
        "lpd-enabled": false,
        "pex-enabled": false,
        "utp-enabled": false,
        "port-forwarding-enabled": false,
        "rename-partial-files": false,
        // Plain is preferred.
        "encryption": 0,
        "script-torrent-done-enabled": true,
        "script-torrent-done-filename": job.hook(),
    })
}

fn add(control: &mut Control, torrent: &str, folder: &str) -> Outcome {
    let arguments = json!({ "filename": torrent, "download-dir": folder });
    let added = control.call("torrent-add", &arguments)?;
    if added["result"] == "success" { Ok(()) } else { Err(format!("it refuses the torrent: {added}").into()) }
}

impl Client for Transmission {
    fn name(&self) -> &'static str {
        "transmission"
    }

    fn is_installed(&self) -> bool {
        find(PROGRAM).is_some()
    }

    fn seed(&self, job: &Job) -> Outcome<Process> {
        let mut process = Self::start(job)?;
        let mut control = Control::new(job);
        add(&mut control, super::text(&job.torrent)?, super::text(&job.payload_folder)?)?;
        process.wait_ready("transmission's check", |_| {
            let reply = control.call("torrent-get", &json!({ "fields": ["status"] }))?;
            // 6 is "seeding"; while it still checks the files it is 1 or 2.
            Ok(reply["arguments"]["torrents"][0]["status"] == 6)
        })?;
        Ok(process)
    }

    fn leech(&self, job: &Job) -> Outcome<Leecher> {
        let process = Self::start(job)?;
        let mut control = Control::new(job);
        let (torrent, folder) =
            (super::text(&job.torrent)?.to_owned(), super::text(&job.payload_folder)?.to_owned());
        Ok(Leecher::Service(process, Box::new(move |_| add(&mut control, &torrent, &folder))))
    }

    fn dials_loopback(&self) -> bool {
        false
    }
}

struct Control {
    address: SocketAddr,
    token: String,
}

impl Control {
    fn new(job: &Job) -> Self {
        Self { address: job.control, token: String::new() }
    }

    fn call(&mut self, method: &str, arguments: &Value) -> Outcome<Value> {
        let body = json!({ "method": method, "arguments": arguments }).to_string();
        loop {
            let headers = [("X-Transmission-Session-Id", self.token.as_str())];
            let response =
                http::exchange(self.address, "POST", "/transmission/rpc", &headers, body.as_bytes())?;
            match response.header("X-Transmission-Session-Id") {
                Some(token) if response.status == 409 && token != self.token => self.token = token.into(),
                _ => return response.json(),
            }
        }
    }
}
