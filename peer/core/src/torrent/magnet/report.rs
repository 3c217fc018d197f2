//! What people see of a torrent whose metadata is not known, and what it waits for.

use potluck_common::{
    Instant, Printable,
    control::{
        Aspects, DiscoverySnapshot, PeerSlot, PeerSnapshot, TorrentDetail, TorrentState, TorrentSummary,
    },
    wire::MetadataSize,
};

use super::{Life, Magnet};
use crate::{
    announce::TrackerState,
    metadata::Progress,
    torrent::{SourceReport, report},
};

impl Magnet {
    /// The state at `now`, in a few numbers.
    pub fn summary(&self, now: Instant) -> TorrentSummary {
        let Progress { size, bytes, .. } = self.collector.progress();
        let state = match self.life {
            Life::Running | Life::Complete => {
                let size = size.map(|size| u64::from(size.get()));
                TorrentState::Metadata { have: bytes, size }
            }
            Life::Stopping => TorrentState::Stopping,
            Life::Finished => TorrentState::Stopped,
        };
        let (seeds_known, leechers_known) = self.announcer.swarm_size();
        TorrentSummary {
            leechers_connected: self.greeted() as u32,
            seeds_known,
            leechers_known,
            candidates: self.book.waiting() as u32,
            age_seconds: now.since(self.born).as_secs_f64(),
            stall: (self.life == Life::Running).then(|| Printable::new(&self.waits_for())),
            ..TorrentSummary::nothing_known(self.config.info_hash, self.config.name.clone(), state)
        }
    }

    /// The lists that `aspects` names, at `now`: there are only peers and trackers.
    pub fn detail(&self, now: Instant, aspects: Aspects) -> TorrentDetail {
        TorrentDetail {
            peers: if aspects.peers { self.peer_snapshots(now) } else { Vec::new() },
            trackers: if aspects.trackers {
                report::tracker_snapshots(&self.announcer, now)
            } else {
                Vec::new()
            },
            discovery: if aspects.trackers { self.discovery_snapshots(now) } else { Vec::new() },
            made: Aspects { about: false, ..aspects },
            ..TorrentDetail::default()
        }
    }

    /// What it waits for, in one sentence.
    pub fn waits_for(&self) -> String {
        let progress = self.collector.progress();
        let again = match self.failures {
            0 => String::new(),
            1 => "; what came before was something else".to_owned(),
            times => format!("; what came {times} times before was something else"),
        };
        match progress {
            Progress { size: Some(size), pieces: 0, claimants, .. } if claimants > 0 => {
                let say = match claimants {
                    1 => "one peer says that it has".to_owned(),
                    claimants => format!("{claimants} peers say that they have"),
                };
                format!("{say} {}, and nothing has come yet{again}", all_of(size))
            }
            Progress { size: Some(size), pieces, givers, claimants: 1.., .. } => {
                let whom = match givers {
                    1 => "one peer".to_owned(),
                    givers => format!("{givers} peers"),
                };
                format!("{pieces} of {} from {whom}{again}", all_of(size))
            }
            Progress { size: Some(size), pieces: pieces @ 1.., .. } => {
                format!(
                    "{pieces} of {} came, and whoever has the rest is gone; {}",
                    all_of(size),
                    self.looks_for()
                )
            }
            _ => match self.greeted() {
                0 => format!("waiting for a peer that has the metadata: {}{again}", self.looks_for()),
                1 => {
                    format!("the one connected peer does not have the metadata either; {}", self.looks_for())
                }
                count => {
                    format!("none of the {count} connected peers has the metadata; {}", self.looks_for())
                }
            },
        }
    }

