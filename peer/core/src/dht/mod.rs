//! The Mainline DHT (BEP 5, 32, 42, 43, 45) as a machine: a node that finds peers, is found, and answers others.
//!
//! Both address families are in one machine, each with a routing table and an id of its own, as ids belong to
//! addresses (BEP 42). A host with several addresses of one family runs several machines (BEP 45).
//!
//! `table` knows nodes, `rpc` asks them, `leg` is an iterative lookup and `search` what it is for, `tracked` says when,
//! `upkeep` keeps our place in the network, and `server`, `store`, `token` and `guard` are what others have of us.

mod contract;
mod generations;
mod guard;
mod leg;
mod outbox;
mod policy;
mod rpc;
mod saved;
mod search;
mod server;
mod store;
mod table;
mod token;
mod tracked;
mod upkeep;
mod votes;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem,
    net::SocketAddr,
};

use potluck_common::{
    Duration, InfoHash, Instant, Rng,
    addr::{canonical, is_dialable},
    announce::Family,
    hash,
    krpc::{Body, KrpcError, Message, NodeId, NodeInfo, Query, Response},
};

pub use self::{
    contract::{
        DhtConfig, DhtEffect, DhtInput, DhtState, DhtStatus, FamilyStatus, LookupId, SearchReport, Tracked,
        TrackedStatus,
    },
    saved::{DhtSaved, SAVED_NODES_MAX},
};
use self::{
    generations::Generations,
    guard::Guard,
    outbox::Outbox,
    rpc::{Passed, Purpose, Transaction, Transactions},
    search::{Goal, Search, SearchId},
    server::Asked,
    store::{Store, StoreLimits},
    token::Tokens,
    tracked::TrackedSet,
    upkeep::{Network, first_id},
};

/// One-off lookups that may wait.
const LOOKUPS_WAITING_MAX: usize = 64;
/// How long a one-off lookup waits for the node to join.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(15);
/// Places for searches that ordinary ones leave to urgent ones.
const URGENT_PLACES: usize = 4;
/// Time between two searches, times the nodes that we know, and its bounds.
const SEARCH_GAP_OF_ONE_NODE: Duration = Duration::from_secs(10);
const SEARCH_GAP_MIN: Duration = Duration::from_millis(50);
const SEARCH_GAP_MAX: Duration = Duration::from_secs(2);
/// Addresses that answer nobody, of one generation, and how long that lasts.
const SILENT_MAX: usize = 512;
const SILENT_FOR: Duration = Duration::from_secs(5 * 60);
/// How soon such a one is asked again when it is heard of: whoever has to hear of us against its will hears this seldom.
const SILENT_MIN: Duration = Duration::from_secs(60);
/// Addresses that showed a token, of one generation, and how long that lasts.
const PROVEN_MAX: usize = 512;
const PROVEN_FOR: Duration = Duration::from_secs(10 * 60);
/// Bootstrap addresses that are kept.
const BOOTSTRAP_MAX: usize = 64;

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// See the module. Drain [`Dht::poll_effect`] after each call.
#[derive(Debug)]
pub struct Dht {
    config: DhtConfig,
    bootstrap: Vec<SocketAddr>,
    /// IPv4 and IPv6, where there is a socket.
    networks: [Option<Network>; 2],
    /// Others can reach us, as far as the shell knows.
    is_reachable: bool,
    rpc: Transactions,
    searches: BTreeMap<SearchId, Search>,
    searches_ever: u64,
    /// Searches that wait for others to end their questions.
    stalled: BTreeSet<SearchId>,
    tracked: TrackedSet,
    /// One-off lookups that wait, and since when.
    lookups: VecDeque<(Instant, LookupId, InfoHash)>,
    lookups_running: usize,
    guard: Guard,
    tokens: Tokens,
    store: Store,
    /// Who has shown that it gets what is sent to its address.
    proven: Generations<SocketAddr, ()>,
    /// Who was asked and did not answer, and never had, and when that was.
    silent: Generations<SocketAddr, Instant>,
    /// When anybody last answered, in each family: while nobody of it does, silence is nobody's fault.
    heard_at: [Option<Instant>; 2],
    rng: Rng,
    out: Outbox,
}

