//! The lists of the dashboard: how long they are, and that cursors stay on what they are on.

use potluck_common::{
    InfoHash,
    control::{Detail, Event, Level},
};

use super::Dashboard;
use crate::model::{
    columns::{FileColumn, PeerColumn, Sort, TorrentColumn},
    dialog::sort_choices,
    filter::Filter,
    order,
    place::{List, Place},
    setting::Setting,
};

/// What keeps a cursor where it is when a list changes under it.
#[derive(Debug)]
pub struct Anchors {
    torrent: Option<InfoHash>,
    /// The torrent stays even where the filter hides it.
    keeps_torrent: bool,
    file: Option<usize>,
    peer: Option<(InfoHash, std::net::SocketAddr)>,
    any_peer: Option<(InfoHash, std::net::SocketAddr)>,
    events: [EventAnchor; 2],
}

#[derive(Debug)]
enum EventAnchor {
    /// The newest, whichever that is.
    Newest,
    At(Box<Event>),
}

impl Dashboard {
    /// The lists of the selected torrent, as far as they are known.
    pub fn detail(&self) -> Option<&Detail> {
        let selected = self.selected()?.summary.info_hash;
        self.state.detail.as_ref().filter(|detail| detail.info_hash == selected)
    }

    /// How many entries a list shows.
    pub fn len(&self, list: List) -> usize {
        match list {
            List::Torrents => self.order.len(),
            List::Files => self.file_order.len(),
            List::Peers => self.peer_order.len(),
            List::AllPeers => self.all_peer_order.len(),
            List::Trackers => {
                self.detail().map_or(0, |detail| detail.lists.trackers.len() + detail.lists.discovery.len())
            }
            List::Log | List::Events => self.shown_events(list).len(),
            List::Settings => Setting::ALL.len(),
        }
    }

    /// The level from which on events are wanted of the engine.
    pub(super) fn level_wanted(&self) -> Level {
        if self.chokes_only { Level::Debug } else { self.level }
    }

    /// Where the cursors are, before something changes.
    pub fn anchors(&self) -> Anchors {
        let detail = self.detail();
        let peer = |place: Option<&usize>| {
            let detail = detail?;
            Some((detail.info_hash, detail.lists.peers.get(*place?)?.address))
        };
        let any_peer = |place: Option<&usize>| {
            let entry = self.state.peers.get(*place?)?;
            Some((entry.info_hash, entry.peer.address))
        };
        Anchors {
            torrent: self.order.get(self.cursor(List::Torrents).selected).copied(),
            keeps_torrent: true,
            file: self.file_order.get(self.cursor(List::Files).selected).copied(),
            peer: peer(self.peer_order.get(self.cursor(List::Peers).selected)),
            any_peer: any_peer(self.all_peer_order.get(self.cursor(List::AllPeers).selected)),
            events: [List::Log, List::Events].map(|list| self.event_anchor(list)),
        }
    }

    fn event_anchor(&self, list: List) -> EventAnchor {
        let (events, place) = (self.shown_events(list), self.cursor(list).selected);
        match events.get(place) {
            Some(event) if place + 1 < events.len() => EventAnchor::At(Box::new((*event).clone())),
            _ => EventAnchor::Newest,
        }
    }

    /// Sorts and filters the torrents anew, with the cursor on the torrent that it was on. That one stays until the cursor
    /// goes elsewhere, though it may have become something that the filter hides: what keys act on is never exchanged for
    /// something else under the fingers.
    pub fn sort_torrents(&mut self, anchors: &Anchors) {
        self.kept = anchors.torrent.filter(|_| anchors.keeps_torrent);
        let everything = Filter::default();
        let filter = self.filters.get(&List::Torrents).unwrap_or(&everything);
        self.order = order::torrents(&self.state.torrents, filter, self.torrent_sort, self.kept);
        let place = anchors.torrent.and_then(|torrent| self.order.iter().position(|other| *other == torrent));
        self.put_cursor(List::Torrents, place);
        self.marks.retain(|info_hash| self.state.torrents.contains_key(info_hash));
    }

    /// Sorts and filters what is shown of the selected torrent.
    pub fn sort_detail(&mut self, anchors: &Anchors) {
        let everything = Filter::default();
        let filter = |list| self.filters.get(&list).unwrap_or(&everything);
        let (files, peers) = match self.detail() {
            Some(detail) => (
                self.file_sort.map_or_else(
                    || {
                        order::files(
                            &detail.lists.files,
                            filter(List::Files),
                            Sort::by(FileColumn::Path, false),
                        )
                    },
                    |sort| order::files(&detail.lists.files, filter(List::Files), sort),
                ),
                order::peers(
                    detail.lists.peers.iter().map(|peer| (detail.info_hash, peer)),
                    &self.state.torrents,
                    filter(List::Peers),
                    self.peer_sorts[0],
                ),
            ),
            None => (Vec::new(), Vec::new()),
        };
        (self.file_order, self.peer_order) = (files, peers);
        let file = anchors.file.and_then(|file| self.file_order.iter().position(|other| *other == file));
        let peer = anchors.peer.and_then(|peer| {
            let detail = self.detail().filter(|detail| detail.info_hash == peer.0)?;
            let is_it = |place: &usize| detail.lists.peers[*place].address == peer.1;
            self.peer_order.iter().position(is_it)
        });
        self.put_cursor(List::Files, file);
        self.put_cursor(List::Peers, peer);
        self.put_cursor(List::Trackers, None);
        let pieces = self.selected().map_or(0, |row| row.summary.pieces);
        self.piece = self.piece.min(pieces.saturating_sub(1));
    }

