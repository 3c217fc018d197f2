//! The rows of a list of torrents, and what changed of them since when.

use std::collections::BTreeMap;

use super::TorrentRow;
use crate::InfoHash;

/// Removals that are remembered. Whoever did not look for longer is told everything anew.
const REMOVALS_MAX: usize = 4_096;

/// The rows of a list. It knows in what order they changed, so that telling somebody what is new costs only what is new,
/// however many torrents there are and whoever else looks.
///
/// Invariants: `changes` has one entry for each row that is present, under the version that the row has. `removals` names only torrents
/// that are not there, under versions beyond `forgotten`.
#[derive(Clone, Default, Debug)]
pub struct Rows {
    present: BTreeMap<InfoHash, Versioned>,
    changes: BTreeMap<u64, InfoHash>,
    removals: BTreeMap<u64, InfoHash>,
    version: u64,
    forgotten: u64,
}

#[derive(Clone, Debug)]
struct Versioned {
    version: u64,
    row: TorrentRow,
}

/// What changed of the rows since some version.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct RowChanges {
    /// Torrents that are new or changed, in the order of their changes.
    pub changed: Vec<TorrentRow>,
    /// Torrents that are gone.
    pub removed: Vec<InfoHash>,
}

impl Rows {
    /// The version of the newest change; 0 is that of no rows at all.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many torrents there are.
    pub fn len(&self) -> usize {
        self.present.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.present.is_empty()
    }

    /// The row of a torrent.
    pub fn get(&self, info_hash: &InfoHash) -> Option<&TorrentRow> {
        self.present.get(info_hash).map(|versioned| &versioned.row)
    }

    /// All rows, by info-hash.
    pub fn iter(&self) -> impl Iterator<Item = &TorrentRow> {
        self.present.values().map(|versioned| &versioned.row)
    }

    /// Puts a row in, or in the place of the one that is there. Returns whether that is a change: that it grew older is
    /// none.
    pub fn set(&mut self, row: TorrentRow) -> bool {
        let info_hash = row.summary.info_hash;
        if let Some(Versioned { version, row: known }) = self.present.get(&info_hash) {
            if is_same(known, &row) {
                return false;
            }
            self.changes.remove(version);
        }
        self.version += 1;
        self.changes.insert(self.version, info_hash);
        self.present.insert(info_hash, Versioned { version: self.version, row });
        true
    }

    /// Takes a row out.
    pub fn remove(&mut self, info_hash: &InfoHash) -> Option<TorrentRow> {
        let Versioned { version, row } = self.present.remove(info_hash)?;
        self.changes.remove(&version);
        self.version += 1;
        self.removals.insert(self.version, *info_hash);
        if self.removals.len() > REMOVALS_MAX {
            self.forgotten = self.removals.pop_first().map_or(self.forgotten, |(version, _)| version);
        }
        Some(row)
    }

    /// What changed since `version`; `None` if that is too long ago to tell.
    pub fn since(&self, version: u64) -> Option<RowChanges> {
        if version < self.forgotten {
            return None;
        }
        let changed = self.changes.range(version + 1..).map(|(_, info_hash)| &self.present[info_hash].row);
        let removed = self.removals.range(version + 1..).map(|(_, info_hash)| *info_hash);
        // One that was removed and taken in again is there.
        let removed = removed.filter(|info_hash| !self.present.contains_key(info_hash));
        Some(RowChanges { changed: changed.cloned().collect(), removed: removed.collect() })
    }

    /// All rows, as changes of none.
    pub fn all(&self) -> RowChanges {
        RowChanges { changed: self.iter().cloned().collect(), removed: Vec::new() }
    }
}

/// Whether two rows say the same but for the torrent's age, which grows by itself.
fn is_same(known: &TorrentRow, new: &TorrentRow) -> bool {
    // Cheap ones first: rows that differ mostly do so in their numbers.
    let (a, b) = (&known.summary, &new.summary);
    let is_alike = a.downloaded == b.downloaded && a.uploaded == b.uploaded && a.state == b.state;
    is_alike && {
        let mut aged = known.clone();
        aged.summary.age_seconds = b.age_seconds;
        aged == *new
    }
}
