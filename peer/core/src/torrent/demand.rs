//! What the torrent could use of the session's upload slots, and how many it gets.

use std::collections::VecDeque;

use potluck_common::{Duration, Instant};

use super::{Effect, Torrent};
use crate::choker::{ChokerEvent, Demand, Slots};

/// How often a demand is told again: once a round.
const TELL_EVERY: Duration = crate::slots::ROUND;

/// What was last told of it.
#[derive(Debug, Default)]
pub(super) struct ToldDemand {
    /// Peers that wanted something.
    wanting: u32,
    at: Instant,
}

impl ToldDemand {
    fn tell(&mut self, now: Instant, demand: Demand, effects: &mut VecDeque<Effect>) {
        *self = Self { wanting: demand.wanting, at: now };
        effects.push_back(Effect::Demand(demand));
    }
}

impl Torrent {
    /// Tells the demand again, a round after the last time. A torrent of which nobody wanted anything says nothing.
    pub(super) fn tell_demand_again(&mut self, now: Instant) {
        if self.demand.wanting > 0 && now.since(self.demand.at) >= TELL_EVERY {
            let demand = self.choker.demand(now);
            self.demand.tell(now, demand, &mut self.effects);
        }
    }

    /// Tells the demand when it begins and when the last peer has gone.
    pub(super) fn tell_demand(&mut self, now: Instant) {
        if self.config.slots.is_some() {
            return;
        }
        let begins = self.demand.wanting == 0 && self.choker.slots_taken() > 0;
        let ends = self.demand.wanting > 0 && self.peers.is_empty();
        if begins || ends {
            let demand = self.choker.demand(now);
            self.demand.tell(now, demand, &mut self.effects);
        }
    }

    pub(super) fn set_slots(&mut self, now: Instant, slots: u32) {
        if self.config.slots.is_none() {
            self.choker.handle(now, ChokerEvent::SetSlots(Slots::fixed(slots)));
        }
    }
}
