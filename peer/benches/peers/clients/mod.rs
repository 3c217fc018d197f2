//! The clients, each behind the same interface.

mod aria2;
mod libtorrent;
mod ours;
mod qbittorrent;
mod rqbit;
mod rtorrent;
mod transmission;

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use potluck_common::InfoHash;

pub(super) use self::ours::Ours;
use super::{Outcome, ground::Ground, payload::Payload, process::Process};

/// What one process is to do with one torrent.
pub(super) struct Job {
    pub(super) torrent: PathBuf,
    pub(super) info_hash: InfoHash,
    /// The folder in which the torrent's file or folder lies, or is to lie.
    pub(super) payload_folder: PathBuf,
    /// An empty folder for settings and logs.
    pub(super) home: PathBuf,
    /// Where it listens, and from where it connects if it can choose.
    pub(super) listen: SocketAddr,
    /// Where its control interface is.
    pub(super) control: SocketAddr,
}

impl Job {
    /// A job in the empty folder `home`.
    pub(super) fn new(
        payload: &Payload,
        torrent: &Path,
        payload_folder: PathBuf,
        home: PathBuf,
        ground: &Ground,
    ) -> Outcome<Self> {
        fs::create_dir_all(&home)?;
        fs::create_dir_all(&payload_folder)?;
        let job = Self {
            torrent: torrent.to_owned(),
            info_hash: payload.info_hash,
            payload_folder,
            home,
            listen: ground.address(),
            control: ground.localhost(),
        };
        fs::write(job.hook(), format!("#!/bin/sh\n: > '{}'\n", job.done().display()))?;
        fs::set_permissions(job.hook(), fs::Permissions::from_mode(0o755))?;
        Ok(job)
    }

    /// A program that says that the download is complete.
    fn hook(&self) -> PathBuf {
        self.home.join("hook.sh")
    }

    /// The file that says so.
    fn done(&self) -> PathBuf {
        self.home.join("done")
    }

    fn is_done(&self) -> bool {
        self.done().exists()
    }
}

/// A leecher that has not been told of its torrent yet.
pub(super) enum Leecher {
    /// It is told by its command line.
    Command(Command),
    /// It runs already.
    Service(Process, Box<dyn FnOnce(&mut Process) -> Outcome>),
}

impl Leecher {
    /// The processor time that it took before anybody told it anything.
    pub(super) fn cpu(&self) -> Duration {
        match self {
            Self::Command(_) => Duration::ZERO,
            Self::Service(process, _) => process.cpu(),
        }
    }

    /// Tells it.
    pub(super) fn tell(self, job: &Job) -> Outcome<Process> {
        match self {
            Self::Command(command) => Process::start(command, &job.home),
            Self::Service(mut process, tell) => {
                tell(&mut process)?;
                Ok(process)
            }
        }
    }
}

/// How to run one kind of client.
pub(super) trait Client: Sync {
    fn name(&self) -> &'static str;

    /// Whether this machine has it.
    fn is_installed(&self) -> bool;

    /// Starts it as a seeder, and waits until it has checked the payload and listens.
    fn seed(&self, job: &Job) -> Outcome<Process>;

    /// Prepares it as a leecher.
    fn leech(&self, job: &Job) -> Outcome<Leecher>;

    /// Whether it says that it is complete.
    fn is_complete(&self, job: &Job, process: &Process) -> Outcome<bool> {
        if job.is_done() {
            return Ok(true);
        }
        match process.ended()? {
            None => Ok(false),
            Some(status) => Err(process.end_of(&status).into()),
        }
    }

    /// Whether it has made the payload durable; `None` if it never does.
    fn is_durable(&self, _job: &Job) -> Option<bool> {
        None
    }

    /// Whether it connects to addresses of 127.0.0.0/8.
    fn dials_loopback(&self) -> bool {
        true
    }
}

/// Every client beside ours.
pub(super) fn others() -> Vec<Box<dyn Client>> {
    vec![
        Box::new(libtorrent::Libtorrent),
        Box::new(aria2::Aria2),
        Box::new(rqbit::Rqbit),
        Box::new(transmission::Transmission),
        Box::new(qbittorrent::Qbittorrent),
        Box::new(rtorrent::Rtorrent),
    ]
}

fn text(path: &Path) -> Outcome<&str> {
    path.to_str().ok_or_else(|| "the folder's name is not unicode".into())
}
