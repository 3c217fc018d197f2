//! What there is to be seen, and which lists torrents are asked for because somebody looks at them.

use std::sync::Arc;

use potluck_common::{
    InfoHash, Printable,
    announce::TrackerUrl,
    control::{
        About, Aspects, Event, FairnessSnapshot, FilePriority, FileSnapshot, PieceState, Scene, SceneDetail,
        SessionSnapshot, TorrentDetail, TorrentPeer, TrackerSnapshot, TrackerState, View,
    },
    magnet::Magnet,
    metainfo::Metainfo,
};

use super::{
    clients::RATES_LAG,
    entry::Run,
    list::{List, Message},
    store::Record,
};
use crate::{
    engine::Shown,
    resume::{self, ResumeState},
};

/// What is shown of a torrent whose lists were not made yet.
static NO_LISTS: TorrentDetail = TorrentDetail {
    about: None,
    peers: Vec::new(),
    trackers: Vec::new(),
    files: Vec::new(),
    pieces: Vec::new(),
    holders: Vec::new(),
    fairness: None,
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
            let lists = match (&entry.run, &entry.rest) {
                (Some(run), _) => &run.snapshot.detail,
                (None, Some(rest)) => rest,
                (None, None) => &NO_LISTS,
            };
            let history = view.history.map(|range| entry.rates.history(range, seen_ms));
            Some(SceneDetail { info_hash: view.info_hash, lists, history })
        });
        Scene {
            session,
            rows: &self.rows,
            detail,
            peers: if view.peers { self.all_peers() } else { Vec::new() },
            fairness: view.fairness.then(|| self.fairness()),
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
        FairnessSnapshot::sum(self.runs().filter_map(|run| run.snapshot.detail.fairness.as_ref()))
    }

    /// Asks a torrent for the lists that somebody looks at, and for no others.
    pub(super) fn show_lists(&mut self, info_hash: InfoHash) {
        let Some(run) = self.entries.get(&info_hash).and_then(|entry| entry.run.as_ref()) else { return };
        let shown = self.wanted_lists(info_hash, run);
        if let Some(run) = self.entries.get_mut(&info_hash).and_then(|entry| entry.run.as_mut())
            && std::mem::replace(&mut run.shown, shown) != shown
        {
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
                shown.piece = near.piece.or(shown.piece);
            }
        }
        shown
    }

    /// Reads the lists of a torrent that does not run, if somebody looks; forgets them, if nobody does.
    pub(super) fn look_at_rest(&mut self, info_hash: InfoHash) {
        let is_seen = self.views().filter_map(|view| view.detail).any(|near| near.info_hash == info_hash);
        let Some(entry) = self.entries.get_mut(&info_hash) else { return };
        if !is_seen || entry.run.is_some() {
            entry.rest = None;
            return;
        }
        if entry.rest.is_some() {
            return;
        }
        let (record, metainfo, store) = (entry.record.clone(), entry.metainfo.clone(), self.store.clone());
        let state_dir = self.engine.config().state_dir.clone();
        let sender = self.sender.clone();
        tokio::task::spawn_blocking(move || {
            let metainfo = metainfo.or_else(|| store?.metainfo(info_hash).ok());
            let Some(metainfo) = metainfo else { return };
            let state = state_dir.and_then(|folder| resume::peek(&folder, &metainfo, &record.directory));
            let detail = at_rest(&metainfo, &record, state.as_ref());
            let _ = sender.send(Message::Rested(info_hash, Box::new(detail)));
        });
    }

    pub(super) fn rested(&mut self, info_hash: InfoHash, detail: TorrentDetail) {
        let is_seen = self.views().filter_map(|view| view.detail).any(|near| near.info_hash == info_hash);
        if let Some(entry) = self.entries.get_mut(&info_hash).filter(|entry| is_seen && entry.run.is_none()) {
            entry.rest = Some(Arc::new(detail));
            self.is_stirred = true;
        }
    }
}

/// The lists of a torrent that does not run, from its metainfo and what is remembered of its payload.
fn at_rest(metainfo: &Metainfo, record: &Record, state: Option<&ResumeState>) -> TorrentDetail {
    let geometry = metainfo.geometry();
    let has = |number: u32| {
        let piece = geometry.piece(number);
        piece.is_some_and(|piece| state.is_some_and(|state| state.have.has(piece)))
    };
    let have: Vec<bool> = (0..geometry.pieces()).map(has).collect();
    let length_of =
        |number: u32| u64::from(geometry.piece(number).map_or(0, |piece| geometry.length_of(piece)));
    let files = metainfo.files().iter().filter(|file| !file.padding).enumerate().map(|(position, file)| {
        let pieces = geometry.pieces_of_range(file.offset, file.length);
        let bytes = pieces.filter(|number| have[*number as usize]).map(|number| {
            let begin = u64::from(number) * u64::from(geometry.piece_length());
            let end = begin + length_of(number);
            end.min(file.offset + file.length).saturating_sub(begin.max(file.offset))
        });
        FileSnapshot {
            path: Printable::new(&file.path.to_string()),
            length: file.length,
            have: bytes.sum(),
            priority: record.files.get(&(position as u32)).copied().unwrap_or(FilePriority::Normal),
        }
    });
    let trackers = metainfo.trackers().iter().enumerate().flat_map(|(tier, urls)| {
        urls.iter().filter_map(|url| TrackerUrl::parse(url).ok()).map(move |url| resting_tracker(&url, tier))
    });
    TorrentDetail {
        about: Some(About {
            directory: record.directory.clone(),
            comment: metainfo.comment().cloned().unwrap_or_default(),
            creator: metainfo.created_by().cloned().unwrap_or_default(),
            created_at: metainfo.creation_date(),
            is_private: metainfo.private(),
            magnet: Magnet::from(metainfo).to_string(),
        }),
        peers: Vec::new(),
        trackers: trackers.collect(),
        files: files.collect(),
        pieces: have.iter().map(|have| PieceState { have: *have, ..PieceState::default() }).collect(),
        holders: Vec::new(),
        fairness: Some(FairnessSnapshot::default()),
    }
}

fn resting_tracker(url: &TrackerUrl, tier: usize) -> TrackerSnapshot {
    TrackerSnapshot {
        url: Printable::new(&url.to_string()),
        tier: tier as u32,
        state: TrackerState::Idle,
        message: Printable::default(),
        failures: 0,
        next_seconds: None,
        seeders: None,
        leechers: None,
        peers: 0,
    }
}
