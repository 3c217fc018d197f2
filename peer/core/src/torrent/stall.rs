//! Why nothing moves, or why it moves no faster, in one sentence for people. Each word follows from what is seen.

use potluck_common::{Duration, Instant, Printable, control::EventKind, limits::BLOCK_LENGTH};

use super::{Life, Torrent, peers::Peer};
use crate::announce::{TrackerState, TrackerStatus};

/// Nothing received for so long, although something is wanted, is a stall.
const STALL_AFTER: Duration = Duration::from_secs(5);
/// A stall is told at most this often.
const TOLD_EVERY: Duration = Duration::from_secs(300);
/// So much of a limit, in hundredths, is what the limit lets pass.
const AT_LIMIT_PERCENT: u64 = 90;
/// Who gives so much of all, in hundredths, gives all of it.
const ALL_PERCENT: u64 = 95;
/// Up to so many lacking pieces, in hundredths of all, are counted; of more the share is told that exists.
const FEW_PERCENT: u32 = 5;

/// When something last moved, and whether that was said.
#[derive(Debug)]
pub(super) struct Progress {
    last_total: u64,
    last_moved: Instant,
    announced: Option<Kind>,
    /// When a stall was last told.
    announced_at: Option<Instant>,
}

impl Progress {
    pub(super) fn new(now: Instant) -> Self {
        Self { last_total: 0, last_moved: now, announced: None, announced_at: None }
    }

    /// From now on something is to move.
    pub(super) fn begin(&mut self, now: Instant) {
        self.last_moved = now;
    }
}

/// What a stall comes from, whoever and however many it is about: as long as this stays the same, it is the same stall.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// The torrent is over; [`EventKind::Failed`] told why.
    Failed,
    DiskWaits,
    DiskIsSlow,
    /// Nobody connected, and none to be had yet: addresses are tried, trackers asked, in turn.
    NoPeers,
    TrackersFail,
    NobodyHasIt,
    Choked,
    Limited,
    /// Somebody was asked and does not answer, yet or for long.
    Unanswered,
}

/// Why nothing moves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Stall {
    kind: Kind,
    /// The reason, as it was when the stall was told.
    why: String,
    /// What else there is to know: how often, how long still.
    details: Option<String>,
}

impl Stall {
    fn new(kind: Kind, why: impl Into<String>) -> Self {
        Self { kind, why: why.into(), details: None }
    }

    fn with(self, details: impl Into<Option<String>>) -> Self {
        Self { details: details.into(), ..self }
    }

    /// The whole sentence, as it stands now.
    pub(super) fn in_words(self) -> String {
        match self.details {
            Some(details) => format!("{}; {details}", self.why),
            None => self.why,
        }
    }
}

/// The connected peers, as far as they matter to a download.
#[derive(Clone, Copy, Default, Debug)]
struct Crowd {
    connected: usize,
    leechers: usize,
    /// Who has something that we want.
    useful: usize,
    /// Who of them chokes us, lets us wait, or gives something.
    choking: usize,
    snubbing: usize,
    giving: usize,
    /// What comes from all of them, and from whoever gives most, in bytes per second.
    rate: u64,
    rate_max: u64,
    /// Whoever gives most has all.
    best_is_seed: bool,
}

impl Torrent {
    /// Notes whether anything moved, and says so when a stall begins, becomes one of another kind or ends. A swarm may stall
    /// and move on as often as it likes: more often than each [`TOLD_EVERY`] it is only seen in snapshots.
    pub(super) fn watch_progress(&mut self, now: Instant) {
        if self.down.total() != self.progress.last_total || self.completed || self.life != Life::Running {
            self.progress.last_total = self.down.total();
            self.progress.last_moved = now;
        }
        let stall = self.stall(now);
        let kind = stall.as_ref().map(|stall| stall.kind);
        if kind == self.progress.announced {
            return;
        }
        match stall {
            None => self.event(EventKind::Resumed),
            Some(Stall { kind: Kind::Failed, .. }) => {}
            Some(Stall { kind: Kind::DiskWaits, why, .. }) => {
                self.event(EventKind::DiskFull { why: Printable::new(&why) });
            }
            Some(_) if self.progress.announced_at.is_some_and(|at| now.since(at) < TOLD_EVERY) => return,
            Some(Stall { why, .. }) => {
                self.event(EventKind::Stalled { why: Printable::new(&why) });
                self.progress.announced_at = Some(now);
            }
        }
        self.progress.announced = kind;
    }

