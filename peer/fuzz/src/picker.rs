//! Operations on one picker, as a torrent could do them: every choice is one that the rules allow, no block is lost,
//! and in the end the torrent completes.

use std::collections::{BTreeMap, BTreeSet};

use arbitrary::{Result, Unstructured};
use potluck_common::{Bitfield, BlockSpan, Duration, Geometry, Instant, PieceIndex};
use potluck_core::{
    PeerKey,
    picker::{Order, Outcome, PickLimits, Picker, PickerConfig, Priority},
};

/// Operations of one run, so that none takes long.
const STEPS_MAX: usize = 200;

/// Peers at one time.
const PEERS_MAX: usize = 6;

/// Takes operations from `bytes` until they end.
pub fn run(bytes: &[u8]) {
    let mut choices = Unstructured::new(bytes);
    // What is left when the bytes end is no operation.
    let _ = history(&mut choices);
}

fn history(choices: &mut Unstructured<'_>) -> Result<()> {
    let mut torrent = Torrent::new(choices)?;
    for _ in 0..STEPS_MAX {
        if choices.is_empty() {
            break;
        }
        torrent.step(choices)?;
        torrent.picker.assert_invariants();
    }
    torrent.check();
    torrent.complete();
    Ok(())
}

/// A picker, and what its torrent knows.
struct Torrent {
    picker: Picker,
    geometry: Geometry,
    now: Instant,
    peers: BTreeMap<PeerKey, Bitfield>,
    peers_ever: u64,
    asked: BTreeSet<(BlockSpan, PeerKey)>,
    /// Requests that the picker has forgotten but whose blocks may still come.
    stale: Vec<(BlockSpan, PeerKey)>,
    /// The missing blocks of pieces under way.
    missing: BTreeMap<PieceIndex, BTreeSet<BlockSpan>>,
}

impl Torrent {
    fn new(choices: &mut Unstructured<'_>) -> Result<Self> {
        let piece_length = *choices.choose(&[1, 16_384, 40_000, 70_000])?;
        let pieces = choices.int_in_range(0..=20)?;
        let short = choices.int_in_range(0..=piece_length - 1)?.min(pieces * piece_length);
        let geometry = Geometry::new(pieces * piece_length - short, piece_length).expect("small");
        let have = bitfield(&geometry, choices)?;
        let order = if choices.ratio(1, 4)? { Order::Sequential } else { Order::RarestFirst };
        let config = PickerConfig { order, random_first_pieces: choices.int_in_range(0..=8)? };
        Ok(Self {
            picker: Picker::new(geometry, &have, choices.arbitrary()?, config),
            geometry,
            now: Instant::from_secs(1),
            peers: BTreeMap::new(),
            peers_ever: 0,
            asked: BTreeSet::new(),
            stale: Vec::new(),
            missing: BTreeMap::new(),
        })
    }

    fn step(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        match choices.int_in_range(0..=23)? {
            0 | 1 if self.peers.len() == PEERS_MAX => {}
            0 | 1 => {
                let has = bitfield(&self.geometry, choices)?;
                self.connect(has);
            }
            2 => {
                if let Some(peer) = self.peer(choices)? {
                    self.disconnect(peer);
                }
            }
            3 => self.tell_of_a_piece(choices)?,
            4..=10 => self.pick(choices)?,
            11..=15 => self.receive(choices)?,
            16 => self.release(choices)?,
            17 | 18 => self.conclude(choices)?,
            19 => {
                let priority =
                    *choices.choose(&[Priority::Skip, Priority::Low, Priority::Normal, Priority::High])?;
                if let Some(piece) = self.piece(choices)? {
                    self.set_priority(piece, priority);
                }
            }
            20 => self.reserve(choices)?,
            21 => {
                let started: Vec<_> = self.missing.keys().copied().collect();
                let idle = self.picker.idle_piece();
                let piece = if choices.arbitrary()? { idle } else { some(&started, choices)? };
                if let Some(piece) = piece {
                    let cancel = self.picker.abandon(piece);
                    self.forget(piece, cancel);
                }
            }
            22 => {
                if let Some(piece) = self.piece(choices)?.filter(|piece| self.picker.have().has(*piece)) {
                    self.picker.lost(piece);
                }
            }
            _ => {
                self.now += Duration::from_millis(choices.int_in_range(0..=20_000)?);
                if choices.ratio(1, 8)? {
                    self.picker.set_order(*choices.choose(&[Order::Sequential, Order::RarestFirst])?);
                }
            }
        }
        Ok(())
    }

