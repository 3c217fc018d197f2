//! The collector against honest, slow and hostile peers.

use std::{
    collections::{BTreeMap, VecDeque},
    net::Ipv4Addr,
};

use bytes::Bytes;
use potluck_common::{Duration, InfoHash, Instant, Rng, hash::sha1, limits::METADATA_PIECE_BYTES};
use proptest::prelude::*;

use super::{Collector, Expected, REQUESTS_MAX, ROUNDS_MAX, Wish};
use crate::{Identity, PeerKey};

/// What a peer does when it is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Manner {
    Honest,
    /// It answers with other bytes.
    Lies,
    /// It lies about one piece only.
    LiesOnce(u32),
    Rejects,
    Silent,
    /// Its pieces have the wrong length.
    Short,
    /// It says another size in its answers than it offered.
    OtherTotal,
}

/// A collector among peers that answer after a while.
struct World {
    collector: Collector,
    info: Bytes,
    manners: BTreeMap<PeerKey, Manner>,
    now: Instant,
    answers: VecDeque<(PeerKey, u32)>,
    asked: BTreeMap<PeerKey, u32>,
    gone: BTreeMap<PeerKey, bool>,
    complete: Option<Bytes>,
    failures: u32,
}

fn made_up(size: u32, seed: u64) -> Bytes {
    let mut bytes = vec![0; size as usize];
    Rng::new(seed).fill(&mut bytes);
    bytes.into()
}

impl World {
    fn new(size: u32) -> Self {
        let info = made_up(size, 1);
        let expected = Expected { v1: Some(InfoHash(sha1(&info))), v2: None };
        Self {
            collector: Collector::new(expected),
            info,
            manners: BTreeMap::new(),
            now: Instant::from_secs(1),
            answers: VecDeque::new(),
            asked: BTreeMap::new(),
            gone: BTreeMap::new(),
            complete: None,
            failures: 0,
        }
    }

    fn size(&self) -> u32 {
        self.info.len() as u32
    }

    fn joins(&mut self, key: u64, manner: Manner) {
        self.offers(key, manner, Some(self.size()));
    }

    fn offers(&mut self, key: u64, manner: Manner, size: Option<u32>) {
        let peer = PeerKey(key);
        self.manners.insert(peer, manner);
        let who = Identity::of(Ipv4Addr::new(10, 0, (key >> 8) as u8, key as u8).into());
        self.collector.offers(self.now, peer, who, size);
        self.follow();
    }

    fn follow(&mut self) {
        self.collector.assert_invariants();
        while let Some(wish) = self.collector.poll_wish() {
            match wish {
                Wish::Ask(peer, piece) => {
                    assert!(!self.gone.contains_key(&peer), "who is gone is not asked");
                    *self.asked.entry(peer).or_default() += 1;
                    self.answers.push_back((peer, piece));
                }
                Wish::Close(peer, _) => drop(self.gone.insert(peer, false)),
                Wish::Ban(peer) => drop(self.gone.insert(peer, true)),
                Wish::Failed { .. } => self.failures += 1,
                Wish::Complete { info, .. } => self.complete = Some(info),
            }
        }
    }

    /// The answer to one request.
    fn answer(&mut self, peer: PeerKey, piece: u32) {
        let length = METADATA_PIECE_BYTES as usize;
        let begin = piece as usize * length;
        let end = (begin + length).min(self.info.len());
        let honest = if begin < end { self.info.slice(begin..end) } else { Bytes::from(vec![0; length]) };
        let lie = made_up(honest.len() as u32, peer.0 + 7);
        let total = Some(self.size());
        match self.manners[&peer] {
            Manner::Honest => self.collector.gives(self.now, peer, piece, total, &honest),
            Manner::Lies => self.collector.gives(self.now, peer, piece, None, &lie),
            Manner::LiesOnce(wrong) if wrong == piece => {
                self.collector.gives(self.now, peer, piece, None, &lie);
            }
            Manner::LiesOnce(_) => self.collector.gives(self.now, peer, piece, None, &honest),
            Manner::Rejects => self.collector.rejects(self.now, peer, piece),
            Manner::Short => self.collector.gives(self.now, peer, piece, None, &honest.slice(1..)),
            Manner::OtherTotal => self.collector.gives(self.now, peer, piece, Some(1), &honest),
            Manner::Silent => {}
        }
        self.follow();
    }

