//! Carrying decisions out, and writing them down.

use potluck_common::Instant;

use super::{
    Action, Choker, ChokerCommand, DECISIONS_MAX, Why,
    peer::{Peer, Slot, State},
};
use crate::PeerKey;

impl Choker {
    /// Sets what a peer is; where that chokes or unchokes it, the command and the record follow.
    pub(super) fn decide(
        &mut self,
        now: Instant,
        key: PeerKey,
        state: State,
        why: Option<Why>,
        ranked: &[PeerKey],
    ) {
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
            Action::Evict => ChokerCommand::Evict { peer: key, why },
        });
        if self.decisions.len() == DECISIONS_MAX {
            self.decisions.pop_front();
        }
        self.decisions.push_back(peer.decision);
    }

    /// Writes the latest decision about a peer.
    pub(super) fn explain(&mut self, now: Instant, key: PeerKey, why: Option<Why>, ranked: &[PeerKey]) {
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
    pub(super) fn refresh_choked(&mut self, now: Instant) {
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
    pub(super) fn refresh(&mut self, now: Instant) {
        for key in self.peers.keys().copied().collect::<Vec<_>>() {
            self.explain(now, key, None, &[]);
        }
    }
}
