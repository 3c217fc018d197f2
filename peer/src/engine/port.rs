//! Our port as others see it: what the engine notices, and what the router was asked for.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use potluck_common::{
    AddrScope, Printable,
    control::{PortReach, PortSummary},
};
use potluck_core::reachability::{Evidence, Mapping, Reachability};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{EngineConfig, Shared, clock::Clock, lock};
use crate::{dht::DhtNode, port_map::PortMapper};

/// How often the node of the DHT hears whether others can reach us.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What is known of the port, and who keeps it mapped.
pub(super) struct Port {
    listen: u16,
    known: Mutex<Reachability>,
    mapper: Option<Arc<PortMapper>>,
}

impl Port {
    /// Of an engine that listens on these addresses.
    pub(super) fn new(clock: Clock, config: &EngineConfig, listen: &[SocketAddr]) -> Self {
        let port = listen.first().map_or(0, SocketAddr::port);
        let is_loopback = listen.iter().all(|address| address.ip().is_loopback());
        let mut known = Reachability::new(clock.now(), port, is_loopback);
        let mapper = (config.port_map && !is_loopback).then(PortMapper::new);
        if mapper.is_none() {
            known.set_mapping(Mapping::Off(Printable::new("the router is not asked for a port")));
        }
        Self { listen: port, known: Mutex::new(known), mapper }
    }

    /// Gives back what the router gave.
    pub(super) async fn shut_down(&self) {
        if let Some(mapper) = &self.mapper {
            mapper.shut_down().await;
        }
    }
}

impl Shared {
    /// Has the port mapped, if that is wanted, and follows what comes of it and of the DHT.
    pub(super) fn watch_port(self: &Arc<Self>) {
        if let Some(mapper) = &self.port.mapper {
            self.spawn(Arc::clone(mapper).run(self.config.bind, self.port.listen));
            self.spawn(follow(Arc::downgrade(self), mapper.watch()));
        }
        if let Some(node) = self.dht.node() {
            self.spawn(exchange(Arc::downgrade(self), node.clone()));
        }
    }

    /// The router says this now.
    pub(super) fn mapped(&self, mapping: Mapping) {
        self.dht.mapped(&mapping);
        lock(&self.port.known).set_mapping(mapping);
    }

    /// Somebody came whom we had not asked to.
    pub(crate) fn somebody_came(&self, ip: IpAddr, evidence: Evidence) {
        lock(&self.port.known).came(self.clock.now(), ip, evidence);
    }

    /// A peer took a connection of ours.
    pub(super) fn peer_reached(&self, ip: IpAddr) {
        lock(&self.port.known).reached(self.clock.now(), ip);
    }

    /// What is to be thought of our port.
    pub(super) fn port_summary(&self) -> PortSummary {
        lock(&self.port.known).summary(self.clock.now())
    }

    /// The port that peers at `ip` can connect to: who is near comes by itself, others by the router.
    pub(super) fn port_for(&self, ip: IpAddr) -> u16 {
        if AddrScope::of(ip).is_local() { self.port.listen } else { self.public_port() }
    }

    /// The port of our node of the DHT that peers at `ip` can ask, if there is one: it is that of the connections.
    pub(super) fn dht_port_for(&self, ip: IpAddr) -> Option<u16> {
        self.dht.port().map(|_| self.port_for(ip))
    }

    /// The port that trackers and the DHT are told: the router's, if it gave one.
    pub(crate) fn public_port(&self) -> u16 {
        lock(&self.port.known).mapping().external_port().unwrap_or(self.port.listen)
    }
}

/// Notes what the router says, until the engine is gone.
async fn follow(shared: Weak<Shared>, mut mapping: watch::Receiver<Mapping>) {
    while mapping.changed().await.is_ok() {
        let Some(shared) = shared.upgrade() else { return };
        let now = mapping.borrow_and_update().clone();
        shared.mapped(now);
    }
}

/// Carries what the node of the DHT sees to what is known of the port, and back whether others can reach it, until the engine is
/// gone.
async fn exchange(shared: Weak<Shared>, node: DhtNode) {
    let mut strangers = node.stranger();
    let mut tell_at = Instant::now();
    loop {
        let stranger = tokio::select! {
            changed = strangers.changed() => match changed {
                Ok(()) => *strangers.borrow_and_update(),
                Err(_) => return,
            },
            () = sleep_until(tell_at) => None,
        };
        let Some(shared) = shared.upgrade() else { return };
        if let Some(ip) = stranger {
            shared.somebody_came(ip, Evidence::Datagram);
        } else {
            tell_at = Instant::now() + TELL_EVERY;
            node.set_reachable(shared.port_summary().reach != PortReach::Closed);
        }
    }
}
