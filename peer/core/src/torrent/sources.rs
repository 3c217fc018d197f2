//! The sources of addresses that the shell asks: what each says of itself, and when they are asked to hurry.

use std::collections::BTreeMap;

use potluck_common::{
    Duration, Instant,
    control::{DiscoverySnapshot, DiscoveryState},
};

use super::{Source, SourceReport, Torrent};

/// How often they are asked to hurry while peers are few. Each bounds by itself what it does about it.
const ASK_EVERY: Duration = Duration::from_secs(60);

/// Who may tell the peers of a private torrent (BEP 27): its trackers, and the user; who comes by itself does so by their word.
pub(super) fn is_allowed(source: Source, private: bool) -> bool {
    !private || !matches!(source, Source::Pex | Source::Lsd | Source::Dht)
}

/// What is known of them; at most one entry a source.
#[derive(Debug, Default)]
pub(super) struct Sources {
    reports: BTreeMap<Source, SourceReport>,
    /// Different addresses that each gave, as far as the peer book had not forgotten them.
    found: BTreeMap<Source, u32>,
    asked_at: Option<Instant>,
}

impl Sources {
    /// One of them tells what it is doing.
    pub(super) fn report(&mut self, report: SourceReport) {
        self.reports.insert(report.source, report);
    }

    /// One of them gave so many addresses that are new.
    pub(super) fn count_found(&mut self, source: Source, new: u32) {
        let found = self.found.entry(source).or_default();
        *found = found.saturating_add(new);
    }

    /// Whether it is time to ask them to hurry; they count as asked then.
    pub(super) fn may_ask(&mut self, now: Instant) -> bool {
        let is_time = self.asked_at.is_none_or(|at| now.since(at) >= ASK_EVERY);
        if is_time {
            self.asked_at = Some(now);
        }
        is_time
    }
}

impl Torrent {
    /// One line a source that said something of itself.
    pub(super) fn discovery_snapshots(&self, now: Instant) -> Vec<DiscoverySnapshot> {
        let connected = |source| {
            let of_it = self
                .greeted()
                .filter(|peer| self.candidates.source_of(peer.listens_at.unwrap_or(peer.address)) == source);
            of_it.count() as u32
        };
        let line = |report: &SourceReport| DiscoverySnapshot {
            source: report.source,
            state: report.state,
            message: report.message.clone(),
            found: self.sources.found.get(&report.source).copied().unwrap_or_default(),
            connected: connected(report.source),
            next_seconds: report.next_at.map(|at| at.since(now).as_secs()),
        };
        let silent = |source| SourceReport {
            source,
            state: DiscoveryState::Off,
            message: "a private torrent: only its trackers may tell its peers".into(),
            next_at: None,
        };
        let barred = Source::ALL.into_iter().filter(|source| !is_allowed(*source, self.config.private));
        let barred = barred.map(|source| line(&silent(source)));
        let reports = self.sources.reports.values();
        let allowed = reports.filter(|report| is_allowed(report.source, self.config.private)).map(line);
        barred.chain(allowed).collect()
    }
}
