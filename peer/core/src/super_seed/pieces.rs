//! The pieces: how many peers have each, and in which order those that nobody has are shown.

use std::collections::BTreeSet;

use potluck_common::{Geometry, PieceIndex, Rng};

/// One piece.
#[derive(Clone, Copy, Debug)]
struct State {
    /// Connected peers that have it.
    seen: u32,
    /// Peers that claim it.
    claims: u32,
    /// Peers that were shown it, claimed or not.
    shown: u32,
    /// Its place among equals.
    place: u32,
    /// It was sent to some peer, so that others may have it from there.
    given_out: bool,
}

/// The place of a piece that nobody has in the order in which such pieces are shown: first what nobody claims, of those
/// what was shown to fewest, of those at random.
type Rank = (u32, u32, u32, PieceIndex);

/// Which of the pieces that nobody has may be shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Choice {
    /// What nobody was shown who is there.
    Fresh,
    /// What nobody claims.
    Unclaimed,
}

/// All pieces.
///
/// Invariant: `unseen` holds the rank of exactly the pieces of which `seen` is 0.
#[derive(Debug)]
pub(super) struct Pieces {
    geometry: Geometry,
    states: Vec<State>,
    /// Pieces that one peer has.
    alone: u32,
    unseen: BTreeSet<Rank>,
    /// Pieces that were sent to nobody.
    kept: u32,
}

impl Pieces {
    pub(super) fn new(geometry: Geometry, mut rng: Rng) -> Self {
        let mut places: Vec<u32> = (0..geometry.pieces()).collect();
        rng.shuffle(&mut places);
        let states =
            places.into_iter().map(|place| State { seen: 0, claims: 0, shown: 0, place, given_out: false });
        let states: Vec<State> = states.collect();
        let unseen = geometry.iter().map(|piece| rank(piece, states[piece.index()])).collect();
        Self { geometry, states, alone: 0, unseen, kept: geometry.pieces() }
    }

    pub(super) fn geometry(&self) -> Geometry {
        self.geometry
    }

    pub(super) fn seen(&self, piece: PieceIndex) -> u32 {
        self.states[piece.index()].seen
    }

    /// Whether nobody has it or was ever sent it, as far as we know.
    pub(super) fn is_surprise(&self, piece: PieceIndex) -> bool {
        let state = &self.states[piece.index()];
        state.seen == 0 && !state.given_out
    }

    /// Whether every piece was ever sent to some peer.
    pub(super) fn are_given_out(&self) -> bool {
        self.kept == 0
    }

    /// How many pieces nobody has.
    pub(super) fn unseen(&self) -> u32 {
        self.unseen.len() as u32
    }

    /// Whether every piece is at two peers or more.
    pub(super) fn is_spread(&self) -> bool {
        self.unseen.is_empty() && self.alone == 0
    }

    /// The first piece to be shown that nobody has, that fits the choice and is not left `out`.
    pub(super) fn best_unless(&self, choice: Choice, out: impl Fn(PieceIndex) -> bool) -> Option<PieceIndex> {
        let shown_max = if choice == Choice::Fresh { 0 } else { u32::MAX };
        let fits = |rank: &&Rank| rank.0 == 0 && rank.1 <= shown_max;
        let free = self.unseen.iter().take_while(fits);
        free.map(|(.., piece)| *piece).find(|piece| !out(*piece))
    }

    /// At most `count` of the pieces that nobody has or claims and that are not left `out`, in an order in which what was
    /// shown to nobody and is furthest from being shown comes first. It looks at each.
    pub(super) fn last_unless(&self, out: impl Fn(PieceIndex) -> bool, count: usize) -> Vec<PieceIndex> {
        let Some(first) = self.geometry.piece(0) else { return Vec::new() };
        let fresh = self.unseen.range(..(0, 1, 0, first)).rev();
        let shown = self.unseen.range((0, 1, 0, first)..(1, 0, 0, first));
        fresh.chain(shown).map(|(.., piece)| *piece).filter(|piece| !out(*piece)).take(count).collect()
    }

    /// It was sent to a peer.
    pub(super) fn give_out(&mut self, piece: PieceIndex) {
        let was_before = std::mem::replace(&mut self.states[piece.index()].given_out, true);
        self.kept -= u32::from(!was_before);
    }

    /// A peer has it.
    pub(super) fn see(&mut self, piece: PieceIndex) {
        self.change(piece, |state| state.seen += 1);
    }

    /// A peer that had it does not have it, or left.
    pub(super) fn unsee(&mut self, piece: PieceIndex) {
        self.change(piece, |state| state.seen -= 1);
    }

    /// A peer was shown it.
    pub(super) fn show(&mut self, piece: PieceIndex) {
        self.change(piece, |state| state.shown += 1);
    }

    /// A peer that was shown it left, or it spread from there.
    pub(super) fn hide(&mut self, piece: PieceIndex) {
        self.change(piece, |state| state.shown -= 1);
    }

    /// One more peer claims it, if `really`.
    pub(super) fn claim(&mut self, piece: PieceIndex, really: bool) {
        self.change(piece, |state| state.claims += u32::from(really));
    }

    /// One peer less claims it, if `really`.
    pub(super) fn unclaim(&mut self, piece: PieceIndex, really: bool) {
        self.change(piece, |state| state.claims -= u32::from(really));
    }

    fn change(&mut self, piece: PieceIndex, change: impl FnOnce(&mut State)) {
        let state = &mut self.states[piece.index()];
        if state.seen == 0 {
            self.unseen.remove(&rank(piece, *state));
        }
        self.alone -= u32::from(state.seen == 1);
        change(state);
        self.alone += u32::from(state.seen == 1);
        if state.seen == 0 {
            self.unseen.insert(rank(piece, *state));
        }
    }

    /// `recount` says how many were shown a piece, and how many claim it.
    pub(super) fn assert_invariants(&self, recount: impl Fn(PieceIndex) -> (u32, u32)) {
        let unseen = self.geometry.iter().filter(|piece| self.seen(*piece) == 0);
        let ranks: BTreeSet<Rank> = unseen.map(|piece| rank(piece, self.states[piece.index()])).collect();
        assert_eq!(ranks, self.unseen, "exactly the unseen pieces have a rank");
        let alone = self.geometry.iter().filter(|piece| self.seen(*piece) == 1).count();
        assert_eq!(alone, self.alone as usize, "the count of pieces at one peer");
        let kept = self.states.iter().filter(|state| !state.given_out).count();
        assert_eq!(kept, self.kept as usize, "the count of pieces that were sent to nobody");
        for piece in self.geometry.iter() {
            let state = self.states[piece.index()];
            assert_eq!((state.shown, state.claims), recount(piece), "the counts of {piece:?}");
        }
    }
}

fn rank(piece: PieceIndex, state: State) -> Rank {
    (state.claims, state.shown, state.place, piece)
}
