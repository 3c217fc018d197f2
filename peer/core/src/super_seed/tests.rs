//! Single decisions, and small swarms whose members pass pieces on, keep them, stall, hide, and leave.

use std::collections::{BTreeMap, BTreeSet};

use potluck_common::{Bitfield, Duration, Geometry, Instant, PieceIndex, Rng};
use proptest::prelude::*;

use super::{DOUBT, LURES_MAX, PATIENCE, SuperSeed, SuperSeedCommand, SuperSeedEnd};
use crate::PeerKey;

fn geometry(pieces: u32) -> Geometry {
    Geometry::new(u64::from(pieces) * 262_144, 262_144).expect("in bounds")
}

/// A super-seed, and what it showed to whom.
struct Subject {
    machine: SuperSeed,
    geometry: Geometry,
    now: Instant,
    has: BTreeMap<PeerKey, Bitfield>,
    shown: BTreeMap<PeerKey, BTreeSet<PieceIndex>>,
    ended: Option<SuperSeedEnd>,
    drains: u64,
    /// The invariants are checked once in so many steps.
    checked_each: u64,
}

impl Subject {
    fn new(pieces: u32, seed: u64) -> Self {
        let (geometry, now) = (geometry(pieces), Instant::from_secs(1));
        Self {
            machine: SuperSeed::new(geometry, seed, now),
            geometry,
            now,
            has: BTreeMap::new(),
            shown: BTreeMap::new(),
            ended: None,
            drains: 0,
            checked_each: 1,
        }
    }

    fn drain(&mut self) {
        while let Some(command) = self.machine.poll_command() {
            assert_eq!(self.ended, None, "nothing follows the end");
            match command {
                SuperSeedCommand::Show(peer, piece) => {
                    assert!(!self.has[&peer].has(piece), "{peer:?} has {piece:?}");
                    assert!(self.shown.entry(peer).or_default().insert(piece), "{piece:?} twice to {peer:?}");
                }
                SuperSeedCommand::End(why) => self.ended = Some(why),
            }
        }
        self.drains += 1;
        if self.drains.is_multiple_of(self.checked_each) {
            self.machine.assert_invariants();
        }
    }

    /// A peer comes and has nothing.
    fn comes(&mut self, peer: u64) -> PeerKey {
        let (key, none) = (PeerKey(peer), Bitfield::empty(self.geometry.pieces()));
        self.has.insert(key, none.clone());
        self.machine.peer_came(self.now, key);
        self.drain();
        self.machine.peer_has_all_of(self.now, key, &none, &none);
        self.drain();
        key
    }

    /// A peer comes, becomes interested and is unchoked.
    fn joins(&mut self, peer: u64) -> PeerKey {
        let key = self.comes(peer);
        self.machine.interested(self.now, key, true);
        self.machine.unchoked(self.now, key, true);
        self.drain();
        key
    }

    /// It has the piece from us, if it was shown it.
    fn gets(&mut self, peer: PeerKey, piece: PieceIndex) {
        if self.to_fetch(peer).contains(&piece) {
            self.machine.sent(self.now, peer, 262_144);
        }
        self.says(peer, piece);
    }

    /// It says to have the piece.
    fn says(&mut self, peer: PeerKey, piece: PieceIndex) {
        if self.has.get_mut(&peer).expect("is there").insert(piece) {
            self.machine.peer_has(self.now, peer, piece);
            self.drain();
        }
    }

    fn leaves(&mut self, peer: PeerKey) {
        let has = self.has.remove(&peer).expect("is there");
        self.shown.remove(&peer);
        self.machine.peer_gone(self.now, peer, &has);
        self.drain();
    }

    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            if self.machine.poll_timeout().is_some_and(|at| at <= self.now) {
                self.machine.handle_timeout(self.now);
            }
            self.drain();
        }
    }

    fn shown_to(&self, peer: PeerKey) -> Vec<PieceIndex> {
        self.shown.get(&peer).into_iter().flatten().copied().collect()
    }

    /// What it was shown and lacks.
    fn to_fetch(&self, peer: PeerKey) -> Vec<PieceIndex> {
        self.shown_to(peer).into_iter().filter(|piece| !self.has[&peer].has(*piece)).collect()
    }
}

