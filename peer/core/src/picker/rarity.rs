//! How many peers have each piece, and the pieces that may be started, rarest first.
//!
//! The startable pieces of one priority lie in one list, by availability and at random among those of the same
//! ([`Shelf`]). A HAVE moves one piece in constant time, and a search goes from the rarest up and ends at the first piece
//! that the peer has.

use potluck_common::{Bitfield, Geometry, PieceIndex, Rng, limits::PIECES_MAX};

use super::{Priority, shelf::Shelf};

/// Pieces that a search of the lists looks at before it turns to the peer's bitfield instead. It bounds the work
/// for a peer that lacks nearly all of the rarest pieces. (Tests have few pieces, and are to go both ways.)
const LOOKS_MAX: u32 = if cfg!(test) { 3 } else { 512 };

/// So many HAVEs are counted together.
const TOGETHER: usize = 32;

/// What is known of one piece, in eight bytes: a HAVE is counted in one line of the cache.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// Peers that have the piece and are not counted in `base`.
    pub(super) count: u32,
    /// From the lowest bit: the place in its list, the priority, and whether the piece is in a list.
    rest: u32,
}

const PLACE_BITS: u32 = 24;
const OPEN: u32 = 1 << 31;

const _: () = assert!(PIECES_MAX < 1 << PLACE_BITS, "every place fits");

impl Piece {
    pub(super) fn place(self) -> usize {
        (self.rest & ((1 << PLACE_BITS) - 1)) as usize
    }

    pub(super) fn set_place(&mut self, place: usize) {
        self.rest = self.rest >> PLACE_BITS << PLACE_BITS | place as u32;
    }

    fn priority(self) -> Priority {
        match self.rest >> PLACE_BITS & 3 {
            0 => Priority::Skip,
            1 => Priority::Low,
            2 => Priority::Normal,
            _ => Priority::High,
        }
    }

    fn set_priority(&mut self, priority: Priority) {
        self.rest = self.rest & !(3 << PLACE_BITS) | (priority as u32) << PLACE_BITS;
    }

    fn is_open(self) -> bool {
        self.rest & OPEN != 0
    }

    fn set_open(&mut self, open: bool) {
        self.rest = if open { self.rest | OPEN } else { self.rest & !OPEN };
    }
}

/// Availability of every piece and order of the startable ones.
///
/// Invariants: the availability of a piece is `base` and its count; `closed` is exactly the set of pieces that are
/// on no shelf, and are not open; a piece on a shelf has a priority above [`Priority::Skip`] and lies at its place of the
/// shelf of its priority.
#[derive(Debug)]
pub(super) struct Rarity {
    geometry: Geometry,
    pieces: Vec<Piece>,
    /// Peers that have every piece.
    base: u32,
    /// By priority: low, normal, high.
    shelves: [Shelf; 3],
    /// So much changes that the shelves are empty until it has.
    is_changing: bool,
    closed: Bitfield,
    /// Grows whenever a piece may have become startable for somebody for whom it was not.
    news: u64,
    rng: Rng,
}

impl Rarity {
    /// Nobody has anything, every priority is normal, and no piece is startable.
    pub(super) fn new(geometry: Geometry, rng: Rng) -> Self {
        let mut unknown = Piece { count: 0, rest: 0 };
        unknown.set_priority(Priority::Normal);
        Self {
            geometry,
            pieces: vec![unknown; geometry.pieces() as usize],
            base: 0,
            shelves: <[Shelf; 3]>::default(),
            is_changing: false,
            closed: Bitfield::full(geometry.pieces()),
            news: 0,
            rng,
        }
    }

    /// The peers that have `piece`.
    pub(super) fn availability(&self, piece: PieceIndex) -> u32 {
        self.base + self.pieces[piece.index()].count
    }

    pub(super) fn priority(&self, piece: PieceIndex) -> Priority {
        self.pieces[piece.index()].priority()
    }

    /// A number that stays the same as long as whoever found nothing to start would find nothing again.
    pub(super) fn news(&self) -> u64 {
        self.news
    }

    /// A peer that has these pieces came. O(1) when it has all of them.
    pub(super) fn peer_added(&mut self, has: &Bitfield) {
        self.news += 1;
        if has.is_full() {
            self.base += 1;
            return;
        }
        let geometry = self.geometry;
        for piece in has.iter(&geometry) {
            self.one_more(piece);
        }
    }

