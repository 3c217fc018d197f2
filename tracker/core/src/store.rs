//! A shard of swarms: announces, scrapes, expiry and the limits on all of it.

use std::{collections::BTreeMap, net::IpAddr};

use potluck_common::{
    Duration, InfoHash, Instant, Printable, Rng,
    announce::{AnnounceReply, AnnounceRequest, Event, Failure, Family, Retry, ScrapeEntry},
};

use crate::{
    config::{Config, NUMWANT_HTTP_MAX, NUMWANT_UDP_MAX},
    swarm::{Endpoint, Peer, Role, SeededState, Swarm},
};

/// What an announce came over: it decides what fits into the reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// Peers of both families.
    Http,
    /// Peers of the asker's own family.
    Udp,
}

/// What a store holds in all.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Totals {
    /// Torrents, with those that nobody is left in but that are not forgotten yet.
    pub torrents: usize,
    /// Seeds of all torrents.
    pub complete: u64,
    /// Other peers of all torrents.
    pub incomplete: u64,
}

/// The swarms that one owner keeps. Announces and scrapes take time logarithmic in the number of torrents and
/// linear in the number of peers returned.
#[derive(Clone, Debug)]
pub struct Swarms {
    config: Config,
    rng: Rng,
    hashing: SeededState,
    torrents: BTreeMap<InfoHash, Swarm>,
    /// The number of peers in all swarms.
    peers: usize,
    /// When to look for silent peers next; `None` when there is no swarm.
    next_sweep: Option<Instant>,
}

impl Swarms {
    /// An empty store. `seed` decides which peers an asker gets.
    pub fn new(mut config: Config, seed: u64) -> Self {
        config.min_interval = config.min_interval.min(config.interval);
        let mut rng = Rng::new(seed);
        let hashing = SeededState(rng.next_u64());
        Self { config, rng, hashing, torrents: BTreeMap::new(), peers: 0, next_sweep: None }
    }

    /// Takes an announce that came from `source`, and gives the reply or a refusal.
    ///
    /// The peer is stored at `source` and its announced port, whatever address it claims. A `stopped` removes it only
    /// if address, port and peer id are those of the stored peer.
    pub fn announce(
        &mut self,
        now: Instant,
        request: &AnnounceRequest,
        source: IpAddr,
        transport: Transport,
    ) -> Result<AnnounceReply, Failure> {
        if request.port == 0 {
            return Err(Failure::new("port must be a number from 1 to 65535"));
        }
        let endpoint = Endpoint { ip: source.to_canonical(), port: request.port };
        let warning = match request.event {
            Event::Stopped => {
                self.stop(request, endpoint);
                None
            }
            _ => self.store(now, request, endpoint)?,
        };
        Ok(self.reply(request, endpoint, transport, warning))
    }

    fn stop(&mut self, request: &AnnounceRequest, endpoint: Endpoint) {
        let Some(swarm) = self.torrents.get_mut(&request.info_hash) else { return };
        let is_own = swarm.peer(endpoint).is_some_and(|peer| peer.id == request.peer_id);
        if is_own && swarm.remove(endpoint) {
            self.peers -= 1;
        }
    }

    /// Adds or refreshes the peer; a warning for its user when there was no room.
    fn store(
        &mut self,
        now: Instant,
        request: &AnnounceRequest,
        endpoint: Endpoint,
    ) -> Result<Option<Printable>, Failure> {
        if self.torrents.len() >= self.config.torrents_max && !self.torrents.contains_key(&request.info_hash)
        {
            return Err(Failure {
                retry: Some(Retry::After(self.config.interval)),
                ..Failure::new("this tracker has no room for another torrent now")
            });
        }
        self.next_sweep.get_or_insert(now + sweep_period(&self.config));
        let swarm = self.torrents.entry(request.info_hash).or_insert_with(|| Swarm::new(&self.hashing, now));
        swarm.last_seen = swarm.last_seen.max(now);
        let known = swarm.peer(endpoint);
        let mut completed = known.is_some_and(|peer| peer.completed);
        if known.is_none() {
            if let Some(oldest) = swarm.surplus(endpoint, self.config.address_peers_max) {
                self.peers -= usize::from(swarm.remove(oldest));
            }
            if swarm.len() >= self.config.torrent_peers_max || self.peers >= self.config.peers_max {
                return Ok(Some(Printable::new(
                    "this tracker is full: other peers will not hear of you from it",
                )));
            }
            self.peers += 1;
        }
        if request.event == Event::Completed && request.left == 0 && !completed {
            completed = true;
            swarm.count_completion();
        }
        swarm.insert(endpoint, role(request), Peer { id: request.peer_id, last_seen: now, completed });
        Ok(None)
    }

