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

use super::policy::{Party, host_of, is_local};

/// How long an announce holds; clients repeat theirs every 15 to 30 minutes.
const HOLDS: Duration = Duration::from_secs(45 * 60);
/// How often what no longer holds is looked for.
const SWEEP: Duration = Duration::from_secs(60);
/// Announces of one party, over all torrents; on a local network, where a party is an address, as well.
const PARTY_MAX: u32 = 200;
/// Addresses of one party in one torrent.
const PARTY_TORRENT_MAX: usize = 4;

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
    /// How many announces there are of each party.
    parties: BTreeMap<IpAddr, u32>,
    total: usize,
    sweep_at: Option<Instant>,
}

impl Store {
    pub(super) fn new(own: NodeId, limits: StoreLimits) -> Self {
        let (swarms, parties) = (BTreeMap::new(), BTreeMap::new());
        Self { own, limits, swarms, parties, total: 0, sweep_at: None }
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
        *self.parties.entry(host_of(peer.ip())).or_default() += 1;
        self.total += 1;
        self.sweep_at.get_or_insert(now + SWEEP);
        true
    }

    /// Whether one more fits, after those have gone that are farther away.
    fn has_room(&mut self, distance: Distance, peer: SocketAddr) -> bool {
        let party_is_full = !is_local(peer.ip())
            && self.parties.get(&host_of(peer.ip())).is_some_and(|count| *count >= PARTY_MAX);
        let swarm = self.swarms.get(&distance);
        let same_party = |known: &&SocketAddr| Party::of(**known) == Party::of(peer);
        let swarm_is_full = swarm.is_some_and(|swarm| {
            swarm.peers.len() >= self.limits.peers
                || swarm.peers.keys().filter(same_party).count() >= PARTY_TORRENT_MAX
        });
        if party_is_full || swarm_is_full {
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

    fn drop_swarm(&mut self, distance: Distance) {
        let Some(swarm) = self.swarms.remove(&distance) else { return };
        for peer in swarm.peers.into_keys() {
            self.drop_peer(peer);
        }
    }

    fn drop_peer(&mut self, peer: SocketAddr) {
        self.total -= 1;
        if let Some(count) = self.parties.get_mut(&host_of(peer.ip())) {
            *count -= 1;
            if *count == 0 {
                self.parties.remove(&host_of(peer.ip()));
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
        assert_eq!(self.total as u64, self.parties.values().map(|count| u64::from(*count)).sum::<u64>());
        assert!(self.parties.values().all(|count| *count > 0));
        for (distance, swarm) in &self.swarms {
            assert!(*distance == self.own.distance(&swarm.info_hash.into()));
            assert!((1..=self.limits.peers).contains(&swarm.peers.len()));
        }
        assert_eq!(self.sweep_at.is_some(), self.total > 0);
    }
}
