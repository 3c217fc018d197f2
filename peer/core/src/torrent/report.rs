//! What people see: snapshots. Why nothing moves is in [`super::stall`].

use std::net::SocketAddr;

use potluck_common::{
    Instant, PieceIndex, Printable,
    announce::AnnounceReply,
    control::{
        Aspects, EventKind, FileSnapshot, PeerAction, PeerDecision, PeerSlot, PeerSnapshot, PieceHolders,
        PieceState, TorrentDetail, TorrentError, TorrentErrorKind, TorrentSnapshot, TorrentState,
        TorrentSummary, TrackerSnapshot, TrackerState,
    },
};

use super::{Life, Torrent, peers::Peer};
use crate::{
    PeerKey,
    announce::{self, AnnounceFailure, Announcer},
    choker::{Action, Why},
};

impl Torrent {
    /// Tells how an announce to `tracker` ended: its warning if it answered, else the failure in words.
    pub(super) fn report_announce(
        &mut self,
        now: Instant,
        tracker: Printable,
        outcome: &Result<AnnounceReply, AnnounceFailure>,
    ) {
        let retry = self.announcer.poll_timeout().map_or(0, |at| at.since(now).as_secs());
        self.event(announce_event(tracker, outcome, retry));
    }

    /// The state at `now`, in a few numbers.
    pub fn summary(&mut self, now: Instant) -> TorrentSummary {
        let geometry = self.config.geometry;
        let have_size = self.have_bytes();
        let (wanted_size, wanted_have) = self.wanted_bytes();
        let copies = self.copies(now);
        let down_rate = self.down.recent(now);
        let up_rate = self.up.recent(now);
        let eta_seconds = (down_rate > 0 && !self.completed).then(|| (wanted_size - wanted_have) / down_rate);
        let count = |wanted: fn(&Peer) -> bool| self.greeted().filter(|peer| wanted(peer)).count() as u32;
        let seeds_connected = count(|peer| peer.has.is_full());
        let leechers_connected = count(|_| true) - seeds_connected;
        let (seeds_known, leechers_known) = self.announcer.swarm_size();
        let disk_stall = self.stall_of_disk(wanted_size - wanted_have);
        TorrentSummary {
            info_hash: self.config.info_hash,
            name: self.config.name.clone(),
            state: self.state(),
            is_durable: self.settled,
            total_size: geometry.total(),
            wanted_size,
            wanted_have,
            have_size,
            piece_length: geometry.piece_length(),
            pieces: geometry.pieces(),
            pieces_have: self.picker.have().count(),
            downloaded: self.down.total(),
            uploaded: self.up.total(),
            wasted: self.wasted,
            hash_failures: self.hash_failures,
            down_rate,
            up_rate,
            eta_seconds,
            unchoked_by: count(|peer| !peer.chokes_us && peer.we_are_interested),
            unchoked: count(|peer| !peer.we_choke && peer.is_interested),
            seeds_connected,
            leechers_connected,
            seeds_known: seeds_known.map(|known| known.max(seeds_connected)),
            leechers_known: leechers_known.map(|known| known.max(leechers_connected)),
            candidates: self.book.waiting() as u32,
            distributed_copies: copies.distributed,
            age_seconds: now.since(self.born).as_secs_f64(),
            stall: disk_stall.or_else(|| self.stall(now).map(|stall| Printable::new(&stall.in_words()))),
            pace: self.pace(now).map(|why| Printable::new(&why)),
            trouble: self.disk_trouble(),
        }
    }

    /// The best addresses to begin the next run with, the best first: at most 50.
    pub fn good_peers(&self) -> Vec<SocketAddr> {
        self.book.best()
    }

    /// The whole state at `now`.
    pub fn snapshot(&mut self, now: Instant) -> TorrentSnapshot {
        TorrentSnapshot { summary: self.summary(now), detail: self.detail(now, Aspects::ALL, &[]) }
    }

    /// The lists that `aspects` names, at `now`, and who has `pieces`. What the metainfo says the machine does not know.
    pub fn detail(&mut self, now: Instant, aspects: Aspects, pieces: &[PieceIndex]) -> TorrentDetail {
        TorrentDetail {
            about: None,
            peers: if aspects.peers { self.peer_snapshots(now) } else { Vec::new() },
            trackers: if aspects.trackers { tracker_snapshots(&self.announcer, now) } else { Vec::new() },
            discovery: if aspects.trackers { self.discovery_snapshots(now) } else { Vec::new() },
            files: if aspects.files { self.file_snapshots() } else { Vec::new() },
            pieces: if aspects.pieces { self.piece_states() } else { Vec::new() },
            holders: pieces.iter().map(|piece| self.holders(*piece)).collect(),
            fairness: aspects.fairness.then(|| self.fairness_snapshot(now)),
            made: Aspects { about: false, ..aspects },
        }
    }

    fn holders(&self, piece: PieceIndex) -> PieceHolders {
        let holders = self.greeted().filter(|peer| peer.has.has(piece));
        PieceHolders { piece: piece.get(), peers: holders.map(|peer| peer.connection.address).collect() }
    }

    /// How many connected peers are giving us more than `bytes_per_second`.
    pub fn faster_than(&mut self, now: Instant, bytes_per_second: u64) -> usize {
        let mut rates = self.peers.values_mut().map(|peer| peer.down.recent(now));
        rates.by_ref().filter(|rate| *rate > bytes_per_second).count()
    }

    fn state(&self) -> TorrentState {
        match &self.life {
            Life::Running if self.completed => TorrentState::Seeding,
            Life::Running => TorrentState::Downloading,
            Life::Stopping => TorrentState::Stopping,
            Life::Finished => TorrentState::Stopped,
            Life::Failed(trouble) => TorrentState::Failed(TorrentError {
                kind: TorrentErrorKind::Disk,
                message: trouble.message.clone(),
            }),
        }
    }

