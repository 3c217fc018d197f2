//! The network: who is where, what is under way, and what is measured.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use potluck_common::{Duration, InfoHash, Instant, Rng, hash, krpc::NodeInfo};
use potluck_core::dht::{Dht, DhtConfig, DhtEffect, DhtInput, DhtState, LookupId, Tracked};

use super::{
    Plan, Report,
    agenda::Agenda,
    hostile::Hostile,
    measure::{Lookup, Tally, mean, percentile},
};

/// All have come by then, one after the other.
const JOINED_AT: Instant = Instant::from_secs(300);
/// Torrents are announced from then on.
const ANNOUNCED_AT: Instant = Instant::from_secs(420);
/// The bootstrap node dies.
const BOOTSTRAP_DIES_AT: Instant = Instant::from_secs(600);
/// Lookups begin.
const LOOKUPS_AT: Instant = Instant::from_secs(660);
/// What a lookup may take at the end of a run.
const LAST_LOOKUP: Duration = Duration::from_secs(60);
/// Nodes that announce a torrent.
const ANNOUNCERS: u32 = 3;
/// How long a NAT lets answers in.
const NAT_OPEN: Duration = Duration::from_secs(60);
/// How often a hostile node acts by itself.
const HOSTILE_WAKES: Duration = Duration::from_secs(2);
/// One in so many calls of a node has its invariants checked.
const CHECKED_ONE_IN: u32 = 256;
/// Nodes that a newcomer knows of when there is no bootstrap node, and how often it is drawn for them.
const KNOWN: usize = 4;
const KNOWN_DRAWS: u32 = 32;
/// The port of everybody.
const PORT: u16 = 6881;

#[derive(Debug)]
enum Event {
    Arrives { to: u32, from: SocketAddr, payload: Vec<u8> },
    Timer(u32),
    Hostile(u32),
    Comes { hostile: bool },
    Leaves(u32),
    Announce(u32),
    BootstrapDies,
    Lookup,
    End,
}

#[derive(Debug)]
struct Honest {
    dht: Box<Dht>,
    /// Whom it wrote to, and when: `None` where there is no NAT.
    nat: Option<BTreeMap<SocketAddr, Instant>>,
    /// The next call that is on the agenda.
    timer_at: Option<Instant>,
    came_at: Instant,
}

#[derive(Debug)]
enum Role {
    Honest(Honest),
    Hostile(Hostile),
    Gone,
}

#[derive(Debug)]
struct Node {
    addr: SocketAddr,
    role: Role,
    /// Its part of each delay, in milliseconds.
    delay_ms: u32,
}

#[derive(Debug)]
struct Torrent {
    info_hash: InfoHash,
    announced: BTreeSet<SocketAddr>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct World {
    plan: Plan,
    now: Instant,
    agenda: Agenda<Event>,
    nodes: Vec<Node>,
    by_addr: BTreeMap<SocketAddr, u32>,
    /// Those who live, and hostile ones among them.
    honest: Vec<u32>,
    hostile: Vec<NodeInfo>,
    bootstrap_lives: bool,
    torrents: Vec<Torrent>,
    lookups: BTreeMap<LookupId, Lookup>,
    announced_to: Vec<u32>,
    joined: f64,
    datagrams: u64,
    bytes_honest: u64,
    digest: hash::Sha1,
    rng: Rng,
    /// Decides what is lost and late, so that nothing else depends on how much is sent.
    weather: Rng,
}

impl World {
    pub(super) fn new(plan: Plan, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let weather = rng.fork();
        let mut world = Self {
            plan,
            now: Instant::ZERO,
            agenda: Agenda::new(),
            nodes: Vec::new(),
            by_addr: BTreeMap::new(),
            honest: Vec::new(),
            hostile: Vec::new(),
            bootstrap_lives: true,
            torrents: Vec::new(),
            lookups: BTreeMap::new(),
            announced_to: Vec::new(),
            joined: 0.0,
            datagrams: 0,
            bytes_honest: 0,
            digest: hash::Sha1::new(),
            rng,
            weather,
        };
        world.plan_events();
        world
    }

