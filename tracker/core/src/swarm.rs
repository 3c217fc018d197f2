//! One torrent's peers.

use std::{
    collections::{BTreeSet, hash_map::DefaultHasher},
    hash::{BuildHasher, Hasher as _},
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use indexmap::IndexMap;
use potluck_common::{
    AddrScope, Instant, PeerId, Rng,
    announce::{Family, ScrapeEntry},
};

use crate::select::sample;

/// Where a peer is: the key that it is known by. The address is the one it announced from, so that nobody can
/// remove or replace a peer of somebody else; it is never IPv4-mapped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Endpoint {
    pub(crate) ip: IpAddr,
    pub(crate) port: u16,
}

impl Endpoint {
    /// The first and last endpoint of those that count as one address: of one IPv4 address, or of one /64.
    fn neighbours(self) -> (Self, Self) {
        let (low, high) = match self.ip {
            IpAddr::V4(_) => (self.ip, self.ip),
            IpAddr::V6(ip) => {
                let network = ip.to_bits() >> 64 << 64;
                (
                    Ipv6Addr::from_bits(network).into(),
                    Ipv6Addr::from_bits(network | u128::from(u64::MAX)).into(),
                )
            }
        };
        (Self { ip: low, port: 0 }, Self { ip: high, port: u16::MAX })
    }

    /// Whether the peers of its address are counted.
    fn is_limited(self) -> bool {
        !AddrScope::of(self.ip).is_local()
    }
}

/// What is known of a peer, beside where it is and whether it is a seed.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) id: PeerId,
    pub(crate) last_seen: Instant,
    /// Its completion was counted, and is not counted again.
    pub(crate) completed: bool,
}

/// Whether a peer has everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Seed,
    Leecher,
}

/// Keyed hashing that follows from the store's seed: nobody outside can aim at one bucket, and no entropy is drawn.
#[derive(Clone, Debug)]
pub(crate) struct SeededState(pub(crate) u64);

impl BuildHasher for SeededState {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

/// Peers that can be found by endpoint and by number; removal moves the last one into the gap.
type Pool = IndexMap<Endpoint, Peer, SeededState>;

/// The peers of one family.
#[derive(Clone, Debug)]
struct Pools {
    seeds: Pool,
    leechers: Pool,
}

impl Pools {
    fn new(state: &SeededState) -> Self {
        Self { seeds: Pool::with_hasher(state.clone()), leechers: Pool::with_hasher(state.clone()) }
    }

    fn of(&mut self, role: Role) -> &mut Pool {
        match role {
            Role::Seed => &mut self.seeds,
            Role::Leecher => &mut self.leechers,
        }
    }

    fn get(&self, endpoint: &Endpoint) -> Option<&Peer> {
        self.seeds.get(endpoint).or_else(|| self.leechers.get(endpoint))
    }

    fn remove(&mut self, endpoint: &Endpoint) -> Option<Peer> {
        self.seeds.swap_remove(endpoint).or_else(|| self.leechers.swap_remove(endpoint))
    }

    fn len(&self) -> usize {
        self.seeds.len() + self.leechers.len()
    }
}

/// One torrent's peers. An endpoint is in at most one pool: that of its family and role.
#[derive(Clone, Debug)]
pub(crate) struct Swarm {
    v4: Pools,
    v6: Pools,
    /// The stored endpoints whose addresses are limited, in the order of addresses, so that those of one are
    /// neighbours.
    limited: BTreeSet<Endpoint>,
    downloaded: u32,
    /// When somebody last announced it; an empty swarm is remembered from there for its `downloaded`.
    pub(crate) last_seen: Instant,
}

impl Swarm {
    pub(crate) fn new(state: &SeededState, now: Instant) -> Self {
        Self {
            v4: Pools::new(state),
            v6: Pools::new(state),
            limited: BTreeSet::new(),
            downloaded: 0,
            last_seen: now,
        }
    }

