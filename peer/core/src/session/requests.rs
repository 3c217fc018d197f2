//! What we ask of the peer.

use std::collections::VecDeque;

use potluck_common::{BlockSpan, Duration, Instant};

use super::{
    config::{CANCELLED_MAX, OVERTAKEN_TIME_MAX, REQUEST_DEPTH_MAX},
    depth::{Departure, Depth},
};

/// A request that was sent and not answered.
#[derive(Clone, Copy, Debug)]
struct Outstanding {
    span: BlockSpan,
    departure: Departure,
    /// Whether a request that was sent later is answered already. True for a first part of the queue only.
    overtaken: bool,
    /// It was sent before the peer choked us: that it is refused says nothing about what may be asked for while choked.
    precedes_choke: bool,
}

/// What a block or a reject that came belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// An outstanding request.
    Asked,
    /// A request that was cancelled or given up.
    Late,
    /// No request of ours.
    Unasked,
}

/// What became of a block that is no longer wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cancelled {
    /// Its request had been sent: the peer must be told.
    Outstanding,
    /// Its request had not been sent, or was answered already.
    Silently,
}

/// The requests of one session, from the credit granted for a block to its answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests {
    /// Sent, in the order in which they were sent; peers mostly answer in that order.
    outstanding: VecDeque<Outstanding>,
    /// Assigned and not sent yet.
    backlog: VecDeque<BlockSpan>,
    /// Cancelled or given up, oldest first; an answer may still come. At most [`CANCELLED_MAX`].
    cancelled: VecDeque<BlockSpan>,
    /// Granted to the torrent and not assigned yet.
    credit: u32,
    depth: Depth,
    snubbed: bool,
}

impl Requests {
    pub(super) fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    pub(super) fn backlog(&self) -> usize {
        self.backlog.len()
    }

    pub(super) fn is_snubbed(&self) -> bool {
        self.snubbed
    }

    pub(super) fn estimate(&mut self) -> &mut Depth {
        &mut self.depth
    }

    /// How many requests may be outstanding now.
    pub(super) fn depth(&self) -> u32 {
        if self.snubbed { 1 } else { self.depth.current() }
    }

