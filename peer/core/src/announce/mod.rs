//! The announcer: decides which tracker of a torrent hears what, and when (BEP 3, 12, 21, 31, 48).
//!
//! Every tier is announced to on its own, through one tracker at a time: the first of a seeded shuffle that
//! answers, which then stands in front of its tier until it fails. Each tracker hears `started` before anything
//! else, `completed` reaches each tier once, and `stopped` goes to each tracker that counts us in, once.
//!
//! A shell calls [`Announcer::handle`], [`Announcer::handle_scrape`] and the commands when something happened and
//! [`Announcer::handle_timeout`] when [`Announcer::poll_timeout`] has passed, and after each of them drains
//! [`Announcer::poll_effect`].

mod schedule;
mod status;
#[cfg(test)]
mod tests;
mod tier;
mod tracker;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use potluck_common::{
    Duration, Instant, Rng,
    announce::{AnnounceReply, Event, ScrapeEntry, TrackerUrl},
};

pub use self::{
    schedule::{
        BACKOFF_MAX, BACKOFF_MIN, INTERVAL_DEFAULT, INTERVAL_MAX, INTERVAL_MIN, MIN_INTERVAL_DEFAULT,
        REFUSED_BACKOFF_MIN,
    },
    status::{AnnounceFailure, TrackerState, TrackerStatus},
};
use self::{
    tier::Tier,
    tracker::{Last, Tracker},
};

/// Most trackers of one torrent; further ones are ignored. Real torrents name under a hundred, and each costs
/// announces for as long as the torrent lives.
pub const TRACKERS_MAX: usize = 200;

/// Time that a shell gives an announce or a scrape, from connect to the last byte (libtorrent's figure).
pub const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(30);

/// Time that a shell gives an announce of `stopped`: nobody waits longer for a program to end.
pub const STOPPED_TIMEOUT: Duration = Duration::from_secs(5);

/// One announce or scrape, for as long as it is under way; never reused by an announcer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AnnounceId(pub u64);

/// Settings of an [`Announcer`].
#[derive(Clone, Debug)]
pub struct AnnouncerConfig {
    /// `numwant`: peers asked for with each announce but `stopped`.
    pub numwant: u32,
}

impl Default for AnnouncerConfig {
    fn default() -> Self {
        Self { numwant: 100 }
    }
}

/// What the shell must do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AnnounceEffect {
    /// Announce, and report the outcome with [`Announcer::handle`].
    Announce {
        /// To report the outcome under.
        id: AnnounceId,
        /// Where to.
        url: TrackerUrl,
        /// What happened.
        event: Event,
        /// Peers wanted.
        numwant: u32,
        /// The tracker's own id, from an earlier reply (`trackerid`).
        tracker_id: Option<Vec<u8>>,
        /// Give up after this time, counted from when the request begins.
        timeout: Duration,
    },
    /// Scrape the torrent, and report the outcome with [`Announcer::handle_scrape`].
    Scrape {
        /// To report the outcome under.
        id: AnnounceId,
        /// The announce URL, from which the scrape URL follows (BEP 48).
        url: TrackerUrl,
    },
}

/// The tracker side of one torrent.
#[derive(Debug)]
pub struct Announcer {
    config: AnnouncerConfig,
    rng: Rng,
    key: u32,
    running: bool,
    completed: bool,
    tiers: Vec<Tier>,
    /// Trackers taken off the list that still have to hear `stopped`.
    leaving: Vec<Tracker>,
    /// Announces under way, with their events.
    under_way: BTreeMap<AnnounceId, Event>,
    effects: VecDeque<AnnounceEffect>,
    next_id: u64,
}

impl Announcer {
    /// An announcer for these tiers of trackers, each in a shuffled order that follows from `seed`. Trackers named
    /// twice count once, at their first place, and those beyond [`TRACKERS_MAX`] not at all.
    pub fn new(tiers: &[Vec<TrackerUrl>], config: AnnouncerConfig, seed: u64, now: Instant) -> Self {
        let mut rng = Rng::new(seed);
        let key = rng.next_u64() as u32;
        let mut announcer = Self {
            config,
            rng,
            key,
            running: false,
            completed: false,
            tiers: Vec::new(),
            leaving: Vec::new(),
            under_way: BTreeMap::new(),
            effects: VecDeque::new(),
            next_id: 0,
        };
        announcer.replace(tiers, now);
        announcer
    }

