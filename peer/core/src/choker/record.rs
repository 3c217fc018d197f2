//! Carrying decisions out, and writing them down.

use potluck_common::Instant;

use super::{
    Action, Choker, ChokerCommand, Decision, Weight, Why,
    peer::{Peer, Slot, Stamp, State},
    trials::Trials,
};
use crate::PeerKey;

impl Choker {
    /// Sets what a peer is; where that chokes or unchokes it, the command and the record follow.
    pub(super) fn decide(&mut self, now: Instant, key: PeerKey, state: State) {
        let peer = self.peers.get_mut(&key).expect("decisions are about connected peers");
        peer.judge(now, self.round, self.seeding);
        end_trial(&mut self.trials, peer, state);
        let flips = peer.is_choked() != (state == State::Choked);
        self.slotted += usize::from(matches!(state, State::Slotted(_)));
        self.slotted -= usize::from(peer.slot().is_some());
        peer.set_state(state);
        if flips && peer.trial == Stamp::NEVER {
            (peer.got_in_slot, peer.sent_in_slot) = (0, 0);
        }
        if flips && state == State::Choked {
            self.unchoked.remove(key);
        } else if flips {
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
        let weight = match (peer.state(), peer.slot().or(peer.claim())) {
            (State::Choked, _) => return,
            // It is no gift to whom we owe.
            (_, Some(Slot::Optimistic { .. })) if is_creditor => Weight::FULL,
            (_, Some(Slot::Optimistic { .. })) => of_trials,
            (_, Some(Slot::Earned)) | (State::Slotted(_), _) => Weight::FULL,
            // Without a slot it gets little, whatever it says that it wants.
            (State::Spare, _) if self.seeding || peer.rate == 0 => Weight::QUARTER,
            (State::Spare, _) => Weight::FULL,
        };
        if weight != peer.weight {
            peer.weight = weight;
            self.commands.push_back(ChokerCommand::Weight { peer: key, weight });
        }
    }

    /// Measures the rate that a peer is judged by.
    pub(super) fn judge(&mut self, now: Instant, key: PeerKey) {
        let peer = self.peers.get_mut(&key).expect("decisions are about connected peers");
        peer.judge(now, self.round, self.seeding);
    }

    /// Commands what was decided and writes it down.
    fn flip(&mut self, now: Instant, key: PeerKey) {
        let peer = self.peers.get_mut(&key).expect("decisions are about connected peers");
        peer.flipped = Stamp::at(now);
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
        match peer.state() {
            State::Choked => self.reason_to_choke(peer),
            State::Spare if peer.upload_only => Why::UploadOnly,
            State::Spare if bytes_per_second > 0 && !self.seeding => Why::RepaysUnasked { bytes_per_second },
            State::Spare if peer.interested => Why::WaitsForSlot,
            State::Spare => Why::Resting,
            State::Slotted(Slot::Earned) => Why::Repays { bytes_per_second },
            State::Slotted(Slot::Optimistic { since }) => {
                Why::Optimistic { since, lasts: self.config.optimistic }
            }
            State::Slotted(Slot::Turn) => Why::Seeding { bytes_per_second },
        }
    }

    fn reason_to_choke(&self, peer: &Peer) -> Why {
        let (earned, debt) = (self.config.slots.earned() as u32, self.debt_of(peer));
        match peer.snubs_since.get() {
            _ if peer.upload_only => Why::UploadOnly,
            _ if !peer.interested => Why::NotInterested,
            _ if self.seeding && peer.flipped.get().is_some() => Why::HadItsTurn,
            _ if self.seeding => Why::WaitsForSlot,
            Some(since) => Why::Snubs { since },
            None if peer.rank > earned => Why::Slower { than_best: earned },
            None if debt >= self.credit() => Why::CreditUsed { debt_bytes: debt },
            None => Why::WaitsForSlot,
        }
    }
}

/// Judges the trial of a peer that is to be something else, and begins another if that is one. Wanting nothing for a
/// moment does not end a trial, or its outcome would be the peer's to choose.
fn end_trial(trials: &mut Trials, peer: &mut Peer, next: State) {
    let trial = match next {
        State::Slotted(Slot::Optimistic { since }) => Stamp::at(since),
        State::Spare => peer.trial,
        State::Choked | State::Slotted(_) => Stamp::NEVER,
    };
    if trial == peer.trial {
        return;
    }
    if peer.trial != Stamp::NEVER {
        trials.ended(peer.sent_in_slot, peer.got_in_slot);
    }
    peer.trial = trial;
    (peer.got_in_slot, peer.sent_in_slot) = (0, 0);
}
