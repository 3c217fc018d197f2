//! What people see: snapshots, and one sentence that explains why nothing moves.

use std::net::SocketAddr;

use potluck_common::{
    Duration, Instant, PieceIndex, Printable,
    announce::AnnounceReply,
    control::{
        Aspects, EventKind, FileSnapshot, PeerAction, PeerDecision, PeerSlot, PeerSnapshot, PieceState,
        TorrentDetail, TorrentError, TorrentErrorKind, TorrentSnapshot, TorrentState, TorrentSummary,
        TrackerSnapshot, TrackerState,
    },
};

use super::{Life, Torrent, peers::Peer};
use crate::{
    PeerKey,
    announce::{self, AnnounceFailure},
    choker::{Action, Why},
};

/// Nothing received for so long, although something is wanted, is a stall.
const STALL_AFTER: Duration = Duration::from_secs(5);

/// When something last moved, and whether that was said.
#[derive(Debug)]
pub(super) struct Progress {
    last_total: u64,
    last_moved: Instant,
    announced: Option<String>,
}

impl Progress {
    pub(super) fn new(now: Instant) -> Self {
        Self { last_total: 0, last_moved: now, announced: None }
    }

    /// From now on something is to move.
    pub(super) fn begin(&mut self, now: Instant) {
        self.last_moved = now;
    }
}

impl Torrent {
    /// Notes whether anything moved, and says so when a stall begins, changes its reason or ends.
    pub(super) fn watch_progress(&mut self, now: Instant) {
        if self.down.total() != self.progress.last_total || self.completed || self.life != Life::Running {
            self.progress.last_total = self.down.total();
            self.progress.last_moved = now;
        }
        let stall = self.stall(now);
        if stall == self.progress.announced {
            return;
        }
        match &stall {
            Some(why) if self.store_wait.is_some() => {
                self.event(EventKind::DiskFull { why: Printable::new(why) });
            }
            Some(why) => self.event(EventKind::Stalled { why: Printable::new(why) }),
            None => self.event(EventKind::Resumed),
        }
        self.progress.announced = stall;
    }

    /// Why nothing moves, in one sentence; `None` while it moves or needs nothing.
    fn stall(&self, now: Instant) -> Option<String> {
        if let Life::Failed(trouble) = &self.life {
            return Some(trouble.message.to_string());
        }
        if let (Life::Running, Some(why)) = (&self.life, self.why_disk_waits()) {
            return Some(why);
        }
        let is_still = now.since(self.progress.last_moved) >= STALL_AFTER;
        (is_still && self.life == Life::Running && !self.completed).then(|| self.why_nothing_comes(now))
    }

    fn why_nothing_comes(&self, now: Instant) -> String {
        let connected: Vec<&Peer> =
            self.peers.values().filter(|peer| peer.id.is_some() && !peer.closing).collect();
        let count = connected.len();
        let useful: Vec<&&Peer> = connected.iter().filter(|peer| peer.interesting > 0).collect();
        let choking = useful.iter().filter(|peer| peer.chokes_us).count();
        let lacking = self.picker.wanted_left();
        if count == 0 {
            return self.why_no_peers(now);
        }
        if useful.is_empty() {
            let has = if count == 1 {
                "the one connected peer has none".to_owned()
            } else {
                format!("none of the {count} connected peers has any")
            };
            return format!("{has} of the {lacking} pieces we lack");
        }
        if choking == useful.len() {
            let verb = if choking == 1 { "chokes" } else { "choke" };
            return format!("{choking} of {} peers that have what we need {verb} us", useful.len());
        }
        if self.storing.is_behind(now)
            || !self.storing.is_empty() && self.buffered >= self.config.buffer_bytes_max
        {
            return format!("the disk is slow: {} pieces wait to be written", self.storing.count());
        }
        let snubbing = useful.iter().filter(|peer| peer.snubs_us).count();
        if snubbing > 0 {
            return format!("{snubbing} of {} peers let our requests wait", useful.len());
        }
        format!("{} peers were asked and have not answered yet", useful.len() - choking)
    }

