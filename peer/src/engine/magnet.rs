//! The task of a torrent of which only a magnet link is known: it drives the machine that fetches the metadata, and then
//! becomes the task of an ordinary torrent.

use std::{
    collections::HashMap,
    fmt, io,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use potluck_common::{
    InfoHash, Instant, Printable,
    announce::TrackerUrl,
    control::{
        Aspects, EventKind, FilePriority, Level, Limits, TorrentDetail, TorrentError, TorrentErrorKind,
        TorrentSnapshot, TorrentState, TorrentSummary,
    },
    magnet::{Magnet, PeerHint},
    metainfo::{Metainfo, Version},
};
use potluck_core::{
    PeerKey,
    metadata::Expected,
    session::{
        Blame, CloseReason, Direction, Extensions, MetadataEvent, MetadataSession, MetadataSessionConfig,
    },
    torrent::{
        Input, Source,
        magnet::{Magnet as Machine, MagnetConfig, MagnetEffect, MagnetInput},
    },
};
use tokio::{net::TcpStream, sync::mpsc};

use super::{
    AddError, Counted, Shared, TorrentParams,
    announcing::{self, Announced},
    channels::{self, Channels},
    entropy,
    guard::{DEFECT, guarded},
    torrent_task::{Continued, Message, PUBLISH_EVERY, TorrentTask, internal},
};
use crate::{
    dht::Tracking,
    lsd::{self, Tracked},
    net::{
        listen::{self, Arrival},
        metadata_task::{HandedOver, MetadataReport, MetadataTask, Order},
    },
};

/// Reports that wait; a connection that brings more waits itself.
const REPORTS_MAX: usize = 64;
/// Reports and inputs taken per wake.
const BATCH_MAX: usize = 64;
/// Dials under way at once.
const DIALS_MAX: usize = 16;
/// Times in its sentence pass, though nothing happens.
const PUBLISH_QUIET_EVERY: Duration = Duration::from_secs(5);
/// A torrent that stops gives its trackers and its peers this long.
const STOP_DEADLINE: Duration = Duration::from_secs(2);
/// So long connections have to be handed over; those that have not by then are opened anew.
const HAND_OVER_TIME: Duration = Duration::from_secs(1);
/// How long the host names of peers in a link may take to be looked up.
const LOOK_UP_TIME: Duration = Duration::from_secs(20);

/// What becomes of a torrent when its metadata is known; `None` is nothing: it stops.
pub type Resolve = Arc<dyn Fn(Metainfo) -> Result<Option<TorrentParams>, TorrentError> + Send + Sync>;

/// A magnet link to add, and how to treat it.
#[derive(Clone)]
pub struct MagnetParams {
    /// The link.
    pub magnet: Magnet,
    /// Whether to announce to the link's trackers.
    pub use_trackers: bool,
    /// Trackers that the user named, each a tier of its own behind the link's.
    pub extra_trackers: Vec<String>,
    /// Peers that the user named, beside the link's.
    pub peers: Vec<SocketAddr>,
    /// Events kept for a slow reader.
    pub events_kept: usize,
    /// As in [`TorrentParams::curiosity`].
    pub curiosity: Option<Arc<AtomicBool>>,
    /// The lists that its snapshots have until [`TorrentHandle::show`](super::TorrentHandle::show) says otherwise.
    pub aspects: Aspects,
    /// How it goes on.
    pub resolve: Resolve,
}

impl fmt::Debug for MagnetParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MagnetParams").field("magnet", &self.magnet).finish_non_exhaustive()
    }
}

impl MagnetParams {
    /// Fetches the metadata of `magnet`, then downloads the files that the link selects (BEP 53) into `directory`.
    pub fn new(magnet: Magnet, directory: PathBuf) -> Self {
        let link = magnet.clone();
        let resolve = move |metainfo: Metainfo| {
            let wanted_files = selected_files(&link, &metainfo)?;
            Ok(Some(TorrentParams { wanted_files, ..TorrentParams::new(metainfo, directory.clone()) }))
        };
        Self {
            magnet,
            use_trackers: true,
            extra_trackers: Vec::new(),
            peers: Vec::new(),
            events_kept: 1024,
            curiosity: None,
            aspects: Aspects::ALL,
            resolve: Arc::new(resolve),
        }
    }
}

