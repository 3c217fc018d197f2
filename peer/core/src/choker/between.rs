//! Between rounds: what becomes free is filled, and nobody is unchoked for long without a slot.

use potluck_common::Instant;

use super::{
    Choker,
    peer::{Peer, Slot, State},
    round::draw,
};
use crate::PeerKey;

/// While we download, so many slots are given on trial at once when they become free; others wait for the round.
const TRIALS_AT_ONCE: usize = 1;

impl Choker {
    /// What follows between rounds from anything that happened: slots of those who want nothing become free, and
    /// free slots are filled.
    pub(super) fn settle(&mut self, now: Instant) {
        self.settled = now;
        self.shrink(now);
        self.choke_the_sated(now);
        self.place_spares(now);
        self.fill(now);
        self.retry = self.next_unlock(now);
    }

    /// The same when only this peer's wishes changed, without a look at all others: while strangers wait for the round,
    /// nobody else could get a slot by that.
    pub(super) fn settle_for(&mut self, now: Instant, key: PeerKey) {
        if self.strangers_may_come() {
            return self.settle(now);
        }
        self.settled = now;
        self.place_spares(now);
        let peer = &self.peers[&key];
        let comes = peer.waits() && !peer.is_locked(now, self.config.round);
        if comes && self.slotted < self.slots_to_fill() && self.can_earn(now, key) {
            self.decide(now, key, State::Slotted(Slot::Earned));
        }
        self.retry = self.next_unlock(now);
    }

    /// Whether somebody who does not repay may get a slot before the round ends.
    fn strangers_may_come(&self) -> bool {
        self.seeding || self.slotted < TRIALS_AT_ONCE
    }

    /// Takes slots back when there are fewer than before: trials first, then those who give least.
    fn shrink(&mut self, now: Instant) {
        while self.slotted > self.total() {
            let slotted = self.unchoked.iter().filter(|key| self.peers[*key].slot().is_some());
            let merit = |key: &PeerKey| {
                let peer = &self.peers[key];
                (peer.slot() == Some(Slot::Earned), peer.got.per_second(now, self.round), *key)
            };
            let (.., key) = slotted.map(merit).min().expect("more than some number of peers is at least one");
            self.decide(now, key, State::Spare);
        }
    }

    /// Finds slots for those who are unchoked without one and want something. Where none is free, BEP 3 chokes the
    /// slowest of those who earned theirs; if that is not somebody else, the peer itself is choked, as soon as its
    /// last flip is old enough.
    fn place_spares(&mut self, now: Instant) {
        if !self.has_spares() {
            return;
        }
        let spare = |key: &&PeerKey| {
            let peer = &self.peers[*key];
            peer.is_spare() && peer.wants()
        };
        for key in self.unchoked.iter().filter(spare).copied().collect::<Vec<_>>() {
            if self.slotted < self.total() {
                let claim = self.peers[&key].claim();
                let slot = claim.unwrap_or_else(|| self.slot_between_rounds(now, key));
                self.decide(now, key, State::Slotted(slot));
            } else if let Some(slowest) = self.slower_earned(now, key) {
                let behind = self.config.slots.earned() as u32 + 1;
                self.with(slowest, |peer| peer.rank = behind);
                self.decide(now, slowest, State::Choked);
                self.decide(now, key, State::Slotted(Slot::Earned));
            } else if !self.peers[&key].is_locked(now, self.config.round) {
                self.decide(now, key, State::Choked);
            }
        }
    }

    /// Whether anybody is unchoked without a slot.
    fn has_spares(&self) -> bool {
        self.unchoked.len() > self.slotted
    }

    /// The slowest holder of an earned slot that is slower than `key` and may be choked.
    fn slower_earned(&self, now: Instant, key: PeerKey) -> Option<PeerKey> {
        if self.seeding || self.peers[&key].snubs() {
            return None;
        }
        let rate = |key: &PeerKey| self.peers[key].got.per_second(now, self.round);
        let free = |key: &&PeerKey| {
            let peer = &self.peers[*key];
            peer.slot() == Some(Slot::Earned) && !peer.is_locked(now, self.config.round)
        };
        let slowest = self.unchoked.iter().filter(free).map(|key| (rate(key), *key)).min()?;
        (slowest.0 < rate(&key)).then_some(slowest.1)
    }

