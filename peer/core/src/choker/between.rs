//! Between rounds: what becomes free is filled, and nobody is unchoked for long without a slot.

use potluck_common::Instant;

use super::{
    Choker, Slots, Why,
    peer::{Peer, Slot, State},
};
use crate::PeerKey;

impl Choker {
    /// What follows between rounds from anything that happened: slots of those who want nothing become free, and
    /// free slots are filled.
    pub(super) fn settle(&mut self, now: Instant) {
        self.settled = now;
        for peer in self.peers.values_mut().filter(|peer| peer.slot().is_some() && !peer.wants()) {
            peer.state = State::Spare;
        }
        self.shrink(now);
        self.place_spares(now);
        self.fill(now);
        self.refresh_choked(now);
        self.retry = self.next_unlock(now);
    }

    /// Takes slots back when there are fewer than before: trials first, then those who give least.
    fn shrink(&mut self, now: Instant) {
        while self.slotted() > self.config.slots.count() {
            let merit = |peer: &mut Peer| (peer.slot() == Some(Slot::Earned), peer.got.per_second(now));
            let slotted = self.peers.iter_mut().filter(|(_, peer)| peer.slot().is_some());
            let least = slotted.map(|(key, peer)| (merit(peer), *key)).min();
            let (_, key) = least.expect("more than some number of peers is at least one");
            self.with(key, |peer| peer.state = State::Spare);
        }
    }

    /// Finds slots for those who are unchoked without one and want something. Where none is free, BEP 3 chokes the
    /// slowest of those who earned theirs; if that is not somebody else, the peer itself is choked, as soon as its
    /// last flip is old enough.
    fn place_spares(&mut self, now: Instant) {
        let spare = |peer: &Peer| peer.state == State::Spare && peer.wants();
        let keys: Vec<_> = self.peers.iter().filter(|(_, peer)| spare(peer)).map(|(key, _)| *key).collect();
        for key in keys {
            if self.slotted() < self.config.slots.count() {
                let slot = self.slot_between_rounds(now, key);
                self.decide(now, key, State::Slotted(slot), None, &[]);
            } else if let Some(slowest) = self.slower_earned(now, key) {
                let than_best = self.config.slots.earned() as u32;
                self.decide(now, slowest, State::Choked, Some(Why::Slower { than_best }), &[]);
                self.decide(now, key, State::Slotted(Slot::Earned), None, &[]);
            } else if !self.peers[&key].is_locked(now, self.config.round) {
                self.decide(now, key, State::Choked, Some(Why::WaitsForSlot), &[]);
            }
        }
    }

    /// The slowest holder of an earned slot that is slower than `key` and may be choked.
    fn slower_earned(&mut self, now: Instant, key: PeerKey) -> Option<PeerKey> {
        let rate = self.rate_from(now, key);
        let hold = self.config.round;
        let earned = self.peers.iter_mut().filter(|(_, peer)| peer.slot() == Some(Slot::Earned));
        let free = earned.filter(|(_, peer)| !peer.is_locked(now, hold));
        let slowest = free.map(|(key, peer)| (peer.got.per_second(now), *key)).min()?;
        (slowest.0 < rate && !self.seeding).then_some(slowest.1)
    }

    /// Fills free slots.
    fn fill(&mut self, now: Instant) {
        let mut waiting = self.waiting(now);
        while self.slotted() < self.config.slots.count() {
            let Some(key) = self.next_to_fill(now, &mut waiting) else { break };
            let slot = self.slot_between_rounds(now, key);
            self.decide(now, key, State::Slotted(slot), None, &[]);
        }
    }

    fn next_to_fill(&mut self, now: Instant, waiting: &mut Vec<PeerKey>) -> Option<PeerKey> {
        if self.config.slots == Slots::Unlimited {
            return waiting.pop();
        }
        let able: Vec<_> = waiting.iter().copied().filter(|key| self.can_earn(*key)).collect();
        match able.into_iter().map(|key| (self.rate_from(now, key), key)).max() {
            Some((rate, key)) if rate > 0 => {
                waiting.retain(|other| *other != key);
                Some(key)
            }
            _ => self.draw(now, waiting),
        }
    }

    /// Whether an earned slot is left that this peer could have if it gives us something.
    fn can_earn(&self, key: PeerKey) -> bool {
        let earned = self.peers.values().filter(|peer| peer.slot() == Some(Slot::Earned)).count();
        !self.seeding && earned < self.config.slots.earned() && self.peers[&key].snubs_since.is_none()
    }

    /// The kind of slot that a peer gets between rounds.
    fn slot_between_rounds(&mut self, now: Instant, key: PeerKey) -> Slot {
        let repays = self.rate_from(now, key) > 0;
        match self.config.slots {
            Slots::Unlimited => Slot::Unlimited,
            Slots::Fixed { .. } if self.seeding => Slot::Turn,
            Slots::Fixed { .. } if repays && self.can_earn(key) => Slot::Earned,
            Slots::Fixed { .. } => Slot::Optimistic { since: now },
        }
    }

    /// When the first peer that only its recent flip keeps from being dealt with can be.
    fn next_unlock(&self, now: Instant) -> Option<Instant> {
        let free = self.slotted() < self.config.slots.count();
        let stuck = |peer: &&Peer| peer.wants() && (peer.state == State::Spare || free && peer.is_choked());
        let unlocks = self.peers.values().filter(stuck).map(|peer| peer.unlocked_at(self.config.round));
        unlocks.filter(|unlock| *unlock > now).min()
    }

    pub(super) fn rate_from(&mut self, now: Instant, key: PeerKey) -> u64 {
        self.peers.get_mut(&key).map_or(0, |peer| peer.got.per_second(now))
    }
}
