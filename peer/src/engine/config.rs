//! The settings of an engine and of a torrent in it.

use std::{
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use potluck_common::{
    control::{Aspects, FilePriority, Limits},
    metainfo::Metainfo,
};
use rustls::pki_types::CertificateDer;

use super::descriptors::{self, Shares, TooFewDescriptors};
use crate::{
    announce::IN_FLIGHT_MAX,
    dht::DhtSettings,
    disk::{DiskConfig, FileStamp},
};

/// The settings of an [`Engine`](super::Engine).
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// The one address to listen on and to connect from; `None` is every IPv4 and IPv6 address.
    pub bind: Option<IpAddr>,
    /// The ports to try for listening, in order; `0..=0` lets the system choose.
    pub ports: RangeInclusive<u16>,
    /// Payload sent by the whole engine, in bytes per second; `None` is no limit.
    pub up_limit: Option<u64>,
    /// Bytes received by the whole engine, per second; `None` is no limit.
    pub down_limit: Option<u64>,
    /// Most established connections of the engine.
    pub connections_max: usize,
    /// Most connections being opened, in either direction each.
    pub half_open_max: usize,
    /// Most payload files open at once.
    pub open_files_max: usize,
    /// File descriptors that the engine may have, everything included; `None` is as many as its process. Where they do
    /// not suffice for the bounds above, those are lowered.
    pub descriptors_max: Option<u64>,
    /// Disk threads; `None` is one for each processor, at least two.
    pub disk_threads: Option<usize>,
    /// Memory for pieces being assembled or written, in bytes, shared by all torrents.
    pub buffer_bytes_max: u64,
    /// Memory for what was read to be sent, in bytes.
    pub cache_bytes_max: u64,
    /// Certificates trusted beside the system's, in DER: for a tracker with a certificate of one's own.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// The folder that keeps what torrents remember from run to run; `None` remembers nothing, and checks everything at
    /// each start.
    pub state_dir: Option<PathBuf>,
    /// A running download writes down what it has as often as this: what a crash costs.
    pub state_interval: Duration,
    /// A torrent whose payload is missing looks for it as often as this.
    pub missing_interval: Duration,
    /// Announces public torrents in the local network and listens to what others announce there (BEP 14). An engine that is
    /// bound to a loopback address does so on this machine alone.
    pub lsd: bool,
    /// Peers of public torrents are told of each other (BEP 11).
    pub pex: bool,
    /// The node of the distributed hash table, on the port that is listened on; `None` is no such node, and no UDP socket.
    pub dht: Option<DhtSettings>,
    /// Asks the router for a port that leads to ours, by UPnP and by NAT-PMP or PCP; not where only loopback addresses are
    /// listened on.
    pub port_map: bool,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            bind: None,
            ports: 6881..=6889,
            up_limit: None,
            down_limit: None,
            connections_max: 200,
            half_open_max: 50,
            open_files_max: 256,
            descriptors_max: None,
            disk_threads: None,
            buffer_bytes_max: 64 * 1024 * 1024,
            cache_bytes_max: 64 * 1024 * 1024,
            extra_roots: Vec::new(),
            state_dir: None,
            state_interval: Duration::from_secs(10),
            missing_interval: Duration::from_secs(5),
            lsd: false,
            pex: true,
            dht: None,
            port_map: false,
        }
    }
}

impl EngineConfig {
    pub(super) fn limits(&self) -> Limits {
        Limits { down: self.down_limit, up: self.up_limit }
    }

    /// Lowers the bounds to what the descriptors suffice for. Returns how many announces may be under way, and
    /// how many torrents may hold the lock of their resume state.
    pub(super) fn fit_descriptors(&mut self) -> Result<(usize, usize), TooFewDescriptors> {
        let wanted = Shares {
            files: self.open_files_max,
            connections: self.connections_max,
            half_open: self.half_open_max,
            announces: IN_FLIGHT_MAX,
        };
        let limit = self.descriptors_max.into_iter().chain(descriptors::limit()).min();
        let limit_or_none = limit.unwrap_or(u64::MAX);
        let shares = wanted.within(limit_or_none)?;
        if shares != wanted {
            tracing::warn!(
                ?limit,
                files = shares.files,
                connections = shares.connections,
                "few open files are allowed (ulimit -n), so fewer peers can be served"
            );
        }
        self.open_files_max = shares.files;
        self.connections_max = shares.connections;
        self.half_open_max = shares.half_open;
        Ok((shares.announces, shares.locks_beside(limit_or_none)))
    }

