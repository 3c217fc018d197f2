//! How uploads are shared, and who repays them: books that are kept for people, and by which nothing is decided.
//!
//! What is sent is booked at the moment of sending by the slot that the peer has, and to its identity, as in the choker's
//! ledger. Whether a trial was for somebody who never gave anything shows later.

use std::collections::{BTreeMap, VecDeque};

use potluck_common::{
    Instant,
    control::{FairnessSnapshot, PeerBalance, SlotRound},
    limits::BLOCK_LENGTH,
};

use super::{Torrent, peers::Peer};
use crate::{
    Identity, PeerKey,
    choker::{Held, Standing, Why},
};

/// Identities that are told apart. The books of those who are gone for longest are closed: what they gave by then counts.
const ACCOUNTS_MAX: usize = 4_096;
/// Peers in a list of the dashboard.
const LISTED: usize = 5;

/// What an upload is for.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Purpose {
    /// To somebody who earned its slot.
    Repayment,
    /// To somebody on trial, or choked: a gift.
    #[default]
    Trial,
    /// From a seed.
    Seeding,
}

impl Purpose {
    /// What is sent to somebody who is in this state is for; `None` where it may still be for what was before, as of blocks
    /// that are on their way when it is choked.
    pub(super) fn of(why: Why) -> Option<Self> {
        match why {
            Why::Repays { .. } | Why::RepaysUnasked { .. } => Some(Self::Repayment),
            Why::Optimistic { .. } => Some(Self::Trial),
            // It keeps its turn until the next round, even if we want something again.
            Why::Seeding { .. } => Some(Self::Seeding),
            _ => None,
        }
    }
}

/// What passed between an identity and us in this run.
#[derive(Clone, Copy, Default, Debug)]
struct Account {
    /// Sent in trials.
    on_trial: u64,
    received: u64,
    touched: Instant,
}

/// The books; see the [module](self). All in bytes.
#[derive(Debug, Default)]
pub(super) struct Fairness {
    to_repaying: u64,
    while_seeding: u64,
    from_seeds: u64,
    accounts: BTreeMap<Identity, Account>,
    /// Of accounts that are closed: sent in trials to those who gave something, and to those who did not.
    closed: (u64, u64),
    rounds: VecDeque<SlotRound>,
}

impl Fairness {
    pub(super) fn sent(&mut self, now: Instant, who: Identity, purpose: Purpose, bytes: u64) {
        match purpose {
            Purpose::Repayment => self.to_repaying += bytes,
            Purpose::Seeding => self.while_seeding += bytes,
            Purpose::Trial => self.account(now, who).on_trial += bytes,
        }
    }

    pub(super) fn received(&mut self, now: Instant, who: Identity, is_seed: bool, bytes: u64) {
        self.from_seeds += if is_seed { bytes } else { 0 };
        self.account(now, who).received += bytes;
    }

    /// What somebody gave was worth nothing.
    pub(super) fn take_back(&mut self, who: Identity, bytes: u64) {
        if let Some(account) = self.accounts.get_mut(&who) {
            account.received = account.received.saturating_sub(bytes);
        }
    }

    /// A round of so many slots was dealt.
    pub(super) fn round(&mut self, held: Held, slots: u32) {
        let short = |count: u32| u16::try_from(count).unwrap_or(u16::MAX);
        let empty = slots.saturating_sub(held.earned + held.optimistic + held.turns);
        if self.rounds.len() == FairnessSnapshot::ROUNDS_SHOWN {
            self.rounds.pop_front();
        }
        self.rounds.push_back(SlotRound {
            earned: short(held.earned),
            optimistic: short(held.optimistic),
            turns: short(held.turns),
            empty: short(empty),
        });
    }

    fn account(&mut self, now: Instant, who: Identity) -> &mut Account {
        if self.accounts.len() >= ACCOUNTS_MAX && !self.accounts.contains_key(&who) {
            self.close_oldest();
        }
        let account = self.accounts.entry(who).or_default();
        account.touched = now;
        account
    }

    fn close_oldest(&mut self) {
        let oldest = self.accounts.iter().min_by_key(|(_, account)| account.touched).map(|(who, _)| *who);
        if let Some(account) = oldest.and_then(|who| self.accounts.remove(&who)) {
            let gave = account.received > 0;
            let total = if gave { &mut self.closed.0 } else { &mut self.closed.1 };
            *total += account.on_trial;
        }
    }

