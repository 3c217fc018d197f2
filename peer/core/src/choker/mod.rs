//! Whom to upload to: BEP 3's rule of reciprocity.
//!
//! Every ten seconds the peers that give us most, and want something of us, get the earned slots. One more slot,
//! and every earned one that nobody earned, is given on trial for 30 seconds. A seed gives its slots in turn, by
//! time and not by speed. Between rounds a slot that became free is filled at once, but nobody is choked to make
//! room for somebody who is choked, and nobody is choked or unchoked twice within ten seconds.
//!
//! After [`Choker::handle`] and [`Choker::handle_timeout`], call [`Choker::poll_command`] until `None` and
//! [`Choker::poll_timeout`] for the next deadline.

mod between;
mod config;
mod decision;
mod event;
mod peer;
mod record;
mod round;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use indexmap::IndexMap;
use potluck_common::{Instant, Rng};

use self::peer::{Peer, Slot, State};
pub use self::{
    config::{ChokerConfig, Demand, Slots, Weight},
    decision::{Action, Decision, Why},
    event::{ChokerCommand, ChokerEvent},
};
use crate::{Identity, PeerKey, rate::RateMeter};

/// Decisions that are kept for the dashboard.
const DECISIONS_MAX: usize = 512;

/// Identities that are remembered, so that a new connection does not make a newcomer.
const IDENTITIES_MAX: usize = 4_096;

/// Who of one torrent's peers is unchoked.
///
/// Invariants: at most as many peers are slotted as there are slots, and each of them wants something; a peer that
/// wants something and is unchoked without a slot was unchoked less than one round ago.
#[derive(Debug)]
pub struct Choker {
    config: ChokerConfig,
    rng: Rng,
    seeding: bool,
    peers: BTreeMap<PeerKey, Peer>,
    /// When each identity was first seen, in that order.
    first_seen: IndexMap<Identity, Instant>,
    round_next: Instant,
    rounds: u64,
    /// When a peer that has to wait for its last flip to age can be dealt with.
    retry: Option<Instant>,
    /// When the state between rounds was last brought up to date.
    settled: Instant,
    commands: VecDeque<ChokerCommand>,
    decisions: VecDeque<Decision>,
}

impl Choker {
    /// A choker without peers. The first round falls at a random time within the next ten seconds, so that the
    /// rounds of several torrents spread.
    pub fn new(config: ChokerConfig, seed: u64, now: Instant) -> Self {
        let mut rng = Rng::new(seed);
        let offset = config.round.mul_f64(rng.fraction());
        Self {
            config,
            rng,
            seeding: false,
            peers: BTreeMap::new(),
            first_seen: IndexMap::new(),
            round_next: now + offset,
            rounds: 0,
            retry: None,
            settled: now,
            commands: VecDeque::new(),
            decisions: VecDeque::new(),
        }
    }

    /// Something happened outside. Events of peers that are not connected are ignored.
    pub fn handle(&mut self, now: Instant, event: ChokerEvent) {
        match event {
            ChokerEvent::Got(peer, bytes) => return self.with(peer, |peer| peer.got.add(now, bytes)),
            ChokerEvent::Sent(peer, bytes) => return self.with(peer, |peer| peer.sent.add(now, bytes)),
            ChokerEvent::RemoteChoke(..) => return,
            ChokerEvent::Connected { peer, identity } => self.connected(now, peer, identity),
            ChokerEvent::Gone(peer) => drop(self.peers.remove(&peer)),
            ChokerEvent::HashFail(peer, _) => self.with(peer, |peer| peer.got = RateMeter::default()),
            ChokerEvent::Snubbed(peer, snubs) => self.with(peer, |peer| {
                peer.snubs_since = snubs.then(|| peer.snubs_since.unwrap_or(now));
            }),
            ChokerEvent::Interested(peer, interested) => self.with(peer, |peer| peer.interested = interested),
            ChokerEvent::UploadOnly(peer, only) => self.with(peer, |peer| peer.upload_only = only),
            ChokerEvent::BecameSeed(seed) => self.seeding = seed,
            ChokerEvent::SetSlots(slots) => self.set_slots(slots),
        }
        self.settle(now);
    }

