//! How many upload slots a session has, and how its torrents share them.
//!
//! Five for each torrent that somebody wants something of; more while the uplink has room and somebody waits; fewer, but
//! never fewer than five, where there is not enough uplink for them (the `growth` module). Torrents that download share 70 % of them and
//! those that seed 30 %; what one side cannot use is the other's. Where there are more torrents than slots they take
//! turns (the `shares` module). A torrent of which nobody wants anything is not in the pool and costs nothing.
//!
//! # Driving it
//!
//! A torrent calls [`SlotPool::report`] with its choker's [`Demand`] once a round and whenever the first peer begins, or
//! the last one ceases, to want something; and [`SlotPool::leave`] at its end. At [`SlotPool::poll_timeout`], call
//! [`SlotPool::handle_timeout`] with all payload sent so far by the whole session. After each of them drain
//! [`SlotPool::poll_change`] and tell each torrent its number of slots (`ChokerEvent::SetSlots(Slots::fixed(slots))`). A
//! torrent whose user set the number of its slots stays out of the pool.
//!
//! A node of a simulator that has one torrent does the same with one [`TorrentId`].

mod growth;
mod shares;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use potluck_common::{Duration, Instant, limits::BLOCK_LENGTH};

use self::{
    growth::{Bounds, Growth, Round},
    shares::Member,
};
use crate::choker::Demand;

/// The time between two rounds, as for chokers.
pub const ROUND: Duration = Duration::from_secs(10);

/// Slots of each torrent that somebody wants something of, before anything is known of the uplink (BEP 3).
pub const SLOTS_PER_TORRENT: u32 = 5;

/// Slots of a session at most, however wide its uplink: as many as it has connections unless the user says otherwise.
pub const SLOTS_MAX: u32 = 200;

/// What a slot must carry to be worth having, in bytes per second: a block in ten seconds. Less looks like a snub.
const WORTHWHILE_BYTES_PER_SECOND: u64 = BLOCK_LENGTH as u64 / 10;

/// A torrent in the pool.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TorrentId(pub u64);

/// The machine; see the [module](self).
#[derive(Debug)]
pub struct SlotPool {
    /// The session's upload limit, in bytes per second.
    limit: Option<u64>,
    /// The number of slots that a person set.
    fixed: Option<u32>,
    /// Those of which somebody wants something.
    members: BTreeMap<TorrentId, Member>,
    /// The sum of the members' slots.
    given: u32,
    growth: Growth,
    rounds: u64,
    round_next: Instant,
    /// When a round was last counted, and all payload sent by then. `None` while the pool was empty.
    sampled: Option<(Instant, u64)>,
    changes: VecDeque<(TorrentId, u32)>,
}

impl SlotPool {
    /// An empty pool over an uplink with this limit, in bytes per second; `None` is no limit.
    pub fn new(limit: Option<u64>) -> Self {
        Self {
            limit,
            fixed: None,
            members: BTreeMap::new(),
            given: 0,
            growth: Growth::default(),
            rounds: 0,
            round_next: Instant::ZERO,
            sampled: None,
            changes: VecDeque::new(),
        }
    }

    /// What a torrent could use; `up_limit` is its own upload limit, in bytes per second.
    pub fn report(&mut self, now: Instant, id: TorrentId, demand: Demand, up_limit: Option<u64>) {
        if demand.wanting == 0 {
            return self.rest(id, up_limit);
        }
        if let Some(member) = self.members.get_mut(&id) {
            member.report(demand, up_limit);
            return;
        }
        if self.members.is_empty() {
            self.round_next = now + ROUND;
            self.sampled = None;
        }
        let mut member = Member::new(demand, up_limit, self.rounds);
        self.members.insert(id, member);
        // It need not wait for the next round if there are slots that nobody has.
        member.slots = self.size().saturating_sub(self.given).min(member.at_first());
        self.given += member.slots;
        self.members.insert(id, member);
        self.changes.push_back((id, member.slots));
    }

    /// A torrent is gone.
    pub fn leave(&mut self, id: TorrentId) {
        if let Some(member) = self.members.remove(&id) {
            self.given -= member.slots;
        }
    }

    /// Nobody wants anything of a torrent: it keeps what it needs to begin with when somebody does.
    fn rest(&mut self, id: TorrentId, up_limit: Option<u64>) {
        if let Some(member) = self.members.get(&id) {
            let most = self.fixed.unwrap_or_else(|| self.limit.map_or(SLOTS_MAX, worthwhile));
            let (has, keeps) =
                (member.slots, Member::new(Demand::default(), up_limit, 0).at_first().min(most));
            self.leave(id);
            if has != keeps {
                self.changes.push_back((id, keeps));
            }
        }
    }