    /// A peer that has these pieces left. Only sums matter, so a peer that became full piece by piece may leave as
    /// a full one and the other way round.
    pub(super) fn peer_removed(&mut self, has: &Bitfield) {
        if has.is_full() && self.base > 0 {
            self.base -= 1;
            return;
        }
        let geometry = self.geometry;
        for piece in has.iter(&geometry) {
            self.one_less(piece);
        }
    }

    /// A peer has this piece too.
    pub(super) fn peer_has(&mut self, piece: PieceIndex) {
        self.news += u64::from(self.is_open(piece));
        self.one_more(piece);
    }

    /// Peers have each of these pieces too.
    pub(super) fn peers_have(&mut self, pieces: &[PieceIndex]) {
        for pieces in pieces.chunks(TOGETHER) {
            // Those on no shelf are only counted, and meanwhile memory brings all of them.
            let mut open = [pieces[0]; TOGETHER];
            let mut open_count = 0;
            for piece in pieces {
                let known = &mut self.pieces[piece.index()];
                let is_open = known.is_open();
                known.count += u32::from(!is_open);
                open[open_count] = *piece;
                open_count += usize::from(is_open);
            }
            self.news += open_count as u64;
            for piece in &open[..open_count] {
                self.one_more(*piece);
            }
        }
    }

    /// Makes `piece` startable unless its priority is [`Priority::Skip`].
    pub(super) fn open(&mut self, piece: PieceIndex) {
        if !self.is_open(piece) && self.priority(piece) != Priority::Skip {
            self.closed.remove(piece);
            self.pieces[piece.index()].set_open(true);
            self.news += 1;
            if !self.is_changing {
                let shelf = &mut self.shelves[slot(self.pieces[piece.index()].priority())];
                shelf.put(&mut self.pieces, piece, &mut self.rng);
            }
        }
    }

    /// Makes `piece` not startable; false if it was not.
    pub(super) fn close(&mut self, piece: PieceIndex) -> bool {
        let was_open = self.closed.insert(piece);
        if was_open {
            self.pieces[piece.index()].set_open(false);
            if !self.is_changing {
                let shelf = &mut self.shelves[slot(self.pieces[piece.index()].priority())];
                shelf.take(&mut self.pieces, piece);
            }
        }
        was_open
    }

    pub(super) fn set_priority(&mut self, piece: PieceIndex, priority: Priority) {
        let was_open = self.close(piece);
        self.pieces[piece.index()].set_priority(priority);
        if was_open {
            self.open(piece);
        }
    }

    /// Very many priorities are about to change: they are sorted once, after that, and nothing is looked for before.
    pub(super) fn begin_changes(&mut self) {
        self.is_changing = true;
        self.shelves = <[Shelf; 3]>::default();
    }

    /// The shelves are as they should be again.
    pub(super) fn end_changes(&mut self) {
        self.is_changing = false;
        let mut members = <[Vec<PieceIndex>; 3]>::default();
        for piece in self.geometry.iter().filter(|piece| self.is_open(*piece)) {
            members[slot(self.priority(piece))].push(piece);
        }
        for (shelf, members) in self.shelves.iter_mut().zip(members) {
            *shelf = Shelf::of(members, &mut self.pieces, &mut self.rng);
        }
    }

    /// Whether `piece` may be started.
    pub(super) fn is_open(&self, piece: PieceIndex) -> bool {
        self.pieces[piece.index()].is_open()
    }

    /// Whether some startable piece is available from a connected peer.
    pub(super) fn any_reachable(&self) -> bool {
        self.shelves.iter().any(|shelf| !shelf.upwards_of(self.first_count()).is_empty())
    }

    /// The startable piece of the highest priority, and among those the rarest, that the peer has.
    pub(super) fn rarest(&self, has: &Bitfield) -> Option<PieceIndex> {
        // Whoever lacks some piece is counted at each piece it has, so it has none of those with no count.
        let first_count = if has.is_full() { self.first_count() } else { 1 };
        let mut looks = 0;
        for shelf in self.shelves.iter().rev() {
            for piece in shelf.upwards_of(first_count) {
                if has.has(*piece) {
                    return Some(*piece);
                }
                looks += 1;
                if looks == LOOKS_MAX {
                    return self.of_peer(has).min_by_key(|piece| self.rank(*piece));
                }
            }
        }
        None
    }

