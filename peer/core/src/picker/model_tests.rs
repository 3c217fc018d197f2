//! The picker beside a naive model: under any history, every choice is one that the rules allow, no block is lost,
//! and the torrent completes.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use potluck_common::{Bitfield, BlockSpan, Duration, Geometry, Instant, PieceIndex, Rng};
use proptest::prelude::*;

use super::{Order, Outcome, PickLimits, Picker, PickerConfig, Priority};
use crate::PeerKey;

/// The most obvious description of what is known of a torrent.
struct Model {
    geometry: Geometry,
    config: PickerConfig,
    picker: Picker,
    rng: Rng,
    now: Instant,
    have: BTreeSet<PieceIndex>,
    priorities: BTreeMap<PieceIndex, Priority>,
    reserved: BTreeMap<PieceIndex, PeerKey>,
    /// When pieces were reserved last.
    reserved_at: BTreeMap<PieceIndex, Instant>,
    /// Pieces under way: by block, who gave it.
    started: BTreeMap<PieceIndex, Vec<Option<PeerKey>>>,
    /// When each block was asked of each peer.
    asked: BTreeMap<(BlockSpan, PeerKey), Instant>,
    /// Requests that the picker has forgotten but whose blocks may still come.
    stale: Vec<(PeerKey, BlockSpan)>,
    peers: BTreeMap<PeerKey, Bitfield>,
    peers_ever: u64,
}

impl Model {
    fn new(geometry: Geometry, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut have = Bitfield::empty(geometry.pieces());
        for piece in geometry.iter() {
            if rng.below(8) == 0 {
                have.insert(piece);
            }
        }
        let order = if rng.below(4) == 0 { Order::Sequential } else { Order::RarestFirst };
        let config = PickerConfig { order, random_first_pieces: rng.below(2) * 8 };
        Self {
            geometry,
            config,
            picker: Picker::new(geometry, &have, rng.next_u64(), config),
            rng,
            now: Instant::from_secs(1),
            have: have.iter(&geometry).collect(),
            priorities: geometry.iter().map(|piece| (piece, Priority::Normal)).collect(),
            reserved: BTreeMap::new(),
            reserved_at: BTreeMap::new(),
            started: BTreeMap::new(),
            asked: BTreeMap::new(),
            stale: Vec::new(),
            peers: BTreeMap::new(),
            peers_ever: 0,
        }
    }

    fn wanted(&self, piece: PieceIndex) -> bool {
        !self.have.contains(&piece) && self.priorities[&piece] != Priority::Skip
    }

    fn availability(&self, piece: PieceIndex) -> u32 {
        self.peers.values().filter(|has| has.has(piece)).count() as u32
    }

    fn blocks(&self, piece: PieceIndex) -> impl Iterator<Item = BlockSpan> + use<> {
        let geometry = self.geometry;
        (0..geometry.blocks_in(piece)).map(move |block| geometry.block(piece, block).expect("exists"))
    }

    fn is_received(&self, span: BlockSpan) -> bool {
        let number = self.geometry.block_number(span).expect("a block") as usize;
        self.started.get(&span.piece).is_some_and(|givers| givers[number].is_some())
    }

    fn is_open(&self, span: BlockSpan) -> bool {
        !self.is_received(span) && self.askers(span).is_empty()
    }

    fn askers(&self, span: BlockSpan) -> Vec<PeerKey> {
        self.asked.keys().filter(|(asked, _)| *asked == span).map(|(_, peer)| *peer).collect()
    }

    fn may_have(&self, peer: PeerKey, piece: PieceIndex) -> bool {
        let reserved = self.reserved.get(&piece);
        self.wanted(piece) && self.peers[&peer].has(piece) && reserved.is_none_or(|only| *only == peer)
    }

