//! One torrent: composes the picker, the choker, the announcer, blame and the peer book over its sessions.
//!
//! The machine runs in a task of its own. It sees no payload: sessions report ids and counts in batches
//! ([`Input::Peer`]), and what must be done to bytes leaves as [`Effect`]s. The shell feeds a bounded number of
//! inputs, then drains [`Torrent::poll_effect`] until `None`.

mod accounts;
mod assign;
mod connection;
mod contract;
mod crowd;
mod demand;
mod disk;
mod fairness;
mod fast_ledger;
mod figures;
mod interest;
pub mod magnet;
mod peers;
mod pex;
mod pieces;
mod reach;
mod report;
mod sources;
mod stall;
mod storing;
mod super_seeding;
#[cfg(test)]
mod tests;
mod unread;
mod wishes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use potluck_common::control::PeerSource as Source;
use potluck_common::{Duration, Instant, PieceIndex, Printable, Rng, control::EventKind};

use self::{
    accounts::GoneGivers,
    connection::{Peers, dial_ended},
    demand::ToldDemand,
    disk::{StoreWait, Strikes},
    fairness::Fairness,
    fast_ledger::FastLedger,
    figures::Figures,
    peers::Peer,
    pex::Pex,
    reach::assert_reached,
    sources::Sources,
    stall::Progress,
    storing::Storing,
    unread::Unread,
};
pub use self::{
    contract::{
        DiskTrouble, Effect, Input, SourceReport, Statistics, TorrentConfig, TorrentFile, TroubleKind,
    },
    stall::Rate,
};
pub use crate::peer_book::BanSubject;
use crate::{
    PeerKey,
    announce::{AnnounceEffect, AnnounceId, Announcer, AnnouncerConfig},
    blame::Blame,
    choker::{Choker, ChokerConfig, Slots},
    peer_book::PeerBook,
    picker::{Order, Picker, PickerConfig, Priority},
    rate::RateMeter,
    session::SessionCommand,
    super_seed::SuperSeed,
};

/// How often the machine looks whether it stalls, whom it could dial, and whether an overdue block can be had sooner
/// from somebody else.
const TICK: Duration = crate::picker::END_GAME_RETRY;
/// The same while nobody is connected or dialled: there may be ten thousand torrents without peers.
const TICK_ALONE: Duration = Duration::from_secs(2);
/// Fewer connected peers than this make the machine ask its trackers early.
const PEERS_WANTED: usize = 8;
/// The fastest time lapse: rounds of a tenth of a second. In shorter ones rates would say nothing.
const CHOKER_PACE_MAX: u32 = 100;

/// Where the machine is in its life.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Life {
    Running,
    Stopping,
    Finished,
    /// A lasting trouble with the disk: nothing is requested or served any more.
    Failed(DiskTrouble),
}

/// The machine of one torrent; see the [module](self).
#[derive(Debug)]
pub struct Torrent {
    config: TorrentConfig,
    life: Life,
    peers: Peers<Peer>,
    book: PeerBook,
    pex: Pex,
    sources: Sources,
    picker: Picker,
    choker: Choker,
    demand: ToldDemand,
    announcer: Announcer,
    /// The trackers that are being asked, without secrets.
    announcing: BTreeMap<AnnounceId, Printable>,
    blame: Blame<BanSubject>,
    fast_ledger: FastLedger,
    /// Present while we super-seed.
    super_seed: Option<SuperSeed>,
    /// Pieces whose blocks may come or that are being stored: each has a buffer in the shell.
    open: BTreeSet<PieceIndex>,
    gone_givers: GoneGivers,
    /// Pieces handed to the shell with [`Effect::StorePiece`] and not yet answered.
    storing: Storing,
    /// Bytes of pieces that are being assembled or stored.
    buffered: u64,
    /// Peers that might get blocks now, looked at once at the end of a batch.
    hungry: BTreeSet<PeerKey>,
    commands: BTreeMap<PeerKey, Vec<SessionCommand>>,
    effects: VecDeque<Effect>,
    down: RateMeter,
    up: RateMeter,
    wasted: u64,
    hash_failures: u32,
    /// Complete pieces that could not be written for now.
    store_wait: Option<StoreWait>,
    /// Pieces handed to the shell with [`Effect::VerifyPiece`] and not yet answered.
    verifying: BTreeSet<PieceIndex>,
    /// Pieces that could not be read, and are looked at again.
    unread: Unread,
    strikes: Strikes,
    completed: bool,
    /// How often it became complete. A piece may be lost and fetched again while the disk is still busy with the last time.
    completions: u64,
    /// What is complete is durable, too.
    settled: bool,
    /// Something was downloaded in this run, so that `completed` may be announced.
    downloaded_here: bool,
    born: Instant,
    next_tick: Instant,
    progress: Progress,
    figures: Figures,
    fairness: Fairness,
}