    /// Sorts and filters the peers of all torrents.
    pub fn sort_all_peers(&mut self, anchors: &Anchors) {
        let everything = Filter::default();
        let filter = self.filters.get(&List::AllPeers).unwrap_or(&everything);
        self.all_peer_order =
            order::all_peers(&self.state.peers, &self.state.torrents, filter, self.peer_sorts[1]);
        let place = anchors.any_peer.and_then(|(info_hash, address)| {
            let is_it = |place: &usize| {
                let entry = &self.state.peers[*place];
                entry.info_hash == info_hash && entry.peer.address == address
            };
            self.all_peer_order.iter().position(is_it)
        });
        self.put_cursor(List::AllPeers, place);
    }

    /// Finds the events again that the cursors are on.
    pub fn follow_events(&mut self, anchors: &Anchors) {
        for (list, anchor) in [List::Log, List::Events].into_iter().zip(&anchors.events) {
            let events = self.shown_events(list);
            let place = match anchor {
                EventAnchor::Newest => events.len().saturating_sub(1),
                // Those that are gone were the oldest.
                EventAnchor::At(event) => events.iter().position(|other| *other == &**event).unwrap_or(0),
            };
            self.put_cursor(list, Some(place));
        }
    }

    /// Puts a cursor on an entry, or leaves it where it is, within the list.
    fn put_cursor(&mut self, list: List, place: Option<usize>) {
        let (len, height) = (self.len(list), self.hits.height(list));
        let cursor = self.cursor_mut(list);
        if let Some(place) = place {
            // What is visible moves with it.
            cursor.top = (cursor.top + place).saturating_sub(cursor.selected);
            cursor.selected = place;
        }
        *cursor = cursor.clamped(len, height);
    }

    /// All lists anew, with the cursors on what they are on.
    pub fn sort_everything(&mut self) {
        self.sort_at(&self.anchors());
    }

    fn sort_at(&mut self, anchors: &Anchors) {
        self.sort_torrents(anchors);
        self.sort_detail(anchors);
        self.sort_all_peers(anchors);
        self.follow_events(anchors);
    }

    /// The cursor went to another torrent: the one before no longer stays if the filter hides it.
    pub fn release_kept(&mut self) {
        let anchors = self.anchors();
        if self.kept.is_some() && self.kept != anchors.torrent {
            self.sort_torrents(&anchors);
        }
    }

    /// What a list is sorted by: the number of the column, and whether the largest stands first.
    pub fn sorted_by(&self, list: List) -> Option<(usize, bool)> {
        match list {
            List::Torrents => Some((self.torrent_sort.column as usize, self.torrent_sort.descending)),
            List::Peers => Some((self.peer_sorts[0].column as usize, self.peer_sorts[0].descending)),
            List::AllPeers => Some((self.peer_sorts[1].column as usize, self.peer_sorts[1].descending)),
            List::Files => {
                let sort = self.file_sort.unwrap_or(Sort::by(FileColumn::Path, false));
                Some((sort.column as usize, sort.descending))
            }
            List::Trackers | List::Log | List::Events | List::Settings => None,
        }
    }

    /// Sorts a list by the column of this number: in its usual direction, or the other way round if it is sorted by it
    /// already. Says how in words.
    pub fn sort_by(&mut self, list: List, column: usize) -> Option<String> {
        let (now, descending) = self.sorted_by(list)?;
        let choice = *sort_choices(list).get(column)?;
        let usual = match list {
            List::Torrents => TorrentColumn::ALL[column].descends(),
            List::Files => FileColumn::ALL[column].descends(),
            _ => PeerColumn::ALL[column].descends(),
        };
        let descending = if now == column { !descending } else { usual };
        match list {
            List::Torrents => self.torrent_sort = Sort::by(TorrentColumn::ALL[column], descending),
            List::Files => self.file_sort = Some(Sort::by(FileColumn::ALL[column], descending)),
            List::Peers => self.peer_sorts[0] = Sort::by(PeerColumn::ALL[column], descending),
            _ => self.peer_sorts[1] = Sort::by(PeerColumn::ALL[column], descending),
        }
        self.sort_everything();
        Some(format!("sorted by {}, the {} first", choice.1, if descending { "largest" } else { "smallest" }))
    }

    /// Sets what a list shows.
    pub fn set_filter(&mut self, list: List, text: &str) {
        let filter = match list {
            List::Torrents => Filter::of_torrents(text),
            List::Log | List::Events => Filter::of_text(text),
            _ => Filter::of_words(text),
        };
        self.filters.insert(list, filter);
        let keeps_torrent = list != List::Torrents;
        self.sort_at(&Anchors { keeps_torrent, ..self.anchors() });
    }

    /// The list that can be filtered here.
    pub fn filtered_list(&self) -> Option<List> {
        let has_words = |list: &List| matches!(list, List::Log | List::Events);
        self.sorted_list().or_else(|| self.focused_list().filter(has_words))
    }

    /// The list that can be filtered and sorted here.
    pub fn sorted_list(&self) -> Option<List> {
        let list = self.focused_list()?;
        let is_seen = list != List::Torrents || self.place == Place::Torrents;
        (is_seen && self.sorted_by(list).is_some()).then_some(list)
    }
}