    fn is_end_game(&self) -> bool {
        let some = |piece: PieceIndex| self.wanted(piece) && self.availability(piece) > 0;
        let free = self.geometry.iter().filter(|piece| some(*piece) && !self.reserved.contains_key(piece));
        let open = free.into_iter().any(|piece| self.blocks(piece).any(|span| self.is_open(span)));
        self.geometry.iter().any(|piece| self.wanted(piece)) && !open
    }

    /// The peer's oldest request is three seconds old: it may be overdue.
    fn may_be_overdue(&self, peer: PeerKey) -> bool {
        let oldest = self.asked.iter().filter(|((_, asked), _)| *asked == peer).map(|(_, at)| *at).min();
        oldest.is_some_and(|at| self.now.since(at) > Duration::from_secs(3))
    }

    fn any_peer(&mut self) -> Option<PeerKey> {
        let peers: Vec<_> = self.peers.keys().copied().collect();
        self.rng.choose(&peers).copied()
    }

    fn any_piece(&mut self) -> Option<PieceIndex> {
        self.geometry.piece(self.rng.below(self.geometry.pieces()))
    }

    fn connect(&mut self, chance_in_8: u32) {
        self.peers_ever += 1;
        let mut has = Bitfield::empty(self.geometry.pieces());
        for piece in self.geometry.iter() {
            if self.rng.below(8) < chance_in_8 {
                has.insert(piece);
            }
        }
        self.picker.peer_added(&has);
        self.peers.insert(PeerKey(self.peers_ever), has);
    }

    fn disconnect(&mut self, peer: PeerKey) {
        let has = self.peers.remove(&peer).expect("connected");
        self.picker.peer_removed(&has);
        self.picker.peer_gone(peer);
        self.asked.retain(|(_, asked), _| *asked != peer);
        self.reserved.retain(|_, only| *only != peer);
    }

    /// Lets the picker choose, and checks each choice.
    fn pick(&mut self, peer: PeerKey, count: u32) {
        let allowed = (self.rng.below(6) == 0).then(|| vec![self.any_piece(), self.any_piece()]);
        let allowed: Option<Vec<_>> = allowed.map(|pieces| pieces.into_iter().flatten().collect());
        let limits = PickLimits {
            start_pieces_max: self.rng.below(4),
            allowed: allowed.as_deref(),
            rate_bytes_per_second: [0, 20_000, 1 << 30][self.rng.below(3) as usize],
        };
        let news_max = if self.rng.below(40) == 0 { 60 } else { self.rng.below(3) };
        let news: Vec<_> = (0..news_max).filter_map(|_| self.news()).collect();
        let mut heard = news.as_slice();
        let has = self.peers[&peer].clone();
        let picked = self.picker.pick_hearing(self.now, peer, &has, count, limits, &mut heard);
        // Either all of it counts by now, or nothing.
        assert!(heard.is_empty() || heard.len() == news.len());
        self.picker.peers_have(heard);
        self.follow_ended_reservations();
        assert!(picked.len() <= count as usize);
        let mut starts = 0;
        for span in &picked {
            assert!(self.geometry.block_number(*span).is_some(), "{span:?} is a block");
            assert!(
                allowed.as_ref().is_none_or(|allowed| allowed.contains(&span.piece)),
                "{span:?} is allowed"
            );
            assert!(self.may_have(peer, span.piece), "{span:?} may be asked of the peer");
            assert!(!self.is_received(*span), "{span:?} is missing");
            if self.askers(*span).is_empty() {
                let first = self.blocks(span.piece).find(|span| self.is_open(*span));
                assert_eq!(first, Some(*span), "blocks go in order");
            } else {
                self.check_second_request(peer, *span);
            }
            if !self.started.contains_key(&span.piece) {
                starts += 1;
                self.check_start(peer, span.piece, allowed.as_deref());
                self.started.insert(span.piece, vec![None; self.geometry.blocks_in(span.piece) as usize]);
            }
            assert!(
                self.asked.insert((*span, peer), self.now).is_none(),
                "{span:?} was asked of the peer before"
            );
        }
        assert!(starts <= limits.start_pieces_max, "too many pieces started");
        if picked.len() < count as usize {
            let can_start = starts < limits.start_pieces_max;
            self.check_nothing_left(peer, can_start, allowed.as_deref());
        }
    }

