//! The task of one torrent while its machine runs: feeds it and carries out its effects.

mod connections;
mod publishing;

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use bytes::BytesMut;
use potluck_common::{
    Bitfield, Instant, Printable,
    control::{Aspects, TorrentState},
};
use potluck_core::{
    PeerKey,
    session::Direction,
    torrent::{Effect, Input, Source, Torrent, TorrentConfig},
};
use tokio::sync::mpsc;

use self::connections::Link;
use super::{
    Intent, announcing, entropy,
    searches::Searches,
    slots::SlotShare,
    storing,
    torrent_task::{Continued, Message, TorrentTask, disk_error},
    wishes::FileWishes,
};
use crate::{
    net::{
        limiter::{Limiter, Limits},
        listen::{self, Arrival},
        peer_task::PeerContext,
        piece_table::PieceTable,
        report::{self, Report},
        uplink::Share,
    },
    resume::{self, Keeper, Totals},
};

/// Inputs taken per wake: bounded, so that timers and effects are not starved.
const BATCH_MAX: usize = 128;
/// A wake that takes less than this part of what there is room for is quiet: half of the room is given back, as thousands of
/// torrents may rest after a busy moment.
const QUIET_SHARE: usize = 16;
/// Dials of one torrent under way at once.
const DIALS_MAX: usize = 16;
/// A torrent that stops gives its trackers and its peers this long; the disk is synced after it.
const STOP_DEADLINE: Duration = Duration::from_secs(2);

/// A torrent's task while its machine runs.
pub(super) struct Running {
    pub(super) base: TorrentTask,
    machine: Torrent,
    pub(super) context: PeerContext,
    reports: mpsc::Receiver<Box<Report>>,
    sessions: HashMap<PeerKey, Link>,
    published: Instant,
    /// Something happened since the last snapshot.
    is_stirred: bool,
    finished: bool,
    /// When a stop that was asked for is over, whoever has not answered.
    stop_deadline: Option<Instant>,
    /// Writes down what is there, for the next run.
    keeper: Keeper,
    /// Its share of the engine's upload slots.
    pub(super) slots: SlotShare,
    pub(super) file_wishes: FileWishes,
    /// Where its peers are looked for besides its trackers; never those of a private torrent.
    searches: Searches,
    /// The DHT was told that we have all of it.
    was_seed: bool,
}

impl Running {
    pub(super) fn new(base: TorrentTask, have: Bitfield) -> Self {
        let shared = &base.shared;
        let metainfo = &base.params.metainfo;
        let trackers = announcing::tiers(&base.params);
        let now = shared.clock.now();
        let keeper = Keeper::new(
            Arc::clone(&base.journal),
            Arc::clone(&base.storage),
            shared.config.state_interval,
            &have,
            now,
        );
        let config = TorrentConfig {
            info_hash: metainfo.info_hash(),
            name: Printable::new(metainfo.name()),
            geometry: metainfo.geometry(),
            have,
            files: base.files.clone(),
            sequential: base.params.sequential,
            private: metainfo.private(),
            pex: shared.config.pex,
            peer_id: shared.peer_id,
            ours: shared.our_addresses(),
            trackers,
            buffer_bytes_max: base.buffer_bytes_max,
            connections_max: shared.config.connections_max,
            dials_max: DIALS_MAX,
            slots: base.params.slots,
            choker_pace: base.params.choker_pace,
            limits: shared.limits_with(base.params.limits()),
            super_seed: base.params.super_seed,
            fetches_damaged: base.params.intent == Intent::Download,
        };
        let mut machine = Torrent::new(config, u64::from_le_bytes(entropy()), now);
        let is_unheard = base.params.is_unheard;
        if !is_unheard {
            machine.handle(now, Input::Candidates(base.params.peers.clone(), Source::User));
            machine.handle(now, Input::Candidates(base.params.link_peers.clone(), Source::Link));
        }
        if !metainfo.private() && !is_unheard {
            let earlier = resume::lock(&base.journal).peers().to_vec();
            machine.handle(now, Input::Candidates(earlier, Source::Resume));
        }
        for same in base.continued.known.chunk_by(|one, other| one.1 == other.1) {
            let addresses = same.iter().map(|(address, _)| *address).collect();
            machine.handle(now, Input::Candidates(addresses, same[0].1));
        }
        let (reporter, reports) = report::channel();
        let context = PeerContext {
            clock: shared.clock,
            storage: Arc::clone(&base.storage),
            cache: Arc::clone(&shared.disk.cache),
            pieces: Arc::new(PieceTable::new(metainfo.geometry(), Arc::clone(&shared.disk.buffers))),
            up: Share::new(&shared.uplink, base.params.up_limit),
            down: Limits([Arc::clone(&shared.down), Arc::new(Limiter::new(base.params.down_limit))]),
            reports: reporter,
        };
        let discovery = shared.local_discovery.as_ref().filter(|_| !is_unheard);
        let local = discovery.and_then(|discovery| {
            discovery.track(metainfo.info_hash(), metainfo.private(), base.input_sender.clone())
        });
        let was_seed = machine.have().is_full();
        let dht = (!is_unheard).then(|| shared.dht.track(metainfo, was_seed, &base.input_sender)).flatten();
        if let Some(silent) = shared.dht.silence() {
            machine.handle(now, Input::Source(silent));
        }
        let slots = SlotShare::new(&shared.slots, base.params.up_limit, base.input_sender.clone());
        Self {
            slots,
            searches: Searches { local, dht },
            machine,
            context,
            reports,
            sessions: HashMap::new(),
            published: Instant::ZERO,
            is_stirred: true,
            finished: false,
            stop_deadline: None,
            keeper,
            file_wishes: FileWishes::default(),
            was_seed,
            base,
        }
    }

