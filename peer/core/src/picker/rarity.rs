//! How many peers have each piece, and the pieces that may be started, rarest first.
//!
//! The startable pieces of one priority and one availability lie in one bucket in random order. A change moves one
//! piece between two buckets in constant time, and a search goes from the rarest bucket up and ends at the first
//! piece that the peer has.

use potluck_common::{Bitfield, Geometry, PieceIndex, Rng, limits::PIECES_MAX};

use super::Priority;

/// Pieces that a search of the buckets looks at before it turns to the peer's bitfield instead. It bounds the work
/// for a peer that lacks nearly all of the rarest pieces. (Tests have few pieces, and are to go both ways.)
const BUCKET_LOOKS_MAX: u32 = if cfg!(test) { 3 } else { 512 };

/// A bucket with room for so many gives half of it back when three quarters are empty: all pieces pass through nearly
/// all buckets as a swarm grows.
const BUCKET_SPARE_MIN: usize = if cfg!(test) { 2 } else { 32 };

/// What is known of one piece, in eight bytes: a HAVE is counted in one line of the cache.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Peers that have the piece and are not counted in `base`.
    count: u32,
    /// From the lowest bit: the place in a bucket, the priority, and whether the piece is in a bucket.
    rest: u32,
}

const PLACE_BITS: u32 = 24;
const OPEN: u32 = 1 << 31;

const _: () = assert!(PIECES_MAX < 1 << PLACE_BITS, "every place fits");

impl Piece {
    fn place(self) -> usize {
        (self.rest & ((1 << PLACE_BITS) - 1)) as usize
    }

    fn set_place(&mut self, place: usize) {
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
/// in no bucket, and are not open; a piece in a bucket has a priority above [`Priority::Skip`] and lies at its place of the
/// bucket of its priority and count.
#[derive(Debug)]
pub(super) struct Rarity {
    geometry: Geometry,
    pieces: Vec<Piece>,
    /// Peers that have every piece.
    base: u32,
    /// By priority (low, normal, high), then by count.
    buckets: [Vec<Vec<PieceIndex>>; 3],
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
            buckets: [Vec::new(), Vec::new(), Vec::new()],
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
            self.recount(piece, |count| count + 1);
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
            self.recount(piece, |count| {
                count.checked_sub(1).expect("whoever leaves was added with these pieces")
            });
        }
    }

    /// A peer has this piece too.
    pub(super) fn peer_has(&mut self, piece: PieceIndex) {
        self.news += u64::from(self.is_open(piece));
        self.recount(piece, |count| count + 1);
    }

    /// Makes `piece` startable unless its priority is [`Priority::Skip`].
    pub(super) fn open(&mut self, piece: PieceIndex) {
        if !self.is_open(piece) && self.priority(piece) != Priority::Skip {
            self.closed.remove(piece);
            self.pieces[piece.index()].set_open(true);
            self.news += 1;
            self.put(piece);
        }
    }

