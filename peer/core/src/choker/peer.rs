//! What the choker knows of one peer.

use potluck_common::{Duration, Instant};

use super::{Action, Decision, Why};
use crate::{PeerKey, rate::RateMeter};

/// Why an unchoked peer holds one of the slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Slot {
    /// By what it gives us.
    Earned,
    /// To see what it gives us.
    Optimistic {
        /// When the trial began.
        since: Instant,
    },
    /// In turn, while we seed.
    Turn,
    /// Because slots are not limited.
    Unlimited,
}

/// Whether a peer is choked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Choked,
    /// Unchoked and in a slot, because it wants something.
    Slotted(Slot),
    /// Unchoked without a slot.
    Spare,
}

/// One connected peer.
#[derive(Debug)]
pub(super) struct Peer {
    /// When its identity was first seen.
    pub(super) first_seen: Instant,
    pub(super) interested: bool,
    pub(super) upload_only: bool,
    pub(super) snubs_since: Option<Instant>,
    /// Payload it gave us.
    pub(super) got: RateMeter,
    /// Payload we sent it.
    pub(super) sent: RateMeter,
    pub(super) state: State,
    /// When it was last choked or unchoked.
    pub(super) flipped: Option<Instant>,
    pub(super) decision: Decision,
}

impl Peer {
    pub(super) fn new(key: PeerKey, now: Instant, first_seen: Instant) -> Self {
        let decision = Decision {
            at: now,
            peer: key,
            action: Action::Choke,
            why: Why::NotInterested,
            rank: None,
            rate_bytes_per_second: 0,
            debt_bytes: 0,
            age: Duration::ZERO,
        };
        Self {
            first_seen,
            interested: false,
            upload_only: false,
            snubs_since: None,
            got: RateMeter::default(),
            sent: RateMeter::default(),
            state: State::Choked,
            flipped: None,
            decision,
        }
    }

    /// Whether it can use a slot.
    pub(super) fn wants(&self) -> bool {
        self.interested && !self.upload_only
    }

    pub(super) fn is_choked(&self) -> bool {
        self.state == State::Choked
    }

    pub(super) fn slot(&self) -> Option<Slot> {
        if let State::Slotted(slot) = self.state { Some(slot) } else { None }
    }

    /// Whether it waits for a slot.
    pub(super) fn waits(&self) -> bool {
        self.is_choked() && self.wants()
    }

    /// When it may next be choked or unchoked.
    pub(super) fn unlocked_at(&self, hold: Duration) -> Instant {
        self.flipped.map_or(Instant::ZERO, |flipped| flipped + hold)
    }

    pub(super) fn is_locked(&self, now: Instant, hold: Duration) -> bool {
        now < self.unlocked_at(hold)
    }
}
