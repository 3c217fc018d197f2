//! Nodes of the DHT of which peers tell are asked, where nobody else is known: so whoever has one living peer in the DHT is in
//! it, too (BEP 5).

use std::{collections::BTreeMap, net::SocketAddr};

use potluck_common::{Duration, Instant};

use super::{Checks, Violation};
use crate::wire::{net::HostId, world::World};

/// How long it may take until a node is asked.
const TIME: Duration = Duration::from_secs(10);

/// Nodes of which each host was told, and which it has not asked yet, with when it was told.
#[derive(Debug, Default)]
pub(super) struct Ports(BTreeMap<(HostId, SocketAddr), Instant>);

impl Checks {
    /// A peer told this host of a node.
    pub(in crate::wire) fn told_of_node(&mut self, now: Instant, host: HostId, node: SocketAddr) {
        self.ports.0.entry((host, node)).or_insert(now);
    }

    /// The node of this host sent something.
    pub(in crate::wire) fn asks_node(&mut self, host: HostId, node: SocketAddr) {
        self.ports.0.remove(&(host, node));
    }

    /// The node of this host is no more.
    pub(in crate::wire) fn forget_nodes(&mut self, host: HostId) {
        self.ports.0.retain(|(teller, _), _| *teller != host);
    }
}

impl World<'_> {
    /// Looks whether those who were told a while ago asked, or know others.
    pub(in crate::wire) fn check_ports(&self) -> Result<(), Violation> {
        let now = self.now();
        for ((host, node), since) in &self.checks().ports.0 {
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