    /// Reservations may end by time.
    fn follow_ended_reservations(&mut self) {
        for (piece, peer) in self.reserved.clone() {
            if self.picker.exclusive(piece) != Some(peer) {
                assert!(self.now.since(self.reserved_at[&piece]) > Duration::from_secs(15), "{piece:?}");
                self.reserved.remove(&piece);
            }
        }
    }

    fn check_second_request(&self, peer: PeerKey, span: BlockSpan) {
        let askers = self.askers(span);
        let overdue = askers.iter().filter(|asker| self.may_be_overdue(**asker)).count();
        assert!(!askers.contains(&peer), "{span:?} is not asked for twice of one peer");
        assert!(self.is_end_game() || overdue > 0, "{span:?} is asked of {askers:?} and there is other work");
        assert!(askers.len() == 1 || askers.len() == 2 && overdue == 2, "{span:?} is asked of {askers:?}");
    }

    /// Of all pieces that could be started instead, none has a higher priority, and none of the same one is rarer
    /// (or earlier). A piece reserved for the peer goes before; of allowed-fast ones the rarest comes first.
    fn check_start(&self, peer: PeerKey, piece: PieceIndex, allowed: Option<&[PieceIndex]>) {
        if self.reserved.contains_key(&piece) {
            return;
        }
        let random = self.have.len() < self.config.random_first_pieces as usize;
        let merit = |piece: PieceIndex| {
            let place = match self.config.order {
                _ if allowed.is_some() => self.availability(piece),
                Order::Sequential => piece.get(),
                Order::RarestFirst if random => 0,
                Order::RarestFirst => self.availability(piece),
            };
            (Reverse(self.priorities[&piece]), place)
        };
        for other in self.geometry.iter().filter(|other| self.may_have(peer, *other)) {
            let startable = !self.started.contains_key(&other) && !self.reserved.contains_key(&other);
            if startable && allowed.is_none_or(|allowed| allowed.contains(&other)) {
                assert!(merit(piece) <= merit(other), "{piece:?} is started before {other:?}");
            }
        }
    }

    /// No block is left that could have been given to the peer.
    fn check_nothing_left(&self, peer: PeerKey, can_start: bool, allowed: Option<&[PieceIndex]>) {
        for piece in self.geometry.iter().filter(|piece| self.may_have(peer, *piece)) {
            let reachable = self.started.contains_key(&piece) || can_start;
            if reachable && allowed.is_none_or(|allowed| allowed.contains(&piece)) {
                let left = self.blocks(piece).find(|span| self.is_open(*span));
                assert_eq!(left, None, "a block for {peer:?} was left over");
            }
        }
    }

    /// A block comes: an outstanding one, or one that the picker no longer expects.
    fn receive(&mut self) {
        let stale = self.rng.below(8) == 0 && !self.stale.is_empty();
        let (peer, span) = if stale {
            self.stale.swap_remove(self.rng.below(self.stale.len() as u32) as usize)
        } else {
            let Some((span, peer)) = self.any_request() else { return };
            (peer, span)
        };
        let receipt = self.picker.received(peer, span);
        let reserved_for_other = self.reserved.get(&span.piece).is_some_and(|only| *only != peer);
        let others: Vec<_> = self.askers(span).into_iter().filter(|asker| *asker != peer).collect();
        let outcome = match self.started.get(&span.piece) {
            None => Outcome::Unwanted,
            Some(_) if reserved_for_other => Outcome::Unwanted,
            Some(_) if self.is_received(span) => Outcome::Duplicate,
            Some(_) => Outcome::New,
        };
        assert_eq!(receipt.outcome, outcome, "{span:?} of {peer:?}");
        self.asked.remove(&(span, peer));
        if outcome != Outcome::New {
            assert!(receipt.cancel.is_empty() && !receipt.piece_complete);
            return;
        }
        let cancel: BTreeSet<_> = receipt.cancel.iter().copied().collect();
        assert_eq!(cancel, others.iter().copied().collect(), "{span:?}");
        for other in others {
            self.asked.remove(&(span, other));
            self.stale.push((other, span));
        }
        let number = self.geometry.block_number(span).expect("a block") as usize;
        let givers = self.started.get_mut(&span.piece).expect("started");
        givers[number] = Some(peer);
        assert_eq!(receipt.piece_complete, givers.iter().all(Option::is_some));
        assert_eq!(self.picker.contributors(span.piece), *givers);
    }

