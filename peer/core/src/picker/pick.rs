//! The choice of blocks for one peer.

use potluck_common::{Bitfield, BlockSpan, Duration, Instant, PieceIndex};

use super::{
    Order, PickLimits, Picker,
    asker::Asker,
    started::{Ask, Helper, Started},
};
use crate::PeerKey;

/// A peer that brings a whole piece within this time is fast: it gets pieces of its own, which keeps the payload of
/// a piece in one place and the blame for it clear.
const WHOLE_PIECE_MAX: Duration = Duration::from_secs(10);

/// A peer that was not asked for a block of a piece for this long, and owes none, no longer works on it.
const HELPER_IDLE_MAX: Duration = Duration::from_secs(2);

/// One call of [`Picker::pick`] under way.
pub(super) struct Turn<'a> {
    pub(super) now: Instant,
    pub(super) peer: PeerKey,
    pub(super) has: &'a Bitfield,
    pub(super) limits: PickLimits<'a>,
    pub(super) fast: bool,
    pub(super) count: usize,
    pub(super) picked: Vec<BlockSpan>,
    /// What others told us that they have, and that nothing was reckoned with yet.
    heard: &'a [PieceIndex],
}

impl Turn<'_> {
    pub(super) fn is_full(&self) -> bool {
        self.picked.len() >= self.count
    }

    /// Whether the peer can be asked for `piece` now.
    pub(super) fn permits(&self, piece: PieceIndex) -> bool {
        self.has.has(piece) && self.limits.allowed.is_none_or(|allowed| allowed.contains(&piece))
    }
}

impl Picker {
    /// Up to `count` blocks to ask `peer`, which has the pieces in `has` (as told by [`Picker::peer_added`] and
    /// [`Picker::peer_has`]), in the order in which to ask for them. They count as asked for until received or
    /// released.
    ///
    /// An empty answer stays empty until something is released, fails, is lost or changes priority, or the peer has
    /// more; but in the end game it is worth another try after [`super::END_GAME_RETRY`].
    pub fn pick(
        &mut self,
        now: Instant,
        peer: PeerKey,
        has: &Bitfield,
        count: u32,
        limits: PickLimits<'_>,
    ) -> Vec<BlockSpan> {
        self.pick_hearing(now, peer, has, count, limits, &mut [].as_slice())
    }