    /// The `key` of every announce of this torrent (BEP 7): by it a tracker knows us at both our addresses.
    pub fn key(&self) -> u32 {
        self.key
    }

    /// Begins a run: every tier announces `started` at once. Without effect while running.
    pub fn start(&mut self, now: Instant) {
        if self.running {
            return;
        }
        self.running = true;
        self.tiers.iter_mut().flat_map(|tier| &mut tier.trackers).for_each(|tracker| tracker.restart(now));
        self.pump(now);
    }

    /// The download completed just now (not: was found complete). Each tier is told once.
    pub fn completed(&mut self, now: Instant) {
        if self.completed {
            return;
        }
        self.completed = true;
        self.tiers
            .iter_mut()
            .flat_map(|tier| &mut tier.trackers)
            .for_each(|tracker| tracker.needs_completed = true);
        self.pump(now);
    }

    /// Ends a run: each tracker that answered hears `stopped`, once, and nothing more. One whose announce is under way
    /// hears it when that is answered.
    pub fn stop(&mut self, now: Instant) {
        self.running = false;
        self.pump(now);
    }

    /// Whether a stopped announcer has nothing under way that is worth waiting for; a tracker that failed before and is
    /// being tried again is not.
    pub fn is_quiet(&self) -> bool {
        let waits = |tracker: &Tracker| tracker.announcing.is_some() && tracker.failures == 0;
        let mut listed = self.tiers.iter().flat_map(|tier| &tier.trackers).chain(&self.leaving);
        !self.running && !listed.any(waits)
    }

    /// The torrent has few peers: announce as early as each tracker's minimum interval allows.
    pub fn want_peers(&mut self, now: Instant) {
        self.tiers.iter_mut().for_each(|tier| tier.wants_peers = true);
        self.pump(now);
    }

    /// A person asks for an announce, or our address changed: failed trackers are tried again at once, working ones as
    /// early as their minimum interval allows.
    pub fn announce_now(&mut self, now: Instant) {
        for tracker in self.tiers.iter_mut().flat_map(|tier| &mut tier.trackers) {
            if tracker.last == Last::Failed {
                tracker.restart(now);
            }
        }
        self.want_peers(now);
    }

    /// Adds a tracker at the end of `tier`, or in a new last tier if there is none of that number. `false` if it is
    /// listed already or there are [`TRACKERS_MAX`].
    pub fn add_tracker(&mut self, url: TrackerUrl, tier: usize, now: Instant) -> bool {
        let mut listed = self.tiers.iter().flat_map(|tier| &tier.trackers);
        if listed.clone().count() >= TRACKERS_MAX || listed.any(|tracker| tracker.url == url) {
            return false;
        }
        if tier >= self.tiers.len() {
            self.tiers.push(Tier::default());
        }
        let tier = tier.min(self.tiers.len() - 1);
        let tracker = self.returning(&url).unwrap_or_else(|| Tracker::new(url, now));
        self.tiers[tier].trackers.push(tracker);
        self.pump(now);
        true
    }

    /// Replaces the whole list. Trackers that stay keep their state; those that go hear `stopped` if they count us in.
    pub fn replace(&mut self, tiers: &[Vec<TrackerUrl>], now: Instant) {
        self.leaving.extend(std::mem::take(&mut self.tiers).into_iter().flat_map(|tier| tier.trackers));
        let mut seen = BTreeSet::new();
        for urls in tiers {
            let mut tier = Tier::default();
            for url in urls {
                if seen.len() < TRACKERS_MAX && seen.insert(url) {
                    let tracker = self.returning(url).unwrap_or_else(|| Tracker::new(url.clone(), now));
                    tier.trackers.push(tracker);
                }
            }
            self.rng.shuffle(&mut tier.trackers);
            tier.trackers.sort_by_key(|tracker| tracker.last != Last::Replied);
            if !tier.trackers.is_empty() {
                self.tiers.push(tier);
            }
        }
        self.pump(now);
    }

