//! The engine: torrents over one set of listening sockets, budgets and disk threads.

mod announcing;
mod channels;
pub(crate) mod clock;
mod config;
mod descriptors;
mod discovery;
mod disk_status;
mod error;
mod guard;
mod handle;
mod hints;
mod magnet;
mod opening;
mod port;
mod running;
mod searches;
mod shared;
mod slots;
mod status;
mod storing;
#[cfg(test)]
mod tests;
mod torrent_task;
mod wishes;

use std::{
    collections::HashSet,
    io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize},
    },
    time::Duration,
};

use potluck_common::{
    InfoHash, PeerId,
    control::{PortSummary, TorrentSnapshot},
};
use potluck_core::torrent::Input;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinSet,
};

use self::{
    channels::Channels,
    clock::Clock,
    discovery::DhtSlot,
    disk_status::DiskWatch,
    guard::guarded,
    magnet::MagnetTask,
    port::Port,
    shared::{Registered, Reserved},
    slots::SlotShares,
    status::Traffic,
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
pub(crate) use self::{
    shared::{Counted, Shared},
    storing::trouble,
};
use crate::{
    announce::TrackerClient,
    disk::{Disk, Removal, Storage},
    fetch::{Bind, HttpClient},
    lsd::LocalDiscovery,
    net::{
        dial::Dialer,
        limiter::Limiter,
        listen::{self, Door as _},
        udp,
        uplink::Uplink,
        waiting_room::{HalfOpen, Handshakes},
    },
    resume::{self, Shape},
};

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
            disk_watch: DiskWatch::default(),
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