#[test]
fn everybody_is_shown_another_piece_and_the_choked_one_only() {
    let mut subject = Subject::new(40, 1);
    let choked: Vec<PeerKey> = (0..8).map(|n| subject.comes(n)).collect();
    let unchoked: Vec<PeerKey> = (8..16).map(|n| subject.joins(n)).collect();
    assert!(choked.iter().all(|peer| subject.shown_to(*peer).len() == 1));
    assert!(unchoked.iter().all(|peer| subject.shown_to(*peer).len() == 2));
    let all: BTreeSet<PieceIndex> = subject.shown.values().flatten().copied().collect();
    assert_eq!(all.len(), 8 + 16, "no piece is shown twice");
}

#[test]
fn the_next_piece_comes_when_the_last_was_seen_elsewhere() {
    let mut subject = Subject::new(40, 2);
    let (first, second) = (subject.joins(1), subject.joins(2));
    for _ in 0..3 {
        if let Some(piece) = subject.to_fetch(first).first() {
            subject.gets(first, *piece);
            subject.pass(2);
        }
    }
    let before = subject.shown_to(first);
    assert_eq!((before.len(), subject.to_fetch(first).len()), (3, 0), "three are out and nowhere else");
    subject.pass(1);
    assert_eq!(subject.shown_to(first), before, "the other one fetches, so the seed has something to do");
    subject.gets(second, before[0]);
    assert_eq!(subject.shown_to(first).len(), 4, "one spread");
}

#[test]
fn a_peer_that_passes_nothing_on_gets_a_piece_now_and_then() {
    let mut subject = Subject::new(400, 3);
    let hoarder = subject.joins(1);
    // Somebody who is always about to fetch.
    let other = subject.joins(2);
    for _ in 0..300 {
        subject.pass(1);
        for piece in subject.to_fetch(hoarder) {
            subject.gets(hoarder, piece);
        }
        if let Some(piece) = subject.to_fetch(other).first().copied() {
            subject.gets(other, piece);
            // It has passed it on to somebody whom we do not know.
            let third = subject.comes(1_000 + subject.now.as_micros());
            subject.gets(third, piece);
            subject.leaves(third);
        }
    }
    let count = subject.shown_to(hoarder).len();
    assert!((10..=30).contains(&count), "{count}");
    assert!(subject.shown_to(other).len() > 250, "{}", subject.shown_to(other).len());
}

#[test]
fn a_sole_leecher_never_waits() {
    let mut subject = Subject::new(50, 4);
    let peer = subject.joins(1);
    for left in (1..=50).rev() {
        let next = subject.to_fetch(peer);
        assert!(next.len() >= left.min(2), "with {left} left: {}", next.len());
        subject.gets(peer, next[0]);
    }
    assert_eq!(subject.ended, Some(SuperSeedEnd::AnotherSeed));
}

#[test]
fn who_wants_none_of_it_is_shown_twice_as_much_each_time() {
    let mut subject = Subject::new(100, 5);
    let peer = subject.comes(1);
    let counts: Vec<usize> = (0..8)
        .map(|_| {
            let count = subject.shown_to(peer).len();
            subject.pass(PATIENCE.as_secs() + 1);
            count
        })
        .collect();
    assert_eq!(counts, [1, 2, 4, 8, 16, 32, 64, 100]);
}

#[test]
fn who_wants_nothing_takes_nothing_from_those_who_do() {
    let mut subject = Subject::new(400, 5);
    let idle: Vec<PeerKey> = (1..20).map(|n| subject.comes(n)).collect();
    let waits = subject.comes(30);
    subject.machine.interested(subject.now, waits, true);
    subject.drain();
    subject.pass(600);
    for peer in idle {
        let count = subject.shown_to(peer).len() as u32;
        assert!((LURES_MAX..=LURES_MAX + 1).contains(&count), "{peer:?}: {count}");
    }
    let before = subject.shown_to(waits).len();
    let peers: Vec<PeerKey> = (100..150).map(|n| subject.joins(n)).collect();
    let shown: Vec<PieceIndex> = peers.iter().flat_map(|peer| subject.shown_to(*peer)).collect();
    let different: BTreeSet<PieceIndex> = shown.iter().copied().collect();
    assert_eq!((shown.len(), different.len()), (100, 100), "everybody is shown two pieces of its own");
    assert_eq!(subject.shown_to(waits).len(), before);
}