    fn reply(
        &mut self,
        request: &AnnounceRequest,
        endpoint: Endpoint,
        transport: Transport,
        warning: Option<Printable>,
    ) -> AnnounceReply {
        let counters = self.entry(request.info_hash);
        AnnounceReply {
            interval: Some(self.config.interval),
            min_interval: Some(self.config.min_interval),
            complete: Some(counters.complete),
            incomplete: Some(counters.incomplete),
            downloaded: Some(counters.downloaded),
            peers: self.select(request, endpoint, transport),
            warning,
            tracker_id: None,
            external_ip: Some(endpoint.ip),
        }
    }

    fn select(
        &mut self,
        request: &AnnounceRequest,
        endpoint: Endpoint,
        transport: Transport,
    ) -> Vec<std::net::SocketAddr> {
        let Some(swarm) = self.torrents.get(&request.info_hash) else { return Vec::new() };
        if request.event == Event::Stopped {
            return Vec::new();
        }
        let own = Family::of(endpoint.ip);
        let (families, most) = match transport {
            Transport::Http => (&[Family::V4, Family::V6][..], NUMWANT_HTTP_MAX),
            Transport::Udp => (&[own][..], NUMWANT_UDP_MAX),
        };
        let wanted = request.numwant.unwrap_or(self.config.numwant_default).min(most);
        let asker = (request.peer_id, role(request));
        families.iter().flat_map(|family| swarm.select(&mut self.rng, *family, asker, wanted)).collect()
    }

    /// The counters of a torrent; zeros for one that is not known.
    pub fn scrape(&self, info_hashes: &[InfoHash]) -> Vec<ScrapeEntry> {
        info_hashes.iter().map(|info_hash| self.entry(*info_hash)).collect()
    }

    fn entry(&self, info_hash: InfoHash) -> ScrapeEntry {
        self.torrents.get(&info_hash).map(Swarm::counters).unwrap_or_default()
    }

    /// What the store holds in all. Takes time linear in the number of torrents.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals { torrents: self.torrents.len(), ..Totals::default() };
        for counters in self.torrents.values().map(Swarm::counters) {
            totals.complete += u64::from(counters.complete);
            totals.incomplete += u64::from(counters.incomplete);
        }
        totals
    }

    /// When [`Self::handle_timeout`] is to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_sweep
    }

    /// Forgets the peers that were silent for two intervals, and the torrents that nobody announced for as long.
    /// Takes time linear in what is stored.
    pub fn handle_timeout(&mut self, now: Instant) {
        let lifetime = self.config.lifetime();
        let expired = |last_seen: Instant| last_seen + lifetime <= now;
        let mut gone = 0;
        self.torrents.retain(|_, swarm| {
            gone += swarm.expire(expired);
            swarm.len() > 0 || !expired(swarm.last_seen)
        });
        self.peers -= gone;
        self.next_sweep = (!self.torrents.is_empty()).then(|| now + sweep_period(&self.config));
    }

    /// Checks what the fields promise: for tests and simulations, after every step.
    pub fn assert_invariants(&self) {
        self.torrents.values().for_each(Swarm::assert_invariants);
        assert_eq!(
            self.peers,
            self.torrents.values().map(Swarm::len).sum::<usize>(),
            "every peer is counted"
        );
        assert!(self.peers <= self.config.peers_max, "the limit on peers holds");
        assert!(self.torrents.len() <= self.config.torrents_max, "the limit on torrents holds");
        assert_eq!(self.next_sweep.is_some(), !self.torrents.is_empty(), "a store with swarms will be swept");
    }
}

fn role(request: &AnnounceRequest) -> Role {
    if request.left == 0 { Role::Seed } else { Role::Leecher }
}

/// A peer may stay this much longer than its lifetime: looking at all of them more often is not worth it.
fn sweep_period(config: &Config) -> Duration {
    (config.lifetime() / 16).max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests;
