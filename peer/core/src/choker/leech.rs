//! Whom to upload to while we download: those who repay, and some on trial.

use potluck_common::Instant;

use super::{
    Choker,
    peer::{Peer, Slot, Stamp, State},
    round::{Holders, draw},
};
use crate::PeerKey;

/// How many times as likely a newcomer is to be tried (BEP 3).
const NEWCOMER_WEIGHT: f64 = 3.0;
/// How much likelier somebody is to be tried to whom we owe half a credit or more. Bounded, so that others are tried too.
const CREDITOR_WEIGHT: f64 = 9.0;
/// How likely somebody who snubs us is to be tried, against others.
const SNUBS_WEIGHT: f64 = 0.25;

impl Choker {
    /// The holders while we download: the best earn their slots, and the rest is given on trial.
    pub(super) fn holders_by_merit(&mut self, now: Instant, ranked: &[PeerKey]) -> Holders {
        let mut holders = self.locked_holders(now);
        let mut earned = 0;
        for key in ranked {
            let free = holders.len() < self.total() || holders.contains_key(key);
            if free && earned < self.config.slots.earned() && self.can_be_unchoked(now, *key) {
                holders.insert(*key, Slot::Earned);
                earned += 1;
            }
        }
        let snubbed = || self.peers.values().any(Peer::snubs);
        self.extra = self.config.slots.count() > 0 && earned < self.config.slots.earned() && snubbed();
        self.keep_trials(now, &mut holders);
        self.begin_trials(now, &mut holders);
        holders
    }

    fn can_be_unchoked(&self, now: Instant, key: PeerKey) -> bool {
        let peer = &self.peers[&key];
        !peer.is_choked() || !peer.is_locked(now, self.config.round)
    }

    /// A trial goes on for its time, and as long as the debt is within the credit.
    fn keep_trials(&self, now: Instant, holders: &mut Holders) {
        for key in self.unchoked.iter() {
            let peer = &self.peers[key];
            if let Some(Slot::Optimistic { since }) = peer.slot()
                && now.since(since) < self.config.optimistic
                && self.debt_of(peer) < self.credit()
                && (holders.len() < self.total() || holders.contains_key(key))
            {
                holders.entry(*key).or_insert(Slot::Optimistic { since });
            }
        }
    }

    /// The slots that are left go by lot to those who wait, or lost an earned slot; whose trial ended comes after them.
    fn begin_trials(&mut self, now: Instant, holders: &mut Holders) {
        if holders.len() >= self.total() {
            return;
        }
        let out = |key: &PeerKey| self.peers[key].wants() && !holders.contains_key(key);
        let staying = self.unchoked.iter().copied().filter(out);
        let was_tried = |key: &PeerKey| matches!(self.peers[key].slot(), Some(Slot::Optimistic { .. }));
        let (tried, demoted): (Vec<_>, Vec<_>) = staying.partition(was_tried);
        let mut first = self.waiting(now);
        first.extend(demoted);
        for group in [first, tried] {
            let mut lots = self.lots(now, &group);
            while holders.len() < self.total()
                && let Some(key) = draw(&mut self.rng, &mut lots)
            {
                holders.insert(key, Slot::Optimistic { since: now });
            }
        }
    }

    /// What each of these weighs in a draw for a trial.
    pub(super) fn lots(&self, now: Instant, keys: &[PeerKey]) -> Vec<(f64, PeerKey)> {
        if self.seeding {
            return self.lots_for_a_turn(keys);
        }
        keys.iter().map(|key| (self.trial_weight(now, &self.peers[key]), *key)).collect()
    }

    fn trial_weight(&self, now: Instant, peer: &Peer) -> f64 {
        let account = self.ledger.of(peer.account);
        let owes = account.debt() as f64 / self.credit_unit();
        let is_new = account.sent == 0 && now.since(account.first_seen) < self.config.newcomer;
        let base = if is_new { NEWCOMER_WEIGHT } else { 1.0 };
        let snubs = if peer.snubs() { SNUBS_WEIGHT } else { 1.0 };
        let owed = (account.surplus() as f64 / self.credit_unit()).min(1.0);
        let creditor = 1.0 + CREDITOR_WEIGHT * owed * owed;
        base * snubs * creditor / (1.0 + owes * owes)
    }

    /// A trial that used up its credit ends while others could have the slot, as soon as its last flip is old enough.
    pub(super) fn is_overdrawn(&self, now: Instant, peer: &Peer) -> bool {
        peer.trial != Stamp::NEVER
            && self.debt_of(peer) >= self.credit()
            && self.slotted + self.resting() >= self.total()
            && !peer.is_locked(now, self.config.round)
            && self.has_waiting(now)
    }

    /// Ends a trial, and gives its slot to another of those who wait.
    pub(super) fn replace(&mut self, now: Instant, key: PeerKey) {
        let had_slot = self.peers[&key].slot().is_some();
        self.decide(now, key, State::Choked);
        let waiting = self.waiting(now);
        let mut lots = self.lots(now, &waiting);
        if had_slot && let Some(next) = draw(&mut self.rng, &mut lots) {
            let slot = self.slot_between_rounds(now, next);
            self.decide(now, next, State::Slotted(slot));
        }
        self.settle(now);
    }
}
