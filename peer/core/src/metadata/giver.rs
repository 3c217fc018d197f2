//! One peer that says that it has metadata: what it was asked for, and how it keeps its word.

use std::collections::VecDeque;

use potluck_common::{Duration, Instant, wire::MetadataSize};

use super::{REQUESTS_MAX, Standing};
use crate::Identity;

/// How long a request may be unanswered before others are asked.
pub(super) const REQUEST_TIME_MAX: Duration = Duration::from_secs(20);
/// How long a peer that rejected or did not answer is left alone at first; it doubles up to [`HOLD_MAX`].
pub(super) const HOLD_MIN: Duration = Duration::from_secs(10);
/// The longest that a peer is left alone.
pub(super) const HOLD_MAX: Duration = Duration::from_secs(120);
/// Who has not answered for so long does not count towards [`SAME_PIECE_MAX`]: somebody else is asked beside it.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// Who gave something within this time is giving. Who gives just enough not to be given up is so for a fraction of the time.
const GAVE_LATELY: Duration = Duration::from_secs(5);
/// Requests that timed out and may still be answered.
const LATE_MAX: usize = 8;

/// A piece that a peer was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) piece: u32,
    pub(super) at: Instant,
}

impl Request {
    /// When an answer is hardly expected any more.
    pub(super) fn slow_at(self) -> Instant {
        self.at + ANSWER_TIME
    }

    /// When it counts as not answered.
    fn deadline(self) -> Instant {
        self.at + REQUEST_TIME_MAX
    }
}

/// One peer that speaks the extension.
#[derive(Debug)]
pub(super) struct Giver {
    pub(super) who: Identity,
    pub(super) size: Option<MetadataSize>,
    pub(super) sizes_claimed: u32,
    pub(super) asked: Vec<Request>,
    pub(super) late: VecDeque<u32>,
    /// Not asked before this time.
    pub(super) held_until: Instant,
    /// Rejects and timeouts since it last gave something.
    pub(super) failures: u32,
    /// When it last gave something.
    pub(super) gave_at: Option<Instant>,
    pub(super) unasked: u32,
}

impl Giver {
    pub(super) fn new(now: Instant, who: Identity) -> Self {
        Self {
            who,
            size: None,
            sizes_claimed: 0,
            asked: Vec::new(),
            late: VecDeque::new(),
            held_until: now,
            failures: 0,
            gave_at: None,
            unasked: 0,
        }
    }

    /// It says that its metadata has this size.
    pub(super) fn claims(&mut self, size: Option<MetadataSize>) {
        if self.size != size {
            self.size = size;
            self.sizes_claimed += 1;
            // What it was asked for was of another size.
            self.late.clear();
            self.asked.clear();
        }
    }

    /// Of what use it is. What it claims is worth nothing beside what it gives.
    pub(super) fn standing(&self) -> Standing {
        match (self.size, self.failures, self.gave_at) {
            (None, ..) => Standing::HasNone,
            (_, failures @ 1.., _) => Standing::Fails(failures),
            (_, _, Some(_)) => Standing::Gives,
            (_, _, None) => Standing::Untried,
        }
    }

    /// Whether it gave something lately, and failed to give nothing since.
    pub(super) fn is_giving(&self, now: Instant) -> bool {
        self.failures == 0 && self.gave_at.is_some_and(|at| now.since(at) < GAVE_LATELY)
    }

    pub(super) fn assert_invariants(&self) {
        assert!(self.asked.len() <= REQUESTS_MAX && self.late.len() <= LATE_MAX);
        assert!(self.asked.is_empty() || self.size.is_some(), "who has nothing is asked nothing");
    }

    pub(super) fn asks_for(&self, piece: u32) -> bool {
        self.asked.iter().any(|request| request.piece == piece)
    }

    /// When after `now` something changes about whether it may be asked, or whether it is waited for.
    pub(super) fn next_turn(&self, now: Instant) -> Option<Instant> {
        let turns = self.asked.iter().flat_map(|request| {
            // A deadline that passed is still to be dealt with; the other was by asking.
            [Some(request.deadline()), Some(request.slow_at()).filter(|at| *at > now)]
        });
        // One that may be asked and is not has nothing that is lacking, or others are asked for it; who holds it back has
        // deadlines of its own.
        let waits = self.size.is_some() && self.held_until > now;
        turns.flatten().chain(waits.then_some(self.held_until)).min()
    }

    /// Whether it was asked for this piece; it is no more.
    pub(super) fn takes_answer(&mut self, piece: u32) -> bool {
        if let Some(at) = self.asked.iter().position(|request| request.piece == piece) {
            self.asked.remove(at);
            return true;
        }
        let late = self.late.iter().position(|late| *late == piece);
        late.is_some_and(|at| self.late.remove(at).is_some())
    }

    /// It is left alone for a while.
    pub(super) fn hold(&mut self, now: Instant) {
        let wait = HOLD_MIN.saturating_mul(1 << self.failures.min(8)).min(HOLD_MAX);
        self.failures = self.failures.saturating_add(1);
        self.held_until = now + wait;
    }

    pub(super) fn give_up_overdue(&mut self, now: Instant) {
        let (overdue, asked): (Vec<_>, Vec<_>) =
            self.asked.drain(..).partition(|request| request.deadline() <= now);
        self.asked = asked;
        if !overdue.is_empty() {
            self.hold(now);
        }
        self.give_up(overdue);
    }

    pub(super) fn give_up_all(&mut self) {
        let asked = std::mem::take(&mut self.asked);
        self.give_up(asked);
    }

    fn give_up(&mut self, requests: Vec<Request>) {
        for Request { piece, .. } in requests {
            if self.late.len() == LATE_MAX {
                self.late.pop_front();
            }
            self.late.push_back(piece);
        }
    }
}
