//! The startable pieces of one priority, by availability.

use potluck_common::{PieceIndex, Rng};

use super::rarity::Piece;

/// Startable pieces by count, those of the same count together and in random order.
///
/// All lie in one list, as in one that was sorted: a piece that counts one more changes places with the last of its
/// section, and the border moves past it. So little memory is touched for a HAVE, of which there are more than of
/// anything else.
///
/// Invariants: `ends` ascends, and its last is the length of `order`; the pieces of a count lie before its end and not
/// before the end of the count below, and the last section has some; each knows its place.
#[derive(Default, Debug)]
pub(super) struct Shelf {
    order: Vec<PieceIndex>,
    /// Where the section of each count ends.
    ends: Vec<u32>,
}

impl Shelf {
    /// With these pieces.
    pub(super) fn of(mut members: Vec<PieceIndex>, pieces: &mut [Piece], rng: &mut Rng) -> Self {
        rng.shuffle(&mut members);
        // It keeps the order of equals.
        members.sort_by_key(|piece| pieces[piece.index()].count);
        let mut ends = Vec::new();
        for (place, piece) in members.iter().enumerate() {
            let known = &mut pieces[piece.index()];
            known.set_place(place);
            ends.resize(known.count as usize + 1, place as u32);
            ends[known.count as usize] += 1;
        }
        Self { order: members, ends }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Pieces of this count and above, the lowest count first.
    pub(super) fn upwards_of(&self, count: usize) -> &[PieceIndex] {
        &self.order[self.begin(count)..]
    }

    /// Pieces of this count.
    pub(super) fn of_count(&self, count: usize) -> &[PieceIndex] {
        let end = self.ends.get(count).map_or(self.order.len(), |end| *end as usize);
        &self.order[self.begin(count)..end]
    }

    /// Adds a piece by its count. O(greatest count).
    pub(super) fn put(&mut self, pieces: &mut [Piece], piece: PieceIndex, rng: &mut Rng) {
        let count = pieces[piece.index()].count as usize;
        self.make_section(count);
        let mut hole = self.order.len();
        self.order.push(piece);
        for above in (count + 1..self.ends.len()).rev() {
            let first = self.begin(above);
            self.move_to(pieces, first, hole);
            self.ends[above] += 1;
            hole = first;
        }
        self.ends[count] += 1;
        self.lay(pieces, piece, hole);
        self.shuffle_in(pieces, piece, count, rng);
    }

    /// Takes a piece away. O(greatest count).
    pub(super) fn take(&mut self, pieces: &mut [Piece], piece: PieceIndex) {
        let Piece { count, .. } = pieces[piece.index()];
        let mut hole = pieces[piece.index()].place();
        assert_eq!(self.order[hole], piece, "a startable piece lies at its noted place");
        for section in count as usize..self.ends.len() {
            self.ends[section] -= 1;
            let last = self.ends[section] as usize;
            self.move_to(pieces, last, hole);
            hole = last;
        }
        self.order.pop();
        self.drop_empty_sections();
    }

    /// A piece counts one more.
    pub(super) fn one_more(&mut self, pieces: &mut [Piece], piece: PieceIndex, rng: &mut Rng) {
        let count = pieces[piece.index()].count as usize;
        self.make_section(count + 1);
        pieces[piece.index()].count += 1;
        let border = self.ends[count] - 1;
        self.ends[count] = border;
        let place = border + rng.below(self.ends[count + 1] - border);
        self.move_over(pieces, piece, border as usize, place as usize);
    }

    /// A piece counts one less.
    pub(super) fn one_less(&mut self, pieces: &mut [Piece], piece: PieceIndex, rng: &mut Rng) {
        let count = pieces[piece.index()].count.checked_sub(1);
        let count = count.expect("whoever leaves was added with these pieces");
        pieces[piece.index()].count = count;
        let count = count as usize;
        let (begin, border) = (self.begin(count) as u32, self.ends[count]);
        self.ends[count] += 1;
        let place = begin + rng.below(border + 1 - begin);
        self.move_over(pieces, piece, border as usize, place as usize);
        self.drop_empty_sections();
    }

    /// Brings a piece that was added to a section to a random place among its like.
    fn shuffle_in(&mut self, pieces: &mut [Piece], piece: PieceIndex, count: usize, rng: &mut Rng) {
        let begin = self.begin(count) as u32;
        let place = begin + rng.below(self.ends[count] - begin);
        let border = pieces[piece.index()].place();
        self.move_over(pieces, piece, border, place as usize);
    }

    /// A piece moves to the border of its new section, and from there to a place in it that was drawn, as the last step of a
    /// Fisher–Yates shuffle would: at both it changes places with whoever lies there.
    fn move_over(&mut self, pieces: &mut [Piece], piece: PieceIndex, border: usize, place: usize) {
        let before = pieces[piece.index()].place();
        assert_eq!(self.order[before], piece, "a startable piece lies at its noted place");
        self.move_to(pieces, border, before);
        if place != border {
            self.lay(pieces, self.order[place], border);
        }
        self.lay(pieces, piece, place);
    }

    /// The piece at one place goes to another one that is free; of an empty section that is the same one.
    fn move_to(&mut self, pieces: &mut [Piece], from: usize, to: usize) {
        if from != to {
            self.lay(pieces, self.order[from], to);
        }
    }

    fn lay(&mut self, pieces: &mut [Piece], piece: PieceIndex, place: usize) {
        self.order[place] = piece;
        pieces[piece.index()].set_place(place);
    }

    /// Counts above all others need no section.
    fn drop_empty_sections(&mut self) {
        while let Some(last) = self.ends.pop_if(|end| *end as usize == self.order.len()) {
            if self.begin(self.ends.len()) < last as usize {
                self.ends.push(last);
                return;
            }
        }
    }

    fn make_section(&mut self, count: usize) {
        if self.ends.len() <= count {
            self.ends.resize(count + 1, self.order.len() as u32);
        }
    }

    /// Where the section of a count begins.
    fn begin(&self, count: usize) -> usize {
        let below = count.checked_sub(1);
        below.map_or(0, |below| self.ends.get(below).map_or(self.order.len(), |end| *end as usize))
    }

    pub(super) fn assert_invariants(&self, pieces: &[Piece]) {
        assert!(self.ends.is_sorted(), "sections ascend");
        let last = self.ends.len().saturating_sub(1);
        assert!(self.ends.is_empty() || !self.of_count(last).is_empty(), "the last section has some");
        assert_eq!(
            self.ends.last().map_or(0, |end| *end as usize),
            self.order.len(),
            "they are all there is"
        );
        for (place, piece) in self.order.iter().enumerate() {
            let known = pieces[piece.index()];
            assert_eq!(known.place(), place, "{piece:?} is at its place");
            let (begin, end) = (self.begin(known.count as usize), self.ends[known.count as usize] as usize);
            assert!((begin..end).contains(&place), "{piece:?} is in its count's section");
        }
    }
}
