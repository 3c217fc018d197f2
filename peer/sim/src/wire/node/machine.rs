//! The machine of a node while it runs, and what waits for it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
};

use potluck_common::{
    Bitfield, InfoHash, Instant, PeerId, Printable, Rng,
    announce::TrackerUrl,
    control::{FilePriority, Limits},
};
use potluck_core::{
    PeerKey,
    session::SessionEvent,
    torrent::{Input, Torrent, TorrentConfig, TorrentFile},
};

use super::{Sharing, pieces::Pieces};
use crate::wire::{
    net::End,
    plan::{Member, Plan},
};

/// A torrent's machine and its task's state.
#[derive(Debug)]
pub(in crate::wire) struct Machine {
    pub(in crate::wire) torrent: Torrent,
    pub(in crate::wire) peer_id: PeerId,
    /// What the disk, dials and trackers said.
    pub(in crate::wire) inputs: VecDeque<Input>,
    /// What connections reported.
    pub(in crate::wire) reports: VecDeque<Input>,
    pub(in crate::wire) ends: BTreeMap<PeerKey, End>,
    pub(in crate::wire) pieces: Pieces,
    /// Under an upload limit.
    pub(in crate::wire) sharing: Option<Sharing>,
    pub(in crate::wire) wake_at: Option<Instant>,
    /// How often each peer told of its DHT node.
    pub(in crate::wire) nodes_told: BTreeMap<PeerKey, u8>,
    /// Addresses that are being dialled, and how often at once.
    pub(in crate::wire) dialling: BTreeMap<SocketAddr, u32>,
    pub(in crate::wire) finished: bool,
}

/// A peer has one DHT node; further words of it count for nothing.
const NODES_TOLD_MAX: u8 = 4;

/// What a peer tells of others.
#[derive(Clone, Copy, Debug)]
pub(in crate::wire) struct Told {
    pub(in crate::wire) by: End,
    pub(in crate::wire) what: What,
}

/// See [`Told`].
#[derive(Clone, Copy, Debug)]
pub(in crate::wire) enum What {
    /// Of peers (BEP 11).
    Peers,
    /// Of its DHT node, which has this port (BEP 5).
    Node(u16),
}

/// Most inputs of one wake, as in the engine.
const BATCH_MAX: usize = 128;

impl Machine {
    pub(in crate::wire) fn new(torrent: Torrent, peer_id: PeerId, up_limit: Option<u64>) -> Self {
        Self {
            torrent,
            peer_id,
            inputs: VecDeque::new(),
            reports: VecDeque::new(),
            ends: BTreeMap::new(),
            pieces: Pieces::default(),
            sharing: up_limit.map(Sharing::new),
            wake_at: None,
            nodes_told: BTreeMap::new(),
            dialling: BTreeMap::new(),
            finished: false,
        }
    }

    /// What one wake takes.
    pub(in crate::wire) fn batch(&mut self) -> Vec<Input> {
        let mut batch = Vec::new();
        while batch.len() < BATCH_MAX {
            match self.inputs.pop_front().or_else(|| self.reports.pop_front()) {
                Some(input) => batch.push(input),
                None => break,
            }
        }
        batch
    }

    /// What a peer says of others in this event, if anything; of its node not more often than the engine hears.
    pub(in crate::wire) fn tells(&mut self, peer: PeerKey, event: &SessionEvent) -> Option<Told> {
        let by = *self.ends.get(&peer)?;
        match event {
            SessionEvent::Pex(_) => Some(Told { by, what: What::Peers }),
            SessionEvent::DhtPort(port) => {
                let times = self.nodes_told.entry(peer).or_default();
                *times = times.saturating_add(1);
                (*times <= NODES_TOLD_MAX).then_some(Told { by, what: What::Node(*port) })
            }
            _ => None,
        }
    }

    /// A dial of this address has ended.
    pub(in crate::wire) fn dialled(&mut self, address: SocketAddr) {
        super::dial_ended(&mut self.dialling, address);
    }

    pub(in crate::wire) fn has_inputs(&self) -> bool {
        !(self.inputs.is_empty() && self.reports.is_empty())
    }
}

/// The settings of a member's torrent.
pub(in crate::wire) fn config_of(
    member: &Member,
    plan: &Plan,
    info_hash: InfoHash,
    have: Bitfield,
    address: SocketAddr,
    trackers: Vec<Vec<TrackerUrl>>,
    rng: &mut Rng,
) -> TorrentConfig {
    let mut id = *b"-PC0100-............";
    rng.fill(&mut id[8..]);
    TorrentConfig {
        info_hash,
        name: Printable::new("wire"),
        geometry: plan.geometry,
        have,
        files: files_of(&plan.files, &member.priorities),
        sequential: member.sequential,
        private: plan.is_private(),
        pex: plan.pex,
        peer_id: PeerId(id),
        ours: BTreeSet::from([address]),
        trackers,
        buffer_bytes_max: member.buffer_bytes_max,
        connections_max: member.connections_max,
        dials_max: 16,
        slots: member.slots,
        choker_pace: 1,
        limits: Limits { down: member.down_limit, up: member.up_limit },
        super_seed: member.super_seed,
        fetches_damaged: true,
    }
}

fn files_of(lengths: &[u64], priorities: &[FilePriority]) -> Vec<TorrentFile> {
    let mut offset = 0;
    (lengths.iter().zip(priorities).enumerate())
        .map(|(number, (length, priority))| {
            let begin = offset;
            offset += length;
            TorrentFile {
                path: Printable::new(&format!("file{number}")),
                offset: begin,
                length: *length,
                priority: *priority,
                padding: false,
            }
        })
        .collect()
}