    fn plan_events(&mut self) {
        self.comes(false);
        let hostile = self.plan.nodes * self.plan.hostile_percent / 100;
        for number in 1..self.plan.nodes {
            let at = Instant::from_micros(self.rng.next_u64() % JOINED_AT.as_micros());
            self.agenda.put(at, Event::Comes { hostile: number <= hostile });
        }
        for torrent in 0..self.plan.torrents {
            let mut info_hash = InfoHash([0; 20]);
            self.rng.fill(&mut info_hash.0);
            self.torrents.push(Torrent { info_hash, announced: BTreeSet::new() });
            for _ in 0..ANNOUNCERS {
                let at = ANNOUNCED_AT + Duration::from_millis(u64::from(self.rng.below(60_000)));
                self.agenda.put(at, Event::Announce(torrent));
            }
        }
        self.agenda.put(BOOTSTRAP_DIES_AT, Event::BootstrapDies);
        let time = Duration::from_secs(u64::from(self.plan.lookups_minutes) * 60);
        for _ in 0..self.plan.lookups {
            let at = LOOKUPS_AT + Duration::from_micros(self.rng.next_u64() % time.as_micros() as u64);
            self.agenda.put(at, Event::Lookup);
        }
        self.agenda.put(LOOKUPS_AT + time + LAST_LOOKUP, Event::End);
    }

    pub(super) fn run(&mut self) {
        while let Some((at, event)) = self.agenda.pop() {
            self.now = at;
            match event {
                Event::Arrives { to, from, payload } => self.arrives(to, from, payload),
                Event::Timer(node) => self.timer(node),
                Event::Hostile(node) => self.hostile_acts(node),
                Event::Comes { hostile } => self.comes(hostile),
                Event::Leaves(node) => self.leaves(node),
                Event::Announce(torrent) => self.announce(torrent as usize),
                Event::BootstrapDies => {
                    self.joined = self.joined_share();
                    self.bootstrap_lives = false;
                    self.gone(0);
                }
                Event::Lookup => self.lookup(),
                Event::End => break,
            }
        }
    }

    fn comes(&mut self, hostile: bool) {
        let number = self.nodes.len() as u32;
        let addr = self.free_addr();
        let delay_ms = 5 + self.rng.below(70);
        let role = if hostile {
            let hostile = Hostile::new(number, addr.ip(), self.plan.is_clique, &mut self.rng);
            self.hostile.push(NodeInfo { id: hostile.id(), addr });
            let first = self.now + Duration::from_millis(u64::from(self.rng.below(2_000)));
            self.agenda.put(first, Event::Hostile(number));
            Role::Hostile(hostile)
        } else {
            let bootstrap = self.known_to_newcomers();
            let is_bootstrap = number == 0;
            let natted = !is_bootstrap && self.rng.below(100) < self.plan.natted_percent;
            let config = DhtConfig {
                ipv6: false,
                bootstrap,
                // Others have to share it; the bootstrap node is there for that.
                answer_bytes_per_second: if is_bootstrap { 1_000_000 } else { 8_000 },
                ..DhtConfig::default()
            };
            self.honest.push(number);
            Role::Honest(Honest {
                dht: Box::new(Dht::new(config, self.rng.next_u64(), self.now)),
                nat: natted.then(BTreeMap::new),
                timer_at: None,
                came_at: self.now,
            })
        };
        self.nodes.push(Node { addr, role, delay_ms });
        self.by_addr.insert(addr, number);
        if number > 0 && self.plan.life_minutes > 0 {
            let mean = f64::from(self.plan.life_minutes) * 60.0;
            let life = Duration::from_secs_f64(-(1.0 - self.rng.fraction()).ln() * mean);
            self.agenda.put((self.now + life).max(JOINED_AT), Event::Leaves(number));
        }
        if !hostile {
            self.settle(number);
        }
    }

    /// The bootstrap node; after its death some that live, as a torrent or a peer would name them.
    fn known_to_newcomers(&mut self) -> Vec<SocketAddr> {
        if self.nodes.is_empty() {
            return Vec::new();
        }
        if self.bootstrap_lives {
            return vec![self.nodes[0].addr];
        }
        let mut known = Vec::new();
        // Nodes behind a NAT are in few tables, and so in nobody's memory.
        for _ in 0..KNOWN_DRAWS {
            let Some(number) = self.rng.choose(&self.honest).copied() else { break };
            let node = &self.nodes[number as usize];
            if matches!(&node.role, Role::Honest(honest) if honest.nat.is_none()) && known.len() < KNOWN {
                known.push(node.addr);
            }
        }
        known
    }

    fn free_addr(&mut self) -> SocketAddr {
        loop {
            let [a, b, c, d] = self.rng.below(u32::MAX).to_be_bytes();
            let addr = SocketAddr::from(([20 + a % 60, b, c, d], PORT));
            if !self.by_addr.contains_key(&addr) {
                return addr;
            }
        }
    }

    /// A node leaves and another one comes.
    fn leaves(&mut self, number: u32) {
        let hostile = matches!(self.nodes[number as usize].role, Role::Hostile(_));
        self.gone(number);
        self.comes(hostile);
    }