/// The files of `metainfo` that a link selects (BEP 53), as indices; `None` is all.
pub fn selected_files(magnet: &Magnet, metainfo: &Metainfo) -> Result<Option<Vec<usize>>, TorrentError> {
    let Some(selection) = &magnet.files else { return Ok(None) };
    let files: Vec<usize> = (0..metainfo.files().len()).filter(|file| selection.contains(*file)).collect();
    if files.is_empty() {
        let count = metainfo.files().len();
        return Err(bad_torrent(&format!(
            "the link selects files {selection}, and the torrent has {count}; leave out its so=…"
        )));
    }
    Ok(Some(files))
}

/// Refuses a link to what cannot be transferred yet, whatever its metadata says.
pub fn require_v1(magnet: &Magnet) -> Result<(), AddError> {
    if magnet.info_hash_v1().is_some() { Ok(()) } else { Err(AddError::V2Link(name_of(magnet))) }
}

/// What is shown before anything is known.
pub(super) fn first_snapshot(magnet: &Magnet) -> TorrentSnapshot {
    let state = TorrentState::Metadata { have: 0, size: None };
    let summary = TorrentSummary::nothing_known(magnet.info_hash(), name_of(magnet), state);
    TorrentSnapshot { summary, detail: TorrentDetail::default() }
}

/// The name that a link gives, or its hash.
fn name_of(magnet: &Magnet) -> Printable {
    let name = magnet.name.as_deref().filter(|name| !name.trim().is_empty());
    Printable::new(name.unwrap_or(&magnet.info_hash().to_string()))
}

/// How to reach the task of a connection.
struct Link {
    orders: mpsc::UnboundedSender<Order>,
    /// Once it is past its handshake.
    counted: Option<Counted>,
}

/// The task.
pub(super) struct MagnetTask {
    shared: Arc<Shared>,
    params: MagnetParams,
    info_hash: InfoHash,
    channels: Channels,
    machine: Machine,
    sessions: HashMap<PeerKey, Link>,
    reports: mpsc::Receiver<MetadataReport>,
    reporter: mpsc::Sender<MetadataReport>,
    /// What trackers answer; the machine that comes after this one must not hear it.
    announces: mpsc::UnboundedReceiver<Input>,
    announce_sender: mpsc::UnboundedSender<Input>,
    /// It is announced in the local network.
    local: Option<Tracked>,
    /// It is looked up in the DHT.
    dht: Option<Tracking>,
    info: Option<Bytes>,
    handed_over: Vec<(PeerKey, HandedOver)>,
    /// What was changed for the torrent that it is to become.
    limits: Option<Limits>,
    files: Vec<(usize, FilePriority)>,
    buffer_bytes_max: Option<u64>,
    published: Instant,
    is_stirred: bool,
    stop_deadline: Option<Instant>,
    is_finished: bool,
}

impl MagnetTask {
    pub(super) fn new(shared: &Arc<Shared>, params: MagnetParams, channels: Channels) -> Self {
        let magnet = &params.magnet;
        let now = shared.clock.now();
        let expected = Expected { v1: magnet.info_hash_v1(), v2: magnet.info_hash_v2() };
        let config = MagnetConfig {
            info_hash: magnet.info_hash(),
            expected,
            name: name_of(magnet),
            peer_id: shared.peer_id,
            ours: shared.our_addresses(),
            trackers: trackers(&params),
            connections_max: shared.config.connections_max,
            dials_max: DIALS_MAX,
        };
        let mut machine = Machine::new(config, u64::from_le_bytes(entropy()), now);
        let hinted = magnet.peers.iter().filter_map(PeerHint::addr);
        let named = params.peers.iter().copied().chain(hinted).collect();
        machine.handle(now, MagnetInput::Candidates(named, Source::User));
        // Whether it is private only its metadata says, as with every client.
        let local = shared.local_discovery.as_ref();
        let local = local
            .and_then(|discovery| discovery.track(magnet.info_hash(), false, channels.input_sender.clone()));
        let dht = shared.dht.track_hash(magnet.info_hash(), &channels.input_sender);
        if let Some(silent) = shared.dht.silence() {
            machine.handle(now, MagnetInput::Source(silent));
        }
        let (reporter, reports) = mpsc::channel(REPORTS_MAX);
        let (announce_sender, announces) = mpsc::unbounded_channel();
        Self {
            shared: Arc::clone(shared),
            info_hash: magnet.info_hash(),
            params,
            channels,
            machine,
            sessions: HashMap::new(),
            reports,
            reporter,
            announces,
            announce_sender,
            local,
            dht,
            info: None,
            handed_over: Vec::new(),
            limits: None,
            files: Vec::new(),
            buffer_bytes_max: None,
            published: Instant::ZERO,
            is_stirred: true,
            stop_deadline: None,
            is_finished: false,
        }
    }

