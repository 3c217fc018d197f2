//! What happens every ten seconds: the slots are dealt anew.

use std::{cmp::Reverse, collections::BTreeMap};

use potluck_common::{Instant, Rng};

use super::{
    Choker,
    peer::{Peer, Slot, State},
};
use crate::PeerKey;

/// Who is to hold which slot.
pub(super) type Holders = BTreeMap<PeerKey, Slot>;

impl Choker {
    /// Deals the slots anew.
    pub(super) fn deal(&mut self, now: Instant) {
        self.ledger.age(now);
        self.stuck = self.stuck(now);
        let ranked = self.rank(now);
        let holders =
            if self.seeding { self.holders_in_turn(now) } else { self.holders_by_merit(now, &ranked) };
        let unasked_min = self.rate_of_last_earned(&holders);
        // Chokes go first, so that no uplink is shared by more peers than there are slots.
        for (key, state) in self.changes_without_slot(now, &holders, unasked_min) {
            self.decide(now, key, state);
        }
        for (key, slot) in holders {
            self.decide(now, key, State::Slotted(slot));
        }
        self.stuck = 0;
        self.evict(now);
    }

    /// Who left a slot for having no wish, and may not be choked yet.
    fn stuck(&self, now: Instant) -> usize {
        let is_stuck = |peer: &Peer| {
            let aside = peer.rests() || self.seeding && peer.is_spare();
            aside && peer.is_locked(now, self.config.round)
        };
        self.unchoked.iter().filter(|key| is_stuck(&self.peers[*key])).count()
    }

    /// Judges everybody, and notes the place of each peer that gives us something and wants something, and gives those that may hold an
    /// earned slot, the best first.
    fn rank(&mut self, now: Instant) -> Vec<PeerKey> {
        let within = self.config.reciprocates;
        let mut ranked = Vec::new();
        for (key, peer) in &mut self.peers {
            peer.judge(now, self.round, self.seeding);
            peer.end_claim();
            peer.rank = 0;
            if self.seeding || !peer.wants() || peer.rate == 0 || !peer.reciprocates(now, within) {
                continue;
            }
            // Whoever holds an earned slot keeps it against somebody who is less than a tenth faster.
            let weight = if peer.slot() == Some(Slot::Earned) { 11 } else { 10 };
            let received = self.ledger.of(peer.account).received;
            let chance = self.rng.next_u64();
            ranked.push((Reverse(peer.rate * weight), Reverse(received), peer.flipped, chance, *key));
        }
        ranked.sort_unstable();
        for (place, (.., key)) in ranked.iter().enumerate() {
            self.with(*key, |peer| peer.rank = place as u32 + 1);
        }
        ranked.into_iter().map(|(.., key)| key).collect()
    }

    /// Holders who were unchoked too recently to be choked.
    pub(super) fn locked_holders(&self, now: Instant) -> Holders {
        let slot = |key: &PeerKey| {
            let peer = &self.peers[key];
            let slot = peer.slot().filter(|_| peer.is_locked(now, self.config.round))?;
            Some((*key, self.slot_on_trial(now, peer, slot)))
        };
        self.unchoked.iter().filter_map(slot).collect()
    }

    /// What a held slot is for somebody who does not earn it.
    fn slot_on_trial(&self, now: Instant, peer: &Peer, slot: Slot) -> Slot {
        match slot {
            _ if self.seeding => Slot::Turn,
            Slot::Optimistic { since } => Slot::Optimistic { since },
            _ => Slot::Optimistic { since: peer.flipped.get().unwrap_or(now) },
        }
    }

    /// Those who wait for a slot and may be unchoked now.
    pub(super) fn waiting(&self, now: Instant) -> Vec<PeerKey> {
        if self.wanting <= self.slotted {
            return Vec::new();
        }
        self.peers.iter().filter(|(_, peer)| self.may_be_next(now, peer)).map(|(key, _)| *key).collect()
    }

    /// Whether there are any.
    pub(super) fn has_waiting(&self, now: Instant) -> bool {
        self.wanting > self.slotted && self.peers.values().any(|peer| self.may_be_next(now, peer))
    }

    fn may_be_next(&self, now: Instant, peer: &Peer) -> bool {
        peer.waits() && !peer.is_locked(now, self.config.round)
    }

    /// The rate above which somebody who wants nothing is unchoked too; `None` while we seed or have no slots.
    fn rate_of_last_earned(&self, holders: &Holders) -> Option<u64> {
        let earned = holders.iter().filter(|(_, slot)| **slot == Slot::Earned);
        let rates: Vec<_> = earned.map(|(key, _)| self.peers[key].rate).collect();
        let all_earned = rates.len() >= self.config.slots.earned();
        let slowest = rates.into_iter().min().unwrap_or(0);
        // Who has no slot for anybody does not invite anybody either.
        let invites = !self.seeding && self.config.slots.count() > 0;
        invites.then_some(if all_earned { slowest } else { 0 })
    }

    /// Those without a slot who are to be something else now.
    fn changes_without_slot(
        &self,
        now: Instant,
        holders: &Holders,
        unasked_min: Option<u64>,
    ) -> Vec<(PeerKey, State)> {
        let change = |(key, peer): (&PeerKey, &Peer)| {
            let state = self.state_without_slot(now, peer, unasked_min);
            (peer.state() != state && !holders.contains_key(key)).then_some((*key, state))
        };
        self.peers.iter().filter_map(change).collect()
    }

    /// What becomes of a peer without a slot at the end of a round.
    fn state_without_slot(&self, now: Instant, peer: &Peer, unasked_min: Option<u64>) -> State {
        let locked = peer.is_locked(now, self.config.round);
        let repays = unasked_min.is_some_and(|least| peer.rate > least) && !peer.snubs();
        let unasked = repays && !peer.interested && !peer.upload_only;
        match (peer.is_choked(), unasked) {
            (true, true) if !locked => State::Spare,
            (false, true) => State::Spare,
            (false, false) if locked => State::Spare,
            _ => State::Choked,
        }
    }
}

/// Takes one of several at random, each with its weight.
pub(super) fn draw<T>(rng: &mut Rng, from: &mut Vec<(f64, T)>) -> Option<T> {
    let total: f64 = from.iter().map(|(weight, _)| weight).sum();
    let mut ticket = rng.fraction() * total;
    let hit = from.iter().position(|(weight, _)| {
        ticket -= weight;
        ticket < 0.0
    });
    // The sum is rounded: a ticket may come to rest behind the last one.
    let drawn = hit.or_else(|| from.len().checked_sub(1))?;
    Some(from.swap_remove(drawn).1)
}
