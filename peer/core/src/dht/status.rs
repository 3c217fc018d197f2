//! How the node is, what it leaves to the next run, and what must hold of it.

use potluck_common::{Duration, InfoHash, Instant, announce::Family, krpc::NodeInfo};

use super::{
    BOOTSTRAP_MAX, Dht, DhtSaved, DhtState, DhtStatus, FamilyStatus, PROVEN_MAX, SAVED_NODES_MAX, SILENT_MAX,
    TrackedStatus, leg::Leg, slot, turns::LOOKUPS_WAITING_MAX,
};

impl Dht {
    /// How the node is.
    pub fn status(&self, now: Instant) -> DhtStatus {
        let family = |family: Family| {
            self.networks[slot(family)].as_ref().map(|network| FamilyStatus {
                id: network.table.own(),
                nodes: network.table.len(),
                good: network.table.good(now),
                external: network.external,
            })
        };
        let (ipv4, ipv6) = (family(Family::V4), family(Family::V6));
        DhtStatus {
            searches: self.running() + self.lookups.len(),
            tracked: self.tracked.len(),
            torrents_stored: self.store.torrents(),
            peers_stored: self.store.peers(),
            state: self.state([ipv4, ipv6].iter().flatten().map(|family| family.good).sum()),
            ipv4,
            ipv6,
        }
    }

    fn state(&self, good: usize) -> DhtState {
        let networks = || self.networks.iter().flatten();
        if networks().next().is_none() {
            return DhtState::Off;
        }
        if good > 0 {
            let read_only = self.is_read_only();
            return DhtState::Joined { good, read_only, by_choice: self.config.read_only };
        }
        if networks().any(|network| network.join_at.is_none()) {
            return DhtState::Joining;
        }
        let retry_at = networks().filter_map(|network| network.join_at).min().unwrap_or(Instant::FAR_FUTURE);
        if retry_at == Instant::FAR_FUTURE { DhtState::NoNodes } else { DhtState::Alone { retry_at } }
    }

    /// What is worth keeping for the next run: our ids and nodes that answered lately, and after them those of earlier runs
    /// of which nothing bad is known.
    pub fn saved(&self, now: Instant) -> DhtSaved {
        let [ipv4_id, ipv6_id] =
            [0, 1].map(|slot: usize| self.networks[slot].as_ref().map(|network| network.table.own()));
        let mut nodes = Vec::new();
        for network in self.networks.iter().flatten() {
            let good = network.table.nodes().filter(|node| node.is_good(now)).map(|node| node.info);
            let good: Vec<NodeInfo> = good.take(SAVED_NODES_MAX).collect();
            let is_new =
                |node: &&NodeInfo| good.iter().all(|known| known.addr != node.addr && known.id != node.id);
            nodes.extend(good.iter().chain(network.saved.iter().filter(is_new)).take(SAVED_NODES_MAX));
        }
        DhtSaved { ipv4_id, ipv6_id, nodes }
    }

    /// The nodes of the routing tables, and how long their answers take.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeInfo, Duration)> {
        self.networks
            .iter()
            .flatten()
            .flat_map(|network| network.table.nodes())
            .map(|node| (node.info, node.rtt))
    }

    /// How a tracked torrent is; `None` if it is not tracked.
    pub fn tracked(&self, info_hash: &InfoHash) -> Option<TrackedStatus> {
        self.tracked.status(info_hash)
    }

    /// Checks what must hold between any two calls.
    pub fn assert_invariants(&self) {
        for network in self.networks.iter().flatten() {
            network.table.assert_invariants();
            network.named.assert_invariants();
        }
        self.rpc.assert_invariants();
        self.tracked.assert_invariants();
        self.guard.assert_invariants();
        self.store.assert_invariants();
        assert!(self.unfit.len() <= 2 * SILENT_MAX);
        assert!(self.silent.len() <= 2 * SILENT_MAX && self.proven.len() <= 2 * PROVEN_MAX);
        assert!(self.running() <= self.config.searches_max.max(1), "too many searches");
        assert!(self.bootstrap.len() <= BOOTSTRAP_MAX && self.lookups.len() <= LOOKUPS_WAITING_MAX);
        let running = self.searches.values().filter(|search| search.goal.info_hash().is_some()).count();
        assert_eq!(running, self.running(), "every search is counted");
        for search in self.searches.values() {
            search.legs.iter().for_each(Leg::assert_invariants);
        }
    }
}
