//! The trackers of a torrent, and how its peers are found.

use potluck_common::control::{TrackerSnapshot, TrackerState};
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

/// The columns of the list of trackers.
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
    type Row<'a> = &'a TrackerSnapshot;

    const SHOWN: &'static [Self] =
        &[Self::Url, Self::Tier, Self::State, Self::Next, Self::Swarm, Self::Result];

    fn spec(self) -> Spec {
        match self {
            Self::Url => Spec::text("Tracker", 16, 28, 60, 0),
            Self::Tier => Spec::number("Tier", 4, 4, 6),
            Self::State => Spec::text("State", 8, 8, 8, 1),
            Self::Next => Spec::number("Next", 6, 6, 3),
            Self::Swarm => Spec { side: HorizontalAlignment::Right, ..Spec::text("S/L", 7, 9, 9, 4) },
            Self::Result => Spec::text("Last result", 16, 24, 60, 2),
        }
    }

    fn cell(self, tracker: &&TrackerSnapshot, look: &Look<'_>, _width: u16) -> Line<'static> {
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
