//! qbittorrent-nox, controlled by its web interface.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use super::{Client, Job, Leecher};
use crate::{
    Outcome, http,
    process::{Process, find},
};

const PROGRAM: &str = "qbittorrent-nox";

/// Divides the parts of an upload.
const BOUNDARY: &str = "b0undary-of-potluck";

/// qBittorrent without a window.
pub(super) struct Qbittorrent;

impl Qbittorrent {
    fn start(job: &Job) -> Outcome<Process> {
        let folder = job.home.join("qBittorrent/config");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("qBittorrent.conf"), settings(job))?;
        let mut command = Command::new(PROGRAM);
        command.arg(format!("--profile={}", job.home.display()));
        let mut process = Process::start(command, &job.home)?;
        process.wait_ready("qbittorrent", |_| Ok(http::get(job.control, "/api/v2/app/version").is_ok()))?;
        Ok(process)
    }
}

fn settings(job: &Job) -> String {
    let (ip, port) = (job.listen.ip(), job.listen.port());
    let (control_ip, control_port) = (job.control.ip(), job.control.port());
    let hook = job.hook();
    format!(
        "[LegalNotice]\nAccepted=true\n\
         [AutoRun]\n\
         enabled=true\n\
         program={}\n\
         [BitTorrent]\n\
         Session\\Interface=lo\n\
         Session\\InterfaceName=lo\n\
         Session\\InterfaceAddress={ip}\n\
         Session\\Port={port}\n\
         Session\\BTProtocol=TCP\n\
         Session\\Encryption=2\n\
         Session\\DHTEnabled=false\n\
         Session\\LSDEnabled=false\n\
         Session\\PeXEnabled=false\n\
         Session\\MultiConnectionsPerIp=true\n\
         Session\\SSRFMitigation=false\n\
         Session\\ResolvePeerCountries=false\n\
         [Network]\nPortForwardingEnabled=false\n\
         [Preferences]\n\
         General\\ResolvePeerCountries=false\n\
         Connection\\ResolvePeerCountries=false\n\
         WebUI\\Address={control_ip}\n\
         WebUI\\Port={control_port}\n\
         WebUI\\LocalHostAuth=false\n\
         WebUI\\UseUPnP=false\n",
        hook.display()
    )
}

impl Client for Qbittorrent {
    fn name(&self) -> &'static str {
        "qbittorrent"
    }

    fn is_installed(&self) -> bool {
        find(PROGRAM).is_some()
    }

    fn seed(&self, job: &Job) -> Outcome<Process> {
        let mut process = Self::start(job)?;
        add(job.control, &upload(&job.torrent, &job.payload_folder, true)?)?;
        process.wait_ready("qbittorrent's torrent", |_| {
            let torrents = http::get(job.control, "/api/v2/torrents/info")?.json()?;
            let state = torrents[0]["state"].as_str().unwrap_or_default();
            Ok(matches!(state, "uploading" | "stalledUP" | "forcedUP"))
        })?;
        Ok(process)
    }

    fn leech(&self, job: &Job) -> Outcome<Leecher> {
        let process = Self::start(job)?;
        let (control, body) = (job.control, upload(&job.torrent, &job.payload_folder, false)?);
        Ok(Leecher::Service(process, Box::new(move |_| add(control, &body))))
    }
}

fn add(control: SocketAddr, body: &[u8]) -> Outcome {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let headers = [("Content-Type", kind.as_str())];
    let response = http::exchange(control, "POST", "/api/v2/torrents/add", &headers, body)?;
    match response.body.as_slice() {
        b"Ok." => Ok(()),
        body => Err(format!("it refuses the torrent: {}", String::from_utf8_lossy(body)).into()),
    }
}

fn upload(torrent: &Path, folder: &Path, seeds: bool) -> Outcome<Vec<u8>> {
    let mut body = part("name=\"savepath\"", super::text(folder)?.as_bytes());
    body.extend(part("name=\"skip_checking\"", if seeds { b"true" } else { b"false" }));
    body.extend(part("name=\"torrents\"; filename=\"a.torrent\"", &fs::read(torrent)?));
    body.extend(format!("--{BOUNDARY}--\r\n").into_bytes());
    Ok(body)
}

fn part(name: &str, content: &[u8]) -> Vec<u8> {
    let mut part = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {name}\r\n\r\n").into_bytes();
    part.extend_from_slice(content);
    part.extend_from_slice(b"\r\n");
    part
}
