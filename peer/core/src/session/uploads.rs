//! What the peer asks of us.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use potluck_common::{BlockSpan, Geometry, PieceIndex, limits};

use super::config::{PIECES_OFFERED_MAX, REQUEST_QUEUE_PLAIN_MAX};

/// The peer's requests that wait to be served, and what it may have while we choke it.
#[derive(Clone, Debug, Default)]
pub(super) struct Uploads {
    /// In order of arrival, without duplicates. At most [`limits::REQUEST_QUEUE_MAX`], which is what we advertise, or
    /// [`REQUEST_QUEUE_PLAIN_MAX`] for a peer that cannot be refused.
    queue: VecDeque<BlockSpan>,
    /// The same requests, to be found quickly.
    queued: BTreeSet<BlockSpan>,
    /// The allowed-fast pieces (BEP 6) and how many of their bytes may still be asked for while choked: each piece
    /// once, or the grant would be a way to make us send without end.
    allowances: BTreeMap<PieceIndex, u32>,
}

impl Uploads {
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether the queue takes no more from a peer that does, or does not, speak BEP 6.
    pub(super) fn is_full(&self, fast: bool) -> bool {
        let most = if fast { limits::REQUEST_QUEUE_MAX as usize } else { REQUEST_QUEUE_PLAIN_MAX };
        self.queue.len() >= most
    }

    pub(super) fn contains(&self, span: BlockSpan) -> bool {
        self.queued.contains(&span)
    }

    /// Queues a request that was found good.
    pub(super) fn push(&mut self, span: BlockSpan) {
        self.queue.push_back(span);
        self.queued.insert(span);
    }

    /// Takes the next request to serve.
    pub(super) fn pop(&mut self) -> Option<BlockSpan> {
        let span = self.queue.pop_front()?;
        self.queued.remove(&span);
        Some(span)
    }

    /// Takes a request back; false if it does not wait (any more).
    pub(super) fn remove(&mut self, span: BlockSpan) -> bool {
        if !self.queued.remove(&span) {
            return false;
        }
        let place = self.queue.iter().position(|other| *other == span);
        place.and_then(|place| self.queue.remove(place)).is_some()
    }

    /// Grants a piece as allowed-fast; false if it was granted before or there are too many.
    pub(super) fn allow(&mut self, piece: PieceIndex, geometry: &Geometry) -> bool {
        if self.allowances.contains_key(&piece) || self.allowances.len() >= PIECES_OFFERED_MAX {
            return false;
        }
        self.allowances.insert(piece, geometry.length_of(piece));
        true
    }

    /// Uses up what this request needs of its piece's allowance; false if there is not as much.
    pub(super) fn use_allowance(&mut self, span: BlockSpan) -> bool {
        let left = self.allowances.get_mut(&span.piece);
        left.is_some_and(|left| left.checked_sub(span.length).map(|rest| *left = rest).is_some())
    }

    /// Empties the queue but for requests that the allowances cover, and returns the others in order.
    pub(super) fn choke(&mut self) -> Vec<BlockSpan> {
        let queue = std::mem::take(&mut self.queue);
        let mut rejected = Vec::new();
        for span in queue {
            if self.use_allowance(span) {
                self.queue.push_back(span);
            } else {
                self.queued.remove(&span);
                rejected.push(span);
            }
        }
        rejected
    }

    /// Forgets every request and grant.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Checks what must always hold between two steps.
    pub(super) fn assert_invariants(&self, choking: bool) {
        assert!(self.queue.len() <= REQUEST_QUEUE_PLAIN_MAX, "the queue is bounded");
        assert_eq!(self.queue.len(), self.queued.len(), "no request waits twice");
        assert!(self.allowances.len() <= PIECES_OFFERED_MAX, "the grants are bounded");
        for span in &self.queue {
            assert!(self.queued.contains(span), "what waits can be found");
            let covered = self.allowances.contains_key(&span.piece);
            assert!(!choking || covered, "only allowed-fast requests wait while choked");
        }
    }
}