#[test]
fn a_newcomer_is_shown_what_others_only_hold() {
    let mut subject = Subject::new(4, 5);
    (1..5).for_each(|n| _ = subject.comes(n));
    let peer = subject.joins(10);
    let other = subject.joins(11);
    assert!(!subject.shown_to(peer).is_empty() && !subject.shown_to(other).is_empty());
}

/// Peer `peer` joins and says to have the first `count` pieces.
fn claims(subject: &mut Subject, peer: u64, count: u32) -> PeerKey {
    let key = subject.joins(peer);
    let had = subject.has[&key].clone();
    let mut says = had.clone();
    let all: Vec<PieceIndex> = subject.geometry.iter().take(count as usize).collect();
    for piece in all {
        says.insert(piece);
    }
    subject.has.insert(key, says.clone());
    subject.machine.peer_has_all_of(subject.now, key, &had, &says);
    subject.drain();
    key
}

#[test]
fn another_seed_ends_it_when_it_has_stayed() {
    let mut subject = Subject::new(10, 6);
    claims(&mut subject, 1, 10);
    subject.pass(DOUBT.as_secs() - 1);
    assert_eq!(subject.ended, None);
    subject.pass(2);
    assert_eq!(subject.ended, Some(SuperSeedEnd::AnotherSeed));
    assert_eq!(subject.machine.poll_timeout(), None);
}

#[test]
fn liars_who_leave_change_nothing() {
    for count in [40, 39, 30] {
        let mut subject = Subject::new(40, 6);
        let honest = subject.joins(100);
        for number in 0..20 {
            let liar = claims(&mut subject, number, count);
            subject.pass(DOUBT.as_secs() - 5);
            subject.leaves(liar);
            if let Some(piece) = subject.to_fetch(honest).first().copied() {
                subject.gets(honest, piece);
            }
        }
        assert_eq!(subject.ended, None, "{count}");
        assert_eq!(subject.has[&honest].count(), 20, "{count}: the honest one was shown what it could fetch");
    }
}

#[test]
fn who_says_to_have_whatever_it_is_shown_is_not_believed_for_long() {
    let mut subject = Subject::new(40, 6);
    let (liar, honest) = (subject.joins(1), subject.joins(2));
    for _ in 0..100 {
        subject.pass(1);
        if let Some(piece) = subject.to_fetch(liar).first().copied() {
            subject.says(liar, piece);
        }
        if let Some(piece) = subject.to_fetch(honest).first().copied() {
            subject.gets(honest, piece);
        }
    }
    assert_eq!(subject.ended, None);
    subject.leaves(liar);
    for _ in 0..100 {
        subject.pass(1);
        if let Some(piece) = subject.to_fetch(honest).first().copied() {
            subject.gets(honest, piece);
        }
    }
    assert_eq!(subject.ended, Some(SuperSeedEnd::AnotherSeed));
}

#[test]
fn who_has_what_others_were_sent_is_believed_at_once() {
    let mut subject = Subject::new(10, 6);
    let first = subject.joins(1);
    while let Some(piece) = subject.to_fetch(first).first().copied() {
        if subject.has[&first].count() == 9 {
            break;
        }
        subject.gets(first, piece);
    }
    claims(&mut subject, 2, 10);
    assert_eq!(subject.ended, Some(SuperSeedEnd::AnotherSeed));
}

#[test]
fn when_all_is_out_it_waits_for_it_to_spread_but_not_for_long() {
    for spreads in [true, false] {
        let mut subject = Subject::new(10, 6);
        let (first, second) = (subject.joins(1), subject.joins(2));
        let all: Vec<PieceIndex> = subject.geometry.iter().collect();
        while subject.machine.unseen() > 0 {
            for peer in [first, second] {
                if let Some(piece) = subject.to_fetch(peer).first().copied() {
                    subject.gets(peer, piece);
                }
            }
        }
        let last = all.iter().find(|piece| subject.has[&first].has(**piece)).copied().expect("it has some");
        subject.pass(PATIENCE.as_secs() - 1);
        assert_eq!(subject.ended, None);
        if spreads {
            let third = subject.joins(3);
            all.iter().filter(|piece| **piece != last).for_each(|piece| subject.gets(third, *piece));
            assert_eq!(subject.ended, None);
            subject.gets(second, last);
        } else {
            subject.pass(1);
        }
        assert_eq!(subject.ended, Some(SuperSeedEnd::EveryPieceSeen), "{spreads}");
    }
}

