//! A small network: every datagram takes 20 to 60 ms, and what is sent to nobody is lost.

use std::{collections::BTreeMap, net::SocketAddr};

use potluck_common::{Duration, InfoHash, Instant, Rng};

use crate::dht::{Dht, DhtConfig, DhtEffect, DhtInput, DhtState, SearchReport};

/// See the module.
pub(super) struct World {
    pub(super) now: Instant,
    nodes: BTreeMap<SocketAddr, Dht>,
    /// Datagrams under way: when they arrive, and in which order they were sent.
    under_way: BTreeMap<(Instant, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    sent: u64,
    rng: Rng,
    /// What the nodes said beside datagrams.
    pub(super) said: Vec<(SocketAddr, DhtEffect)>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            now: Instant::from_secs(1_000),
            nodes: BTreeMap::new(),
            under_way: BTreeMap::new(),
            sent: 0,
            rng: Rng::new(seed),
            said: Vec::new(),
        }
    }

    /// A public address for node number `n`, in a network of its own.
    pub(super) fn addr(n: u32) -> SocketAddr {
        let [_, a, b, c] = (n + 1).to_be_bytes();
        SocketAddr::from(([60 + a, b, c, 7], 6881))
    }

    pub(super) fn add(&mut self, addr: SocketAddr, config: DhtConfig) {
        let seed = self.rng.next_u64();
        self.nodes.insert(addr, Dht::new(config, seed, self.now));
    }

    /// `count` nodes that begin with the first.
    pub(super) fn with_nodes(seed: u64, count: u32) -> Self {
        let mut world = Self::new(seed);
        for n in 0..count {
            let bootstrap = if n == 0 { Vec::new() } else { vec![Self::addr(0)] };
            world.add(Self::addr(n), DhtConfig { bootstrap, ipv6: false, ..DhtConfig::default() });
            world.run(Duration::from_millis(200));
        }
        world
    }

    pub(super) fn node(&self, addr: SocketAddr) -> &Dht {
        &self.nodes[&addr]
    }

    pub(super) fn node_mut(&mut self, addr: SocketAddr) -> &mut Dht {
        self.nodes.get_mut(&addr).expect("a node")
    }

    pub(super) fn addrs(&self) -> Vec<SocketAddr> {
        self.nodes.keys().copied().collect()
    }

    pub(super) fn remove(&mut self, addr: SocketAddr) {
        self.nodes.remove(&addr);
    }

    pub(super) fn tell(&mut self, addr: SocketAddr, input: DhtInput) {
        let now = self.now;
        self.nodes.get_mut(&addr).expect("a node").handle(now, input);
        self.drain(addr);
    }

    fn drain(&mut self, addr: SocketAddr) {
        let node = self.nodes.get_mut(&addr).expect("a node");
        // Not each time: it takes longer than all else.
        if self.rng.below(8) == 0 {
            node.assert_invariants();
        }
        while let Some(effect) = node.poll_effect() {
            if let DhtEffect::Send { to, payload } = effect {
                let delay = Duration::from_millis(20 + u64::from(self.rng.below(40)));
                self.under_way.insert((self.now + delay, self.sent), (addr, to, payload));
                self.sent += 1;
            } else {
                self.said.push((addr, effect));
            }
        }
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let datagram = self.under_way.first_key_value().map(|((at, _), _)| *at);
            let timeouts = self.nodes.iter().filter_map(|(addr, node)| Some((node.poll_timeout()?, *addr)));
            let timeout = timeouts.min();
            let next = datagram.into_iter().chain(timeout.map(|(at, _)| at)).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            if datagram == Some(next) {
                let (_, (from, to, payload)) = self.under_way.pop_first().expect("one is under way");
                if self.nodes.contains_key(&to) {
                    self.tell(to, DhtInput::Datagram { from, payload: payload.into() });
                }
            } else if let Some((_, addr)) = timeout {
                let now = self.now;
                self.nodes.get_mut(&addr).expect("a node").handle_timeout(now);
                self.drain(addr);
                let again = self.nodes[&addr].poll_timeout();
                assert!(again.is_none_or(|again| again > now), "{addr} asks for time that has passed");
            }
        }
        self.now = end;
    }

    /// The reports of searches that ended, and the peers that were named, to this node.
    pub(super) fn heard(&self, addr: SocketAddr, of: InfoHash) -> (Vec<SearchReport>, Vec<SocketAddr>) {
        let (mut reports, mut found) = (Vec::new(), Vec::new());
        for (_, effect) in self.said.iter().filter(|(at, _)| *at == addr) {
            match effect {
                DhtEffect::Searched { info_hash, report, .. } if *info_hash == of => reports.push(*report),
                DhtEffect::Peers { info_hash, peers, .. } if *info_hash == of => found.extend(peers),
                _ => {}
            }
        }
        (reports, found)
    }

    /// How many nodes are a part of the network.
    pub(super) fn joined(&self) -> usize {
        let joined = |node: &&Dht| matches!(node.status(self.now).state, DhtState::Joined { .. });
        self.nodes.values().filter(joined).count()
    }
}