    /// Answers until nothing is asked, lets deadlines pass, and so on for `time`.
    fn runs(&mut self, time: Duration) {
        let end = self.now + time;
        while self.complete.is_none() {
            while let Some((peer, piece)) = self.answers.pop_front() {
                if !self.gone.contains_key(&peer) {
                    self.answer(peer, piece);
                }
            }
            let Some(next) = self.collector.poll_timeout().filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            self.collector.handle_timeout(self.now);
            self.follow();
            let next = self.collector.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "a deadline that passed is not given again");
        }
        self.now = self.now.max(end);
    }

    fn runs_secs(&mut self, seconds: u64) {
        self.runs(Duration::from_secs(seconds));
    }

    fn must_be_complete(&self) {
        assert_eq!(self.complete.as_ref(), Some(&self.info), "byte for byte");
    }
}

#[test]
fn several_peers_give_parts_of_it() {
    let mut world = World::new(100_000);
    for key in 1..=3 {
        world.joins(key, Manner::Honest);
    }
    assert_eq!(world.asked.values().sum::<u32>(), 3 * REQUESTS_MAX as u32, "everybody is asked at once");
    world.runs_secs(1);
    world.must_be_complete();
    assert!(world.asked.values().all(|asked| *asked >= 2), "{:?}", world.asked);
    assert!(world.asked.values().sum::<u32>() <= 9, "little is fetched twice: {:?}", world.asked);
}

#[test]
fn row_1_12_absurd_sizes_are_never_asked_for() {
    // 2⁶³-1 and -1 do not fit the handshake's number and are no size at all.
    for size in [None, Some(0), Some(i32::MAX as u32), Some(u32::MAX), Some(16 * 1024 * 1024 + 1)] {
        let mut world = World::new(50_000);
        world.offers(1, Manner::Lies, size);
        world.runs_secs(3_600);
        assert_eq!(world.asked.get(&PeerKey(1)), None, "{size:?}");
        assert_eq!(world.gone.contains_key(&PeerKey(1)), size.is_some_and(|size| size > 0), "{size:?}");
        world.joins(2, Manner::Honest);
        world.runs_secs(1);
        world.must_be_complete();
    }
}

#[test]
fn row_1_12_a_lone_liar_is_banned_after_three_rounds() {
    let mut world = World::new(100_000);
    world.joins(1, Manner::Lies);
    world.runs_secs(3_600);
    assert_eq!(world.gone.get(&PeerKey(1)), Some(&true));
    assert_eq!(world.failures, ROUNDS_MAX);
    assert_eq!(world.asked[&PeerKey(1)], ROUNDS_MAX * 7, "three times all of it");
    let asked = world.asked[&PeerKey(1)];
    world.joins(1, Manner::Honest);
    assert_eq!(world.asked[&PeerKey(1)], asked, "nor is it when it comes back");
}

#[test]
fn row_1_12_liars_do_not_keep_honest_metadata_out() {
    for manner in [Manner::Lies, Manner::LiesOnce(3), Manner::Short, Manner::OtherTotal] {
        for liars in [1, 5, 30] {
            let mut world = World::new(100_000);
            (1..=liars).for_each(|key| world.joins(key, manner));
            world.runs_secs(5);
            world.joins(100, Manner::Honest);
            world.runs_secs(60);
            world.must_be_complete();
            assert!(!world.gone.contains_key(&PeerKey(100)), "{manner:?}: the honest one is not blamed");
        }
    }
}