    /// Makes `piece` not startable; false if it was not.
    pub(super) fn close(&mut self, piece: PieceIndex) -> bool {
        let was_open = self.closed.insert(piece);
        if was_open {
            self.pieces[piece.index()].set_open(false);
            self.take(piece);
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

    /// Whether `piece` may be started.
    pub(super) fn is_open(&self, piece: PieceIndex) -> bool {
        self.pieces[piece.index()].is_open()
    }

    /// Whether some startable piece is available from a connected peer.
    pub(super) fn any_reachable(&self) -> bool {
        self.buckets
            .iter()
            .flat_map(|class| class.iter().skip(self.first_count()))
            .any(|bucket| !bucket.is_empty())
    }

    /// The startable piece of the highest priority, and among those the rarest, that the peer has.
    pub(super) fn rarest(&self, has: &Bitfield) -> Option<PieceIndex> {
        // Whoever lacks some piece is counted at each piece it has, so it has none of the first buckets.
        let first_count = if has.is_full() { self.first_count() } else { 1 };
        let mut looks = 0;
        for class in self.buckets.iter().rev() {
            for piece in class.iter().skip(first_count).flatten() {
                if has.has(*piece) {
                    return Some(*piece);
                }
                looks += 1;
                if looks == BUCKET_LOOKS_MAX {
                    return self.of_peer(has).min_by_key(|piece| self.rank(*piece));
                }
            }
        }
        None
    }

    /// A startable piece of the highest priority that only this peer has.
    pub(super) fn sole(&self, has: &Bitfield) -> Option<PieceIndex> {
        let count = match self.base {
            0 => 1,
            1 if has.is_full() => 0,
            _ => return None,
        };
        let class = self.buckets.iter().rev().find(|class| class.iter().any(|bucket| !bucket.is_empty()))?;
        class.get(count)?.iter().copied().take(BUCKET_LOOKS_MAX as usize).find(|piece| has.has(*piece))
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
        let used =
            classes.into_iter().filter(|class| self.buckets[slot(*class)].iter().any(|b| !b.is_empty()));
        used.map(|class| self.of_peer(has).find(|piece| self.priority(*piece) == class))
            .find_map(|found| found)
    }

    fn of_peer<'a>(&'a self, has: &'a Bitfield) -> impl Iterator<Item = PieceIndex> + 'a {
        has.iter_difference(&self.closed, &self.geometry)
    }

    /// The order in which a search of the buckets meets startable pieces.
    fn rank(&self, piece: PieceIndex) -> (std::cmp::Reverse<Priority>, u32, usize) {
        let piece = self.pieces[piece.index()];
        (std::cmp::Reverse(piece.priority()), piece.count, piece.place())
    }

    /// The lowest count at which a piece is available at all.
    fn first_count(&self) -> usize {
        usize::from(self.base == 0)
    }

    fn recount(&mut self, piece: PieceIndex, change: impl FnOnce(u32) -> u32) {
        let open = self.is_open(piece);
        if open {
            self.take(piece);
        }
        let count = &mut self.pieces[piece.index()].count;
        *count = change(*count);
        if open {
            self.put(piece);
        }
    }

    /// Puts `piece` at a random place of its bucket, as the last step of a Fisher–Yates shuffle would.
    fn put(&mut self, piece: PieceIndex) {
        let known = self.pieces[piece.index()];
        let (class, count) = (&mut self.buckets[slot(known.priority())], known.count as usize);
        if class.len() <= count {
            class.resize_with(count + 1, Vec::new);
        }
        let bucket = &mut class[count];
        let last = bucket.len();
        bucket.push(piece);
        let place = self.rng.below(last as u32 + 1) as usize;
        bucket.swap(place, last);
        self.pieces[bucket[last].index()].set_place(last);
        self.pieces[piece.index()].set_place(place);
    }

    fn take(&mut self, piece: PieceIndex) {
        let known = self.pieces[piece.index()];
        let bucket = &mut self.buckets[slot(known.priority())][known.count as usize];
        let taken = bucket.swap_remove(known.place());
        assert_eq!(taken, piece, "a startable piece lies at its noted place");
        if let Some(moved) = bucket.get(known.place()) {
            self.pieces[moved.index()].set_place(known.place());
        }
        if bucket.capacity() >= BUCKET_SPARE_MIN && bucket.len() <= bucket.capacity() / 4 {
            bucket.shrink_to(bucket.capacity() / 2);
        }
    }

    pub(super) fn assert_invariants(&self) {
        let mut seen = 0;
        for (class_number, class) in self.buckets.iter().enumerate() {
            for (count, bucket) in class.iter().enumerate() {
                for (place, piece) in bucket.iter().enumerate() {
                    assert!(self.is_open(*piece), "{piece:?} is in a bucket but closed");
                    assert_eq!(
                        slot(self.priority(*piece)),
                        class_number,
                        "{piece:?} is in its priority's bucket"
                    );
                    assert_eq!(
                        self.pieces[piece.index()].count as usize,
                        count,
                        "{piece:?} is in its count's bucket"
                    );
                    assert_eq!(self.pieces[piece.index()].place(), place, "{piece:?} is at its place");
                    assert!(!self.closed.has(*piece), "{piece:?} is in a bucket and not closed");
                    seen += 1;
                }
            }
        }
        assert_eq!(
            seen,
            self.geometry.pieces() - self.closed.count(),
            "every startable piece is in a bucket"
        );
    }
}

/// The index of a priority's buckets.
fn slot(priority: Priority) -> usize {
    match priority {
        Priority::Skip => unreachable!("a skipped piece is in no bucket"),
        Priority::Low => 0,
        Priority::Normal => 1,
        Priority::High => 2,
    }
}
