//! The engine: torrents over one set of listening sockets, budgets and disk threads.

mod announcing;
mod channels;
pub(crate) mod clock;
mod config;
mod descriptors;
mod discovery;
mod error;
mod guard;
mod handle;
mod hints;
mod magnet;
mod opening;
mod port;
mod running;
mod slots;
mod status;
mod storing;
#[cfg(test)]
mod tests;
mod torrent_task;
mod wishes;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use potluck_common::{
    InfoHash, PeerId,
    control::{Limits, PortSummary, TorrentSnapshot},
};
use potluck_core::{PeerKey, reachability::Evidence, torrent::Input};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinSet,
};

pub(crate) use self::storing::trouble;
use self::{
    channels::Channels, clock::Clock, discovery::DhtSlot, guard::guarded, magnet::MagnetTask, port::Port,
    slots::SlotShares, status::Traffic, torrent_task::Message,
};
pub use self::{
    config::{EngineConfig, Intent, TorrentParams},
    descriptors::{DESCRIPTORS_MAX, TooFewDescriptors, raise_descriptor_limit},
    error::{AddError, EngineError, RemoveError},
    handle::{RemoveData, Shown, TorrentHandle},
    hints::named_peers,
    magnet::{MagnetParams, Resolve, require_v1, selected_files},
    status::EngineStatus,
};
use crate::{
    announce::TrackerClient,
    disk::{Disk, Removal, Storage},
    fetch::{Bind, HttpClient},
    lsd::LocalDiscovery,
    net::{
        dial::Dialer,
        limiter::Limiter,
        listen::{self, Arrival, Door},
        udp,
        uplink::Uplink,
        waiting_room::{HalfOpen, Handshakes},
    },
    resume::{self, Shape},
};

/// Up to so many torrents the memory for pieces is divided evenly.
const SHARES_EXACT_MAX: u64 = 8;
/// So many torrents look at their files at once: each holds a thread and a few descriptors meanwhile.
const JUDGEMENTS_MAX: usize = 8;
/// So many are hashed at once. One keeps all processors busy; with a second, a slow disk does not hold up a fast one.
const CHECKS_MAX: usize = 2;
/// How long tasks that were told to end are waited for; each does at its next wait.
const ABORT_TIME_MAX: Duration = Duration::from_secs(1);

/// A BitTorrent engine. Clones are the same engine; it ends with [`Engine::shutdown`] or with the runtime.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

/// What all torrents of an engine share.
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) config: EngineConfig,
    /// The limits of all torrents together, as they are now.
    limits: Mutex<Limits>,
    traffic: Traffic,
    pub(crate) peer_id: PeerId,
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) dialer: Dialer,
    pub(crate) trackers: TrackerClient,
    /// Unless it is turned off.
    pub(crate) local_discovery: Option<Arc<LocalDiscovery>>,
    port: Port,
    pub(crate) disk: Disk,
    pub(crate) uplink: Arc<Uplink>,
    slots: Arc<SlotShares>,
    pub(crate) down: Arc<Limiter>,
    /// Connections of all torrents that are past their handshake.
    pub(crate) connections: AtomicUsize,
    /// The node of the distributed hash table, or why there is none.
    pub(crate) dht: DhtSlot,
    /// Incoming connections of all torrents that are in the middle of it.
    pub(crate) handshakes: Handshakes,
    next_peer: AtomicU64,
    /// What each torrent may use of the memory for pieces, in bytes.
    memory_share: AtomicU64,
    /// The descriptors of the locks of resume states.
    pub(crate) locks: Arc<Semaphore>,
    /// How many torrents may look at their files at once, and how many may hash what lies there.
    judgements: Arc<Semaphore>,
    checks: Arc<Semaphore>,
    torrents: Mutex<HashMap<InfoHash, Registered>>,
    /// Torrents that are about to be in `torrents`, or are being removed.
    reserved: Mutex<HashSet<InfoHash>>,
    tasks: Mutex<JoinSet<()>>,
}

