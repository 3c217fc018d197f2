//! What there is to be seen, and which lists torrents are asked for because somebody looks at them.

use potluck_common::{
    InfoHash,
    control::{
        Aspects, DetailView, Event, FairnessSnapshot, PieceHolders, Scene, SceneDetail, SessionSnapshot,
        TorrentDetail, TorrentPeer, View,
    },
};

use super::{
    clients::RATES_LAG,
    entry::{Entry, Run},
    list::List,
};
use crate::engine::Shown;

/// So many pieces are looked at for who has them, however many user interfaces there are.
const PIECES_MAX: usize = 8;

/// What is shown of a torrent whose lists were not made yet.
static NO_LISTS: TorrentDetail = TorrentDetail {
    about: None,
    peers: Vec::new(),
    trackers: Vec::new(),
    discovery: Vec::new(),
    files: Vec::new(),
    pieces: Vec::new(),
    holders: Vec::new(),
    fairness: None,
    made: Aspects::NONE,
};

impl List {
    /// What there is to be seen by `view`.
    pub(super) fn scene<'a>(
        &'a self,
        view: &View,
        session: &'a SessionSnapshot,
        events: Vec<Event>,
    ) -> Scene<'a> {
        let seen_ms = self.clock.unix_ms().saturating_sub(RATES_LAG.as_millis() as u64);
        let detail = view.detail.and_then(|view| {
            let entry = self.entries.get(&view.info_hash)?;
            let (lists, holders) = near(entry, &view);
            let history = view.history.map(|range| entry.rates.history(range, seen_ms));
            Some(SceneDetail { info_hash: view.info_hash, lists, holders, history })
        });
        Scene {
            session,
            rows: &self.rows,
            detail,
            peers: if view.peers { self.all_peers() } else { Vec::new() },
            fairness: view.fairness.then(|| self.fairness()),
            disk: view.disk.then(|| self.engine.disk(&self.settings.directory)),
            history: view.history.map(|range| self.rates.history(range, seen_ms)),
            events,
        }
    }

    fn runs(&self) -> impl Iterator<Item = &Run> {
        self.entries.values().filter_map(|entry| entry.run.as_ref())
    }

    fn all_peers(&self) -> Vec<TorrentPeer> {
        let of = |run: &Run| {
            let info_hash = run.snapshot.summary.info_hash;
            let peers = run.snapshot.detail.peers.iter();
            peers.map(|peer| TorrentPeer { info_hash, peer: peer.clone() }).collect::<Vec<_>>()
        };
        self.runs().flat_map(of).collect()
    }

    fn fairness(&self) -> FairnessSnapshot {
        let running = self.runs().filter_map(|run| run.snapshot.detail.fairness.as_ref());
        let all = FairnessSnapshot::sum(running.chain([&self.ended_fairness]));
        FairnessSnapshot { is_automatic: self.settings.slots.is_none(), ..all }
    }

    /// Asks a torrent for the lists that somebody looks at, and for no others.
    pub(super) fn show_lists(&mut self, info_hash: InfoHash) {
        let Some(run) = self.entries.get(&info_hash).and_then(|entry| entry.run.as_ref()) else { return };
        let shown = self.wanted_lists(info_hash, run);
        if let Some(run) = self.entries.get_mut(&info_hash).and_then(|entry| entry.run.as_mut())
            && run.shown != shown
        {
            run.shown = shown.clone();
            run.handle.show(shown);
        }
    }

    fn wanted_lists(&self, info_hash: InfoHash, run: &Run) -> Shown {
        let summary = &run.snapshot.summary;
        // A list that can only be empty is not made: with thousands of torrents that is most of them.
        let has_peers = summary.seeds_connected + summary.leechers_connected > 0;
        let has_traded = has_peers || summary.downloaded + summary.uploaded > 0;
        let mut shown = Shown::default();
        for view in self.views() {
            let all = Aspects {
                peers: view.peers && has_peers,
                fairness: view.fairness && has_traded,
                ..Aspects::NONE
            };
            shown.aspects = shown.aspects.or(all);
            if let Some(near) = view.detail.filter(|near| near.info_hash == info_hash) {
                shown.aspects = shown.aspects.or(near.aspects);
                shown.pieces.extend(near.piece.filter(|_| shown.pieces.len() < PIECES_MAX));
            }
        }
        shown
    }
}

/// A torrent's lists, and who has the piece that is looked at. Until a run has made its own they are those of the torrent
/// at rest.
fn near<'a>(entry: &'a Entry, view: &DetailView) -> (&'a TorrentDetail, Option<PieceHolders>) {
    let nobody = || view.piece.map(|piece| PieceHolders { piece, peers: Vec::new() });
    match (&entry.run, &entry.rest) {
        (Some(run), _) if run.snapshot.detail.made.cover(view.aspects) => {
            let lists = &run.snapshot.detail;
            let holders = lists.holders.iter().find(|holders| Some(holders.piece) == view.piece);
            (lists, holders.cloned())
        }
        (_, Some(rest)) => (rest, nobody()),
        (Some(run), None) => (&run.snapshot.detail, None),
        (None, None) => (&NO_LISTS, None),
    }
}
