//! Trackers to meet at.

use std::any::Any;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
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
    /// Our tracker over HTTP on ::1.
    OursHttpIpv6,
    /// Our tracker over UDP on ::1.
    OursUdpIpv6,
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
            Self::OursHttpIpv6 => "our_tracker_http_ipv6",
            Self::OursUdpIpv6 => "our_tracker_udp_ipv6",
            Self::OpentrackerHttp => "opentracker_http",
            Self::OpentrackerUdp => "opentracker_udp",
        }
    }

    /// Whether those who meet there use IPv6.
    pub(crate) fn is_ipv6(self) -> bool {
        matches!(self, Self::OursHttpIpv6 | Self::OursUdpIpv6)
    }

    /// What this machine lacks for it.
    pub(crate) fn hindrance(self) -> Option<&'static str> {
        match self {
            Self::OursHttp | Self::OursUdp => None,
            Self::OursHttpIpv6 | Self::OursUdpIpv6 => (!address::has_ipv6()).then_some("no IPv6"),
            Self::OpentrackerHttp | Self::OpentrackerUdp => {
                (!process::is_installed(OPENTRACKER)).then_some("not installed")
            }
        }
    }
}

/// A tracker at work for one torrent. Dropping it ends it.
pub(crate) struct Tracker {
    http: SocketAddr,
    announce_url: String,
    info_hash: InfoHash,
    _server: Box<dyn Any>,
}

/// Starts a tracker and waits until it answers.
pub(crate) fn start(room: &Room, meeting: Meeting, info_hash: InfoHash) -> Outcome<Tracker> {
    let unused = if meeting.is_ipv6() { address::unused_ipv6 } else { address::unused_localhost };
    let (http, udp) = (unused(), unused());
    let server: Box<dyn Any> = match meeting {
        Meeting::OpentrackerHttp | Meeting::OpentrackerUdp => {
            Box::new(start_opentracker(room, http, udp, info_hash)?)
        }
        _ => Box::new(OurTracker::start(http, udp)?),
    };
    let announce_url = match meeting {
        Meeting::OursHttp | Meeting::OursHttpIpv6 | Meeting::OpentrackerHttp => {
            format!("http://{http}/announce")
        }
        Meeting::OursUdp | Meeting::OursUdpIpv6 | Meeting::OpentrackerUdp => format!("udp://{udp}/announce"),
    };
    Ok(Tracker { http, announce_url, info_hash, _server: server })
}

/// Our tracker in a runtime of its own.
pub(crate) struct OurTracker {
    runtime: Runtime,
    server: Option<TrackerServer>,
}

impl OurTracker {
    fn start(http: SocketAddr, udp: SocketAddr) -> Outcome<Self> {
        Self::with(&TrackerConfig { http: vec![http], udp: vec![udp], ..TrackerConfig::default() })
    }

    /// At this address alone.
    pub(crate) fn on_http(address: SocketAddr) -> Outcome<Self> {
        Self::with(&TrackerConfig { http: vec![address], udp: Vec::new(), ..TrackerConfig::default() })
    }

    fn with(config: &TrackerConfig) -> Outcome<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let server = runtime.block_on(async { TrackerServer::bind(config) })?;
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
    http: SocketAddr,
    udp: SocketAddr,
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
