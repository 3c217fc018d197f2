//! What the torrents of an engine share: who has which connection, how much of the memory, and what everybody uses.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, OnceLock, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use potluck_common::{InfoHash, PeerId, control::Limits};
use potluck_core::{PeerKey, reachability::Evidence, torrent::Input};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

use super::{
    EngineConfig, TorrentHandle,
    clock::Clock,
    discovery::DhtSlot,
    guard::{DEFECT, guarded},
    lock,
    port::Port,
    slots::SlotShares,
    status::Traffic,
    torrent_task::Message,
};
use crate::{
    announce::TrackerClient,
    disk::{Disk, Storage},
    lsd::LocalDiscovery,
    net::{
        dial::Dialer,
        limiter::Limiter,
        listen::{Arrival, Door},
        uplink::Uplink,
        waiting_room::Handshakes,
    },
};

/// Up to so many torrents the memory for pieces is divided evenly.
const SHARES_EXACT_MAX: u64 = 8;

/// What all torrents of an engine share.
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) config: EngineConfig,
    /// The limits of all torrents together, as they are now.
    pub(super) limits: Mutex<Limits>,
    pub(super) traffic: Traffic,
    pub(super) disk_watch: super::disk_status::DiskWatch,
    pub(crate) peer_id: PeerId,
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) dialer: Dialer,
    pub(crate) trackers: TrackerClient,
    /// Unless it is turned off.
    pub(crate) local_discovery: Option<Arc<LocalDiscovery>>,
    pub(super) port: Port,
    pub(crate) disk: Disk,
    pub(crate) uplink: Arc<Uplink>,
    pub(super) slots: Arc<SlotShares>,
    pub(crate) down: Arc<Limiter>,
    /// Connections of all torrents that are past their handshake.
    pub(crate) connections: AtomicUsize,
    /// The node of the distributed hash table, or why there is none.
    pub(crate) dht: DhtSlot,
    /// Incoming connections of all torrents that are in the middle of it.
    pub(crate) handshakes: Handshakes,
    pub(super) next_peer: AtomicU64,
    /// What each torrent may use of the memory for pieces, in bytes.
    pub(super) memory_share: AtomicU64,
    /// The descriptors of the locks of resume states.
    pub(crate) locks: Arc<Semaphore>,
    /// How many torrents may look at their files at once, and how many may hash what lies there.
    pub(super) judgements: Arc<Semaphore>,
    pub(super) checks: Arc<Semaphore>,
    pub(super) torrents: Mutex<HashMap<InfoHash, Registered>>,
    /// Torrents that are about to be in `torrents`, or are being removed.
    pub(super) reserved: Mutex<HashSet<InfoHash>>,
    pub(super) tasks: Mutex<JoinSet<()>>,
}

/// A torrent of the engine, and how to reach its task.
#[derive(Clone)]
pub(super) struct Registered {
    pub(super) handle: TorrentHandle,
    /// Where its payload lies, once that is known.
    pub(super) storage: Arc<OnceLock<Arc<Storage>>>,
}

impl Registered {
    /// How many peers it has, as it last said.
    fn connected(&self) -> usize {
        let latest = self.handle.snapshots.borrow();
        (latest.seeds_connected + latest.leechers_connected) as usize
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
    pub(super) fn reserve(self: &Arc<Self>, info_hash: InfoHash) -> Option<Reserved> {
        let is_free = lock(&self.reserved).insert(info_hash);
        is_free.then(|| Reserved { shared: Arc::clone(self), info_hash })
    }

    pub(crate) fn next_peer(&self) -> PeerKey {
        PeerKey(self.next_peer.fetch_add(1, Ordering::Relaxed))
    }

    /// Opens a connection for a torrent, whose task hears what became of that.
    pub(super) fn dial(self: &Arc<Self>, address: SocketAddr, torrent: mpsc::UnboundedSender<Message>) {
        let shared = Arc::clone(self);
        self.spawn(async move {
            let result = guarded("dial", shared.dialer.dial(address)).await;
            let result = result.unwrap_or_else(|| Err(io::Error::other(DEFECT)));
            // The torrent may have ended meanwhile.
            let _ = torrent.send(Message::Dialed(address, result));
        });
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
    pub(super) fn has_storage(&self, info_hash: InfoHash, storage: &Arc<Storage>) {
        if let Some(entry) = lock(&self.torrents).get(&info_hash) {
            // It becomes known once.
            let _ = entry.storage.set(Arc::clone(storage));
        }
    }

    fn route(&self, arrival: Arrival) {
        self.somebody_came(arrival.address.ip(), Evidence::Connection);
        // An unknown info-hash hears nothing, so that nobody can ask us what we have.
        let Some(entry) = lock(&self.torrents).get(&arrival.info_hash).cloned() else { return };
        let _ = entry.handle.messages.send(Message::Arrived(Box::new(arrival)));
    }

    /// Divides the memory for pieces among the torrents; gives the share of each. They hear of it when it changes,
    /// which it does in steps where they are many: were all told of each that comes or goes, thousands would be kept
    /// busy by it.
    pub(super) fn share_memory(&self, torrents: &HashMap<InfoHash, Registered>) -> u64 {
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
    pub(super) fn free_descriptors(&self) {
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
pub(super) struct Reserved {
    shared: Arc<Shared>,
    pub(super) info_hash: InfoHash,
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
