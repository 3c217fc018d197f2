//! What a user interface wants to see.

use serde::{Deserialize, Serialize};

use super::{HistoryRange, Level};
use crate::InfoHash;

/// What a user interface shows at the moment; nothing else is sent to it. The state of the session and the rows of all
/// torrents always are.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// One torrent from near.
    pub detail: Option<DetailView>,
    /// The peers of all torrents.
    pub peers: bool,
    /// How the session's uploads are shared.
    pub fairness: bool,
    /// What the disk does.
    pub disk: bool,
    /// The rates of the session over so long a time.
    pub history: Option<HistoryRange>,
    /// Events of this level and above.
    pub events: Option<Level>,
}

/// What is shown of a torrent from near.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DetailView {
    /// Which torrent.
    pub info_hash: InfoHash,
    /// Which of its lists.
    pub aspects: Aspects,
    /// The piece under the cursor: who has it is told.
    pub piece: Option<u32>,
    /// The torrent's rates over so long a time.
    pub history: Option<HistoryRange>,
}

/// Which lists of a torrent are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Aspects {
    /// What its metainfo says.
    pub about: bool,
    /// Its connected peers.
    pub peers: bool,
    /// Its trackers.
    pub trackers: bool,
    /// Its files.
    pub files: bool,
    /// Its pieces.
    pub pieces: bool,
    /// How its uploads are shared.
    pub fairness: bool,
}

impl Aspects {
    /// Nothing.
    pub const NONE: Self =
        Self { about: false, peers: false, trackers: false, files: false, pieces: false, fairness: false };
    /// Everything.
    pub const ALL: Self =
        Self { about: true, peers: true, trackers: true, files: true, pieces: true, fairness: true };

    /// Whether these are among `self`.
    pub fn cover(self, others: Self) -> bool {
        self.or(others) == self
    }

    /// What both want.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            about: self.about & other.about,
            peers: self.peers & other.peers,
            trackers: self.trackers & other.trackers,
            files: self.files & other.files,
            pieces: self.pieces & other.pieces,
            fairness: self.fairness & other.fairness,
        }
    }

    /// What either wants.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            about: self.about | other.about,
            peers: self.peers | other.peers,
            trackers: self.trackers | other.trackers,
            files: self.files | other.files,
            pieces: self.pieces | other.pieces,
            fairness: self.fairness | other.fairness,
        }
    }
}