    /// Fetches the metadata and makes a task of an ordinary torrent of it. `None` if it was stopped, or failed and was
    /// stopped then.
    pub(super) async fn run(mut self) -> Option<TorrentTask> {
        self.look_up_hosts();
        while !self.is_finished && self.info.is_none() {
            let now = self.now();
            self.machine.settle(now);
            self.carry_out();
            self.publish_when_due(now);
            if self.is_finished || self.info.is_some() {
                break;
            }
            self.wait().await;
            let now = self.now();
            self.machine.handle_timeout(now);
            self.is_finished |= self.stop_deadline.is_some_and(|at| at <= now);
        }
        let Some(info) = self.info.take() else {
            self.publish_state(TorrentState::Stopped);
            return None;
        };
        // The torrent that follows is announced by itself.
        (self.local, self.dht) = (None, None);
        self.take_over().await;
        match self.resolve(info).await {
            Ok(Some(params)) => match self.become_torrent(params).await {
                Ok(task) => Some(*task),
                Err(failed) => {
                    let (this, error) = *failed;
                    this.fail(error).await;
                    None
                }
            },
            Ok(None) => {
                self.publish_state(TorrentState::Stopped);
                None
            }
            Err(error) => {
                self.fail(error).await;
                None
            }
        }
    }

    fn now(&self) -> Instant {
        self.shared.clock.now()
    }

    /// Peers of the link that have names instead of addresses.
    fn look_up_hosts(&self) {
        let named = self.params.magnet.peers.iter().filter(|hint| hint.addr().is_none());
        for hint in named {
            let (host, port) = (hint.host.clone(), hint.port);
            let inputs = self.channels.input_sender.clone();
            self.shared.spawn(async move {
                let found = tokio::time::timeout(LOOK_UP_TIME, tokio::net::lookup_host((host, port))).await;
                if let Ok(Ok(found)) = found {
                    let _ = inputs.send(Input::Candidates(found.collect(), Source::User));
                }
            });
        }
    }

    async fn wait(&mut self) {
        let publish_at = self.publish_at();
        let wake = [self.machine.poll_timeout(), self.stop_deadline, Some(publish_at)];
        let wake = wake.into_iter().flatten().min().unwrap_or(Instant::FAR_FUTURE);
        tokio::select! {
            Some(report) = self.reports.recv() => self.hear(report),
            Some(input) = self.announces.recv() => self.take(input),
            Some(input) = self.channels.inputs.recv() => self.take(input),
            Some(message) = self.channels.messages.recv() => self.receive(message),
            Ok(()) = self.channels.shown.changed() => self.published = Instant::ZERO,
            () = tokio::time::sleep_until(self.shared.clock.deadline(wake)) => {}
        }
        for _ in 0..BATCH_MAX {
            let Ok(report) = self.reports.try_recv() else { break };
            self.hear(report);
        }
    }