    fn gone(&mut self, number: u32) {
        let node = &mut self.nodes[number as usize];
        node.role = Role::Gone;
        let addr = node.addr;
        self.by_addr.remove(&addr);
        self.honest.retain(|known| *known != number);
        self.hostile.retain(|known| known.addr != addr);
    }

    fn arrives(&mut self, to: u32, from: SocketAddr, payload: Vec<u8>) {
        let now = self.now;
        let node = &mut self.nodes[to as usize];
        match &mut node.role {
            Role::Gone => {}
            Role::Hostile(hostile) => {
                let addr = node.addr;
                if let Some(answer) = hostile.answer(from, &payload, &self.hostile) {
                    self.send(addr, from, answer);
                }
            }
            Role::Honest(honest) => {
                let open = |nat: &BTreeMap<SocketAddr, Instant>| {
                    nat.get(&from).is_some_and(|wrote| now.since(*wrote) < NAT_OPEN)
                };
                if honest.nat.as_ref().is_none_or(open) {
                    self.digest.update(&now.as_micros().to_le_bytes());
                    self.digest.update(&payload);
                    honest.dht.handle(now, DhtInput::Datagram { from, payload: payload.into() });
                    self.settle(to);
                }
            }
        }
    }

    fn timer(&mut self, number: u32) {
        let now = self.now;
        let Role::Honest(honest) = &mut self.nodes[number as usize].role else { return };
        if honest.timer_at != Some(now) {
            return;
        }
        honest.timer_at = None;
        if honest.dht.poll_timeout().is_some_and(|at| at <= now) {
            honest.dht.handle_timeout(now);
            let again = honest.dht.poll_timeout();
            assert!(again.is_none_or(|again| again > now), "node {number} asks for time that has passed");
        }
        self.settle(number);
    }

    /// Does what a node wants, and notes when it wants to be called.
    fn settle(&mut self, number: u32) {
        let now = self.now;
        let checked = self.rng.below(CHECKED_ONE_IN) == 0;
        let Role::Honest(honest) = &mut self.nodes[number as usize].role else { return };
        if checked {
            honest.dht.assert_invariants();
        }
        let mut effects = Vec::new();
        while let Some(effect) = honest.dht.poll_effect() {
            effects.push(effect);
        }
        if let Some(at) = honest.dht.poll_timeout() {
            let at = at.max(now + Duration::from_micros(1));
            if honest.timer_at.is_none_or(|known| at < known) {
                honest.timer_at = Some(at);
                self.agenda.put(at, Event::Timer(number));
            }
        }
        for effect in effects {
            self.carry_out(number, effect);
        }
    }

    fn carry_out(&mut self, number: u32, effect: DhtEffect) {
        let now = self.now;
        match effect {
            DhtEffect::Send { to, payload } => {
                let node = &mut self.nodes[number as usize];
                let addr = node.addr;
                if let Role::Honest(Honest { nat: Some(nat), .. }) = &mut node.role {
                    nat.insert(to, now);
                    if nat.len() > 1_000 {
                        nat.retain(|_, wrote| now.since(*wrote) < NAT_OPEN);
                    }
                }
                self.bytes_honest += payload.len() as u64;
                self.send(addr, to, payload);
            }
            DhtEffect::Peers { lookup: Some(id), peers, .. } => {
                let Some(lookup) = self.lookups.get_mut(&id) else { return };
                let announced = &self.torrents[lookup.torrent].announced;
                if lookup.first_peer.is_none() && peers.iter().any(|peer| announced.contains(peer)) {
                    lookup.first_peer = Some(now.since(lookup.began_at));
                }
            }
            DhtEffect::Searched { lookup: Some(id), report, .. } => {
                if let Some(lookup) = self.lookups.get_mut(&id) {
                    lookup.report = Some(report);
                }
            }
            DhtEffect::Searched { lookup: None, report, .. } => self.announced_to.push(report.announced_to),
            DhtEffect::Peers { lookup: None, .. } => {}
        }
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, payload: Vec<u8>) {
        self.datagrams += 1;
        let Some(&receiver) = self.by_addr.get(&to) else { return };
        if self.weather.below(100) < self.plan.loss_percent {
            return;
        }
        let own = self.by_addr.get(&from).map_or(0, |sender| self.nodes[*sender as usize].delay_ms);
        let delay_ms = own + self.nodes[receiver as usize].delay_ms;
        let jitter = self.weather.below(delay_ms * 200);
        let at = self.now + Duration::from_micros(u64::from(delay_ms * 1_000 + jitter));
        self.agenda.put(at, Event::Arrives { to: receiver, from, payload });
    }

