//! What the engine is asked to tell: what is visible, and nothing else.

use potluck_common::control::{Aspects, DetailView, View};

use super::Dashboard;
use crate::{
    model::place::Place,
    view::{heat_map, layout::Panel},
};

impl Dashboard {
    /// The piece that the cell under the cursor shows: the worst of those that share it.
    pub fn chosen_piece(&self) -> u32 {
        let (_, per_cell) = self.hits.map_steps();
        self.detail().map_or(self.piece, |detail| heat_map::worst(&detail.lists.pieces, self.piece, per_cell))
    }

    /// What is visible.
    pub fn view(&self) -> View {
        let shown = self.arrangement();
        let has = |panel| shown.has(panel);
        let is_near = self.place == Place::Detail;
        let aspects = Aspects {
            // Its magnet link is copied from any of its tabs, and from the list.
            about: has(Panel::Overview) || matches!(self.place, Place::Torrents | Place::Detail),
            peers: has(Panel::Peers),
            trackers: has(Panel::Trackers),
            files: has(Panel::Files),
            pieces: has(Panel::Pieces),
            fairness: is_near && has(Panel::Fairness),
        };
        let graph = has(Panel::Speed).then_some(self.range);
        let torrent_graph = graph.filter(|_| is_near);
        let is_looked_at = aspects != Aspects::NONE || torrent_graph.is_some();
        let detail = self.selected().filter(|_| is_looked_at).map(|row| DetailView {
            info_hash: row.summary.info_hash,
            aspects,
            piece: has(Panel::Pieces).then(|| self.chosen_piece()),
            history: torrent_graph,
        });
        View {
            detail,
            peers: has(Panel::AllPeers),
            fairness: !is_near && has(Panel::Fairness),
            disk: has(Panel::Disk),
            history: graph.filter(|_| !is_near),
            // So that what happened is there when somebody looks.
            events: Some(self.level_wanted()),
        }
    }
}