    fn why_no_peers(&self, now: Instant) -> String {
        let half_open = self.peers.len() + self.candidates.dialing();
        if half_open > 0 {
            return format!("connecting to {half_open} {}", if half_open == 1 { "peer" } else { "peers" });
        }
        let trackers = self.announcer.status(now);
        if let Some(worst) = trackers.iter().find(|tracker| tracker.failures > 0) {
            return format!(
                "no peers: tracker {} failed {} times ({})",
                worst.url,
                worst.failures,
                worst.message.clone().unwrap_or_default()
            );
        }
        match (trackers.is_empty(), self.candidates.waiting()) {
            (_, waiting) if waiting > 0 => {
                format!("no peer answers: {waiting} addresses are tried again soon")
            }
            (true, _) => "no peers: the torrent has no tracker and no peer was given".to_owned(),
            (false, _) => "no peers: the tracker knows nobody else yet".to_owned(),
        }
    }

    /// Tells how an announce to `tracker` ended: its warning if it answered, else the failure in words.
    pub(super) fn report_announce(
        &mut self,
        now: Instant,
        tracker: Printable,
        outcome: &Result<AnnounceReply, AnnounceFailure>,
    ) {
        let kind = match outcome {
            Ok(reply) => EventKind::TrackerReplied {
                tracker,
                peers: reply.peers.len() as u32,
                warning: reply.warning.clone(),
            },
            Err(failure) => {
                let why = failure.message();
                let next = self.announcer.poll_timeout();
                let retry_seconds = next.map_or(0, |at| at.since(now).as_secs());
                EventKind::TrackerFailed { tracker, why, retry_seconds }
            }
        };
        self.event(kind);
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
            leechers_connected: count(|_| true) - seeds_connected,
            seeds_known,
            leechers_known,
            candidates: self.candidates.waiting() as u32,
            distributed_copies: copies.distributed,
            age_seconds: now.since(self.born).as_secs_f64(),
            stall: disk_stall.or_else(|| self.stall(now).map(|why| Printable::new(&why))),
            pace: None,
            trouble: self.disk_trouble(),
        }
    }

    /// The whole state at `now`.
    pub fn snapshot(&mut self, now: Instant) -> TorrentSnapshot {
        TorrentSnapshot { summary: self.summary(now), detail: self.detail(now, Aspects::ALL, None) }
    }

    /// The lists that `aspects` names, at `now`, and who has `piece`. What the metainfo says the machine does not know.
    pub fn detail(&mut self, now: Instant, aspects: Aspects, piece: Option<PieceIndex>) -> TorrentDetail {
        TorrentDetail {
            about: None,
            peers: if aspects.peers { self.peer_snapshots(now) } else { Vec::new() },
            trackers: if aspects.trackers { self.tracker_snapshots(now) } else { Vec::new() },
            files: if aspects.files { self.file_snapshots() } else { Vec::new() },
            pieces: if aspects.pieces { self.piece_states() } else { Vec::new() },
            holders: piece.map_or_else(Vec::new, |piece| self.holders(piece)),
            fairness: aspects.fairness.then(|| self.fairness_snapshot(now)),
        }
    }

    /// Peers past their handshake.
    pub(super) fn greeted(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values().filter(|peer| peer.id.is_some() && !peer.closing)
    }

    fn holders(&self, piece: PieceIndex) -> Vec<SocketAddr> {
        self.greeted().filter(|peer| peer.has.has(piece)).map(|peer| peer.address).collect()
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
        let living = self.peers.iter_mut().filter(|(_, peer)| peer.id.is_some() && !peer.closing);
        let choker = &self.choker;
        living
            .map(|(key, peer)| (peer, choker.why(*key)))
            .map(|(peer, decision)| PeerSnapshot {
                address: peer.address,
                direction: peer.direction.into(),
                client: peer.client_name(),
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
                age_seconds: now.since(peer.since).as_secs_f64(),
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
            peer: peer.address,
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

    fn tracker_snapshots(&self, now: Instant) -> Vec<TrackerSnapshot> {
        let state = |state| match state {
            announce::TrackerState::Idle => TrackerState::Idle,
            announce::TrackerState::Announcing => TrackerState::Announcing,
            announce::TrackerState::Working => TrackerState::Working,
            announce::TrackerState::Failed => TrackerState::Failed,
        };
        (self.announcer.status(now).into_iter())
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