    fn hear(&mut self, report: MetadataReport) {
        self.is_stirred = true;
        let now = self.now();
        match report {
            MetadataReport::Events(key, events) => {
                let told = |wanted: fn(&MetadataEvent) -> bool| events.iter().any(wanted);
                if told(|event| matches!(event, MetadataEvent::Handshaken { .. }))
                    && let Some(link) = self.sessions.get_mut(&key)
                {
                    link.counted = Some(Counted::new(&self.shared));
                }
                if told(|event| matches!(event, MetadataEvent::Closed(_))) {
                    self.sessions.remove(&key);
                }
                self.machine.handle(now, MagnetInput::Peer(key, events));
            }
            MetadataReport::HandedOver(key, handed) => {
                self.sessions.remove(&key);
                self.handed_over.push((key, handed));
            }
        }
    }

    fn take(&mut self, input: Input) {
        self.is_stirred = true;
        let now = self.now();
        let input = match input {
            Input::Candidates(addresses, source) => MagnetInput::Candidates(addresses, source),
            Input::Announced(id, outcome) => MagnetInput::Announced(id, outcome),
            Input::Scraped(id, outcome) => MagnetInput::Scraped(id, outcome),
            Input::Source(report) => MagnetInput::Source(report),
            Input::EvictOne => MagnetInput::EvictOne,
            Input::Reannounce => {
                self.hurry_sources();
                MagnetInput::Reannounce
            }
            Input::Stop => {
                self.stop_deadline.get_or_insert(now + STOP_DEADLINE);
                MagnetInput::Stop
            }
            Input::BufferBudget(bytes) => {
                self.buffer_bytes_max = Some(bytes);
                return;
            }
            // The rest is about pieces, of which there are none yet.
            _ => return,
        };
        self.machine.handle(now, input);
    }