    fn connect(&mut self, has: Bitfield) -> PeerKey {
        self.peers_ever += 1;
        self.picker.peer_added(&has);
        self.peers.insert(PeerKey(self.peers_ever), has);
        PeerKey(self.peers_ever)
    }

    fn disconnect(&mut self, peer: PeerKey) {
        let has = self.peers.remove(&peer).expect("connected");
        self.picker.peer_removed(&has);
        self.picker.peer_gone(peer);
        self.asked.retain(|(_, asked)| *asked != peer);
    }

    fn tell_of_a_piece(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let (Some(peer), Some(piece)) = (self.peer(choices)?, self.piece(choices)?) else { return Ok(()) };
        if self.peers.get_mut(&peer).expect("connected").insert(piece) {
            self.picker.peer_has(piece);
        }
        Ok(())
    }

    fn pick(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let Some(peer) = self.peer(choices)? else { return Ok(()) };
        let allowed: Option<Vec<_>> = if choices.ratio(1, 6)? {
            Some([self.piece(choices)?, self.piece(choices)?].into_iter().flatten().collect())
        } else {
            None
        };
        let limits = PickLimits {
            start_pieces_max: choices.int_in_range(0..=4)?,
            allowed: allowed.as_deref(),
            rate_bytes_per_second: *choices.choose(&[0, 1, 20_000, 1 << 30, u64::MAX])?,
        };
        self.ask(peer, choices.int_in_range(0..=12)?, limits);
        Ok(())
    }

    fn ask(&mut self, peer: PeerKey, count: u32, limits: PickLimits<'_>) {
        let has = self.peers[&peer].clone();
        let picked = self.picker.pick(self.now, peer, &has, count, limits);
        assert!(picked.len() <= count as usize, "no more than was asked for");
        let mut starts = 0;
        for span in picked {
            let piece = span.piece;
            assert!(self.geometry.block_number(span).is_some(), "{span:?} is a block");
            assert!(has.has(piece) && self.picker.is_wanted(piece), "{span:?} can be asked of the peer");
            assert!(limits.allowed.is_none_or(|allowed| allowed.contains(&piece)), "{span:?} is allowed");
            assert!(self.picker.exclusive(piece).is_none_or(|only| only == peer), "{span:?} is not reserved");
            let missing = self.missing.entry(piece).or_insert_with(|| {
                starts += 1;
                blocks(&self.geometry, piece).collect()
            });
            assert!(missing.contains(&span), "{span:?} is missing");
            assert!(self.asked.insert((span, peer)), "{span:?} is asked for once of one peer");
        }
        assert!(starts <= limits.start_pieces_max, "{starts} pieces were started");
    }

    /// A block comes: one that was asked for, or one that is no longer expected.
    fn receive(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let stale = choices.ratio(1, 8)?;
        let asked: Vec<_> = self.asked.iter().copied().collect();
        if let Some((span, peer)) = some(if stale { &self.stale } else { &asked }, choices)? {
            self.take(span, peer);
        }
        Ok(())
    }

    fn take(&mut self, span: BlockSpan, peer: PeerKey) {
        let expected = self.missing.get(&span.piece).is_some_and(|missing| missing.contains(&span));
        let reserved = self.picker.exclusive(span.piece).is_some_and(|only| only != peer);
        let receipt = self.picker.received(peer, span);
        assert_eq!(receipt.outcome == Outcome::New, expected && !reserved, "{span:?} of {peer:?}");
        self.asked.remove(&(span, peer));
        for other in receipt.cancel {
            assert!(self.asked.remove(&(span, other)), "{other:?} was asked for {span:?}");
            self.stale.push((span, other));
        }
        if receipt.outcome == Outcome::New {
            let missing = self.missing.get_mut(&span.piece).expect("a piece under way");
            missing.remove(&span);
            assert_eq!(receipt.piece_complete, missing.is_empty());
        }
    }

    fn release(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let asked: Vec<_> = self.asked.iter().copied().collect();
        if let Some((span, peer)) = some(&asked, choices)? {
            self.picker.released(peer, span);
            self.asked.remove(&(span, peer));
            self.stale.push((span, peer));
        }
        Ok(())
    }

    /// A complete piece is stored, or its hash or its write fails.
    fn conclude(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let complete = self.missing.iter().filter(|(_, missing)| missing.is_empty());
        let complete: Vec<_> = complete.map(|(piece, _)| *piece).collect();
        let Some(piece) = some(&complete, choices)? else { return Ok(()) };
        assert!(self.picker.contributors(piece).iter().all(Option::is_some));
        self.missing.remove(&piece);
        match choices.int_in_range(0..=2)? {
            0 => self.picker.stored(piece),
            1 => self.picker.failed(piece),
            _ => assert_eq!(self.picker.abandon(piece), [], "nobody is asked for what is there"),
        }
        Ok(())
    }

