//! What is kept of a torrent and of the whole list.

use std::{collections::BTreeMap, path::PathBuf};

use potluck_common::{
    InfoHash, Printable,
    control::{FilePriority, Limits, RateRecorder, Settings, TorrentRow, TorrentState, TorrentSummary},
    magnet::Magnet,
    metainfo::Metainfo,
};
use serde::{Deserialize, Serialize};

/// What is kept of a torrent, beside its metainfo. What an entry of another Potluck may lack has a default, so that
/// adding a field costs nobody their list.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) info_hash: InfoHash,
    /// Its place in the list.
    pub(crate) number: u32,
    pub(crate) name: Printable,
    /// Absolute.
    pub(crate) directory: PathBuf,
    #[serde(default)]
    pub(crate) is_paused: bool,
    /// It is being removed with its payload: whoever reads this has to finish that.
    #[serde(default)]
    pub(crate) is_leaving: bool,
    /// A person started it beyond the ratio goal.
    #[serde(default)]
    pub(crate) is_exempt: bool,
    #[serde(default)]
    pub(crate) labels: Vec<Printable>,
    #[serde(default)]
    pub(crate) limits: Limits,
    /// Priorities that are not the usual one, by position among the files that are no padding.
    #[serde(default)]
    pub(crate) files: BTreeMap<u32, FilePriority>,
    /// Seconds since 1970.
    #[serde(default)]
    pub(crate) added_at: u64,
    #[serde(default)]
    pub(crate) completed_at: Option<u64>,
    /// When every piece that it lacks was last seen with somebody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) available_at: Option<u64>,
    /// Its place in the queue, where that is not its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) queue_place: Option<i64>,
    #[serde(default)]
    pub(crate) downloaded_ever: u64,
    #[serde(default)]
    pub(crate) uploaded_ever: u64,
    #[serde(default)]
    pub(crate) is_private: bool,
    #[serde(default)]
    pub(crate) file_count: u32,
    #[serde(default)]
    pub(crate) known: Known,
    /// The magnet link, as long as nothing but that is known: there is no metainfo beside this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) magnet: Option<String>,
    /// The magnet link that it came of, where that names peers: no metainfo has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<String>,
}

/// What was last known of the payload, so that it can be shown before anything was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Known {
    pub(crate) total_size: u64,
    pub(crate) wanted_size: u64,
    pub(crate) wanted_have: u64,
    pub(crate) have_size: u64,
    pub(crate) piece_length: u32,
    pub(crate) pieces: u32,
    pub(crate) pieces_have: u32,
    pub(crate) is_durable: bool,
}

impl Record {
    /// That of a torrent of which nothing is known but its metainfo.
    pub(crate) fn new(metainfo: &Metainfo, number: u32, directory: PathBuf, added_at: u64) -> Self {
        let geometry = metainfo.geometry();
        Self {
            name: Printable::new(metainfo.name()),
            is_private: metainfo.private(),
            file_count: metainfo.files().iter().filter(|file| !file.padding).count() as u32,
            known: Known {
                total_size: geometry.total(),
                wanted_size: geometry.total(),
                wanted_have: 0,
                have_size: 0,
                piece_length: geometry.piece_length(),
                pieces: geometry.pieces(),
                pieces_have: 0,
                is_durable: false,
            },
            ..Self::bare(metainfo.info_hash(), number, directory, added_at)
        }
    }

    /// That of a torrent of which nothing is known but a magnet link.
    pub(crate) fn of_magnet(magnet: &Magnet, number: u32, directory: PathBuf, added_at: u64) -> Self {
        let named = magnet.name.as_deref().filter(|name| !name.trim().is_empty());
        Self {
            name: Printable::new(named.unwrap_or(&magnet.info_hash().to_string())),
            magnet: Some(magnet.to_string()),
            ..Self::bare(magnet.info_hash(), number, directory, added_at)
        }
    }

    /// That of a torrent of which nothing is known at all.
    fn bare(info_hash: InfoHash, number: u32, directory: PathBuf, added_at: u64) -> Self {
        Self {
            info_hash,
            number,
            name: Printable::default(),
            directory,
            is_paused: false,
            is_leaving: false,
            is_exempt: false,
            labels: Vec::new(),
            limits: Limits::default(),
            files: BTreeMap::new(),
            added_at,
            completed_at: None,
            available_at: None,
            queue_place: None,
            downloaded_ever: 0,
            uploaded_ever: 0,
            is_private: false,
            file_count: 0,
            known: Known::default(),
            magnet: None,
            origin: None,
        }
    }

