//! How many slots there are, and how long things last.

use potluck_common::{Duration, limits::BLOCK_LENGTH};

/// How many peers may be uploaded to at the same time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slots {
    /// Slots for those that give us most.
    earned: u32,
    /// Slots for trials.
    optimistic: u32,
}

impl Slots {
    /// BEP 3's four earned slots and an optimistic one.
    pub const BEP_3: Self = Self { earned: 4, optimistic: 1 };

    /// `slots` slots, of which a fifth, but at least one, is for trials.
    pub fn fixed(slots: u32) -> Self {
        let optimistic = (slots / 5).max(1).min(slots);
        Self { earned: slots - optimistic, optimistic }
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
        self.earned as usize + self.optimistic as usize
    }

    pub(super) fn earned(self) -> usize {
        self.earned as usize
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
    /// The torrent's piece length in bytes: the unit of credit.
    pub piece_length: u32,
    /// The time between two rounds, and the shortest time between choking and unchoking the same peer.
    pub round: Duration,
    /// How long a trial lasts.
    pub optimistic: Duration,
    /// Somebody first seen this recently is three times as likely to be tried (BEP 3).
    pub newcomer: Duration,
    /// Whoever gave us no block for so long holds no earned slot.
    pub reciprocates: Duration,
    /// The most connections of this torrent; near it those worth least are evicted. `None` evicts nobody.
    pub connections_max: Option<u32>,
    /// Decisions that are kept for the dashboard.
    pub decisions_max: u32,
}

impl Default for ChokerConfig {
    fn default() -> Self {
        Self {
            slots: Slots::BEP_3,
            piece_length: 256 * 1024,
            round: Duration::from_secs(10),
            optimistic: Duration::from_secs(30),
            newcomer: Duration::from_secs(45),
            reciprocates: Duration::from_secs(30),
            connections_max: None,
            decisions_max: 512,
        }
    }
}

impl ChokerConfig {
    /// How many bytes somebody on trial may owe us: two pieces, within reason.
    pub fn credit(&self) -> u64 {
        (2 * u64::from(self.piece_length)).clamp(CREDIT_MIN, CREDIT_MAX)
    }
}

/// A credit takes many blocks to use up, however short the pieces are,
const CREDIT_MIN: u64 = 512 * 1024;
/// and costs little, however long they are.
const CREDIT_MAX: u64 = 4 * 1024 * 1024;

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

    #[test]
    fn credit_is_two_pieces_within_reason() {
        let credit = |piece_length| ChokerConfig { piece_length, ..ChokerConfig::default() }.credit();
        for (piece_length, bytes) in [
            (16 << 10, 512 << 10),
            (256 << 10, 512 << 10),
            (1 << 20, 2 << 20),
            (16 << 20, 4 << 20),
            (u32::MAX, 4 << 20),
        ] {
            assert_eq!(credit(piece_length), bytes, "{piece_length}");
        }
    }
}