    /// A deadline of [`Choker::poll_timeout`] has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if now >= self.round_next {
            self.round(now);
            // Counted from now: rounds closer than one round would find every peer's last flip too recent.
            self.round_next = now + self.config.round;
            self.rounds += 1;
        }
        self.settle(now);
    }

    /// When to call [`Choker::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        Some(self.retry.map_or(self.round_next, |retry| retry.min(self.round_next)))
    }

    /// The next thing to tell a peer; drain until `None`.
    pub fn poll_command(&mut self) -> Option<ChokerCommand> {
        self.commands.pop_front()
    }

    /// Whether `peer` is connected and unchoked.
    pub fn is_unchoked(&self, peer: PeerKey) -> bool {
        self.peers.get(&peer).is_some_and(|peer| !peer.is_choked())
    }

    /// Peers that hold a slot.
    pub fn slots_taken(&self) -> u32 {
        self.slotted() as u32
    }

    /// What could be used, for whoever shares slots out between torrents.
    pub fn demand(&mut self, now: Instant) -> Demand {
        let slotted = self.peers.values_mut().filter(|peer| peer.slot().is_some());
        let slowest_bytes_per_second = slotted.map(|peer| peer.sent.per_second(now)).min();
        let wanting = self.peers.values().filter(|peer| peer.wants()).count() as u32;
        Demand { seeding: self.seeding, wanting, taken: self.slots_taken(), slowest_bytes_per_second }
    }

    /// The number of slots.
    pub fn slots(&self) -> Slots {
        self.config.slots
    }

    /// Why `peer` is as it is: the latest decision about it.
    pub fn why(&self, peer: PeerKey) -> Option<&Decision> {
        self.peers.get(&peer).map(|peer| &peer.decision)
    }

    /// The latest decisions that choked or unchoked somebody, oldest first.
    pub fn decisions(&self) -> impl ExactSizeIterator<Item = &Decision> + '_ {
        self.decisions.iter()
    }

    fn with(&mut self, peer: PeerKey, change: impl FnOnce(&mut Peer)) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            change(peer);
        }
    }

    fn connected(&mut self, now: Instant, peer: PeerKey, identity: Identity) {
        let first_seen = *self.first_seen.entry(identity).or_insert(now);
        if self.first_seen.len() > IDENTITIES_MAX {
            self.first_seen.shift_remove_index(0);
        }
        self.peers.insert(peer, Peer::new(peer, now, first_seen));
    }

    fn set_slots(&mut self, slots: Slots) {
        self.config.slots = slots;
        if slots == Slots::Unlimited {
            for peer in self.peers.values_mut().filter(|peer| peer.slot().is_some()) {
                peer.state = State::Slotted(Slot::Unlimited);
            }
        }
    }

    fn slotted(&self) -> usize {
        self.peers.values().filter(|peer| peer.slot().is_some()).count()
    }

    /// Checks every invariant; for tests and simulation.
    pub fn assert_invariants(&self) {
        assert!(self.slotted() <= self.config.slots.count(), "more peers in slots than slots");
        for (key, peer) in &self.peers {
            assert!(peer.slot().is_none() || peer.wants(), "{key:?} holds a slot and wants nothing");
            let over = peer.state == State::Spare && peer.wants();
            assert!(
                !over || peer.is_locked(self.settled, self.config.round),
                "{key:?} is unchoked beyond the slots"
            );
            let unchoked = peer.decision.action == Action::Unchoke;
            assert_eq!(unchoked, !peer.is_choked(), "{key:?}: its decision says what it is");
        }
        assert!(self.decisions.len() <= DECISIONS_MAX && self.first_seen.len() <= IDENTITIES_MAX);
    }
}
