//! Which search begins next, and when.

use potluck_common::{Duration, InfoHash, Instant, announce::Family};

use super::{
    Dht, DhtEffect, FAMILIES, LOOKUP_PATIENCE, LookupId, SearchReport, search::Goal, slot, upkeep::Network,
};

/// One-off lookups that may wait.
pub(super) const LOOKUPS_WAITING_MAX: usize = 64;
/// Places for searches that ordinary ones leave to urgent ones.
const URGENT_PLACES: usize = 4;
/// Time between two searches, times the nodes that we know, and its bounds.
const SEARCH_GAP_OF_ONE_NODE: Duration = Duration::from_secs(10);
const SEARCH_GAP_MIN: Duration = Duration::from_millis(50);
const SEARCH_GAP_MAX: Duration = Duration::from_secs(2);

impl Dht {
    pub(super) fn lookup(&mut self, now: Instant, lookup: LookupId, info_hash: InfoHash) {
        if self.lookups.len() < LOOKUPS_WAITING_MAX {
            self.lookups.push_back((now, lookup, info_hash));
        } else {
            let report = SearchReport::default();
            self.out.push(DhtEffect::Searched { info_hash, lookup: Some(lookup), report });
        }
    }

    /// Begins the searches for which it is time and there is a place.
    pub(super) fn start_searches(&mut self, now: Instant) {
        let families: Vec<Family> =
            FAMILIES.into_iter().filter(|family| self.networks[slot(*family)].is_some()).collect();
        while self.has_place()
            && let Some((since, lookup, info_hash)) = self.lookups.front().copied()
            && (self.is_ready() || now.since(since) >= LOOKUP_PATIENCE)
        {
            self.lookups.pop_front();
            self.lookups_running += 1;
            self.search(now, Goal::Lookup(info_hash, lookup), Some(info_hash.into()), &families);
        }
        while self.has_place()
            && self.is_ready()
            && let Some((info_hash, tracked)) = self.tracked.start(now, self.has_ordinary_place(), self.gap())
        {
            self.search(now, Goal::Tracked(info_hash, tracked), Some(info_hash.into()), &families);
        }
    }

    pub(super) fn running(&self) -> usize {
        self.tracked.searching() + self.lookups_running
    }

    pub(super) fn has_place(&self) -> bool {
        self.running() < self.config.searches_max.max(1)
    }

    pub(super) fn has_ordinary_place(&self) -> bool {
        self.running() + URGENT_PLACES.min(self.config.searches_max / 2) < self.config.searches_max.max(1)
    }

    /// Time between two searches, over some time. Each asks some thirty nodes, and none of them should be asked more than
    /// three times a second: where there are few, they would take it for a flood.
    fn gap(&self) -> Duration {
        let nodes: usize = self.networks.iter().flatten().map(|network| network.table.len()).sum();
        (SEARCH_GAP_OF_ONE_NODE / (nodes as u32).max(1)).clamp(SEARCH_GAP_MIN, SEARCH_GAP_MAX)
    }

    pub(super) fn is_ready(&self) -> bool {
        self.networks.iter().flatten().any(Network::is_ready)
    }
}
