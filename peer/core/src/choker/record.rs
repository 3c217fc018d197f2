//! Carrying decisions out, and writing them down.

use potluck_common::Instant;

use super::{
    Action, Choker, ChokerCommand, Decision, Weight, Why,
    peer::{Peer, Slot, State},
};
use crate::PeerKey;

impl Choker {
    /// Sets what a peer is; where that chokes or unchokes it, the command and the record follow.
    pub(super) fn decide(&mut self, now: Instant, key: PeerKey, state: State) {
        self.judge(now, key);
        let peer = self.peers.get_mut(&key).expect("decisions are about connected peers");
        let (before, flips) = (peer.state, peer.is_choked() != (state == State::Choked));
        (peer.state, peer.claim) = (state, None);
        self.slotted += usize::from(matches!(state, State::Slotted(_)));
        self.slotted -= usize::from(matches!(before, State::Slotted(_)));
        if let State::Slotted(Slot::Optimistic { .. }) = before
            && before != state
        {
            self.trials.ended(peer.sent_in_slot, peer.got_in_slot);
        }
        let begins =
            matches!((before, state), (_, State::Slotted(Slot::Optimistic { .. })) if before != state);
        if begins || flips {
            (peer.got_in_slot, peer.sent_in_slot) = (0, 0);
        }
        if state == State::Choked {
            self.unchoked.remove(&key);
        } else {
            self.unchoked.insert(key);
        }
        self.weigh(key);
        if flips {
            self.flip(now, key);
        }
    }

    /// Tells a peer's weight if it changed.
    pub(super) fn weigh(&mut self, key: PeerKey) {
        let of_trials = if self.trials.are_in_vain() { Weight::QUARTER } else { Weight::HALF };
        let peer = self.peers.get_mut(&key).expect("decisions are about connected peers");
        let is_creditor = self.ledger.of(peer.account).surplus() > 0;
        let weight = match peer.state {
            State::Choked => return,
            // It is no gift to whom we owe.
            State::Slotted(Slot::Optimistic { .. }) if is_creditor => Weight::FULL,
            State::Slotted(Slot::Optimistic { .. }) => of_trials,
            State::Slotted(_) | State::Spare => Weight::FULL,
        };
        if weight != peer.weight {
            peer.weight = weight;
            self.commands.push_back(ChokerCommand::Weight { peer: key, weight });
        }
    }

    /// Measures the rate that a peer is judged by.
    pub(super) fn judge(&mut self, now: Instant, key: PeerKey) {
        let (seeding, round) = (self.seeding, self.round);
        let peer = self.peers.get_mut(&key).expect("decisions are about connected peers");
        let meter = if seeding { &peer.sent } else { &peer.got };
        (peer.rate, peer.judged) = (meter.per_second(now, round), now);
    }

    /// Commands what was decided and writes it down.
    fn flip(&mut self, now: Instant, key: PeerKey) {
        let peer = self.peers.get_mut(&key).expect("decisions are about connected peers");
        peer.flipped = Some(now);
        let decision = self.why(key).expect("it is connected");
        let why = decision.why;
        self.commands.push_back(match decision.action {
            Action::Choke => ChokerCommand::Choke { peer: key, why },
            Action::Unchoke => ChokerCommand::Unchoke { peer: key, why },
            Action::Evict => ChokerCommand::Evict { peer: key, why },
        });
        self.write_down(decision);
    }

    pub(super) fn write_down(&mut self, decision: Decision) {
        let max = self.config.decisions_max as usize;
        while !self.decisions.is_empty() && self.decisions.len() >= max {
            self.decisions.pop_front();
        }
        if max > 0 {
            self.decisions.push_back(decision);
        }
    }

    /// Why `peer` is as it is, judged by its rate when that was last looked at.
    pub fn why(&self, key: PeerKey) -> Option<Decision> {
        let peer = self.peers.get(&key)?;
        Some(Decision {
            at: peer.judged,
            peer: key,
            action: if peer.is_choked() { Action::Choke } else { Action::Unchoke },
            why: self.reason(peer),
            rank: (peer.rank > 0).then_some(peer.rank),
            rate_bytes_per_second: peer.rate,
            debt_bytes: self.debt_of(peer),
            age: peer.judged.since(peer.connected),
        })
    }

    fn reason(&self, peer: &Peer) -> Why {
        let bytes_per_second = peer.rate;
        match peer.state {
            State::Choked => self.reason_to_choke(peer),
            State::Spare if peer.upload_only => Why::UploadOnly,
            State::Spare if bytes_per_second > 0 && !self.seeding => Why::RepaysUnasked { bytes_per_second },
            State::Spare => Why::NotInterested,
            State::Slotted(Slot::Earned) => Why::Repays { bytes_per_second },
            State::Slotted(Slot::Optimistic { since }) => {
                Why::Optimistic { since, lasts: self.config.optimistic }
            }
            State::Slotted(Slot::Turn) => Why::Seeding { bytes_per_second },
            State::Slotted(Slot::Unlimited) => Why::Unlimited,
        }
    }

    fn reason_to_choke(&self, peer: &Peer) -> Why {
        let (earned, debt) = (self.config.slots.earned() as u32, self.debt_of(peer));
        match peer.snubs_since {
            _ if peer.upload_only => Why::UploadOnly,
            _ if !peer.interested => Why::NotInterested,
            _ if self.seeding && peer.flipped.is_some() => Why::HadItsTurn,
            _ if self.seeding => Why::WaitsForSlot,
            Some(since) => Why::Snubs { since },
            None if peer.rank > earned => Why::Slower { than_best: earned },
            None if debt >= self.credit() => Why::CreditUsed { debt_bytes: debt },
            None => Why::WaitsForSlot,
        }
    }
}