    /// Sent in trials to those who gave something by now, and to those who did not.
    fn trials(&self) -> (u64, u64) {
        let of = |gave: bool| {
            let accounts = self.accounts.values().filter(move |account| (account.received > 0) == gave);
            accounts.map(|account| account.on_trial).sum::<u64>()
        };
        (self.closed.0 + of(true), self.closed.1 + of(false))
    }

    /// All that was sent.
    pub(super) fn total_sent(&self) -> u64 {
        let (repaid, in_vain) = self.trials();
        self.to_repaying + self.while_seeding + repaid + in_vain
    }
}

/// Jain's index of shares: 1 if they are equal, 1/n if one has everything, 0 if nobody has anything. `None` of no shares.
fn jain(shares: &[f64]) -> Option<f32> {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    let index = if squares > 0.0 { sum * sum / (shares.len() as f64 * squares) } else { 0.0 };
    (!shares.is_empty()).then_some(index as f32)
}

/// Jain's index of what peers gave for what they were given, from pairs of both. Who was given less than a block says
/// nothing.
fn evenness(balances: impl Iterator<Item = (u64, u64)>) -> Option<f32> {
    let given = balances.filter(|(_, sent)| *sent >= u64::from(BLOCK_LENGTH));
    let shares: Vec<f64> = given.map(|(received, sent)| received as f64 / sent as f64).collect();
    jain(&shares)
}

/// The largest by `surplus`, which is above 0; at most five.
fn top(balances: &[PeerBalance], surplus: impl Fn(&PeerBalance) -> u64) -> Vec<PeerBalance> {
    let mut listed: Vec<&PeerBalance> = balances.iter().filter(|peer| surplus(peer) > 0).collect();
    listed.sort_by_key(|peer| (std::cmp::Reverse(surplus(peer)), peer.address));
    listed.into_iter().take(LISTED).cloned().collect()
}

impl Torrent {
    /// Books what is sent to a peer.
    pub(super) fn book_sent(&mut self, now: Instant, key: PeerKey, bytes: u64) {
        let why = self.choker.why(key).map(|decision| decision.why);
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.purpose = why.and_then(Purpose::of).unwrap_or(peer.purpose);
        let purpose = if self.completed { Purpose::Seeding } else { peer.purpose };
        if let Some(who) = peer.connection.identity() {
            self.fairness.sent(now, who, purpose, bytes);
        }
    }

    /// Books what came from a peer.
    pub(super) fn book_received(&mut self, now: Instant, key: PeerKey, bytes: u64) {
        let Some(peer) = self.peers.get(&key) else { return };
        if let Some(who) = peer.connection.identity() {
            self.fairness.received(now, who, peer.takes_nothing, bytes);
        }
    }

    /// A round of the choker is over.
    pub(super) fn book_round(&mut self) {
        let Standing { slots_earned, slots_optimistic, .. } = self.choker.standing();
        self.fairness.round(self.choker.held(), slots_earned + slots_optimistic);
    }

    pub(super) fn fairness_snapshot(&mut self, now: Instant) -> FairnessSnapshot {
        let standing = self.choker.standing();
        let balances: Vec<PeerBalance> = self.greeted().map(|peer| self.balance(peer)).collect();
        let leechers = self.greeted().filter(|peer| !peer.takes_nothing);
        let jain = evenness(leechers.map(|peer| (peer.down.total(), peer.up.total())));
        let (to_trials, to_never_repaying) = self.fairness.trials();
        FairnessSnapshot {
            slots_earned: standing.slots_earned,
            slots_optimistic: standing.slots_optimistic,
            is_automatic: self.config.slots.is_none(),
            next_round_seconds: Some(standing.round_at.since(now).as_secs() as u32),
            rounds: self.fairness.rounds.iter().copied().collect(),
            up_rate: self.up.recent(now),
            up_capacity: self.config.limits.up,
            to_repaying: self.fairness.to_repaying,
            to_trials,
            to_never_repaying,
            while_seeding: self.fairness.while_seeding,
            from_seeds: self.fairness.from_seeds,
            jain,
            trials_in_vain: standing.trials_in_vain,
            trials: standing.trials,
            is_attacked: standing.is_attacked,
            feeders: top(&balances, |peer| peer.received.saturating_sub(peer.sent)),
            debtors: top(&balances, |peer| peer.sent.saturating_sub(peer.received)),
        }
    }

