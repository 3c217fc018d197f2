//! How the dashboard looks: what of it is remembered from run to run.

use potluck_common::control::HistoryRange;

use super::Dashboard;
use crate::model::{
    arrange::Toggles,
    columns::{FileColumn, PeerColumn, Sort, TorrentColumn},
    setting::Taste,
};

/// What a person chose of the look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Look {
    /// Colours, characters and units.
    pub taste: Taste,
    /// Lines that the list of torrents has beyond the usual.
    pub split: i16,
    /// How far back graphs reach.
    pub range: HistoryRange,
    /// Which panels stand beside others.
    pub toggles: Toggles,
    /// How the torrents are sorted.
    pub torrent_sort: Sort<TorrentColumn>,
    /// How the files are sorted.
    pub file_sort: Option<Sort<FileColumn>>,
    /// How the peers of a torrent are sorted, and those of all torrents.
    pub peer_sorts: [Sort<PeerColumn>; 2],
}

impl Dashboard {
    /// How it looks now.
    pub fn look(&self) -> Look {
        Look {
            taste: self.taste,
            split: self.split,
            range: self.range,
            toggles: self.toggles,
            torrent_sort: self.torrent_sort,
            file_sort: self.file_sort,
            peer_sorts: self.peer_sorts,
        }
    }

    /// Looks so from now on.
    pub fn set_look(&mut self, look: Look) {
        let Look { taste, split, range, toggles, torrent_sort, file_sort, peer_sorts } = look;
        (self.taste, self.split, self.range, self.toggles) = (taste, split, range, toggles);
        (self.torrent_sort, self.file_sort, self.peer_sorts) = (torrent_sort, file_sort, peer_sorts);
        self.sort_everything();
    }
}