#[test]
fn row_1_12_wrong_bytes_among_honest_ones_cost_one_round_and_no_honest_peer() {
    let mut world = World::new(100_000);
    world.joins(1, Manner::LiesOnce(0));
    (2..=4).for_each(|key| world.joins(key, Manner::Honest));
    world.runs_secs(60);
    world.must_be_complete();
    assert!(world.failures <= 2, "then each gives the whole, the liar too");
    assert!(world.gone.is_empty());
}

#[test]
fn large_claims_do_not_keep_small_metadata_out() {
    let mut world = World::new(50_000);
    for key in 1..=30 {
        world.offers(key, Manner::Silent, Some(16 * 1024 * 1024 - key as u32));
    }
    world.joins(100, Manner::Honest);
    world.runs_secs(5);
    world.must_be_complete();
}

#[test]
fn who_says_nothing_or_no_holds_nobody_up() {
    for manner in [Manner::Silent, Manner::Rejects] {
        let mut world = World::new(100_000);
        (1..=5).for_each(|key| world.joins(key, manner));
        world.joins(6, Manner::Honest);
        world.runs_secs(25);
        world.must_be_complete();
    }
}

#[test]
fn small_claims_do_not_keep_large_metadata_out() {
    // Each gives a piece whenever it is about to be given up, and none of its attempts ends soon.
    let size = 2 * 1024 * 1024;
    let mut world = World::new(size);
    let slow: Vec<PeerKey> = (1..=30).map(PeerKey).collect();
    for peer in &slow {
        world.offers(peer.0, Manner::Silent, Some(size - peer.0 as u32));
    }
    world.joins(100, Manner::Honest);
    for second in 0..400 {
        for (peer, piece) in std::mem::take(&mut world.answers) {
            if !slow.contains(&peer) {
                world.answer(peer, piece);
            } else if second % 4 == 0 {
                let garbage = made_up(METADATA_PIECE_BYTES, 9);
                world.collector.gives(world.now, peer, piece, None, &garbage);
                world.follow();
            } else {
                world.answers.push_back((peer, piece));
            }
        }
        world.now += Duration::from_secs(1);
    }
    assert!(world.complete.is_some(), "{:?}", world.collector.progress());
    assert_eq!(world.asked[&PeerKey(100)], 128, "it is asked for each piece once");
}

#[test]
fn what_came_is_bounded_and_the_furthest_attempt_stays() {
    let mut world = World::new(16 * 1024 * 1024);
    world.joins(100, Manner::Silent);
    let garbage = made_up(METADATA_PIECE_BYTES, 9);
    for key in 1..=3 {
        world.offers(key, Manner::Silent, Some(16 * 1024 * 1024 - key as u32 * METADATA_PIECE_BYTES));
    }
    for _ in 0..1_010 {
        world.now += Duration::from_secs(1);
        for (peer, piece) in std::mem::take(&mut world.answers) {
            world.collector.gives(world.now, peer, piece, None, &garbage);
            world.follow();
        }
    }
    assert!(world.collector.progress().pieces >= 1_000, "{:?}", world.collector.progress());
}

#[test]
fn silent_givers_that_are_due_and_not_asked_are_no_deadline() {
    let mut world = World::new(10_000);
    (1..=4).for_each(|key| world.joins(key, Manner::Silent));
    world.runs_secs(3_600);
    assert!(world.asked.values().all(|asked| (20..60).contains(asked)), "{:?}", world.asked);
}

#[test]
fn silent_givers_that_came_first_leave_a_place_for_the_honest_one() {
    for (silent, size) in [(6, 10_000), (21, 10_000), (39, 10_000), (39, 100_000)] {
        for waited in [0, 5, 100, 1_000] {
            let mut world = World::new(size);
            (1..=silent).for_each(|key| world.joins(key, Manner::Silent));
            world.runs_secs(waited);
            world.joins(100, Manner::Honest);
            world.runs_secs(if waited < 100 { 70 } else { 1 });
            assert!(world.complete.is_some(), "{silent} silent givers of {size} bytes, after {waited} s");
        }
    }
}

