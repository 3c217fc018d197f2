//! What a user interface is told next: the difference between what it was told and what there is to be seen.

use super::{
    About, Aspects, Delta, DetailDelta, DetailView, DiscoverySnapshot, DiskSnapshot, Event, FairnessSnapshot,
    FileSnapshot, History, ListDelta, PeerSnapshot, PieceHolders, PieceState, RowChanges, Rows,
    SessionSnapshot, TorrentDetail, TorrentPeer, TrackerSnapshot, UpdateBody, View,
};
use crate::InfoHash;

/// What there is to be seen at one moment; of what a [`View`] does not ask for it does not matter what is here.
#[derive(Clone, Debug)]
pub struct Scene<'a> {
    /// All torrents together.
    pub session: &'a SessionSnapshot,
    /// The rows of the list.
    pub rows: &'a Rows,
    /// The torrent that the view looks at from near; `None` if it is not in the list, or nobody asks.
    pub detail: Option<SceneDetail<'a>>,
    /// The peers of all torrents.
    pub peers: Vec<TorrentPeer>,
    /// How the session's uploads are shared.
    pub fairness: Option<FairnessSnapshot>,
    /// What the disk does.
    pub disk: Option<DiskSnapshot>,
    /// The rates of the session.
    pub history: Option<History>,
    /// What happened since the last update.
    pub events: Vec<Event>,
}

/// A torrent that is seen from near.
#[derive(Clone, Debug)]
pub struct SceneDetail<'a> {
    /// Which torrent.
    pub info_hash: InfoHash,
    /// Its lists, as far as they were made; those that nobody asked for may be there all the same.
    pub lists: &'a TorrentDetail,
    /// Who has a piece. It is told if it is the one that is looked at.
    pub holders: Option<PieceHolders>,
    /// Its rates.
    pub history: Option<History>,
}

/// What one user interface was told, and wants to see.
///
/// [`Feed::look`] says what it wants to see; [`Feed::next`] is what it must be told now. The sum of all that it gave is
/// the [`State`](super::State) of who applies it.
#[derive(Clone, Default, Debug)]
pub struct Feed {
    view: Option<View>,
    /// The version of the rows that were told; `None` before anything was.
    rows: Option<u64>,
    session: Option<SessionSnapshot>,
    detail: Option<ToldDetail>,
    peers: Option<Vec<TorrentPeer>>,
    fairness: Option<FairnessSnapshot>,
    disk: Option<DiskSnapshot>,
    history: Option<History>,
}

/// What was told of a torrent from near; `None` is what is not known of it there, and is told as a whole.
#[derive(Clone, Debug)]
struct ToldDetail {
    info_hash: InfoHash,
    about: Option<About>,
    peers: Option<Vec<PeerSnapshot>>,
    trackers: Option<Vec<TrackerSnapshot>>,
    discovery: Option<Vec<DiscoverySnapshot>>,
    files: Option<Vec<FileSnapshot>>,
    pieces: Option<Vec<PieceState>>,
    holders: Option<PieceHolders>,
    fairness: Option<FairnessSnapshot>,
    history: Option<History>,
}

impl Feed {
    /// What is wanted; `None` before anybody said so, and then nothing is told.
    pub fn view(&self) -> Option<&View> {
        self.view.as_ref()
    }

    /// From now on this is what is to be seen. What was told of anything else is forgotten: it is told as a whole when
    /// it is wanted again.
    pub fn look(&mut self, view: View) {
        if !view.peers {
            self.peers = None;
        }
        if !view.fairness {
            self.fairness = None;
        }
        if !view.disk {
            self.disk = None;
        }
        let detail = self.detail.take();
        self.detail = detail.and_then(|told| told.narrowed(view.detail.as_ref()?));
        self.view = Some(view);
    }

    /// The disk was last told to do something, which may end without a word, or nothing of its space was known.
    pub fn has_busy_disk(&self) -> bool {
        self.disk.as_ref().is_some_and(|disk| !disk.is_idle() || disk.folders.is_empty())
    }

    /// What is to be told now; `None` if that is nothing.
    pub fn next(&mut self, scene: Scene<'_>) -> Option<UpdateBody> {
        let view = self.view.clone()?;
        let changes = self.rows.and_then(|version| scene.rows.since(version));
        let is_whole = changes.is_none();
        if is_whole {
            *self = Self { view: self.view.take(), ..Self::default() };
        }
        self.rows = Some(scene.rows.version());
        let RowChanges { changed, removed } = changes.unwrap_or_else(|| scene.rows.all());
        if self.detail.as_ref().is_some_and(|told| removed.contains(&told.info_hash)) {
            self.detail = None;
        }
        let delta = Delta {
            session: news(&mut self.session, Some(scene.session.clone())),
            torrents: changed,
            removed,
            detail: scene.detail.and_then(|seen| self.detail_delta(view.detail.as_ref()?, seen)),
            peers: if view.peers { list(&mut self.peers, &coarse_all(scene.peers)) } else { None },
            fairness: scene
                .fairness
                .filter(|_| view.fairness)
                .and_then(|now| news(&mut self.fairness, Some(now))),
            disk: scene.disk.filter(|_| view.disk).and_then(|now| news(&mut self.disk, Some(now))),
            history: scene
                .history
                .filter(|_| view.history.is_some())
                .and_then(|now| news(&mut self.history, Some(now))),
            events: scene.events,
        };
        match (is_whole, delta.is_empty()) {
            (true, _) => Some(UpdateBody::Snapshot(Box::new(delta))),
            (false, true) => None,
            (false, false) => Some(UpdateBody::Delta(Box::new(delta))),
        }
    }

