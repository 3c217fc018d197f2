//! Whom to upload to: reciprocity that deters free riding.
//!
//! While we download, every ten seconds the peers that give us most, and want something of us, get the earned slots
//! (BEP 3; Cohen 2003). A slot more, and every earned one that nobody earned, is given on trial for 30 seconds, as long as
//! what the peer owes stays within a small credit; while the uplink is saturated a trial gets half of what an earned slot
//! gets. Deeds are remembered by network address, so that neither a new connection nor a new peer id makes a newcomer.
//! A seed gives its slots in turn, by time and by what somebody had, not by speed.
//!
//! Between rounds a slot that became free goes at once to somebody who repays, a seed's to anybody, and the only one to a
//! trial; and a trial that used up its credit ends, but nobody else is choked to make room for somebody who is choked,
//! and nobody is choked or unchoked twice within ten seconds.
//!
//! After [`Choker::handle`] and [`Choker::handle_timeout`], call [`Choker::poll_command`] until `None` and
//! [`Choker::poll_timeout`] for the next deadline. An event costs O(1) of the peers and O(s) of the slots, but O(n) when
//! a slot can be filled at once; a round costs O(n log n).

mod between;
mod config;
mod decision;
mod event;
mod evict;
mod keys;
mod ledger;
mod leech;
mod meter;
mod peer;
mod peers;
mod record;
mod round;
mod standing;
#[cfg(test)]
mod tests;
mod trials;
mod turns;

use std::collections::VecDeque;

use potluck_common::{Instant, Rng, limits::BLOCK_LENGTH};

pub use self::{
    config::{ChokerConfig, Demand, Slots, Weight},
    decision::{Action, Decision, Why},
    event::{ChokerCommand, ChokerEvent},
    standing::{Held, Standing},
};
use self::{
    keys::Keys,
    ledger::Ledger,
    meter::Round,
    peer::{Peer, Stamp, State},
    peers::Peers,
    trials::Trials,
};
use crate::{Identity, PeerKey};