    /// The tracker with this URL, if it was listed until now.
    fn returning(&mut self, url: &TrackerUrl) -> Option<Tracker> {
        let at = self.leaving.iter().position(|tracker| tracker.url == *url)?;
        Some(self.leaving.swap_remove(at))
    }

    /// Takes the outcome of an announce.
    pub fn handle(
        &mut self,
        now: Instant,
        id: AnnounceId,
        outcome: Result<&AnnounceReply, &AnnounceFailure>,
    ) {
        let Some(event) = self.under_way.remove(&id) else { return };
        if let Some((tier, at)) = self.listed(|tracker| tracker.announcing == Some(id)) {
            self.tiers[tier].trackers[at].announcing = None;
            match (event, outcome) {
                (Event::Stopped, _) => {}
                (_, Ok(reply)) => self.replied(now, (tier, at), event, reply),
                (_, Err(failure)) => self.tiers[tier].trackers[at].failed(now, failure, &mut self.rng),
            }
        } else if let Some(tracker) = self.leaving.iter_mut().find(|tracker| tracker.announcing == Some(id)) {
            tracker.announcing = None;
            tracker.heard_started |= outcome.is_ok() && event != Event::Stopped;
            tracker.needs_completed &= outcome.is_err() || event != Event::Completed;
        }
        self.pump(now);
    }

    fn replied(&mut self, now: Instant, (tier, at): (usize, usize), event: Event, reply: &AnnounceReply) {
        let id = AnnounceId(self.next_id);
        let tier = &mut self.tiers[tier];
        tier.trackers[at].heard_started = true;
        if event == Event::Completed {
            tier.trackers.iter_mut().for_each(|tracker| tracker.needs_completed = false);
        }
        let tracker = &mut tier.trackers[at];
        if self.running && tracker.wants_scrape(reply) {
            self.next_id += 1;
            tracker.scraping = Some(id);
            let url = tracker.url.clone();
            self.effects.push_back(AnnounceEffect::Scrape { id, url });
        }
        tracker.replied(now, reply, &mut self.rng);
        tier.promote(at);
    }

    /// Takes the outcome of a scrape: our torrent's counts, or `None` if it failed. A tracker whose scrape failed is
    /// not asked for one again.
    pub fn handle_scrape(&mut self, id: AnnounceId, counts: Option<ScrapeEntry>) {
        if let Some((tier, at)) = self.listed(|tracker| tracker.scraping == Some(id)) {
            let tracker = &mut self.tiers[tier].trackers[at];
            tracker.scraping = None;
            tracker.scraped(counts);
        }
    }