    fn detail_delta(&mut self, view: &DetailView, seen: SceneDetail<'_>) -> Option<DetailDelta> {
        if seen.info_hash != view.info_hash {
            return None;
        }
        let known = self.detail.take().filter(|told| told.info_hash == seen.info_hash);
        let is_new = known.is_none();
        let mut told = known.unwrap_or_else(|| ToldDetail::nothing(seen.info_hash));
        let delta = told.delta_to(view, seen);
        let is_news = is_new || delta != DetailDelta::none(told.info_hash);
        self.detail = Some(told);
        is_news.then_some(delta)
    }
}

impl ToldDetail {
    fn nothing(info_hash: InfoHash) -> Self {
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

    /// Without what `view` does not ask for; `None` if that is another torrent.
    fn narrowed(self, view: &DetailView) -> Option<Self> {
        let Aspects { about, peers, trackers, files, pieces, fairness } = view.aspects;
        (self.info_hash == view.info_hash).then(|| Self {
            info_hash: self.info_hash,
            about: self.about.filter(|_| about),
            peers: self.peers.filter(|_| peers),
            trackers: self.trackers.filter(|_| trackers),
            discovery: self.discovery.filter(|_| trackers),
            files: self.files.filter(|_| files),
            pieces: self.pieces.filter(|_| pieces),
            holders: self.holders.filter(|holders| Some(holders.piece) == view.piece),
            fairness: self.fairness.filter(|_| fairness),
            history: self.history.filter(|_| view.history.is_some()),
        })
    }

    fn delta_to(&mut self, view: &DetailView, seen: SceneDetail<'_>) -> DetailDelta {
        let lists = seen.lists;
        // What was not made yet stays as it was told.
        let aspects = view.aspects.and(lists.made);
        let holders = seen.holders.filter(|holders| Some(holders.piece) == view.piece);
        DetailDelta {
            info_hash: self.info_hash,
            about: if aspects.about { news(&mut self.about, lists.about.clone()) } else { None },
            peers: if aspects.peers { list(&mut self.peers, &coarse_peers(&lists.peers)) } else { None },
            trackers: if aspects.trackers { list(&mut self.trackers, &lists.trackers) } else { None },
            discovery: if aspects.trackers { list(&mut self.discovery, &lists.discovery) } else { None },
            files: if aspects.files { list(&mut self.files, &lists.files) } else { None },
            pieces: if aspects.pieces { list(&mut self.pieces, &lists.pieces) } else { None },
            holders: news(&mut self.holders, holders),
            fairness: if aspects.fairness { news(&mut self.fairness, lists.fairness.clone()) } else { None },
            history: if view.history.is_some() { news(&mut self.history, seen.history) } else { None },
        }
    }
}

/// A peer whose age is told by the second, and later by the minute: one that does nothing is no news at each look.
fn coarse(mut peer: PeerSnapshot) -> PeerSnapshot {
    let unit = if peer.age_seconds < 60.0 { 1.0 } else { 60.0 };
    peer.age_seconds = (peer.age_seconds / unit).floor() * unit;
    peer
}

fn coarse_peers(peers: &[PeerSnapshot]) -> Vec<PeerSnapshot> {
    peers.iter().cloned().map(coarse).collect()
}

fn coarse_all(peers: Vec<TorrentPeer>) -> Vec<TorrentPeer> {
    peers
        .into_iter()
        .map(|TorrentPeer { info_hash, peer }| TorrentPeer { info_hash, peer: coarse(peer) })
        .collect()
}

/// `now`, if it is there and is not what was told.
fn news<T: Clone + PartialEq>(told: &mut Option<T>, now: Option<T>) -> Option<T> {
    if now.is_none() || *told == now {
        return None;
    }
    told.clone_from(&now);
    now
}

/// What makes `now` out of what was told.
fn list<T: Clone + PartialEq>(told: &mut Option<Vec<T>>, now: &[T]) -> Option<ListDelta<T>> {
    let delta = match told {
        Some(told) => ListDelta::between(told, now),
        None => Some(ListDelta::Whole(now.to_vec())),
    };
    if let Some(delta) = &delta {
        match told {
            Some(told) => delta.clone().apply(told),
            None => *told = Some(now.to_vec()),
        }
    }
    delta
}

#[cfg(test)]
mod tests;
