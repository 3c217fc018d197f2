//! A tier: trackers that stand in for each other, of which one is announced to at a time (BEP 12).

use potluck_common::{Instant, announce::Event};

use super::tracker::{Last, Tracker};

/// The trackers of a tier in the order in which they are tried: one that answered stands in front.
#[derive(Clone, Debug, Default)]
pub(super) struct Tier {
    pub(super) trackers: Vec<Tracker>,
    /// The torrent has few peers: announce as soon as the tracker's minimum allows.
    pub(super) wants_peers: bool,
}

impl Tier {
    /// Whether an announce is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.trackers.iter().any(|tracker| tracker.announcing.is_some())
    }

    /// The position of the tracker that the next announce goes to, and when: the one in front while it works, else
    /// the first whose wait is over, else the one whose wait is over soonest.
    ///
    /// `now` is only needed to tell which waits are over; `None` of a tier without trackers.
    pub(super) fn next(&self, now: Instant) -> Option<(usize, Instant)> {
        let front = self.trackers.first()?;
        if front.last == Last::Replied {
            return Some((0, self.working_due(front, now)));
        }
        let ready = self.trackers.iter().position(|tracker| tracker.retry_at() <= now);
        let soonest = || (0..self.trackers.len()).min_by_key(|&at| self.trackers[at].retry_at());
        let at = ready.or_else(soonest)?;
        Some((at, self.trackers[at].retry_at()))
    }

    /// When the working tracker in front hears from us next: at once with an event, early for want of peers.
    fn working_due(&self, front: &Tracker, now: Instant) -> Instant {
        match () {
            () if front.next_event() != Event::None => now,
            () if self.wants_peers => front.early_at,
            () => front.next_at,
        }
    }

    /// Puts the tracker at `at`, which answered, in front; the others keep their order.
    pub(super) fn promote(&mut self, at: usize) {
        self.trackers[..=at].rotate_right(1);
    }
}