#[test]
fn what_the_others_have_is_never_shown() {
    let mut subject = Subject::new(10, 7);
    let rich = subject.comes(1);
    for number in 0..9 {
        let piece = subject.geometry.piece(number).expect("exists");
        if !subject.shown_to(rich).contains(&piece) {
            subject.gets(rich, piece);
        }
    }
    let peer = subject.joins(2);
    for piece in subject.shown_to(peer) {
        assert_eq!(subject.machine.seen(piece), 0, "{piece:?} is there already");
    }
}

#[test]
fn what_a_stalled_or_a_gone_peer_was_shown_goes_to_others() {
    let mut subject = Subject::new(4, 8);
    let (stalled, gone, third) = (subject.joins(1), subject.joins(2), subject.joins(3));
    assert_eq!(subject.shown_to(stalled).len() + subject.shown_to(gone).len(), 4);
    assert!(subject.shown_to(third).is_empty(), "all is claimed");
    subject.leaves(gone);
    subject.pass(1);
    assert_eq!(subject.shown_to(third).len(), 2);
    for piece in subject.to_fetch(third) {
        subject.gets(third, piece);
    }
    subject.pass(200);
    assert_eq!(subject.to_fetch(third).len(), 2, "the one that stalls has kept them for long enough");
}

#[test]
fn a_part_of_a_piece_is_left_to_a_choked_peer_for_a_while() {
    let mut subject = Subject::new(2, 9);
    let (first, second) = (subject.joins(1), subject.joins(2));
    subject.machine.sent(subject.now, first, 1_000);
    subject.machine.unchoked(subject.now, first, false);
    subject.pass(100);
    assert!(subject.shown_to(second).is_empty(), "it may have half of it");
    subject.pass(250);
    assert!(!subject.shown_to(second).is_empty());
}

/// What a member of a swarm is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// Passes on what it has.
    Sharer,
    /// Passes nothing on.
    Hoarder,
    /// Cannot reach the others.
    Lonely,
    /// Never says what it has.
    Hider,
    /// Takes forty times as long as others.
    Trickler,
    /// Wants the last quarter of the pieces only, and passes nothing on.
    Picky,
}

#[derive(Debug)]
struct Member {
    key: PeerKey,
    kind: Kind,
    leaves_at: Option<u64>,
    /// Progress with the piece that it fetches of the seed, in thousandths.
    progress: BTreeMap<PieceIndex, u32>,
}

/// A swarm around one super-seed with a limited uplink.
struct Swarm {
    subject: Subject,
    members: Vec<Member>,
    rng: Rng,
    slots: usize,
    /// Thousandths of pieces that the seed sends in a second.
    uplink: u32,
    sent: u64,
}

impl Swarm {
    fn new(pieces: u32, seed: u64, kinds: &[(Kind, Option<u64>)], slots: usize, uplink: u32) -> Self {
        let mut subject = Subject { checked_each: 50, ..Subject::new(pieces, seed) };
        let members = kinds.iter().enumerate().map(|(number, (kind, leaves_at))| Member {
            key: subject.comes(number as u64),
            kind: *kind,
            leaves_at: *leaves_at,
            progress: BTreeMap::new(),
        });
        let members = members.collect();
        Self { subject, members, rng: Rng::new(seed), slots, uplink, sent: 0 }
    }

    fn wants(&self, member: &Member, piece: PieceIndex) -> bool {
        let picky = member.kind == Kind::Picky;
        let pieces = self.subject.geometry.pieces();
        !self.subject.has[&member.key].has(piece) && (!picky || piece.get() >= pieces - pieces.div_ceil(4))
    }

    fn to_fetch(&self, member: &Member) -> Vec<PieceIndex> {
        let shown = self.subject.shown_to(member.key);
        let lacks =
            |piece: &PieceIndex| self.wants(member, *piece) && member.progress.get(piece) != Some(&1_000);
        shown.into_iter().filter(lacks).collect()
    }

    /// One second; true while the mode lasts.
    fn step(&mut self, second: u64) -> bool {
        self.leave(second);
        self.choke(second);
        self.upload();
        self.pass_on();
        self.subject.pass(1);
        self.subject.ended.is_none()
    }

