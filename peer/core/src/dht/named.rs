//! Nodes of which a peer or a torrent told us, and which could not be asked at once.
//!
//! Whoever knows few may hear of its way into the network so, and many can speak at one moment. They wait until somebody
//! else has answered, or has not. What one host tells of itself takes a part of the places only: it can tell of any port.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};

use potluck_common::{Instant, announce::Family, krpc::Query};

use super::{Dht, FAMILIES, rpc::Purpose, slot, table::BUCKET_NODES, upkeep::STRANGERS_MAX};

/// Nodes of one address family that wait.
const NAMED_MAX: usize = 32;
/// Ports of one host among them, and among those that are asked: most of many are not there.
const WAITING_OF_HOST_MAX: usize = NAMED_MAX / 4;
const ASKED_OF_HOST_MAX: usize = STRANGERS_MAX / 2;

/// Addresses, each once; who has waited longest comes first.
#[derive(Clone, Default, Debug)]
pub(super) struct Named(VecDeque<SocketAddr>);

impl Named {
    /// One more waits. Where there is no room for it, whoever has waited longest goes: of its host if that has its part, and
    /// else of the host that has most.
    fn push(&mut self, addr: SocketAddr) {
        if self.0.contains(&addr) {
            return;
        }
        let waiting = |ip: IpAddr| self.0.iter().filter(|known| known.ip() == ip).count();
        let leaves = if waiting(addr.ip()) >= WAITING_OF_HOST_MAX {
            Some(addr.ip())
        } else if self.0.len() >= NAMED_MAX {
            self.0.iter().map(SocketAddr::ip).max_by_key(|ip| waiting(*ip))
        } else {
            None
        };
        if let Some(first) = self.0.iter().position(|known| Some(known.ip()) == leaves) {
            self.0.remove(first);
        }
        self.0.push_back(addr);
    }

    pub(super) fn assert_invariants(&self) {
        assert!(self.0.len() <= NAMED_MAX, "too many wait");
        for addr in &self.0 {
            let of_host = self.0.iter().filter(|known| known.ip() == addr.ip()).count();
            assert!(of_host <= WAITING_OF_HOST_MAX, "too many of {} wait", addr.ip());
        }
    }
}

impl Dht {
    /// Somebody whom we have reason to listen to says that there is a node. It will be asked whether it is there.
    pub(super) fn told_of(&mut self, now: Instant, addr: SocketAddr) {
        self.heard_of(now, addr);
        let is_settled = self.rpc.is_probed(addr) || self.silent.contains(now, addr);
        let Some(network) = self.networks[slot(Family::of(addr.ip()))].as_mut().filter(|_| !is_settled)
        else {
            return;
        };
        network.named.push(addr);
        self.ask_named(now);
    }

    /// Asks those who wait, as far as there are places now: before anybody else gets them.
    pub(super) fn ask_named(&mut self, now: Instant) {
        for family in FAMILIES {
            while let Some(addr) = self.next_named(family) {
                self.probe(now, addr, None, Query::Ping, Purpose::Meet);
            }
        }
    }

    /// Who is to be asked now; it waits no longer.
    fn next_named(&mut self, family: Family) -> Option<SocketAddr> {
        if !self.may_probe(Purpose::Meet) {
            // Who knows many does not need to wait for anybody.
            let network = self.networks[slot(family)].as_mut();
            network.filter(|network| network.table.len() >= BUCKET_NODES)?.named.0.clear();
            return None;
        }
        let named = &mut self.networks[slot(family)].as_mut()?.named.0;
        let asked = |addr: &SocketAddr| self.rpc.probes_of_host(addr.ip());
        // Whose host has fewest of the places, so that a host with many ports keeps nobody waiting.
        let waiting = named.iter().enumerate().filter(|(_, addr)| asked(addr) < ASKED_OF_HOST_MAX);
        let (next, _) = waiting.min_by_key(|(_, addr)| asked(addr))?;
        named.remove(next)
    }
}