impl Dht {
    /// A node that joins at once. `seed` must be secret: tokens are made with it.
    pub fn new(config: DhtConfig, seed: u64, now: Instant) -> Self {
        // What is drawn can be seen by others, and must not tell the key.
        let derived = |label: &[u8]| hash::sha1(&[label, &seed.to_be_bytes()].concat());
        let mut rng = Rng::new(u64::from_be_bytes(*derived(b"draws").first_chunk().expect("20 bytes")));
        let tokens = Tokens::new(derived(b"tokens"));
        let mut config = config;
        let saved = config.saved.take().unwrap_or_default();
        let mut network = |family: Family, on: bool| {
            let own = first_id(saved.id(family), &mut rng);
            let nodes = saved.nodes.iter().filter(|node| Family::of(node.addr.ip()) == family);
            let nodes = nodes.filter(|node| is_dialable(node.addr)).take(SAVED_NODES_MAX).copied().collect();
            on.then(|| Network::new(now, own, nodes))
        };
        let networks = [network(Family::V4, config.ipv4), network(Family::V6, config.ipv6)];
        let own = networks.iter().flatten().next().map_or(NodeId([0; 20]), |network| network.table.own());
        let limits = StoreLimits {
            torrents: config.torrents_stored_max,
            peers: config.peers_stored_max,
            total: config.peers_stored_total_max,
        };
        let mut dht = Self {
            bootstrap: Vec::new(),
            networks,
            is_reachable: true,
            rpc: Transactions::new(rng.fork()),
            searches: BTreeMap::new(),
            searches_ever: 0,
            stalled: BTreeSet::new(),
            tracked: TrackedSet::new(rng.fork()),
            lookups: VecDeque::new(),
            lookups_running: 0,
            guard: Guard::new(config.answer_bytes_per_second),
            tokens,
            store: Store::new(own, limits),
            proven: Generations::new(PROVEN_MAX, PROVEN_FOR),
            silent: Generations::new(SILENT_MAX, SILENT_FOR),
            heard_at: [None; 2],
            rng,
            out: Outbox::default(),
            config,
        };
        dht.bootstrap = usable(&dht.config.bootstrap);
        dht
    }

    /// Takes what happened outside.
    pub fn handle(&mut self, now: Instant, input: DhtInput) {
        match input {
            DhtInput::Datagram { from, payload } => self.received(now, canonical(from), &payload),
            DhtInput::Bootstrap(addrs) => self.set_bootstrap(now, &addrs),
            DhtInput::Node(addr) => {
                let addr = canonical(addr);
                if is_dialable(addr) {
                    self.heard_of(now, addr);
                    self.probe(now, addr, None, Query::Ping, Purpose::Meet);
                }
            }
            DhtInput::Track(info_hash, tracked) => self.tracked.track(now, info_hash, tracked),
            DhtInput::Untrack(info_hash) => self.untrack(&info_hash),
            DhtInput::Hurry(info_hash) => self.tracked.hurry(now, info_hash),
            DhtInput::Lookup(lookup, info_hash) => self.lookup(now, lookup, info_hash),
            DhtInput::ExternalAddress(ip) => self.found_external(now, ip),
            DhtInput::Unreachable(addr) => self.unreachable(now, canonical(addr)),
            DhtInput::Network(is_reachable) => self.is_reachable = is_reachable,
        }
        self.start_searches(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(passed) = self.rpc.passed(now) {
            match passed {
                Passed::Late(transaction) => {
                    if let Purpose::Search(id) = transaction.purpose {
                        self.search_unanswered(now, id, transaction.to, true);
                    }
                }
                Passed::Silent(transaction) => self.unanswered(now, transaction),
            }
        }
        for id in mem::take(&mut self.stalled) {
            self.pump(now, id);
        }
        for family in FAMILIES {
            self.keep_up(now, family);
        }
        self.store.sweep(now);
        self.start_searches(now);
    }

    /// When [`Self::handle_timeout`] is to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let networks = self.networks.iter().flatten().map(Network::next_deadline);
        let lookup = self.lookups.front().map(|(since, ..)| *since + LOOKUP_PATIENCE);
        let tracked = self.tracked.next_due(self.has_ordinary_place()).filter(|_| self.has_place());
        let due = networks
            .chain(self.rpc.next_deadline())
            .chain(self.store.next_sweep())
            .chain(lookup.filter(|_| self.has_place()))
            .chain(tracked.filter(|_| self.is_ready()));
        due.min().filter(|at| *at != Instant::FAR_FUTURE)
    }

    /// What the shell must do next; drain until `None`.
    pub fn poll_effect(&mut self) -> Option<DhtEffect> {
        self.out.pop()
    }

