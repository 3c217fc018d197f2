//! What one peer is asked for, in the order in which it was asked, and when each block can be expected.

use std::collections::VecDeque;

use potluck_common::{Duration, Instant, PieceIndex, limits::BLOCK_LENGTH};

use super::started::Turn;

/// A request that a peer has not answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Request {
    pub(super) piece: PieceIndex,
    pub(super) block: u32,
    /// When it was asked.
    pub(super) asked: Instant,
    /// When it should have come even at half the peer's rate.
    due: Instant,
}

/// The time a block takes from a peer whose rate is not known yet.
const INTERVAL_UNKNOWN: Duration = Duration::from_secs(1);

/// No request is overdue before this: the round trip and the peer's own queue take their time.
const OVERDUE_MIN: Duration = Duration::from_secs(3);

/// One peer as somebody to ask.
///
/// Invariants: the turns in `requests` ascend, from the first on, and `turn_next` comes after them; `pieces` are the
/// started pieces that list it as a helper.
#[derive(Debug, Default)]
pub(super) struct Asker {
    /// Outstanding requests, each with its turn.
    requests: VecDeque<(Turn, Request)>,
    /// The incomplete pieces it works on, in the order in which it began.
    pub(super) pieces: Vec<PieceIndex>,
    turn_next: Turn,
    /// There was nothing new for it to start as of this number of `Rarity::news`.
    pub(super) nothing_new: Option<u64>,
    /// Payload bytes per second, as last told; 0 is unknown.
    pub(super) rate: u64,
}

impl Asker {
    /// Notes a request and gives its turn.
    pub(super) fn ask(&mut self, piece: PieceIndex, block: u32, now: Instant) -> Turn {
        let turn = self.turn_next;
        self.turn_next = turn.wrapping_add(1);
        let expected = self.interval().saturating_mul(self.requests.len() as u32 + 1);
        let due = now + expected.saturating_mul(2).max(OVERDUE_MIN);
        self.requests.push_back((turn, Request { piece, block, asked: now, due }));
        if !self.pieces.contains(&piece) {
            self.pieces.push(piece);
        }
        turn
    }

    /// The request of this turn is outstanding no more.
    pub(super) fn answered(&mut self, turn: Turn) {
        if let Ok(place) = self.place(turn) {
            self.requests.remove(place);
        }
    }

    /// Outstanding requests, those asked first first.
    pub(super) fn requests(&self) -> impl ExactSizeIterator<Item = &Request> + DoubleEndedIterator {
        self.requests.iter().map(|(_, request)| request)
    }

    /// The outstanding request of this turn.
    pub(super) fn request(&self, turn: Turn) -> Option<&Request> {
        self.place(turn).ok().map(|place| &self.requests[place].1)
    }

    fn place(&self, turn: Turn) -> Result<usize, usize> {
        let Some((first, _)) = self.requests.front() else { return Err(0) };
        let since_first = |turn: Turn| turn.wrapping_sub(*first);
        match since_first(turn) {
            // Peers answer in order.
            0 => Ok(0),
            since => self.requests.binary_search_by_key(&since, |(other, _)| since_first(*other)),
        }
    }

    /// The time between two of its blocks.
    fn interval(&self) -> Duration {
        if self.rate == 0 {
            return INTERVAL_UNKNOWN;
        }
        Duration::from_micros((u64::from(BLOCK_LENGTH) * 1_000_000).div_ceil(self.rate))
    }

    /// When the request at `place` in its queue (0 is the next to be answered) can be expected, from now.
    pub(super) fn wait(&self, place: usize) -> Duration {
        self.interval().saturating_mul(place as u32 + 1)
    }

    /// Whether it is far behind what it should have given.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.requests.front().is_some_and(|(_, request)| request.due < now)
    }
}