    /// The same once the metainfo is known; the files that the link does not select are skipped (BEP 53).
    pub(crate) fn resolved(&self, metainfo: &Metainfo) -> Self {
        let fresh = Self::new(metainfo, self.number, self.directory.clone(), self.added_at);
        let magnet = self.magnet();
        let names_peers = magnet.as_ref().is_some_and(|magnet| !magnet.peers.is_empty());
        let selection = magnet.and_then(|magnet| magnet.files);
        let shown = metainfo.files().iter().enumerate().filter(|(_, file)| !file.padding);
        let skipped = shown.enumerate().filter(|(_, (index, _))| {
            selection.as_ref().is_some_and(|selection| !selection.contains(*index))
        });
        let skipped: BTreeMap<u32, FilePriority> =
            skipped.map(|(position, _)| (position as u32, FilePriority::Skip)).collect();
        // A selection of nothing that there is means nothing.
        let files = if skipped.len() < fresh.file_count as usize { skipped } else { BTreeMap::new() };
        Self {
            name: fresh.name,
            is_private: fresh.is_private,
            file_count: fresh.file_count,
            known: fresh.known,
            files,
            magnet: None,
            origin: if names_peers { self.magnet.clone() } else { None },
            ..self.clone()
        }
    }

    /// The magnet link, as long as nothing but that is known.
    pub(crate) fn magnet(&self) -> Option<Magnet> {
        self.magnet.as_deref().and_then(|link| Magnet::parse(link).ok())
    }

    /// The magnet link that it came of, where that names peers.
    pub(crate) fn origin(&self) -> Option<Magnet> {
        self.origin.as_deref().and_then(|link| Magnet::parse(link).ok())
    }

    /// Where it stands in the queue.
    pub(crate) fn queue_place(&self) -> i64 {
        self.queue_place.unwrap_or_else(|| self.number.into())
    }

    /// Every piece that is wanted is there, as far as is known.
    pub(crate) fn is_complete(&self) -> bool {
        self.known.pieces > 0 && self.known.wanted_have == self.known.wanted_size
    }

    /// How it is shown with what it does.
    pub(crate) fn row(&self, summary: TorrentSummary) -> TorrentRow {
        TorrentRow {
            number: self.number,
            summary,
            is_paused: self.is_paused,
            is_queued: false,
            queue_place: self.queue_place(),
            directory: self.directory.clone(),
            labels: self.labels.clone(),
            added_at: self.added_at,
            completed_at: self.completed_at,
            available_at: self.available_at,
            downloaded_ever: self.downloaded_ever,
            uploaded_ever: self.uploaded_ever,
            limits: self.limits,
            is_private: self.is_private,
        }
    }

    /// What it does while it does not run.
    pub(crate) fn summary(&self, state: TorrentState) -> TorrentSummary {
        let Known { total_size, wanted_size, wanted_have, have_size, .. } = self.known;
        let Known { piece_length, pieces, pieces_have, is_durable, .. } = self.known;
        TorrentSummary {
            is_durable,
            total_size,
            wanted_size,
            wanted_have,
            have_size,
            piece_length,
            pieces,
            pieces_have,
            ..TorrentSummary::nothing_known(self.info_hash, self.name.clone(), state)
        }
    }
}

impl Known {
    /// Whether it was found out what there is before `summary` was made. It was not where a torrent was stopped or failed
    /// while that was under way; its age counts from the moment when it was.
    pub(crate) fn is_judged(summary: &TorrentSummary) -> bool {
        let runs = matches!(summary.state, TorrentState::Downloading | TorrentState::Seeding);
        let is_known = !matches!(summary.state, TorrentState::Metadata { .. });
        is_known && (runs || summary.age_seconds > 0.0)
    }

    /// Says what was last known, in a summary that was made before anything was.
    pub(crate) fn fill(&self, summary: &mut TorrentSummary) {
        if self.pieces != summary.pieces {
            // It was lost.
            return;
        }
        summary.wanted_size = self.wanted_size;
        summary.wanted_have = self.wanted_have;
        summary.have_size = self.have_size;
        summary.pieces_have = self.pieces_have;
        summary.is_durable = self.is_durable;
    }

    /// As a torrent that runs last said, once it knows.
    pub(crate) fn note(&mut self, summary: &TorrentSummary) {
        if !Self::is_judged(summary) {
            return;
        }
        *self = Self {
            total_size: summary.total_size,
            wanted_size: summary.wanted_size,
            wanted_have: summary.wanted_have,
            have_size: summary.have_size,
            piece_length: summary.piece_length,
            pieces: summary.pieces,
            pieces_have: summary.pieces_have,
            is_durable: summary.is_durable,
        };
    }
}

/// What is kept of the whole list.
#[derive(Clone, PartialEq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SessionRecord {
    pub(crate) settings: Settings,
    pub(crate) downloaded_ever: u64,
    pub(crate) uploaded_ever: u64,
    /// The highest number that a torrent had: counts where an entry cannot be read, whose number hence is not known.
    pub(crate) last_number: u32,
    /// The rates of all torrents together.
    pub(crate) rates: RateRecorder,
}
