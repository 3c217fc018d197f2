//! Torrents at rest: what is to be seen from near of one whose machine does not run, read from what is kept of it.

use std::sync::Arc;

use potluck_common::{
    InfoHash, Printable,
    announce::TrackerUrl,
    control::{
        About, Aspects, FairnessSnapshot, FilePriority, FileSnapshot, PieceState, TorrentDetail,
        TorrentError, TorrentErrorKind, TrackerSnapshot, TrackerState,
    },
    magnet::Magnet,
    metainfo::Metainfo,
};

use super::{
    entry::{Entry, Run},
    list::{List, Message},
    store::Record,
};
use crate::resume::{self, ResumeState};

/// What was read of a torrent at rest.
pub(super) struct Rest {
    lists: TorrentDetail,
    wanted: Wanted,
}

/// Bytes of the pieces of the wanted files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Wanted {
    size: u64,
    have: u64,
}

impl List {
    /// Reads the lists of a torrent whose machine does not run, if somebody looks or its wanted files changed; forgets
    /// them, if nobody does or a run has its own.
    pub(super) fn look_at_rest(&mut self, info_hash: InfoHash) {
        let is_seen = self.is_seen(info_hash);
        let Some(entry) = self.entries.get_mut(&info_hash) else { return };
        let has_own = entry.run.as_ref().is_some_and(Run::has_lists);
        if has_own || !is_seen {
            entry.rest = None;
        }
        if entry.record.magnet.is_some() {
            // There is nothing to read.
            entry.is_recount_due = false;
            return;
        }
        let is_missing = is_seen && !has_own && entry.rest.is_none();
        if entry.is_reading || !(is_missing || entry.is_recount_due) {
            return;
        }
        entry.is_reading = true;
        entry.readings += 1;
        let number = entry.readings;
        let metainfo = entry.metainfo().or_else(|| entry.run.as_ref().and_then(|run| run.metainfo.clone()));
        let (record, store) = (entry.record.clone(), self.store.clone());
        let state_dir = self.engine.config().state_dir.clone();
        let sender = self.sender.clone();
        tokio::task::spawn_blocking(move || {
            let read = || match (metainfo, store) {
                (Some(metainfo), _) => Ok(metainfo),
                (None, Some(store)) => store.metainfo(info_hash),
                (None, None) => Err("its metainfo is gone; add the torrent again".to_owned()),
            };
            let rest = read().map(|metainfo| {
                let state = state_dir.and_then(|folder| resume::peek(&folder, &metainfo, &record.directory));
                let lists = at_rest(&metainfo, &record, state.as_ref());
                Box::new(Rest { lists, wanted: wanted(&metainfo, &record, state.as_ref()) })
            });
            let _ = sender.send(Message::Rested(info_hash, number, rest));
        });
    }

    /// Has it read anew, also where that is under way: it is not what it was.
    pub(super) fn look_at_rest_again(&mut self, info_hash: InfoHash) {
        if let Some(entry) = self.entries.get_mut(&info_hash) {
            entry.is_reading = false;
            entry.rest = None;
        }
        self.look_at_rest(info_hash);
    }

    /// It was read, or could not be; of several readings the last counts.
    pub(super) fn rested(&mut self, info_hash: InfoHash, number: u64, rest: Result<Box<Rest>, String>) {
        let is_seen = self.is_seen(info_hash);
        let is_last = |entry: &&mut Entry| entry.is_reading && entry.readings == number;
        let Some(entry) = self.entries.get_mut(&info_hash).filter(is_last) else { return };
        entry.is_reading = false;
        let is_recounted = std::mem::take(&mut entry.is_recount_due);
        match rest {
            Ok(rest) => {
                let Rest { lists, wanted } = *rest;
                if is_recounted && !entry.is_judged() {
                    let known = &mut entry.record.known;
                    known.is_durable &= wanted.have == wanted.size;
                    (known.wanted_size, known.wanted_have) = (wanted.size, wanted.have);
                    entry.is_unsaved = true;
                }
                entry.rest = is_seen.then(|| Arc::new(lists));
                entry.rest_trouble = None;
            }
            Err(message) => {
                let message = Printable::new(&message);
                entry.rest_trouble = Some(TorrentError { kind: TorrentErrorKind::Disk, message });
            }
        }
        self.is_stirred = true;
        self.show(info_hash, None);
        self.save_soon(info_hash);
    }

    fn is_seen(&self, info_hash: InfoHash) -> bool {
        self.views().filter_map(|view| view.detail).any(|near| near.info_hash == info_hash)
    }
}

/// What the wanted files need. Without a memory of their pieces what was known of all of them serves.
fn wanted(metainfo: &Metainfo, record: &Record, state: Option<&ResumeState>) -> Wanted {
    let geometry = metainfo.geometry();
    let mut is_wanted = vec![false; geometry.pieces() as usize];
    for (position, file) in metainfo.files().iter().filter(|file| !file.padding).enumerate() {
        if record.files.get(&(position as u32)) != Some(&FilePriority::Skip) {
            for number in geometry.pieces_of_range(file.offset, file.length) {
                is_wanted[number as usize] = true;
            }
        }
    }
    let (mut size, mut have) = (0, 0);
    for piece in geometry.iter().filter(|piece| is_wanted[piece.index()]) {
        let length = u64::from(geometry.length_of(piece));
        size += length;
        have += if state.is_some_and(|state| state.have.has(piece)) { length } else { 0 };
    }
    let known = &record.known;
    let have = match state {
        Some(_) => have,
        None if known.have_size == known.total_size => size,
        None => known.wanted_have.min(size),
    };
    Wanted { size, have }
}

/// The lists of a torrent that does not run, from its metainfo and what is remembered of its payload.
fn at_rest(metainfo: &Metainfo, record: &Record, state: Option<&ResumeState>) -> TorrentDetail {
    let geometry = metainfo.geometry();
    let have: Vec<bool> =
        geometry.iter().map(|piece| state.is_some_and(|state| state.have.has(piece))).collect();
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
            priority: record.files.get(&(position as u32)).copied().unwrap_or_default(),
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
        discovery: Vec::new(),
        files: files.collect(),
        pieces: have.iter().map(|have| PieceState { have: *have, ..PieceState::default() }).collect(),
        holders: Vec::new(),
        fairness: Some(FairnessSnapshot::default()),
        made: Aspects::ALL,
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
