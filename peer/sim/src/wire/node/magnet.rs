//! The machine of a node that knows only the hash, what waits for it, and how it becomes a torrent.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
};

use bytes::{Bytes, BytesMut};
use potluck_common::{InfoHash, Instant, PeerId, Printable, announce::TrackerUrl};
use potluck_core::{
    PeerKey,
    metadata::Expected,
    session::{Direction, MetadataEvent},
    torrent::{
        Input, Source,
        magnet::{Magnet, MagnetConfig, MagnetInput},
    },
};

use crate::wire::{net::End, plan::Member};

/// Most inputs of one wake, as in the engine.
const BATCH_MAX: usize = 64;

/// How far the machine of a magnet has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::wire) enum Stage {
    /// The metadata is being fetched.
    Fetching,
    /// It is there: the connections are taken over.
    TakingOver(Bytes),
    /// The payload is looked for; then the torrent goes on.
    Becoming,
}

/// An open connection whose session ended, for another to go on with.
#[derive(Debug)]
pub(in crate::wire) struct HandedOver {
    /// The key of the session that ended.
    pub(in crate::wire) key: PeerKey,
    pub(in crate::wire) end: End,
    pub(in crate::wire) direction: Direction,
    /// What the peer said, for that session.
    pub(in crate::wire) received: BytesMut,
}

/// A connection that came while there was nobody to take it.
#[derive(Debug)]
pub(in crate::wire) struct Early {
    pub(in crate::wire) end: End,
    pub(in crate::wire) direction: Direction,
    pub(in crate::wire) since: Instant,
    pub(in crate::wire) received: BytesMut,
}

/// A magnet's machine and its task's state.
#[derive(Debug)]
pub(in crate::wire) struct MagnetTask {
    pub(in crate::wire) machine: Magnet,
    pub(in crate::wire) peer_id: PeerId,
    pub(in crate::wire) stage: Stage,
    pub(in crate::wire) inputs: VecDeque<MagnetInput>,
    pub(in crate::wire) ends: BTreeMap<PeerKey, End>,
    pub(in crate::wire) wake_at: Option<Instant>,
    /// Addresses that are being dialled, and how often at once.
    pub(in crate::wire) dialling: BTreeMap<SocketAddr, u32>,
    pub(in crate::wire) finished: bool,
    pub(in crate::wire) handed_over: Vec<HandedOver>,
    pub(in crate::wire) early: Vec<Early>,
    /// Bytes of metadata that came.
    pub(in crate::wire) came: u64,
    /// Bytes of metadata that its task keeps beside its machine: none, but for a defect on purpose.
    pub(in crate::wire) hoard: u64,
}

impl MagnetTask {
    pub(in crate::wire) fn new(machine: Magnet, peer_id: PeerId) -> Self {
        Self {
            machine,
            peer_id,
            stage: Stage::Fetching,
            inputs: VecDeque::new(),
            ends: BTreeMap::new(),
            wake_at: None,
            dialling: BTreeMap::new(),
            finished: false,
            handed_over: Vec::new(),
            early: Vec::new(),
            came: 0,
            hoard: 0,
        }
    }

    /// What one wake takes.
    pub(in crate::wire) fn batch(&mut self) -> Vec<MagnetInput> {
        let most = BATCH_MAX.min(self.inputs.len());
        self.inputs.drain(..most).collect()
    }

    /// Takes what is told to torrents of whatever kind, as far as it concerns one without metadata.
    pub(in crate::wire) fn tell(&mut self, input: Input) {
        self.inputs.extend(match input {
            Input::Candidates(addresses, source) => Some(MagnetInput::Candidates(addresses, source)),
            Input::Announced(id, outcome) => Some(MagnetInput::Announced(id, outcome)),
            Input::Scraped(id, outcome) => Some(MagnetInput::Scraped(id, outcome)),
            Input::DialFailed(address) => Some(MagnetInput::DialFailed(address)),
            Input::DialPostponed(address) => Some(MagnetInput::DialPostponed(address)),
            Input::Stop => Some(MagnetInput::Stop),
            _ => None,
        });
    }

    /// A dial of this address has ended.
    pub(in crate::wire) fn dialled(&mut self, address: SocketAddr) {
        super::dial_ended(&mut self.dialling, address);
    }

    /// Counts the metadata in what a session reports.
    pub(in crate::wire) fn count(&mut self, events: &[MetadataEvent]) -> u64 {
        let bytes = |event: &MetadataEvent| match event {
            MetadataEvent::Data { payload, .. } => payload.len() as u64,
            _ => 0,
        };
        let came = events.iter().map(bytes).sum();
        self.came += came;
        came
    }

    /// Whom the torrent goes on with, by source, as the engine tells it.
    pub(in crate::wire) fn known(&self, is_private: bool) -> Vec<(Vec<SocketAddr>, Source)> {
        let mut known: Vec<(SocketAddr, Source)> = self.machine.addresses(is_private).collect();
        known.sort_by_key(|(_, source)| *source);
        let same = known.chunk_by(|one, other| one.1 == other.1);
        same.map(|same| (same.iter().map(|(address, _)| *address).collect(), same[0].1)).collect()
    }

    /// The connections that it goes on with.
    pub(in crate::wire) fn take_handed_over(&mut self, is_private: bool) -> (Vec<HandedOver>, Vec<End>) {
        let machine = &self.machine;
        let all = std::mem::take(&mut self.handed_over);
        let (stay, go): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|handed| machine.goes_on(handed.key, is_private));
        (stay, go.into_iter().map(|handed| handed.end).collect())
    }
}

/// The settings of a member's magnet.
pub(in crate::wire) fn magnet_config_of(
    member: &Member,
    info_hash: InfoHash,
    expected: InfoHash,
    peer_id: PeerId,
    address: SocketAddr,
    trackers: Vec<Vec<TrackerUrl>>,
) -> MagnetConfig {
    MagnetConfig {
        info_hash,
        expected: Expected { v1: Some(expected), v2: None },
        name: Printable::new("wire"),
        peer_id,
        ours: BTreeSet::from([address]),
        trackers,
        connections_max: member.connections_max,
        dials_max: 16,
    }
}
