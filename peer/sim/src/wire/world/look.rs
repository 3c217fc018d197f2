//! Looking at the swarm: what the properties want to see.

use std::collections::BTreeMap;

use potluck_common::{
    Duration, Geometry, PieceIndex,
    control::{FilePriority, TorrentSummary},
};

use super::{Happening, LOOK_EVERY, World};
use crate::wire::{
    check::{Checks, Violation},
    hostile::Hostile,
    metadata::Metadata,
    net::{End, HostId, Network},
    node::{Connection, Nodes},
    payload::Payload,
    plan::{Plan, Role},
    sabotage::Sabotage,
};

/// How long others may say that somebody refuses everything, after its disk could not be read.
const REFUSALS_REMEMBERED: Duration = Duration::from_secs(60);

impl World<'_> {
    pub(in crate::wire) fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    pub(in crate::wire) fn payload(&self) -> &Payload {
        &self.payload
    }

    pub(in crate::wire) fn connections(&self) -> &BTreeMap<End, Connection> {
        &self.connections
    }

    pub(in crate::wire) fn network(&self) -> &Network {
        &self.network
    }

    pub(in crate::wire) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    pub(in crate::wire) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(in crate::wire) fn hostile(&self) -> &BTreeMap<HostId, Hostile> {
        &self.hostile
    }

    /// How many nodes the DHT node of this host knows, if it has one.
    pub(in crate::wire) fn dht_nodes_known(&self, host: HostId) -> Option<usize> {
        let now = self.now();
        self.dht.get(&host).map(|node| node.machine.status(now).nodes())
    }

    pub(in crate::wire) fn checks(&self) -> &Checks {
        &self.checks
    }

    pub(in crate::wire) fn checks_mut(&mut self) -> &mut Checks {
        &mut self.checks
    }

    pub(in crate::wire) fn tracker_miscounts(&self) -> Option<String> {
        self.tracker.miscounts(self.now())
    }

    pub(in crate::wire) fn summary(&mut self, host: HostId) -> Option<TorrentSummary> {
        let now = self.now();
        let node = self.nodes.get_mut(&host)?;
        let magnet = node.magnet.as_ref().map(|magnet| magnet.machine.summary(now));
        let mut summary = node.machine.as_mut().map(|machine| machine.torrent.summary(now)).or(magnet)?;
        if self.plan.sabotage == Some(Sabotage::IsMute) {
            summary.stall = None;
        }
        Some(summary)
    }

    /// Who is at the other end of a connection, as its address says.
    pub(in crate::wire) fn host_at_other_end(&self, end: End) -> Option<HostId> {
        let half = self.network.half(end)?;
        self.host_at(half.remote.ip())
    }

    /// Whether what comes from this host may be wrong, or may have to be refused for a while.
    pub(in crate::wire) fn is_suspect(&self, host: HostId) -> bool {
        let lately = self.now() - REFUSALS_REMEMBERED;
        let has_trouble = self.nodes.get(&host).is_some_and(|node| {
            node.has_rotted || node.disk.troubles.read_fails > lately || node.disk.troubles.busy > lately
        });
        has_trouble || self.role(host) == Role::Poisoner
    }

    /// The pieces that somebody wants who wants files so much.
    pub(in crate::wire) fn wanted_pieces(&self, priorities: &[FilePriority]) -> Vec<PieceIndex> {
        let geometry: Geometry = self.payload.geometry;
        let mut begin = 0;
        let mut wanted: Vec<PieceIndex> = Vec::new();
        for (length, priority) in self.plan.files.iter().zip(priorities) {
            let offset = begin;
            begin += length;
            if *priority != FilePriority::Skip {
                wanted.extend(
                    geometry.pieces_of_range(offset, *length).filter_map(|piece| geometry.piece(piece)),
                );
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    /// What is looked at once a second.
    pub(super) fn look(&mut self) -> Result<(), Violation> {
        self.note_second();
        let hosts: Vec<HostId> = self.nodes.keys().copied().collect();
        for host in hosts {
            self.check_stall(host)?;
        }
        if self.is_time_for_views() {
            self.check_views()?;
        }
        self.check_ports()?;
        self.check_asked()?;
        if let Some(why) = self.tracker_miscounts() {
            return Err(Violation::new("the tracker counts right", why));
        }
        if self.now() > self.deadline {
            return Err(self.why_not_done());
        }
        self.agenda.after(LOOK_EVERY, Happening::Look);
        Ok(())
    }

    /// The first of those who should be done by now, and what it says.
    fn why_not_done(&mut self) -> Violation {
        let late: Vec<HostId> =
            self.waits_for().filter(|(_, node)| !node.is_complete()).map(|(host, _)| *host).collect();
        let first = late.first().copied();
        let summary = first.and_then(|host| self.summary(host));
        let words = summary.map_or("it is not even running".to_owned(), |summary| {
            format!(
                "{:?}, {} of {} pieces, {} seeds and {} leechers connected, {} candidates: {}",
                summary.state,
                summary.pieces_have,
                summary.pieces,
                summary.seeds_connected,
                summary.leechers_connected,
                summary.candidates,
                summary.stall.map_or("no stall".to_owned(), |stall| stall.to_string()),
            )
        });
        Violation::new("everybody ends", format!("{} are late: {first:?} {words}", late.len()))
    }
}
