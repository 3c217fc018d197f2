//! One process of a swarm.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Outcome,
    kind::{self, Client},
    process::Process,
};

/// Debian's interpreter, which has Debian's binding; another one that stands first on the path has not.
const PYTHON: &str = "/usr/bin/python3";
const PORT: u16 = 6881;

/// What a member does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    Seed,
    Contributor,
    FreeRider,
}

/// A process that is to run, runs or has run.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) client: Client,
    pub(super) ip: Ipv4Addr,
    /// The folder in which the payload lies, or is to lie.
    pub(super) payload_folder: PathBuf,
    home: PathBuf,
    process: Option<Process>,
}

/// What a member said of itself. Bytes are of payload.
#[derive(Default, Debug)]
pub(super) struct Told {
    /// Seconds from its start to when it was complete.
    pub(super) seconds: Option<f64>,
    pub(super) downloaded: u64,
    pub(super) uploaded: u64,
    /// By address, if it tells that.
    pub(super) received: Option<BTreeMap<Ipv4Addr, u64>>,
}

/// A line of `libtorrent_session.py`.
#[derive(Deserialize)]
struct SessionLine {
    complete: bool,
    seconds: f64,
    downloaded: u64,
    uploaded: u64,
    received: BTreeMap<Ipv4Addr, u64>,
}

impl Member {
    /// One whose files are to lie below `folder`.
    pub(super) fn new(
        name: String,
        role: Role,
        client: Client,
        ip: Ipv4Addr,
        folder: &Path,
    ) -> Outcome<Self> {
        let home = folder.join(&name);
        let payload_folder = home.join("payload");
        fs::create_dir_all(&payload_folder)?;
        Ok(Self { name, role, client, ip, payload_folder, home, process: None })
    }

    /// Starts what must run before it can be told to begin; the seed begins at once.
    pub(super) fn prepare(&mut self, potluck: &Path, torrent: &Path) -> Outcome {
        self.process = match self.client {
            Client::Ours if self.role == Role::Seed => {
                Some(Process::start(self.potluck(potluck, "seed", torrent), &self.home)?)
            }
            Client::Ours => None,
            Client::Libtorrent { slots } => Some(Process::start(self.session(slots, torrent), &self.home)?),
        };
        Ok(())
    }

    /// Waits until it can begin, or has everything and listens.
    pub(super) fn wait_ready(&mut self) -> Outcome {
        let ready = self.ready();
        let Some(process) = &mut self.process else { return Ok(()) };
        match self.client {
            Client::Ours => process.wait_ready("the seed's check", |process| {
                Ok(process.output().contains("\"state\":\"seeding\""))
            }),
            Client::Libtorrent { .. } => process.wait_ready("libtorrent", |_| Ok(ready.exists())),
        }
    }

    /// Begins to download.
    pub(super) fn begin(&mut self, potluck: &Path, torrent: &Path) -> Outcome {
        if let Some(process) = &mut self.process {
            return process.say("go");
        }
        self.process = Some(Process::start(self.potluck(potluck, "get", torrent), &self.home)?);
        Ok(())
    }

    /// Whether it is complete and has left; an error if it ended otherwise.
    pub(super) fn has_left(&self) -> Outcome<bool> {
        let Some(process) = &self.process else { return Ok(false) };
        match process.ended()? {
            None => Ok(false),
            Some(status) if status.exit_status() == Some(0) => Ok(true),
            Some(status) => Err(format!("{}: {}", self.name, process.end_of(&status)).into()),
        }
    }

    /// What it has said so far.
    pub(super) fn told(&self) -> Told {
        let output = self.process.as_ref().map(Process::output).unwrap_or_default();
        match self.client {
            Client::Ours => told_by_potluck(&output),
            Client::Libtorrent { .. } => told_by_session(&output),
        }
    }

    fn rates(&self) -> (u64, u64) {
        match self.role {
            Role::Seed => (kind::SEED_UP, 0),
            // A limit of next to nothing would keep it from asking, too.
            Role::FreeRider => (0, kind::DOWN),
            Role::Contributor => (kind::UP, kind::DOWN),
        }
    }

    fn potluck(&self, program: &Path, verb: &str, torrent: &Path) -> Command {
        let (up, down) = self.rates();
        let mut command = Command::new(program);
        command.arg(verb).arg(torrent).arg("--output").arg(&self.payload_folder);
        command.args(["--bind", &self.ip.to_string(), "--port", &PORT.to_string()]);
        command.args(["--up", &up.to_string(), "--progress", "never", "--json"]);
        if verb == "get" {
            command.args(["--down", &down.to_string()]);
        }
        command
    }

    fn session(&self, slots: u32, torrent: &Path) -> Command {
        let (up, down) = self.rates();
        let options = json!({
            "torrent": torrent,
            "folder": self.payload_folder,
            "listen": SocketAddr::new(self.ip.into(), PORT).to_string(),
            "ip": self.ip.to_string(),
            "ready": self.ready(),
            "seeds": self.role == Role::Seed,
            "slots": slots,
            "up": up,
            "down": down,
        });
        let mut command = Command::new(PYTHON);
        command.args(["-c", include_str!("libtorrent_session.py"), &options.to_string()]);
        command
    }

    fn ready(&self) -> PathBuf {
        self.home.join("ready")
    }
}

/// Potluck tells when it was complete, and at its end what it has sent.
fn told_by_potluck(output: &str) -> Told {
    let mut told = Told::default();
    for line in output.lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        match line["event"].as_str() {
            Some("completed") => told.seconds = line["seconds"].as_f64(),
            Some("progress" | "result") => {
                let bytes = |key: &str| line[key].as_u64().unwrap_or_default();
                (told.downloaded, told.uploaded) = (bytes("downloaded"), bytes("uploaded"));
            }
            _ => {}
        }
    }
    told
}

/// Of a session the last line tells all. What stands beside its lines are errors.
fn told_by_session(output: &str) -> Told {
    let mut lines = output.lines().rev();
    let Some(last) = lines.find_map(|line| serde_json::from_str::<SessionLine>(line).ok()) else {
        return Told::default();
    };
    Told {
        seconds: last.complete.then_some(last.seconds),
        downloaded: last.downloaded,
        uploaded: last.uploaded,
        received: Some(last.received),
    }
}
