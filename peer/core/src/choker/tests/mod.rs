//! Tests of the rule in virtual time, and of its invariants under any events.

mod accounts;
mod history;
mod reciprocity;
mod turns;

use std::{collections::BTreeMap, net::Ipv4Addr};

use potluck_common::{Duration, Instant};

use super::{Choker, ChokerCommand, ChokerConfig, ChokerEvent, Slots, Weight, Why};
use crate::{Identity, PeerKey};

/// A choker on a virtual clock, and what its commands made of each peer.
struct Rig {
    choker: Choker,
    now: Instant,
    /// Payload per second that each peer gives us.
    gives: BTreeMap<PeerKey, u64>,
    /// Payload per second that each peer takes from us while it is unchoked.
    takes: BTreeMap<PeerKey, u64>,
    /// What each peer took.
    taken: BTreeMap<PeerKey, u64>,
    weights: BTreeMap<PeerKey, Weight>,
    evicted: Vec<(u64, Why)>,
    unchoked: BTreeMap<PeerKey, bool>,
    flipped: BTreeMap<PeerKey, Instant>,
}

const START: Instant = Instant::from_secs(1_000);

impl Rig {
    fn new(slots: Slots, seed: u64) -> Self {
        Self::with(ChokerConfig { slots, ..ChokerConfig::default() }, seed)
    }

    fn with(config: ChokerConfig, seed: u64) -> Self {
        let choker = Choker::new(config, seed, START);
        Self {
            choker,
            now: START,
            gives: BTreeMap::new(),
            takes: BTreeMap::new(),
            taken: BTreeMap::new(),
            weights: BTreeMap::new(),
            evicted: Vec::new(),
            unchoked: BTreeMap::new(),
            flipped: BTreeMap::new(),
        }
    }

    /// Connects peers `1..=count`, interested, each giving as many kB/s as its number times `rate_step`.
    fn with_peers(mut self, count: u64, rate_step: u64) -> Self {
        for number in 1..=count {
            self.connect(number);
            self.event(ChokerEvent::Interested(PeerKey(number), true));
            self.gives.insert(PeerKey(number), number * rate_step * 1_000);
        }
        self
    }

    /// Each takes so much in its slot that we owe nobody anything.
    fn taking_all_the_more(mut self) -> Self {
        self.takes = self.gives.iter().map(|(peer, rate)| (*peer, rate * 40)).collect();
        self
    }

    fn connect(&mut self, number: u64) {
        self.connect_from(number, number as u16);
    }

    /// Connects a peer from an address with this end.
    fn connect_from(&mut self, number: u64, address: u16) {
        let [high, low] = address.to_be_bytes();
        let identity = Identity::of(Ipv4Addr::new(10, 0, high, low).into());
        self.event(ChokerEvent::Connected { peer: PeerKey(number), identity });
        self.unchoked.insert(PeerKey(number), false);
    }

    fn interested(&mut self, number: u64) {
        self.event(ChokerEvent::Interested(PeerKey(number), true));
    }

    /// A peer is replaced by another from an address with this end.
    fn replace(&mut self, old: u64, new: u64, address: u16) {
        self.event(ChokerEvent::Gone(PeerKey(old)));
        let takes = self.takes.remove(&PeerKey(old));
        self.gives.remove(&PeerKey(old));
        self.connect_from(new, address);
        self.takes.extend(takes.map(|rate| (PeerKey(new), rate)));
        self.interested(new);
    }

    fn event(&mut self, event: ChokerEvent) {
        self.choker.handle(self.now, event);
        if let ChokerEvent::Gone(peer) = event {
            self.forget(peer);
        }
        self.drain();
    }

    fn forget(&mut self, peer: PeerKey) {
        self.unchoked.remove(&peer);
        self.flipped.remove(&peer);
        self.weights.remove(&peer);
    }

    /// Carries the commands out, and checks that they make sense.
    fn drain(&mut self) {
        while let Some(command) = self.choker.poll_command() {
            let (peer, unchoke) = match command {
                ChokerCommand::Choke { peer, .. } => (peer, false),
                ChokerCommand::Unchoke { peer, .. } => (peer, true),
                ChokerCommand::Weight { peer, weight } => {
                    let before = self.weights.insert(peer, weight).unwrap_or(Weight::FULL);
                    assert_ne!(before, weight, "{command:?} changes something");
                    continue;
                }
                ChokerCommand::Evict { peer, why } => {
                    self.evicted.push((peer.0, why));
                    self.forget(peer);
                    continue;
                }
            };
            let before = self.unchoked.insert(peer, unchoke);
            assert_eq!(before, Some(!unchoke), "{command:?} changes something");
            let flipped = self.flipped.insert(peer, self.now);
            let held = flipped.is_none_or(|before| self.now.since(before) >= Duration::from_secs(10));
            assert!(held, "{command:?} at {:?} flips a state of {flipped:?}", self.now);
        }
        for (peer, unchoked) in &self.unchoked {
            assert_eq!(self.choker.is_unchoked(*peer), *unchoked, "{peer:?}");
        }
        self.choker.assert_invariants();
    }

    /// Lets time pass; payload flows from each peer all the while.
    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            let second = self.now + Duration::from_secs(1);
            let next = self.choker.poll_timeout().expect("rounds go on").min(second).min(end);
            for (peer, rate) in &self.gives {
                let bytes = (*rate as f64 * next.since(self.now).as_secs_f64()) as u64;
                if bytes > 0 {
                    self.choker.handle(next, ChokerEvent::Got(*peer, bytes));
                }
            }
            let taking: Vec<_> =
                self.takes.iter().filter(|(peer, _)| self.unchoked.get(peer) == Some(&true)).collect();
            for (peer, rate) in taking {
                let bytes = (*rate as f64 * next.since(self.now).as_secs_f64()) as u64;
                *self.taken.entry(*peer).or_default() += bytes;
                self.choker.handle(next, ChokerEvent::Sent(*peer, bytes));
            }
            self.now = next;
            self.drain();
            if self.choker.poll_timeout().is_some_and(|timeout| timeout <= self.now) {
                self.choker.handle_timeout(self.now);
                assert!(
                    self.choker.poll_timeout().expect("rounds go on") > self.now,
                    "the deadline moves on"
                );
                self.drain();
            }
        }
    }

    fn seconds(&mut self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
    }

    fn unchoked(&self) -> Vec<u64> {
        self.unchoked.iter().filter(|(_, unchoked)| **unchoked).map(|(peer, _)| peer.0).collect()
    }

    fn words(&self, number: u64) -> String {
        self.choker.why(PeerKey(number)).expect("connected").why.in_words(self.now)
    }
}
