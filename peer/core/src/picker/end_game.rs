//! The end game: when nothing is left to ask for, the blocks of others that this peer can bring much sooner.
//!
//! A block is worth a second request when the peer that is asked for it will take more than twice as long, or is
//! overdue with what it owes. What a queue will bring last is asked for first, so that two equal peers share the
//! rest instead of racing for the same blocks.

use potluck_common::{BlockSpan, Duration, PieceIndex};

use super::{
    Picker,
    pick::Turn,
    started::{Ask, Asks},
};

/// How long after an empty answer in the end game another [`Picker::pick`] is worth its while: requests become
/// overdue by time alone.
pub const END_GAME_RETRY: Duration = Duration::from_millis(500);

/// A block expected within this time is left to whom it was asked of: what a round trip or a batch may take.
const SOON: Duration = Duration::from_millis(250);

/// Requests of one peer that are looked at.
const LOOKS_MAX: usize = 64;

/// A block that someone else is asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    /// How long it will still take; for an overdue one, how long ago it was asked. Only the order matters.
    wait: Duration,
    piece: PieceIndex,
    block: u32,
}

impl Picker {
    /// Asks the peer for blocks that others are asked for.
    pub(super) fn pick_again(&mut self, turn: &mut Turn<'_>) {
        if turn.is_full() {
            return;
        }
        let mut overdue = Vec::new();
        let mut slow = Vec::new();
        let end_game = self.is_end_game();
        for (peer, asker) in self.askers.iter() {
            if *peer == turn.peer {
                continue;
            }
            if asker.is_overdue(turn.now) {
                let oldest = asker.requests().take(LOOKS_MAX);
                overdue.extend(oldest.map(|request| {
                    let wait = turn.now.since(request.asked);
                    Candidate { wait, piece: request.piece, block: request.block }
                }));
            } else if end_game {
                let places = (0..asker.requests().len()).rev();
                let latest = asker.requests().rev().zip(places).take(LOOKS_MAX);
                slow.extend(latest.map(|(request, place)| Candidate {
                    wait: asker.wait(place),
                    piece: request.piece,
                    block: request.block,
                }));
            }
        }
        self.ask_again(turn, overdue, true);
        self.ask_again(turn, slow, false);
    }

    fn ask_again(&mut self, turn: &mut Turn<'_>, mut candidates: Vec<Candidate>, overdue: bool) {
        candidates.sort_unstable_by(|a, b| b.cmp(a));
        for candidate in candidates {
            if turn.is_full() || !(overdue || self.is_sooner(turn, candidate.wait)) {
                return;
            }
            if self.may_ask_again(turn, candidate) {
                turn.picked.push(self.ask_also(turn, candidate));
            }
        }
    }

    /// Whether the peer would bring a block much sooner than the one who is asked for it.
    fn is_sooner(&self, turn: &Turn<'_>, wait: Duration) -> bool {
        let asker = self.askers.get(&turn.peer).expect("it was entered when the turn began");
        wait > asker.wait(asker.requests().len()).saturating_mul(2) + SOON
    }

    /// Two peers may be asked for one block; a third only when both are overdue.
    fn may_ask_again(&self, turn: &Turn<'_>, candidate: Candidate) -> bool {
        let Candidate { piece, block, .. } = candidate;
        if !turn.permits(piece) || !self.is_wanted(piece) || self.is_reserved_for_other(turn.peer, piece) {
            return false;
        }
        let Some(asks) = self.started[&piece].blocks[block as usize].asks() else { return false };
        asks.of(turn.peer).is_none() && (asks.len() < 2 || asks.len() < 3 && self.all_overdue(turn, asks))
    }

    fn all_overdue(&self, turn: &Turn<'_>, asks: Asks) -> bool {
        asks.iter().all(|ask| self.askers[&ask.peer].is_overdue(turn.now))
    }

    fn ask_also(&mut self, turn: &Turn<'_>, candidate: Candidate) -> BlockSpan {
        let Candidate { piece, block, .. } = candidate;
        let asker = self.askers.get_mut(&turn.peer).expect("it was entered when the turn began");
        let ask = Ask { peer: turn.peer, turn: asker.ask(piece, block, turn.now) };
        let started = self.started.get_mut(&piece).expect("a requested piece is started");
        started.ask(block, ask, turn.now, turn.fast);
        self.span(piece, block)
    }
}
