//! What an engine does as a whole: its payload, rates, connections and slots, without a look at each torrent.

use std::{
    net::SocketAddr,
    sync::{Mutex, atomic::Ordering},
};

use potluck_common::{
    Instant,
    control::{DhtSummary, PortSummary},
};
use potluck_core::{rate::RateMeter, session::SessionEvent};

use super::{Engine, Shared, lock};

/// An engine at one moment. Sizes are in bytes, rates in bytes per second over the last five seconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EngineStatus {
    /// Payload that comes.
    pub down_rate: u64,
    /// Payload that is sent.
    pub up_rate: u64,
    /// Payload that came in this run, with what was thrown away.
    pub downloaded: u64,
    /// Payload that was sent in this run.
    pub uploaded: u64,
    /// Peers of all torrents that are past their handshake.
    pub connections: usize,
    /// Most of them.
    pub connections_max: usize,
    /// Upload slots of all torrents together.
    pub slots: u32,
    /// Whether their number follows what the uplink carries.
    pub slots_are_automatic: bool,
    /// The addresses that it listens on.
    pub listen: Vec<SocketAddr>,
    /// The node of the distributed hash table.
    pub dht: DhtSummary,
    /// Whether strangers can connect to us.
    pub port: PortSummary,
}

/// The payload of all torrents of an engine.
#[derive(Default)]
pub(super) struct Traffic(Mutex<Meters>);

#[derive(Default)]
struct Meters {
    down: RateMeter,
    up: RateMeter,
}

/// Payload in both directions, in bytes or in bytes per second.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Payload {
    pub(super) down: u64,
    pub(super) up: u64,
}

impl Payload {
    /// What a session reported.
    pub(super) fn of(events: &[SessionEvent]) -> Self {
        let mut payload = Self::default();
        for event in events {
            match event {
                SessionEvent::Uploaded(bytes) => payload.up += bytes,
                SessionEvent::Wasted(bytes) => payload.down += bytes,
                SessionEvent::Received(spans) => {
                    payload.down += spans.iter().map(|span| u64::from(span.length)).sum::<u64>();
                }
                _ => {}
            }
        }
        payload
    }
}

impl Traffic {
    pub(super) fn count(&self, now: Instant, payload: Payload) {
        if payload == Payload::default() {
            return;
        }
        let mut meters = lock(&self.0);
        meters.down.add(now, payload.down);
        meters.up.add(now, payload.up);
    }

    /// What passes each second.
    pub(super) fn rates(&self, now: Instant) -> Payload {
        let mut meters = lock(&self.0);
        Payload { down: meters.down.recent(now), up: meters.up.recent(now) }
    }

    fn totals(&self) -> Payload {
        let meters = lock(&self.0);
        Payload { down: meters.down.total(), up: meters.up.total() }
    }
}

impl Shared {
    /// The engine's limit of what comes, in bytes per second, if all of it is used.
    pub(super) fn down_limit_reached(&self, now: Instant) -> Option<u64> {
        let limit = lock(&self.limits).down?;
        (self.traffic.rates(now).down >= limit / 10 * 9).then_some(limit)
    }
}

impl Engine {
    /// What it does at the moment. The cost does not grow with the number of torrents.
    pub fn status(&self) -> EngineStatus {
        let shared = &self.shared;
        let (rates, totals) = (shared.traffic.rates(shared.clock.now()), shared.traffic.totals());
        EngineStatus {
            down_rate: rates.down,
            up_rate: rates.up,
            downloaded: totals.down,
            uploaded: totals.up,
            connections: shared.connections.load(Ordering::Relaxed),
            connections_max: shared.config.connections_max,
            slots: shared.slots.size(),
            slots_are_automatic: shared.slots.is_automatic(),
            dht: shared.dht.summary(),
            port: shared.port_summary(),
            listen: shared.listen.clone(),
        }
    }
}