    fn any_request(&mut self) -> Option<(BlockSpan, PeerKey)> {
        let requests: Vec<_> = self.asked.keys().copied().collect();
        self.rng.choose(&requests).copied()
    }

    fn release(&mut self) {
        let Some((span, peer)) = self.any_request() else { return };
        self.picker.released(peer, span);
        self.asked.remove(&(span, peer));
        self.stale.push((peer, span));
    }

    /// Ends one complete piece well, or in one of the bad ways.
    fn conclude(&mut self, well: bool) {
        let complete = self.started.iter().filter(|(_, givers)| givers.iter().all(Option::is_some));
        let Some(piece) = complete.map(|(piece, _)| *piece).next() else { return };
        self.started.remove(&piece);
        match self.rng.below(if well { 1 } else { 3 }) {
            0 => {
                self.picker.stored(piece);
                self.have.insert(piece);
                self.reserved.remove(&piece);
            }
            1 => {
                self.picker.failed(piece);
                if self.rng.below(2) == 0 {
                    let peer = self.any_peer();
                    self.reserve(piece, peer);
                }
            }
            _ => assert_eq!(self.picker.abandon(piece), [], "a complete piece has no requests"),
        }
    }

    fn reserve(&mut self, piece: PieceIndex, peer: Option<PeerKey>) {
        self.picker.set_exclusive(piece, peer);
        self.reserved_at.insert(piece, self.now);
        match peer {
            Some(peer) => self.reserved.insert(piece, peer),
            None => self.reserved.remove(&piece),
        };
    }

    /// Forgets an incomplete piece; `cancel` must be exactly its requests.
    fn forget(&mut self, piece: PieceIndex, mut cancel: Vec<(PeerKey, BlockSpan)>) {
        let requests = self.asked.keys().filter(|(span, _)| span.piece == piece);
        let mut expected: Vec<_> = requests.map(|(span, peer)| (*peer, *span)).collect();
        cancel.sort_unstable();
        expected.sort_unstable();
        assert_eq!(cancel, expected, "{piece:?}");
        self.asked.retain(|(span, _), _| span.piece != piece);
        self.stale.extend(expected);
        self.started.remove(&piece);
    }

    fn set_priority(&mut self, piece: PieceIndex, priority: Priority) {
        let cancel = self.picker.set_priority(piece, priority);
        self.priorities.insert(piece, priority);
        let complete = self.started.get(&piece).is_some_and(|givers| givers.iter().all(Option::is_some));
        if priority == Priority::Skip && !complete {
            self.forget(piece, cancel);
        } else {
            assert_eq!(cancel, []);
        }
    }

    fn lose(&mut self) {
        let Some(piece) = self.have.first().copied() else { return };
        self.have.remove(&piece);
        self.picker.lost(piece);
    }

    /// A peer tells of one more piece.
    fn have_message(&mut self) {
        if let Some(piece) = self.news() {
            self.picker.peer_has(piece);
        }
    }

    /// A piece that a peer has now and of which the picker is to hear.
    fn news(&mut self) -> Option<PieceIndex> {
        let (peer, piece) = (self.any_peer()?, self.any_piece()?);
        self.peers.get_mut(&peer).expect("connected").insert(piece).then_some(piece)
    }

