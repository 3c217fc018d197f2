//! Between whom bytes pass, and how long they take.

use std::collections::{BTreeMap, BTreeSet};

use potluck_common::{Duration, Instant, Rng};

use super::HostId;
use crate::wire::plan::NetworkPlan;

/// The ways between hosts.
#[derive(Debug)]
pub(in crate::wire) struct Paths {
    longest_way: Duration,
    jitter_max: Duration,
    rng: Rng,
    delays: BTreeMap<(HostId, HostId), Duration>,
    /// Nothing passes from the one to the other until then; it is not lost.
    clogs: BTreeMap<(HostId, HostId), Instant>,
    /// These and the others do not hear each other.
    cut: BTreeSet<HostId>,
    /// Hosts without power.
    down: BTreeSet<HostId>,
}

impl Paths {
    pub(super) fn new(plan: &NetworkPlan, rng: Rng) -> Self {
        Self {
            longest_way: plan.longest_way,
            jitter_max: plan.jitter_max,
            rng,
            delays: BTreeMap::new(),
            clogs: BTreeMap::new(),
            cut: BTreeSet::new(),
            down: BTreeSet::new(),
        }
    }

    /// How long a segment takes this time.
    pub(in crate::wire) fn delay(&mut self, from: HostId, to: HostId) -> Duration {
        let (rng, most) = (&mut self.rng, self.longest_way);
        let pair = (from.min(to), from.max(to));
        let usual = *self.delays.entry(pair).or_insert_with(|| most.mul_f64(rng.fraction()));
        usual + self.jitter_max.mul_f64(self.rng.fraction())
    }

    pub(in crate::wire) fn is_cut(&self, one: HostId, other: HostId) -> bool {
        self.cut.contains(&one) != self.cut.contains(&other)
    }

    /// Until when what comes from the one to the other is held; for ever while the network is torn.
    pub(super) fn held_until(&self, now: Instant, from: HostId, to: HostId) -> Option<Instant> {
        if self.is_cut(from, to) {
            return Some(Instant::FAR_FUTURE);
        }
        self.clogs.get(&(from, to)).copied().filter(|until| *until > now)
    }

    pub(in crate::wire) fn clog(&mut self, from: HostId, to: HostId, until: Instant) {
        self.clogs.insert((from, to), until);
    }

    pub(in crate::wire) fn tear(&mut self, cut: BTreeSet<HostId>) {
        self.cut = cut;
    }

    pub(in crate::wire) fn heal(&mut self) {
        self.cut.clear();
        self.clogs.clear();
    }

    pub(in crate::wire) fn set_up(&mut self, host: HostId, is_up: bool) {
        if is_up {
            self.down.remove(&host);
        } else {
            self.down.insert(host);
        }
    }

    pub(in crate::wire) fn is_up(&self, host: HostId) -> bool {
        !self.down.contains(&host)
    }
}
