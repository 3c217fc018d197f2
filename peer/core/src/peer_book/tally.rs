//! What the book comes to, for people and for the next run.

use std::net::SocketAddr;

use potluck_common::control::PeerSource;

use super::{Entry, PeerBook, Phase};

/// Most addresses handed on to the next run.
const KEPT_MAX: usize = 50;

/// The addresses of one source.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Tally {
    /// Different addresses that it gave, whether they are still known or not.
    pub(crate) found: u32,
    /// Those that are known and of which it is the best source.
    pub(crate) known: u32,
}

impl PeerBook {
    /// What came from this source.
    pub(crate) fn tally(&self, source: PeerSource) -> Tally {
        Tally { found: self.found[source as usize], known: self.known[source as usize] as u32 }
    }

    /// The best addresses for the next run, the best first: where somebody was met, those first where payload passed, then
    /// those of whom we last heard; after them where somebody says to listen who gave or took payload, and what earlier
    /// runs handed on.
    pub(crate) fn best(&self) -> Vec<SocketAddr> {
        let is_good = |entry: &Entry| {
            let was_good = entry.sources.has(PeerSource::Resume);
            (entry.is_met() || entry.is_proved || was_good) && entry.phase != Phase::Retired
        };
        let mut good: Vec<_> = self.entries.iter().filter(|(_, entry)| is_good(entry)).collect();
        good.sort_by_key(|(_, entry)| {
            let is_there = entry.phase == Phase::Connected;
            std::cmp::Reverse((entry.is_met(), entry.is_proved, is_there, entry.met_at))
        });
        good.into_iter().take(KEPT_MAX).map(|(address, _)| *address).collect()
    }
}
