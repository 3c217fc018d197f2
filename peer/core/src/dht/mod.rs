//! The Mainline DHT (BEP 5, 32, 42, 43, 45) as a machine: a node that finds peers, is found, and answers others.
//!
//! Both address families are in one machine, each with a routing table and an id of its own, as ids belong to
//! addresses (BEP 42). A host with several addresses of one family runs several machines (BEP 45).
//!
//! `incoming` reads datagrams, `table` knows nodes, `rpc` asks them, `leg` is an iterative lookup and `search` what it is for,
//! `tracked` and `turns` say when, `upkeep` keeps our place in the network, `policy` says whose word counts, and
//! `server`, `store`, `token` and `guard` are what others have of us.

mod contract;
mod generations;
mod guard;
mod incoming;
mod leg;
mod named;
mod outbox;
mod policy;
mod rpc;
mod saved;
mod search;
mod server;
mod status;
mod store;
mod table;
mod token;
mod tracked;
mod turns;
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
    krpc::NodeId,
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
    rpc::{Passed, Purpose, Transactions},
    search::{Goal, Search, SearchId},
    store::{Store, StoreLimits},
    token::Tokens,
    tracked::TrackedSet,
    upkeep::{Network, first_id},
};

/// How long a one-off lookup waits for the node to join.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(15);
/// Addresses that answer nobody, of one generation, and how long that lasts.
const SILENT_MAX: usize = 512;
const SILENT_FOR: Duration = Duration::from_secs(5 * 60);
/// How long who got no place is not asked again: a newcomer soon knows more.
const UNFIT_FOR: Duration = Duration::from_secs(60);
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
    /// Who answered a question for its own sake and got no place: it is not asked again at once, whatever it says.
    unfit: Generations<SocketAddr, ()>,
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
            unfit: Generations::new(SILENT_MAX, UNFIT_FOR),
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
                    self.told_of(now, addr);
                }
            }
            DhtInput::Track(info_hash, tracked) => self.tracked.track(now, info_hash, tracked),
            DhtInput::Untrack(info_hash) => self.untrack(&info_hash),
            DhtInput::Hurry(info_hash) => self.tracked.hurry(now, info_hash),
            DhtInput::Lookup(lookup, info_hash) => self.lookup(now, lookup, info_hash),
            DhtInput::ExternalAddress(ip) => self.found_external(now, ip),
            DhtInput::Unreachable(addr) => self.unreachable(now, canonical(addr)),
            DhtInput::Unsent(addr) => self.unsent(now, canonical(addr)),
            DhtInput::Network(is_reachable) => self.is_reachable = is_reachable,
        }
        self.ask_named(now);
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
        self.ask_named(now);
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