    /// The smoothed round trip.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.depth.round_trip()
    }

    /// How many assigned blocks to hold, so that there is always a next one to request while the torrent thinks.
    fn target(&self) -> u32 {
        if self.snubbed { 1 } else { self.depth() + self.depth() / 4 }
    }

    /// New credit for the torrent, or 0 when too little is missing to be worth a message.
    pub(super) fn grant(&mut self) -> u32 {
        let held = self.outstanding.len() as u32 + self.backlog.len() as u32 + self.credit;
        let missing = self.target().saturating_sub(held);
        let worthwhile = missing > 0 && (missing >= self.depth() / 4 || held == 0);
        let grant = if worthwhile { missing } else { 0 };
        self.credit += grant;
        grant
    }

    /// Uses up credit for a block that the torrent assigned.
    pub(super) fn use_credit(&mut self) {
        self.credit = self.credit.saturating_sub(1);
    }

    /// Whether a snubbing peer already has the one request that it may have.
    pub(super) fn is_probing(&self) -> bool {
        self.snubbed && !(self.outstanding.is_empty() && self.backlog.is_empty())
    }

    /// Queues a block to be requested.
    pub(super) fn push(&mut self, span: BlockSpan) {
        self.backlog.push_back(span);
    }

    /// Takes the next block to request off the backlog, if the depth has room; it counts as outstanding.
    pub(super) fn next_to_send(&mut self, now: Instant) -> Option<BlockSpan> {
        if self.outstanding.len() >= self.depth() as usize {
            return None;
        }
        let span = self.backlog.pop_front()?;
        self.outstanding.push_back(Outstanding {
            span,
            departure: self.depth.departure(now),
            overtaken: false,
            precedes_choke: false,
        });
        Some(span)
    }

    /// Takes the arrival of a block.
    pub(super) fn block_came(&mut self, now: Instant, span: BlockSpan) -> Answer {
        let Some(place) = self.place_outstanding(span) else {
            return if self.take_cancelled(span) { Answer::Late } else { Answer::Unasked };
        };
        for request in self.outstanding.iter_mut().take(place) {
            request.overtaken = true;
        }
        let request = self.outstanding.remove(place).expect("the place was found a moment ago");
        // After a cancel the same block may be asked for again, and this may be the answer to the first request.
        if !self.cancelled.contains(&span) {
            self.depth.arrived(now, request.departure, span.length);
        }
        Answer::Asked
    }

    /// The peer chokes us: what is outstanding now was asked for before.
    pub(super) fn choke_came(&mut self) {
        self.outstanding.iter_mut().for_each(|request| request.precedes_choke = true);
    }

    /// Whether an outstanding request was sent before the last choke.
    pub(super) fn precedes_choke(&self, span: BlockSpan) -> bool {
        self.outstanding.iter().any(|request| request.span == span && request.precedes_choke)
    }

    /// Takes a reject. The older of two requests for one block is answered first, and that is the cancelled one.
    pub(super) fn reject_came(&mut self, span: BlockSpan) -> Answer {
        if self.take_cancelled(span) {
            return Answer::Late;
        }
        if self.take_outstanding(span) { Answer::Asked } else { Answer::Unasked }
    }

    /// Forgets a block that is no longer wanted.
    pub(super) fn cancel(&mut self, span: BlockSpan) -> Cancelled {
        if self.take_outstanding(span) {
            self.remember_cancelled(span);
            return Cancelled::Outstanding;
        }
        if let Some(place) = self.backlog.iter().position(|other| *other == span) {
            self.backlog.remove(place);
        }
        Cancelled::Silently
    }

    /// Gives up the outstanding requests behind the first `keep`; answers may still come.
    pub(super) fn give_up_outstanding(&mut self, keep: usize) -> Vec<BlockSpan> {
        let given_up: Vec<_> =
            self.outstanding.drain(keep.min(self.outstanding.len())..).map(|request| request.span).collect();
        for span in &given_up {
            self.remember_cancelled(*span);
        }
        given_up
    }

    /// Gives up the oldest request if the peer has left it out; an answer may still come.
    pub(super) fn give_up_overtaken(&mut self, now: Instant) -> Option<BlockSpan> {
        let patience = OVERTAKEN_TIME_MAX + 2 * self.round_trip().unwrap_or_default();
        let oldest = self.outstanding.front()?;
        if !oldest.overtaken || now.since(oldest.departure.at()) <= patience {
            return None;
        }
        let span = self.outstanding.pop_front()?.span;
        self.remember_cancelled(span);
        Some(span)
    }

    /// Gives back the blocks that were not requested yet and are not to be `kept`.
    pub(super) fn give_back_backlog(&mut self, kept: impl Fn(BlockSpan) -> bool) -> Vec<BlockSpan> {
        let (keep, back): (Vec<_>, Vec<_>) = self.backlog.drain(..).partition(|span| kept(*span));
        self.backlog = keep.into();
        back
    }

    /// Enters or leaves the state in which the peer has at most one request.
    pub(super) fn set_snubbed(&mut self, snubbed: bool) {
        self.snubbed = snubbed;
        self.depth.restart();
    }

    /// Forgets every request.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn place_outstanding(&self, span: BlockSpan) -> Option<usize> {
        self.outstanding.iter().position(|request| request.span == span)
    }

    fn take_outstanding(&mut self, span: BlockSpan) -> bool {
        let place = self.place_outstanding(span);
        place.and_then(|place| self.outstanding.remove(place)).is_some()
    }

    fn take_cancelled(&mut self, span: BlockSpan) -> bool {
        let place = self.cancelled.iter().position(|other| *other == span);
        place.and_then(|place| self.cancelled.remove(place)).is_some()
    }

    fn remember_cancelled(&mut self, span: BlockSpan) {
        if self.cancelled.len() == CANCELLED_MAX {
            self.cancelled.pop_front();
        }
        self.cancelled.push_back(span);
    }

    /// Checks what must always hold between two steps.
    pub(super) fn assert_invariants(&self) {
        assert!(self.outstanding.len() <= REQUEST_DEPTH_MAX as usize, "outstanding requests are bounded");
        assert!(
            self.outstanding.iter().is_sorted_by_key(|request| !request.overtaken),
            "the overtaken come first"
        );
        assert!(self.cancelled.len() <= CANCELLED_MAX, "cancelled requests are bounded");
        assert!((1..=REQUEST_DEPTH_MAX).contains(&self.depth.current()), "the depth is in bounds");
        assert!(
            self.backlog.is_empty() || self.outstanding.len() >= self.depth() as usize,
            "what can be requested was requested"
        );
    }
}
