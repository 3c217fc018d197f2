//! A node: the machine of a torrent that ships, and around it what the engine would do.

mod connection;
mod machine;
mod pieces;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use potluck_common::{Bitfield, Instant, PieceIndex};

pub(super) use self::{
    connection::Connection,
    machine::{INFO_HASH, Machine, config_of},
    pieces::{Hashed, Unwritten},
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
            member,
            address,
            run: 0,
            machine: None,
            disk,
            claims: Bitfield::empty(pieces),
            has_lost_sync: false,
            rotten: BTreeSet::new(),
            has_rotted: false,
            stop_by: None,
            next_key: 1,
        }
    }

    /// Whether it runs and has all that it wants.
    pub(super) fn is_complete(&self) -> bool {
        self.machine.as_ref().is_some_and(|machine| machine.torrent.is_complete())
    }
}
