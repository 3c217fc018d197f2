//! The task while the metadata is being fetched: it drives the machine that does so.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use potluck_common::{
    InfoHash, Instant,
    control::{EventKind, FilePriority, Level, Limits, TorrentSnapshot, TorrentState},
    magnet::PeerHint,
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

use super::{MagnetParams, name_of, trackers};
use crate::{
    engine::{
        Counted, Shared,
        announcing::{self, Announced},
        channels::{self, Channels},
        entropy,
        guard::{DEFECT, guarded},
        searches::Searches,
        torrent_task::{Message, PUBLISH_EVERY, TorrentTask},
    },
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
/// How long the host names of peers in a link may take to be looked up.
const LOOK_UP_TIME: Duration = Duration::from_secs(20);

/// How to reach the task of a connection.
pub(super) struct Link {
    pub(super) orders: mpsc::UnboundedSender<Order>,
    /// Once it is past its handshake.
    counted: Option<Counted>,
}

/// The task.
pub(in crate::engine) struct MagnetTask {
    pub(super) shared: Arc<Shared>,
    pub(super) params: MagnetParams,
    pub(super) info_hash: InfoHash,
    pub(super) channels: Channels,
    pub(super) machine: Machine,
    pub(super) sessions: HashMap<PeerKey, Link>,
    pub(super) reports: mpsc::Receiver<MetadataReport>,
    reporter: mpsc::Sender<MetadataReport>,
    /// What trackers answer; the machine that comes after this one must not hear it.
    announces: mpsc::UnboundedReceiver<Input>,
    announce_sender: mpsc::UnboundedSender<Input>,
    /// Where its peers are looked for besides its trackers.
    pub(super) searches: Searches,
    info: Option<Bytes>,
    pub(super) handed_over: Vec<(PeerKey, HandedOver)>,
    /// What was changed for the torrent that it is to become.
    pub(super) limits: Option<Limits>,
    pub(super) files: Vec<(usize, FilePriority)>,
    pub(super) buffer_bytes_max: Option<u64>,
    published: Instant,
    is_stirred: bool,
    pub(super) stop_deadline: Option<Instant>,
    is_finished: bool,
}

impl MagnetTask {
    pub(in crate::engine) fn new(shared: &Arc<Shared>, params: MagnetParams, channels: Channels) -> Self {
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
        machine.handle(now, MagnetInput::Candidates(params.peers.clone(), Source::User));
        let hinted = magnet.peers.iter().filter_map(PeerHint::addr).collect();
        machine.handle(now, MagnetInput::Candidates(hinted, Source::Link));
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
            searches: Searches { local, dht },
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
    pub(in crate::engine) async fn run(mut self) -> Option<TorrentTask> {
        self.look_up_hosts();
        self.drive().await;
        let Some(info) = self.info.take() else {
            self.publish_state(TorrentState::Stopped);
            return None;
        };
        self.go_on(info).await
    }

    /// Drives the machine until it has the metadata, or is done.
    pub(super) async fn drive(&mut self) {
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
    }

    pub(super) fn now(&self) -> Instant {
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
                    let _ = inputs.send(Input::Candidates(found.collect(), Source::Link));
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

    pub(super) fn hear(&mut self, report: MetadataReport) {
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

    pub(super) fn take(&mut self, input: Input) {
        self.is_stirred = true;
        let now = self.now();
        let input = match input {
            Input::Candidates(addresses, source) => MagnetInput::Candidates(addresses, source),
            Input::Announced(id, outcome) => MagnetInput::Announced(id, outcome),
            Input::Scraped(id, outcome) => MagnetInput::Scraped(id, outcome),
            Input::Source(report) => MagnetInput::Source(report),
            Input::EvictOne => MagnetInput::EvictOne,
            Input::Reannounce => {
                self.searches.hurry();
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
            Message::Arrived(arrival) => {
                let Arrival { stream, address, received, accepted, .. } = *arrival;
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
                MagnetEffect::WantPeers => self.searches.hurry(),
                MagnetEffect::DhtNode(node) => self.shared.dht.add_node(node),
                MagnetEffect::Event(kind) => self.tell(kind),
                MagnetEffect::Complete(info) => self.info = Some(info),
                MagnetEffect::Finished => self.is_finished = true,
            }
        }
    }

    fn dial(&mut self, address: SocketAddr) {
        if self.shared.is_full() {
            let now = self.now();
            return self.machine.handle(now, MagnetInput::DialPostponed(address));
        }
        self.shared.dial(address, self.channels.message_sender.clone());
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
        self.machine.handle(now, MagnetInput::Source(self.searches.local_report()));
        let aspects = self.channels.shown.borrow_and_update().aspects;
        let snapshot =
            TorrentSnapshot { summary: self.machine.summary(now), detail: self.machine.detail(now, aspects) };
        self.channels.snapshots.send_replace(Arc::new(snapshot));
    }

    pub(super) fn publish_state(&self, state: TorrentState) {
        self.channels.snapshots.send_modify(|latest| {
            let summary = &mut Arc::make_mut(latest).summary;
            summary.state = state;
            summary.stall = None;
        });
    }

    pub(super) fn tell(&self, kind: EventKind) {
        let curiosity = self.params.curiosity.as_ref();
        let is_curious = curiosity.is_none_or(|curiosity| curiosity.load(Ordering::Relaxed));
        if kind.level() > Level::Debug || is_curious {
            // Nobody may be listening.
            let _ = self.channels.events.send(channels::event(self.shared.clock, self.info_hash, kind));
        }
    }
}
