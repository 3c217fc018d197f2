//! Real clients as partners: one driver each behind one interface.
//!
//! All five move all payloads in both directions, which the trials of `harness` prove, but for what
//! [`Driver::unable`] names. That holds for pieces of 40 KiB too: Transmission divides them into blocks of 10 KiB, the
//! first halving that is no more than 16 KiB, and asks for those. (It refuses only piece lengths that such halving
//! does not divide evenly.)

mod aria2;
mod libtorrent;
mod qbittorrent;
mod rtorrent;
mod transmission;

use std::net::SocketAddr;
use std::path::PathBuf;

use potluck_common::InfoHash;

pub(crate) use self::libtorrent::{Libtorrent, PROGRAM as PYTHON, start_with as start_libtorrent_with};

use crate::support::payload::Case;
use crate::support::{Deadline, Outcome, wait_for};

/// What a client is asked to do: to have the payload of one torrent and to share it.
///
/// Whether it begins as a seeder depends only on what lies in `payload_folder`.
pub(crate) struct Job {
    /// The `.torrent` file.
    pub(crate) torrent: PathBuf,
    /// The magnet link to use in place of the file.
    pub(crate) magnet: Option<String>,
    /// The torrent's v1 info-hash.
    pub(crate) info_hash: InfoHash,
    /// The folder in which the torrent's file or folder lies, or is to lie.
    pub(crate) payload_folder: PathBuf,
    /// An empty folder for the client's settings and logs.
    pub(crate) home: PathBuf,
    /// Where it listens, and from where it connects.
    pub(crate) listen: SocketAddr,
    /// The interface of that address.
    pub(crate) interface: &'static str,
    /// Where it joins the DHT, if it is to use that.
    pub(crate) dht: Option<SocketAddr>,
    /// Whether it is to look for peers in the local network (BEP 14).
    pub(crate) lsd: bool,
}

impl Job {
    /// The magnet link or the path of the torrent file.
    pub(crate) fn source(&self) -> String {
        self.magnet.clone().unwrap_or_else(|| self.torrent.display().to_string())
    }
}

/// How to run one kind of client.
pub(crate) trait Driver: Sync {
    /// The name in trials.
    fn name(&self) -> &'static str;

    /// Whether this machine has it.
    fn is_installed(&self) -> bool;

    /// Starts it on `job`.
    fn start(&self, job: &Job) -> Outcome<Box<dyn Running>>;

    /// Whether it connects to loopback addresses that a tracker names; if not, the other side must dial.
    fn dials_loopback(&self) -> bool {
        true
    }

    /// Whether it can announce itself to a tracker over UDP, its DHT being off.
    fn announces_over_udp(&self) -> bool {
        true
    }

    /// Whether it connects to peers that the DHT names; if not, it can only be found there itself.
    fn takes_peers_of_the_dht(&self) -> bool {
        true
    }

    /// Whether a tracker takes it for a leecher while it only has a magnet link; if not, no seed is named to it and it must
    /// be dialled.
    fn announces_as_leecher_by_magnet(&self) -> bool {
        true
    }

    /// Whether it looks for peers in the local network.
    fn has_lsd(&self) -> bool {
        true
    }

    /// Why it cannot move the payload of `case`, if it cannot.
    fn unable(&self, _case: Case) -> Option<&'static str> {
        None
    }

    /// Whether it takes padding (BEP 47) for files like any other.
    fn stores_padding(&self) -> bool {
        false
    }

    /// Whether it may leave files of its own beside the payload.
    fn leaves_other_files(&self) -> bool {
        true
    }

    /// Whether it makes the files of 0 bytes that it downloads.
    fn creates_empty_files(&self) -> bool {
        true
    }
}

/// A client at work. Dropping it ends it.
pub(crate) trait Running: Send {
    /// Whether it has checked and holds the whole payload; an error when it has given up.
    fn is_complete(&mut self) -> Outcome<bool>;

    /// Waits until it holds the whole payload.
    fn wait_complete(&mut self, what: &str, deadline: Deadline) -> Outcome {
        wait_for(deadline, what, || Ok(self.is_complete()?.then_some(())))
    }
}

/// Every client of the matrix.
pub(crate) const ALL: [&dyn Driver; 5] =
    [&transmission::Transmission, &aria2::Aria2, &qbittorrent::Qbittorrent, &rtorrent::Rtorrent, &Libtorrent];
