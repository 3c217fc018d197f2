//! The rule: who is in a slot after a round.

use std::{cmp::Reverse, collections::BTreeMap};

use potluck_common::Instant;

use super::{
    Choker, Slots, Why,
    peer::{Peer, Slot, State},
};
use crate::PeerKey;

/// How many times as likely a newcomer is to be tried (BEP 3).
const NEWCOMER_WEIGHT: u32 = 3;

/// Of three rounds of a seed, all slots are kept in the last one.
const TURN_ROUNDS: u64 = 3;

/// Who is to hold which slot.
type Holders = BTreeMap<PeerKey, Slot>;

impl Choker {
    /// Deals the slots anew.
    pub(super) fn round(&mut self, now: Instant) {
        if self.config.slots == Slots::Unlimited {
            return self.refresh(now);
        }
        let ranked = self.ranked(now);
        let holders =
            if self.seeding { self.holders_in_turn(now) } else { self.holders_by_merit(now, &ranked) };
        let unasked_min = self.rate_of_last_earned(now, &holders);
        let keys: Vec<_> = self.peers.keys().copied().collect();
        // Chokes go first, so that no uplink is shared by more peers than there are slots.
        for key in keys.iter().filter(|key| !holders.contains_key(key)) {
            self.put_out(now, *key, unasked_min, &ranked);
        }
        for (key, slot) in holders {
            self.decide(now, key, State::Slotted(slot), None, &ranked);
        }
    }

    /// Those who give us something and want something, the best first.
    fn ranked(&mut self, now: Instant) -> Vec<PeerKey> {
        let mut ranked = Vec::new();
        for (key, peer) in
            self.peers.iter_mut().filter(|(_, peer)| peer.wants() && peer.snubs_since.is_none())
        {
            let rate = peer.got.per_second(now);
            if rate > 0 {
                // Whoever holds an earned slot keeps it against somebody who is less than a tenth faster.
                let weight = if peer.slot() == Some(Slot::Earned) { 11 } else { 10 };
                ranked.push((Reverse(rate * weight), Reverse(peer.got.total()), peer.flipped, *key));
            }
        }
        ranked.sort_unstable();
        ranked.into_iter().map(|(.., key)| key).collect()
    }

    /// The holders while we download: the best earn their slots, and the rest is given on trial.
    fn holders_by_merit(&mut self, now: Instant, ranked: &[PeerKey]) -> Holders {
        let total = self.config.slots.count();
        let mut holders = self.locked_holders(now);
        let mut earned = 0;
        for key in ranked {
            let free = holders.len() < total || holders.contains_key(key);
            if free && earned < self.config.slots.earned() && self.can_be_unchoked(now, *key) {
                holders.insert(*key, Slot::Earned);
                earned += 1;
            }
        }
        for (key, peer) in &self.peers {
            if let Some(Slot::Optimistic { since }) = peer.slot()
                && now.since(since) < self.config.optimistic
                && holders.len() < total
            {
                holders.entry(*key).or_insert(Slot::Optimistic { since });
            }
        }
        let on_trial = Slot::Optimistic { since: now };
        let mut waiting = self.waiting(now);
        waiting.retain(|key| !holders.contains_key(key));
        while holders.len() < total
            && let Some(key) = self.draw(now, &mut waiting)
        {
            holders.insert(key, on_trial);
        }
        // Nobody else waits: whoever is unchoked may stay.
        let staying = self.peers.iter().filter(|(_, peer)| peer.slot().is_some());
        let staying: Vec<_> = staying.map(|(key, _)| *key).filter(|key| !holders.contains_key(key)).collect();
        let free = total.saturating_sub(holders.len());
        holders.extend(staying.into_iter().take(free).map(|key| (key, on_trial)));
        holders
    }

