//! Whose turn it is to be dialled.

use std::net::SocketAddr;

use potluck_common::{Instant, control::PeerSource};

use super::{PeerBook, entry::Phase, outcomes::RETRY_MAX};

impl PeerBook {
    /// The next address that is due, marked as being dialled: the user's first, then those of each source by turns.
    pub(crate) fn next_due(&mut self, now: Instant) -> Option<SocketAddr> {
        self.look(now);
        loop {
            let source = self.next_turn(now)?;
            let (_, _, address) = *self.ready[source as usize].first()?;
            let parts = self.is_seed && self.entries[&address].is_said_to_be_seed();
            if parts {
                self.set_phase(address, Phase::Parted);
                continue;
            }
            if self.bans.has(now, address.ip(), None) {
                self.set_phase(address, Phase::Waiting(now + RETRY_MAX));
                continue;
            }
            if is_of_strangers(source) {
                self.strangers.spend(now);
            }
            self.last_turn = source;
            self.set_phase(address, Phase::Dialing);
            return Some(address);
        }
    }

    /// Moves whoever is due by now to `ready`.
    fn look(&mut self, now: Instant) {
        self.looked_at = self.looked_at.max(now);
        while let Some((at, address)) = self.waiting.first().copied().filter(|(at, _)| *at <= self.looked_at)
        {
            self.waiting.remove(&(at, address));
            let entry = &self.entries[&address];
            self.ready[entry.source() as usize].insert(entry.rank(address));
        }
    }

    /// The source that is next to have somebody dialled.
    fn next_turn(&self, now: Instant) -> Option<PeerSource> {
        if !self.ready[PeerSource::User as usize].is_empty() {
            return Some(PeerSource::User);
        }
        let has_budget = self.strangers.has(now);
        let may = |source: &PeerSource| {
            !self.ready[*source as usize].is_empty() && (has_budget || !is_of_strangers(*source))
        };
        // From the greatest worth down, beginning below the last one.
        let mut down = PeerSource::ALL.into_iter().rev();
        let below = down.clone().find(|source| *source < self.last_turn && may(source));
        below.or_else(|| down.find(may))
    }
}

/// Whether anybody at all may give addresses in this way.
pub(super) fn is_of_strangers(source: PeerSource) -> bool {
    matches!(source, PeerSource::Pex | PeerSource::Dht | PeerSource::Lsd | PeerSource::Link)
}
