//! Torrents that are looked for and announced again and again, spread over time.

use std::collections::{BTreeMap, BTreeSet};

use potluck_common::{Duration, InfoHash, Instant, Rng};

use super::{SearchReport, Tracked, TrackedStatus, table::BUCKET_NODES};

/// Time between two searches of a torrent: others keep an announce for about half an hour.
const INTERVAL_MIN: Duration = Duration::from_secs(15 * 60);
const INTERVAL_SPREAD_SECONDS: u32 = 15 * 60;
/// The first wait after a search that asked many, of whom nobody answered; it doubles up to an ordinary interval.
const RETRY: Duration = Duration::from_secs(60);
/// The first wait after a search that found no peers, or told nobody of us, where few nodes are, whether they answered or not:
/// all of them may just have started, and whoever is looked for was announced a moment later; and of a single node one lost
/// datagram is nobody's answer. It doubles up to an ordinary interval, so that asking few so soon floods nobody.
const RETRY_AMONG_FEW: Duration = Duration::from_secs(5);
/// How soon a torrent may be looked for again when peers are few; it doubles with each time up to an ordinary interval.
const HURRY: Duration = Duration::from_secs(60);

/// Searches that somebody waits for may go so many before their turn.
const URGENT_BURST: u32 = 8;
/// An ordinary search that has waited so long for its turn is as urgent as others: what is announced is soon forgotten.
const OVERDUE: Duration = Duration::from_secs(10 * 60);

#[derive(Clone, Debug)]
struct Entry {
    wanted: Tracked,
    /// Lies in the order of `due` unless a search is under way.
    due_at: Instant,
    is_urgent: bool,
    is_searching: bool,
    /// What was changed during the search needs another one.
    again: bool,
    started_at: Option<Instant>,
    last: Option<(Instant, SearchReport)>,
    /// Searches in a row that nobody answered.
    unanswered: u32,
    /// Searches in a row among few nodes that were for nothing.
    vain: u32,
    /// Hurried searches in a row.
    hurried: u32,
}

/// See the module.
#[derive(Debug)]
pub(super) struct TrackedSet {
    entries: BTreeMap<InfoHash, Entry>,
    /// Ordinary searches, by when they are due.
    due: BTreeSet<(Instant, InfoHash)>,
    /// Those that somebody waits for.
    urgent: BTreeSet<(Instant, InfoHash)>,
    searching: usize,
    /// When the next ordinary search may begin, and the next urgent one.
    ordinary_from: Instant,
    urgent_from: Instant,
    /// The last search was urgent: an overdue one goes before the next.
    was_urgent: bool,
    rng: Rng,
}

