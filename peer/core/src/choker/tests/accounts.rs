//! What is remembered of somebody, and what follows from it; and reasons in words.

use potluck_common::{Duration, Instant};

use super::Rig;
use crate::{
    PeerKey,
    choker::{ChokerConfig, ChokerEvent, Slots, Weight, Why},
};

#[test]
fn reasons_in_words() {
    let now = Instant::from_secs(100);
    let cases = [
        (Why::Repays { bytes_per_second: 1_900_000 }, "repays 1.9 MB/s"),
        (
            Why::Optimistic { since: Instant::from_secs(82), lasts: Duration::from_secs(30) },
            "trial 18 of 30 s",
        ),
        (
            Why::Optimistic { since: Instant::from_micros(99_700_000), lasts: Duration::from_millis(667) },
            "trial 0.3 of 0.7 s",
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

#[test]
fn a_trial_ends_when_its_credit_is_used_up_and_others_wait() {
    let mut rig = Rig::new(Slots::fixed(1), 1).with_peers(2, 0);
    let first = rig.unchoked()[0];
    let other = 3 - first;
    rig.takes.insert(PeerKey(first), 1_000_000);
    rig.seconds(9);
    assert_eq!(rig.unchoked(), [first], "nobody flips twice within ten seconds");
    rig.seconds(3);
    assert_eq!(rig.unchoked(), [other]);
    assert!(rig.words(first).starts_with("credit used: owes "), "{}", rig.words(first));
    // Alone it may go on: no upload is wasted.
    rig.event(ChokerEvent::Interested(PeerKey(other), false));
    rig.seconds(25);
    assert_eq!(rig.unchoked(), [first]);
    assert!(rig.choker.debt(PeerKey(first)) > 20_000_000);
}

/// What a free rider gets in an hour, who comes anew every minute, from a leecher with fair peers enough.
fn takings(same_address: bool) -> u64 {
    let mut rig = Rig::new(Slots::BEP_3, 2).with_peers(20, 10);
    rig.gives = (2..=8).map(|number| (PeerKey(number), 20_000 + number * 1_000)).collect();
    rig.takes = (1..=20).map(|number| (PeerKey(number), 25_000)).collect();
    let mut current = 1;
    for minute in 0..60u16 {
        let address = if same_address { 1_000 } else { 1_000 + minute };
        rig.replace(current, 1_000 + u64::from(minute), address);
        current = 1_000 + u64::from(minute);
        rig.seconds(60);
    }
    rig.taken.iter().filter(|(peer, _)| peer.0 >= 1_000).map(|(_, bytes)| bytes).sum()
}

#[test]
fn coming_anew_from_the_same_address_buys_nothing() {
    let (remembered, reset) = (takings(true), takings(false));
    assert!(remembered * 4 < reset, "{remembered} bytes to {reset} with new addresses");
}

#[test]
fn whom_we_owe_is_tried_first_and_at_full_weight() {
    let hits = (0..60).filter(|seed| {
        let mut rig = Rig::new(Slots::fixed(1), *seed).with_peers(11, 0);
        rig.seconds(60);
        let tried = rig.unchoked()[0];
        let creditor = if tried == 11 { 10 } else { 11 };
        rig.event(ChokerEvent::Got(PeerKey(creditor), 1_000_000));
        // One slot is for trials only; the next of eleven is drawn within 30 seconds.
        while rig.unchoked() == [tried] {
            rig.seconds(1);
        }
        let hit = rig.unchoked() == [creditor];
        assert!(
            !hit || !rig.weights.contains_key(&PeerKey(creditor))
                || rig.weights[&PeerKey(creditor)] == Weight::FULL
        );
        hit
    });
    let hits = hits.count();
    assert!((18..=44).contains(&hits), "{hits} of 60: ten lots of nineteen");
}

#[test]
fn two_connections_of_one_address_have_one_account() {
    let mut rig = Rig::new(Slots::fixed(2), 3);
    for number in [1, 2] {
        rig.connect_from(number, 7);
        rig.interested(number);
        rig.takes.insert(PeerKey(number), 10_000);
    }
    rig.gives.insert(PeerKey(1), 15_000);
    rig.seconds(100);
    let debts = [1, 2].map(|number| rig.choker.debt(PeerKey(number)));
    assert!(debts[0] == debts[1] && (400_000..=600_000).contains(&debts[0]), "{debts:?}");
}

#[test]
fn bytes_of_a_piece_that_failed_its_hash_do_not_count() {
    let mut rig = Rig::new(Slots::BEP_3, 4).with_peers(8, 100);
    rig.seconds(60);
    assert!(rig.unchoked().contains(&8));
    let before = rig.choker.why(PeerKey(8)).expect("connected").rate_bytes_per_second;
    rig.event(ChokerEvent::HashFail(PeerKey(8), 100_000_000));
    rig.gives.insert(PeerKey(8), 150_000);
    rig.seconds(10);
    let after = rig.choker.why(PeerKey(8)).expect("connected").rate_bytes_per_second;
    assert!(before > 700_000 && after < 200_000, "{before} to {after} B/s");
}

#[test]
fn near_the_limit_debtors_make_room_first() {
    let config = ChokerConfig { connections_max: Some(100), ..ChokerConfig::default() };
    let mut rig = Rig::with(config, 5).with_peers(89, 0);
    // Two of them took much, long ago, and gave nothing.
    for number in [17, 18] {
        rig.event(ChokerEvent::Sent(PeerKey(number), 10_000_000));
    }
    rig.seconds(700);
    assert_eq!(rig.evicted, [], "there is room");
    rig.connect(90);
    rig.seconds(330);
    let debtors: Vec<u64> =
        rig.evicted.iter().filter(|(_, why)| matches!(why, Why::Owes { .. })).map(|e| e.0).collect();
    let slotted = [17, 18].iter().filter(|number| rig.unchoked().contains(number)).count();
    assert_eq!(rig.evicted.len(), 4, "4 % of 90: {:?}", rig.evicted);
    assert_eq!(debtors.len() + slotted, 2, "{:?}", rig.evicted);
    rig.seconds(600);
    assert_eq!(rig.evicted.len(), 4, "there is room again");
}

#[test]
fn whoever_is_of_use_is_not_evicted() {
    let config = ChokerConfig { connections_max: Some(20), ..ChokerConfig::default() };
    let mut rig = Rig::with(config, 6).with_peers(20, 10);
    rig.seconds(1_000);
    assert_eq!(rig.evicted, [], "everybody gives");
    rig.gives.remove(&PeerKey(3));
    rig.seconds(1_000);
    assert_eq!(rig.evicted.iter().map(|evicted| evicted.0).collect::<Vec<_>>(), [3]);
}

#[test]
fn who_waits_for_its_first_turn_is_not_evicted_before_who_had_one() {
    let config = ChokerConfig { connections_max: Some(40), ..ChokerConfig::default() };
    let mut rig = Rig::with(config, 7);
    rig.event(ChokerEvent::BecameSeed(true));
    let mut rig = rig.with_peers(30, 0);
    for number in 1..=10 {
        rig.event(ChokerEvent::Sent(PeerKey(number), 100_000));
    }
    rig.seconds(400);
    for number in 31..=40 {
        rig.connect(number);
    }
    rig.seconds(400);
    assert!(!rig.evicted.is_empty());
    let had_none = |number: u64| (11..=30).contains(&number);
    assert!(!rig.evicted.iter().any(|(number, _)| had_none(*number)), "{:?}", rig.evicted);
}