    fn balance(&self, peer: &Peer) -> PeerBalance {
        PeerBalance {
            info_hash: self.config.info_hash,
            address: peer.connection.address,
            client: peer.connection.client_name(),
            received: peer.down.total(),
            sent: peer.up.total(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use potluck_common::{InfoHash, Printable};

    use super::*;

    fn who(number: u32) -> Identity {
        Identity::of(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number)))
    }

    #[test]
    fn what_is_sent_is_booked_by_what_it_was_for_and_whether_something_came_back() {
        let now = Instant::from_secs(1);
        let mut books = Fairness::default();
        books.sent(now, who(1), Purpose::Trial, 100);
        books.sent(now, who(2), Purpose::Trial, 30);
        books.sent(now, who(1), Purpose::Repayment, 1_000);
        books.sent(now, who(3), Purpose::Seeding, 7);
        assert_eq!(books.trials(), (0, 130));
        books.received(now, who(1), false, 5);
        assert_eq!(books.trials(), (100, 30), "it gave something later");
        books.received(now, who(4), true, 50);
        books.take_back(who(1), 5);
        assert_eq!(books.trials(), (0, 130), "what it gave was garbage");
        assert_eq!((books.to_repaying, books.while_seeding, books.from_seeds), (1_000, 7, 50));
        assert_eq!(books.total_sent(), 1_137);
    }

    #[test]
    fn the_books_of_those_who_are_gone_for_longest_are_closed_and_count() {
        let mut books = Fairness::default();
        let count = ACCOUNTS_MAX as u32 + 10;
        for number in 0..count {
            let now = Instant::from_secs(u64::from(number));
            books.sent(now, who(number), Purpose::Trial, 10);
            if number.is_multiple_of(2) {
                books.received(now, who(number), false, 1);
            }
        }
        assert_eq!(books.accounts.len(), ACCOUNTS_MAX);
        let half = u64::from(count / 2) * 10;
        assert_eq!((books.trials(), books.closed), ((half, half), (50, 50)));
    }

    #[test]
    fn jains_index_of_known_shares() {
        for (shares, expected) in [
            (&[][..], None),
            (&[0.0, 0.0], Some(0.0)),
            (&[3.0], Some(1.0)),
            (&[0.5, 0.5, 0.5, 0.5], Some(1.0)),
            (&[1.0, 0.0, 0.0, 0.0], Some(0.25)),
            (&[1.0, 2.0, 3.0], Some(36.0 / 42.0)),
        ] {
            assert_eq!(jain(shares), expected, "{shares:?}");
        }
        let block = u64::from(BLOCK_LENGTH);
        assert_eq!(evenness([(block, block), (2 * block, 2 * block), (9, 1)].into_iter()), Some(1.0));
        assert_eq!(evenness([(0, block), (block, block)].into_iter()), Some(0.5));
        assert_eq!(evenness([(0, block), (0, 9 * block)].into_iter()), Some(0.0), "all only took");
        assert_eq!(evenness([(0, block - 1)].into_iter()), None);
    }

    #[test]
    fn rounds_are_told_with_their_empty_slots_and_the_oldest_is_forgotten() {
        let mut books = Fairness::default();
        for round in 0..25 {
            books.round(Held { earned: 3, optimistic: 1, turns: 0 }, 5 + round);
        }
        let newest = SlotRound { earned: 3, optimistic: 1, turns: 0, empty: 25 };
        assert_eq!((books.rounds.len(), books.rounds.back()), (20, Some(&newest)));
        books.round(Held { earned: 0, optimistic: 0, turns: 6 }, 5);
        assert_eq!(books.rounds.back().map(|round| round.empty), Some(0), "while one leaves for another");
    }

    #[test]
    fn the_largest_come_first_and_no_more_than_five() {
        let balance = |received: u64, sent: u64| PeerBalance {
            info_hash: InfoHash([0; 20]),
            address: ([10, 0, 0, received as u8], 1).into(),
            client: Printable::default(),
            received,
            sent,
        };
        let balances: Vec<PeerBalance> = (0..8).map(|number| balance(number, 3)).collect();
        let given = |peers: Vec<PeerBalance>| peers.iter().map(|peer| peer.received).collect::<Vec<_>>();
        assert_eq!(given(top(&balances, |peer| peer.received.saturating_sub(peer.sent))), [7, 6, 5, 4]);
        assert_eq!(given(top(&balances, |peer| peer.sent.saturating_sub(peer.received))), [0, 1, 2]);
        assert_eq!(given(top(&balances, |_| 1)), [0, 1, 2, 3, 4]);
    }
}
