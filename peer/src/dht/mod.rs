//! The node of the distributed hash table that all torrents of an engine share, or that stands alone: the pure machine on a
//! real socket, with names that are resolved and nodes that are remembered.

mod names;
mod store;
mod task;
mod words;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use potluck_common::{InfoHash, control::DhtSummary};
pub use potluck_core::dht::{DhtSaved, DhtStatus, SearchReport};
use potluck_core::{dht::Tracked, torrent::Input};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time::timeout,
};

use self::task::{Request, Task};
pub use self::{
    names::{HostPort, NoHostPort},
    words::outcome,
};
use crate::{
    engine::clock::Clock,
    net::udp::{self, Port},
};

/// How long its end may take: nodes are saved.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(1);

/// How a node takes part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DhtSettings {
    /// Nodes by which one joins. They are the only ones that are ever asked of our own accord, besides those of earlier runs
    /// that joined by the same, of torrents and of peers.
    pub bootstrap: Vec<HostPort>,
    /// Ask, and answer nobody (BEP 43).
    pub read_only: bool,
    /// What may be sent in answers, in bytes a second; a bootstrap node for many needs more than others.
    pub answer_bytes_per_second: u32,
}

impl Default for DhtSettings {
    /// With the public nodes that everybody joins by.
    fn default() -> Self {
        Self { bootstrap: HostPort::public(), read_only: false, answer_bytes_per_second: 8_000 }
    }
}

/// A node that stands alone.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The one address to listen on; `None` is every IPv4 and IPv6 address.
    pub bind: Option<IpAddr>,
    /// The ports to try, in order; `0..=0` lets the system choose.
    pub ports: RangeInclusive<u16>,
    /// How it takes part.
    pub settings: DhtSettings,
    /// The folder that keeps its id and nodes from run to run; `None` remembers nothing.
    pub state_dir: Option<PathBuf>,
}

/// What a look-up tells.
#[derive(Clone, PartialEq, Debug)]
pub enum LookupEvent {
    /// Peers, as they come; none twice.
    Peers(Vec<SocketAddr>),
    /// It is over.
    Ended(SearchReport),
}

/// How many nodes are known.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct NodeCounts {
    /// In the routing table of IPv4.
    pub v4: u32,
    /// In the routing table of IPv6.
    pub v6: u32,
    /// Of both, those that answered.
    pub good: u32,
}

/// A node; clones are the same one.
#[derive(Clone, Debug)]
pub struct DhtNode {
    requests: mpsc::UnboundedSender<Request>,
    ends: mpsc::UnboundedSender<oneshot::Sender<()>>,
    counts: watch::Receiver<NodeCounts>,
    status: watch::Receiver<DhtStatus>,
    summary: watch::Receiver<DhtSummary>,
    stranger: watch::Receiver<Option<IpAddr>>,
    addresses: Vec<SocketAddr>,
    /// The tasks of one that stands alone.
    tasks: Arc<Mutex<JoinSet<()>>>,
}

/// Who says what our address is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Teller {
    /// The router that has it.
    Router,
    /// A tracker (BEP 24): anybody may run one, so that it only counts while nobody else has said anything.
    Tracker,
}

/// A task that is to run for a node.
pub(crate) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

impl DhtNode {
    /// Starts a node that stands alone. It must be called inside a runtime; [`DhtNode::close`] ends it.
    pub fn start(config: NodeConfig) -> io::Result<Self> {
        let port = Port::new(udp::bind_alone(config.bind, config.ports)?)?;
        let (node, works) = Self::on(&port, config.settings, config.state_dir.as_deref(), Clock::start());
        let mut tasks = node.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        for work in works {
            tasks.spawn(work);
        }
        drop(tasks);
        Ok(node)
    }

    /// A node on a port that is bound, and what has to run for it.
    pub(crate) fn on(
        port: &Arc<Port>,
        settings: DhtSettings,
        state_dir: Option<&Path>,
        clock: Clock,
    ) -> (Self, Vec<Work>) {
        let (receivers, inbox) = port.receivers(clock);
        let (requests, asked) = mpsc::unbounded_channel();
        let (ends, ended) = mpsc::unbounded_channel();
        let (sender, resolved) = mpsc::channel(1);
        let (task, outlook) =
            Task::new(clock, Arc::clone(port), &settings, state_dir, (inbox, asked, resolved, ended));
        let resolving =
            names::keep_resolving(settings.bootstrap, Arc::clone(port), outlook.counts.clone(), sender);
        let mut works: Vec<Work> = vec![Box::pin(task.run()), Box::pin(resolving)];
        works.extend(receivers.into_iter().map(|receiver| Box::pin(receiver) as Work));
        let node = Self {
            requests,
            ends,
            counts: outlook.counts,
            status: outlook.status,
            summary: outlook.summary,
            stranger: outlook.stranger,
            addresses: port.addresses(),
            tasks: Arc::default(),
        };
        (node, works)
    }

