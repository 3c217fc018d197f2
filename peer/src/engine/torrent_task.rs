//! The task of one torrent: feeds its machine and carries out its effects.

use std::{
    collections::{HashMap, VecDeque},
    io,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use bytes::BytesMut;
use potluck_common::{
    Bitfield, Instant, Printable,
    control::{Event, EventKind, TorrentError, TorrentErrorKind, TorrentSnapshot, TorrentState},
    metainfo::{Metainfo, Version},
};
use potluck_core::{
    PeerKey,
    session::{Direction, Session, SessionCommand, SessionConfig, SessionEvent},
    torrent::{DiskTrouble, Effect, Input, Source, Torrent, TorrentConfig, TorrentFile},
};
use tokio::{
    net::TcpStream,
    sync::{broadcast, mpsc, watch},
};

use super::{
    AddError, Intent, Registered, Shared, TorrentParams, announcing, entropy, handle::TorrentHandle,
};
use crate::{
    check::{self, CheckResult, FileState},
    disk::{DiskError, DiskPool, Layout, Progress, Storage, StoreOutcome},
    net::{
        limiter::{Limiter, Limits},
        listen::Arrival,
        peer_task::{PeerContext, PeerTask},
        piece_table::PieceTable,
    },
};

/// Reports of connections that may wait for the torrent before they are slowed down.
const REPORTS_MAX: usize = 512;
/// Inputs taken per wake: bounded, so that timers and effects are not starved.
const BATCH_MAX: usize = 128;
/// Events kept for a slow reader.
const EVENTS_MAX: usize = 1024;
/// Snapshots are published at most this often.
const PUBLISH_EVERY: Duration = Duration::from_millis(250);
/// Dials of one torrent under way at once.
const DIALS_MAX: usize = 16;
/// Peers that may wait while the payload is checked: each holds a descriptor, and a check may take an hour.
const EARLY_MAX: usize = 16;
/// How long one of them may wait: a peer that hears nothing gives up by itself.
const EARLY_PATIENCE: Duration = Duration::from_secs(10);
/// A torrent that stops gives its trackers and its peers this long; the disk is synced after it.
const STOP_DEADLINE: Duration = Duration::from_secs(2);
/// A peer that gives more than this is fast enough to keep a processor busy with hashing.
const FAST_PEER_BYTES_PER_SECOND: u64 = 100 * 1024 * 1024;

/// What reaches a torrent's task from the engine, besides inputs for its machine.
pub(super) enum Message {
    /// A peer connected to us and named this torrent.
    Arrived(Arrival),
    /// A dial that the machine asked for ended.
    Dialed(SocketAddr, io::Result<TcpStream>),
}

/// A torrent's task before it runs.
pub(super) struct TorrentTask {
    shared: Arc<Shared>,
    params: TorrentParams,
    storage: Arc<Storage>,
    files: Vec<TorrentFile>,
    snapshots: watch::Sender<Arc<TorrentSnapshot>>,
    events: broadcast::Sender<Event>,
    inputs: mpsc::UnboundedReceiver<Input>,
    input_sender: mpsc::UnboundedSender<Input>,
    messages: mpsc::UnboundedReceiver<Message>,
    message_sender: mpsc::UnboundedSender<Message>,
    /// Peers that came while the payload was checked, oldest first. At most [`EARLY_MAX`].
    early: VecDeque<Arrival>,
}

/// Makes the task of a torrent and the handle to it; nothing runs yet.
pub(super) fn prepare(
    shared: &Arc<Shared>,
    params: TorrentParams,
) -> Result<(TorrentTask, Registered), AddError> {
    let metainfo = &params.metainfo;
    if metainfo.version() == Version::V2 {
        return Err(AddError::V2Only(Printable::new(metainfo.name())));
    }
    let layout = Layout::from_metainfo(metainfo, params.directory.clone())?;
    let storage = Storage::new(layout, &shared.disk.open_files);
    let files = files_of(metainfo, params.wanted_files.as_deref());
    let (snapshots, latest) = watch::channel(Arc::new(first_snapshot(metainfo, &files)));
    let (events, _) = broadcast::channel(EVENTS_MAX);
    let (input_sender, inputs) = mpsc::unbounded_channel();
    let (message_sender, messages) = mpsc::unbounded_channel();
    let handle = TorrentHandle {
        info_hash: metainfo.info_hash(),
        snapshots: latest,
        events: events.clone(),
        inputs: input_sender.clone(),
    };
    let registered = Registered { handle, messages: message_sender.clone() };
    let task = TorrentTask {
        shared: Arc::clone(shared),
        params,
        storage,
        files,
        snapshots,
        events,
        inputs,
        input_sender,
        messages,
        message_sender,
        early: VecDeque::new(),
    };
    Ok((task, registered))
}

fn files_of(metainfo: &Metainfo, wanted: Option<&[usize]>) -> Vec<TorrentFile> {
    let is_wanted = |number| wanted.is_none_or(|wanted| wanted.contains(&number));
    (metainfo.files().iter().enumerate())
        .map(|(number, file)| TorrentFile {
            path: Printable::new(&file.path.to_string()),
            offset: file.offset,
            length: file.length,
            wanted: is_wanted(number),
            padding: file.padding,
        })
        .collect()
}

/// What is known before anything was checked.
fn first_snapshot(metainfo: &Metainfo, files: &[TorrentFile]) -> TorrentSnapshot {
    use potluck_common::control::FileSnapshot;
    let geometry = metainfo.geometry();
    let files = files.iter().filter(|file| !file.padding).map(|file| FileSnapshot {
        path: file.path.clone(),
        length: file.length,
        have: 0,
        wanted: file.wanted,
    });
    TorrentSnapshot {
        info_hash: metainfo.info_hash(),
        name: Printable::new(metainfo.name()),
        state: TorrentState::Checking { done: 0, total: geometry.pieces() },
        total_size: geometry.total(),
        wanted_size: geometry.total(),
        wanted_have: 0,
        have_size: 0,
        piece_length: geometry.piece_length(),
        pieces: geometry.pieces(),
        pieces_have: 0,
        downloaded: 0,
        uploaded: 0,
        wasted: 0,
        hash_failures: 0,
        down_rate: 0,
        up_rate: 0,
        eta_seconds: None,
        seeds_connected: 0,
        leechers_connected: 0,
        seeds_known: None,
        leechers_known: None,
        candidates: 0,
        distributed_copies: 0.0,
        age_seconds: 0.0,
        stall: None,
        peers: Vec::new(),
        trackers: Vec::new(),
        files: files.collect(),
        piece_states: Vec::new(),
    }
}

impl TorrentTask {
    pub(super) async fn run(mut self) {
        let mut checked = match self.check().await {
            Ok(Some(checked)) => checked,
            // Stopped while it was checking.
            Ok(None) => return self.conclude(TorrentState::Stopped),
            Err(error) => return self.fail_before_start(error).await,
        };
        if let Err(error) = self.ready(&mut checked) {
            return self.fail_before_start(error).await;
        }
        Running::new(self, checked.have).run().await;
    }

    /// Hashes what lies in the folder, on all processors, away from the runtime.
    async fn check(&mut self) -> Result<Option<CheckResult>, TorrentError> {
        let total = self.storage.layout().geometry().pieces();
        let progress = Arc::new(Progress::new());
        let work = {
            let (storage, progress) = (Arc::clone(&self.storage), Arc::clone(&progress));
            tokio::task::spawn_blocking(move || {
                check::check(&storage, None, DiskPool::default_threads(), &progress)
            })
        };
        tokio::pin!(work);
        let mut tick = tokio::time::interval(PUBLISH_EVERY);
        loop {
            tokio::select! {
                result = &mut work => {
                    let result = result.map_err(|_| internal("checking the payload failed unexpectedly"))?;
                    let checked = result.map_err(|error| disk_error(&error))?;
                    return Ok((!checked.cancelled).then_some(checked));
                }
                _ = tick.tick() => {
                    let done = progress.done().saturating_mul(u64::from(total)) / progress.total().max(1);
                    self.publish_state(TorrentState::Checking { done: done as u32, total });
                    self.drop_impatient();
                }
                Some(message) = self.messages.recv() => self.let_wait(message),
                Some(input) = self.inputs.recv() => {
                    if matches!(input, Input::Stop) {
                        progress.cancel();
                    } else if let Input::Candidates(addresses, Source::User) = input {
                        self.params.peers.extend(addresses);
                    }
                }
            }
        }
    }

    fn let_wait(&mut self, message: Message) {
        // Nobody is dialled before the check is over.
        let Message::Arrived(arrival) = message else { return };
        if self.early.len() == EARLY_MAX {
            self.early.pop_front();
        }
        self.early.push_back(arrival);
    }

    fn drop_impatient(&mut self) {
        let now = self.shared.clock.now();
        self.early.retain(|arrival| now.since(arrival.accepted) < EARLY_PATIENCE);
    }

    /// Judges what the check found, and makes what no block would ever make.
    fn ready(&mut self, checked: &mut CheckResult) -> Result<(), TorrentError> {
        let geometry = *self.storage.layout().geometry();
        let kind = EventKind::Checked { have: checked.have.count(), pieces: geometry.pieces() };
        self.tell(kind);
        match self.params.intent {
            Intent::Seed => self.must_be_whole(checked),
            Intent::Download => {
                let wanted =
                    |number: usize| self.files.get(number).is_some_and(|file| file.wanted && !file.padding);
                self.storage.create_empty_files(wanted).map_err(|error| disk_error(&error))
            }
        }
    }

    fn must_be_whole(&self, checked: &CheckResult) -> Result<(), TorrentError> {
        let directory = Printable::new(&self.params.directory.to_string_lossy());
        let name = Printable::new(self.params.metainfo.name());
        let missing = checked.files.iter().position(|file| file.state == FileState::Missing);
        if let Some(missing) = missing.map(|number| self.storage.layout().path_of(number)) {
            return Err(TorrentError {
                kind: TorrentErrorKind::MissingPayload,
                message: Printable::new(&format!(
                    "the payload of {name} is not in {directory}: {} is missing; name the folder that holds it with -o",
                    missing.display()
                )),
            });
        }
        let geometry = self.storage.layout().geometry();
        if !checked.have.is_full() {
            return Err(TorrentError {
                kind: TorrentErrorKind::DamagedPayload,
                message: Printable::new(&format!(
                    "{} of {} pieces of {name} in {directory} fail their hash; fetch them again with potluck get, or make a new torrent",
                    geometry.pieces() - checked.have.count(),
                    geometry.pieces()
                )),
            });
        }
        Ok(())
    }

    /// A torrent that cannot start stays visible as failed until it is stopped.
    async fn fail_before_start(mut self, error: TorrentError) {
        self.tell(EventKind::Failed { message: error.message.clone() });
        self.publish_state(TorrentState::Failed(error));
        self.early.clear();
        loop {
            tokio::select! {
                // Whoever connects hears nothing, as from a torrent that we do not know.
                Some(_) = self.messages.recv() => {}
                Some(input) = self.inputs.recv() => {
                    if matches!(input, Input::Stop) {
                        return;
                    }
                }
            }
        }
    }

    fn conclude(&self, state: TorrentState) {
        self.publish_state(state);
    }

    fn publish_state(&self, state: TorrentState) {
        self.snapshots.send_modify(|latest| Arc::make_mut(latest).state = state);
    }

    fn tell(&self, kind: EventKind) {
        let at = self.shared.clock.now().since(Instant::ZERO).as_secs_f64();
        // Nobody may be listening.
        let _ = self.events.send(Event { at, info_hash: self.params.metainfo.info_hash(), kind });
    }
}

/// How to reach the task of a connection.
struct Link {
    commands: mpsc::UnboundedSender<Vec<SessionCommand>>,
    /// It is past its handshake, and counts as a connection of the engine.
    is_counted: bool,
}

/// A torrent's task while its machine runs.
struct Running {
    base: TorrentTask,
    machine: Torrent,
    context: PeerContext,
    reports: mpsc::Receiver<Input>,
    sessions: HashMap<PeerKey, Link>,
    published: Instant,
    finished: bool,
    /// When a stop that was asked for is over, whoever has not answered.
    stop_deadline: Option<Instant>,
}

impl Running {
    fn new(base: TorrentTask, have: Bitfield) -> Self {
        let shared = &base.shared;
        let metainfo = &base.params.metainfo;
        let trackers = announcing::tiers(&base.params);
        let now = shared.clock.now();
        let config = TorrentConfig {
            info_hash: metainfo.info_hash(),
            name: Printable::new(metainfo.name()),
            geometry: metainfo.geometry(),
            have,
            files: base.files.clone(),
            sequential: base.params.sequential,
            private: metainfo.private(),
            peer_id: shared.peer_id,
            ours: shared.our_addresses(),
            trackers,
            buffer_bytes_max: shared.config.buffer_bytes_max,
            connections_max: shared.config.connections_max,
            dials_max: DIALS_MAX,
            slots: base.params.slots,
        };
        let mut machine = Torrent::new(config, u64::from_le_bytes(entropy()), now);
        machine.handle(now, Input::Candidates(base.params.peers.clone(), Source::User));
        let limits = |engine: &Arc<Limiter>, own| Limits([Arc::clone(engine), Arc::new(Limiter::new(own))]);
        let (report_sender, reports) = mpsc::channel(REPORTS_MAX);
        let context = PeerContext {
            clock: shared.clock,
            storage: Arc::clone(&base.storage),
            cache: Arc::clone(&shared.disk.cache),
            pieces: Arc::new(PieceTable::new(metainfo.geometry(), Arc::clone(&shared.disk.buffers))),
            up: limits(&shared.up, base.params.up_limit),
            down: limits(&shared.down, base.params.down_limit),
            reports: report_sender,
        };
        Self {
            machine,
            context,
            reports,
            sessions: HashMap::new(),
            published: Instant::ZERO,
            finished: false,
            stop_deadline: None,
            base,
        }
    }

    async fn run(mut self) {
        for arrival in std::mem::take(&mut self.base.early) {
            self.receive(Message::Arrived(arrival));
        }
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while !self.finished {
            let now = self.now();
            self.machine.settle(now);
            self.carry_out();
            self.publish_when_due(now);
            self.wait(&mut batch).await;
            let now = self.now();
            for input in batch.drain(..) {
                self.take(now, input);
            }
            self.machine.handle_timeout(now);
            self.finished |= self.stop_deadline.is_some_and(|at| at <= now);
        }
        self.finish().await;
    }

    fn now(&self) -> Instant {
        self.base.shared.clock.now()
    }

    async fn wait(&mut self, batch: &mut Vec<Input>) {
        let wake = [self.machine.poll_timeout(), self.stop_deadline, Some(self.published + PUBLISH_EVERY)];
        let wake = wake.into_iter().flatten().min().unwrap_or(Instant::FAR_FUTURE);
        tokio::select! {
            Some(report) = self.reports.recv() => batch.push(report),
            Some(input) = self.base.inputs.recv() => batch.push(input),
            Some(message) = self.base.messages.recv() => self.receive(message),
            () = tokio::time::sleep_until(self.base.shared.clock.deadline(wake)) => {}
        }
        while batch.len() < BATCH_MAX {
            let Some(input) = self.base.inputs.try_recv().ok().or_else(|| self.reports.try_recv().ok())
            else {
                return;
            };
            batch.push(input);
        }
    }

    fn take(&mut self, now: Instant, input: Input) {
        if let Input::Peer { peer, events, .. } = &input {
            self.count_connection(*peer, events);
        }
        if matches!(input, Input::Stop) && self.stop_deadline.is_none() {
            self.stop_deadline = Some(now + STOP_DEADLINE);
        }
        self.machine.handle(now, input);
    }

    /// Keeps the engine's count of peers: those past their handshake. The others are bounded by their torrent.
    fn count_connection(&mut self, peer: PeerKey, events: &[SessionEvent]) {
        let told = |wanted: fn(&SessionEvent) -> bool| events.iter().any(wanted);
        if told(|event| matches!(event, SessionEvent::Handshaken { .. }))
            && let Some(link) = self.sessions.get_mut(&peer)
        {
            link.is_counted = true;
            self.base.shared.connection_opened();
        }
        if told(|event| matches!(event, SessionEvent::Closed(_)))
            && self.sessions.remove(&peer).is_some_and(|link| link.is_counted)
        {
            self.base.shared.connection_closed();
        }
    }

    fn receive(&mut self, message: Message) {
        let now = self.now();
        match message {
            Message::Arrived(arrival) => {
                let Arrival { stream, address, received, accepted, .. } = arrival;
                self.connected(now, stream, address, Direction::Incoming, accepted, received);
            }
            Message::Dialed(address, Ok(stream)) => {
                self.connected(now, stream, address, Direction::Outgoing, now, BytesMut::new());
            }
            Message::Dialed(address, Err(error)) => {
                tracing::debug!(%address, %error, "a dial failed");
                self.machine.handle(now, Input::DialFailed(address));
            }
        }
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
        let shared = &self.base.shared;
        let key = shared.next_peer();
        let listen_port = shared.listen.first().map(SocketAddr::port);
        let config = SessionConfig {
            info_hash: self.base.params.metainfo.info_hash(),
            peer_id: shared.peer_id,
            direction,
            remote,
            geometry: self.base.params.metainfo.geometry(),
            listen_port,
            client: concat!("Potluck ", env!("CARGO_PKG_VERSION")),
            upload_only: self.machine.is_complete(),
            private: self.base.params.metainfo.private(),
        };
        let session = Session::new(config, self.machine.have(), since);
        let (commands, receiver) = mpsc::unbounded_channel();
        self.sessions.insert(key, Link { commands, is_counted: false });
        self.machine.handle(now, Input::PeerConnected { peer: key, address: remote, direction });
        let task = PeerTask::new(key, self.context.clone(), stream, session, received, receiver);
        shared.spawn(task.run());
    }

    fn carry_out(&mut self) {
        while let Some(effect) = self.machine.poll_effect() {
            match effect {
                Effect::Peer(key, commands) => {
                    if let Some(link) = self.sessions.get(&key) {
                        // A session that ended reports so itself.
                        let _ = link.commands.send(commands);
                    }
                }
                Effect::Dial(address) => self.dial(address),
                Effect::OpenPiece(piece) => self.context.pieces.open(piece),
                Effect::ClosePiece(piece) => drop(self.context.pieces.take(piece)),
                Effect::StorePiece { piece, digests } => self.store(piece, digests),
                Effect::Announce(announce, statistics) => {
                    let key = self.machine.announce_key();
                    let inputs = self.base.input_sender.clone();
                    announcing::carry_out(
                        &self.base.shared,
                        &self.base.params,
                        announce,
                        statistics,
                        key,
                        inputs,
                    );
                }
                Effect::Event(kind) => self.base.tell(kind),
                Effect::Completed => {
                    self.trim();
                    self.published = Instant::ZERO;
                }
                Effect::Finished => self.finished = true,
            }
        }
    }

    fn dial(&self, address: SocketAddr) {
        let shared = Arc::clone(&self.base.shared);
        let messages = self.base.message_sender.clone();
        self.base.shared.spawn(async move {
            let result = shared.dialer.dial(address).await;
            // The torrent may have ended meanwhile.
            let _ = messages.send(Message::Dialed(address, result));
        });
    }

    fn store(&self, piece: potluck_common::PieceIndex, digests: bool) {
        let inputs = self.base.input_sender.clone();
        let Some(buffer) = self.context.pieces.take(piece) else {
            let message = Printable::new("a finished piece was not in memory");
            let _ = inputs.send(Input::WriteFailed(piece, DiskTrouble { message, lasting: false }));
            return;
        };
        let cache = Arc::clone(&self.context.cache);
        let id = self.base.storage.id();
        let storage = Arc::clone(&self.base.storage);
        self.base.shared.disk.pool.store_piece(storage, piece, buffer, digests, move |outcome| {
            let input = match outcome {
                StoreOutcome::Stored { digests, payload } => {
                    cache.insert_piece(id, piece, &payload);
                    Input::PieceStored(piece, digests)
                }
                StoreOutcome::HashMismatch { digests } => Input::PieceMismatch(piece, digests),
                StoreOutcome::Failed(error) => Input::WriteFailed(piece, trouble(&error)),
            };
            // The torrent may have ended meanwhile.
            let _ = inputs.send(input);
        });
    }

    /// A file that was longer before loses what the torrent does not have.
    fn trim(&self) {
        if self.base.params.intent == Intent::Download {
            let files = &self.base.files;
            let wanted = |number: usize| files.get(number).is_some_and(|file| file.wanted && !file.padding);
            if let Err(error) = self.base.storage.trim_long_files(wanted) {
                tracing::warn!(%error, "a file stays longer than it should be");
            }
        }
    }

    fn publish_when_due(&mut self, now: Instant) {
        if now < self.published + PUBLISH_EVERY && self.published != Instant::ZERO {
            return;
        }
        self.published = now;
        let snapshot = self.machine.snapshot(now);
        let fast = snapshot.peers.iter().filter(|peer| peer.down_rate > FAST_PEER_BYTES_PER_SECOND).count();
        self.context.pieces.set_hash_inline(fast != 1);
        self.base.snapshots.send_replace(Arc::new(snapshot));
    }

    /// The end: what was written is made durable, and the last snapshot says that it is over.
    async fn finish(mut self) {
        for _ in self.sessions.drain().filter(|(_, link)| link.is_counted) {
            self.base.shared.connection_closed();
        }
        let storage = Arc::clone(&self.base.storage);
        let synced = tokio::task::spawn_blocking(move || {
            let result = storage.sync();
            storage.close_files();
            result
        });
        if let Ok(Err(error)) = synced.await {
            tracing::warn!(%error, "the last writes may not be durable");
        }
        let mut snapshot = self.machine.snapshot(self.now());
        if !matches!(snapshot.state, TorrentState::Failed(_)) {
            snapshot.state = TorrentState::Stopped;
        }
        self.base.snapshots.send_replace(Arc::new(snapshot));
    }
}

fn internal(message: &str) -> TorrentError {
    TorrentError { kind: TorrentErrorKind::Internal, message: Printable::new(message) }
}

fn disk_error(error: &DiskError) -> TorrentError {
    TorrentError { kind: TorrentErrorKind::Disk, message: Printable::new(&error.to_string()) }
}

fn trouble(error: &DiskError) -> DiskTrouble {
    DiskTrouble { message: Printable::new(&error.to_string()), lasting: true }
}