#[test]
fn who_has_it_later_is_asked_then() {
    let mut world = World::new(40_000);
    world.offers(1, Manner::Honest, None);
    world.runs_secs(100);
    assert!(world.asked.is_empty());
    world.joins(1, Manner::Honest);
    world.runs_secs(1);
    world.must_be_complete();
}

#[test]
fn a_silent_peer_is_asked_ever_more_rarely() {
    let mut world = World::new(10_000);
    world.joins(1, Manner::Silent);
    world.runs_secs(3_600);
    assert!((20..60).contains(&world.asked[&PeerKey(1)]), "{:?}", world.asked);
}

#[test]
fn what_was_not_asked_for_is_not_taken() {
    let mut world = World::new(100_000);
    world.joins(1, Manner::Silent);
    for _ in 0..4 {
        world.collector.gives(world.now, PeerKey(1), 6, None, &Bytes::new());
        world.follow();
    }
    assert!(world.gone.is_empty());
    world.collector.gives(world.now, PeerKey(1), u32::MAX, None, &Bytes::new());
    world.follow();
    assert_eq!(world.gone.get(&PeerKey(1)), Some(&false));
}

#[test]
fn what_a_peer_gave_stays_when_it_leaves() {
    let mut world = World::new(16 * 1024 * 4);
    world.joins(1, Manner::Honest);
    for _ in 0..2 {
        let (peer, piece) = world.answers.pop_front().expect("asked");
        world.answer(peer, piece);
    }
    world.collector.leaves(world.now, PeerKey(1));
    world.gone.insert(PeerKey(1), false);
    world.answers.clear();
    assert_eq!(world.collector.progress().pieces, 2);
    world.joins(2, Manner::Honest);
    world.runs_secs(1);
    world.must_be_complete();
    assert_eq!(world.asked[&PeerKey(2)], 2, "only what was lacking");
}

#[derive(Clone, Debug)]
enum Step {
    Joins(u64, Manner, Option<u32>),
    Leaves(u64),
    Waits(u64),
    Gives(u64, u32, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let manner = prop_oneof![
        Just(Manner::Honest),
        Just(Manner::Lies),
        (0..7u32).prop_map(Manner::LiesOnce),
        Just(Manner::Rejects),
        Just(Manner::Silent),
        Just(Manner::Short),
        Just(Manner::OtherTotal),
    ];
    let size = prop_oneof![Just(Some(100_000)), Just(Some(100_001)), Just(Some(7)), any::<Option<u32>>()];
    let step = prop_oneof![
        (1..30u64, manner, size).prop_map(|(key, manner, size)| Step::Joins(key, manner, size)),
        (1..30u64).prop_map(Step::Leaves),
        (0..100u64).prop_map(Step::Waits),
        (1..30u64, any::<u32>(), 0..20_000usize)
            .prop_map(|(key, piece, length)| Step::Gives(key, piece, length)),
    ];
    proptest::collection::vec(step, 0..60)
}

proptest! {
    /// Whatever peers do, an honest one that stays is enough.
    #[test]
    fn an_honest_peer_is_always_enough(steps in steps()) {
        let mut world = World::new(100_000);
        for step in steps {
            match step {
                Step::Joins(key, manner, size) => {
                    world.gone.remove(&PeerKey(key));
                    world.offers(key, manner, size);
                }
                Step::Leaves(key) => {
                    world.collector.leaves(world.now, PeerKey(key));
                    world.gone.insert(PeerKey(key), false);
                    world.answers.retain(|(peer, _)| *peer != PeerKey(key));
                    world.follow();
                }
                Step::Waits(seconds) => world.runs_secs(seconds),
                Step::Gives(key, piece, length) => {
                    world.collector.gives(world.now, PeerKey(key), piece, None, &made_up(length as u32, 3));
                    world.follow();
                }
            }
        }
        world.joins(200, Manner::Honest);
        world.runs_secs(600);
        world.must_be_complete();
        prop_assert!(!world.gone.contains_key(&PeerKey(200)));
    }
}