    fn received(&mut self, now: Instant, from: SocketAddr, payload: &[u8]) {
        let family = Family::of(from.ip());
        if self.networks[slot(family)].is_none() || !is_dialable(from) {
            return;
        }
        match Message::decode(payload) {
            Ok(message) => match message.body {
                Body::Query { id, query } => {
                    let asked = Asked { from, bytes: payload.len(), transaction: message.transaction };
                    self.asked(now, asked, NodeInfo { id, addr: from }, message.read_only, query);
                }
                Body::Response(response) => self.answered(now, from, &message, &response),
                Body::Error { .. } => self.was_refused(now, from, message.transaction),
            },
            Err(KrpcError::Query { transaction, missing }) if !self.is_read_only() => {
                if self.guard.admits(now, from) {
                    let asked = Asked { from, bytes: payload.len(), transaction };
                    self.refuse(now, asked, potluck_common::krpc::ErrorCode::Protocol, missing);
                }
            }
            Err(_) => {
                let _counted = self.guard.admits(now, from);
            }
        }
    }

    fn asked(&mut self, now: Instant, asked: Asked<'_>, node: NodeInfo, read_only: bool, query: Query<'_>) {
        let family = Family::of(node.addr.ip());
        if !self.guard.admits(now, node.addr) || node.id == self.id(family) {
            return;
        }
        if let Some(network) = &mut self.networks[slot(family)] {
            network.table.asked_us(now, node);
        }
        if !self.is_read_only() {
            self.answer(now, asked, query);
        }
        if !read_only {
            self.heard_of(now, node.addr);
            self.offer(now, node, true);
        }
    }

    /// There may be a node at this address after all, though it once did not answer.
    fn heard_of(&mut self, now: Instant, addr: SocketAddr) {
        if self.silent.get(now, addr).is_some_and(|since| now.since(*since) >= SILENT_MIN) {
            self.silent.forget(addr);
        }
    }

    fn answered(&mut self, now: Instant, from: SocketAddr, message: &Message<'_>, response: &Response<'_>) {
        let Some(transaction) = self.rpc.take(now, message.transaction, from) else {
            let _counted = self.guard.admits(now, from);
            return;
        };
        self.heard_at[slot(Family::of(from.ip()))] = Some(now);
        self.silent.forget(from);
        let node = NodeInfo { id: response.id, addr: from };
        if let Some(ip) = message.ip {
            self.vote(now, from, ip.ip());
        }
        // Who is not whom it was named had another id before, or never: the one of now is what it can be known by.
        self.known(now, node, now.since(transaction.sent_at));
        if transaction.expected.is_some_and(|expected| expected != node.id) {
            self.ended_badly(now, transaction);
            return;
        }
        match transaction.purpose {
            Purpose::Probe | Purpose::Meet => self.offer_named(now, from, response),
            Purpose::Search(id) => self.search_answered(now, id, node, response),
            Purpose::Announce(id) => self.announce_ended(now, id, true),
        }
    }

    /// A question was refused: whoever is there is alive, and for this of no use.
    fn was_refused(&mut self, now: Instant, from: SocketAddr, transaction: &[u8]) {
        let Some(transaction) = self.rpc.take(now, transaction, from) else {
            let _counted = self.guard.admits(now, from);
            return;
        };
        self.heard_at[slot(Family::of(from.ip()))] = Some(now);
        self.silent.forget(from);
        // An error names nobody: it counts for who was asked, if that is known to be there.
        if let Some(network) = &mut self.networks[slot(Family::of(from.ip()))]
            && let Some(known) = network.table.at(from).map(|node| node.info)
            && transaction.expected.is_none_or(|expected| expected == known.id)
        {
            network.table.answered(now, known, now.since(transaction.sent_at), false);
        }
        self.ended_badly(now, transaction);
    }

    /// Nothing came of a question, and nothing will.
    fn unanswered(&mut self, now: Instant, transaction: Transaction) {
        let Transaction { to, expected, sent_at, .. } = transaction;
        let family = Family::of(to.ip());
        // Where nobody else of the family was heard of since, it is our network that is silent.
        let is_their_fault = self.heard_at[slot(family)].is_some_and(|heard_at| heard_at >= sent_at);
        let mut replacement = None;
        if let Some(network) = &mut self.networks[slot(family)].as_mut().filter(|_| is_their_fault) {
            let known = network.table.at(to).map(|node| node.info);
            if known.is_none() {
                network.saved.retain(|node| node.addr != to);
                *self.silent.entry(now, to, || now) = now;
            }
            let failed = known.filter(|known| expected.is_none_or(|expected| expected == known.id));
            replacement = failed.and_then(|known| network.table.failed(now, known));
        }
        if let Some(node) = replacement
            && !self.probe(now, node.addr, Some(node.id), Query::Ping, Purpose::Probe)
            && let Some(network) = &mut self.networks[slot(family)]
        {
            network.table.keep_spare(node);
        }
        self.rejoin_if_empty(now, family);
        self.ended_badly(now, transaction);
    }

