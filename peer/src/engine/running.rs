//! The task of one torrent while its machine runs: feeds it and carries out its effects.

use std::{collections::HashMap, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::BytesMut;
use potluck_common::{
    Bitfield, Instant, Printable,
    control::{Aspects, TorrentSnapshot, TorrentState, TorrentSummary},
};
use potluck_core::{
    PeerKey,
    session::{
        Blame, CloseReason, Direction, Extensions, Session, SessionCommand, SessionConfig, SessionEvent,
    },
    torrent::{Effect, Input, Rate, Source, Torrent, TorrentConfig},
};
use tokio::{net::TcpStream, sync::mpsc};

use super::{
    Counted, Intent, announcing, entropy,
    guard::{DEFECT, guarded},
    handle::Shown,
    slots::SlotShare,
    status::Payload,
    storing,
    torrent_task::{Continued, Message, PUBLISH_EVERY, TorrentTask, disk_error},
    wishes::FileWishes,
};
use crate::{
    dht::Tracking,
    lsd::{self, Tracked},
    net::{
        limiter::{Limiter, Limits},
        listen::{self, Arrival},
        metadata_task::HandedOver,
        peer_task::{PeerContext, PeerTask},
        piece_table::PieceTable,
        report::{self, Report},
        uplink::Share,
    },
    resume::{self, Keeper, Totals},
};

/// Inputs taken per wake: bounded, so that timers and effects are not starved.
const BATCH_MAX: usize = 128;
/// Where nothing happens any more rates fade, and for whom looks ages grow.
const PUBLISH_QUIET_EVERY: Duration = Duration::from_secs(1);
/// What a download waits for comes nearer, and a stall may begin without a word. Ten thousand look, and few have news.
const PUBLISH_STALLED_EVERY: Duration = Duration::from_secs(15);
/// Most pieces that are told one by one to a peer that was told that we have none.
const CONTINUED_PIECES_MAX: u32 = 1_000;
/// Dials of one torrent under way at once.
const DIALS_MAX: usize = 16;
/// A torrent that stops gives its trackers and its peers this long; the disk is synced after it.
const STOP_DEADLINE: Duration = Duration::from_secs(2);
/// A peer that gives more than this is fast enough to keep a processor busy with hashing.
const FAST_PEER_BYTES_PER_SECOND: u64 = 100 * 1024 * 1024;

/// A peer has one DHT node, which may move; further words of it on one connection count for nothing.
const NODES_TOLD_MAX: u8 = 4;

/// How to reach the task of a connection.
struct Link {
    commands: mpsc::UnboundedSender<Vec<SessionCommand>>,
    remote: SocketAddr,
    /// How often it told of a DHT node.
    nodes_told: u8,
    /// Once it is past its handshake.
    counted: Option<Counted>,
}

/// A torrent's task while its machine runs.
pub(super) struct Running {
    pub(super) base: TorrentTask,
    machine: Torrent,
    pub(super) context: PeerContext,
    reports: mpsc::Receiver<Report>,
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
    /// It is announced in the local network.
    local: Option<Tracked>,
    /// For as long as this is here, the DHT is asked for its peers; never for those of a private torrent.
    dht: Option<Tracking>,
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
        machine.handle(now, Input::Candidates(base.params.peers.clone(), Source::User));
        let is_unheard = base.params.is_unheard;
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
            local,
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
            dht,
            was_seed,
            base,
        }
    }

    pub(super) async fn run(mut self) {
        let Continued { connections, .. } = std::mem::take(&mut self.base.continued);
        for handed in connections {
            let now = self.now();
            self.goes_on(now, handed);
        }
        for arrival in std::mem::take(&mut self.base.early) {
            self.receive(Message::Arrived(arrival));
        }
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while !self.finished {
            let now = self.now();
            self.machine.settle(now);
            self.carry_out();
            self.publish_when_due(now);
            self.keep_state(now);
            self.wait(&mut batch).await;
            let now = self.now();
            for report in batch.drain(..) {
                self.take(now, report);
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
            Some(report) = self.reports.recv() => batch.push(report),
            Some(input) = self.base.inputs.recv() => batch.push(input.into()),
            Some(message) = self.base.messages.recv() => self.receive(message),
            // Somebody looks.
            Ok(()) = self.base.shown.changed() => self.published = Instant::ZERO,
            () = tokio::time::sleep_until(self.base.shared.clock.deadline(wake)) => {}
        }
        while batch.len() < BATCH_MAX {
            let input = self.base.inputs.try_recv().map(Report::from);
            let Some(report) = input.ok().or_else(|| self.reports.try_recv().ok()) else { return };
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
            self.hurry_sources();
        }
        if matches!(input, Input::Settled(_)) {
            self.published = Instant::ZERO;
        }
        self.machine.handle(now, input);
    }

    /// Keeps the engine's counts: of peers past their handshake (the others are bounded by their torrent), and of what was sent.
    fn count(&mut self, now: Instant, peer: PeerKey, events: &[SessionEvent]) {
        let payload = Payload::of(events);
        self.base.shared.traffic.count(now, payload);
        self.slots.count_sent(payload.up);
        let told = |wanted: fn(&SessionEvent) -> bool| events.iter().any(wanted);
        if told(|event| matches!(event, SessionEvent::Handshaken { .. }))
            && let Some(link) = self.sessions.get_mut(&peer)
        {
            self.base.shared.handshakes.complete(peer);
            link.counted = Some(Counted::new(&self.base.shared));
        }
        for event in events {
            if let (SessionEvent::DhtPort(port), Some(link)) = (event, self.sessions.get_mut(&peer))
                && link.nodes_told < NODES_TOLD_MAX
            {
                link.nodes_told += 1;
                self.base.shared.dht.add_node(SocketAddr::new(link.remote.ip(), *port));
            }
        }
        if told(|event| matches!(event, SessionEvent::Closed(_))) {
            self.sessions.remove(&peer);
        }
    }

    fn receive(&mut self, message: Message) {
        self.is_stirred = true;
        let now = self.now();
        match message {
            Message::Arrived(arrival) => {
                let Arrival { stream, address, received, accepted, .. } = arrival;
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

    fn connected(
        &mut self,
        now: Instant,
        stream: TcpStream,
        remote: SocketAddr,
        direction: Direction,
        since: Instant,
        received: BytesMut,
    ) {
        let config = self.session_config(remote, direction);
        let session = Session::new(config, &self.machine.offered(), since);
        self.open_session(now, stream, remote, direction, session, received);
    }

    /// A connection that was opened before the metadata was known.
    fn goes_on(&mut self, now: Instant, handed: HandedOver) {
        let HandedOver { stream, remote, direction, received } = handed;
        let offered = self.machine.offered();
        // Each piece takes a message then: one that has many is told anew, over another connection.
        if offered.count() <= CONTINUED_PIECES_MAX {
            let config = self.session_config(remote, direction);
            let session = Session::continued(config, &offered, now);
            self.open_session(now, stream, remote, direction, session, received);
        }
    }

    fn session_config(&self, remote: SocketAddr, direction: Direction) -> SessionConfig {
        let shared = &self.base.shared;
        let listen_port = Some(shared.port_for(remote.ip()));
        SessionConfig {
            info_hash: self.base.params.metainfo.info_hash(),
            peer_id: shared.peer_id,
            direction,
            remote,
            geometry: self.base.params.metainfo.geometry(),
            listen_port,
            client: concat!("Potluck ", env!("CARGO_PKG_VERSION")),
            upload_only: self.machine.is_upload_only(),
            private: self.base.params.metainfo.private(),
            extensions: Extensions {
                metadata: Some(self.base.params.metainfo.info()),
                pex: shared.config.pex,
                dht_port: shared.dht_port_for(remote.ip()),
            },
        }
    }

    fn open_session(
        &mut self,
        now: Instant,
        stream: TcpStream,
        remote: SocketAddr,
        direction: Direction,
        session: Session,
        received: BytesMut,
    ) {
        let shared = &self.base.shared;
        let key = shared.next_peer();
        let (commands, receiver) = mpsc::unbounded_channel();
        if direction == Direction::Incoming {
            shared.handshakes.begun(key, remote.ip(), commands.clone());
        }
        self.sessions.insert(key, Link { commands, remote, nodes_told: 0, counted: None });
        self.machine.handle(now, Input::PeerConnected { peer: key, address: remote, direction });
        let task = Box::new(PeerTask::new(key, self.context.clone(), stream, session, received, receiver));
        let reports = self.context.reports.clone();
        shared.spawn(async move {
            if guarded("connection", task.run()).await.is_none() {
                let closed = SessionEvent::Closed(CloseReason::new(Blame::Local, DEFECT));
                reports.tell(key, vec![closed], Vec::new()).await;
            }
        });
    }

    /// Tells the DHT whether we have all of it, where that is not what it was told (BEP 33): a part, or what is missing
    /// again, wants seeds, and is none.
    fn tell_dht(&mut self) {
        let is_seed = self.machine.have().is_full();
        if let Some(dht) = &self.dht
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
                Effect::WantPeers => self.hurry_sources(),
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

    /// Asks for peers, wherever that may be done soon.
    fn hurry_sources(&self) {
        if let Some(local) = &self.local {
            local.hurry();
        }
        if let Some(dht) = &self.dht {
            dht.hurry();
        }
    }

    fn dial(&mut self, address: SocketAddr) {
        if self.base.shared.is_full() {
            let now = self.now();
            return self.machine.handle(now, Input::DialPostponed(address));
        }
        let shared = Arc::clone(&self.base.shared);
        let messages = self.base.message_sender.clone();
        self.base.shared.spawn(async move {
            let result = guarded("dial", shared.dialer.dial(address)).await;
            let result = result.unwrap_or_else(|| Err(io::Error::other(DEFECT)));
            // The torrent may have ended meanwhile.
            let _ = messages.send(Message::Dialed(address, result));
        });
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

    /// When the next snapshot is due, if it has news; where nothing happens or is wanted and nobody looks, never.
    fn publish_at(&self) -> Instant {
        let latest = self.base.snapshots.borrow();
        let moves = latest.down_rate > 0 || latest.up_rate > 0;
        match () {
            () if self.is_stirred => self.published + PUBLISH_EVERY,
            () if moves || !self.base.shown.borrow().is_empty() => self.published + PUBLISH_QUIET_EVERY,
            () if latest.stall.is_some() || latest.state == TorrentState::Downloading => {
                self.published + PUBLISH_STALLED_EVERY
            }
            () => Instant::FAR_FUTURE,
        }
    }

    fn publish_when_due(&mut self, now: Instant) {
        let is_awaited = self.published == Instant::ZERO || !self.base.shown.borrow().is_empty();
        if now < self.publish_at() && self.published != Instant::ZERO {
            return;
        }
        self.published = now;
        let fast = self.machine.faster_than(now, FAST_PEER_BYTES_PER_SECOND);
        self.context.pieces.set_hash_inline(fast != 1);
        let snapshot = self.snapshot(now);
        self.is_stirred = self.machine.has_stale_figures();
        let is_news = is_awaited || !says_the_same(&self.base.snapshots.borrow().summary, &snapshot.summary);
        if is_news {
            self.base.snapshots.send_replace(Arc::new(snapshot));
        }
    }

    fn snapshot(&mut self, now: Instant) -> TorrentSnapshot {
        let Shown { aspects, pieces } = self.base.shown.borrow_and_update().clone();
        let geometry = self.base.params.metainfo.geometry();
        let pieces: Vec<_> = pieces.into_iter().filter_map(|piece| geometry.piece(piece)).collect();
        if aspects.trackers {
            let report = self.local.as_ref().map_or_else(lsd::off, Tracked::report);
            self.machine.handle(now, Input::Source(report));
        }
        let mut detail = self.machine.detail(now, aspects, &pieces);
        detail.about = aspects.about.then(|| self.base.about());
        detail.made.about = aspects.about;
        if let Some(fairness) = &mut detail.fairness {
            let slots = &self.base.shared.slots;
            fairness.is_automatic &= slots.is_automatic();
            fairness.up_capacity = fairness.up_capacity.or_else(|| slots.capacity());
        }
        let mut summary = self.machine.summary(now);
        if let Some(why) = self.pace_of_engine(now, &summary) {
            summary.pace = Some(why);
        }
        TorrentSnapshot { summary, detail }
    }

    /// A limit of the whole engine that its torrents use up together, of which this one knows nothing. What its own limit
    /// holds back the others do not.
    fn pace_of_engine(&self, now: Instant, summary: &TorrentSummary) -> Option<Printable> {
        let limit = self.base.shared.down_limit_reached(now)?;
        let own = self.base.params.down_limit;
        let is_slowed =
            summary.state == TorrentState::Downloading && is_slowed_by_others(summary.down_rate, own, limit);
        is_slowed
            .then(|| Printable::new(&format!("all torrents together are limited to {} by you", Rate(limit))))
    }

    /// The end: what was written is made durable, and the last snapshot says that it is over.
    async fn finish(mut self) {
        self.sessions.clear();
        self.local = None;
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

/// Whether two summaries say the same but for the torrent's age, which grows by itself.
fn says_the_same(known: &TorrentSummary, new: &TorrentSummary) -> bool {
    // Cheap ones first: summaries that differ mostly do so in their numbers.
    known.downloaded == new.downloaded && known.uploaded == new.uploaded && {
        let aged = TorrentSummary { age_seconds: known.age_seconds, ..new.clone() };
        aged == *known
    }
}

/// Whether a torrent that moves gets less than the limit of `all` torrents and its `own`, in bytes per second.
fn is_slowed_by_others(rate: u64, own: Option<u64>, all: u64) -> bool {
    rate > 0 && own.into_iter().chain([all]).all(|limit| rate < limit / 10 * 9)
}

#[cfg(test)]
mod tests {
    use potluck_common::control::TorrentSummary;

    use super::{is_slowed_by_others, says_the_same};
    use crate::engine::{tests::torrent, torrent_task::first_snapshot};

    #[test]
    fn a_torrent_that_only_grew_older_says_the_same() {
        let known = first_snapshot(&torrent(b"payload"), &[]).summary;
        let older = TorrentSummary { age_seconds: 900.0, ..known.clone() };
        assert!(says_the_same(&known, &older));
        for other in [
            TorrentSummary { downloaded: 1, ..older.clone() },
            TorrentSummary { candidates: 1, ..older.clone() },
            TorrentSummary { stall: Some("no peer answers".into()), ..older.clone() },
            TorrentSummary { down_rate: 1, ..older },
        ] {
            assert!(!says_the_same(&known, &other), "{other:?}");
        }
    }

    #[test]
    fn others_slow_only_whom_its_own_limit_does_not() {
        for (rate, own, is_slowed) in [
            (0, None, false),
            (100, None, true),
            (950, None, false),
            (95, Some(100), false),
            (50, Some(100), true),
            (500, Some(5_000), true),
        ] {
            assert_eq!(is_slowed_by_others(rate, own, 1_000), is_slowed, "{rate} of {own:?}");
        }
    }
}
