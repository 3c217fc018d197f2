//! Trackers to meet at.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddrV4;
use std::path::Path;
use std::process::Command;

use potluck_common::InfoHash;

use super::process::Process;
use super::{Deadline, Outcome, address, http, wait_for};

/// Debian's opentracker, which knows only the info-hashes on its whitelist.
pub(crate) struct Opentracker {
    http: SocketAddrV4,
    udp: SocketAddrV4,
    process: Process,
}

impl Opentracker {
    /// The program's name.
    pub(crate) const PROGRAM: &str = "opentracker";

    /// Starts one that keeps its files in `home`.
    pub(crate) fn start(home: &Path, info_hash: InfoHash) -> Outcome<Self> {
        let whitelist = home.join("whitelist");
        fs::write(&whitelist, format!("{info_hash}\n"))?;
        let (http, udp) = (address::unused_localhost(), address::unused_localhost());
        let mut command = Command::new(Self::PROGRAM);
        command.args(["-i", "127.0.0.1", "-p", &http.port().to_string(), "-P", &udp.port().to_string()]);
        command.arg("-d").arg(home).arg("-w").arg("whitelist");
        let process = Process::start(&mut command, home)?;
        Ok(Self { http, udp, process })
    }

    /// Waits until it answers.
    pub(crate) fn wait_ready(&mut self, deadline: Deadline) -> Outcome {
        wait_for(deadline, "opentracker answers", || {
            self.process.ensure_running()?;
            Ok(http::get(self.http, "/stats").ok().map(|_| ()))
        })
    }

    /// The announce URL over HTTP.
    pub(crate) fn http_url(&self) -> String {
        format!("http://{}/announce", self.http)
    }

    /// The announce URL over UDP.
    pub(crate) fn udp_url(&self) -> String {
        format!("udp://{}/announce", self.udp)
    }

    /// Waits until at least `count` peers have announced themselves.
    pub(crate) fn wait_for_peers(&self, info_hash: InfoHash, count: u64, deadline: Deadline) -> Outcome {
        wait_for_peers(self.http, info_hash, count, deadline)
    }
}

fn wait_for_peers(http: SocketAddrV4, info_hash: InfoHash, count: u64, deadline: Deadline) -> Outcome {
    let mut target = "/scrape?info_hash=".to_owned();
    for byte in info_hash.as_bytes() {
        write!(target, "%{byte:02x}")?;
    }
    wait_for(deadline, "peers announce themselves", || {
        let body = http::get(http, &target)?.body;
        let known = scraped(&body, b"8:completei") + scraped(&body, b"10:incompletei");
        Ok((known >= count).then_some(()))
    })
}

/// The integer that follows `key` in a scrape reply, or 0.
fn scraped(body: &[u8], key: &[u8]) -> u64 {
    let Some(at) = body.windows(key.len()).position(|window| window == key) else { return 0 };
    let digits = body[at + key.len()..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |value, digit| value * 10 + u64::from(digit - b'0'))
}
