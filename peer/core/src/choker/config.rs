//! How many slots there are, and how long things last.

use potluck_common::{Duration, limits::BLOCK_LENGTH};

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

    /// As many slots as an uplink of this limit, in bytes per second, can keep busy, and [`Slots::BEP_3`] at most: one
    /// that brings less than a block in ten seconds looks like a snub to whoever holds it. `None` is no limit.
    pub fn for_uplink(limit: Option<u64>) -> Self {
        let Some(limit) = limit else { return Self::BEP_3 };
        let worthwhile = limit.saturating_mul(10) / u64::from(BLOCK_LENGTH);
        if worthwhile >= Self::BEP_3.count() as u64 {
            Self::BEP_3
        } else {
            Self::fixed(worthwhile.max(1) as u32)
        }
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

/// What an unchoked peer counts for while the uplink is saturated, against [`Weight::FULL`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Weight(u8);

impl Weight {
    /// An earned slot, or a turn of a seed.
    pub const FULL: Self = Self(100);
    /// A trial.
    pub const HALF: Self = Self(50);
    /// A trial while few are repaid.
    pub const QUARTER: Self = Self(25);

    /// In hundredths of a full slot; never 0.
    pub fn percent(self) -> u8 {
        self.0
    }
}

/// What a choker could use, for whoever shares slots out between torrents.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Demand {
    /// The torrent is a seed or a partial seed.
    pub seeding: bool,
    /// Peers that want something, in slots or waiting for one.
    pub wanting: u32,
    /// Peers in slots.
    pub taken: u32,
    /// What the least served slot carries, in bytes per second over 20 s.
    pub slowest_bytes_per_second: Option<u64>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thin_uplink_has_fewer_slots() {
        let cases = [
            (None, Slots::BEP_3),
            (Some(u64::MAX), Slots::BEP_3),
            (Some(8_192), Slots::BEP_3),
            (Some(8_191), Slots::fixed(4)),
            (Some(4_096), Slots::fixed(2)),
            (Some(1_024), Slots::fixed(1)),
            (Some(0), Slots::fixed(1)),
        ];
        for (limit, slots) in cases {
            assert_eq!(Slots::for_uplink(limit), slots, "{limit:?}");
        }
    }
}
