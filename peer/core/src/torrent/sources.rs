//! Where peers come from besides the trackers: when more are asked for, and what each source is doing, in words.

use std::collections::BTreeMap;

use potluck_common::{
    Duration, Instant, Printable, Rng,
    control::{DiscoverySnapshot, DiscoveryState, PeerSource},
};

use super::{Effect, Life, PEERS_WANTED, SourceReport, Torrent, peers::Peer};

/// How often sources are asked to hurry while peers are few, and a little more. Each bounds by itself what it does about it.
const ASK_EVERY: Duration = Duration::from_secs(60);

/// Who may tell the peers of a private torrent (BEP 27): its trackers, and the user, also by way of a link; who comes by itself does so by their word.
pub(super) fn is_allowed(source: PeerSource, private: bool) -> bool {
    !private || !matches!(source, PeerSource::Pex | PeerSource::Lsd | PeerSource::Dht)
}

/// What is known of the sources that the shell asks; at most one entry a source.
#[derive(Debug)]
pub(super) struct Sources {
    reports: BTreeMap<PeerSource, SourceReport>,
    ask_at: Instant,
    rng: Rng,
}

impl Sources {
    pub(super) fn new(rng: Rng) -> Self {
        Self { reports: BTreeMap::new(), ask_at: Instant::ZERO, rng }
    }

    /// One of them tells what it is doing.
    pub(super) fn report(&mut self, report: SourceReport) {
        self.reports.insert(report.source, report);
    }
}

impl Torrent {
    /// Few usable peers are left: whoever can find more is asked to.
    pub(super) fn ask_for_peers(&mut self, now: Instant) {
        let lacks = self.life == Life::Running
            && !self.completed
            && !self.config.private
            && self.peers.len() < PEERS_WANTED
            && self.book.fresh() == 0;
        if lacks && self.sources.ask_at <= now {
            let jitter = ASK_EVERY.mul_f64(0.1 * self.sources.rng.fraction());
            self.sources.ask_at = now + ASK_EVERY + jitter;
            self.effects.push_back(Effect::WantPeers);
        }
    }

    /// How it stands with each source of peers but the trackers: the DHT, PEX and LSD always, the others if they gave
    /// anything.
    pub(super) fn discovery_snapshots(&self, now: Instant) -> Vec<DiscoverySnapshot> {
        let mut connected: BTreeMap<PeerSource, u32> = BTreeMap::new();
        for peer in self.greeted() {
            *connected.entry(self.source_of(peer)).or_default() += 1;
        }
        let always = [PeerSource::Dht, PeerSource::Pex, PeerSource::Lsd];
        let others = [
            PeerSource::Tracker,
            PeerSource::Link,
            PeerSource::Resume,
            PeerSource::User,
            PeerSource::Incoming,
        ];
        let is_told = |line: &DiscoverySnapshot| match line.source {
            // They have a list of their own.
            PeerSource::Tracker => self.sources.reports.contains_key(&line.source),
            source => always.contains(&source) || line.found + line.connected > 0,
        };
        let sources = always.into_iter().chain(others);
        let lines = sources.map(|source| {
            let SourceReport { state, message, next_at, .. } = self.source_report(now, source);
            DiscoverySnapshot {
                source,
                state,
                message,
                found: self.book.tally(source).found,
                connected: connected.get(&source).copied().unwrap_or(0),
                next_seconds: next_at.map(|at| at.since(now).as_secs()),
            }
        });
        lines.filter(is_told).collect()
    }

    /// Where this peer's address is known from.
    pub(super) fn source_of(&self, peer: &Peer) -> PeerSource {
        self.book.source_of(peer.contact().unwrap_or(peer.connection.address))
    }

    fn source_report(&self, now: Instant, source: PeerSource) -> SourceReport {
        let says = |state, message: &str| SourceReport {
            source,
            state,
            message: Printable::new(message),
            next_at: None,
        };
        if !is_allowed(source, self.config.private) {
            return says(DiscoveryState::Off, "the torrent is private: only its trackers may tell its peers");
        }
        if let Some(report) = self.sources.reports.get(&source) {
            return report.clone();
        }
        match source {
            PeerSource::Pex => {
                let (state, message) = self.pex_in_words(now);
                says(state, &message)
            }
            PeerSource::Dht | PeerSource::Lsd => says(DiscoveryState::Off, "it does not run"),
            PeerSource::Resume => says(DiscoveryState::Working, "remembered from an earlier run"),
            PeerSource::Link => says(DiscoveryState::Working, "named by the magnet link"),
            PeerSource::User => says(DiscoveryState::Working, "named by you"),
            PeerSource::Tracker => says(DiscoveryState::Working, ""),
            PeerSource::Incoming => says(DiscoveryState::Working, "connected to us by themselves"),
        }
    }

    fn pex_in_words(&self, now: Instant) -> (DiscoveryState, String) {
        let (mut takers, mut tellers) = (0_usize, 0_usize);
        for peer in self.greeted() {
            takers += usize::from(peer.exchange.is_some());
            tellers += usize::from(peer.tells_of_others());
        }
        match (takers, tellers) {
            _ if !self.config.pex => (DiscoveryState::Off, "you switched it off".to_owned()),
            (0, _) if self.peers.is_empty() => {
                (DiscoveryState::Idle, "nobody is connected who could tell of others".to_owned())
            }
            (0, _) => (DiscoveryState::Idle, "no connected peer speaks it".to_owned()),
            (_, 0) => (DiscoveryState::Idle, format!("{} yet told of others", no_one_of(takers))),
            (_, tellers) => {
                let tell =
                    if tellers == 1 { "1 peer tells".to_owned() } else { format!("{tellers} peers tell") };
                let new = self.pex.learnt_lately(now);
                (DiscoveryState::Working, format!("{tell}, {new} new in the last minute"))
            }
        }
    }

    /// What the other sources are silent about, for a sentence about having no peers; `None` where nothing is known of them.
    pub(super) fn other_sources_in_words(&self, now: Instant) -> Option<String> {
        let sources = [PeerSource::Dht, PeerSource::Lsd];
        if self.config.private {
            return Some("it is private, so that nobody else is asked".to_owned());
        }
        let told = sources.into_iter().filter(|source| self.sources.reports.contains_key(source));
        let words: Vec<String> = told
            .map(|source| {
                let report = self.source_report(now, source);
                let name = match source {
                    PeerSource::Lsd => "local discovery",
                    source => source.word(),
                };
                match report.message.as_str() {
                    "" => format!("{name}: nothing yet"),
                    message => format!("{name}: {message}"),
                }
            })
            .collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

fn no_one_of(peers: usize) -> String {
    if peers == 1 {
        "the one peer that speaks it has not".to_owned()
    } else {
        format!("none of {peers} peers has")
    }
}