    /// Whether it is possible at all that only this peer has some piece.
    pub(super) fn may_be_sole(&self, has: &Bitfield) -> bool {
        self.sole_count(has).is_some()
    }

    /// The count of pieces that only this peer has.
    fn sole_count(&self, has: &Bitfield) -> Option<usize> {
        match self.base {
            0 => Some(1),
            1 if has.is_full() => Some(0),
            _ => None,
        }
    }

    /// A startable piece of the highest priority that only this peer has.
    pub(super) fn sole(&self, has: &Bitfield) -> Option<PieceIndex> {
        let count = self.sole_count(has)?;
        let shelf = self.shelves.iter().rev().find(|shelf| !shelf.is_empty())?;
        shelf.of_count(count).iter().copied().take(LOOKS_MAX as usize).find(|piece| has.has(*piece))
    }

    /// The rarest of these pieces that is startable and that the peer has.
    pub(super) fn rarest_of(&self, pieces: &[PieceIndex], has: &Bitfield) -> Option<PieceIndex> {
        let candidates = pieces.iter().copied().filter(|piece| self.is_open(*piece) && has.has(*piece));
        candidates.min_by_key(|piece| self.rank(*piece))
    }

    /// A random startable piece of the highest priority that the peer has.
    pub(super) fn random(&mut self, has: &Bitfield) -> Option<PieceIndex> {
        let best = self.of_peer(has).map(|piece| self.priority(piece)).max()?;
        let count = self.of_peer(has).filter(|piece| self.priority(*piece) == best).count();
        let chosen = self.rng.below(count as u32) as usize;
        self.of_peer(has).filter(|piece| self.priority(*piece) == best).nth(chosen)
    }

    /// The first startable piece of the highest priority that the peer has.
    pub(super) fn first(&self, has: &Bitfield) -> Option<PieceIndex> {
        let classes = [Priority::High, Priority::Normal, Priority::Low];
        let used = classes.into_iter().filter(|class| !self.shelves[slot(*class)].is_empty());
        used.map(|class| self.of_peer(has).find(|piece| self.priority(*piece) == class))
            .find_map(|found| found)
    }

    fn of_peer<'a>(&'a self, has: &'a Bitfield) -> impl Iterator<Item = PieceIndex> + 'a {
        has.iter_difference(&self.closed, &self.geometry)
    }

    /// The order in which a search of the shelves meets startable pieces.
    fn rank(&self, piece: PieceIndex) -> (std::cmp::Reverse<Priority>, u32, usize) {
        let piece = self.pieces[piece.index()];
        (std::cmp::Reverse(piece.priority()), piece.count, piece.place())
    }

    /// The lowest count at which a piece is available at all.
    fn first_count(&self) -> usize {
        usize::from(self.base == 0)
    }

    fn one_more(&mut self, piece: PieceIndex) {
        let known = &mut self.pieces[piece.index()];
        if known.is_open() && !self.is_changing {
            self.shelves[slot(known.priority())].one_more(&mut self.pieces, piece, &mut self.rng);
        } else {
            known.count += 1;
        }
    }

    fn one_less(&mut self, piece: PieceIndex) {
        let known = &mut self.pieces[piece.index()];
        if known.is_open() && !self.is_changing {
            self.shelves[slot(known.priority())].one_less(&mut self.pieces, piece, &mut self.rng);
        } else {
            known.count = known.count.checked_sub(1).expect("whoever leaves was added with these pieces");
        }
    }

    pub(super) fn assert_invariants(&self) {
        assert!(!self.is_changing, "changes were ended");
        let mut seen = 0;
        for (number, shelf) in self.shelves.iter().enumerate() {
            shelf.assert_invariants(&self.pieces);
            for piece in shelf.upwards_of(0) {
                assert!(self.is_open(*piece), "{piece:?} is on a shelf but closed");
                assert_eq!(slot(self.priority(*piece)), number, "{piece:?} is on its priority's shelf");
                assert!(!self.closed.has(*piece), "{piece:?} is on a shelf and not closed");
                seen += 1;
            }
        }
        assert_eq!(seen, self.geometry.pieces() - self.closed.count(), "every startable piece is on a shelf");
    }
}

/// The index of a priority's shelf.
fn slot(priority: Priority) -> usize {
    match priority {
        Priority::Skip => unreachable!("a skipped piece is on no shelf"),
        Priority::Low => 0,
        Priority::Normal => 1,
        Priority::High => 2,
    }
}