    /// The holders while we seed: those unchoked last stay, and in two of three rounds a fifth makes room.
    fn holders_in_turn(&mut self, now: Instant) -> Holders {
        let total = self.config.slots.count();
        let mut waiting = self.waiting(now);
        let makes_room = self.rounds % TURN_ROUNDS != TURN_ROUNDS - 1;
        let admitted = if makes_room { (total / 5).max(1).min(waiting.len()) } else { 0 };
        let mut holding: Vec<_> = self.peers.iter().filter(|(_, peer)| peer.slot().is_some()).collect();
        holding.sort_by_key(|(key, peer)| (Reverse(peer.flipped), **key));
        let mut holders = self.locked_holders(now);
        for (key, _) in holding {
            if holders.len() + admitted < total {
                holders.insert(*key, Slot::Turn);
            }
        }
        while holders.len() < total
            && let Some(key) = self.draw(now, &mut waiting)
        {
            holders.insert(key, Slot::Turn);
        }
        for slot in holders.values_mut() {
            *slot = Slot::Turn;
        }
        holders
    }

    /// Holders who were unchoked too recently to be choked.
    fn locked_holders(&self, now: Instant) -> Holders {
        let locked = self.peers.iter().filter(|(_, peer)| peer.is_locked(now, self.config.round));
        let slot = |peer: &Peer| match peer.slot()? {
            Slot::Optimistic { since } => Some(Slot::Optimistic { since }),
            _ => Some(Slot::Optimistic { since: peer.flipped.unwrap_or(now) }),
        };
        locked.filter_map(|(key, peer)| Some((*key, slot(peer)?))).collect()
    }

    fn can_be_unchoked(&self, now: Instant, key: PeerKey) -> bool {
        let peer = &self.peers[&key];
        !peer.is_choked() || !peer.is_locked(now, self.config.round)
    }

    /// Those who wait for a slot and may be unchoked now.
    pub(super) fn waiting(&self, now: Instant) -> Vec<PeerKey> {
        let waits = |peer: &Peer| peer.waits() && !peer.is_locked(now, self.config.round);
        self.peers.iter().filter(|(_, peer)| waits(peer)).map(|(key, _)| *key).collect()
    }

    /// Takes one of `waiting` at random; while we download, newcomers are more likely. (A seed favours nobody: a new
    /// address is too cheap.)
    pub(super) fn draw(&mut self, now: Instant, waiting: &mut Vec<PeerKey>) -> Option<PeerKey> {
        let weight = |key: &PeerKey| {
            let recent = now.since(self.peers[key].first_seen) < self.config.newcomer;
            if recent && !self.seeding { NEWCOMER_WEIGHT } else { 1 }
        };
        let weights: Vec<_> = waiting.iter().map(weight).collect();
        let mut ticket = self.rng.below(weights.iter().sum());
        let drawn = weights.iter().position(|weight| {
            let hit = ticket < *weight;
            ticket = ticket.saturating_sub(*weight);
            hit
        })?;
        Some(waiting.swap_remove(drawn))
    }

    /// The rate above which somebody who wants nothing is unchoked too; `None` while we seed or have no slots.
    fn rate_of_last_earned(&mut self, now: Instant, holders: &Holders) -> Option<u64> {
        let earned: Vec<_> =
            holders.iter().filter(|(_, slot)| **slot == Slot::Earned).map(|(key, _)| *key).collect();
        let all_earned = earned.len() == self.config.slots.earned();
        let slowest = earned.into_iter().map(|key| self.rate_from(now, key)).min().unwrap_or(0);
        // Who has no slot for anybody does not invite anybody either.
        let invites = !self.seeding && self.config.slots.count() > 0;
        invites.then_some(if all_earned { slowest } else { 0 })
    }

    /// What becomes of a peer without a slot at the end of a round.
    fn put_out(&mut self, now: Instant, key: PeerKey, unasked_min: Option<u64>, ranked: &[PeerKey]) {
        let rate = self.rate_from(now, key);
        let peer = &self.peers[&key];
        let locked = peer.is_locked(now, self.config.round);
        let repays = unasked_min.is_some_and(|least| rate > least) && peer.snubs_since.is_none();
        let unasked = repays && !peer.interested && !peer.upload_only;
        let state = match (peer.is_choked(), unasked) {
            (true, true) if !locked => State::Spare,
            (false, true) => State::Spare,
            (false, false) if locked => State::Spare,
            _ => State::Choked,
        };
        let turn_ended = self.seeding && peer.slot().is_some();
        let why = (turn_ended && state == State::Choked).then_some(Why::HadItsTurn);
        self.decide(now, key, state, why, ranked);
    }
}
