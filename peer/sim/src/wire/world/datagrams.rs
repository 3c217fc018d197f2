//! Datagrams, which may be lost, come twice or in another order, and the nodes of the DHT that send them.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use potluck_common::{Duration, Instant};
use potluck_core::{
    dht::{DhtEffect, DhtInput},
    torrent::{Input, Source},
};

use super::{Happening, World};
use crate::wire::{
    check::{Checks, Violation},
    dht::DhtNode,
    net::HostId,
    plan::Role,
    sabotage::Sabotage,
};

impl World<'_> {
    /// A host that is up joins the DHT, where there is one.
    pub(super) fn join_dht(&mut self, host: HostId, run: u32) {
        if !self.plan.has_dht() {
            return;
        }
        let now = self.now();
        if self.dht.contains_key(&host) {
            // What was a magnet goes on as a torrent.
            return self.track(host, run);
        }
        let bootstrap = self.bystanders().filter(|other| *other != host).take(3);
        let bootstrap = bootstrap.map(|other| self.address(other)).collect();
        let is_behind_nat = !self.plan.members[host].is_dialable;
        let saved = self.dht_saved.remove(&host);
        let node = DhtNode::new(bootstrap, saved, is_behind_nat, self.rng.next_u64(), now);
        self.dht.insert(host, node);
        self.track(host, run);
    }

    /// The torrent of this host is looked for, unless it is known to be private.
    fn track(&mut self, host: HostId, run: u32) {
        let (now, port, info_hash) = (self.now(), self.address(host).port(), self.metadata.info_hash);
        let has_metadata = self.nodes.get(&host).is_some_and(|node| node.machine.is_some());
        let may_ask = self.role(host) != Role::Bystander && !(has_metadata && self.plan.is_private());
        let Some(node) = self.dht.get_mut(&host) else { return };
        if may_ask {
            node.track(now, info_hash, port, false);
        } else {
            node.untrack(now, info_hash);
        }
        self.wake_dht_at(host, run, now);
    }

    /// The port of this host's DHT node, as its peers are told of it.
    pub(super) fn dht_port(&self, host: HostId) -> Option<u16> {
        let tells = self.plan.beyond.tells_ports && self.dht.contains_key(&host);
        tells.then(|| self.address(host).port())
    }

    /// A peer told of its DHT node.
    pub(super) fn hear_of_node(&mut self, host: HostId, run: u32, node: SocketAddr) -> Result<(), Violation> {
        let now = self.now();
        if !self.is_hostile_at(node.ip()) {
            self.checks.told_of_node(now, host, node);
        } else if self.is_sabotaged(Sabotage::AsksEveryPort) {
            (1..=30).try_for_each(|port| {
                self.send_datagram(host, SocketAddr::new(node.ip(), port), &Bytes::from_static(b"de"))
            })?;
        }
        if !self.is_sabotaged(Sabotage::ForgetsPorts) {
            self.tell_dht(host, run, DhtInput::Node(node));
        }
        Ok(())
    }

    fn is_hostile_at(&self, ip: IpAddr) -> bool {
        self.host_at(ip).is_some_and(|host| matches!(self.role(host), Role::Hostile(_)))
    }

    fn bystanders(&self) -> impl Iterator<Item = HostId> {
        (0..self.plan.members.len()).filter(|host| self.role(*host) == Role::Bystander)
    }

    /// The node goes with its host; what it knew may have been written down.
    pub(super) fn leave_dht(&mut self, host: HostId) {
        let now = self.now();
        self.checks.forget_nodes(host);
        if let Some(node) = self.dht.remove(&host)
            && self.rng.below(2) == 0
        {
            self.dht_saved.insert(host, node.machine.saved(now));
        }
    }

    /// Tells the node of a host something.
    pub(super) fn tell_dht(&mut self, host: HostId, run: u32, input: DhtInput) {
        let now = self.now();
        if let Some(node) = self.dht.get_mut(&host) {
            node.machine.handle(now, input);
            self.wake_dht_at(host, run, now);
        }
    }

    /// The torrent of this host has all that it wants.
    pub(super) fn announce_as_seed(&mut self, host: HostId, run: u32) {
        let (now, port, info_hash) = (self.now(), self.address(host).port(), self.metadata.info_hash);
        let is_private = self.plan.is_private();
        if let Some(node) = self.dht.get_mut(&host).filter(|_| !is_private) {
            node.track(now, info_hash, port, true);
            self.wake_dht_at(host, run, now);
        }
    }

    fn wake_dht_at(&mut self, host: HostId, run: u32, at: Instant) {
        let Some(node) = self.dht.get_mut(&host) else { return };
        if node.wake_at.is_none_or(|known| at < known) {
            node.wake_at = Some(at);
            self.agenda.at(at, Happening::Dht(host, run));
        }
    }

    pub(super) fn run_dht(&mut self, host: HostId, run: u32) -> Result<(), Violation> {
        let now = self.now();
        let Some(node) = self.dht.get_mut(&host).filter(|node| node.wake_at == Some(now)) else {
            return Ok(());
        };
        node.wake_at = None;
        self.checks.dht_woke(host, now)?;
        if node.machine.poll_timeout().is_some_and(|at| at <= now) {
            node.machine.handle_timeout(now);
        }
        if Checks::is_time_for_recounts(&mut self.rng) {
            node.machine.assert_invariants();
        }
        while let Some(effect) = self.dht.get_mut(&host).and_then(|node| node.machine.poll_effect()) {
            self.trace.note(now, &[12, host as u64], format_args!("{host} in the DHT: {effect:?}"));
            match effect {
                DhtEffect::Send { to, payload } => self.send_datagram(host, to, &payload.into())?,
                DhtEffect::Peers { info_hash, peers, .. } if info_hash == self.metadata.info_hash => {
                    self.tell_torrent(host, run, Input::Candidates(peers, Source::Dht));
                }
                DhtEffect::Peers { .. } | DhtEffect::Searched { .. } => {}
            }
        }
        let next = self.dht.get(&host).and_then(|node| node.machine.poll_timeout());
        if let Some(at) = next {
            self.wake_dht_at(host, run, at.max(now));
        }
        Ok(())
    }

    fn send_datagram(&mut self, from: HostId, to: SocketAddr, payload: &Bytes) -> Result<(), Violation> {
        let now = self.now();
        self.checks.asks_node(from, to);
        if self.is_hostile_at(to.ip()) {
            self.checks.asks_hostile(now, from, to)?;
        }
        let Some(other) = self.host_at(to.ip()).filter(|other| self.address(*other) == to) else {
            return Ok(());
        };
        if let Some(node) = self.dht.get_mut(&from) {
            node.sends(now, to);
        }
        // After the storm nothing is lost.
        let chance = if self.is_healed { 0 } else { self.plan.network.datagram_loss_percent };
        let copies = if self.rng.below(100) < chance { self.rng.below(2) * 2 } else { 1 };
        for _ in 0..copies {
            let late = if self.rng.below(100) < chance { self.rng.below(2_000) } else { 0 };
            let delay = self.network.paths.delay(from, other) + Duration::from_millis(u64::from(late));
            let payload = payload.clone();
            self.agenda.after(delay, Happening::Datagram { from, to: other, payload });
        }
        Ok(())
    }

    pub(super) fn datagram(&mut self, from: HostId, to: HostId, payload: Bytes) {
        let now = self.now();
        let address = self.address(from);
        let is_lost = self.network.paths.is_cut(from, to) || !self.network.paths.is_up(to);
        let Some(node) = self.dht.get_mut(&to).filter(|node| !is_lost && node.lets_in(now, address)) else {
            return;
        };
        self.network.digest.bytes(&payload);
        node.machine.handle(now, DhtInput::Datagram { from: address, payload });
        let run = self.nodes.get(&to).map_or(0, |node| node.run);
        self.wake_dht_at(to, run, now);
    }
}