    fn leave(&mut self, second: u64) {
        for index in (0..self.members.len()).rev() {
            if self.members[index].leaves_at == Some(second) {
                let gone = self.members.remove(index);
                self.subject.leaves(gone.key);
            }
        }
    }

    /// Slots go round every ten seconds, and at once where one became free.
    fn choke(&mut self, second: u64) {
        let mut wanting = Vec::new();
        for member in &self.members {
            let interested = !self.to_fetch(member).is_empty();
            self.subject.machine.interested(self.subject.now, member.key, interested);
            self.subject.drain();
            if interested {
                wanting.push(member.key);
            }
        }
        if !wanting.is_empty() {
            let turn = (second / 10) as usize % wanting.len();
            wanting.rotate_left(turn);
        }
        wanting.truncate(self.slots);
        for member in &self.members {
            let unchoke = wanting.contains(&member.key);
            if self.subject.machine.peers[&member.key].unchoked != unchoke {
                self.subject.machine.unchoked(self.subject.now, member.key, unchoke);
                self.subject.drain();
            }
        }
    }

    fn upload(&mut self) {
        let mut left = self.uplink;
        let unchoked = |swarm: &Self, member: &Member| swarm.subject.machine.peers[&member.key].unchoked;
        for round in 0..20 {
            for index in 0..self.members.len() {
                let member = &self.members[index];
                let next = self.to_fetch(member).first().copied().filter(|_| unchoked(self, member));
                let slow = member.kind == Kind::Trickler && round > 0;
                let Some(piece) = next.filter(|_| left > 0 && !slow) else { continue };
                let limit = if member.kind == Kind::Trickler { self.uplink.div_ceil(40) } else { 100 };
                let (key, hides) = (member.key, member.kind == Kind::Hider);
                let progress = self.members[index].progress.entry(piece).or_default();
                let part = limit.min(left).min(1_000 - *progress);
                *progress += part;
                let is_done = *progress == 1_000;
                left -= part;
                self.sent += u64::from(part);
                let bytes = (u64::from(part) * 262_144).div_ceil(1_000);
                self.subject.machine.sent(self.subject.now, key, bytes);
                if is_done && !hides {
                    self.subject.says(key, piece);
                }
            }
        }
    }

    /// Each sharer gives a piece or two a second to somebody who lacks it.
    fn pass_on(&mut self) {
        let geometry = self.subject.geometry;
        for index in 0..self.members.len() {
            let giver = &self.members[index];
            let reachable = |kind: Kind| !matches!(kind, Kind::Lonely | Kind::Hider);
            if giver.kind != Kind::Sharer {
                continue;
            }
            let takers: Vec<usize> = (0..self.members.len())
                .filter(|other| *other != index && reachable(self.members[*other].kind))
                .collect();
            let giver_key = giver.key;
            for _ in 0..2 {
                let Some(taker) = self.rng.choose(&takers) else { break };
                let taker = &self.members[*taker];
                let (theirs, ours) = (&self.subject.has[&taker.key], &self.subject.has[&giver_key]);
                let offers: Vec<PieceIndex> = ours
                    .iter_difference(theirs, &geometry)
                    .filter(|piece| self.wants(taker, *piece))
                    .collect();
                let to = taker.key;
                if let Some(piece) = self.rng.choose(&offers).copied() {
                    self.subject.says(to, piece);
                }
            }
        }
    }

    /// Runs until the mode ends, and says after how many seconds.
    fn run(&mut self, seconds_max: u64) -> Option<u64> {
        (0..seconds_max).find(|second| !self.step(*second))
    }

    fn copies(&self) -> f64 {
        self.sent as f64 / 1_000.0 / f64::from(self.subject.geometry.pieces())
    }
}

#[test]
fn swarms_of_sharers_are_sent_one_copy_at_full_speed() {
    for (count, slots) in [(1, 5), (2, 5), (3, 5), (5, 5), (30, 5), (60, 8)] {
        for seed in 0..2 {
            let kinds = vec![(Kind::Sharer, None); count];
            let mut swarm = Swarm::new(200, seed, &kinds, slots, 1_000);
            let seconds = swarm.run(1_000).expect("ends");
            let copies = swarm.copies();
            assert!(copies < 1.04, "{count} sharers, seed {seed}: {copies:.3} copies");
            assert!(seconds < 220, "{count} sharers, seed {seed}: {seconds} s for 200 pieces");
        }
    }
}

