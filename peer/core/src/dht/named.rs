//! Nodes of which a peer or a torrent told us, and which could not be asked at once.
//!
//! Whoever knows few may hear of its way into the network so, and many can speak at one moment. They wait until somebody
//! else has answered, or has not. What one host tells of itself takes a part of the places only: it can tell of any port, and
//! an IPv6 one of any address of its /64.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};

use potluck_common::{Instant, announce::Family, krpc::Query};

use super::{
    Dht, FAMILIES,
    policy::{crowd_of, machine_of},
    rpc::Purpose,
    slot,
    table::BUCKET_NODES,
    upkeep::STRANGERS_MAX,
};

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
    /// else of the networks, and of the hosts in them, that have most. So whoever has one network has many hosts in vain; and
    /// whoever has many networks has a place for a while only, so that those who come later have their turn, too.
    fn push(&mut self, addr: SocketAddr) {
        if self.0.contains(&addr) {
            return;
        }
        let host = machine_of(addr.ip());
        let leaves = if self.of_host(host) >= WAITING_OF_HOST_MAX {
            self.0.iter().position(|known| machine_of(known.ip()) == host)
        } else if self.0.len() >= NAMED_MAX {
            let part = |known: &SocketAddr| (self.of_crowd(*known), self.of_host(machine_of(known.ip())));
            // Of equals the last is taken, which from behind is the first.
            self.0.iter().enumerate().rev().max_by_key(|(_, known)| part(known)).map(|(first, _)| first)
        } else {
            None
        };
        if let Some(first) = leaves {
            self.0.remove(first);
        }
        self.0.push_back(addr);
    }

    /// How many of this host wait.
    fn of_host(&self, host: IpAddr) -> usize {
        self.0.iter().filter(|known| machine_of(known.ip()) == host).count()
    }

    /// How many of the network of this one wait; a local one is alone.
    fn of_crowd(&self, addr: SocketAddr) -> usize {
        let crowd = crowd_of(addr);
        if crowd.is_none() {
            return 1;
        }
        self.0.iter().filter(|known| crowd_of(**known) == crowd).count()
    }

    pub(super) fn assert_invariants(&self) {
        assert!(self.0.len() <= NAMED_MAX, "too many wait");
        for addr in &self.0 {
            let of_host = self.of_host(machine_of(addr.ip()));
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
