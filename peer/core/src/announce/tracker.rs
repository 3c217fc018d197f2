//! One tracker of a torrent: what it was told, what it answered, and when it may be asked again.

use potluck_common::{
    Instant, Printable, Rng,
    announce::{AnnounceReply, Event, Failure, Retry, ScrapeEntry, TrackerUrl},
};

use super::{AnnounceFailure, AnnounceId, TrackerState, TrackerStatus, schedule};

/// What came of the last announce.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Last {
    /// There was none in this run.
    Never,
    /// The tracker answered.
    Replied,
    /// No answer, or a refusal.
    Failed,
}

/// The state of one tracker.
#[derive(Clone, Debug)]
pub(super) struct Tracker {
    pub(super) url: TrackerUrl,
    /// The announce whose outcome counts; while there is one no other begins, so that events arrive in order.
    pub(super) announcing: Option<AnnounceId>,
    /// The scrape under way.
    pub(super) scraping: Option<AnnounceId>,
    /// An announce was answered since the last `stopped` was sent: the tracker counts us in the swarm.
    pub(super) heard_started: bool,
    /// The download completed in this run, and no tracker of its tier has heard so.
    pub(super) needs_completed: bool,
    pub(super) last: Last,
    /// Failures since the last answer.
    pub(super) failures: u32,
    /// The regular next announce, or the end of the wait after a failure.
    pub(super) next_at: Instant,
    /// The earliest announce without an event that its last reply allows.
    pub(super) early_at: Instant,
    /// `tracker id` of its last reply that had one (BEP 3), sent back with the next announce.
    pub(super) own_id: Option<Vec<u8>>,
    /// A scrape failed: this tracker is not asked for one again.
    scrape_failed: bool,
    message: Option<Printable>,
    warning: Option<Printable>,
    seeders: Option<u32>,
    leechers: Option<u32>,
    peers: usize,
}

impl Tracker {
    /// A tracker that nothing was said to yet.
    pub(super) fn new(url: TrackerUrl, now: Instant) -> Self {
        Self {
            url,
            announcing: None,
            scraping: None,
            heard_started: false,
            needs_completed: false,
            last: Last::Never,
            failures: 0,
            next_at: now,
            early_at: now,
            own_id: None,
            scrape_failed: false,
            message: None,
            warning: None,
            seeders: None,
            leechers: None,
            peers: 0,
        }
    }

    /// Forgets what decides about the next announce, as at the start of a run. What is under way stays so.
    pub(super) fn restart(&mut self, now: Instant) {
        self.last = Last::Never;
        self.failures = 0;
        self.next_at = now;
    }

    /// When it may be tried while it does not work: after its wait, and without an event also not before the minimum
    /// interval of its last reply.
    pub(super) fn retry_at(&self) -> Instant {
        if self.next_event() == Event::None { self.next_at.max(self.early_at) } else { self.next_at }
    }

    /// The event that it has to hear next: each once, `started` first.
    pub(super) fn next_event(&self) -> Event {
        match () {
            () if !self.heard_started => Event::Started,
            () if self.needs_completed => Event::Completed,
            () => Event::None,
        }
    }

    /// Takes a good reply.
    pub(super) fn replied(&mut self, now: Instant, reply: &AnnounceReply, rng: &mut Rng) {
        let times = schedule::after_reply(now, reply.interval, reply.min_interval, rng);
        (self.next_at, self.early_at) = (times.regular, times.early);
        self.last = Last::Replied;
        self.failures = 0;
        self.message = None;
        self.warning.clone_from(&reply.warning);
        self.seeders = reply.complete.or(self.seeders);
        self.leechers = reply.incomplete.or(self.leechers);
        self.peers = reply.peers.len();
        if reply.tracker_id.is_some() {
            self.own_id.clone_from(&reply.tracker_id);
        }
    }

    /// Takes a failure. One whose reason will last is not tried again soon, or at all in this run.
    pub(super) fn failed(&mut self, now: Instant, failure: &AnnounceFailure, rng: &mut Rng) {
        self.last = Last::Failed;
        self.failures = self.failures.saturating_add(1);
        self.message = Some(failure.message());
        let quick = now + schedule::backoff(self.failures, schedule::BACKOFF_MIN, rng);
        self.next_at = match failure {
            AnnounceFailure::Unreachable(_) | AnnounceFailure::Invalid(_) => quick,
            AnnounceFailure::Refused(Failure { retry: Some(Retry::After(wait)), .. }) => {
                now + (*wait).clamp(schedule::INTERVAL_MIN, schedule::INTERVAL_MAX)
            }
            AnnounceFailure::Refused(Failure { retry: None, .. }) => {
                now + schedule::backoff(self.failures, schedule::REFUSED_BACKOFF_MIN, rng)
            }
            AnnounceFailure::Refused(Failure { retry: Some(Retry::Never), .. })
            | AnnounceFailure::Forbidden(_) => Instant::FAR_FUTURE,
        };
    }

    /// Whether its last reply should be completed by a scrape (BEP 48).
    pub(super) fn wants_scrape(&self, reply: &AnnounceReply) -> bool {
        reply.complete.is_none() && !self.scrape_failed && self.scraping.is_none()
    }

    /// Takes the outcome of a scrape; `None` is a failure.
    pub(super) fn scraped(&mut self, counts: Option<ScrapeEntry>) {
        match counts {
            Some(counts) => {
                self.seeders = Some(counts.complete);
                self.leechers = Some(counts.incomplete);
            }
            None => self.scrape_failed = true,
        }
    }

    /// Seeds that it knows of.
    pub(super) fn seeders(&self) -> Option<u32> {
        self.seeders
    }

    /// Leechers that it knows of.
    pub(super) fn leechers(&self) -> Option<u32> {
        self.leechers
    }

    /// The row for people; `next_at` is when its tier will turn to it, if it will.
    pub(super) fn status(&self, tier: usize, next_at: Option<Instant>) -> TrackerStatus {
        let state = match self.last {
            _ if self.announcing.is_some() => TrackerState::Announcing,
            Last::Never => TrackerState::Idle,
            Last::Replied => TrackerState::Working,
            Last::Failed => TrackerState::Failed,
        };
        TrackerStatus {
            url: Printable::new(&self.url.to_string()),
            tier,
            state,
            message: self.message.clone(),
            warning: self.warning.clone(),
            failures: self.failures,
            next_at,
            seeders: self.seeders,
            leechers: self.leechers,
            peers: self.peers,
        }
    }
}
