//! What the choker knows of one connection.

use potluck_common::{Duration, Instant};

use super::{
    Weight,
    ledger::AccountId,
    meter::{Meter, Round},
};

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

/// A slot in one byte: when its trial began is known beside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Earned,
    Optimistic,
    Turn,
}

impl Kind {
    fn of(slot: Slot) -> Self {
        match slot {
            Slot::Earned => Self::Earned,
            Slot::Optimistic { .. } => Self::Optimistic,
            Slot::Turn => Self::Turn,
        }
    }
}

/// A [`State`] in two bytes, and the slot that a peer left this round when it wanted nothing, which it has again when
/// it wants something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Choked,
    Slotted(Kind),
    Spare { claim: Option<Kind> },
}

/// When something last happened, or never: in eight bytes, since there may be very many.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Stamp(Instant);

impl Stamp {
    /// Before all time, so that never is longest ago.
    pub(super) const NEVER: Self = Self(Instant::ZERO);

    /// At this time, or a microsecond after the beginning of all time.
    pub(super) fn at(now: Instant) -> Self {
        Self(now.max(Instant::from_micros(1)))
    }

    pub(super) fn get(self) -> Option<Instant> {
        (self != Self::NEVER).then_some(self.0)
    }
}

/// One connection. There may be very many: what can be small is.
///
/// Invariant: whoever is or was in an [`Slot::Optimistic`] since it was last choked has a `trial`, that began when the slot says.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) account: AccountId,
    pub(super) connected: Instant,
    pub(super) interested: bool,
    pub(super) upload_only: bool,
    /// The shell was told this weight.
    pub(super) weight: Weight,
    place: Place,
    /// Its place among those that give us something, 1 the best, as of the last round; 0 is none.
    pub(super) rank: u32,
    pub(super) snubs_since: Stamp,
    /// Payload it gave us.
    pub(super) got: Meter,
    /// Payload we sent it.
    pub(super) sent: Meter,
    /// When payload last passed, and which way.
    pub(super) got_last: Stamp,
    pub(super) sent_last: Stamp,
    /// When its trial began, while that is on; also while it wants nothing for a moment.
    pub(super) trial: Stamp,
    /// Payload since it was unchoked or its trial began, both ways.
    pub(super) got_in_slot: u64,
    pub(super) sent_in_slot: u64,
    /// When it was last choked or unchoked.
    pub(super) flipped: Stamp,
    /// When it was last judged, and by which rate in bytes per second.
    pub(super) judged: Instant,
    pub(super) rate: u64,
}

const _: () = assert!(size_of::<Peer>() <= 152, "every byte counts for each connection");

impl Peer {
    pub(super) fn new(account: AccountId, now: Instant) -> Self {
        Self {
            account,
            connected: now,
            interested: false,
            upload_only: false,
            weight: Weight::FULL,
            place: Place::Choked,
            rank: 0,
            snubs_since: Stamp::NEVER,
            got: Meter::default(),
            sent: Meter::default(),
            got_last: Stamp::NEVER,
            sent_last: Stamp::NEVER,
            trial: Stamp::NEVER,
            got_in_slot: 0,
            sent_in_slot: 0,
            flipped: Stamp::NEVER,
            judged: now,
            rate: 0,
        }
    }

    /// Whether it can use a slot.
    pub(super) fn wants(&self) -> bool {
        self.interested && !self.upload_only
    }

    pub(super) fn state(&self) -> State {
        match self.place {
            Place::Choked => State::Choked,
            Place::Slotted(kind) => State::Slotted(self.slot_of(kind)),
            Place::Spare { .. } => State::Spare,
        }
    }

    /// Changes its state, once its trial is that of the new one. Only who leaves a slot for having no wish has a claim to it.
    pub(super) fn set_state(&mut self, state: State) {
        let claim = self.slot().filter(|_| !self.wants()).map(Kind::of);
        self.place = match state {
            State::Choked => Place::Choked,
            State::Slotted(slot) => Place::Slotted(Kind::of(slot)),
            State::Spare => Place::Spare { claim },
        };
    }

    pub(super) fn is_choked(&self) -> bool {
        self.place == Place::Choked
    }

    /// Whether it is unchoked without a slot.
    pub(super) fn is_spare(&self) -> bool {
        matches!(self.place, Place::Spare { .. })
    }

    pub(super) fn slot(&self) -> Option<Slot> {
        if let Place::Slotted(kind) = self.place { Some(self.slot_of(kind)) } else { None }
    }

    /// The slot that is kept for it.
    pub(super) fn claim(&self) -> Option<Slot> {
        if let Place::Spare { claim } = self.place { claim.map(|kind| self.slot_of(kind)) } else { None }
    }

    /// No slot is kept for it any longer.
    pub(super) fn end_claim(&mut self) {
        if self.is_spare() {
            self.place = Place::Spare { claim: None };
        }
    }

    fn slot_of(&self, kind: Kind) -> Slot {
        match kind {
            Kind::Earned => Slot::Earned,
            Kind::Optimistic => Slot::Optimistic { since: self.trial.0 },
            Kind::Turn => Slot::Turn,
        }
    }

    /// Measures the rate that it is judged by: what it gives us, or while we seed what we send it.
    pub(super) fn judge(&mut self, now: Instant, round: Round, seeding: bool) {
        let meter = if seeding { &self.sent } else { &self.got };
        (self.rate, self.judged) = (meter.per_second(now, round), now);
    }

    /// Whether its slot is kept for it.
    pub(super) fn rests(&self) -> bool {
        matches!(self.place, Place::Spare { claim: Some(_) })
    }

    /// Whether it waits for a slot.
    pub(super) fn waits(&self) -> bool {
        self.is_choked() && self.wants()
    }

    /// Whether it lets us ask and sends nothing.
    pub(super) fn snubs(&self) -> bool {
        self.snubs_since != Stamp::NEVER
    }

    /// Whether it gave us a block in this time, and does not snub us.
    pub(super) fn reciprocates(&self, now: Instant, within: Duration) -> bool {
        !self.snubs() && self.got_last.get().is_some_and(|last| now.since(last) <= within)
    }

    /// When it may next be choked or unchoked.
    pub(super) fn unlocked_at(&self, hold: Duration) -> Instant {
        self.flipped.get().map_or(Instant::ZERO, |flipped| flipped + hold)
    }

    pub(super) fn is_locked(&self, now: Instant, hold: Duration) -> bool {
        now < self.unlocked_at(hold)
    }
}
