//! Peers that others announced to us, within bounds.
//!
//! Torrents lie in the order of their distance from us: when there are too many, those farthest go, as others are to
//! keep them.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use indexmap::IndexMap;
use potluck_common::{
    Duration, InfoHash, Instant, Rng,
    krpc::{Distance, NodeId},
};

use super::policy::{host_of, is_local};

/// How long an announce holds; clients repeat theirs every 15 to 30 minutes.
const HOLDS: Duration = Duration::from_secs(45 * 60);
/// How often what no longer holds is looked for.
const SWEEP: Duration = Duration::from_secs(60);
/// Announces of one host, over all torrents.
const HOST_MAX: usize = 200;
/// Addresses of one host in one torrent.
const HOST_TORRENT_MAX: usize = 4;
/// A host of a local network may be many nodes: it has one in so many of all places, and of those of one torrent.
const LOCAL_HOST_SHARE: usize = 10;
const LOCAL_HOST_TORRENT_SHARE: usize = 2;

#[derive(Clone, Copy, Debug)]
struct Peer {
    ends_at: Instant,
    is_seed: bool,
}

#[derive(Clone, Debug)]
struct Swarm {
    info_hash: InfoHash,
    peers: IndexMap<SocketAddr, Peer>,
}

/// The most that a store keeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoreLimits {
    /// Torrents.
    pub(super) torrents: usize,
    /// Peers of one torrent.
    pub(super) peers: usize,
    /// Peers of all torrents.
    pub(super) total: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Store {
    own: NodeId,
    limits: StoreLimits,
    swarms: BTreeMap<Distance, Swarm>,
    /// How many announces there are of each host.
    hosts: BTreeMap<IpAddr, usize>,
    total: usize,
    sweep_at: Option<Instant>,
}

impl Store {
    pub(super) fn new(own: NodeId, limits: StoreLimits) -> Self {
        let (swarms, hosts) = (BTreeMap::new(), BTreeMap::new());
        Self { own, limits, swarms, hosts, total: 0, sweep_at: None }
    }

    pub(super) fn torrents(&self) -> usize {
        self.swarms.len()
    }

    pub(super) fn peers(&self) -> usize {
        self.total
    }

    /// Notes that `peer` has the torrent. Whether there is room for it.
    pub(super) fn announce(
        &mut self,
        now: Instant,
        info_hash: InfoHash,
        peer: SocketAddr,
        is_seed: bool,
    ) -> bool {
        let distance = self.own.distance(&info_hash.into());
        let noted = Peer { ends_at: now + HOLDS, is_seed };
        if let Some(known) = self.swarms.get_mut(&distance).and_then(|swarm| swarm.peers.get_mut(&peer)) {
            *known = noted;
            return true;
        }
        if !self.has_room(distance, peer) {
            return false;
        }
        let new = || Swarm { info_hash, peers: IndexMap::new() };
        self.swarms.entry(distance).or_insert_with(new).peers.insert(peer, noted);
        *self.hosts.entry(host_of(peer.ip())).or_default() += 1;
        self.total += 1;
        self.sweep_at.get_or_insert(now + SWEEP);
        true
    }

    /// Whether one more fits, after those have gone that are farther away.
    fn has_room(&mut self, distance: Distance, peer: SocketAddr) -> bool {
        let host = host_of(peer.ip());
        let (of_host_max, of_torrent_max) = self.host_limits(host);
        let swarm = self.swarms.get(&distance);
        let host_is_full = self.hosts.get(&host).is_some_and(|count| *count >= of_host_max);
        let same_host = |known: &&SocketAddr| host_of(known.ip()) == host;
        let swarm_is_full = swarm.is_some_and(|swarm| {
            swarm.peers.len() >= self.limits.peers
                || swarm.peers.keys().filter(same_host).count() >= of_torrent_max
        });
        if host_is_full || swarm_is_full {
            return false;
        }
        let is_new = swarm.is_none();
        while (is_new && self.swarms.len() >= self.limits.torrents) || self.total >= self.limits.total {
            let farthest = self.swarms.last_key_value().map(|(farthest, _)| *farthest);
            match farthest {
                Some(farthest) if farthest > distance => self.drop_swarm(farthest),
                _ => return false,
            }
        }
        true
    }