    /// Why nothing moves, in one sentence; `None` while it moves or needs nothing.
    pub(super) fn stall(&mut self, now: Instant) -> Option<Stall> {
        if let Life::Failed(trouble) = &self.life {
            return Some(Stall::new(Kind::Failed, trouble.message.to_string()));
        }
        if let (Life::Running, Some(why)) = (&self.life, self.why_disk_waits()) {
            return Some(Stall::new(Kind::DiskWaits, why));
        }
        let is_still = now.since(self.progress.last_moved) >= STALL_AFTER;
        (is_still && self.life == Life::Running && !self.completed).then(|| self.why_nothing_comes(now))
    }

    fn why_nothing_comes(&mut self, now: Instant) -> Stall {
        let crowd = self.crowd(now);
        if crowd.connected == 0 {
            return self.why_no_peers(now);
        }
        if crowd.useful == 0 {
            return Stall::new(Kind::NobodyHasIt, self.why_nobody_has_it(now, crowd.connected));
        }
        if crowd.choking == crowd.useful {
            return why_choked(crowd);
        }
        if let Some(why) = self.why_disk_is_slow(now) {
            return why;
        }
        if let Some(limit) = self.config.limits.down.filter(|limit| *limit < u64::from(BLOCK_LENGTH) / 2) {
            // A block takes seconds.
            return Stall::new(Kind::Limited, format!("limited to {} by you", Rate(limit)));
        }
        if crowd.snubbing > 0 {
            return Stall::new(
                Kind::Unanswered,
                format!("{} let our requests wait", of(crowd.snubbing, crowd.useful)),
            );
        }
        let asked = crowd.useful - crowd.choking;
        let who = if asked == 1 { "one peer was".to_owned() } else { format!("{asked} peers were") };
        Stall::new(Kind::Unanswered, format!("{who} asked and did not answer yet"))
    }

    fn crowd(&mut self, now: Instant) -> Crowd {
        let mut crowd = Crowd::default();
        for peer in self.peers.values_mut().filter(|peer| peer.connection.is_living()) {
            let rate = peer.down.recent(now);
            let is_useful = peer.interesting > 0;
            crowd.connected += 1;
            crowd.leechers += usize::from(!peer.takes_nothing);
            crowd.useful += usize::from(is_useful);
            crowd.choking += usize::from(is_useful && peer.chokes_us);
            crowd.snubbing += usize::from(is_useful && !peer.chokes_us && peer.snubs_us);
            crowd.giving += usize::from(is_useful && !peer.chokes_us && rate > 0);
            crowd.rate += rate;
            if rate > crowd.rate_max {
                (crowd.rate_max, crowd.best_is_seed) = (rate, peer.has.is_full());
            }
        }
        crowd
    }

    /// Of what is wanted, nobody connected has what we lack.
    fn why_nobody_has_it(&mut self, now: Instant, connected: usize) -> String {
        let (lacking, copies) = (self.picker.wanted_left(), self.copies(now));
        let existing = copies.pieces.saturating_sub(lacking);
        if existing == 0 {
            return match connected {
                1 => format!("the one connected peer has none of the {lacking} pieces we lack"),
                _ => {
                    format!("none of the {connected} connected peers has any of the {lacking} pieces we lack")
                }
            };
        }
        missing_pieces(lacking, copies.pieces, connected)
    }

    fn why_disk_is_slow(&self, now: Instant) -> Option<Stall> {
        let is_full = !self.storing.is_empty() && self.buffered >= self.config.buffer_bytes_max;
        let waiting = self.storing.count();
        let details = match waiting {
            1 => "a piece waits to be written".to_owned(),
            _ => format!("{waiting} pieces wait to be written"),
        };
        (is_full || self.storing.is_behind(now))
            .then(|| Stall::new(Kind::DiskIsSlow, "the disk is slow").with(details))
    }