    pub(super) fn disk(&self) -> DiskConfig {
        let defaults = DiskConfig::default();
        DiskConfig {
            threads: self.disk_threads.unwrap_or(defaults.threads),
            open_files_max: self.open_files_max,
            backlog_bytes_max: self.buffer_bytes_max,
            cache_bytes_max: usize::try_from(self.cache_bytes_max).unwrap_or(usize::MAX),
            ..defaults
        }
    }
}

/// What a torrent is added for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Intent {
    /// Fetch what is missing, then seed.
    Download,
    /// Seed what lies there: a missing or damaged payload is an error, never a new download.
    Seed,
}

/// A torrent to add, and how to treat it.
#[derive(Clone, Debug)]
pub struct TorrentParams {
    /// The torrent.
    pub metainfo: Metainfo,
    /// The folder that holds, or will hold, its payload.
    pub directory: PathBuf,
    /// What it is added for.
    pub intent: Intent,
    /// The files wanted, as indices into `metainfo.files()`; `None` is all.
    pub wanted_files: Option<Vec<usize>>,
    /// How much some of the files are wanted, as indices into `metainfo.files()`, whatever `wanted_files` says of them; the
    /// others as usual.
    pub priorities: Vec<(usize, FilePriority)>,
    /// Pieces in order instead of rarest first.
    pub sequential: bool,
    /// Peers that the user named.
    pub peers: Vec<SocketAddr>,
    /// Peers that the magnet link names of which the torrent comes: the word of whoever made it.
    pub link_peers: Vec<SocketAddr>,
    /// Whether to announce to the torrent's trackers.
    pub use_trackers: bool,
    /// It looks for nobody and nobody is told of it: no tracker, no DHT, not the local network, not the peers of earlier
    /// runs, nor those named here.
    pub is_unheard: bool,
    /// Trackers that the user named, each a tier of its own behind the torrent's.
    pub extra_trackers: Vec<String>,
    /// Payload sent for this torrent, in bytes per second; `None` is no limit.
    pub up_limit: Option<u64>,
    /// Bytes received for this torrent, per second; `None` is no limit.
    pub down_limit: Option<u64>,
    /// Upload slots, counting the optimistic one; `None` is a share of those that suit the engine's uplink, 0 never uploads.
    pub slots: Option<u32>,
    /// How many times as fast as usual the choker's rounds and trials pass, for a swarm in time lapse: 1 to 100; what is
    /// beyond counts as the nearest of them.
    pub choker_pace: u32,
    /// Super-seed (BEP 16) a payload that is complete at the start, until there is another seed, or each piece is at two
    /// peers or has been at one for half a minute. Who says to have what it was never sent is not believed at once.
    pub super_seed: bool,
    /// Check the whole payload, whatever is remembered of it. Data that is missing is then fetched again.
    pub force_check: bool,
    /// The caller has just hashed the whole payload, and this is what its files (padding left out) were like before:
    /// those that still are need not be hashed again.
    pub vouched: Option<Vec<FileStamp>>,
    /// Events kept for a slow reader. They have their memory from the start, so that thousands of torrents need a small
    /// number.
    pub events_kept: usize,
    /// Whether anybody wants to hear of [`Level::Debug`](potluck_common::control::Level::Debug) events; where nobody
    /// does they take no place of others. `None` is always.
    pub curiosity: Option<Arc<AtomicBool>>,
    /// The lists that its snapshots have until [`TorrentHandle::show`](super::TorrentHandle::show) says otherwise.
    pub aspects: Aspects,
}

impl TorrentParams {
    pub(super) fn limits(&self) -> Limits {
        Limits { down: self.down_limit, up: self.up_limit }
    }

    /// Downloads all of `metainfo` into `directory`, with its own trackers.
    pub fn new(metainfo: Metainfo, directory: PathBuf) -> Self {
        Self {
            metainfo,
            directory,
            intent: Intent::Download,
            wanted_files: None,
            priorities: Vec::new(),
            sequential: false,
            peers: Vec::new(),
            link_peers: Vec::new(),
            use_trackers: true,
            is_unheard: false,
            extra_trackers: Vec::new(),
            up_limit: None,
            down_limit: None,
            slots: None,
            choker_pace: 1,
            super_seed: false,
            force_check: false,
            vouched: None,
            events_kept: 1024,
            curiosity: None,
            aspects: Aspects::ALL,
        }
    }
}
