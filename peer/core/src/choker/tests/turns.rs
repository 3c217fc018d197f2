//! Who is served by a seed.

use std::collections::BTreeMap;

use super::Rig;
use crate::{
    PeerKey,
    choker::{ChokerEvent, Slots, Weight},
};

fn seed(seed: u64) -> Rig {
    let mut rig = Rig::new(Slots::BEP_3, seed);
    rig.event(ChokerEvent::BecameSeed(true));
    rig
}

#[test]
fn a_seed_gives_everybody_a_turn() {
    let mut rig = seed(7).with_peers(20, 0);
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
fn a_turn_has_full_weight_whatever_it_takes() {
    let mut rig = seed(2).with_peers(20, 0);
    rig.takes = (1..=20).map(|number| (PeerKey(number), number * 10_000)).collect();
    rig.seconds(1_000);
    assert!(rig.weights.values().all(|weight| *weight == Weight::FULL));
    assert!(!rig.choker.is_attacked(), "a seed expects nothing");
}

#[test]
fn whoever_had_less_is_next() {
    let mut rig = seed(3).with_peers(20, 0);
    rig.takes =
        (1..=20).map(|number| (PeerKey(number), if number <= 5 { 400_000 } else { 50_000 })).collect();
    rig.seconds(3_000);
    let mut seconds = BTreeMap::new();
    for _ in 0..6_000 {
        rig.seconds(1);
        for number in rig.unchoked() {
            *seconds.entry(number).or_insert(0u32) += 1;
        }
    }
    let (fast, slow): (Vec<_>, Vec<_>) = seconds.iter().partition(|(number, _)| **number <= 5);
    let mean = |group: Vec<(&u64, &u32)>| {
        group.iter().map(|(_, s)| f64::from(**s)).sum::<f64>() / group.len() as f64
    };
    let (fast, slow) = (mean(fast), mean(slow));
    assert!(fast < slow * 0.6, "those who take eight times as much get less time: {fast} s to {slow} s");
}

#[test]
fn a_new_address_buys_no_turn() {
    let mut rig = seed(4).with_peers(20, 0);
    rig.takes = (1..=20).map(|number| (PeerKey(number), 100_000)).collect();
    let (mut reset, mut total) = (0, 0);
    let mut current = 1;
    for step in 0..120u16 {
        rig.replace(current, u64::from(step) + 1_000, 1_000 + step);
        current = u64::from(step) + 1_000;
        for _ in 0..60 {
            rig.seconds(1);
            reset += u32::from(rig.unchoked().contains(&current));
            total += rig.unchoked().len() as u32;
        }
    }
    let share = f64::from(reset) / f64::from(total);
    assert!(share < 1.3 / 20.0, "it got {share:.3} of all time, a twentieth would be fair");
}

#[test]
fn nobody_keeps_a_slot_past_sixty_seconds_and_twenty_pieces_while_others_wait() {
    let mut rig = seed(5).with_peers(30, 0);
    rig.takes = (1..=30).map(|number| (PeerKey(number), 500_000)).collect();
    let mut since = BTreeMap::new();
    for _ in 0..2_000 {
        rig.seconds(1);
        let unchoked = rig.unchoked();
        since.retain(|number, _| unchoked.contains(number));
        for number in unchoked {
            let seconds = since.entry(number).or_insert(0u32);
            *seconds += 1;
            assert!(*seconds <= 71, "{number} had its slot for {seconds} s");
        }
    }
}

#[test]
fn a_seed_serves_no_more_than_its_slots_whatever_its_peers_say() {
    let mut rig = seed(6).with_peers(30, 0);
    rig.takes = (1..=30).map(|number| (PeerKey(number), 100_000)).collect();
    for _ in 0..300 {
        for number in rig.unchoked() {
            rig.event(ChokerEvent::Interested(PeerKey(number), false));
        }
        assert!(rig.unchoked().len() <= 5, "{:?}", rig.unchoked());
        rig.seconds(1);
        for number in 1..=30 {
            rig.event(ChokerEvent::Interested(PeerKey(number), true));
        }
        assert!(rig.unchoked().len() <= 5, "{:?}", rig.unchoked());
    }
}

#[test]
fn a_slot_of_a_seed_is_filled_as_soon_as_its_holder_is_done() {
    let mut rig = seed(7).with_peers(10, 0);
    rig.seconds(25);
    let stays_long = rig.unchoked().into_iter().find(|number| {
        let flipped = rig.flipped[&PeerKey(*number)];
        rig.now.since(flipped) >= potluck_common::Duration::from_secs(10)
    });
    let done = stays_long.expect("most keep their slots for longer than a round");
    rig.event(ChokerEvent::Interested(PeerKey(done), false));
    assert!(!rig.unchoked().contains(&done));
    assert_eq!(rig.unchoked().len(), 5);
}
