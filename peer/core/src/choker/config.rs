//! How many slots there are, and how long things last.

use potluck_common::Duration;

/// How many peers may be uploaded to at the same time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slots {
    /// A fixed number.
    Fixed {
        /// Slots for those that give us most.
        earned: u32,
        /// Slots for trials.
        optimistic: u32,
    },
    /// Everybody who is interested.
    Unlimited,
}

impl Slots {
    /// BEP 3's four earned slots and an optimistic one.
    pub const BEP_3: Self = Self::Fixed { earned: 4, optimistic: 1 };

    /// `slots` slots, of which a fifth, but at least one, is for trials.
    pub fn fixed(slots: u32) -> Self {
        let optimistic = (slots / 5).max(1).min(slots);
        Self::Fixed { earned: slots - optimistic, optimistic }
    }

    /// All slots.
    pub(super) fn count(self) -> usize {
        match self {
            Self::Fixed { earned, optimistic } => earned as usize + optimistic as usize,
            Self::Unlimited => usize::MAX,
        }
    }

    pub(super) fn earned(self) -> usize {
        match self {
            Self::Fixed { earned, .. } => earned as usize,
            Self::Unlimited => 0,
        }
    }
}

/// Settings of a [`super::Choker`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChokerConfig {
    /// How many peers may be uploaded to at the same time.
    pub slots: Slots,
    /// The time between two rounds, and the shortest time between choking and unchoking the same peer.
    pub round: Duration,
    /// How long a trial lasts.
    pub optimistic: Duration,
    /// Somebody first seen this recently is three times as likely to be tried (BEP 3).
    pub newcomer: Duration,
}

impl Default for ChokerConfig {
    fn default() -> Self {
        Self {
            slots: Slots::BEP_3,
            round: Duration::from_secs(10),
            optimistic: Duration::from_secs(30),
            newcomer: Duration::from_secs(45),
        }
    }
}