    fn why_no_peers(&self, now: Instant) -> Stall {
        let half_open = self.peers.len() + self.book.dialing();
        if half_open > 0 {
            let count = if half_open == 1 { "one is".to_owned() } else { format!("{half_open} are") };
            return Stall::new(Kind::NoPeers, "connecting to peers").with(format!("{count} under way"));
        }
        let why = self.why_trackers_bring_nobody(now);
        let others = self.other_sources_in_words(now);
        let details: Vec<String> = why.details.iter().cloned().chain(others).collect();
        Stall { details: (!details.is_empty()).then(|| details.join("; ")), ..why }
    }

    fn why_trackers_bring_nobody(&self, now: Instant) -> Stall {
        let trackers = self.announcer.status(now);
        let in_state = |state| trackers.iter().find(|tracker| tracker.state == state);
        if in_state(TrackerState::Working).is_none()
            && let Some(why) = why_trackers_fail(&trackers, now)
        {
            return why;
        }
        let waiting = self.book.waiting();
        if waiting > 0 {
            let addresses =
                if waiting == 1 { "an address is".to_owned() } else { format!("{waiting} addresses are") };
            return Stall::new(Kind::NoPeers, "no peer answers")
                .with(format!("{addresses} tried again soon"));
        }
        if trackers.is_empty() {
            return Stall::new(Kind::NoPeers, "no peers: the torrent has no tracker and no peer was given");
        }
        if let Some(asked) = in_state(TrackerState::Announcing) {
            return Stall::new(Kind::NoPeers, format!("no peers yet: tracker {} is being asked", asked.url));
        }
        let next = trackers.iter().filter_map(|tracker| tracker.next_at).min();
        let next = next.map(|at| format!("asked again in {}", Time(at.since(now))));
        Stall::new(Kind::NoPeers, "no peers: the tracker knows nobody else yet").with(next)
    }

    /// Why a download that moves moves no faster, or what bounds a seed, in one sentence; `None` if nothing does that a
    /// person could know or change.
    pub(super) fn pace(&mut self, now: Instant) -> Option<String> {
        if self.life != Life::Running {
            return None;
        }
        let is_at = |limit: Option<u64>, rate: u64| {
            limit.filter(|limit| rate.saturating_mul(100) >= limit.saturating_mul(AT_LIMIT_PERCENT))
        };
        if self.completed {
            let up = self.up.recent(now);
            let limit = is_at(self.config.limits.up, up).filter(|_| up > 0)?;
            return Some(format!("uploads are limited to {} by you", Rate(limit)));
        }
        let down = self.down.recent(now);
        if down == 0 {
            return None;
        }
        if let Some(limit) = is_at(self.config.limits.down, down) {
            return Some(format!("limited to {} by you", Rate(limit)));
        }
        if let Some(why) = self.why_disk_is_slow(now) {
            return Some(why.in_words());
        }
        let crowd = self.crowd(now);
        self.pace_of(now, crowd)
    }

    fn pace_of(&mut self, now: Instant, crowd: Crowd) -> Option<String> {
        let gives = if crowd.giving == 1 { "gives" } else { "give" };
        if crowd.choking > 0 {
            let verb = if crowd.choking == 1 { "chokes" } else { "choke" };
            return Some(format!("{} {gives}; {} {verb} us", of(crowd.giving, crowd.useful), crowd.choking));
        }
        if crowd.snubbing > 0 {
            return Some(format!("{} let our requests wait", of(crowd.snubbing, crowd.useful)));
        }
        if crowd.rate_max >= crowd.rate / 100 * ALL_PERCENT && crowd.giving > 0 {
            let who = if crowd.best_is_seed { "seed" } else { "peer" };
            let others = crowd.useful - 1;
            return Some(match others {
                0 => format!("one {who} gives all of it: nobody else here has what we lack"),
                _ => format!("one {who} gives all of it"),
            });
        }
        let copies = self.copies(now);
        (copies.nowhere > 0).then(|| missing_pieces(copies.nowhere, copies.pieces, crowd.connected))
    }

