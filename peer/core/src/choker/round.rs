//! The rule: who is in a slot after a round, and what happens between rounds.

use std::{cmp::Reverse, collections::BTreeMap};

use potluck_common::Instant;

use super::{
    Action, Choker, ChokerCommand, DECISIONS_MAX, Slots, Why,
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
    fn waiting(&self, now: Instant) -> Vec<PeerKey> {
        let waits = |peer: &Peer| peer.waits() && !peer.is_locked(now, self.config.round);
        self.peers.iter().filter(|(_, peer)| waits(peer)).map(|(key, _)| *key).collect()
    }

    /// Takes one of `waiting` at random; while we download, newcomers are more likely. (A seed favours nobody: a new
    /// address is too cheap.)
    fn draw(&mut self, now: Instant, waiting: &mut Vec<PeerKey>) -> Option<PeerKey> {
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

    /// The rate above which somebody who wants nothing is unchoked too; `None` while we seed.
    fn rate_of_last_earned(&mut self, now: Instant, holders: &Holders) -> Option<u64> {
        let earned: Vec<_> =
            holders.iter().filter(|(_, slot)| **slot == Slot::Earned).map(|(key, _)| *key).collect();
        let all_earned = earned.len() == self.config.slots.earned();
        let slowest = earned.into_iter().map(|key| self.rate_from(now, key)).min().unwrap_or(0);
        (!self.seeding).then_some(if all_earned { slowest } else { 0 })
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

    fn rate_from(&mut self, now: Instant, key: PeerKey) -> u64 {
        self.peers.get_mut(&key).map_or(0, |peer| peer.got.per_second(now))
    }

    /// Sets what a peer is; where that chokes or unchokes it, the command and the record follow.
    fn decide(&mut self, now: Instant, key: PeerKey, state: State, why: Option<Why>, ranked: &[PeerKey]) {
        let peer = self.peers.get_mut(&key).expect("decisions are about connected peers");
        let flips = peer.is_choked() != (state == State::Choked);
        peer.state = state;
        self.explain(now, key, why, ranked);
        if !flips {
            return;
        }
        let peer = self.peers.get_mut(&key).expect("it was there above");
        peer.flipped = Some(now);
        let why = peer.decision.why;
        self.commands.push_back(match peer.decision.action {
            Action::Choke => ChokerCommand::Choke { peer: key, why },
            Action::Unchoke => ChokerCommand::Unchoke { peer: key, why },
        });
        if self.decisions.len() == DECISIONS_MAX {
            self.decisions.pop_front();
        }
        self.decisions.push_back(peer.decision);
    }

    /// Writes the latest decision about a peer.
    fn explain(&mut self, now: Instant, key: PeerKey, why: Option<Why>, ranked: &[PeerKey]) {
        let rank = ranked.iter().position(|other| *other == key).map(|place| place as u32 + 1);
        let (seeding, earned, lasts) =
            (self.seeding, self.config.slots.earned() as u32, self.config.optimistic);
        let peer = self.peers.get_mut(&key).expect("decisions are about connected peers");
        let bytes_per_second = if seeding { peer.sent.per_second(now) } else { peer.got.per_second(now) };
        let choked = || match peer.snubs_since {
            _ if peer.upload_only => Why::UploadOnly,
            _ if !peer.interested => Why::NotInterested,
            Some(since) => Why::Snubs { since },
            None if !seeding && rank.is_some_and(|rank| rank > earned) => Why::Slower { than_best: earned },
            None => Why::WaitsForSlot,
        };
        let why = why.unwrap_or_else(|| match peer.state {
            State::Choked => choked(),
            State::Spare if peer.upload_only => Why::UploadOnly,
            State::Spare if bytes_per_second > 0 && !seeding => Why::RepaysUnasked { bytes_per_second },
            State::Spare => Why::NotInterested,
            State::Slotted(Slot::Earned) => Why::Repays { bytes_per_second },
            State::Slotted(Slot::Optimistic { since }) => Why::Optimistic { since, lasts },
            State::Slotted(Slot::Turn) => Why::Seeding { bytes_per_second },
            State::Slotted(Slot::Unlimited) => Why::Unlimited,
        });
        let decision = &mut peer.decision;
        decision.at = now;
        decision.action = if peer.state == State::Choked { Action::Choke } else { Action::Unchoke };
        (decision.why, decision.rank, decision.rate_bytes_per_second) = (why, rank, bytes_per_second);
    }

    /// Brings the explanations of choked peers up to date with their interest.
    fn refresh_choked(&mut self, now: Instant) {
        let stale = |peer: &Peer| {
            let says_wants_nothing = matches!(peer.decision.why, Why::NotInterested | Why::UploadOnly);
            peer.is_choked() && says_wants_nothing == peer.wants()
        };
        let keys: Vec<_> = self.peers.iter().filter(|(_, peer)| stale(peer)).map(|(key, _)| *key).collect();
        for key in keys {
            self.explain(now, key, None, &[]);
        }
    }

    /// Brings every explanation up to date.
    fn refresh(&mut self, now: Instant) {
        for key in self.peers.keys().copied().collect::<Vec<_>>() {
            self.explain(now, key, None, &[]);
        }
    }
}
