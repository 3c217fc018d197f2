//! What a user interface is told: one snapshot, then what changed.

use serde::{Deserialize, Serialize};

use super::{
    About, Aspects, DiscoverySnapshot, DiskSnapshot, Event, FairnessSnapshot, FileSnapshot, History,
    PeerSnapshot, PieceHolders, PieceState, Reply, SessionSnapshot, TorrentPeer, TorrentRow, TrackerSnapshot,
};
use crate::InfoHash;

/// Something that a user interface is told.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Update {
    /// Counts from 1, without a gap.
    pub number: u64,
    /// What it is.
    pub body: UpdateBody,
}

/// What a user interface can be told.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateBody {
    /// The first of all: who does not know this version understands nothing else for certain.
    Hello {
        /// [`VERSION`](super::VERSION) of who tells.
        version: u32,
    },
    /// Everything that it wants to see; what it knew before is void.
    Snapshot(Box<Delta>),
    /// What changed since the last update.
    Delta(Box<Delta>),
    /// An answer.
    Reply(Reply),
}

/// What changed. What is absent is as it was.
#[derive(Clone, PartialEq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Delta {
    /// All torrents together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionSnapshot>,
    /// Torrents that are new or changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub torrents: Vec<TorrentRow>,
    /// Torrents that are gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<InfoHash>,
    /// The torrent that is seen from near.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<DetailDelta>,
    /// The peers of all torrents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peers: Option<ListDelta<TorrentPeer>>,
    /// How the session's uploads are shared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fairness: Option<FairnessSnapshot>,
    /// What the disk does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskSnapshot>,
    /// The rates of the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
    /// What happened, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
}

impl Delta {
    /// Nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What changed of the torrent that is seen from near. For another one than before, all of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DetailDelta {
    /// Which torrent.
    pub info_hash: InfoHash,
    /// What its metainfo says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// Its peers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers: Option<ListDelta<PeerSnapshot>>,
    /// Its trackers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trackers: Option<ListDelta<TrackerSnapshot>>,
    /// Its other sources of peers; they are told with the trackers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery: Option<ListDelta<DiscoverySnapshot>>,
    /// Its files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<ListDelta<FileSnapshot>>,
    /// Its pieces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pieces: Option<ListDelta<PieceState>>,
    /// Who has the piece under the cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holders: Option<PieceHolders>,
    /// How its uploads are shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fairness: Option<FairnessSnapshot>,
    /// Its rates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
}

impl DetailDelta {
    /// Nothing of this torrent changed.
    pub fn none(info_hash: InfoHash) -> Self {
        Self {
            info_hash,
            about: None,
            peers: None,
            trackers: None,
            discovery: None,
            files: None,
            pieces: None,
            holders: None,
            fairness: None,
            history: None,
        }
    }

    /// Which lists it speaks of.
    pub fn aspects(&self) -> Aspects {
        Aspects {
            about: self.about.is_some(),
            peers: self.peers.is_some(),
            trackers: self.trackers.is_some(),
            files: self.files.is_some(),
            pieces: self.pieces.is_some(),
            fairness: self.fairness.is_some(),
        }
    }
}

/// What changed of a list.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListDelta<T> {
    /// All of it.
    Whole(Vec<T>),
    /// These entries, by their position; the length is as it was.
    Changed(Vec<(u32, T)>),
}

impl<T: Clone + PartialEq> ListDelta<T> {
    /// What makes `new` out of `old`; `None` if they are equal.
    pub fn between(old: &[T], new: &[T]) -> Option<Self> {
        if old.len() != new.len() {
            return Some(Self::Whole(new.to_vec()));
        }
        let differs = |(number, (old, new)): (usize, (&T, &T))| (old != new).then(|| (number, new.clone()));
        let changed: Vec<(u32, T)> = (old.iter().zip(new).enumerate())
            .filter_map(differs)
            .map(|(number, entry)| (number as u32, entry))
            .collect();
        match changed.len() {
            0 => None,
            count if 2 * count > new.len() => Some(Self::Whole(new.to_vec())),
            _ => Some(Self::Changed(changed)),
        }
    }

    /// Makes `list` what it is now. Positions beyond its end are left out: they come from outside.
    pub fn apply(self, list: &mut Vec<T>) {
        match self {
            Self::Whole(entries) => *list = entries,
            Self::Changed(entries) => {
                for (number, entry) in entries {
                    if let Some(place) = list.get_mut(number as usize) {
                        *place = entry;
                    }
                }
            }
        }
    }
}