    /// When to call [`SlotPool::handle_timeout`]; `None` while nobody wants anything.
    pub fn poll_timeout(&self) -> Option<Instant> {
        (!self.members.is_empty()).then_some(self.round_next)
    }

    /// A round is over. `sent_bytes` is all payload that the session ever sent.
    pub fn handle_timeout(&mut self, now: Instant, sent_bytes: u64) {
        if self.members.is_empty() || now < self.round_next {
            return;
        }
        self.round_next = now + ROUND;
        self.rounds += 1;
        let sampled = self.sampled.replace((now, sent_bytes));
        if let Some((then, before)) = sampled.filter(|(then, _)| *then < now) {
            let sent = sent_bytes.saturating_sub(before) as f64;
            let round = self.look(self.rounds, (sent / now.since(then).as_secs_f64()) as u64);
            if self.fixed.is_none() {
                self.growth.round(round);
            }
        }
        self.deal();
    }

    /// The next torrent whose number of slots changed; drain until `None`.
    pub fn poll_change(&mut self) -> Option<(TorrentId, u32)> {
        self.changes.pop_front()
    }

    /// Changes the session's upload limit, in bytes per second. Its slots follow in the next rounds.
    pub fn set_limit(&mut self, limit: Option<u64>) {
        self.limit = limit;
    }

    /// From now on there are so many slots, 1 to [`SLOTS_MAX`] (what is beyond counts as the nearest), whatever the uplink
    /// carries; `None` finds out again.
    pub fn set_fixed(&mut self, slots: Option<u32>) {
        let slots = slots.map(|slots| slots.clamp(1, SLOTS_MAX));
        if std::mem::replace(&mut self.fixed, slots) != slots {
            self.deal();
        }
    }

    /// Whether the number of slots follows what the uplink carries.
    pub fn is_automatic(&self) -> bool {
        self.fixed.is_none()
    }

    /// What the uplink carries, in bytes per second, as far as a limit or what was seen of it tells.
    pub fn capacity(&self) -> Option<u64> {
        self.limit.into_iter().chain(self.growth.ceiling()).min()
    }

    /// Slots that there are now.
    pub fn size(&self) -> u32 {
        if let Some(slots) = self.fixed {
            return slots;
        }
        self.growth.size(self.bounds())
    }

    fn bounds(&self) -> Bounds {
        Bounds::new(self.members.len(), self.limit)
    }

    /// What the last round was like.
    fn look(&self, number: u64, bytes_per_second: u64) -> Round {
        let members = || self.members.values();
        let slowest = members().filter_map(|member| member.demand.slowest_bytes_per_second).min();
        Round {
            number,
            bytes_per_second,
            limit: self.limit,
            taken: members().map(|member| member.demand.taken.min(SLOTS_MAX)).sum(),
            size: self.size(),
            bounds: self.bounds(),
            waits: members().any(|member| member.wants() > member.slots),
            spare: members().map(|member| u64::from(member.wants())).sum::<u64>() < u64::from(self.size()),
            idles: slowest.is_none_or(|rate| rate < WORTHWHILE_BYTES_PER_SECOND),
        }
    }

    fn deal(&mut self) {
        let slots = shares::share_out(&self.members, self.size(), self.rounds);
        self.given = 0;
        for ((id, member), slots) in self.members.iter_mut().zip(slots) {
            self.given += slots;
            if member.set(slots, self.rounds) {
                self.changes.push_back((*id, slots));
            }
        }
    }

    /// Checks what must always hold; for tests and simulation.
    pub fn assert_invariants(&self) {
        assert_eq!(
            self.given,
            self.members.values().map(|member| member.slots).sum(),
            "given slots are counted"
        );
        assert!(
            self.members.values().all(|member| member.demand.wanting > 0),
            "whoever is here wants something"
        );
        assert!(self.size() >= 1 && self.size() <= SLOTS_MAX, "a session has slots, and not too many");
    }
}

/// As many slots as such an uplink keeps busy, at least one.
fn worthwhile(bytes_per_second: u64) -> u32 {
    u32::try_from(bytes_per_second.saturating_mul(10) / u64::from(BLOCK_LENGTH)).unwrap_or(u32::MAX).max(1)
}