#[test]
fn two_who_cannot_reach_each_other_do_not_wait() {
    let mut swarm = Swarm::new(100, 1, &[(Kind::Lonely, None), (Kind::Lonely, None)], 5, 1_000);
    let seconds = swarm.run(1_000).expect("ends");
    assert!(seconds < 110 + PATIENCE.as_secs(), "{seconds}");
}

#[test]
fn who_is_fast_has_more_ahead_and_who_waits_gets_more_while_the_uplink_has_room() {
    let mut subject = Subject::new(400, 10);
    let (first, second) = (subject.joins(1), subject.joins(2));
    let mut fetched = Vec::new();
    for _ in 0..6 {
        subject.machine.uplink_has_room(subject.now);
        subject.drain();
        let mut all = 0;
        for peer in [first, second] {
            for piece in subject.to_fetch(peer) {
                all += 1;
                subject.gets(peer, piece);
            }
        }
        fetched.push(all);
        subject.pass(1);
    }
    assert!(fetched.windows(2).all(|pair| pair[1] >= pair[0]) && fetched[5] > 8 * fetched[0], "{fetched:?}");
}

#[test]
fn hoarders_get_less_than_sharers() {
    let mut kinds = vec![(Kind::Sharer, None); 8];
    kinds.extend([(Kind::Hoarder, None); 8]);
    let mut swarm = Swarm::new(400, 1, &kinds, 5, 1_000);
    assert!(swarm.run(2_000).is_some());
    let of = |range: std::ops::Range<usize>| -> usize {
        swarm.members[range].iter().map(|member| swarm.subject.shown_to(member.key).len()).sum()
    };
    assert!(of(8..16) * 3 < of(0..8), "{} to hoarders, {} to sharers", of(8..16), of(0..8));
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        3 => Just(Kind::Sharer),
        1 => Just(Kind::Hoarder),
        1 => Just(Kind::Lonely),
        1 => Just(Kind::Hider),
        1 => Just(Kind::Trickler),
        1 => Just(Kind::Picky),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whoever comes and goes, every piece is there in the end as long as somebody stays who takes all.
    #[test]
    fn no_swarm_stalls(
        seed in 0..1_000u64,
        mut kinds in proptest::collection::vec((kind(), proptest::option::of(0..300u64)), 0..12),
        stays in prop_oneof![Just(Kind::Sharer), Just(Kind::Hoarder), Just(Kind::Lonely)],
        pieces in 1..60u32,
        slots in 1..6usize,
    ) {
        kinds.push((stays, None));
        let mut swarm = Swarm::new(pieces, seed, &kinds, slots, 1_000);
        let seconds = swarm.run(20_000);
        prop_assert!(seconds.is_some(), "{} pieces are unseen", swarm.subject.machine.unseen());
    }

    /// The counts hold whatever is said in whatever order.
    #[test]
    fn any_order_of_events_keeps_the_invariants(
        operations in proptest::collection::vec((0..8u8, 0..6u64, 0..12u32), 0..300),
    ) {
        let mut subject = Subject::new(12, 1);
        for (operation, peer, number) in operations {
            let key = PeerKey(peer);
            if !subject.has.contains_key(&key) {
                subject.comes(peer);
            }
            let (now, piece) = (subject.now, subject.geometry.piece(number).expect("exists"));
            match operation {
                0 => subject.leaves(key),
                1 => subject.gets(key, piece),
                2 => subject.says(key, piece),
                3 => subject.machine.interested(now, key, number.is_multiple_of(2)),
                4 => subject.machine.unchoked(now, key, number.is_multiple_of(2)),
                5 => subject.machine.sent(now, key, u64::from(number) * 50_000),
                6 => subject.pass(u64::from(number) * 10),
                _ => {
                    let mut has = subject.has[&key].clone();
                    (0..number).filter_map(|n| subject.geometry.piece(n)).for_each(|p| {
                        has.remove(p);
                    });
                    let had = subject.has.insert(key, has.clone()).expect("is there");
                    // What it takes back may be shown to it again.
                    if let Some(shown) = subject.shown.get_mut(&key) {
                        shown.retain(|p| has.has(*p) || !had.has(*p));
                    }
                    subject.machine.peer_has_all_of(now, key, &had, &has);
                }
            }
            subject.drain();
        }
    }
}
