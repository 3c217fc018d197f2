//! qbittorrent-nox, controlled by its web interface.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use super::{Driver, Job, Running};
use crate::support::process::{self, Process};
use crate::support::{Deadline, Outcome, address, http, wait_for};

const PROGRAM: &str = "qbittorrent-nox";

/// How long it may take until its web interface answers.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// Divides the parts of an upload.
const BOUNDARY: &str = "b0undary-of-potluck";

/// qBittorrent 4.5.2 without a window.
pub(crate) struct Qbittorrent;

impl Driver for Qbittorrent {
    fn name(&self) -> &'static str {
        "qbittorrent"
    }

    fn is_installed(&self) -> bool {
        process::is_installed(PROGRAM)
    }

    fn start(&self, job: &Job) -> Outcome<Box<dyn Running>> {
        let control = address::unused();
        let folder = job.home.join("qBittorrent/config");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("qBittorrent.conf"), settings(job, control))?;
        let mut command = Command::new(PROGRAM);
        command.arg(format!("--profile={}", job.home.display()));
        let process = Process::start(&mut command, &job.home)?;
        let mut running = RunningQbittorrent { process, control };
        running.add(job)?;
        Ok(Box::new(running))
    }
}

fn settings(job: &Job, control: SocketAddr) -> String {
    let (ip, port) = (job.listen.ip(), job.listen.port());
    let (interface, has_dht, has_lsd) = (job.interface, job.dht.is_some(), job.lsd);
    let (control_ip, control_port) = (control.ip(), control.port());
    format!(
        "[LegalNotice]\nAccepted=true\n\
         [BitTorrent]\n\
         Session\\Interface={interface}\n\
         Session\\InterfaceName={interface}\n\
         Session\\InterfaceAddress={ip}\n\
         Session\\Port={port}\n\
         Session\\DHTEnabled={has_dht}\n\
         Session\\LSDEnabled={has_lsd}\n\
         Session\\PeXEnabled=false\n\
         Session\\IgnoreLimitsOnLAN=false\n\
         Session\\MultiConnectionsPerIp=true\n\
         Session\\SSRFMitigation=false\n\
         Session\\ResolvePeerCountries=false\n\
         Session\\RefreshInterval=100\n\
         [Network]\nPortForwardingEnabled=false\n\
         [Preferences]\n\
         General\\ResolvePeerCountries=false\n\
         Connection\\ResolvePeerCountries=false\n\
         WebUI\\Address={control_ip}\n\
         WebUI\\Port={control_port}\n\
         WebUI\\LocalHostAuth=false\n\
         WebUI\\UseUPnP=false\n"
    )
}

struct RunningQbittorrent {
    process: Process,
    control: SocketAddr,
}

impl RunningQbittorrent {
    fn add(&mut self, job: &Job) -> Outcome {
        wait_for(Deadline::after(START_PATIENCE), "qbittorrent answers", || {
            self.process.ensure_running()?;
            Ok(http::get(self.control, "/api/v2/app/version").ok().map(|_| ()))
        })?;
        let folder = job.payload_folder.to_str().ok_or("the folder's name is not unicode")?;
        let mut body = form_part("name=\"savepath\"", folder.as_bytes());
        body.extend(match &job.magnet {
            Some(magnet) => form_part("name=\"urls\"", magnet.as_bytes()),
            None => form_part("name=\"torrents\"; filename=\"a.torrent\"", &fs::read(&job.torrent)?),
        });
        body.extend(format!("--{BOUNDARY}--\r\n").into_bytes());
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        let headers = [("Content-Type", kind.as_str())];
        let response = http::exchange(self.control, "POST", "/api/v2/torrents/add", &headers, &body)?;
        match response.body.as_slice() {
            b"Ok." => Ok(()),
            body => Err(format!("qbittorrent refuses the torrent: {}", String::from_utf8_lossy(body)).into()),
        }
    }
}

fn form_part(name: &str, content: &[u8]) -> Vec<u8> {
    let mut part = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {name}\r\n\r\n").into_bytes();
    part.extend_from_slice(content);
    part.extend_from_slice(b"\r\n");
    part
}

impl Running for RunningQbittorrent {
    fn is_complete(&mut self) -> Outcome<bool> {
        self.process.ensure_running()?;
        let torrents = http::get(self.control, "/api/v2/torrents/info")?.json()?;
        let state = torrents[0]["state"].as_str().unwrap_or_default();
        if matches!(state, "error" | "missingFiles") {
            return Err(format!("qbittorrent: {torrents}").into());
        }
        Ok(matches!(state, "uploading" | "stalledUP" | "forcedUP"))
    }
}
