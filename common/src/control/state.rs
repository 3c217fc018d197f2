//! What a user interface knows.

use std::collections::{BTreeMap, VecDeque};

use super::{
    Delta, DetailDelta, DiskSnapshot, Event, FairnessSnapshot, History, SessionSnapshot, TorrentDetail,
    TorrentPeer, TorrentRow, UpdateBody,
};
use crate::InfoHash;

/// Events of each level that are kept.
const EVENTS_MAX: usize = 1_000;

/// What a user interface knows: the sum of all updates.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct State {
    /// All torrents together; `None` before the first update.
    pub session: Option<SessionSnapshot>,
    /// The torrents of the list.
    pub torrents: BTreeMap<InfoHash, TorrentRow>,
    /// The torrent that is seen from near.
    pub detail: Option<Detail>,
    /// The peers of all torrents.
    pub peers: Vec<TorrentPeer>,
    /// How the session's uploads are shared.
    pub fairness: Option<FairnessSnapshot>,
    /// What the disk does.
    pub disk: Option<DiskSnapshot>,
    /// The rates of the session.
    pub history: Option<History>,
    /// What happened, the oldest first; at most 1,000 of each level.
    pub events: VecDeque<Event>,
}

/// A torrent that is seen from near.
#[derive(Clone, PartialEq, Debug)]
pub struct Detail {
    /// Which torrent.
    pub info_hash: InfoHash,
    /// Its lists.
    pub lists: TorrentDetail,
    /// Its rates.
    pub history: Option<History>,
}

impl State {
    /// Takes an update in; answers are for somebody else.
    pub fn apply(&mut self, body: UpdateBody) {
        match body {
            UpdateBody::Snapshot(delta) => {
                // What happened before is no less true.
                let events = std::mem::take(&mut self.events);
                *self = Self { events, ..Self::default() };
                self.apply_delta(*delta);
            }
            UpdateBody::Delta(delta) => self.apply_delta(*delta),
            UpdateBody::Hello { .. } | UpdateBody::Reply(_) => {}
        }
    }

    fn apply_delta(&mut self, delta: Delta) {
        let Delta { session, torrents, removed, detail, peers, fairness, disk, history, events } = delta;
        self.session = session.or(self.session.take());
        for row in torrents {
            self.torrents.insert(row.summary.info_hash, row);
        }
        for info_hash in removed {
            self.torrents.remove(&info_hash);
            self.detail = self.detail.take().filter(|detail| detail.info_hash != info_hash);
        }
        if let Some(detail) = detail {
            self.apply_detail(detail);
        }
        if let Some(peers) = peers {
            peers.apply(&mut self.peers);
        }
        self.fairness = fairness.or(self.fairness.take());
        self.disk = disk.or(self.disk.take());
        self.history = history.or(self.history.take());
        self.events.extend(events);
        Event::keep_newest(&mut self.events, EVENTS_MAX);
    }

    fn apply_detail(&mut self, delta: DetailDelta) {
        let known = self.detail.take().filter(|detail| detail.info_hash == delta.info_hash);
        let mut detail = known.unwrap_or_else(|| Detail {
            info_hash: delta.info_hash,
            lists: TorrentDetail::default(),
            history: None,
        });
        let lists = &mut detail.lists;
        lists.made = lists.made.or(delta.aspects());
        lists.about = delta.about.or(lists.about.take());
        if let Some(peers) = delta.peers {
            peers.apply(&mut lists.peers);
        }
        if let Some(trackers) = delta.trackers {
            trackers.apply(&mut lists.trackers);
        }
        if let Some(discovery) = delta.discovery {
            discovery.apply(&mut lists.discovery);
        }
        if let Some(files) = delta.files {
            files.apply(&mut lists.files);
        }
        if let Some(pieces) = delta.pieces {
            pieces.apply(&mut lists.pieces);
        }
        if let Some(holders) = delta.holders {
            lists.holders = vec![holders];
        }
        lists.fairness = delta.fairness.or(lists.fairness.take());
        detail.history = delta.history.or(detail.history.take());
        self.detail = Some(detail);
    }
}
