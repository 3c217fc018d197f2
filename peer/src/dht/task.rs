//! The task of a node: feeds its machine and carries out what it wants.

use std::{
    collections::BTreeMap,
    mem,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use potluck_common::{InfoHash, Instant, control::DhtSummary};
use potluck_core::{
    dht::{Dht, DhtConfig, DhtEffect, DhtInput, DhtSaved, DhtStatus, LookupId, Tracked},
    reachability::Strangers,
    torrent::{Input, Source, SourceReport},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

use super::{
    DhtSettings, LookupEvent, NodeCounts, Teller,
    names::Resolved,
    store::{self, Circle, Store},
    words::{counts_of, report_of, summary_of},
};
use crate::{
    engine::{clock::Clock, entropy},
    net::udp::{Incoming, Port, Sent},
};

/// Inputs taken per wake: bounded, so that timers and effects are not starved.
const BATCH_MAX: usize = 64;
/// How often is looked what there is to tell.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Torrents are told again in their turn, two hundred a second at most.
const TELL_EACH: Duration = Duration::from_millis(5);
/// How often nodes are saved. A crash costs what changed since.
const SAVE_EVERY: Duration = Duration::from_secs(300);
/// The first nodes are saved as soon as this: they are what the next run begins with.
const SAVE_FIRST: Duration = Duration::from_secs(30);

/// How a datagram says that it asks something (BEP 5).
const QUERY: &[u8] = b"1:y1:q";

/// What is asked of a node.
#[derive(Debug)]
pub(super) enum Request {
    Track { info_hash: InfoHash, tracked: Tracked, inputs: mpsc::UnboundedSender<Input> },
    Update(InfoHash, Tracked),
    Untrack(InfoHash),
    Hurry(InfoHash),
    Lookup { info_hash: InfoHash, events: mpsc::UnboundedSender<LookupEvent> },
    Node(SocketAddr),
    ExternalAddress(IpAddr, Teller),
    PublicPort(Option<u16>),
    Reachable(bool),
}

/// Where it is told how the node is.
pub(super) struct Outlook {
    pub(super) counts: watch::Receiver<NodeCounts>,
    pub(super) status: watch::Receiver<DhtStatus>,
    pub(super) summary: watch::Receiver<DhtSummary>,
    pub(super) stranger: watch::Receiver<Option<IpAddr>>,
}

/// Where a task hears of things.
type Ears = (
    mpsc::Receiver<Incoming>,
    mpsc::UnboundedReceiver<Request>,
    mpsc::Receiver<Resolved>,
    mpsc::UnboundedReceiver<oneshot::Sender<()>>,
);

/// A torrent that is looked for again and again.
struct Torrent {
    /// As it is where nobody stands before us.
    tracked: Tracked,
    inputs: mpsc::UnboundedSender<Input>,
    told: Option<SourceReport>,
}

pub(super) struct Task {
    machine: Dht,
    clock: Clock,
    port: Arc<Port>,
    ears: Ears,
    torrents: BTreeMap<InfoHash, Torrent>,
    lookups: BTreeMap<LookupId, mpsc::UnboundedSender<LookupEvent>>,
    next_lookup: u64,
    strangers: Strangers,
    /// The port that others reach us at, if it is another than ours.
    public_port: Option<u16>,
    /// Why no bootstrap node is known.
    unresolved: Option<String>,
    store: Option<Arc<Store>>,
    saving: Option<JoinHandle<()>>,
    save_at: Instant,
    tell_at: Instant,
    /// When all torrents were told last.
    told_at: Instant,
    counts: watch::Sender<NodeCounts>,
    status: watch::Sender<DhtStatus>,
    summary: watch::Sender<DhtSummary>,
    stranger: watch::Sender<Option<IpAddr>>,
}

impl Task {
    /// A node that does nothing before [`Task::run`]. What it remembers is read here.
    pub(super) fn new(
        clock: Clock,
        port: Arc<Port>,
        settings: &DhtSettings,
        state_dir: Option<&Path>,
        ears: Ears,
    ) -> (Self, Outlook) {
        let circle = Circle::of(&settings.bootstrap);
        let store = state_dir.and_then(|state_dir| open_store(state_dir, circle.clone()));
        let has = |ip: &str| ip.parse().is_ok_and(|ip| port.has_family_of(ip));
        let config = DhtConfig {
            ipv4: has("127.0.0.1"),
            ipv6: has("::1"),
            read_only: settings.read_only,
            answer_bytes_per_second: settings.answer_bytes_per_second,
            saved: remembered(store.as_ref(), state_dir, &circle).map(|mut saved| {
                saved.nodes.retain(|node| port.reaches(node.addr.ip()));
                saved
            }),
            ..DhtConfig::default()
        };
        let now = clock.now();
        let machine = Dht::new(config, u64::from_le_bytes(entropy()), now);
        let status = machine.status(now);
        let (counts, counts_seen) = watch::channel(counts_of(&status));
        let (summary, summary_seen) = watch::channel(summary_of(&status, None));
        let (status, status_seen) = watch::channel(status);
        let (stranger, stranger_seen) = watch::channel(None);
        let outlook = Outlook {
            counts: counts_seen,
            status: status_seen,
            summary: summary_seen,
            stranger: stranger_seen,
        };
        let task = Self {
            machine,
            clock,
            port,
            ears,
            torrents: BTreeMap::new(),
            lookups: BTreeMap::new(),
            next_lookup: 0,
            strangers: Strangers::new(now),
            public_port: None,
            unresolved: None,
            store: store.map(Arc::new),
            saving: None,
            save_at: now + SAVE_FIRST,
            tell_at: now,
            told_at: now,
            counts,
            status,
            summary,
            stranger,
        };
        (task, outlook)
    }

    /// Runs until it is closed, or nobody can ask anything of it any more.
    pub(super) async fn run(mut self) {
        loop {
            self.carry_out();
            let now = self.clock.now();
            self.tell_when_due(now);
            self.save_when_due(now);
            let wake = self.machine.poll_timeout().unwrap_or(Instant::FAR_FUTURE);
            let wake = wake.min(self.tell_at).min(self.save_at);
            let (incoming, requests, resolved, ended) = &mut self.ears;
            let (mut batch, mut asked) = (Vec::new(), Vec::new());
            tokio::select! {
                // What is still asked does not matter to who ends.
                done = ended.recv() => {
                    self.close().await;
                    let _ = done.map(|done| done.send(()));
                    return;
                }
                _ = incoming.recv_many(&mut batch, BATCH_MAX) => self.take(batch),
                count = requests.recv_many(&mut asked, BATCH_MAX) => match count {
                    0 => return self.close().await,
                    _ => asked.into_iter().for_each(|request| self.asked(request)),
                },
                Some(resolved) = resolved.recv() => self.resolved(resolved),
                () = tokio::time::sleep_until(self.clock.deadline(wake)) => {}
            }
            let now = self.clock.now();
            if self.machine.poll_timeout().is_some_and(|at| at <= now) {
                self.machine.handle_timeout(now);
            }
        }
    }

    fn take(&mut self, batch: Vec<Incoming>) {
        let now = self.clock.now();
        for incoming in batch {
            let input = match incoming {
                Incoming::Datagram { from, payload } => {
                    self.note_stranger(now, from.ip(), &payload);
                    DhtInput::Datagram { from, payload }
                }
                Incoming::Unreachable(address) => DhtInput::Unreachable(address),
            };
            self.machine.handle(now, input);
        }
    }

    /// Somebody who asks and to whom we have sent nothing shows that others can reach us.
    fn note_stranger(&mut self, now: Instant, from: IpAddr, payload: &[u8]) {
        let is_query = || payload.windows(QUERY.len()).any(|window| window == QUERY);
        let ip = from.to_canonical();
        if self.strangers.is_stranger(now, ip) && is_query() {
            self.stranger.send_replace(Some(ip));
        }
    }

    fn resolved(&mut self, Resolved { addresses, failure }: Resolved) {
        self.unresolved = failure;
        self.machine.handle(self.clock.now(), DhtInput::Bootstrap(addresses));
    }

    fn asked(&mut self, request: Request) {
        let now = self.clock.now();
        if let Request::Node(address) = request {
            // Peers may tell of any number: the machine bounds who waits and who is asked, and shares that among hosts.
            if self.port.reaches(address.ip()) {
                self.machine.handle(now, DhtInput::Node(address));
            }
            return;
        }
        let mut concerned = None;
        let input = match request {
            Request::Track { info_hash, tracked, inputs } => {
                self.torrents.insert(info_hash, Torrent { tracked, inputs, told: None });
                concerned = Some(info_hash);
                DhtInput::Track(info_hash, seen_from_outside(tracked, self.public_port))
            }
            Request::Update(info_hash, tracked) => {
                let Some(torrent) = self.torrents.get_mut(&info_hash) else { return };
                torrent.tracked = tracked;
                concerned = Some(info_hash);
                DhtInput::Track(info_hash, seen_from_outside(tracked, self.public_port))
            }
            Request::PublicPort(port) => return self.set_public_port(now, port),
            Request::ExternalAddress(ip, teller) => {
                if teller == Teller::Tracker && self.knows_external(now, ip) {
                    return;
                }
                DhtInput::ExternalAddress(ip)
            }
            Request::Reachable(is_reachable) => DhtInput::Network(is_reachable),
            Request::Untrack(info_hash) => {
                self.torrents.remove(&info_hash);
                DhtInput::Untrack(info_hash)
            }
            Request::Hurry(info_hash) => {
                concerned = Some(info_hash);
                DhtInput::Hurry(info_hash)
            }
            Request::Lookup { info_hash, events } => {
                let id = LookupId(self.next_lookup);
                self.next_lookup += 1;
                self.lookups.retain(|_, events| !events.is_closed());
                self.lookups.insert(id, events);
                DhtInput::Lookup(id, info_hash)
            }
            Request::Node(_) => return,
        };
        self.machine.handle(now, input);
        // What it means for the torrent is told at once, and for nobody else: there may be thousands.
        self.tell_torrents(now, concerned);
    }

    /// What is announced changes at once.
    fn set_public_port(&mut self, now: Instant, port: Option<u16>) {
        if mem::replace(&mut self.public_port, port) == port {
            return;
        }
        for (info_hash, torrent) in &self.torrents {
            self.machine.handle(now, DhtInput::Track(*info_hash, seen_from_outside(torrent.tracked, port)));
        }
    }

    /// Whether our address of the family of `ip` is known.
    fn knows_external(&self, now: Instant, ip: IpAddr) -> bool {
        let status = self.machine.status(now);
        let family = if ip.to_canonical().is_ipv4() { status.ipv4 } else { status.ipv6 };
        family.is_none_or(|family| family.external.is_some())
    }

    fn carry_out(&mut self) {
        while let Some(effect) = self.machine.poll_effect() {
            match effect {
                DhtEffect::Send { to, payload } => {
                    self.strangers.sent_to(self.clock.now(), to.ip().to_canonical());
                    if self.port.send(to, payload) == Sent::Unreachable {
                        self.machine.handle(self.clock.now(), DhtInput::Unsent(to));
                    }
                }
                DhtEffect::Peers { peers, lookup: Some(id), .. } => {
                    self.tell_lookup(id, LookupEvent::Peers(peers));
                }
                DhtEffect::Peers { info_hash, peers, lookup: None } => {
                    if let Some(torrent) = self.torrents.get(&info_hash) {
                        // The torrent may have ended meanwhile.
                        let _ = torrent.inputs.send(Input::Candidates(peers, Source::Dht));
                    }
                }
                DhtEffect::Searched { lookup: Some(id), report, .. } => {
                    self.tell_lookup(id, LookupEvent::Ended(report));
                    self.lookups.remove(&id);
                }
                DhtEffect::Searched { info_hash, lookup: None, .. } => {
                    self.tell_torrents(self.clock.now(), Some(info_hash));
                }
            }
        }
    }

    fn tell_lookup(&self, id: LookupId, event: LookupEvent) {
        if let Some(events) = self.lookups.get(&id) {
            // Who asked may have gone.
            let _ = events.send(event);
        }
    }

    /// Tells what changed to everybody whom it concerns.
    fn tell_when_due(&mut self, now: Instant) {
        if now < self.tell_at {
            return;
        }
        self.tell_at = now + TELL_EVERY;
        let status = self.machine.status(now);
        let counts = counts_of(&status);
        let summary = summary_of(&status, self.unresolved.as_deref());
        let says = |summary: &DhtSummary| (summary.state, summary.message.clone());
        let is_new = says(&self.summary.borrow()) != says(&summary);
        replace(&self.counts, counts);
        replace(&self.summary, summary);
        replace(&self.status, status);
        if is_new || self.told_at + TELL_EACH * self.torrents.len() as u32 <= now {
            self.told_at = now;
            self.tell_torrents(now, self.torrents.keys().copied().collect::<Vec<_>>());
        }
    }

    /// Tells these torrents what changed for them.
    fn tell_torrents(&mut self, now: Instant, torrents: impl IntoIterator<Item = InfoHash>) {
        let mut torrents = torrents.into_iter().peekable();
        if torrents.peek().is_none() {
            return;
        }
        let summary = summary_of(&self.machine.status(now), self.unresolved.as_deref());
        for info_hash in torrents {
            let Some(torrent) = self.torrents.get_mut(&info_hash) else { continue };
            let report = report_of(&summary, self.machine.tracked(&info_hash));
            if torrent.told.as_ref() != Some(&report) {
                let _ = torrent.inputs.send(Input::Source(report.clone()));
                torrent.told = Some(report);
            }
        }
    }

    fn save_when_due(&mut self, now: Instant) {
        if now < self.save_at {
            return;
        }
        self.save_at = now + SAVE_EVERY;
        // Two at a time would write the same file.
        if self.saving.as_ref().is_some_and(|saving| !saving.is_finished()) {
            return;
        }
        if let Some(store) = self.store.clone() {
            let saved = self.machine.saved(self.clock.now());
            // Whether it succeeds is logged; the next one is minutes away.
            self.saving = Some(tokio::task::spawn_blocking(move || save(&store, &saved)));
        }
    }

    async fn close(&mut self) {
        if let Some(saving) = self.saving.take() {
            let _ = saving.await;
        }
        if let Some(store) = self.store.take() {
            let saved = self.machine.saved(self.clock.now());
            let _ = tokio::task::spawn_blocking(move || save(&store, &saved)).await;
        }
    }
}

/// What is said of a torrent where a router sends on to us what comes to `public_port`.
fn seen_from_outside(tracked: Tracked, public_port: Option<u16>) -> Tracked {
    let announce_port = tracked.announce_port.map(|port| public_port.unwrap_or(port));
    Tracked { announce_port, ..tracked }
}

fn replace<T: PartialEq>(sender: &watch::Sender<T>, value: T) {
    sender.send_if_modified(|known| {
        let is_new = *known != value;
        *known = value;
        is_new
    });
}

fn open_store(state_dir: &Path, circle: Circle) -> Option<Store> {
    match Store::open(state_dir, circle) {
        Ok(Some(store)) => Some(store),
        Ok(None) => {
            tracing::info!("another Potluck keeps the nodes of the DHT, so this one will not remember any");
            None
        }
        Err(error) => {
            tracing::warn!(%error, "the nodes of the DHT cannot be kept");
            None
        }
    }
}

/// What an earlier run left. Who has it at the moment is who it says; its nodes are for everybody.
fn remembered(store: Option<&Store>, state_dir: Option<&Path>, circle: &Circle) -> Option<DhtSaved> {
    if let Some(store) = store {
        return store.load();
    }
    let saved = store::peek(state_dir?, circle).ok().flatten()?;
    Some(DhtSaved { ipv4_id: None, ipv6_id: None, ..saved })
}

fn save(store: &Store, saved: &DhtSaved) {
    if let Err(error) = store.save(saved) {
        tracing::warn!(%error, "the nodes of the DHT were not saved");
    }
}