    /// The addresses that it listens on.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    /// Whether it only reaches this host.
    pub(crate) fn is_loopback(&self) -> bool {
        self.addresses.iter().all(|address| address.ip().is_loopback())
    }

    /// How many nodes it knows.
    pub fn counts(&self) -> NodeCounts {
        *self.counts.borrow()
    }

    /// What it is doing, in full.
    pub fn status(&self) -> DhtStatus {
        self.status.borrow().clone()
    }

    /// What it is doing, for user interfaces.
    pub fn summary(&self) -> DhtSummary {
        self.summary.borrow().clone()
    }

    /// Waits until it knows a node that answers.
    pub async fn joined(&self) {
        // It closes with the node, which then never joins.
        if self.counts.clone().wait_for(|counts| counts.good > 0).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Looks for the peers of a torrent, once. The end is the last that is told.
    pub fn lookup(&self, info_hash: InfoHash) -> mpsc::UnboundedReceiver<LookupEvent> {
        let (events, told) = mpsc::unbounded_channel();
        let _ = self.requests.send(Request::Lookup { info_hash, events });
        told
    }

    /// There may be a node at this address, somebody says.
    pub fn add_node(&self, address: SocketAddr) {
        let _ = self.requests.send(Request::Node(address));
    }

    /// Who asked last of those to whom we had sent nothing: whoever comes like this shows that others can reach us.
    pub(crate) fn stranger(&self) -> watch::Receiver<Option<IpAddr>> {
        self.stranger.clone()
    }

    /// Somebody outside says what our address is (BEP 42).
    pub(crate) fn external_address(&self, ip: IpAddr, teller: Teller) {
        let _ = self.requests.send(Request::ExternalAddress(ip, teller));
    }

    /// The port that is announced in place of the one that we listen on; `None` is that one.
    pub(crate) fn set_public_port(&self, port: Option<u16>) {
        let _ = self.requests.send(Request::PublicPort(port));
    }

    /// Whether others can reach us: while they cannot, we ask and keep nothing for others (BEP 43).
    pub(crate) fn set_reachable(&self, is_reachable: bool) {
        let _ = self.requests.send(Request::Reachable(is_reachable));
    }

    /// Looks for peers of a torrent, and announces us, from now on until the returned value is dropped.
    pub(crate) fn track(
        &self,
        info_hash: InfoHash,
        tracked: Tracked,
        inputs: mpsc::UnboundedSender<Input>,
    ) -> Tracking {
        let _ = self.requests.send(Request::Track { info_hash, tracked, inputs });
        Tracking { info_hash, requests: self.requests.clone() }
    }

    /// Saves the nodes, and ends.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.ends.send(done).is_ok() && timeout(CLOSE_TIME_MAX, closed).await.is_err() {
            tracing::warn!("the nodes of the DHT may not be saved");
        }
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
    }
}

/// A torrent of which the DHT is asked, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Tracking {
    info_hash: InfoHash,
    requests: mpsc::UnboundedSender<Request>,
}

impl Tracking {
    /// Few usable peers are left.
    pub(crate) fn hurry(&self) {
        let _ = self.requests.send(Request::Hurry(self.info_hash));
    }

    /// All of it is there, or no longer, or we are reached by another port.
    pub(crate) fn update(&self, tracked: Tracked) {
        let _ = self.requests.send(Request::Update(self.info_hash, tracked));
    }
}

impl Drop for Tracking {
    fn drop(&mut self) {
        let _ = self.requests.send(Request::Untrack(self.info_hash));
    }
}

/// The nodes that were saved below this folder of all state for who joins by these; an error in words if the file is damaged.
pub fn saved_nodes(state_dir: &Path, bootstrap: &[HostPort]) -> Result<Option<DhtSaved>, String> {
    store::peek(state_dir, &store::Circle::of(bootstrap))
}

#[cfg(test)]
mod tests;
