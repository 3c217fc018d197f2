//! Who earns a slot, and who is tried.

use std::collections::BTreeSet;

use potluck_common::Duration;

use super::Rig;
use crate::{
    PeerKey,
    choker::{Action, ChokerEvent, Slots, Weight, Why},
};

#[test]
fn the_four_fastest_earn_their_slots_and_one_is_tried() {
    let mut rig = Rig::new(Slots::BEP_3, 1).with_peers(10, 100).taking_all_the_more();
    assert_eq!(rig.unchoked().len(), 1, "one trial begins at once");
    rig.seconds(11);
    assert!(rig.unchoked().len() >= 4, "the others with the round");
    rig.seconds(60);
    let mut tried = BTreeSet::new();
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
fn a_slot_that_becomes_free_goes_at_once_to_somebody_who_repays() {
    let mut rig = Rig::new(Slots::BEP_3, 9).with_peers(30, 100);
    rig.seconds(60);
    for number in 31..120 {
        rig.pass(Duration::from_millis(3_700));
        let unchoked = rig.unchoked();
        let leaver = unchoked[number as usize % unchoked.len()];
        let earned = rig.words(leaver).starts_with("repays ");
        rig.event(ChokerEvent::Gone(PeerKey(leaver)));
        rig.gives.remove(&PeerKey(leaver));
        assert_eq!(
            rig.unchoked().len(),
            unchoked.len() - usize::from(!earned),
            "a trial waits for the round"
        );
        rig.connect(number);
        rig.interested(number);
        rig.gives.insert(PeerKey(number), 50_000 * (1 + number % 7));
    }
    rig.seconds(11);
    assert_eq!(rig.unchoked().len(), 5);
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
fn a_trial_weighs_half_of_an_earned_slot() {
    let mut rig = Rig::new(Slots::BEP_3, 10).with_peers(8, 100).taking_all_the_more();
    let weight = |rig: &Rig, number| rig.weights.get(&PeerKey(number)).copied().unwrap_or(Weight::FULL);
    for number in rig.unchoked() {
        assert_eq!(weight(&rig, number), Weight::HALF, "{number} is on trial");
    }
    rig.seconds(60);
    let unchoked = rig.unchoked();
    for number in [5, 6, 7, 8] {
        assert_eq!(weight(&rig, number), Weight::FULL, "{number} earned its slot");
    }
    let tried: Vec<_> = unchoked.into_iter().filter(|number| *number < 5).collect();
    assert_eq!(tried.iter().map(|number| weight(&rig, *number)).collect::<Vec<_>>(), [Weight::HALF]);
}

#[test]
fn when_few_trials_are_repaid_they_get_less_until_they_are() {
    let mut rig = Rig::new(Slots::BEP_3, 11).with_peers(12, 0);
    rig.takes = (1..=12).map(|number| (PeerKey(number), 20_000)).collect();
    rig.seconds(600);
    assert!(rig.choker.is_attacked());
    for number in rig.unchoked() {
        assert_eq!(rig.weights[&PeerKey(number)], Weight::QUARTER, "{number}");
    }
    rig.gives = (1..=12).map(|number| (PeerKey(number), 20_000)).collect();
    rig.seconds(600);
    assert!(!rig.choker.is_attacked());
    assert!(rig.unchoked().iter().all(|number| rig.weights[&PeerKey(*number)] != Weight::QUARTER));
}

#[test]
fn somebody_who_snubs_us_opens_one_more_slot_while_an_earned_one_is_empty() {
    let mut rig = Rig::new(Slots::BEP_3, 12).with_peers(12, 0);
    rig.gives.insert(PeerKey(1), 100_000);
    rig.seconds(30);
    assert_eq!(rig.unchoked().len(), 5);
    rig.gives.remove(&PeerKey(1));
    rig.event(ChokerEvent::Snubbed(PeerKey(1), true));
    rig.seconds(11);
    assert_eq!(rig.unchoked().len(), 6);
    rig.event(ChokerEvent::Snubbed(PeerKey(1), false));
    rig.seconds(21);
    assert_eq!(rig.unchoked().len(), 5);
}

#[test]
fn whoever_wants_nothing_for_a_moment_finds_its_slot_again() {
    let mut rig = Rig::new(Slots::BEP_3, 13).with_peers(12, 100);
    rig.seconds(60);
    let before = rig.unchoked();
    rig.event(ChokerEvent::Interested(PeerKey(12), false));
    assert_eq!((rig.unchoked(), rig.choker.slots_taken()), (before.clone(), 4), "its slot stays empty");
    rig.event(ChokerEvent::Interested(PeerKey(12), true));
    assert_eq!((rig.unchoked(), rig.choker.slots_taken()), (before.clone(), 5));
    assert!(rig.words(12).starts_with("repays "), "{}", rig.words(12));
    // But the uplink gets something to do, and a round waits for nobody.
    for number in &before {
        rig.event(ChokerEvent::Interested(PeerKey(*number), false));
    }
    assert_eq!(rig.choker.slots_taken(), 1);
    rig.seconds(11);
    assert_eq!(rig.choker.slots_taken(), 5);
}

#[test]
fn saying_that_one_wants_nothing_buys_no_weight_and_no_end_of_the_trial() {
    let mut rig = Rig::new(Slots::fixed(2), 14).with_peers(6, 0);
    rig.takes = (1..=6).map(|number| (PeerKey(number), 100_000)).collect();
    let mut seconds = 0;
    for _ in 0..120 {
        // Each takes all the while, and says that it wants nothing but at the end of the round.
        for number in 1..=6 {
            rig.event(ChokerEvent::Interested(PeerKey(number), false));
        }
        rig.seconds(1);
        for number in rig.unchoked() {
            assert!(rig.weights[&PeerKey(number)] < Weight::FULL, "{number} takes at full weight");
        }
        assert!(rig.unchoked().len() <= 3, "{:?} take without a slot", rig.unchoked());
        for number in 1..=6 {
            rig.event(ChokerEvent::Interested(PeerKey(number), true));
        }
        seconds += rig.unchoked().len();
    }
    assert!(seconds > 100, "slots are used");
    assert!(rig.choker.is_attacked() || rig.choker.debt(PeerKey(1)) < 4_000_000);
}

#[test]
fn empty_trials_do_not_hide_an_attack() {
    let mut rig = Rig::new(Slots::BEP_3, 15).with_peers(12, 0);
    rig.takes = (1..=12).map(|number| (PeerKey(number), 20_000)).collect();
    for _ in 0..600 {
        rig.seconds(1);
        // One byte at a time, and many times over.
        let first = PeerKey(rig.unchoked()[0]);
        rig.event(ChokerEvent::Interested(first, false));
        rig.event(ChokerEvent::Interested(first, true));
    }
    assert!(rig.choker.is_attacked());
}

#[test]
fn slots_follow_what_they_are_set_to() {
    let mut rig = Rig::new(Slots::fixed(30), 8).with_peers(30, 0);
    rig.connect(31);
    for (slots, unchoked) in [(30, 30), (10, 10), (30, 30)] {
        rig.event(ChokerEvent::SetSlots(Slots::fixed(slots)));
        rig.seconds(30);
        assert_eq!(rig.unchoked().len(), unchoked);
    }
    assert_eq!(rig.words(31), "not interested in us");
}