impl TrackedSet {
    pub(super) fn new(rng: Rng) -> Self {
        let (due, urgent) = (BTreeSet::new(), BTreeSet::new());
        let (ordinary_from, urgent_from) = (Instant::ZERO, Instant::ZERO);
        let entries = BTreeMap::new();
        Self { entries, due, urgent, searching: 0, ordinary_from, urgent_from, was_urgent: false, rng }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn searching(&self) -> usize {
        self.searching
    }

    pub(super) fn track(&mut self, now: Instant, info_hash: InfoHash, wanted: Tracked) {
        let Some(entry) = self.entries.get_mut(&info_hash) else {
            let entry = Entry {
                wanted,
                due_at: now,
                is_urgent: false,
                is_searching: false,
                again: false,
                started_at: None,
                last: None,
                unanswered: 0,
                vain: 0,
                hurried: 0,
            };
            self.due.insert((now, info_hash));
            self.entries.insert(info_hash, entry);
            return;
        };
        let port_changed =
            entry.wanted.announce_port != wanted.announce_port && wanted.announce_port.is_some();
        entry.wanted = wanted;
        if port_changed && entry.is_searching {
            entry.again = true;
        } else if port_changed {
            self.reschedule(info_hash, now, false);
        }
    }

    pub(super) fn untrack(&mut self, info_hash: &InfoHash) {
        let Some(entry) = self.entries.remove(info_hash) else { return };
        self.due.remove(&(entry.due_at, *info_hash));
        self.urgent.remove(&(entry.due_at, *info_hash));
        self.searching -= usize::from(entry.is_searching);
    }

    /// Few peers are left: the next search is brought forward as far as the last ones allow.
    pub(super) fn hurry(&mut self, now: Instant, info_hash: InfoHash) {
        let Some(entry) = self.entries.get_mut(&info_hash) else { return };
        if entry.is_searching || entry.is_urgent {
            return;
        }
        let wait = (HURRY * (1 << entry.hurried.min(4))).min(INTERVAL_MIN);
        let at = entry.started_at.map_or(now, |started| started + wait).max(now);
        if at < entry.due_at || entry.started_at.is_none() {
            entry.hurried += 1;
            self.reschedule(info_hash, at.min(self.entries[&info_hash].due_at), true);
        }
    }

    fn reschedule(&mut self, info_hash: InfoHash, at: Instant, is_urgent: bool) {
        let Some(entry) = self.entries.get_mut(&info_hash) else { return };
        self.due.remove(&(entry.due_at, info_hash));
        self.urgent.remove(&(entry.due_at, info_hash));
        entry.due_at = at;
        entry.is_urgent = is_urgent;
        if is_urgent { &mut self.urgent } else { &mut self.due }.insert((at, info_hash));
    }

    /// The next torrent to search for; it counts as searched for from now on. There is one in each `gap`. Urgent ones go
    /// first, a few of them before their turn, and overdue ones alternate with them; `others` says whether ordinary ones may
    /// go, too.
    pub(super) fn start(&mut self, now: Instant, others: bool, gap: Duration) -> Option<(InfoHash, Tracked)> {
        if now < self.urgent_from {
            return None;
        }
        let first = |order: &BTreeSet<(Instant, InfoHash)>, waited: Duration| {
            order.first().copied().filter(|(at, _)| *at + waited <= now)
        };
        let others = others && now >= self.ordinary_from;
        let urgent = first(&self.urgent, Duration::ZERO);
        let overdue = first(&self.due, OVERDUE);
        let next = if self.was_urgent { overdue.or(urgent) } else { urgent.or(overdue) };
        let next = next.or_else(|| first(&self.due, Duration::ZERO).filter(|_| others));
        let (at, info_hash) = next?;
        self.due.remove(&(at, info_hash));
        self.urgent.remove(&(at, info_hash));
        let entry = self.entries.get_mut(&info_hash).expect("what is due is tracked");
        if !entry.is_urgent {
            entry.hurried = 0;
        }
        self.was_urgent = entry.is_urgent;
        self.ordinary_from = self.ordinary_from.max(now) + gap;
        self.urgent_from = self.ordinary_from - gap * URGENT_BURST;
        entry.is_searching = true;
        entry.is_urgent = false;
        entry.started_at = Some(now);
        self.searching += 1;
        Some((info_hash, entry.wanted))
    }

    /// A search has ended.
    pub(super) fn searched(&mut self, now: Instant, info_hash: InfoHash, report: SearchReport) {
        let spread = self.rng.below(INTERVAL_SPREAD_SECONDS);
        let Some(entry) = self.entries.get_mut(&info_hash).filter(|entry| entry.is_searching) else { return };
        entry.is_searching = false;
        self.searching -= 1;
        entry.last = Some((now, report));
        entry.unanswered = if report.answered == 0 { entry.unanswered + 1 } else { 0 };
        let mut wait = INTERVAL_MIN + Duration::from_secs(spread.into());
        if entry.unanswered > 0 {
            wait = wait.min(RETRY * (1 << (entry.unanswered - 1).min(10)));
        }
        let few = BUCKET_NODES as u32;
        let is_among_few = report.answered < few && report.asked < 2 * few;
        let lacks_peers = report.peers == 0 && !entry.wanted.is_seed;
        let is_unheard = report.announced_to == 0 && entry.wanted.announce_port.is_some();
        let is_vain = is_among_few && (lacks_peers || is_unheard);
        entry.vain = if is_vain { entry.vain + 1 } else { 0 };
        if is_vain {
            let jitter =
                RETRY_AMONG_FEW.mul_f64(0.2 * f64::from(spread) / f64::from(INTERVAL_SPREAD_SECONDS));
            wait = wait.min((RETRY_AMONG_FEW + jitter) * (1 << (entry.vain - 1).min(10)));
        }
        if std::mem::take(&mut entry.again) {
            wait = Duration::ZERO;
        }
        self.reschedule(info_hash, now + wait, false);
    }

    pub(super) fn status(&self, info_hash: &InfoHash) -> Option<TrackedStatus> {
        let entry = self.entries.get(info_hash)?;
        Some(TrackedStatus { last: entry.last, next_at: entry.due_at, searching: entry.is_searching })
    }

    pub(super) fn next_due(&self, others: bool) -> Option<Instant> {
        let first = |order: &BTreeSet<(Instant, InfoHash)>| order.first().map(|(at, _)| *at);
        let due = first(&self.due).filter(|_| others).map(|due| due.max(self.ordinary_from));
        let overdue = first(&self.due).map(|due| due + OVERDUE);
        let early = first(&self.urgent).into_iter().chain(overdue).map(|at| at.max(self.urgent_from));
        early.chain(due.map(|due| due.max(self.urgent_from))).min()
    }

    pub(super) fn assert_invariants(&self) {
        let searching = self.entries.values().filter(|entry| entry.is_searching).count();
        assert_eq!(searching, self.searching);
        assert_eq!(self.due.len() + self.urgent.len() + searching, self.entries.len(), "each is due once");
        for (info_hash, entry) in &self.entries {
            let order = if entry.is_urgent { &self.urgent } else { &self.due };
            assert_eq!(order.contains(&(entry.due_at, *info_hash)), !entry.is_searching);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_that_nobody_answered_is_soon_repeated_where_few_were_asked() {
        for (asked, waits) in [(1, [5, 10, 20]), (15, [5, 10, 20]), (16, [60, 120, 240])] {
            let mut set = TrackedSet::new(Rng::new(1));
            let mut now = Instant::from_secs(1_000);
            set.track(now, InfoHash([1; 20]), Tracked { announce_port: Some(1), is_seed: false });
            for wait in waits.map(Duration::from_secs) {
                assert!(set.start(now, true, Duration::ZERO).is_some(), "{asked} asked");
                set.searched(now, InfoHash([1; 20]), SearchReport { asked, ..SearchReport::default() });
                let next = set.next_due(true).expect("tracked");
                assert!((wait..=wait.mul_f64(1.2)).contains(&next.since(now)), "{asked} asked: {next:?}");
                now = next;
            }
        }
    }

    #[test]
    fn those_that_have_peers_are_announced_beside_any_number_that_have_none() {
        let mut set = TrackedSet::new(Rng::new(1));
        let torrent = |n: u32| InfoHash(potluck_common::hash::sha1(&n.to_be_bytes()));
        let (wanted, gap) = (Tracked { announce_port: Some(1), is_seed: false }, Duration::from_secs(5));
        let (ordinary, peerless) = (0..20, 20..600);
        let report = SearchReport { answered: 8, ..SearchReport::default() };
        let mut now = Instant::from_secs(1_000);
        (0..600).for_each(|n| set.track(now, torrent(n), wanted));
        let mut started = BTreeMap::new();
        for turn in 0..4 * 720 {
            if turn % 12 == 0 {
                peerless.clone().for_each(|n| set.hurry(now, torrent(n)));
            }
            while let Some((info_hash, _)) = set.start(now, true, gap) {
                *started.entry(info_hash).or_insert(0) += 1;
                set.searched(now, info_hash, report);
            }
            assert!(set.next_due(true).is_some_and(|at| at > now));
            now += gap;
        }
        set.assert_invariants();
        let of = |n: u32| started.get(&torrent(n)).copied().unwrap_or_default();
        assert!(ordinary.clone().all(|n| of(n) >= 4), "{:?}", ordinary.map(of).min());
        assert!(peerless.clone().all(|n| of(n) >= 2), "{:?}", peerless.map(of).min());
    }
}