    /// The same, where peers told of the pieces in `heard` that are not yet counted by [`Picker::peer_has`]: they are counted
    /// when a new piece is looked for, all at once, and then nothing is left in it. There are more HAVEs than anything
    /// else.
    pub fn pick_hearing<'a>(
        &mut self,
        now: Instant,
        peer: PeerKey,
        has: &'a Bitfield,
        count: u32,
        limits: PickLimits<'a>,
        heard: &mut &'a [PieceIndex],
    ) -> Vec<BlockSpan> {
        let rate = limits.rate_bytes_per_second;
        let fast = u128::from(rate) * WHOLE_PIECE_MAX.as_millis()
            >= u128::from(self.geometry.piece_length()) * 1_000;
        let mut turn =
            Turn { now, peer, has, limits, fast, count: count as usize, picked: Vec::new(), heard };
        self.askers.get_or_insert_with(peer, Asker::default).rate = rate;
        if !self.reserved.is_empty() {
            self.rarity.peers_have(std::mem::take(&mut turn.heard));
            self.end_idle_reservations(now);
        }
        self.pick_reserved(&mut turn);
        self.pick_own(&mut turn);
        let together = self.config.order == Order::Sequential || !self.has_something_to_trade();
        if self.config.order == Order::RarestFirst {
            self.pick_sole(&mut turn);
        }
        self.pick_started(&mut turn, together);
        self.pick_new(&mut turn);
        self.pick_started(&mut turn, true);
        self.pick_again(&mut turn);
        *heard = turn.heard;
        turn.picked
    }

    pub(super) fn has_something_to_trade(&self) -> bool {
        self.have.count() >= self.config.random_first_pieces
    }

    /// Pieces that the peer works on already.
    fn pick_own(&mut self, turn: &mut Turn<'_>) {
        let mut number = 0;
        while !turn.is_full() {
            let asker = self.askers.get(&turn.peer).expect("it was entered when the turn began");
            let Some(piece) = asker.pieces.get(number).copied() else { return };
            if turn.permits(piece) && self.is_wanted(piece) && !self.is_reserved_for_other(turn.peer, piece) {
                self.take(turn, piece);
            }
            number += 1;
        }
    }

    /// Started pieces with open blocks: only those that suit the peer, or any.
    fn pick_started(&mut self, turn: &mut Turn<'_>, any: bool) {
        if turn.is_full() || self.line.keys().len() == 0 {
            return;
        }
        let mut left = turn.count - turn.picked.len();
        let mut pieces = Vec::new();
        for (_, piece) in self.line.keys() {
            let started = self.started.get(piece).expect("a piece in line is started");
            if turn.permits(*piece) && self.is_wanted(*piece) && (any || suits(turn, started)) {
                pieces.push(*piece);
                left = left.saturating_sub(started.open as usize);
                if left == 0 {
                    break;
                }
            }
        }
        for piece in pieces {
            self.take(turn, piece);
        }
    }

    /// New pieces that nobody else has, while this peer serves us: what others have under way they can finish, and a lone
    /// seed that sends it again sends the first full copy later.
    fn pick_sole(&mut self, turn: &mut Turn<'_>) {
        if turn.is_full() || turn.limits.allowed.is_some() || !self.rarity.may_be_sole(turn.has) {
            return;
        }
        self.rarity.peers_have(std::mem::take(&mut turn.heard));
        if self.rarity.sole(turn.has).is_none() {
            return;
        }
        let under_way = self.line.keys().map(|(_, piece)| *piece);
        let unfinished: Vec<_> = under_way.filter(|piece| self.is_sole_to_finish(turn, *piece)).collect();
        for piece in unfinished {
            self.take(turn, piece);
        }
        while !turn.is_full()
            && turn.limits.start_pieces_max > 0
            && let Some(new) = self.rarity.sole(turn.has)
        {
            turn.limits.start_pieces_max -= 1;
            self.start(new);
            self.take(turn, new);
        }
    }

    /// Whether only this peer has the piece, and it is under way.
    fn is_sole_to_finish(&self, turn: &Turn<'_>, piece: PieceIndex) -> bool {
        let started = self.started.get(&piece).expect("a piece in line is started");
        self.availability(piece) <= 1 && turn.permits(piece) && self.is_wanted(piece) && suits(turn, started)
    }

    /// New pieces. A search in vain is not repeated before there is news.
    fn pick_new(&mut self, turn: &mut Turn<'_>) {
        if turn.is_full() {
            return;
        }
        self.rarity.peers_have(std::mem::take(&mut turn.heard));
        let news = Some(self.rarity.news());
        while !turn.is_full() && turn.limits.start_pieces_max > 0 {
            let asker = self.askers.get(&turn.peer).expect("it was entered when the turn began");
            if asker.nothing_new == news {
                return;
            }
            let Some(piece) = self.choose_new(turn) else {
                let asker = self.askers.get_mut(&turn.peer).expect("it was entered when the turn began");
                if turn.limits.allowed.is_none() {
                    asker.nothing_new = news;
                }
                return;
            };
            turn.limits.start_pieces_max -= 1;
            self.start(piece);
            self.take(turn, piece);
        }
    }

    fn choose_new(&mut self, turn: &Turn<'_>) -> Option<PieceIndex> {
        if let Some(allowed) = turn.limits.allowed {
            return self.rarity.rarest_of(allowed, turn.has);
        }
        match self.config.order {
            Order::Sequential => self.rarity.first(turn.has),
            Order::RarestFirst if self.has_something_to_trade() => self.rarity.rarest(turn.has),
            Order::RarestFirst => self.rarity.random(turn.has),
        }
    }

    pub(super) fn start(&mut self, piece: PieceIndex) {
        self.starts += 1;
        let started = Started::new(self.geometry.blocks_in(piece), self.rank_of(piece));
        self.started.get_or_insert_with(piece, || started);
        self.settle(piece);
        self.line_up(piece);
    }

    /// Asks the peer for open blocks of a started piece, in order.
    pub(super) fn take(&mut self, turn: &mut Turn<'_>, piece: PieceIndex) {
        let geometry = self.geometry;
        let started = self.started.get_mut(&piece).expect("only started pieces are taken from");
        let asker = self.askers.get_mut(&turn.peer).expect("it was entered when the turn began");
        while !turn.is_full() {
            let Some(block) = started.next_open() else { break };
            let ask = Ask { peer: turn.peer, turn: asker.ask(piece, block, turn.now) };
            started.ask(block, ask, turn.now, turn.fast);
            turn.picked
                .push(geometry.block(piece, block).expect("a started piece numbers blocks that exist"));
        }
        if started.in_line && started.open == 0 {
            self.line_up(piece);
        }
    }
}

/// Whether the peer should join a piece before it starts one of its own: nobody works on it, or only slow peers do.
fn suits(turn: &Turn<'_>, started: &Started) -> bool {
    let at_work = |helper: &&Helper| helper.asked > 0 || turn.now.since(helper.asked_last) < HELPER_IDLE_MAX;
    !started.helpers.iter().filter(at_work).any(|helper| helper.fast && helper.peer != turn.peer)
}