    fn hostile_acts(&mut self, number: u32) {
        let node = &mut self.nodes[number as usize];
        let addr = node.addr;
        let Role::Hostile(hostile) = &mut node.role else { return };
        let mut datagrams = Vec::new();
        for _ in 0..hostile.wakes_for() {
            datagrams.push(hostile.begin());
        }
        // A flood is one node's trouble at a time.
        let victim = self.rng.choose(&self.honest).map(|victim| self.nodes[*victim as usize].addr);
        if let Some(victim) = victim {
            for datagram in datagrams {
                self.send(addr, victim, datagram);
            }
        }
        self.agenda.put(self.now + HOSTILE_WAKES, Event::Hostile(number));
    }

    fn announce(&mut self, torrent: usize) {
        let Some(number) = self.rng.choose(&self.honest).copied() else { return };
        let now = self.now;
        let node = &mut self.nodes[number as usize];
        let Role::Honest(honest) = &mut node.role else { return };
        let Torrent { info_hash, announced } = &mut self.torrents[torrent];
        announced.insert(node.addr);
        let tracked = Tracked { announce_port: Some(PORT), is_seed: false };
        honest.dht.handle(now, DhtInput::Track(*info_hash, tracked));
        self.settle(number);
    }

    fn lookup(&mut self) {
        let torrent = self.rng.below(self.torrents.len() as u32) as usize;
        let Torrent { info_hash, announced } = &self.torrents[torrent];
        // Somebody who has been there for a while, and looks for a torrent of which an announcer lives.
        let lives = announced.iter().any(|addr| self.by_addr.contains_key(addr));
        let id = LookupId(self.lookups.len() as u64);
        let Some(number) = self.rng.choose(&self.honest).copied().filter(|_| lives) else { return };
        let now = self.now;
        let node = &mut self.nodes[number as usize];
        let is_announcer = announced.contains(&node.addr);
        let Role::Honest(honest) = &mut node.role else { return };
        if is_announcer || now.since(honest.came_at) < Duration::from_secs(60) {
            return;
        }
        self.lookups
            .insert(id, Lookup { torrent, by: number, began_at: now, first_peer: None, report: None });
        honest.dht.handle(now, DhtInput::Lookup(id, *info_hash));
        self.settle(number);
    }

    fn machines(&self) -> impl Iterator<Item = &Honest> {
        self.honest.iter().filter_map(|number| match &self.nodes[*number as usize].role {
            Role::Honest(honest) => Some(honest),
            Role::Hostile(_) | Role::Gone => None,
        })
    }

    fn joined_share(&self) -> f64 {
        let settled =
            || self.machines().filter(|node| self.now.since(node.came_at) > Duration::from_secs(60));
        let joined = |node: &&Honest| matches!(node.dht.status(self.now).state, DhtState::Joined { .. });
        settled().filter(joined).count() as f64 / settled().count().max(1) as f64
    }

    pub(super) fn report(self) -> Report {
        let rounds_max = self.plan.rounds_max();
        let lives = |node: u32| !matches!(self.nodes[node as usize].role, Role::Gone);
        let tally = Tally::of(self.lookups.values(), lives, rounds_max);
        let tables: Vec<usize> = self.machines().map(|node| node.dht.nodes().count()).collect();
        let places: usize = tables.iter().sum();
        let hostile: BTreeSet<SocketAddr> = self.hostile.iter().map(|node| node.addr).collect();
        let of_hostile =
            |node: &Honest| node.dht.nodes().filter(|(info, _)| hostile.contains(&info.addr)).count();
        let seconds = self.now.as_micros() as f64 / 1e6;
        Report {
            nodes: self.plan.nodes,
            hostile: self.hostile.len() as u32,
            joined: self.joined,
            joined_without_bootstrap: self.joined_share(),
            lookups: tally.lookups,
            found_in_rounds: tally.share(tally.found_in_rounds),
            found: tally.share(tally.found),
            rounds_mean: mean(&tally.rounds),
            rounds_p99: percentile(&tally.rounds, 99).unwrap_or_default(),
            first_peer_ms_p50: percentile(&tally.first_peer_ms, 50).unwrap_or_default(),
            first_peer_ms_p99: percentile(&tally.first_peer_ms, 99).unwrap_or_default(),
            asked_mean: mean(&tally.asked),
            announced_to_mean: mean(&self.announced_to),
            table_mean: places as f64 / tables.len().max(1) as f64,
            table_max: tables.iter().max().copied().unwrap_or_default() as u32,
            table_hostile: self.machines().map(of_hostile).sum::<usize>() as f64 / places.max(1) as f64,
            datagrams: self.datagrams,
            bytes_per_second_mean: self.bytes_honest as f64 / seconds / self.honest.len().max(1) as f64,
            digest: InfoHash(self.digest.finish()).to_string(),
        }
    }
}