/// The same choker in time lapse.
fn paced(config: ChokerConfig, pace: u32) -> ChokerConfig {
    let short = |time: Duration| time / pace.clamp(1, CHOKER_PACE_MAX);
    ChokerConfig {
        round: short(config.round),
        optimistic: short(config.optimistic),
        newcomer: short(config.newcomer),
        reciprocates: short(config.reciprocates),
        ..config
    }
}

impl Torrent {
    /// A torrent that begins at `now`; `seed` decides every tie and every jitter.
    pub fn new(config: TorrentConfig, seed: u64, now: Instant) -> Self {
        let mut rng = Rng::new(seed);
        let order = if config.sequential { Order::Sequential } else { Order::RarestFirst };
        let mut picker = Picker::new(
            config.geometry,
            &config.have,
            rng.next_u64(),
            PickerConfig { order, ..PickerConfig::default() },
        );
        let priorities = contract::piece_priorities(&config.geometry, &config.files);
        picker.begin_changes();
        for (piece, priority) in config.geometry.iter().zip(priorities) {
            if priority != Priority::Normal {
                picker.set_priority(piece, priority);
            }
        }
        picker.end_changes();
        let slots = config.slots.map_or_else(|| Slots::for_uplink(config.limits.up), Slots::fixed);
        let piece_length = config.geometry.piece_length();
        let connections_max = u32::try_from(config.connections_max).ok();
        let choker_config = ChokerConfig { slots, piece_length, connections_max, ..ChokerConfig::default() };
        let choker_config = paced(choker_config, config.choker_pace);
        let mut choker = Choker::new(choker_config, rng.next_u64(), now);
        let completed = picker.wanted_left() == 0;
        choker.handle(now, crate::choker::ChokerEvent::BecameSeed(completed));
        let mut announcer = Announcer::new(&config.trackers, AnnouncerConfig::default(), rng.next_u64(), now);
        announcer.start(now);
        let mut book = PeerBook::new(config.ours.clone(), rng.fork());
        book.set_seed(completed);
        let super_seeds = config.super_seed && config.have.is_full() && config.slots != Some(0);
        let super_seed = super_seeds.then(|| SuperSeed::new(config.geometry, rng.next_u64(), now));
        let mut torrent = Self {
            life: Life::Running,
            peers: BTreeMap::new(),
            book,
            pex: Pex::default(),
            sources: Sources::new(rng.fork()),
            picker,
            choker,
            demand: ToldDemand::default(),
            announcer,
            announcing: BTreeMap::new(),
            blame: Blame::new(),
            fast_ledger: FastLedger::default(),
            super_seed,
            open: BTreeSet::new(),
            gone_givers: GoneGivers::default(),
            storing: Storing::new(config.geometry, now),
            buffered: 0,
            hungry: BTreeSet::new(),
            commands: BTreeMap::new(),
            effects: VecDeque::new(),
            down: RateMeter::default(),
            up: RateMeter::default(),
            wasted: 0,
            hash_failures: 0,
            store_wait: None,
            verifying: BTreeSet::new(),
            unread: Unread::default(),
            strikes: Strikes::default(),
            completed,
            completions: u64::from(completed),
            settled: false,
            downloaded_here: false,
            born: now,
            next_tick: now,
            progress: Progress::new(now),
            figures: Figures::default(),
            fairness: Fairness::default(),
            config,
        };
        torrent.count_wanted();
        if completed {
            torrent.effects.push_back(Effect::Completed(torrent.completions));
        }
        torrent
    }

