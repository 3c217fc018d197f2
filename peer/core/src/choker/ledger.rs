//! What each identity gave and took, whatever connections it used.

use std::collections::BTreeSet;

use potluck_common::{Duration, Instant};

use crate::Identity;

/// Identities without a connection that are remembered.
pub(super) const GONE_MAX: usize = 4_096;

/// How long they are remembered.
const GONE_KEPT: Duration = Duration::from_secs(60 * 60);

/// After so long everything counts half: old deeds fade.
const HALF_LIFE: Duration = Duration::from_secs(30 * 60);

/// Where an account stands in the ledger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct AccountId(u32);

/// What one identity gave and took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub(super) first_seen: Instant,
    /// Payload it gave us, in bytes, halved with time.
    pub(super) received: u64,
    /// Payload it took from us, in bytes, halved with time.
    pub(super) sent: u64,
    identity: Identity,
    connections: u32,
    /// When its last connection ended.
    gone: Instant,
}

impl Account {
    /// What it took beyond what it gave, in bytes.
    pub(super) fn debt(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }

    /// What it gave beyond what it took, in bytes.
    pub(super) fn surplus(&self) -> u64 {
        self.received.saturating_sub(self.sent)
    }
}

/// The accounts of everybody connected, and of the last who left.
///
/// Invariants: `index` holds exactly the accounts in use, by identity; `gone` exactly those without a connection.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    accounts: Vec<Account>,
    /// A sorted list takes four bytes for each, and is looked into only when somebody comes or is forgotten.
    index: Vec<AccountId>,
    free: Vec<AccountId>,
    /// Accounts without a connection, by when they lost the last.
    gone: BTreeSet<(Instant, AccountId)>,
    halved: Option<Instant>,
}

impl Ledger {
    /// Somebody connected.
    pub(super) fn enter(&mut self, now: Instant, identity: Identity) -> AccountId {
        let place = self.place(&identity);
        if let Ok(place) = place {
            let id = self.index[place];
            let account = &mut self.accounts[id.0 as usize];
            if account.connections == 0 {
                self.gone.remove(&(account.gone, id));
            }
            account.connections += 1;
            return id;
        }
        let account = Account { first_seen: now, received: 0, sent: 0, identity, connections: 1, gone: now };
        let id = if let Some(id) = self.free.pop() {
            self.accounts[id.0 as usize] = account;
            id
        } else {
            if self.accounts.len() == self.accounts.capacity() {
                self.accounts.reserve_exact(self.accounts.len() / 8 + 8);
            }
            self.accounts.push(account);
            AccountId(self.accounts.len() as u32 - 1)
        };
        let (Ok(place) | Err(place)) = place;
        self.index.insert(place, id);
        id
    }

    /// Where the account of an identity stands in `index`, or would.
    fn place(&self, identity: &Identity) -> Result<usize, usize> {
        self.index.binary_search_by(|id| self.of(*id).identity.cmp(identity))
    }

    /// A connection ended.
    pub(super) fn leave(&mut self, now: Instant, id: AccountId) {
        let account = &mut self.accounts[id.0 as usize];
        account.connections -= 1;
        if account.connections > 0 {
            return;
        }
        account.gone = now;
        self.gone.insert((now, id));
        self.forget(now);
    }

    pub(super) fn of(&self, id: AccountId) -> &Account {
        &self.accounts[id.0 as usize]
    }

    pub(super) fn of_mut(&mut self, id: AccountId) -> &mut Account {
        &mut self.accounts[id.0 as usize]
    }

    /// Lets old deeds fade and forgets who left long ago.
    pub(super) fn age(&mut self, now: Instant) {
        self.forget(now);
        let halved = *self.halved.get_or_insert(now);
        if now.since(halved) >= HALF_LIFE {
            self.halved = Some(now);
            for account in &mut self.accounts {
                account.received /= 2;
                account.sent /= 2;
            }
        }
    }

    fn forget(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.gone.first()
            && (self.gone.len() > GONE_MAX || now.since(at) >= GONE_KEPT)
        {
            self.gone.pop_first();
            let place = self.place(&self.of(id).identity).expect("an account in use is in the index");
            self.index.remove(place);
            self.free.push(id);
        }
    }

    pub(super) fn assert_invariants(&self) {
        assert_eq!(
            self.index.len() + self.free.len(),
            self.accounts.len(),
            "every account is in use or free"
        );
        assert!(self.gone.len() <= GONE_MAX, "few of those who left are remembered");
        let in_order = self.index.is_sorted_by(|a, b| self.of(*a).identity < self.of(*b).identity);
        assert!(in_order, "accounts are found by identity");
        let idle = self.index.iter().filter(|id| self.of(**id).connections == 0).count();
        assert_eq!(idle, self.gone.len(), "accounts without a connection are counted");
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn identity(number: u32) -> Identity {
        Identity::of(Ipv4Addr::from(0x0a00_0000 + number).into())
    }

    #[test]
    fn a_new_connection_does_not_make_a_newcomer() {
        let at = Instant::from_secs;
        let mut ledger = Ledger::default();
        let first = ledger.enter(at(1), identity(1));
        ledger.of_mut(first).sent = 900;
        ledger.of_mut(first).received = 200;
        let second = ledger.enter(at(2), identity(1));
        assert_eq!(first, second, "two connections, one account");
        ledger.leave(at(3), first);
        ledger.leave(at(4), second);
        let third = ledger.enter(at(3_603), identity(1));
        assert_eq!((ledger.of(third).debt(), ledger.of(third).first_seen), (700, at(1)));
        ledger.leave(at(3_604), third);
        ledger.age(at(3_604 + 3_599));
        assert_eq!(ledger.index.len(), 1);
        ledger.age(at(3_604 + 3_600));
        ledger.assert_invariants();
        let fourth = ledger.enter(at(7_205), identity(1));
        assert_eq!(
            (ledger.of(fourth).debt(), ledger.of(fourth).first_seen),
            (0, at(7_205)),
            "an hour is enough"
        );
    }

    #[test]
    fn old_deeds_fade() {
        let mut ledger = Ledger::default();
        let id = ledger.enter(Instant::ZERO, identity(1));
        ledger.age(Instant::ZERO);
        (ledger.of_mut(id).sent, ledger.of_mut(id).received) = (1_000, 400);
        ledger.age(Instant::from_secs(1_799));
        assert_eq!(ledger.of(id).debt(), 600);
        ledger.age(Instant::from_secs(1_800));
        assert_eq!(ledger.of(id).debt(), 300);
    }

    #[test]
    fn only_the_last_who_left_are_remembered_and_everybody_who_is_here() {
        let mut ledger = Ledger::default();
        let all: Vec<_> = (0..10_000).map(|number| ledger.enter(Instant::ZERO, identity(number))).collect();
        for (number, id) in all.iter().enumerate().skip(2_000) {
            ledger.leave(Instant::from_secs(number as u64 / 10), *id);
        }
        ledger.assert_invariants();
        assert_eq!(ledger.index.len(), 2_000 + GONE_MAX);
        let contains = |ledger: &Ledger, number| ledger.place(&identity(number)).is_ok();
        assert!(contains(&ledger, 9_999) && !contains(&ledger, 2_000));
        // Coming and going does not pile up.
        for _ in 0..10_000 {
            let id = ledger.enter(Instant::from_secs(1_000), identity(9_999));
            ledger.leave(Instant::from_secs(1_000), id);
        }
        ledger.assert_invariants();
    }
}