    fn pools(&mut self, ip: IpAddr) -> &mut Pools {
        match Family::of(ip) {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }

    pub(crate) fn peer(&self, endpoint: Endpoint) -> Option<&Peer> {
        match Family::of(endpoint.ip) {
            Family::V4 => self.v4.get(&endpoint),
            Family::V6 => self.v6.get(&endpoint),
        }
    }

    /// The number of peers.
    pub(crate) fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// The counters. A client that announces over both families is two peers.
    pub(crate) fn counters(&self) -> ScrapeEntry {
        let count = |v4: &Pool, v6: &Pool| u32::try_from(v4.len() + v6.len()).unwrap_or(u32::MAX);
        ScrapeEntry {
            complete: count(&self.v4.seeds, &self.v6.seeds),
            incomplete: count(&self.v4.leechers, &self.v6.leechers),
            downloaded: self.downloaded,
        }
    }

    /// Stores `peer`, in place of what was known of its endpoint. Does not check any limit.
    pub(crate) fn insert(&mut self, endpoint: Endpoint, role: Role, peer: Peer) {
        let pools = self.pools(endpoint.ip);
        let other = if role == Role::Seed { Role::Leecher } else { Role::Seed };
        pools.of(other).swap_remove(&endpoint);
        pools.of(role).insert(endpoint, peer);
        if endpoint.is_limited() {
            self.limited.insert(endpoint);
        }
    }

    /// Forgets the peer at `endpoint`; whether there was one.
    pub(crate) fn remove(&mut self, endpoint: Endpoint) -> bool {
        self.limited.remove(&endpoint);
        self.pools(endpoint.ip).remove(&endpoint).is_some()
    }

    pub(crate) fn count_completion(&mut self) {
        self.downloaded = self.downloaded.saturating_add(1);
    }

    /// The peer to forget before `endpoint`, which is not stored yet, may be added: the one of its address that was
    /// silent longest, if that address has `most` peers already.
    pub(crate) fn surplus(&self, endpoint: Endpoint, most: usize) -> Option<Endpoint> {
        let (first, last) = endpoint.neighbours();
        if !endpoint.is_limited() || self.limited.range(first..=last).count() < most {
            return None;
        }
        let last_seen = |other: &&Endpoint| self.peer(**other).map(|peer| peer.last_seen);
        self.limited.range(first..=last).min_by_key(last_seen).copied()
    }

    /// At most `wanted` peers of `family` at random for an asker: never itself, at any of its addresses, and no seeds
    /// for a seed.
    pub(crate) fn select(
        &self,
        rng: &mut Rng,
        family: Family,
        (own_id, role): (PeerId, Role),
        wanted: u32,
    ) -> Vec<SocketAddr> {
        let pools = match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        };
        let seeds = if role == Role::Seed { 0 } else { pools.seeds.len() };
        let total = u32::try_from(seeds + pools.leechers.len()).unwrap_or(u32::MAX);
        // One more, because the asker may be among them.
        sample(rng, total, wanted.saturating_add(u32::from(wanted > 0)))
            .into_iter()
            .filter_map(|number| match (number as usize).checked_sub(seeds) {
                None => pools.seeds.get_index(number as usize),
                Some(number) => pools.leechers.get_index(number),
            })
            .filter(|(_, peer)| peer.id != own_id)
            .map(|(endpoint, _)| SocketAddr::new(endpoint.ip, endpoint.port))
            .take(wanted as usize)
            .collect()
    }

    /// Forgets those whose last announce has expired; how many that were.
    pub(crate) fn expire(&mut self, expired: impl Fn(Instant) -> bool) -> usize {
        let before = self.len();
        let limited = &mut self.limited;
        for pool in [&mut self.v4.seeds, &mut self.v4.leechers, &mut self.v6.seeds, &mut self.v6.leechers] {
            pool.retain(|endpoint, peer| {
                let gone = expired(peer.last_seen);
                if gone {
                    limited.remove(endpoint);
                }
                !gone
            });
            if pool.capacity() > 64 + 4 * pool.len() {
                pool.shrink_to(2 * pool.len());
            }
        }
        before - self.len()
    }

    /// Checks what the fields promise.
    pub(crate) fn assert_invariants(&self) {
        let pools = [(&self.v4, Family::V4), (&self.v6, Family::V6)];
        let mut limited = BTreeSet::new();
        for (pools, family) in pools {
            for (endpoint, peer) in pools.seeds.iter().chain(&pools.leechers) {
                assert_eq!(Family::of(endpoint.ip), family, "a peer is in the pools of its family");
                assert_eq!(endpoint.ip, endpoint.ip.to_canonical(), "no stored address is IPv4-mapped");
                assert_ne!(endpoint.port, 0, "port 0 is never stored");
                assert!(peer.last_seen <= self.last_seen, "a peer was not seen after its swarm");
                if endpoint.is_limited() {
                    limited.insert(*endpoint);
                }
            }
            assert!(
                pools.seeds.keys().all(|endpoint| !pools.leechers.contains_key(endpoint)),
                "one role each"
            );
        }
        assert_eq!(limited, self.limited, "the index holds the limited endpoints and no other");
    }
}