    /// Announces to each tier whose time has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.pump(now);
    }

    /// When the next announce is due; `None` while there is nothing to wait for but outcomes.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.running {
            return None;
        }
        // Waits that are over were acted on by the last call, so what counts here is which of them ends soonest.
        let idle = self.tiers.iter().filter(|tier| !tier.is_busy());
        let due = idle.filter_map(|tier| tier.next(Instant::ZERO)).map(|(_, due)| due);
        due.filter(|due| *due != Instant::FAR_FUTURE).min()
    }

    /// What the shell must do next; drain until `None`.
    pub fn poll_effect(&mut self) -> Option<AnnounceEffect> {
        self.effects.pop_front()
    }

    /// A row for each tracker, in the order in which they are tried.
    pub fn status(&self, now: Instant) -> Vec<TrackerStatus> {
        let rows = |(number, tier): (usize, &Tier)| {
            let next = tier
                .next(now)
                .filter(|(_, due)| self.running && !tier.is_busy() && *due != Instant::FAR_FUTURE);
            let row = |(at, tracker): (usize, &Tracker)| {
                tracker.status(number, next.filter(|(next_at, _)| *next_at == at).map(|(_, due)| due))
            };
            tier.trackers.iter().enumerate().map(row).collect::<Vec<_>>()
        };
        self.tiers.iter().enumerate().flat_map(rows).collect()
    }

    /// The most seeds and the most leechers that any tracker knows of.
    pub fn swarm_size(&self) -> (Option<u32>, Option<u32>) {
        let trackers = || self.tiers.iter().flat_map(|tier| &tier.trackers);
        (trackers().filter_map(Tracker::seeders).max(), trackers().filter_map(Tracker::leechers).max())
    }

    /// Tier and position of the first listed tracker that fits.
    fn listed(&self, fits: impl Fn(&Tracker) -> bool) -> Option<(usize, usize)> {
        let mut tiers = self.tiers.iter().enumerate();
        tiers.find_map(|(number, tier)| Some((number, tier.trackers.iter().position(&fits)?)))
    }

    /// Begins every announce that is due.
    fn pump(&mut self, now: Instant) {
        if self.running {
            self.announce_due(now);
        } else {
            let mut tiers = std::mem::take(&mut self.tiers);
            tiers
                .iter_mut()
                .flat_map(|tier| &mut tier.trackers)
                .for_each(|tracker| self.announce_stopped(tracker));
            self.tiers = tiers;
        }
        let mut leaving = std::mem::take(&mut self.leaving);
        for tracker in &mut leaving {
            self.announce_stopped(tracker);
        }
        leaving.retain(|tracker| tracker.announcing.is_some());
        self.leaving = leaving;
    }

    fn announce_due(&mut self, now: Instant) {
        for number in 0..self.tiers.len() {
            let tier = &mut self.tiers[number];
            let next = tier.next(now).filter(|(_, due)| !tier.is_busy() && *due <= now);
            let Some((at, _)) = next else { continue };
            tier.wants_peers = false;
            let tracker = &mut tier.trackers[at];
            let event = tracker.next_event();
            let effect =
                Self::begin(&mut self.next_id, &mut self.under_way, tracker, event, self.config.numwant);
            self.effects.push_back(effect);
        }
    }

    /// Tells a tracker that counts us in that we are gone. There is one try: the tracker forgets us anyway in time.
    fn announce_stopped(&mut self, tracker: &mut Tracker) {
        if tracker.heard_started && tracker.announcing.is_none() {
            tracker.heard_started = false;
            let event = Event::Stopped;
            let effect = Self::begin(&mut self.next_id, &mut self.under_way, tracker, event, 0);
            self.effects.push_back(effect);
        }
    }

    fn begin(
        next_id: &mut u64,
        under_way: &mut BTreeMap<AnnounceId, Event>,
        tracker: &mut Tracker,
        event: Event,
        numwant: u32,
    ) -> AnnounceEffect {
        let id = AnnounceId(*next_id);
        *next_id += 1;
        under_way.insert(id, event);
        tracker.announcing = Some(id);
        let timeout = if event == Event::Stopped { STOPPED_TIMEOUT } else { ANNOUNCE_TIMEOUT };
        let (url, tracker_id) = (tracker.url.clone(), tracker.own_id.clone());
        AnnounceEffect::Announce { id, url, event, numwant, tracker_id, timeout }
    }

    /// Checks what must hold between any two calls.
    pub fn assert_invariants(&self) {
        let listed = || self.tiers.iter().flat_map(|tier| &tier.trackers);
        for id in listed().chain(&self.leaving).filter_map(|tracker| tracker.announcing) {
            assert!(self.under_way.contains_key(&id), "{id:?} waits for an outcome that nobody owes");
        }
        for tracker in listed() {
            assert!(self.completed || !tracker.needs_completed, "nothing completed");
            let works = tracker.last == Last::Replied;
            assert!(!works || tracker.early_at <= tracker.next_at, "wanting peers would delay an announce");
        }
        assert!(
            self.leaving.iter().all(|tracker| tracker.announcing.is_some()),
            "a tracker is kept for nothing"
        );
        assert!(listed().count() <= TRACKERS_MAX, "too many trackers");
    }
}