    /// Nothing came of a question: what it was for goes on without.
    fn ended_badly(&mut self, now: Instant, transaction: Transaction) {
        match transaction.purpose {
            Purpose::Probe | Purpose::Meet => {}
            Purpose::Search(id) => self.search_unanswered(now, id, transaction.to, false),
            Purpose::Announce(id) => self.announce_ended(now, id, false),
        }
    }

    /// The system says that nothing arrives there.
    fn unreachable(&mut self, now: Instant, addr: SocketAddr) {
        // Anybody can forge such a message, so that it only shortens the wait for an answer.
        while let Some(transaction) = self.rpc.take_to(addr) {
            self.unanswered(now, transaction);
        }
    }

    fn set_bootstrap(&mut self, now: Instant, addrs: &[SocketAddr]) {
        self.bootstrap = usable(addrs);
        // Somebody chose them: they are asked whatever they did before.
        self.bootstrap.iter().for_each(|addr| self.silent.forget(*addr));
        for network in self.networks.iter_mut().flatten().filter(|network| network.table.len() == 0) {
            network.unanswered = 0;
            network.join_at = network.join_at.map(|_| now);
        }
    }

    fn untrack(&mut self, info_hash: &InfoHash) {
        self.tracked.untrack(info_hash);
        self.searches.retain(|_, search| !matches!(search.goal, Goal::Tracked(of, _) if of == *info_hash));
    }

    fn lookup(&mut self, now: Instant, lookup: LookupId, info_hash: InfoHash) {
        if self.lookups.len() < LOOKUPS_WAITING_MAX {
            self.lookups.push_back((now, lookup, info_hash));
        } else {
            let report = SearchReport::default();
            self.out.push(DhtEffect::Searched { info_hash, lookup: Some(lookup), report });
        }
    }

    /// Begins the searches for which it is time and there is a place.
    fn start_searches(&mut self, now: Instant) {
        let families: Vec<Family> =
            FAMILIES.into_iter().filter(|family| self.networks[slot(*family)].is_some()).collect();
        while self.has_place()
            && let Some((since, lookup, info_hash)) = self.lookups.front().copied()
            && (self.is_ready() || now.since(since) >= LOOKUP_PATIENCE)
        {
            self.lookups.pop_front();
            self.lookups_running += 1;
            self.search(now, Goal::Lookup(info_hash, lookup), Some(info_hash.into()), &families);
        }
        while self.has_place()
            && self.is_ready()
            && let Some((info_hash, tracked)) = self.tracked.start(now, self.has_ordinary_place(), self.gap())
        {
            self.search(now, Goal::Tracked(info_hash, tracked), Some(info_hash.into()), &families);
        }
    }

    fn running(&self) -> usize {
        self.tracked.searching() + self.lookups_running
    }

    fn has_place(&self) -> bool {
        self.running() < self.config.searches_max.max(1)
    }

    fn has_ordinary_place(&self) -> bool {
        self.running() + URGENT_PLACES.min(self.config.searches_max / 2) < self.config.searches_max.max(1)
    }

    /// Time between two searches, over some time. Each asks some thirty nodes, and none of them should be asked more than
    /// three times a second: where there are few, they would take it for a flood.
    fn gap(&self) -> Duration {
        let nodes: usize = self.networks.iter().flatten().map(|network| network.table.len()).sum();
        (SEARCH_GAP_OF_ONE_NODE / (nodes as u32).max(1)).clamp(SEARCH_GAP_MIN, SEARCH_GAP_MAX)
    }

    fn is_ready(&self) -> bool {
        self.networks.iter().flatten().any(Network::is_ready)
    }

    fn is_read_only(&self) -> bool {
        self.config.read_only || !self.is_reachable
    }

    /// Who we are in a family's network.
    pub fn id(&self, family: Family) -> NodeId {
        self.networks[slot(family)].as_ref().map_or(NodeId([0; 20]), |network| network.table.own())
    }