    fn piece_states(&self) -> Vec<PieceState> {
        let state = |piece| PieceState {
            have: self.picker.have().has(piece),
            in_flight: self.open.contains(&piece),
            is_skipped: !self.picker.have().has(piece) && !self.picker.is_wanted(piece),
            availability: u16::try_from(self.picker.availability(piece)).unwrap_or(u16::MAX),
        };
        self.config.geometry.iter().map(state).collect()
    }

    fn file_snapshots(&self) -> Vec<FileSnapshot> {
        let geometry = &self.config.geometry;
        let have = self.picker.have();
        let files = self.config.files.iter().filter(|file| !file.padding);
        files
            .map(|file| {
                let pieces =
                    geometry.pieces_of_range(file.offset, file.length).filter_map(|n| geometry.piece(n));
                let have = pieces.filter(|piece| have.has(*piece)).map(|piece| {
                    let start = geometry.offset_of(piece).max(file.offset);
                    let end = (geometry.offset_of(piece) + u64::from(geometry.length_of(piece)))
                        .min(file.offset + file.length);
                    end - start
                });
                FileSnapshot {
                    path: file.path.clone(),
                    length: file.length,
                    have: have.sum(),
                    priority: file.priority,
                }
            })
            .collect()
    }

    fn peer_snapshots(&mut self, now: Instant) -> Vec<PeerSnapshot> {
        let living = self.peers.iter_mut().filter(|(_, peer)| peer.connection.is_living());
        let choker = &self.choker;
        living
            .map(|(key, peer)| (peer, choker.why(*key)))
            .map(|(peer, decision)| PeerSnapshot {
                address: peer.connection.address,
                direction: peer.connection.direction.into(),
                source: self.book.source_of(peer.contact().unwrap_or(peer.connection.address)),
                client: peer.connection.client_name(),
                pieces_have: peer.has.count(),
                is_seed: peer.has.is_full(),
                down_rate: peer.down.recent(now),
                up_rate: peer.up.recent(now),
                downloaded: peer.down.total(),
                uploaded: peer.up.total(),
                chokes_us: peer.chokes_us,
                we_are_interested: peer.we_are_interested,
                we_choke: peer.we_choke,
                is_interested: peer.is_interested,
                slot: decision.map_or(PeerSlot::None, |decision| slot_of(decision.why)),
                snubs_us: peer.snubs_us,
                why: decision.map_or_else(Printable::default, |d| Printable::new(&d.why.in_words(now))),
                rank: decision.and_then(|decision| decision.rank),
                debt: decision.map_or(0, |decision| decision.debt_bytes),
                age_seconds: now.since(peer.connection.since).as_secs_f64(),
            })
            .collect()
    }

    /// Tells what the choker decided about a connected peer, with what it was judged by.
    pub(super) fn tell_decision(&mut self, now: Instant, key: PeerKey, action: Action, why: Why) {
        // Whom the choker has parted with it knows no more, but it wrote the reason down.
        let written = || self.choker.decisions().filter(|decision| decision.peer == key).last().copied();
        let decision = self.choker.why(key).or_else(written);
        let (Some(peer), Some(decision)) = (self.peers.get(&key), decision) else { return };
        self.event(EventKind::Decision(PeerDecision {
            peer: peer.connection.address,
            action: match action {
                Action::Choke => PeerAction::Choke,
                Action::Unchoke => PeerAction::Unchoke,
                Action::Evict => PeerAction::Evict,
            },
            why: Printable::new(&why.in_words(now)),
            rank: decision.rank,
            rate: decision.rate_bytes_per_second,
            debt: decision.debt_bytes,
            age_seconds: decision.age.as_secs_f64(),
        }));
    }
}

/// How an announce to `tracker` ended; a failed one is tried again in `retry_seconds`.
pub(super) fn announce_event(
    tracker: Printable,
    outcome: &Result<AnnounceReply, AnnounceFailure>,
    retry_seconds: u64,
) -> EventKind {
    match outcome {
        Ok(reply) => EventKind::TrackerReplied {
            tracker,
            peers: reply.peers.len() as u32,
            warning: reply.warning.clone(),
        },
        Err(failure) => EventKind::TrackerFailed { tracker, why: failure.message(), retry_seconds },
    }
}

/// The trackers, as people see them.
pub(super) fn tracker_snapshots(announcer: &Announcer, now: Instant) -> Vec<TrackerSnapshot> {
    let state = |state| match state {
        announce::TrackerState::Idle => TrackerState::Idle,
        announce::TrackerState::Announcing => TrackerState::Announcing,
        announce::TrackerState::Working => TrackerState::Working,
        announce::TrackerState::Failed => TrackerState::Failed,
    };
    (announcer.status(now).into_iter())
        .map(|tracker| TrackerSnapshot {
            url: tracker.url,
            tier: tracker.tier as u32,
            state: state(tracker.state),
            message: tracker.message.or(tracker.warning).unwrap_or_default(),
            failures: tracker.failures,
            next_seconds: tracker.next_at.map(|at| at.since(now).as_secs()),
            seeders: tracker.seeders,
            leechers: tracker.leechers,
            peers: tracker.peers as u32,
        })
        .collect()
}

/// The slot that a peer has for this reason.
fn slot_of(why: Why) -> PeerSlot {
    match why {
        Why::Repays { .. } => PeerSlot::Earned,
        Why::Optimistic { .. } => PeerSlot::Optimistic,
        Why::Seeding { .. } => PeerSlot::Turn,
        _ => PeerSlot::None,
    }
}
