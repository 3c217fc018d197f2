//! A node of the DHT: the machine that ships, and what is behind its socket.

use std::{collections::BTreeMap, net::SocketAddr};

use potluck_common::{Duration, InfoHash, Instant};
use potluck_core::dht::{Dht, DhtConfig, DhtInput, DhtSaved, Tracked};

/// How long a NAT lets answers in to whom something was sent.
const NAT_REMEMBERS: Duration = Duration::from_secs(60);

/// The machine of a host while it is up.
#[derive(Debug)]
pub(super) struct DhtNode {
    pub(super) machine: Dht,
    pub(super) wake_at: Option<Instant>,
    is_behind_nat: bool,
    /// To whom something was sent, and when last.
    sent: BTreeMap<SocketAddr, Instant>,
}

impl DhtNode {
    pub(super) fn new(
        bootstrap: Vec<SocketAddr>,
        saved: Option<DhtSaved>,
        is_behind_nat: bool,
        seed: u64,
        now: Instant,
    ) -> Self {
        let config = DhtConfig { ipv6: false, bootstrap, saved, ..DhtConfig::default() };
        let mut machine = Dht::new(config, seed, now);
        if is_behind_nat {
            machine.handle(now, DhtInput::Network(false));
        }
        Self { machine, wake_at: None, is_behind_nat, sent: BTreeMap::new() }
    }

    /// The torrent is looked for and announced from now on.
    pub(super) fn track(&mut self, now: Instant, info_hash: InfoHash, port: u16, is_seed: bool) {
        let announce_port = (!self.is_behind_nat).then_some(port);
        self.machine.handle(now, DhtInput::Track(info_hash, Tracked { announce_port, is_seed }));
    }

    /// No longer: it turned out to be private.
    pub(super) fn untrack(&mut self, now: Instant, info_hash: InfoHash) {
        self.machine.handle(now, DhtInput::Untrack(info_hash));
    }

    pub(super) fn sends(&mut self, now: Instant, to: SocketAddr) {
        if self.is_behind_nat {
            self.sent.insert(to, now);
        }
    }

    /// Whether what this address sends comes through.
    pub(super) fn lets_in(&self, now: Instant, from: SocketAddr) -> bool {
        let is_answer = self.sent.get(&from).is_some_and(|at| now.since(*at) < NAT_REMEMBERS);
        !self.is_behind_nat || is_answer
    }
}
