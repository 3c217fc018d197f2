//! Trackers to meet at.

use std::any::Any;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddrV4;
use std::process::Command;

use potluck_common::InfoHash;
use potluck_tracker::{TrackerConfig, TrackerServer};
use tokio::runtime::{Builder, Runtime};

use super::process::{self, Process};
use super::room::Room;
use super::{Deadline, Outcome, address, http, wait_for};

/// Debian's name of opentracker.
const OPENTRACKER: &str = "opentracker";

/// Which tracker, and how it is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Meeting {
    /// Our tracker over HTTP.
    OursHttp,
    /// Our tracker over UDP.
    OursUdp,
    /// Debian's opentracker over HTTP.
    OpentrackerHttp,
    /// Debian's opentracker over UDP.
    OpentrackerUdp,
}

impl Meeting {
    /// The name in trials.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OursHttp => "our_tracker_http",
            Self::OursUdp => "our_tracker_udp",
            Self::OpentrackerHttp => "opentracker_http",
            Self::OpentrackerUdp => "opentracker_udp",
        }
    }

    /// Whether this machine has the tracker.
    pub(crate) fn is_installed(self) -> bool {
        match self {
            Self::OursHttp | Self::OursUdp => true,
            Self::OpentrackerHttp | Self::OpentrackerUdp => process::is_installed(OPENTRACKER),
        }
    }
}

/// A tracker at work for one torrent. Dropping it ends it.
pub(crate) struct Tracker {
    http: SocketAddrV4,
    announce_url: String,
    info_hash: InfoHash,
    _server: Box<dyn Any>,
}

/// Starts a tracker and waits until it answers.
pub(crate) fn start(room: &Room, meeting: Meeting, info_hash: InfoHash) -> Outcome<Tracker> {
    let (http, udp) = (address::unused_localhost(), address::unused_localhost());
    let server: Box<dyn Any> = match meeting {
        Meeting::OursHttp | Meeting::OursUdp => Box::new(OurTracker::start(http, udp)?),
        Meeting::OpentrackerHttp | Meeting::OpentrackerUdp => {
            Box::new(start_opentracker(room, http, udp, info_hash)?)
        }
    };
    let announce_url = match meeting {
        Meeting::OursHttp | Meeting::OpentrackerHttp => format!("http://{http}/announce"),
        Meeting::OursUdp | Meeting::OpentrackerUdp => format!("udp://{udp}/announce"),
    };
    Ok(Tracker { http, announce_url, info_hash, _server: server })
}

/// Our tracker in a runtime of its own.
struct OurTracker {
    runtime: Runtime,
    server: Option<TrackerServer>,
}

impl OurTracker {
    fn start(http: SocketAddrV4, udp: SocketAddrV4) -> Outcome<Self> {
        let config =
            TrackerConfig { http: vec![http.into()], udp: vec![udp.into()], ..TrackerConfig::default() };
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let server = runtime.block_on(async { TrackerServer::bind(&config) })?;
        Ok(Self { runtime, server: Some(server) })
    }
}

impl Drop for OurTracker {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.shutdown());
        }
    }
}

/// Debian's build knows only the info-hashes on its whitelist.
fn start_opentracker(
    room: &Room,
    http: SocketAddrV4,
    udp: SocketAddrV4,
    info_hash: InfoHash,
) -> Outcome<Process> {
    let home = room.folder("tracker")?;
    fs::write(home.join("whitelist"), format!("{info_hash}\n"))?;
    let mut command = Command::new(OPENTRACKER);
    command.args(["-i", "127.0.0.1", "-p", &http.port().to_string(), "-P", &udp.port().to_string()]);
    command.arg("-d").arg(&home).args(["-w", "whitelist"]);
    let mut process = Process::start(&mut command, &home)?;
    wait_for(room.deadline, "opentracker answers", || {
        process.ensure_running()?;
        Ok(http::get(http, "/stats").ok().map(|_| ()))
    })?;
    Ok(process)
}

impl Tracker {
    /// Where peers announce themselves.
    pub(crate) fn announce_url(&self) -> &str {
        &self.announce_url
    }

    /// Waits until at least `count` peers have announced themselves.
    pub(crate) fn wait_for_peers(&self, count: u64, deadline: Deadline) -> Outcome {
        let mut target = "/scrape?info_hash=".to_owned();
        for byte in self.info_hash.as_bytes() {
            write!(target, "%{byte:02x}")?;
        }
        wait_for(deadline, "peers announce themselves", || {
            let body = http::get(self.http, &target)?.body;
            let known = scraped(&body, b"8:completei") + scraped(&body, b"10:incompletei");
            Ok((known >= count).then_some(()))
        })
    }
}

/// The integer that follows `key` in a scrape reply, or 0.
fn scraped(body: &[u8], key: &[u8]) -> u64 {
    let Some(at) = body.windows(key.len()).position(|window| window == key) else { return 0 };
    let digits = body[at + key.len()..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |value, digit| value * 10 + u64::from(digit - b'0'))
}