/// Who of one torrent's peers is unchoked.
///
/// Invariants: at most as many peers are slotted as there are slots, and each of them wants something; a peer that
/// wants something and is unchoked without a slot was unchoked less than one round ago; `unchoked`, `slotted` and `wanting`
/// agree with a recount.
#[derive(Debug)]
pub struct Choker {
    config: ChokerConfig,
    rng: Rng,
    seeding: bool,
    peers: Peers,
    /// Those of the peers that are not choked.
    unchoked: Keys,
    /// Peers in slots.
    slotted: usize,
    /// Peers that want something.
    wanting: usize,
    ledger: Ledger,
    trials: Trials,
    /// Somebody who snubs us left an earned slot empty: one more slot is for trials.
    extra: bool,
    /// While slots are dealt: those in whose place somebody is unchoked who may not be choked yet.
    stuck: usize,
    round: Round,
    round_next: Instant,
    /// When a peer that has to wait for its last flip to age can be dealt with.
    retry: Option<Instant>,
    /// When the state between rounds was last brought up to date.
    settled: Instant,
    /// When peers were last evicted.
    evicted: Instant,
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
            peers: Peers::default(),
            unchoked: Keys::default(),
            slotted: 0,
            wanting: 0,
            ledger: Ledger::default(),
            trials: Trials::default(),
            extra: false,
            stuck: 0,
            round: Round { number: 0, began: now, length: config.round },
            round_next: now + offset,
            retry: None,
            settled: now,
            evicted: now,
            commands: VecDeque::new(),
            decisions: VecDeque::new(),
        }
    }

    /// Something happened outside. Events of peers that are not connected are ignored.
    pub fn handle(&mut self, now: Instant, event: ChokerEvent) {
        match event {
            ChokerEvent::Got(peer, bytes) => self.got(now, peer, bytes),
            ChokerEvent::Sent(peer, bytes) => self.sent(now, peer, bytes),
            ChokerEvent::RemoteChoke(..) => {}
            ChokerEvent::Connected { peer, identity } => self.connected(now, peer, identity),
            ChokerEvent::Gone(peer) => self.gone(now, peer),
            ChokerEvent::HashFail(peer, bytes) => self.take_back(peer, bytes),
            ChokerEvent::Snubbed(peer, snubs) => self.with(peer, |peer| {
                if snubs != peer.snubs() {
                    peer.snubs_since = if snubs { Stamp::at(now) } else { Stamp::NEVER };
                }
            }),
            ChokerEvent::Interested(peer, interested) => {
                self.change_wants(now, peer, |peer| peer.interested = interested);
            }
            ChokerEvent::UploadOnly(peer, only) => {
                self.change_wants(now, peer, |peer| peer.upload_only = only);
            }
            ChokerEvent::BecameSeed(seed) => {
                self.seeding = seed;
                self.settle(now);
            }
            ChokerEvent::SetSlots(slots) => self.set_slots(now, slots),
        }
    }

    /// A deadline of [`Choker::poll_timeout`] has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if now >= self.round_next {
            self.deal(now);
            // Counted from now: rounds closer than one round would find every peer's last flip too recent.
            self.round_next = now + self.config.round;
            self.round = Round { number: self.round.number.wrapping_add(1), began: now, ..self.round };
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
        self.unchoked.contains(peer)
    }

    /// Peers that hold a slot.
    pub fn slots_taken(&self) -> u32 {
        self.slotted as u32
    }

    /// What could be used, for whoever shares slots out between torrents.
    pub fn demand(&self, now: Instant) -> Demand {
        let slotted = self.unchoked.iter().map(|key| &self.peers[key]).filter(|peer| peer.slot().is_some());
        let slowest_bytes_per_second = slotted.map(|peer| peer.sent.per_second(now, self.round)).min();
        let (wanting, taken) = (self.wanting as u32, self.slotted as u32);
        Demand { seeding: self.seeding, wanting, taken, slowest_bytes_per_second }
    }

    /// The number of slots.
    pub fn slots(&self) -> Slots {
        self.config.slots
    }

    #[cfg(test)]
    /// What the identity of `peer` took from us beyond what it gave, in bytes.
    fn debt(&self, peer: PeerKey) -> u64 {
        self.peers.get(&peer).map_or(0, |peer| self.debt_of(peer))
    }

    #[cfg(test)]
    /// Whether so few of the last trials were repaid that trials get less.
    fn is_attacked(&self) -> bool {
        self.trials.are_in_vain()
    }

    /// The latest decisions that choked, unchoked or evicted somebody, oldest first.
    pub fn decisions(&self) -> impl ExactSizeIterator<Item = &Decision> + '_ {
        self.decisions.iter()
    }

    fn with(&mut self, peer: PeerKey, change: impl FnOnce(&mut Peer)) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            change(peer);
        }
    }

    fn got(&mut self, now: Instant, key: PeerKey, bytes: u64) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.got.add(self.round.number, bytes);
        peer.got_last = Stamp::at(now);
        peer.got_in_slot += bytes;
        self.ledger.of_mut(peer.account).received += bytes;
    }

    fn sent(&mut self, now: Instant, key: PeerKey, bytes: u64) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.sent.add(self.round.number, bytes);
        peer.sent_last = Stamp::at(now);
        peer.sent_in_slot += bytes;
        self.ledger.of_mut(peer.account).sent += bytes;
        if peer.trial != Stamp::NEVER && self.is_overdrawn(now, &self.peers[&key]) {
            self.replace(now, key);
        }
    }

    fn take_back(&mut self, key: PeerKey, bytes: u64) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.got.take_back(self.round.number, bytes);
        peer.got_in_slot = peer.got_in_slot.saturating_sub(bytes);
        let account = self.ledger.of_mut(peer.account);
        account.received = account.received.saturating_sub(bytes);
    }

    fn connected(&mut self, now: Instant, peer: PeerKey, identity: Identity) {
        self.gone(now, peer);
        let account = self.ledger.enter(now, identity);
        if self.peers.len() == self.peers.capacity() {
            // Growing by half of itself or more would cost what the dense map saves.
            self.peers.reserve_exact(self.peers.len() / 8 + 8);
        }
        self.peers.insert(peer, Peer::new(account, now));
    }

    fn gone(&mut self, now: Instant, key: PeerKey) {
        let Some(peer) = self.peers.swap_remove(&key) else { return };
        if peer.trial != Stamp::NEVER {
            self.trials.ended(peer.sent_in_slot, peer.got_in_slot);
        }
        self.ledger.leave(now, peer.account);
        self.wanting -= usize::from(peer.wants());
        self.unchoked.remove(key);
        if peer.slot().is_some() {
            self.slotted -= 1;
            self.settle(now);
        }
    }

    /// Something changed in whether a peer wants anything.
    fn change_wants(&mut self, now: Instant, key: PeerKey, change: impl FnOnce(&mut Peer)) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let before = peer.wants();
        change(peer);
        let wants = peer.wants();
        if wants == before {
            return;
        }
        self.wanting += usize::from(wants);
        self.wanting -= usize::from(before);
        if !wants && peer.slot().is_some() {
            self.decide(now, key, State::Spare);
        }
        self.settle_for(now, key);
    }

    fn set_slots(&mut self, now: Instant, slots: Slots) {
        if self.config.slots != slots {
            self.config.slots = slots;
            self.settle(now);
        }
    }

    /// All slots: one more for trials while somebody who snubs us leaves an earned one empty (BEP 3's anti-snubbing).
    fn total(&self) -> usize {
        let all = self.config.slots.count() + usize::from(self.extra && !self.seeding);
        all.saturating_sub(self.stuck)
    }

    /// How many bytes somebody on trial may owe us now.
    fn credit(&self) -> u64 {
        let credit = self.config.credit();
        if self.trials.are_in_vain() { credit / 2 } else { credit }
    }

    fn credit_unit(&self) -> f64 {
        self.config.credit().max(u64::from(BLOCK_LENGTH)) as f64 / 2.0
    }

    fn debt_of(&self, peer: &Peer) -> u64 {
        self.ledger.of(peer.account).debt()
    }

    /// Checks every invariant; for tests and simulation.
    pub fn assert_invariants(&self) {
        let count = |is: fn(&Peer) -> bool| self.peers.values().filter(|peer| is(peer)).count();
        assert_eq!(self.slotted, count(|peer| peer.slot().is_some()), "peers in slots are counted");
        assert_eq!(self.wanting, count(Peer::wants), "peers that want something are counted");
        assert_eq!(self.unchoked.len(), count(|peer| !peer.is_choked()), "unchoked peers are listed");
        assert!(self.slotted <= self.total(), "more peers in slots than slots");
        for (key, peer) in &self.peers {
            assert_eq!(
                self.unchoked.contains(*key),
                !peer.is_choked(),
                "{key:?} is listed if it is unchoked"
            );
            assert!(peer.slot().is_none() || peer.wants(), "{key:?} holds a slot and wants nothing");
            let over = peer.is_spare() && peer.wants();
            assert!(
                !over || peer.is_locked(self.settled, self.config.round),
                "{key:?} is unchoked beyond the slots"
            );
        }
        assert!(self.decisions.len() <= self.config.decisions_max as usize, "few decisions are kept");
        self.ledger.assert_invariants();
    }
}