    fn set_priority(&mut self, piece: PieceIndex, priority: Priority) {
        let complete = self.missing.get(&piece).is_some_and(BTreeSet::is_empty);
        let cancel = self.picker.set_priority(piece, priority);
        if priority == Priority::Skip && !complete {
            self.forget(piece, cancel);
        } else {
            assert_eq!(cancel, []);
        }
    }

    /// Reserves a piece that is not started, or ends a reservation.
    fn reserve(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let (Some(piece), peer) = (self.piece(choices)?, self.peer(choices)?) else { return Ok(()) };
        if !self.picker.is_started(piece) {
            self.picker.set_exclusive(piece, peer);
        } else if choices.arbitrary()? {
            self.picker.set_exclusive(piece, None);
        }
        Ok(())
    }

    /// The picker has forgotten all of `piece`, and says whom to tell.
    fn forget(&mut self, piece: PieceIndex, mut cancel: Vec<(PeerKey, BlockSpan)>) {
        let of_piece = self.asked.iter().filter(|(span, _)| span.piece == piece);
        let mut expected: Vec<_> = of_piece.map(|(span, peer)| (*peer, *span)).collect();
        cancel.sort_unstable();
        expected.sort_unstable();
        assert_eq!(cancel, expected, "{piece:?}");
        self.asked.retain(|(span, _)| span.piece != piece);
        self.stale.extend(expected.into_iter().map(|(peer, span)| (span, peer)));
        self.missing.remove(&piece);
    }

    /// Compares all that can be asked of the picker with what the torrent knows.
    fn check(&self) {
        for piece in self.geometry.iter() {
            let having = self.peers.values().filter(|has| has.has(piece)).count();
            assert_eq!(self.picker.availability(piece) as usize, having, "{piece:?}");
            assert_eq!(self.picker.is_started(piece), self.missing.contains_key(&piece), "{piece:?}");
        }
        for (peer, has) in &self.peers {
            let in_flight: BTreeSet<_> = self.picker.in_flight(*peer).collect();
            let asked = self.asked.iter().filter(|(_, asked)| asked == peer).map(|(span, _)| *span);
            assert_eq!(in_flight, asked.collect());
            assert_eq!(self.picker.in_flight_count(*peer) as usize, in_flight.len());
            let wanted = has.iter(&self.geometry).any(|piece| self.picker.is_wanted(piece));
            assert_eq!(self.picker.is_interesting(has), wanted);
        }
    }

    /// Whatever went before: with one peer that has everything, the torrent completes.
    fn complete(&mut self) {
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.disconnect(peer);
        }
        for piece in self.geometry.iter() {
            self.set_priority(piece, Priority::Normal);
            self.picker.set_exclusive(piece, None);
        }
        let seed = self.connect(Bitfield::full(self.geometry.pieces()));
        let blocks: usize = self.geometry.iter().map(|piece| blocks(&self.geometry, piece).count()).sum();
        self.ask(seed, blocks as u32, PickLimits::default());
        for (span, peer) in std::mem::take(&mut self.asked) {
            self.take(span, peer);
        }
        for piece in self.missing.keys() {
            assert!(self.missing[piece].is_empty(), "a block of {piece:?} was lost");
            self.picker.stored(*piece);
        }
        self.picker.assert_invariants();
        assert!(self.picker.have().is_full(), "a piece was lost");
    }

    fn peer(&self, choices: &mut Unstructured<'_>) -> Result<Option<PeerKey>> {
        some(&self.peers.keys().copied().collect::<Vec<_>>(), choices)
    }

    fn piece(&self, choices: &mut Unstructured<'_>) -> Result<Option<PieceIndex>> {
        some(&self.geometry.iter().collect::<Vec<_>>(), choices)
    }
}

fn some<T: Copy>(values: &[T], choices: &mut Unstructured<'_>) -> Result<Option<T>> {
    if values.is_empty() { Ok(None) } else { choices.choose(values).copied().map(Some) }
}

fn bitfield(geometry: &Geometry, choices: &mut Unstructured<'_>) -> Result<Bitfield> {
    let bits: u32 = choices.arbitrary()?;
    let mut pieces = Bitfield::empty(geometry.pieces());
    for piece in geometry.iter().filter(|piece| bits >> piece.get() & 1 == 1) {
        pieces.insert(piece);
    }
    Ok(pieces)
}

fn blocks(geometry: &Geometry, piece: PieceIndex) -> impl Iterator<Item = BlockSpan> + use<> {
    let geometry = *geometry;
    (0..).map_while(move |number| geometry.block(piece, number))
}
