//! The peers of a private torrent are told by its trackers and by users, and by nobody else (BEP 27).

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use super::{Checks, Violation};
use crate::wire::{
    net::{End, HostId},
    node::Told,
    world::World,
};

const PROPERTY: &str = "a private torrent is told by its trackers";

/// Whom each node may know: who was named to it, and who came to it.
#[derive(Debug, Default)]
pub(super) struct Named(BTreeMap<HostId, BTreeSet<IpAddr>>);

impl Checks {
    /// What this node knew goes with its run.
    pub(in crate::wire) fn forget_named(&mut self, host: HostId) {
        self.named.0.remove(&host);
    }
}

impl World<'_> {
    /// A tracker or the user named these to a node.
    pub(in crate::wire) fn note_named(&mut self, host: HostId, peers: &[SocketAddr]) {
        if self.plan().beyond.is_private {
            let named = self.checks_mut().named.0.entry(host).or_default();
            named.extend(peers.iter().map(SocketAddr::ip));
        }
    }

    /// Somebody connected to a node that knows that the torrent is private.
    pub(in crate::wire) fn note_visit(&mut self, host: HostId, end: End) {
        let remote = self.network().half(end).map(|half| half.remote);
        self.note_named(host, remote.as_slice());
    }

    /// A torrent dials this address; one without metadata may not know yet that it is private.
    pub(in crate::wire) fn check_dial(&self, host: HostId, to: SocketAddr) -> Result<(), Violation> {
        let knows = self.nodes().get(&host).is_some_and(|node| node.machine.is_some());
        let is_named = || self.checks().named.0.get(&host).is_some_and(|named| named.contains(&to.ip()));
        if self.plan().beyond.is_private && knows && !is_named() {
            return Err(Violation::new(PROPERTY, format!("{host} dials {to}, whom nobody named")));
        }
        Ok(())
    }

    /// A peer told a torrent of others, or of its DHT node.
    pub(in crate::wire) fn check_telling(&self, host: HostId, told: Told) -> Result<(), Violation> {
        let teller = self.host_at_other_end(told.by).filter(|other| self.role(*other).is_node());
        match teller.filter(|_| self.plan().beyond.is_private) {
            Some(other) => Err(Violation::new(PROPERTY, format!("{other} tells {host}: {:?}", told.what))),
            None => Ok(()),
        }
    }
}
