//! Tests of the rule in virtual time, and of its invariants under any events.

use std::{collections::BTreeMap, net::Ipv4Addr};

use potluck_common::{Duration, Instant};
use proptest::prelude::*;

use super::{Action, Choker, ChokerCommand, ChokerConfig, ChokerEvent, Slots, Why};
use crate::{Identity, PeerKey};

/// A choker on a virtual clock, and what its commands made of each peer.
struct Rig {
    choker: Choker,
    now: Instant,
    /// Payload per second that each peer gives us.
    gives: BTreeMap<PeerKey, u64>,
    unchoked: BTreeMap<PeerKey, bool>,
    flipped: BTreeMap<PeerKey, Instant>,
}

const START: Instant = Instant::from_secs(1_000);

impl Rig {
    fn new(slots: Slots, seed: u64) -> Self {
        let choker = Choker::new(ChokerConfig { slots, ..ChokerConfig::default() }, seed, START);
        Self {
            choker,
            now: START,
            gives: BTreeMap::new(),
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

    fn connect(&mut self, number: u64) {
        let identity = Identity::of(Ipv4Addr::new(10, 0, 0, number as u8).into());
        self.event(ChokerEvent::Connected { peer: PeerKey(number), identity });
        self.unchoked.insert(PeerKey(number), false);
    }

    fn event(&mut self, event: ChokerEvent) {
        self.choker.handle(self.now, event);
        if let ChokerEvent::Gone(peer) = event {
            self.unchoked.remove(&peer);
            self.flipped.remove(&peer);
        }
        self.drain();
    }

    /// Carries the commands out, and checks that they make sense.
    fn drain(&mut self) {
        while let Some(command) = self.choker.poll_command() {
            let (peer, unchoke) = match command {
                ChokerCommand::Choke { peer, .. } => (peer, false),
                ChokerCommand::Unchoke { peer, .. } => (peer, true),
                ChokerCommand::Weight { .. } | ChokerCommand::Evict { .. } => continue,
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
                self.choker.handle(next, ChokerEvent::Got(*peer, bytes));
            }
            self.now = next;
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

#[test]
fn the_four_fastest_earn_their_slots_and_one_is_tried() {
    let mut rig = Rig::new(Slots::BEP_3, 1).with_peers(10, 100);
    assert_eq!(rig.unchoked().len(), 5, "free slots are filled at once");
    rig.seconds(60);
    let mut tried = std::collections::BTreeSet::new();
    for _ in 0..60 {
        rig.seconds(10);
        let unchoked = rig.unchoked();
        assert!([7, 8, 9, 10].iter().all(|best| unchoked.contains(best)), "{unchoked:?}");
        assert_eq!(unchoked.len(), 5);
        tried.extend(unchoked.into_iter().filter(|number| *number < 7));
    }
    assert_eq!(tried.len(), 6, "in ten minutes everybody was tried: {tried:?}");
    let best = rig.choker.why(PeerKey(10)).expect("connected");
    assert_eq!((best.action, best.rank), (Action::Unchoke, Some(1)));
    assert_eq!(rig.words(10), "repays 1.0 MB/s");
    let (on_trial, slower) =
        ((1..7).find(|n| rig.unchoked().contains(n)), (1..7).find(|n| !rig.unchoked().contains(n)));
    assert!(rig.words(on_trial.expect("one is tried")).starts_with("trial "));
    assert_eq!(rig.words(slower.expect("others are not")), "slower than the 4 best");
}

#[test]
fn a_trial_lasts_thirty_seconds() {
    let mut rig = Rig::new(Slots::BEP_3, 2).with_peers(20, 100);
    rig.seconds(60);
    let mut changes = 0;
    let mut before = rig.unchoked();
    for _ in 0..300 {
        rig.seconds(1);
        changes += u32::from(rig.unchoked() != before);
        before = rig.unchoked();
    }
    assert_eq!(changes, 10, "one change every 30 s of 300 s");
}

#[test]
fn a_free_rider_gets_trials_only() {
    let mut rig = Rig::new(Slots::BEP_3, 3).with_peers(8, 100);
    rig.gives.insert(PeerKey(8), 0);
    rig.seconds(60);
    let mut seconds = 0;
    for _ in 0..1_200 {
        rig.seconds(1);
        seconds += u32::from(rig.unchoked().contains(&8));
    }
    assert!(seconds < 1_200 / 2, "it was served {seconds} of 1200 s");
    assert!(!rig.choker.decisions().any(|d| d.peer == PeerKey(8) && matches!(d.why, Why::Repays { .. })));
}

#[test]
fn slots_that_nobody_earns_are_tried_out() {
    let mut rig = Rig::new(Slots::BEP_3, 4).with_peers(12, 0);
    rig.seconds(100);
    assert_eq!(rig.unchoked().len(), 5);
}

#[test]
fn whoever_gives_more_and_wants_nothing_is_unchoked_without_a_slot() {
    let mut rig = Rig::new(Slots::BEP_3, 5).with_peers(8, 100);
    rig.event(ChokerEvent::Interested(PeerKey(8), false));
    rig.seconds(60);
    let unchoked = rig.unchoked();
    assert!([4, 5, 6, 7, 8].iter().all(|number| unchoked.contains(number)), "{unchoked:?}");
    assert_eq!((unchoked.len(), rig.choker.slots_taken()), (6, 5));
    assert!(rig.words(8).ends_with("kB/s and wants nothing now"), "{}", rig.words(8));
    rig.event(ChokerEvent::Interested(PeerKey(8), true));
    let unchoked = rig.unchoked();
    assert!(unchoked.contains(&8) && !unchoked.contains(&4), "the slowest makes room: {unchoked:?}");
    assert_eq!(rig.words(4), "slower than the 4 best");
}

#[test]
fn a_snubbing_peer_loses_its_earned_slot() {
    let mut rig = Rig::new(Slots::BEP_3, 6).with_peers(9, 100);
    rig.seconds(60);
    rig.event(ChokerEvent::Snubbed(PeerKey(9), true));
    rig.seconds(11);
    assert!(matches!(
        rig.choker.why(PeerKey(9)).expect("connected").why,
        Why::Snubs { .. } | Why::Optimistic { .. }
    ));
    assert!(rig.unchoked().contains(&5), "the fifth best moves up");
}

#[test]
fn a_seed_gives_everybody_a_turn() {
    let mut rig = Rig::new(Slots::BEP_3, 7);
    rig.event(ChokerEvent::BecameSeed(true));
    let mut rig = rig.with_peers(20, 0);
    let mut served = BTreeMap::new();
    for _ in 0..4_000 {
        rig.seconds(1);
        assert_eq!(rig.unchoked().len(), 5);
        for number in rig.unchoked() {
            *served.entry(number).or_insert(0u32) += 1;
        }
    }
    let (least, most) = (served.values().min().expect("some"), served.values().max().expect("some"));
    assert_eq!(served.len(), 20);
    assert!(*least > 500 && *most < 1_600, "a thousand seconds each, more or less: {served:?}");
}

#[test]
fn a_slot_that_becomes_free_is_filled_at_once_and_the_round_counts_it() {
    let mut rig = Rig::new(Slots::BEP_3, 9).with_peers(12, 100);
    for number in 13..100 {
        rig.pass(Duration::from_millis(3_700));
        let leaver = rig.unchoked()[number as usize % 5];
        rig.event(ChokerEvent::Gone(PeerKey(leaver)));
        rig.gives.remove(&PeerKey(leaver));
        assert_eq!(rig.unchoked().len(), 5);
        rig.connect(number);
        rig.event(ChokerEvent::Interested(PeerKey(number), true));
        rig.gives.insert(PeerKey(number), 50_000 * (number % 7));
        assert_eq!(rig.unchoked().len(), 5);
    }
}

#[test]
fn a_newcomer_is_three_times_as_likely_to_be_tried() {
    let tried_first = |seed| {
        let mut rig = Rig::new(Slots::fixed(1), seed).with_peers(11, 0);
        rig.seconds(95);
        rig.connect(12);
        rig.event(ChokerEvent::Interested(PeerKey(12), true));
        let before = rig.unchoked();
        while rig.unchoked() == before {
            rig.seconds(1);
        }
        rig.unchoked() == [12]
    };
    // One of eleven that wait, with three tickets of thirteen.
    let hits = (0..260).filter(|seed| tried_first(*seed)).count();
    assert!((42..=78).contains(&hits), "{hits} of 260");
}

#[test]
fn unlimited_slots_serve_everybody_who_is_interested() {
    let mut rig = Rig::new(Slots::Unlimited, 8).with_peers(30, 0);
    rig.connect(31);
    assert_eq!(rig.unchoked().len(), 30);
    rig.event(ChokerEvent::SetSlots(Slots::fixed(10)));
    rig.seconds(30);
    assert_eq!(rig.unchoked().len(), 10);
    assert_eq!(rig.words(31), "not interested in us");
    rig.event(ChokerEvent::SetSlots(Slots::Unlimited));
    rig.seconds(30);
    assert_eq!(rig.unchoked().len(), 30);
}

#[test]
fn without_slots_nobody_is_ever_unchoked() {
    let mut rig = Rig::new(Slots::fixed(0), 4).with_peers(6, 10);
    // Somebody who wants nothing now could ask later.
    rig.event(ChokerEvent::Interested(PeerKey(6), false));
    for _ in 0..90 {
        rig.seconds(1);
        assert_eq!(rig.unchoked(), []);
    }
}

#[test]
fn reasons_in_words() {
    let now = Instant::from_secs(100);
    let cases = [
        (Why::Repays { bytes_per_second: 1_900_000 }, "repays 1.9 MB/s"),
        (
            Why::Optimistic { since: Instant::from_secs(82), lasts: Duration::from_secs(30) },
            "trial 18 of 30 s",
        ),
        (Why::Seeding { bytes_per_second: 400_000 }, "seeding: 400 kB/s to it"),
        (Why::Slower { than_best: 4 }, "slower than the 4 best"),
        (Why::Snubs { since: Instant::from_secs(26) }, "snubs us 74 s"),
        (Why::CreditUsed { debt_bytes: 612_000 }, "credit used: owes 612 kB"),
        (Why::WaitsForSlot, "waiting for a slot"),
    ];
    for (why, words) in cases {
        assert_eq!(why.in_words(now), words);
    }
}

/// One step of a random history.
#[derive(Clone, Debug)]
enum Step {
    Event(ChokerEvent),
    Connect(u64),
    Gives(u64, u64),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let peer = || 1u64..12;
    let event = prop_oneof![
        (peer(), any::<bool>()).prop_map(|(peer, is)| ChokerEvent::Interested(PeerKey(peer), is)),
        (peer(), any::<bool>()).prop_map(|(peer, is)| ChokerEvent::Snubbed(PeerKey(peer), is)),
        (peer(), any::<bool>()).prop_map(|(peer, is)| ChokerEvent::UploadOnly(PeerKey(peer), is)),
        (peer(), 0u64..100_000).prop_map(|(peer, bytes)| ChokerEvent::HashFail(PeerKey(peer), bytes)),
        (peer(), 0u64..1_000_000).prop_map(|(peer, bytes)| ChokerEvent::Sent(PeerKey(peer), bytes)),
        any::<bool>().prop_map(ChokerEvent::BecameSeed),
        (0u32..8).prop_map(|slots| ChokerEvent::SetSlots(Slots::fixed(slots))),
        Just(ChokerEvent::SetSlots(Slots::Unlimited)),
    ];
    let step = prop_oneof![
        4 => event.prop_map(Step::Event),
        4 => (peer(), Just(true)).prop_map(|(peer, is)| Step::Event(ChokerEvent::Interested(PeerKey(peer), is))),
        3 => peer().prop_map(Step::Connect),
        1 => peer().prop_map(|peer| Step::Event(ChokerEvent::Gone(PeerKey(peer)))),
        3 => (peer(), 0u64..1_000_000).prop_map(|(peer, rate)| Step::Gives(peer, rate)),
        4 => (1u64..15_000).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The rig checks after every step that commands change something, that nobody flips twice within ten seconds,
    /// and the choker's own invariants: slots are never exceeded and only held by those who want something.
    #[test]
    fn no_history_breaks_the_rule(seed: u64, steps in steps()) {
        let mut rig = Rig::new(Slots::BEP_3, seed);
        for step in steps {
            match step {
                Step::Connect(peer) if !rig.unchoked.contains_key(&PeerKey(peer)) => rig.connect(peer),
                Step::Connect(_) => {}
                Step::Event(event) => rig.event(event),
                Step::Gives(peer, rate) => drop(rig.gives.insert(PeerKey(peer), rate)),
                Step::Pass(millis) => rig.pass(Duration::from_millis(millis)),
            }
        }
        // Slots never stay empty while somebody could have one.
        rig.event(ChokerEvent::SetSlots(Slots::BEP_3));
        rig.seconds(11);
        let waiting = rig.choker.wanting - rig.choker.slotted;
        prop_assert!(waiting == 0 || rig.choker.slots_taken() == 5, "{waiting} wait for free slots");
    }
}