    /// Fills free slots, but for those that are kept for who had them.
    fn fill(&mut self, now: Instant) {
        let slots = self.slots_to_fill();
        if self.slotted >= slots || self.wanting <= self.slotted {
            return;
        }
        let mut waiting = self.waiting(now);
        while self.slotted < slots {
            let Some(key) = self.next_to_fill(now, &mut waiting) else { break };
            let slot = self.slot_between_rounds(now, key);
            self.decide(now, key, State::Slotted(slot));
        }
    }

    /// The slots that may be taken before the round ends. Whoever wants nothing often wants the next piece a moment later:
    /// good pairs would be torn by giving its slot away. But the uplink must have something to do.
    fn slots_to_fill(&self) -> usize {
        let resting = self.resting();
        let free = self.total().saturating_sub(resting);
        // Whoever is unchoked can take, whatever it says that it wants: slots are not vacated by saying so.
        if self.seeding || resting > self.total() { free } else { free.max(self.total().min(TRIALS_AT_ONCE)) }
    }

    /// Peers that are unchoked without a slot, in the place of somebody else.
    pub(super) fn resting(&self) -> usize {
        if !self.has_spares() {
            return 0;
        }
        let rests = |peer: &Peer| peer.rests() || self.seeding && peer.is_spare();
        self.unchoked.iter().filter(|key| rests(&self.peers[*key])).count()
    }

    /// A seed chokes whoever wants nothing, as soon as its last flip is old enough and somebody waits for its place.
    /// (With a place to spare it may stay: who is super-seeded wants nothing between any two pieces.)
    fn choke_the_sated(&mut self, now: Instant) {
        if !self.seeding {
            return;
        }
        let hold = self.config.round;
        let sated = |peer: &Peer| peer.is_spare() && !peer.wants() && !peer.is_locked(now, hold);
        for key in self.unchoked.iter().copied().filter(|key| sated(&self.peers[key])).collect::<Vec<_>>() {
            if self.wanting > self.slotted && self.slotted >= self.slots_to_fill() {
                self.decide(now, key, State::Choked);
            }
        }
    }

    fn next_to_fill(&mut self, now: Instant, waiting: &mut Vec<PeerKey>) -> Option<PeerKey> {
        let able = waiting.iter().filter(|key| self.can_earn(now, **key));
        let best = able.map(|key| (self.peers[key].got.per_second(now, self.round), *key)).max();
        let next = if let Some((_, key)) = best {
            key
        } else if !self.strangers_may_come() {
            // In a young swarm, whoever has the first pieces would give the same to all others at once.
            return None;
        } else {
            let mut lots = self.lots(now, waiting);
            draw(&mut self.rng, &mut lots)?
        };
        waiting.retain(|other| *other != next);
        Some(next)
    }

    /// Whether an earned slot is left that this peer can have for what it gives us.
    fn can_earn(&self, now: Instant, key: PeerKey) -> bool {
        let peer = &self.peers[&key];
        let repays =
            || peer.reciprocates(now, self.config.reciprocates) && peer.got.per_second(now, self.round) > 0;
        let is_earned = |key: &&PeerKey| self.peers[*key].slot() == Some(Slot::Earned);
        !self.seeding
            && repays()
            && self.unchoked.iter().filter(is_earned).count() < self.config.slots.earned()
    }

    /// The kind of slot that a peer gets between rounds.
    pub(super) fn slot_between_rounds(&self, now: Instant, key: PeerKey) -> Slot {
        if self.seeding {
            Slot::Turn
        } else if self.can_earn(now, key) {
            Slot::Earned
        } else {
            Slot::Optimistic { since: now }
        }
    }

    /// When the first peer that only its recent flip keeps from being dealt with can be.
    fn next_unlock(&self, now: Instant) -> Option<Instant> {
        let hold = self.config.round;
        let later = |at: Instant| (at > now).then_some(at);
        let unchoked = self.unchoked.iter().filter(|_| self.has_spares()).map(|key| &self.peers[key]);
        let spares = unchoked.filter(|peer| peer.is_spare() && (peer.wants() || self.seeding));
        let first = spares.filter_map(|peer| later(peer.unlocked_at(hold))).min();
        let is_open = self.strangers_may_come() && self.slotted < self.total();
        if !is_open || self.wanting <= self.slotted {
            return first;
        }
        let waiting = self.peers.values().filter(|peer| peer.waits());
        waiting.filter_map(|peer| later(peer.unlocked_at(hold))).chain(first).min()
    }
}
