//! Nodes of the DHT of which peers tell are asked, where nobody else is known: so whoever has one living peer in the DHT is in
//! it, too (BEP 5). And who tells of ports at which nobody is has few of them asked.

use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, SocketAddr},
};

use potluck_common::{Duration, Instant};

use super::{Checks, Violation};
use crate::wire::{net::HostId, world::World};

/// How long it may take until a node is asked.
const TIME: Duration = Duration::from_secs(10);

/// Ports of one hostile peer that a node may ask in that time: four at once, each until it is known to be silent.
const ASKED_MAX: usize = 20;

/// What is remembered of nodes of which peers told.
#[derive(Debug, Default)]
pub(super) struct Ports {
    /// Those of which each host was told, and which it has not asked yet, with when it was told.
    told: BTreeMap<(HostId, SocketAddr), Instant>,
    /// When each host lately asked a hostile one.
    asked: BTreeMap<(HostId, IpAddr), VecDeque<Instant>>,
}

impl Checks {
    /// A peer that keeps to the rules told this host of a node.
    pub(in crate::wire) fn told_of_node(&mut self, now: Instant, host: HostId, node: SocketAddr) {
        self.ports.told.entry((host, node)).or_insert(now);
    }

    /// The node of this host sent something.
    pub(in crate::wire) fn asks_node(&mut self, host: HostId, node: SocketAddr) {
        self.ports.told.remove(&(host, node));
    }

    /// The node of this host sent something to where hostile peers say that a node is.
    pub(in crate::wire) fn asks_hostile(
        &mut self,
        now: Instant,
        host: HostId,
        node: SocketAddr,
    ) -> Result<(), Violation> {
        let asked = self.ports.asked.entry((host, node.ip())).or_default();
        asked.push_back(now);
        while asked.front().is_some_and(|at| now.since(*at) > TIME) {
            asked.pop_front();
        }
        if asked.len() > ASKED_MAX {
            let what = format!("{host} asked {} ports of {} within {TIME:?}", asked.len(), node.ip());
            return Err(Violation::new("who tells of many ports has few asked", what));
        }
        Ok(())
    }

    /// The node of this host is no more.
    pub(in crate::wire) fn forget_nodes(&mut self, host: HostId) {
        self.ports.told.retain(|(teller, _), _| *teller != host);
        self.ports.asked.retain(|(teller, _), _| *teller != host);
    }
}

impl World<'_> {
    /// Looks whether those who were told a while ago asked, or know others.
    pub(in crate::wire) fn check_ports(&self) -> Result<(), Violation> {
        let now = self.now();
        for ((host, node), since) in &self.checks().ports.told {
            if now.since(*since) > TIME && self.dht_nodes_known(*host) == Some(0) {
                return Err(Violation::new(
                    "nodes that peers tell of are asked",
                    format!("{host} was told of {node} at {since:?}, did not ask it and knows nobody"),
                ));
            }
        }
        Ok(())
    }
}