/// A torrent of the engine, and how to reach its task.
#[derive(Clone)]
struct Registered {
    handle: TorrentHandle,
    /// Where its payload lies, once that is known.
    storage: Arc<OnceLock<Arc<Storage>>>,
}

impl Registered {
    /// How many peers it has, as it last said.
    fn connected(&self) -> usize {
        let latest = self.handle.snapshots.borrow();
        (latest.seeds_connected + latest.leechers_connected) as usize
    }
}

impl Engine {
    /// Binds the listening sockets and starts the disk threads.
    #[expect(
        clippy::unused_async,
        reason = "it must run inside a runtime, which an async signature enforces"
    )]
    pub async fn start(mut config: EngineConfig) -> Result<Self, EngineError> {
        let (announces, locks) = config.fit_descriptors()?;
        let refused = |cause| EngineError::Listen { what: describe(config.bind, &config.ports), cause };
        let bound = udp::bind(config.bind, config.ports.clone(), config.dht.is_some()).map_err(refused)?;
        let listeners = bound.listeners;
        let addresses: io::Result<Vec<SocketAddr>> = listeners.iter().map(TcpListener::local_addr).collect();
        let addresses = addresses.map_err(refused)?;
        let disk = Disk::start(&config.disk()).map_err(EngineError::Threads)?;
        let http = HttpClient::new(config.bind.map_or(Bind::ANY, Bind::only), config.extra_roots.clone());
        let clock = Clock::start();
        let port = addresses.first().map_or(0, SocketAddr::port);
        let local_discovery =
            config.lsd.then(|| LocalDiscovery::new(clock, port, u64::from_le_bytes(entropy())));
        let (dht, dht_works) = DhtSlot::open(&config, bound.sockets, clock);
        let shared = Arc::new(Shared {
            clock,
            peer_id: PeerId::ours(entropy()),
            dialer: Dialer::new(config.bind, config.half_open_max),
            trackers: TrackerClient::with_in_flight(http, announces),
            local_discovery,
            port: Port::new(clock, &config, &addresses),
            listen: addresses,
            disk,
            uplink: Uplink::new(clock, config.up_limit),
            slots: SlotShares::new(clock, config.up_limit),
            down: Arc::new(Limiter::new(config.down_limit)),
            connections: AtomicUsize::new(0),
            dht,
            handshakes: Handshakes::new(config.half_open_max),
            next_peer: AtomicU64::new(1),
            memory_share: AtomicU64::new(0),
            locks: Arc::new(Semaphore::new(locks)),
            judgements: Arc::new(Semaphore::new(JUDGEMENTS_MAX)),
            checks: Arc::new(Semaphore::new(CHECKS_MAX)),
            torrents: Mutex::default(),
            reserved: Mutex::default(),
            tasks: Mutex::default(),
            limits: Mutex::new(config.limits()),
            traffic: Traffic::default(),
            config,
        });
        shared.watch_port();
        let relief = Arc::downgrade(&shared);
        shared.disk.open_files.on_shortage(move || relief.free_descriptors());
        shared.spawn(Arc::clone(&shared.uplink).run());
        shared.spawn(Arc::clone(&shared.slots).run());
        if let Some(local) = &shared.local_discovery {
            shared.spawn(Arc::clone(local).run(shared.config.bind));
        }
        for work in dht_works {
            shared.spawn(async move {
                let _ = guarded("DHT", work).await;
            });
        }
        let half_open = Arc::new(HalfOpen::new(shared.config.half_open_max));
        for listener in listeners {
            let door = Arc::downgrade(&shared);
            shared.spawn(listen::accept(listener, shared.clock, Arc::clone(&half_open), door));
        }
        Ok(Self { shared })
    }

    /// The addresses that it listens on.
    pub fn listen_addrs(&self) -> Vec<SocketAddr> {
        self.shared.listen.clone()
    }

    /// Whether strangers can connect to its port, as far as that is known.
    pub fn port(&self) -> PortSummary {
        self.shared.port_summary()
    }

    /// The time since it started, which events are told with.
    pub(crate) fn now(&self) -> potluck_common::Instant {
        self.shared.clock.now()
    }

    /// Its settings, as far as the descriptors allowed them.
    pub(crate) fn config(&self) -> &EngineConfig {
        &self.shared.config
    }

    /// Our peer id in this run.
    pub fn peer_id(&self) -> PeerId {
        self.shared.peer_id
    }

    /// Adds a torrent: what lies in its folder and is not known from an earlier run is checked first, then it downloads or
    /// seeds. One that is being removed is there until its removal is over.
    pub async fn add(&self, params: TorrentParams) -> Result<TorrentHandle, AddError> {
        let info_hash = params.metainfo.info_hash();
        let reserved = self.shared.reserve(info_hash).ok_or(AddError::Duplicate(info_hash))?;
        if lock(&self.shared.torrents).contains_key(&info_hash) {
            return Err(AddError::Duplicate(info_hash));
        }
        let shared = Arc::clone(&self.shared);
        let prepared = tokio::task::spawn_blocking(move || torrent_task::prepare(&shared, params)).await;
        let (task, registered) = prepared.map_err(|_| AddError::Defect(info_hash))??;
        let (handle, snapshots) = (registered.handle.clone(), task.snapshots());
        self.register(reserved, registered, snapshots, task.run());
        Ok(handle)
    }

    /// Adds a magnet link: its metadata is fetched from peers (BEP 9), and then it is a torrent like any other, under the same
    /// handle. Until then its state is [`TorrentState::Metadata`](potluck_common::control::TorrentState::Metadata).
    pub fn add_magnet(&self, params: MagnetParams) -> Result<TorrentHandle, AddError> {
        require_v1(&params.magnet)?;
        let info_hash = params.magnet.info_hash();
        let reserved = self.shared.reserve(info_hash).ok_or(AddError::Duplicate(info_hash))?;
        if lock(&self.shared.torrents).contains_key(&info_hash) {
            return Err(AddError::Duplicate(info_hash));
        }
        let first = magnet::first_snapshot(&params.magnet);
        let (channels, handle) = Channels::open(info_hash, first, None, params.events_kept, params.aspects);
        let snapshots = channels.snapshots.clone();
        let task = MagnetTask::new(&self.shared, params, channels);
        let run = async move {
            if let Some(torrent) = task.run().await {
                Box::pin(torrent.run()).await;
            }
        };
        let registered = Registered { handle: handle.clone(), storage: Arc::default() };
        self.register(reserved, registered, snapshots, run);
        Ok(handle)
    }

    /// Has a torrent run that is reserved, until its task ends.
    fn register(
        &self,
        reserved: Reserved,
        registered: Registered,
        snapshots: watch::Sender<Arc<TorrentSnapshot>>,
        run: impl Future<Output = ()> + Send + 'static,
    ) {
        let info_hash = reserved.info_hash;
        let newcomer = registered.handle.inputs.clone();
        let mut torrents = lock(&self.shared.torrents);
        torrents.insert(info_hash, registered);
        // It begins with what is its share; the others hear of it when theirs changes.
        let _ = newcomer.send(Input::BufferBudget(self.shared.share_memory(&torrents)));
        drop((torrents, reserved));
        let shared = Arc::clone(&self.shared);
        self.shared.spawn(async move {
            // A defect in one torrent must not take the others along, or leave whoever waits for it waiting.
            if guarded("torrent", Box::pin(run)).await.is_none() {
                snapshots.send_modify(torrent_task::broken);
            }
            {
                let mut torrents = lock(&shared.torrents);
                torrents.remove(&info_hash);
                shared.share_memory(&torrents);
            }
            // The last of them: whoever waits for its end may add the torrent anew.
            drop(snapshots);
        });
    }

    /// Stops a torrent and takes it out of the engine; with [`RemoveData::Delete`] removes its payload, too. Only its
    /// own files go, and the folders that they leave empty: nothing is reached through a symbolic link, and what
    /// another torrent of the engine has stays.
    pub async fn remove(&self, info_hash: InfoHash, data: RemoveData) -> Result<Removal, RemoveError> {
        let entry = lock(&self.shared.torrents).get(&info_hash).cloned();
        let Registered { handle, storage } = entry.ok_or(RemoveError::Unknown(info_hash))?;
        // Else it could be added anew while its files go.
        let reserved = self.shared.reserve(info_hash).ok_or(RemoveError::Unknown(info_hash))?;
        let others = || -> Vec<Arc<Storage>> {
            let torrents = lock(&self.shared.torrents);
            let others = torrents.iter().filter(|(other, _)| **other != info_hash);
            others.filter_map(|(_, entry)| entry.storage.get().cloned()).collect()
        };
        // Also those that leave while this one stops.
        let mut needing = others();
        handle.stop().await;
        // Its metadata may have come this very moment, or never.
        let Some(storage) = storage.get().filter(|_| data == RemoveData::Delete).cloned() else {
            return Ok(Removal::default());
        };
        needing.extend(others());
        let state_dir = self.shared.config.state_dir.clone();
        let remove = move || {
            let needed: HashSet<PathBuf> = needing.iter().flat_map(|other| places_of(other)).collect();
            let layout = storage.layout();
            let root = real(layout.root());
            let removal = storage.remove_files(|path| needed.contains(&root.join(path)));
            let shape = Shape { info_hash, pieces: layout.geometry().pieces(), files: layout.files().len() };
            if let Some(Err(error)) = state_dir.map(|folder| resume::forget(&folder, shape, layout.root())) {
                tracing::warn!(%error, %info_hash, "the resume state of a removed payload stays");
            }
            // Here, since nobody may be waiting for this any more.
            drop(reserved);
            removal
        };
        tokio::task::spawn_blocking(remove).await.map_err(|_| RemoveError::Defect(info_hash))
    }

    /// Stops every torrent (`stopped` announces, closed connections, synced files) and then the engine, all within
    /// `deadline`; what does not answer by then is left.
    pub async fn shutdown(&self, deadline: Duration) {
        let handles: Vec<TorrentHandle> =
            lock(&self.shared.torrents).values().map(|entry| entry.handle.clone()).collect();
        let all = async {
            let mut stops = JoinSet::new();
            for handle in handles {
                stops.spawn(async move { handle.stop().await });
            }
            while stops.join_next().await.is_some() {}
        };
        let all = async { tokio::join!(all, self.shared.port.shut_down()) };
        if tokio::time::timeout(deadline, all).await.is_err() {
            tracing::warn!("some trackers or disks did not answer before the end");
        }
        self.shared.dht.close().await;
        // Waited for, so that nothing listens any more when this returns.
        let mut tasks = std::mem::take(&mut *lock(&self.shared.tasks));
        if tokio::time::timeout(ABORT_TIME_MAX, tasks.shutdown()).await.is_err() {
            tracing::warn!("a task does not end");
        }
    }
}