    /// The family by whose id the store is ordered.
    fn store_family(&self) -> Family {
        if self.networks[0].is_some() { Family::V4 } else { Family::V6 }
    }

    /// How the node is.
    pub fn status(&self, now: Instant) -> DhtStatus {
        let family = |family: Family| {
            self.networks[slot(family)].as_ref().map(|network| FamilyStatus {
                id: network.table.own(),
                nodes: network.table.len(),
                good: network.table.good(now),
                external: network.external,
            })
        };
        let (ipv4, ipv6) = (family(Family::V4), family(Family::V6));
        DhtStatus {
            searches: self.running() + self.lookups.len(),
            tracked: self.tracked.len(),
            torrents_stored: self.store.torrents(),
            peers_stored: self.store.peers(),
            state: self.state([ipv4, ipv6].iter().flatten().map(|family| family.good).sum()),
            ipv4,
            ipv6,
        }
    }

    fn state(&self, good: usize) -> DhtState {
        let networks = || self.networks.iter().flatten();
        if networks().next().is_none() {
            return DhtState::Off;
        }
        if good > 0 {
            let read_only = self.is_read_only();
            return DhtState::Joined { good, read_only, by_choice: self.config.read_only };
        }
        if networks().any(|network| network.join_at.is_none()) {
            return DhtState::Joining;
        }
        let retry_at = networks().filter_map(|network| network.join_at).min().unwrap_or(Instant::FAR_FUTURE);
        if retry_at == Instant::FAR_FUTURE { DhtState::NoNodes } else { DhtState::Alone { retry_at } }
    }

    /// What is worth keeping for the next run: our ids and nodes that answered lately, and after them those of earlier runs
    /// of which nothing bad is known.
    pub fn saved(&self, now: Instant) -> DhtSaved {
        let [ipv4_id, ipv6_id] =
            [0, 1].map(|slot: usize| self.networks[slot].as_ref().map(|network| network.table.own()));
        let mut nodes = Vec::new();
        for network in self.networks.iter().flatten() {
            let good = network.table.nodes().filter(|node| node.is_good(now)).map(|node| node.info);
            let good: Vec<NodeInfo> = good.take(SAVED_NODES_MAX).collect();
            let is_new =
                |node: &&NodeInfo| good.iter().all(|known| known.addr != node.addr && known.id != node.id);
            nodes.extend(good.iter().chain(network.saved.iter().filter(is_new)).take(SAVED_NODES_MAX));
        }
        DhtSaved { ipv4_id, ipv6_id, nodes }
    }

    /// The nodes of the routing tables, and how long their answers take.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeInfo, Duration)> {
        self.networks
            .iter()
            .flatten()
            .flat_map(|network| network.table.nodes())
            .map(|node| (node.info, node.rtt))
    }

    /// How a tracked torrent is; `None` if it is not tracked.
    pub fn tracked(&self, info_hash: &InfoHash) -> Option<TrackedStatus> {
        self.tracked.status(info_hash)
    }

    /// Checks what must hold between any two calls.
    pub fn assert_invariants(&self) {
        self.networks.iter().flatten().for_each(|network| network.table.assert_invariants());
        self.rpc.assert_invariants();
        self.tracked.assert_invariants();
        self.guard.assert_invariants();
        self.store.assert_invariants();
        assert!(self.silent.len() <= 2 * SILENT_MAX && self.proven.len() <= 2 * PROVEN_MAX);
        assert!(self.running() <= self.config.searches_max.max(1), "too many searches");
        assert!(self.bootstrap.len() <= BOOTSTRAP_MAX && self.lookups.len() <= LOOKUPS_WAITING_MAX);
        let running = self.searches.values().filter(|search| search.goal.info_hash().is_some()).count();
        assert_eq!(running, self.running(), "every search is counted");
        for search in self.searches.values() {
            search.legs.iter().for_each(leg::Leg::assert_invariants);
        }
    }
}

/// Where a family's part lies.
fn slot(family: Family) -> usize {
    match family {
        Family::V4 => 0,
        Family::V6 => 1,
    }
}

fn usable(addrs: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut usable: Vec<SocketAddr> = Vec::new();
    for addr in addrs.iter().copied().map(canonical).filter(|addr| is_dialable(*addr)) {
        if usable.len() < BOOTSTRAP_MAX && !usable.contains(&addr) {
            usable.push(addr);
        }
    }
    usable
}