    /// Peers past their handshake.
    pub(super) fn greeted(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values().filter(|peer| peer.connection.is_living())
    }
}

/// All that have what we need choke us. Whoever keeps to BEP 3 tries one of those that it chokes every 30 s; as many as are
/// leechers here compete for that at each of them.
fn why_choked(crowd: Crowd) -> Stall {
    let why = match crowd.useful {
        1 => "the one peer that has what we need chokes us".to_owned(),
        count => format!("{count} of {count} peers that have what we need choke us"),
    };
    let rivals = crowd.leechers.max(1);
    let chance = match rivals {
        1 => "a newcomer is tried within 30 s as a rule".to_owned(),
        _ => format!("at each a newcomer's chance is about 1 in {rivals} per 30 s"),
    };
    Stall::new(Kind::Choked, why).with(chance)
}

/// What trackers fail with, of which none works; `None` if none of them failed since it last answered.
fn why_trackers_fail(trackers: &[TrackerStatus], now: Instant) -> Option<Stall> {
    let failed = || trackers.iter().filter(|tracker| tracker.failures > 0);
    let (first, count) = (failed().next()?, failed().count());
    let reason = first.message.clone().unwrap_or_default();
    let why = match (count, trackers.len()) {
        (_, 1) => format!("no peers: tracker {} fails ({reason})", first.url),
        (count, all) if count == all => {
            format!("no peers: none of {all} trackers answers, such as {} ({reason})", first.url)
        }
        (count, all) => {
            format!("no peers: {count} of {all} trackers failed, such as {} ({reason})", first.url)
        }
    };
    let times = match first.failures {
        1 => "once so far".to_owned(),
        times => format!("{times} times so far"),
    };
    let times = Some(times).filter(|_| trackers.len() == 1);
    let asked = trackers.iter().find(|tracker| tracker.state == TrackerState::Announcing);
    let next = match asked {
        Some(_) if trackers.len() == 1 => Some("being asked again".to_owned()),
        Some(asked) => Some(format!("{} is being asked", asked.url)),
        None => {
            let next = trackers.iter().filter_map(|tracker| tracker.next_at).min();
            next.map(|at| format!("next try in {}", Time(at.since(now))))
        }
    };
    let details: Vec<String> = times.into_iter().chain(next).collect();
    let details = (!details.is_empty()).then(|| details.join(", "));
    Some(Stall::new(Kind::TrackersFail, why).with(details))
}

/// So many of the wanted pieces nobody here has.
fn missing_pieces(missing: u32, pieces: u32, connected: usize) -> String {
    let here = match connected {
        1 => "among us and the one connected peer".to_owned(),
        _ => format!("among us and the {connected} connected peers"),
    };
    if u64::from(missing) * 100 <= u64::from(pieces) * u64::from(FEW_PERCENT) || missing == 1 {
        let exist =
            if missing == 1 { "1 piece exists".to_owned() } else { format!("{missing} pieces exist") };
        return format!("{exist} nowhere {here}");
    }
    let percent = u64::from(pieces - missing.min(pieces)) * 100 / u64::from(pieces.max(1));
    format!("only {percent} % exists {here}")
}

/// Such as "3 of 9 peers".
fn of(some: usize, all: usize) -> String {
    format!("{some} of {all} {}", if all == 1 { "peer" } else { "peers" })
}

/// Bytes per second, as a sentence for people says them.
#[derive(Clone, Copy, Debug)]
pub struct Rate(pub u64);

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0..1_000 => write!(f, "{} B/s", self.0),
            1_000..1_000_000 => write!(f, "{} kB/s", self.0 / 1_000),
            _ => write!(f, "{:.1} MB/s", self.0 as f64 / 1e6),
        }
    }
}

/// A time for people, in steps: who waits for it need not hear of each second, and nobody has to be told of one.
struct Time(Duration);

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.as_secs() {
            0..60 => write!(f, "less than a minute"),
            60..300 => write!(f, "less than 5 min"),
            seconds @ 300..5_400 => write!(f, "about {} min", (seconds + 150) / 300 * 5),
            seconds => write!(f, "about {} h", (seconds + 1_800) / 3_600),
        }
    }
}