    fn step(&mut self) {
        match self.rng.below(40) {
            0 => self.connect(4),
            1 => self.connect(8),
            2 | 3 => {
                if let Some(peer) = self.any_peer() {
                    self.disconnect(peer);
                }
            }
            4 | 5 => self.have_message(),
            6 => self.lose(),
            7 if self.rng.below(4) == 0 => {
                self.config.order = Order::RarestFirst;
                self.picker.set_order(self.config.order);
            }
            7 => {
                // Many at once, or one.
                let changes = 1 + self.rng.below(2) * self.rng.below(8);
                if changes > 1 {
                    self.picker.begin_changes();
                }
                for _ in 0..changes {
                    let Some(piece) = self.any_piece() else { break };
                    let priority = [Priority::Skip, Priority::Low, Priority::Normal, Priority::High];
                    let priority = *self.rng.choose(&priority).expect("some");
                    self.set_priority(piece, priority);
                }
                if changes > 1 {
                    self.picker.end_changes();
                }
            }
            8 => {
                let started: Vec<_> = self.started.keys().copied().collect();
                let Some(piece) = self.rng.choose(&started).copied() else { return };
                let cancel = self.picker.abandon(piece);
                self.forget(piece, cancel);
            }
            9 => {
                if let Some(piece) = self.reserved.keys().next().copied() {
                    self.reserve(piece, None);
                }
            }
            10..14 => self.release(),
            14..16 => self.conclude(false),
            16 => self.now += Duration::from_millis(u64::from(self.rng.below(5_000))),
            17..30 => self.receive(),
            _ => {
                let count = 1 + self.rng.below(9);
                if let Some(peer) = self.any_peer() {
                    self.pick(peer, count);
                }
            }
        }
    }

    fn check_queries(&self) {
        self.picker.assert_invariants();
        for piece in self.geometry.iter() {
            assert_eq!(self.picker.availability(piece), self.availability(piece), "{piece:?}");
            assert_eq!(self.picker.is_wanted(piece), self.wanted(piece), "{piece:?}");
            assert_eq!(self.picker.is_started(piece), self.started.contains_key(&piece), "{piece:?}");
        }
        for (peer, has) in &self.peers {
            let wanted = has.iter(&self.geometry).any(|piece| self.wanted(piece));
            assert_eq!(self.picker.is_interesting(has), wanted);
            let in_flight: BTreeSet<_> = self.picker.in_flight(*peer).collect();
            let expected = self.asked.keys().filter(|(_, asked)| asked == peer).map(|(span, _)| *span);
            assert_eq!(in_flight, expected.collect());
        }
        assert_eq!(self.picker.is_end_game(), self.is_end_game());
    }

    /// Whatever went before: with one peer that has everything, the torrent completes.
    fn complete(&mut self) {
        for piece in self.geometry.iter() {
            self.set_priority(piece, Priority::Normal);
        }
        for piece in self.reserved.keys().copied().collect::<Vec<_>>() {
            self.reserve(piece, None);
        }
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.disconnect(peer);
        }
        self.connect(8);
        let peer = PeerKey(self.peers_ever);
        let blocks: u32 = self.geometry.iter().map(|piece| self.geometry.blocks_in(piece)).sum();
        for _ in 0..10 * (blocks + 10) {
            self.pick(peer, 5);
            self.receive();
            self.conclude(true);
        }
        self.check_queries();
        assert_eq!(self.picker.wanted_left(), 0, "something was lost");
        assert!(self.picker.have().is_full());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn every_history_keeps_the_rules_and_completes(
        total in 0u64..900_000, piece_length in 1_000u64..120_000, seed: u64, steps in 0u32..300,
    ) {
        // Few pieces keep the naive model fast.
        let piece_length = piece_length.max(total / 24 + 1);
        let mut model = Model::new(Geometry::new(total, piece_length).expect("valid"), seed);
        for _ in 0..2 {
            model.connect(4);
        }
        for _ in 0..steps {
            model.step();
            model.check_queries();
        }
        model.complete();
    }
}
