//! A node: the machine of a torrent that ships, and around it what the engine would do.

mod connection;
mod early;
mod machine;
mod magnet;
mod pieces;
mod sharing;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use potluck_common::{Bitfield, Instant, PeerId, PieceIndex};

pub(super) use self::{
    connection::Connection,
    early::{EarlyConnection, EarlyRan, Order},
    machine::{Machine, Told, What, config_of},
    magnet::{Early, MagnetTask, Stage, magnet_config_of},
    pieces::{Hashed, Unwritten},
    sharing::Sharing,
};
use super::{disk::Disk, net::HostId, plan::Member};

/// One member that runs the machine that ships.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) member: Member,
    pub(super) address: SocketAddr,
    /// How often it was started: what was begun before does not concern it.
    pub(super) run: u32,
    /// While it is up and its payload is checked.
    pub(super) machine: Option<Machine>,
    /// While it is up and knows only the hash.
    pub(super) magnet: Option<MagnetTask>,
    /// It has the metadata.
    pub(super) has_metadata: bool,
    /// The metadata lies on its disk, for the next run.
    pub(super) keeps_metadata: bool,
    /// The good peers of its last run, for the next.
    pub(super) remembered: Vec<SocketAddr>,
    pub(super) disk: Disk,
    /// What its resume state claims: durable, and to be believed after a crash.
    pub(super) claims: Bitfield,
    /// A sync failed: what was not synced may be lost, and shows at the next start.
    pub(super) has_lost_sync: bool,
    /// Pieces in which a bit turned, until they are fetched again.
    pub(super) rotten: BTreeSet<PieceIndex>,
    /// A bit once turned: what it sent since may have been wrong, and others may say so.
    pub(super) has_rotted: bool,
    /// When it is to be stopped for good in this run, whether the machine is done or not.
    pub(super) stop_by: Option<Instant>,
    /// The key of its next connection.
    pub(super) next_key: u64,
}

/// The nodes by their host.
pub(super) type Nodes = BTreeMap<HostId, Node>;

impl Node {
    pub(super) fn new(member: Member, address: SocketAddr, disk: Disk, pieces: u32) -> Self {
        Self {
            has_metadata: !member.begins_with_hash,
            keeps_metadata: !member.begins_with_hash,
            member,
            address,
            run: 0,
            machine: None,
            magnet: None,
            remembered: Vec::new(),
            disk,
            claims: Bitfield::empty(pieces),
            has_lost_sync: false,
            rotten: BTreeSet::new(),
            has_rotted: false,
            stop_by: None,
            next_key: 1,
        }
    }

    /// Whether its torrent runs, whatever is known of it.
    pub(super) fn is_running(&self) -> bool {
        self.machine.is_some() || self.magnet.is_some()
    }

    /// Whether it looks for metadata.
    pub(super) fn fetches_metadata(&self) -> bool {
        self.magnet.as_ref().is_some_and(|magnet| magnet.stage == Stage::Fetching)
    }

    /// The metadata is written down, if the disk takes it.
    pub(super) fn keep_metadata(&mut self, now: Instant) {
        let troubles = &self.disk.troubles;
        self.keeps_metadata |= troubles.of_write(now).is_none() && troubles.of_sync(now).is_none();
    }

    /// Its id and the `key` of its announces, while its torrent runs.
    pub(super) fn names(&self) -> Option<(PeerId, u32)> {
        let magnet = self.magnet.as_ref().map(|magnet| (magnet.peer_id, magnet.machine.announce_key()));
        let machine = self.machine.as_ref();
        machine.map(|machine| (machine.peer_id, machine.torrent.announce_key())).or(magnet)
    }

    /// Addresses that its torrent dials, and how often at once.
    pub(super) fn dialling_mut(&mut self) -> Option<&mut BTreeMap<SocketAddr, u32>> {
        let magnet = self.magnet.as_mut().map(|magnet| &mut magnet.dialling);
        self.machine.as_mut().map(|machine| &mut machine.dialling).or(magnet)
    }

    /// Whether it runs and has all that it wants.
    pub(super) fn is_complete(&self) -> bool {
        self.machine.as_ref().is_some_and(|machine| machine.torrent.is_complete())
    }
}

/// A dial of this address has ended.
pub(super) fn dial_ended(dialling: &mut BTreeMap<SocketAddr, u32>, address: SocketAddr) {
    if let Some(count) = dialling.get_mut(&address) {
        *count -= 1;
        if *count == 0 {
            dialling.remove(&address);
        }
    }
}