    /// Runs to the end. (In a box: a future has all that is moved into it twice, and there may be ten thousand of them.)
    pub(super) async fn run(mut self: Box<Self>) {
        let Continued { connections, .. } = std::mem::take(&mut self.base.continued);
        for handed in connections {
            let now = self.now();
            self.goes_on(now, handed);
        }
        for arrival in std::mem::take(&mut self.base.early) {
            self.receive(Message::Arrived(arrival));
        }
        let mut batch = Vec::new();
        while !self.finished {
            let now = self.now();
            self.machine.settle(now);
            self.carry_out();
            self.publish_when_due(now);
            self.keep_state(now);
            self.wait(&mut batch).await;
            let now = self.now();
            let is_quiet = batch.len() <= batch.capacity() / QUIET_SHARE;
            for report in batch.drain(..) {
                self.take(now, report);
            }
            if is_quiet {
                batch.shrink_to(batch.capacity() / 2);
            }
            self.machine.handle_timeout(now);
            self.finished |= self.stop_deadline.is_some_and(|at| at <= now);
        }
        self.finish().await;
    }

    pub(super) fn now(&self) -> Instant {
        self.base.shared.clock.now()
    }

    async fn wait(&mut self, batch: &mut Vec<Report>) {
        let wake = [self.machine.poll_timeout(), self.stop_deadline, Some(self.publish_at())];
        let wake = wake.into_iter().flatten().min().unwrap_or(Instant::FAR_FUTURE);
        tokio::select! {
            Some(report) = self.reports.recv() => batch.push(*report),
            Some(input) = self.base.inputs.recv() => batch.push(input.into()),
            Some(message) = self.base.messages.recv() => self.receive(message),
            // Somebody looks.
            Ok(()) = self.base.shown.changed() => self.published = Instant::ZERO,
            () = tokio::time::sleep_until(self.base.shared.clock.deadline(wake)) => {}
        }
        while batch.len() < BATCH_MAX {
            let input = self.base.inputs.try_recv().map(Report::from);
            let Some(report) = input.ok().or_else(|| self.reports.try_recv().ok().map(|report| *report))
            else {
                return;
            };
            batch.push(report);
        }
    }

    fn take(&mut self, now: Instant, Report { input, .. }: Report) {
        self.is_stirred = true;
        if let Input::Peer { peer, events, .. } = &input {
            self.count(now, *peer, events);
        }
        if matches!(input, Input::Stop) && self.stop_deadline.is_none() {
            self.stop_deadline = Some(now + STOP_DEADLINE);
            // The disk is synced while trackers and peers are told.
            self.keeper.hurry();
        }
        if matches!(input, Input::Reannounce) {
            self.searches.hurry();
        }
        if matches!(input, Input::Settled(_)) {
            self.published = Instant::ZERO;
        }
        self.machine.handle(now, input);
    }

    fn receive(&mut self, message: Message) {
        self.is_stirred = true;
        let now = self.now();
        match message {
            Message::Arrived(arrival) => {
                let Arrival { stream, address, received, accepted, .. } = *arrival;
                self.connected(now, stream, address, Direction::Incoming, accepted, received);
            }
            Message::Dialed(address, Ok(stream)) => {
                self.base.shared.peer_reached(address.ip());
                self.connected(now, stream, address, Direction::Outgoing, now, BytesMut::new());
            }
            Message::Dialed(address, Err(error)) if listen::is_exhaustion(&error) => {
                self.machine.handle(now, Input::DialPostponed(address));
            }
            Message::Dialed(address, Err(error)) => {
                tracing::debug!(%address, %error, "a dial failed");
                self.machine.handle(now, Input::DialFailed(address));
            }
            wish => self.wish(wish),
        }
    }

