//! How it stands with slots and trials, for people.

use potluck_common::Instant;

use super::{Choker, peer::Slot};

/// How it stands with slots and trials.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Slots for those that give us most.
    pub slots_earned: u32,
    /// Slots for trials.
    pub slots_optimistic: u32,
    /// When the next round begins.
    pub round_at: Instant,
    /// Trials that ended and in which at least a block was sent.
    pub trials: u32,
    /// Those of them in which next to nothing came back.
    pub trials_in_vain: u32,
    /// Few of the last trials were repaid, so that trials get less.
    pub is_attacked: bool,
}

/// Who holds slots, by why.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Held {
    /// Those that repay.
    pub earned: u32,
    /// Those on trial.
    pub optimistic: u32,
    /// Those whose turn it is, from a seed.
    pub turns: u32,
}

impl Choker {
    /// How it stands with slots and trials.
    pub fn standing(&self) -> Standing {
        let (all, earned) = (self.config.slots.count(), self.config.slots.earned());
        let (trials, trials_in_vain) = self.trials.counts();
        Standing {
            slots_earned: earned as u32,
            slots_optimistic: (all - earned) as u32,
            round_at: self.round_next,
            trials,
            trials_in_vain,
            is_attacked: self.trials.are_in_vain(),
        }
    }

    /// Who holds slots now. The cost grows with the number of unchoked peers only.
    pub fn held(&self) -> Held {
        let mut held = Held::default();
        for slot in self.unchoked.iter().filter_map(|key| self.peers[key].slot()) {
            match slot {
                Slot::Earned => held.earned += 1,
                Slot::Optimistic { .. } => held.optimistic += 1,
                Slot::Turn => held.turns += 1,
            }
        }
        held
    }
}
