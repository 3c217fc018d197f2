//! How uploads are shared, and who repays them.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{InfoHash, Printable};

/// Rounds of the choker that are remembered for display.
const ROUNDS_SHOWN: usize = 20;
/// Peers that are named on either side of the balance.
const BALANCES_SHOWN: usize = 5;

/// How the uploads of a torrent, or of all torrents together, are shared. Bytes are of this run.
#[derive(Clone, PartialEq, Default, Debug, Serialize, Deserialize)]
pub struct FairnessSnapshot {
    /// Slots for those that give us most.
    pub slots_earned: u32,
    /// Slots for trials.
    pub slots_optimistic: u32,
    /// Whether the number of slots follows what the uplink carries.
    pub is_automatic: bool,
    /// Seconds until the choker's next round; for several torrents the nearest.
    pub next_round_seconds: Option<u32>,
    /// The last rounds, the newest last; at most [`FairnessSnapshot::ROUNDS_SHOWN`], and none for several torrents.
    pub rounds: Vec<SlotRound>,
    /// What is sent, in bytes per second.
    pub up_rate: u64,
    /// What may be sent, or what the uplink was seen to carry, in bytes per second.
    pub up_capacity: Option<u64>,
    /// Bytes sent in slots that were earned.
    pub to_repaying: u64,
    /// Bytes sent in trials to those who gave something, by now or later.
    pub to_trials: u64,
    /// Bytes sent in trials to those who never gave anything.
    pub to_never_repaying: u64,
    /// Bytes sent while we had all that we want, or in turns that were given then.
    pub while_seeding: u64,
    /// Bytes that came from seeds, who want nothing for it.
    pub from_seeds: u64,
    /// Jain's index of what leechers gave us for what we gave them: 1 is an even exchange with all, 0 that all of them only
    /// took; `None` while nobody was given anything to speak of.
    pub jain: Option<f32>,
    /// Trials of this run that ended without a return.
    pub trials_in_vain: u32,
    /// Trials of this run that ended.
    pub trials: u32,
    /// Few trials are repaid: they get less.
    pub is_attacked: bool,
    /// The connected peers that gave us most beyond what they took, the first most; at most five.
    pub feeders: Vec<PeerBalance>,
    /// The connected peers that owe us most, the first most; at most five.
    pub debtors: Vec<PeerBalance>,
}

impl FairnessSnapshot {
    /// Rounds of the choker that are remembered for display.
    pub const ROUNDS_SHOWN: usize = ROUNDS_SHOWN;

    /// What of it is still true when the torrent runs no more: what was given for what.
    #[must_use]
    pub fn ended(self) -> Self {
        Self {
            to_repaying: self.to_repaying,
            to_trials: self.to_trials,
            to_never_repaying: self.to_never_repaying,
            while_seeding: self.while_seeding,
            from_seeds: self.from_seeds,
            jain: self.jain,
            trials_in_vain: self.trials_in_vain,
            trials: self.trials,
            is_automatic: true,
            ..Self::default()
        }
    }

    /// Those of several torrents as one: sums; the nearest round; the largest capacity, which is that of one uplink; and the mean of
    /// Jain's index by what was given in slots.
    pub fn sum<'a>(torrents: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut sum = Self { is_automatic: true, ..Self::default() };
        let mut jain = (0.0, 0.0);
        for torrent in torrents {
            sum.slots_earned += torrent.slots_earned;
            sum.slots_optimistic += torrent.slots_optimistic;
            sum.is_automatic &= torrent.is_automatic;
            sum.next_round_seconds =
                sum.next_round_seconds.into_iter().chain(torrent.next_round_seconds).min();
            sum.up_rate += torrent.up_rate;
            sum.up_capacity = sum.up_capacity.max(torrent.up_capacity);
            sum.to_repaying += torrent.to_repaying;
            sum.to_trials += torrent.to_trials;
            sum.to_never_repaying += torrent.to_never_repaying;
            sum.while_seeding += torrent.while_seeding;
            sum.from_seeds += torrent.from_seeds;
            sum.trials_in_vain += torrent.trials_in_vain;
            sum.trials += torrent.trials;
            sum.is_attacked |= torrent.is_attacked;
            sum.feeders.extend_from_slice(&torrent.feeders);
            sum.debtors.extend_from_slice(&torrent.debtors);
            if let Some(index) = torrent.jain {
                let given = torrent.to_repaying + torrent.to_trials + torrent.to_never_repaying;
                let weight = given.max(1) as f64;
                jain = (jain.0 + f64::from(index) * weight, jain.1 + weight);
            }
        }
        sum.jain = (jain.1 > 0.0).then(|| (jain.0 / jain.1) as f32);
        // The largest gift first, and the largest debt.
        sum.feeders.sort_by_key(|peer| std::cmp::Reverse(peer.received.saturating_sub(peer.sent)));
        sum.debtors.sort_by_key(|peer| std::cmp::Reverse(peer.sent.saturating_sub(peer.received)));
        sum.feeders.truncate(BALANCES_SHOWN);
        sum.debtors.truncate(BALANCES_SHOWN);
        sum
    }
}

/// What the upload slots were used for in one round of the choker.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct SlotRound {
    /// Slots of those that repay.
    pub earned: u16,
    /// Slots of trials.
    pub optimistic: u16,
    /// Slots given in turn, by a seed.
    pub turns: u16,
    /// Slots that nobody had.
    pub empty: u16,
}

/// What a peer and we gave each other.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PeerBalance {
    /// In which torrent.
    pub info_hash: InfoHash,
    /// Its address.
    pub address: SocketAddr,
    /// Its client.
    pub client: Printable,
    /// Bytes that it gave us.
    pub received: u64,
    /// Bytes that we gave it.
    pub sent: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_torrents_there_are_sums_and_the_most_remarkable_peers() {
        let peer = |port: u16, received: u64, sent: u64| PeerBalance {
            info_hash: InfoHash([1; 20]),
            address: ([10, 0, 0, 1], port).into(),
            client: "x".into(),
            received,
            sent,
        };
        let one = FairnessSnapshot {
            slots_earned: 3,
            is_automatic: true,
            next_round_seconds: Some(7),
            rounds: vec![SlotRound::default()],
            up_capacity: Some(100),
            to_repaying: 300,
            jain: Some(0.9),
            feeders: (1..=5).map(|port| peer(port, u64::from(port) * 10, 0)).collect(),
            ..FairnessSnapshot::default()
        };
        let other = FairnessSnapshot {
            slots_earned: 1,
            is_automatic: true,
            next_round_seconds: Some(4),
            to_repaying: 100,
            jain: Some(0.5),
            is_attacked: true,
            feeders: vec![peer(9, 45, 0)],
            debtors: vec![peer(8, 0, 5)],
            ..FairnessSnapshot::default()
        };
        let sum = FairnessSnapshot::sum([&one, &other]);
        assert_eq!((sum.slots_earned, sum.to_repaying, sum.next_round_seconds), (4, 400, Some(4)));
        assert!(sum.is_automatic && sum.is_attacked && sum.rounds.is_empty());
        assert_eq!(sum.up_capacity, Some(100));
        assert!(sum.jain.is_some_and(|jain| (jain - 0.8).abs() < 1e-6), "{:?}", sum.jain);
        let ports: Vec<u16> = sum.feeders.iter().map(|peer| peer.address.port()).collect();
        assert_eq!((ports, sum.debtors.len()), (vec![5, 9, 4, 3, 2], 1));
        assert_eq!(FairnessSnapshot::sum([]).jain, None);
    }
}