    /// Announces that one host may have in all, and in one torrent.
    fn host_limits(&self, host: IpAddr) -> (usize, usize) {
        if is_local(host) {
            let of_torrent = (self.limits.peers / LOCAL_HOST_TORRENT_SHARE).max(HOST_TORRENT_MAX);
            ((self.limits.total / LOCAL_HOST_SHARE).max(HOST_MAX), of_torrent)
        } else {
            (HOST_MAX, HOST_TORRENT_MAX)
        }
    }

    fn drop_swarm(&mut self, distance: Distance) {
        let Some(swarm) = self.swarms.remove(&distance) else { return };
        for peer in swarm.peers.into_keys() {
            self.drop_peer(peer);
        }
    }

    fn drop_peer(&mut self, peer: SocketAddr) {
        self.total -= 1;
        if let Some(count) = self.hosts.get_mut(&host_of(peer.ip())) {
            *count -= 1;
            if *count == 0 {
                self.hosts.remove(&host_of(peer.ip()));
            }
        }
    }

    /// Up to `count` peers of a torrent, of one family and drawn by lot. `no_seeds` leaves seeds out.
    pub(super) fn sample(
        &self,
        now: Instant,
        info_hash: InfoHash,
        count: usize,
        no_seeds: bool,
        rng: &mut Rng,
        fits: impl Fn(&SocketAddr) -> bool,
    ) -> Vec<SocketAddr> {
        let Some(swarm) = self.swarms.get(&self.own.distance(&info_hash.into())) else { return Vec::new() };
        let holds = |(peer, noted): &(&SocketAddr, &Peer)| {
            noted.ends_at > now && !(no_seeds && noted.is_seed) && fits(peer)
        };
        let mut peers: Vec<SocketAddr> = swarm.peers.iter().filter(holds).map(|(peer, _)| *peer).collect();
        // The first `count` of a shuffle.
        for place in 0..count.min(peers.len()) {
            let other = place + rng.below((peers.len() - place) as u32) as usize;
            peers.swap(place, other);
        }
        peers.truncate(count);
        peers
    }

    pub(super) fn next_sweep(&self) -> Option<Instant> {
        self.sweep_at
    }

    /// Forgets what no longer holds, once in a while.
    pub(super) fn sweep(&mut self, now: Instant) {
        if self.sweep_at.is_none_or(|at| at > now) {
            return;
        }
        let mut gone = Vec::new();
        for swarm in self.swarms.values_mut() {
            swarm.peers.retain(|peer, noted| {
                let holds = noted.ends_at > now;
                if !holds {
                    gone.push(*peer);
                }
                holds
            });
        }
        self.swarms.retain(|_, swarm| !swarm.peers.is_empty());
        for peer in gone {
            self.drop_peer(peer);
        }
        self.sweep_at = (self.total > 0).then(|| now + SWEEP);
    }

    /// We are somebody else: other torrents are near.
    pub(super) fn rename(&mut self, own: NodeId) {
        self.own = own;
        let swarms = std::mem::take(&mut self.swarms);
        self.swarms =
            swarms.into_values().map(|swarm| (own.distance(&swarm.info_hash.into()), swarm)).collect();
    }

    pub(super) fn assert_invariants(&self) {
        assert!(self.swarms.len() <= self.limits.torrents && self.total <= self.limits.total);
        assert_eq!(self.total, self.swarms.values().map(|swarm| swarm.peers.len()).sum::<usize>());
        assert_eq!(self.total, self.hosts.values().sum::<usize>());
        assert!(self.hosts.values().all(|count| *count > 0));
        for (distance, swarm) in &self.swarms {
            assert!(*distance == self.own.distance(&swarm.info_hash.into()));
            assert!((1..=self.limits.peers).contains(&swarm.peers.len()));
        }
        assert_eq!(self.sweep_at.is_some(), self.total > 0);
    }
}