    fn receive(&mut self, message: Message) {
        self.is_stirred = true;
        let now = self.now();
        match message {
            Message::Arrived(Arrival { stream, address, received, accepted, .. }) => {
                self.connected(now, stream, address, Direction::Incoming, accepted, received);
            }
            Message::Dialed(address, Ok(stream)) => {
                self.shared.peer_reached(address.ip());
                self.connected(now, stream, address, Direction::Outgoing, now, BytesMut::new());
            }
            Message::Dialed(address, Err(error)) if listen::is_exhaustion(&error) => {
                self.machine.handle(now, MagnetInput::DialPostponed(address));
            }
            Message::Dialed(address, Err(error)) => {
                tracing::debug!(%address, %error, "a dial failed");
                self.machine.handle(now, MagnetInput::DialFailed(address));
            }
            Message::SetLimits(limits) => self.limits = Some(limits),
            Message::SetFiles(files) => self.files.extend(files),
            Message::EngineLimits | Message::FilesNoted => {}
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
        let shared = &self.shared;
        let key = shared.next_peer();
        let config = MetadataSessionConfig {
            info_hash: self.info_hash,
            peer_id: shared.peer_id,
            direction,
            remote,
            listen_port: Some(shared.port_for(remote.ip())),
            client: concat!("Potluck ", env!("CARGO_PKG_VERSION")),
            extensions: Extensions {
                pex: shared.config.pex,
                dht_port: shared.dht_port_for(remote.ip()),
                ..Extensions::default()
            },
        };
        let (orders, receiver) = mpsc::unbounded_channel();
        self.sessions.insert(key, Link { orders, counted: None });
        self.machine.handle(now, MagnetInput::PeerConnected { peer: key, address: remote, direction });
        let task = MetadataTask {
            key,
            clock: shared.clock,
            stream,
            remote,
            direction,
            session: MetadataSession::new(config, since),
            input: received,
            orders: receiver,
            reports: self.reporter.clone(),
        };
        let reports = self.reporter.clone();
        shared.spawn(async move {
            if guarded("connection", Box::pin(task.run())).await.is_none() {
                let closed = MetadataEvent::Closed(CloseReason::new(Blame::Local, DEFECT));
                let _ = reports.send(MetadataReport::Events(key, vec![closed])).await;
            }
        });
    }

    fn carry_out(&mut self) {
        while let Some(effect) = self.machine.poll_effect() {
            self.is_stirred = true;
            match effect {
                MagnetEffect::Peer(key, commands) => {
                    if let Some(link) = self.sessions.get(&key) {
                        // A session that ended reports so itself.
                        let _ = link.orders.send(Order::Commands(commands));
                    }
                }
                MagnetEffect::Dial(address) => self.dial(address),
                MagnetEffect::Announce(announce, statistics) => announcing::carry_out(
                    &self.shared,
                    Announced { info_hash: self.info_hash, named: &self.params.extra_trackers },
                    announce,
                    statistics,
                    self.machine.announce_key(),
                    self.announce_sender.clone(),
                ),
                MagnetEffect::WantPeers => self.hurry_sources(),
                MagnetEffect::DhtNode(node) => self.shared.dht.add_node(node),
                MagnetEffect::Event(kind) => self.tell(kind),
                MagnetEffect::Complete(info) => self.info = Some(info),
                MagnetEffect::Finished => self.is_finished = true,
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
        if self.shared.is_full() {
            let now = self.now();
            return self.machine.handle(now, MagnetInput::DialPostponed(address));
        }
        let shared = Arc::clone(&self.shared);
        let messages = self.channels.message_sender.clone();
        self.shared.spawn(async move {
            let result = guarded("dial", shared.dialer.dial(address)).await;
            let result = result.unwrap_or_else(|| Err(io::Error::other(DEFECT)));
            // The torrent may have ended meanwhile.
            let _ = messages.send(Message::Dialed(address, result));
        });
    }

    /// Takes the connections over from their sessions, as far as that goes.
    async fn take_over(&mut self) {
        for link in self.sessions.values() {
            let _ = link.orders.send(Order::HandOver);
        }
        let all = async {
            while !self.sessions.is_empty()
                && let Some(report) = self.reports.recv().await
            {
                self.hear(report);
            }
        };
        if tokio::time::timeout(HAND_OVER_TIME, all).await.is_err() {
            tracing::debug!("a connection was not handed over in time");
        }
        self.sessions.clear();
    }

    /// Reads the metadata like that of a torrent file, and asks what is to be done with it.
    async fn resolve(&mut self, info: Bytes) -> Result<Option<TorrentParams>, TorrentError> {
        let magnet = self.params.magnet.clone();
        let parsed = tokio::task::spawn_blocking(move || Metainfo::parse(&magnet.torrent_file(&info))).await;
        let parsed = parsed.map_err(|_| internal("reading the metadata failed unexpectedly"))?;
        let name = name_of(&self.params.magnet);
        let metainfo = parsed.map_err(|error| {
            bad_torrent(&format!("the metadata of {name} is no usable torrent: {error}; get another link"))
        })?;
        if metainfo.version() == Version::V2 {
            let error = AddError::V2Only(Printable::new(metainfo.name()));
            return Err(bad_torrent(&error.to_string()));
        }
        if metainfo.info_hash() != self.info_hash {
            let link = Magnet::from(&metainfo);
            return Err(bad_torrent(&format!(
                "{} has a v1 info-hash too, which its peers go by; use this link: {link}",
                Printable::new(metainfo.name())
            )));
        }
        self.channels.metainfo.send_replace(Some(metainfo.clone()));
        // It may write files, to whatever disk.
        let resolve = Arc::clone(&self.params.resolve);
        let resolved = tokio::task::spawn_blocking(move || resolve(metainfo)).await;
        resolved.unwrap_or_else(|_| Err(internal("taking the metadata in failed unexpectedly")))
    }

    /// Whom the torrent goes on with.
    fn continued(&mut self, is_private: bool) -> Continued {
        let mut known: Vec<(SocketAddr, Source)> = self.machine.addresses(is_private).collect();
        known.sort_by_key(|(_, source)| *source);
        let open = std::mem::take(&mut self.handed_over).into_iter();
        let stays = open.filter(|(peer, _)| self.machine.goes_on(*peer, is_private));
        Continued { known, connections: stays.map(|(_, handed)| handed).collect() }
    }

    /// The same torrent as a task that transfers it.
    async fn become_torrent(
        mut self,
        params: TorrentParams,
    ) -> Result<Box<TorrentTask>, Box<(Self, TorrentError)>> {
        let continued = self.continued(params.metainfo.private());
        let shared = Arc::clone(&self.shared);
        let preparing = tokio::task::spawn_blocking(move || {
            let prepared = TorrentTask::prepare_parts(&shared, &params);
            (params, prepared)
        });
        let (params, parts) = match preparing.await {
            Ok((params, Ok(parts))) => (params, parts),
            Ok((_, Err(error))) => {
                let kind = match &error {
                    AddError::Layout(_) | AddError::V2Only(_) | AddError::V2Link(_) => {
                        TorrentErrorKind::BadTorrent
                    }
                    AddError::InUse { .. } => TorrentErrorKind::Conflict,
                    AddError::Duplicate(_) | AddError::Defect(_) => TorrentErrorKind::Internal,
                };
                let error = TorrentError { kind, message: Printable::new(&error.to_string()) };
                return Err(Box::new((self, error)));
            }
            Err(_) => return Err(Box::new((self, internal("taking the torrent in failed unexpectedly")))),
        };
        self.shared.has_storage(self.info_hash, &parts.storage);
        let mut task = TorrentTask::new(&self.shared, params, parts, self.channels);
        task.continued = continued;
        if let Some(bytes) = self.buffer_bytes_max {
            task.buffer_bytes_max = bytes;
        }
        if let Some(limits) = self.limits {
            task.change(Message::SetLimits(limits));
        }
        if !self.files.is_empty() {
            task.change(Message::SetFiles(self.files));
        }
        task.show_first_snapshot();
        Ok(Box::new(task))
    }

    /// A torrent that cannot go on stays visible as failed until it is stopped.
    async fn fail(mut self, error: TorrentError) {
        self.tell(EventKind::Failed { message: error.message.clone() });
        self.publish_state(TorrentState::Failed(error));
        self.handed_over.clear();
        loop {
            tokio::select! {
                // Whoever connects hears nothing, as from a torrent that we do not know.
                Some(_) = self.channels.messages.recv() => {}
                Some(input) = self.channels.inputs.recv() => {
                    if matches!(input, Input::Stop) {
                        return;
                    }
                }
            }
        }
    }

    fn publish_at(&self) -> Instant {
        let every = if self.is_stirred { PUBLISH_EVERY } else { PUBLISH_QUIET_EVERY };
        self.published + every
    }

    fn publish_when_due(&mut self, now: Instant) {
        if now < self.publish_at() && self.published != Instant::ZERO && self.info.is_none() {
            return;
        }
        self.published = now;
        self.is_stirred = false;
        let report = self.local.as_ref().map_or_else(lsd::off, Tracked::report);
        self.machine.handle(now, MagnetInput::Source(report));
        let aspects = self.channels.shown.borrow_and_update().aspects;
        let snapshot =
            TorrentSnapshot { summary: self.machine.summary(now), detail: self.machine.detail(now, aspects) };
        self.channels.snapshots.send_replace(Arc::new(snapshot));
    }

    fn publish_state(&self, state: TorrentState) {
        self.channels.snapshots.send_modify(|latest| {
            let summary = &mut Arc::make_mut(latest).summary;
            summary.state = state;
            summary.stall = None;
        });
    }

    fn tell(&self, kind: EventKind) {
        let curiosity = self.params.curiosity.as_ref();
        let is_curious = curiosity.is_none_or(|curiosity| curiosity.load(Ordering::Relaxed));
        if kind.level() > Level::Debug || is_curious {
            // Nobody may be listening.
            let _ = self.channels.events.send(channels::event(self.shared.clock, self.info_hash, kind));
        }
    }
}

/// The tiers of trackers that are asked: the link's own, then those that the user named.
fn trackers(params: &MagnetParams) -> Vec<Vec<TrackerUrl>> {
    let own: &[String] = if params.use_trackers { &params.magnet.trackers } else { &[] };
    let tiers = own.iter().chain(&params.extra_trackers).map(|tracker| vec![tracker.clone()]);
    announcing::usable(tiers)
}

fn bad_torrent(message: &str) -> TorrentError {
    TorrentError { kind: TorrentErrorKind::BadTorrent, message: Printable::new(message) }
}