    /// Where peers are looked for.
    fn looks_for(&self) -> String {
        let trackers = self.announcer.status(Instant::ZERO);
        let in_state = |state| trackers.iter().filter(|tracker| tracker.state == state).count();
        let (asked, answered, failed) = (
            in_state(TrackerState::Announcing),
            in_state(TrackerState::Working),
            in_state(TrackerState::Failed),
        );
        let mut words = Vec::new();
        let under_way = self.book.dialing() + self.peers.len() - self.greeted();
        if under_way > 0 {
            words.push(format!("{} tried", addresses(under_way)));
        }
        let waiting = self.book.waiting();
        if waiting > 0 {
            words.push(format!("{} tried again soon", addresses(waiting)));
        }
        if answered > 0 {
            let peers: usize = trackers.iter().map(|tracker| tracker.peers).sum();
            let with = match peers {
                0 => "no peers".to_owned(),
                1 => "one peer".to_owned(),
                peers => format!("{peers} peers"),
            };
            words.push(format!("{} answered with {with}", count_of(answered)));
        }
        if asked > 0 {
            words.push(format!(
                "{} being asked",
                if asked == 1 { "a tracker is".into() } else { format!("{asked} trackers are") }
            ));
        }
        if failed > 0 {
            let first = trackers.iter().find(|tracker| tracker.state == TrackerState::Failed);
            let why = first.and_then(|tracker| tracker.message.clone()).unwrap_or_default();
            words.push(format!("{} failed ({why})", count_of(failed)));
        }
        if words.is_empty() {
            words.push("the link names no tracker and no peer".to_owned());
        }
        let told = self.sources.values().filter(|report| !report.message.as_str().is_empty());
        words.extend(told.map(|report| format!("{}: {}", report.source.word(), report.message)));
        words.join(", ")
    }

    /// Peers past their handshake.
    fn greeted(&self) -> usize {
        self.peers.values().filter(|peer| peer.connection.is_living()).count()
    }

    fn peer_snapshots(&self, now: Instant) -> Vec<PeerSnapshot> {
        let greeted = self.peers.iter().filter(|(_, peer)| peer.connection.is_living());
        greeted
            .map(|(key, peer)| PeerSnapshot {
                address: peer.connection.address,
                direction: peer.connection.direction.into(),
                source: self.book.source_of(peer.connection.address),
                client: peer.connection.client_name(),
                pieces_have: 0,
                is_seed: false,
                down_rate: 0,
                up_rate: 0,
                downloaded: peer.gave,
                uploaded: 0,
                chokes_us: true,
                we_are_interested: false,
                we_choke: true,
                is_interested: false,
                slot: PeerSlot::None,
                snubs_us: false,
                why: if self.collector.has_metadata(*key) {
                    "has the metadata".into()
                } else {
                    "does not have the metadata yet".into()
                },
                rank: None,
                debt: 0,
                age_seconds: now.since(peer.connection.since).as_secs_f64(),
            })
            .collect()
    }

    /// One line a source that said something of itself.
    fn discovery_snapshots(&self, now: Instant) -> Vec<DiscoverySnapshot> {
        let connected = |source| {
            let greeted = self.peers.values().filter(|peer| peer.connection.is_living());
            greeted.filter(|peer| self.book.source_of(peer.connection.address) == source).count() as u32
        };
        let line = |report: &SourceReport| DiscoverySnapshot {
            source: report.source,
            state: report.state,
            message: report.message.clone(),
            found: self.book.tally(report.source).found,
            connected: connected(report.source),
            next_seconds: report.next_at.map(|at| at.since(now).as_secs()),
        };
        self.sources.values().map(line).collect()
    }
}

fn all_of(size: MetadataSize) -> String {
    let bytes = size.get();
    let amount =
        if bytes < 1024 { format!("{bytes} bytes") } else { format!("{} KiB", bytes.div_ceil(1024)) };
    match size.pieces() {
        1 => format!("1 piece of {amount} of metadata"),
        pieces => format!("{pieces} pieces of {amount} of metadata"),
    }
}

fn addresses(count: usize) -> String {
    if count == 1 { "an address is".to_owned() } else { format!("{count} addresses are") }
}

fn count_of(trackers: usize) -> String {
    if trackers == 1 { "the tracker".to_owned() } else { format!("{trackers} trackers") }
}