    /// Something happened outside.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::PeerConnected { peer, address, direction } => {
                self.peer_connected(now, peer, address, direction);
                self.next_tick = self.next_tick.min(now + TICK);
            }
            Input::Peer { peer, events, duplicates } => self.peer_reported(now, peer, events, &duplicates),
            Input::DialFailed(address) => {
                dial_ended(&self.peers, &mut self.book, now, address, PeerBook::failed);
            }
            Input::DialPostponed(address) => {
                dial_ended(&self.peers, &mut self.book, now, address, PeerBook::postponed);
            }
            Input::Candidates(addresses, source) => self.learn(now, addresses, source),
            Input::Source(report) => self.sources.report(report),
            Input::PieceStored(piece, digests) => self.piece_stored(now, piece, &digests),
            Input::PieceMismatch(piece, digests) => self.piece_mismatch(now, piece, &digests),
            Input::WriteFailed(piece, trouble) => self.write_failed(now, piece, trouble),
            Input::SyncFailed(trouble) => self.fail(now, trouble),
            Input::Settled(time) => self.settled |= self.completed && time == self.completions,
            Input::ReadFailed(piece, trouble) => self.read_failed(now, piece, trouble),
            Input::PieceVerified(piece, result) => self.piece_verified(now, piece, result),
            Input::Announced(id, outcome) => self.announced(now, id, outcome),
            Input::Scraped(id, outcome) => self.announcer.handle_scrape(id, outcome),
            Input::EvictOne => self.evict_one(now),
            Input::BufferBudget(bytes) => {
                self.config.buffer_bytes_max = bytes;
                self.everyone_may_be_hungry();
            }
            Input::SetSlots(slots) => self.set_slots(now, slots),
            Input::SetLimits(limits) => self.config.limits = limits,
            Input::SetFiles(files) => self.set_files(now, &files),
            Input::Reannounce => self.reannounce(now),
            Input::Stop => self.stop(now),
        }
    }

    /// A deadline has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.choker.poll_timeout().is_some_and(|at| at <= now) {
            // Before the round: whoever is unchoked by it has carried nothing yet.
            self.tell_demand_again(now);
            let round_at = self.choker.standing().round_at;
            self.choker.handle_timeout(now);
            if self.choker.standing().round_at != round_at {
                self.book_round();
            }
        }
        if self.announcer.poll_timeout().is_some_and(|at| at <= now) {
            self.announcer.handle_timeout(now);
        }
        if self.storing.lets_go(now) {
            self.everyone_may_be_hungry();
        }
        self.time_super_seed(now);
        if self.next_tick <= now {
            self.tick(now);
            let is_alone = self.peers.is_empty() && self.book.dialing() == 0;
            self.next_tick = now + if is_alone { TICK_ALONE } else { TICK };
        }
    }

    /// When the machine next needs [`Torrent::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.life == Life::Finished {
            return None;
        }
        if self.is_idle() {
            return self.announcer.poll_timeout();
        }
        let timeouts = [
            self.choker.poll_timeout(),
            self.announcer.poll_timeout(),
            self.storing.poll_timeout(),
            self.super_seed.as_ref().and_then(SuperSeed::poll_timeout),
            Some(self.next_tick),
        ];
        timeouts.into_iter().flatten().min()
    }

    /// Whether nothing changes before something happens outside or a tracker is due: all is there, and nobody is
    /// connected or could be. Most of a thousand seeds are like this most of the time.
    pub fn is_idle(&self) -> bool {
        self.life == Life::Running
            && self.completed
            && self.settled
            && self.peers.is_empty()
            && self.book.dialing() + self.book.waiting() == 0
            && self.verifying.is_empty()
            && self.unread.is_empty()
            && self.store_wait.is_none()
    }

    /// Brings every decision up to date. Call it once after a batch of inputs, before [`Torrent::poll_effect`].
    pub fn settle(&mut self, now: Instant) {
        self.follow_choker(now);
        self.follow_super_seed();
        self.tell_demand(now);
        self.feed_the_hungry(now);
        self.dial(now);
        self.collect_announces();
        self.flush_commands();
        self.finish_when_done();
    }

    /// What the shell must do next; drain until `None`.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Whether every wanted piece is there.
    pub fn is_complete(&self) -> bool {
        self.completed
    }

    /// The `key` of every announce of this torrent (BEP 7).
    pub fn announce_key(&self) -> u32 {
        self.announcer.key()
    }

    /// The verified pieces.
    pub fn have(&self) -> &potluck_common::Bitfield {
        self.picker.have()
    }

    fn tick(&mut self, now: Instant) {
        let lacks_peers = !self.completed && self.peers.len() < PEERS_WANTED && self.book.waiting() == 0;
        if lacks_peers && self.life == Life::Running {
            self.announcer.want_peers(now);
        }
        self.ask_for_peers(now);
        self.tell_of_peers(now);
        self.retry_store(now);
        self.look_again(now);
        self.part_with_the_dull(now);
        self.tell_snubs(now);
        self.everyone_may_be_hungry();
        self.free_memory_when_stuck();
        self.watch_progress(now);
    }

    fn stop(&mut self, now: Instant) {
        if !matches!(self.life, Life::Running | Life::Failed(_)) {
            return;
        }
        self.life = Life::Stopping;
        self.announcer.stop(now);
        self.close_all("we are stopping");
    }

    fn finish_when_done(&mut self) {
        let quiet = self.peers.is_empty() && self.storing.is_empty() && self.announcer.is_quiet();
        if self.life == Life::Stopping && quiet {
            self.life = Life::Finished;
            self.effects.push_back(Effect::Finished);
        }
    }

    fn collect_announces(&mut self) {
        while let Some(effect) = self.announcer.poll_effect() {
            if let AnnounceEffect::Announce { id, url, .. } = &effect {
                self.announcing.insert(*id, Printable::new(&url.redacted()));
            }
            let statistics = self.statistics();
            self.effects.push_back(Effect::Announce(effect, statistics));
        }
    }

    fn statistics(&self) -> Statistics {
        let geometry = &self.config.geometry;
        let have: u64 = self.have_bytes();
        Statistics { uploaded: self.up.total(), downloaded: self.down.total(), left: geometry.total() - have }
    }

    fn have_bytes(&self) -> u64 {
        let geometry = &self.config.geometry;
        let have = self.picker.have();
        let whole = u64::from(have.count()) * u64::from(geometry.piece_length());
        let last = geometry.pieces().checked_sub(1).and_then(|last| geometry.piece(last));
        match last {
            Some(last) if have.has(last) => {
                whole - u64::from(geometry.piece_length() - geometry.length_of(last))
            }
            _ => whole,
        }
    }

    fn command(&mut self, peer: PeerKey, command: SessionCommand) {
        self.commands.entry(peer).or_default().push(command);
    }

    fn flush_commands(&mut self) {
        for (peer, commands) in std::mem::take(&mut self.commands) {
            self.effects.push_back(Effect::Peer(peer, commands));
        }
    }

    fn event(&mut self, kind: EventKind) {
        self.effects.push_back(Effect::Event(kind));
    }

    /// Checks what must always hold; called after each step in tests and simulation.
    pub fn assert_invariants(&self) {
        self.picker.assert_invariants();
        self.assert_figures();
        assert_eq!(self.fairness.total_sent(), self.up.total(), "what was sent is booked once");
        self.book.assert_invariants();
        assert_reached(self.book.connected_ones(), self.peers.values().map(|peer| &peer.connection.reach));
        self.assert_contacts();
        self.super_seed.iter().for_each(SuperSeed::assert_invariants);
        assert!(
            self.commands.keys().all(|peer| self.peers.contains_key(peer)),
            "commands go to living sessions"
        );
        assert_eq!(self.buffered, self.picker_buffered(), "buffered bytes agree with a recount");
        for peer in self.peers.values() {
            let wanted =
                peer.has.iter(&self.config.geometry).filter(|piece| self.picker.is_wanted(*piece)).count();
            assert_eq!(
                peer.interesting as usize, wanted,
                "the count of interesting pieces agrees with a recount"
            );
        }
    }
}