/// Weak, since the tasks that accept belong to what they hand their connections to.
impl Door for Weak<Shared> {
    fn arrived(&self, arrival: Arrival) {
        if let Some(shared) = self.upgrade() {
            shared.route(arrival);
        }
    }

    fn free_descriptors(&self) {
        if let Some(shared) = self.upgrade() {
            shared.free_descriptors();
        }
    }
}

impl Shared {
    /// `None` if somebody else has reserved it.
    fn reserve(self: &Arc<Self>, info_hash: InfoHash) -> Option<Reserved> {
        let is_free = lock(&self.reserved).insert(info_hash);
        is_free.then(|| Reserved { shared: Arc::clone(self), info_hash })
    }

    pub(crate) fn next_peer(&self) -> PeerKey {
        PeerKey(self.next_peer.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Every address under which we might hear of ourselves; an unspecified one stands for its port, until a tracker
    /// says where we are seen.
    pub(crate) fn our_addresses(&self) -> BTreeSet<SocketAddr> {
        self.listen.iter().copied().collect()
    }

    /// It is known where the payload of a torrent lies.
    fn has_storage(&self, info_hash: InfoHash, storage: &Arc<Storage>) {
        if let Some(entry) = lock(&self.torrents).get(&info_hash) {
            // It becomes known once.
            let _ = entry.storage.set(Arc::clone(storage));
        }
    }

    fn route(&self, arrival: Arrival) {
        self.somebody_came(arrival.address.ip(), Evidence::Connection);
        // An unknown info-hash hears nothing, so that nobody can ask us what we have.
        let Some(entry) = lock(&self.torrents).get(&arrival.info_hash).cloned() else { return };
        let _ = entry.handle.messages.send(Message::Arrived(arrival));
    }

    /// Divides the memory for pieces among the torrents; gives the share of each. They hear of it when it changes,
    /// which it does in steps where they are many: were all told of each that comes or goes, thousands would be kept
    /// busy by it.
    fn share_memory(&self, torrents: &HashMap<InfoHash, Registered>) -> u64 {
        let count = torrents.len().max(1) as u64;
        let parts = if count <= SHARES_EXACT_MAX { count } else { count.next_power_of_two() };
        let share = self.config.buffer_bytes_max / parts;
        if self.memory_share.swap(share, Ordering::Relaxed) != share {
            for entry in torrents.values() {
                let _ = entry.handle.inputs.send(Input::BufferBudget(share));
            }
        }
        share
    }

    /// A peer completed its handshake. Over the limit, the torrent with the most gives one up. (A torrent alone keeps
    /// to the limit by itself.)
    fn connection_opened(&self) {
        let connections = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        if connections > self.config.connections_max {
            let torrents = lock(&self.torrents);
            if let Some(entry) = torrents.values().max_by_key(|entry| entry.connected())
                && torrents.len() > 1
            {
                let _ = entry.handle.inputs.send(Input::EvictOne);
            }
        }
    }

    /// The process has no descriptor left: gives up some that cost the least to be without. Payload files are opened
    /// again when they are needed; after them the peer that is used least has to go.
    fn free_descriptors(&self) {
        if !self.disk.open_files.close_half()
            && let Some(entry) = lock(&self.torrents).values().max_by_key(|entry| entry.connected())
        {
            let _ = entry.handle.inputs.send(Input::EvictOne);
        }
    }

    /// Whether several torrents share the engine and have as many peers as it dials; a tenth is kept for those who come.
    pub(crate) fn is_full(&self) -> bool {
        let most = self.config.connections_max - self.config.connections_max / 10;
        self.connections.load(Ordering::Relaxed) >= most && lock(&self.torrents).len() > 1
    }
}

/// Nobody else adds or removes this torrent as long as this lives.
struct Reserved {
    shared: Arc<Shared>,
    info_hash: InfoHash,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        lock(&self.shared.reserved).remove(&self.info_hash);
    }
}

/// One of the engine's connections, for as long as this lives: also when the task that holds it panics.
pub(crate) struct Counted(Arc<Shared>);

impl Counted {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        shared.connection_opened();
        Self(Arc::clone(shared))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The files of a payload, so that they can be compared with those of others.
fn places_of(storage: &Storage) -> impl Iterator<Item = PathBuf> {
    let root = real(storage.layout().root());
    storage.layout().files().iter().filter(|file| !file.padding).map(move |file| root.join(&file.path))
}

/// A folder by the name that it has without links; by its own, if it is not there.
fn real(folder: &Path) -> PathBuf {
    folder.canonicalize().unwrap_or_else(|_| folder.to_owned())
}

/// Locks a mutex whose data no panic can leave half-changed.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes that nobody can guess, from the standard library's seed of its hash maps.
pub(crate) fn entropy<const N: usize>() -> [u8; N] {
    use std::hash::{BuildHasher, RandomState};
    let mut bytes = [0; N];
    for chunk in bytes.chunks_mut(8) {
        chunk.copy_from_slice(&RandomState::new().hash_one(N).to_le_bytes()[..chunk.len()]);
    }
    bytes
}

fn describe(bind: Option<IpAddr>, ports: &std::ops::RangeInclusive<u16>) -> String {
    let ports = if ports.start() == ports.end() {
        format!("port {}", ports.start())
    } else {
        format!("ports {} to {}", ports.start(), ports.end())
    };
    bind.map_or_else(|| ports.clone(), |ip| format!("{ports} of {ip}"))
}
