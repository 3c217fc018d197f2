//! The trackers of a torrent, and its other sources of peers.

use potluck_common::control::{
    DiscoverySnapshot, DiscoveryState, PeerSource, TorrentDetail, TrackerSnapshot, TrackerState,
};
use ratatui::{
    layout::HorizontalAlignment,
    text::{Line, Span},
};

use super::torrents::brief;
use crate::{
    units::{ShortCount, count},
    view::{
        look::Look,
        table::{Column, Spec},
    },
};

/// One source of peers.
#[derive(Clone, Copy, Debug)]
pub enum SourceRow<'a> {
    /// A tracker.
    Tracker(&'a TrackerSnapshot),
    /// The DHT, peer exchange, local discovery, or whoever connects.
    Other(&'a DiscoverySnapshot),
}

impl<'a> SourceRow<'a> {
    /// The source at this place of the list: first the trackers, then the others.
    pub fn at(lists: &'a TorrentDetail, place: usize) -> Option<Self> {
        let other = || lists.discovery.get(place.checked_sub(lists.trackers.len())?).map(Self::Other);
        lists.trackers.get(place).map(Self::Tracker).or_else(other)
    }
}

/// The columns of the list of sources.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrackerColumn {
    /// Its URL, without secrets.
    Url,
    /// Its tier.
    Tier,
    /// How it is.
    State,
    /// When it is asked next.
    Next,
    /// Seeds and leechers that it knows.
    Swarm,
    /// What it said last.
    Result,
}

impl Column for TrackerColumn {
    type Row<'a> = SourceRow<'a>;

    const SHOWN: &'static [Self] =
        &[Self::Url, Self::Tier, Self::State, Self::Next, Self::Swarm, Self::Result];

    fn spec(self) -> Spec {
        match self {
            Self::Url => Spec::text("Source of peers", 16, 28, 60, 0),
            Self::Tier => Spec::number("Tier", 4, 4, 6),
            Self::State => Spec::text("State", 8, 8, 8, 1),
            Self::Next => Spec::number("Next", 6, 6, 3),
            Self::Swarm => Spec { side: HorizontalAlignment::Right, ..Spec::text("S/L", 7, 9, 9, 4) },
            Self::Result => Spec::text("Last result", 16, 24, 60, 2),
        }
    }

    fn cell(self, row: &SourceRow<'_>, look: &Look<'_>, _width: u16) -> Line<'static> {
        match row {
            SourceRow::Tracker(tracker) => self.of_tracker(tracker, look),
            SourceRow::Other(source) => self.of_other(source, look),
        }
    }
}

impl TrackerColumn {
    fn of_tracker(self, tracker: &TrackerSnapshot, look: &Look<'_>) -> Line<'static> {
        let theme = look.theme;
        let known = |count: Option<u32>| {
            count.map_or_else(|| "-".to_string(), |count| ShortCount(u64::from(count)).to_string())
        };
        match self {
            Self::Url => Line::raw(tracker.url.to_string()),
            Self::Tier => Line::styled(tracker.tier.to_string(), theme.faint()),
            Self::State => state(tracker.state, look),
            Self::Next => Line::raw(tracker.next_seconds.map_or_else(|| "-".into(), brief)),
            Self::Swarm if tracker.seeders.or(tracker.leechers).is_none() => Line::styled("-", theme.faint()),
            Self::Swarm => Line::raw(format!("{}/{}", known(tracker.seeders), known(tracker.leechers))),
            Self::Result if tracker.failures > 1 => Line::from(vec![
                Span::styled(format!("{}x ", tracker.failures), theme.bad()),
                Span::raw(tracker.message.to_string()),
            ]),
            Self::Result if tracker.message.as_str().is_empty() && tracker.peers > 0 => {
                Line::raw(count(u64::from(tracker.peers), "peer"))
            }
            Self::Result => Line::raw(tracker.message.to_string()),
        }
    }

    fn of_other(self, source: &DiscoverySnapshot, look: &Look<'_>) -> Line<'static> {
        let theme = look.theme;
        match self {
            Self::Url => Line::raw(named(source.source)),
            Self::State => discovery(source.state, look),
            Self::Next => Line::raw(source.next_seconds.map_or_else(|| "-".into(), brief)),
            Self::Result => Line::raw(result(source)),
            Self::Tier | Self::Swarm => Line::styled("-", theme.faint()),
        }
    }
}

fn state(state: TrackerState, look: &Look<'_>) -> Line<'static> {
    let theme = look.theme;
    match state {
        TrackerState::Idle => Line::styled("not yet", theme.faint()),
        TrackerState::Announcing => Line::styled("asking", theme.getting()),
        TrackerState::Working => Line::styled("ok", theme.giving()),
        TrackerState::Failed => Line::styled("ERROR", theme.bad()),
    }
}

/// What a source is called where there is room for more than a word.
fn named(source: PeerSource) -> &'static str {
    match source {
        PeerSource::Dht => "DHT",
        PeerSource::Pex => "PEX (peers' word)",
        PeerSource::Lsd => "LSD (local network)",
        PeerSource::Incoming => "incoming",
        PeerSource::Link => "named by the link",
        PeerSource::Tracker => "trackers",
        PeerSource::Resume => "earlier runs",
        PeerSource::User => "named by you",
    }
}

/// What it said last, and what came of it.
fn result(source: &DiscoverySnapshot) -> String {
    let gave = match (source.found, source.connected) {
        (0, 0) => String::new(),
        (found, 0) => format!("{} found", ShortCount(u64::from(found))),
        (found, connected) => format!("{} found, {connected} connected", ShortCount(u64::from(found))),
    };
    let said = [source.message.to_string(), gave];
    said.into_iter().filter(|words| !words.is_empty()).collect::<Vec<_>>().join("; ")
}

fn discovery(state: DiscoveryState, look: &Look<'_>) -> Line<'static> {
    let theme = look.theme;
    match state {
        DiscoveryState::Off => Line::styled("off", theme.faint()),
        DiscoveryState::Idle => Line::styled("waits", theme.faint()),
        DiscoveryState::Searching => Line::styled("asking", theme.getting()),
        DiscoveryState::Working => Line::styled("ok", theme.giving()),
        DiscoveryState::Failed => Line::styled("ERROR", theme.bad()),
    }
}