    /// Hands an input to the machine whose outcome somebody waits to see.
    pub(super) fn hand_over(&mut self, input: Input) {
        let now = self.now();
        self.machine.handle(now, input);
        self.published = Instant::ZERO;
    }

    /// The verified pieces.
    pub(super) fn have(&self) -> &Bitfield {
        self.machine.have()
    }

    /// Tells the DHT whether we have all of it, where that is not what it was told (BEP 33): a part, or what is missing
    /// again, wants seeds, and is none.
    fn tell_dht(&mut self) {
        let is_seed = self.machine.have().is_full();
        if let Some(dht) = &self.searches.dht
            && std::mem::replace(&mut self.was_seed, is_seed) != is_seed
        {
            dht.update(self.base.shared.dht.tracked(is_seed));
        }
    }

    fn carry_out(&mut self) {
        self.tell_dht();
        while let Some(effect) = self.machine.poll_effect() {
            self.is_stirred = true;
            match effect {
                Effect::Peer(key, commands) => {
                    if let Some(link) = self.sessions.get(&key) {
                        // A session that ended reports so itself.
                        let _ = link.commands.send(commands);
                    }
                }
                Effect::Dial(address) => self.dial(address),
                Effect::OpenPiece(piece) => self.context.pieces.open(piece),
                Effect::ClosePiece(piece) => self.context.pieces.close(piece),
                Effect::StorePiece { piece, digests } => self.store(piece, digests),
                Effect::VerifyPiece(piece) => self.verify(piece),
                Effect::Announce(announce, statistics) => {
                    let key = self.machine.announce_key();
                    let inputs = self.base.input_sender.clone();
                    let torrent = announcing::Announced {
                        info_hash: self.base.params.metainfo.info_hash(),
                        named: &self.base.params.extra_trackers,
                    };
                    announcing::carry_out(&self.base.shared, torrent, announce, statistics, key, inputs);
                }
                Effect::WantPeers => self.searches.hurry(),
                Effect::Demand(demand) => self.slots.report(demand),
                Effect::Event(kind) => self.base.tell(kind),
                Effect::Completed(time) => {
                    self.settle_on_disk(time);
                    self.keeper.hurry();
                    self.published = Instant::ZERO;
                }
                Effect::Finished => self.finished = true,
            }
        }
    }

    /// Writes down what came since the last time, if that is due.
    fn keep_state(&mut self, now: Instant) {
        let inputs = self.base.input_sender.clone();
        let totals = self.totals();
        let is_private = self.base.params.metainfo.private();
        let peers = || (!is_private).then(|| self.machine.good_peers());
        self.keeper.tick(now, self.machine.have(), totals, peers, move |error| {
            // The torrent may have ended meanwhile.
            let _ = inputs.send(Input::SyncFailed(storing::trouble(&error)));
        });
    }

    /// Where peers are for the next run; of a private torrent only its trackers tell that (BEP 27).
    fn peers_to_keep(&self) -> Option<Vec<SocketAddr>> {
        (!self.base.params.metainfo.private()).then(|| self.machine.good_peers())
    }

    /// Payload moved in this run, as of the last snapshot.
    fn totals(&self) -> Totals {
        let snapshot = self.base.snapshots.borrow();
        Totals { downloaded: snapshot.downloaded, uploaded: snapshot.uploaded }
    }

    /// The end: what was written is made durable, and the last snapshot says that it is over.
    async fn finish(mut self: Box<Self>) {
        self.sessions.clear();
        self.searches.local = None;
        let now = self.now();
        let mut snapshot = self.snapshot(now);
        // What it shared counts on when it is gone, whoever looks now.
        let fairness = Aspects { fairness: true, ..Aspects::NONE };
        let shared = || self.machine.detail(now, fairness, &[]).fairness;
        snapshot.detail.fairness = snapshot.detail.fairness.or_else(shared);
        let totals = Totals { downloaded: snapshot.downloaded, uploaded: snapshot.uploaded };
        let (storage, journal) = (Arc::clone(&self.base.storage), Arc::clone(&self.base.journal));
        let (have, peers) = (self.machine.have().clone(), self.peers_to_keep());
        let synced = tokio::task::spawn_blocking(move || {
            // A disk that was slow over the deadline may have writes under way.
            storage.retire();
            let mut journal = resume::lock(&journal);
            if let Some(peers) = peers {
                journal.note_peers(peers);
            }
            let result = journal.close(&storage, &have, totals);
            drop(journal);
            storage.close_files();
            result
        });
        match synced.await {
            Ok(Err(error)) => snapshot.summary.state = TorrentState::Failed(disk_error(&error)),
            _ if matches!(snapshot.state, TorrentState::Failed(_)) => {}
            _ => snapshot.summary.state = TorrentState::Stopped,
        }
        self.base.snapshots.send_replace(Arc::new(snapshot));
    }
}
