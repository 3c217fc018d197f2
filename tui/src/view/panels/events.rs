//! What happened.

use potluck_common::control::{Event, EventKind, Level, PeerAction};
use ratatui::{style::Style, text::Line};

use super::torrents::brief;
use crate::{
    date,
    theme::Theme,
    units::{Bytes, Grouped, Seconds, count},
    view::{
        look::Look,
        table::{Column, Spec},
    },
};

/// The columns of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventColumn {
    /// The time of day.
    Time,
    /// How long ago that is.
    Ago,
    /// A word for what it is.
    Kind,
    /// The torrent that it happened to.
    Torrent,
    /// What happened.
    Text,
}

/// Something that happened, and what it is seen with.
#[derive(Clone, Copy, Debug)]
pub struct EventRow<'a> {
    /// What happened.
    pub event: &'a Event,
    /// The name of the torrent; `None` where all are of the same, or it is gone.
    pub torrent: Option<&'a str>,
    /// When the engine started, in seconds since 1970 (UTC).
    pub started_at: f64,
    /// What the clock on the wall is ahead of UTC, in seconds.
    pub clock_offset: i64,
}

impl Column for EventColumn {
    type Row<'a> = EventRow<'a>;

    const SHOWN: &'static [Self] = &[Self::Time, Self::Ago, Self::Kind, Self::Torrent, Self::Text];

    fn spec(self) -> Spec {
        match self {
            Self::Time => Spec::text("Time", 8, 8, 8, 2),
            Self::Ago => Spec::number("Ago", 5, 5, 4),
            Self::Kind => Spec::text("Kind", 5, 5, 5, 0),
            Self::Torrent => Spec::text("Torrent", 10, 18, 28, 3),
            Self::Text => Spec::text("What happened", 20, 60, 200, 1),
        }
    }

    fn cell(self, row: &EventRow<'_>, look: &Look<'_>, _width: u16) -> Line<'static> {
        let (word, style) = word(&row.event.kind, look.theme);
        match self {
            Self::Time => Line::styled(clock(row), look.theme.faint()),
            Self::Ago => Line::styled(ago(row, look.now), look.theme.faint()),
            Self::Kind => Line::styled(word, style),
            Self::Torrent => Line::styled(row.torrent.unwrap_or_default().to_string(), look.theme.faint()),
            Self::Text => Line::raw(words(&row.event.kind)),
        }
    }
}

/// The time of day at which it happened.
fn clock(row: &EventRow<'_>) -> String {
    date::clock((row.started_at + row.event.at) as i64 + row.clock_offset)
}

/// How long ago it happened. Seconds would be wrong by the time that the next frame is drawn.
fn ago(row: &EventRow<'_>, now: f64) -> String {
    let seconds = (now - row.started_at - row.event.at).max(0.0) as u64;
    match seconds / 60 {
        0 => "now".into(),
        minutes @ 1..60 => format!("{minutes}m"),
        minutes => brief(minutes * 60),
    }
}

/// A word of at most five letters for what it is, and a style that says the same.
pub fn word(kind: &EventKind, theme: &Theme) -> (&'static str, Style) {
    match kind {
        EventKind::Decision(decision) => match decision.action {
            PeerAction::Choke => ("CHOKE", theme.debtor()),
            PeerAction::Unchoke => ("OPEN", theme.repaying()),
            PeerAction::Evict => ("EVICT", theme.warning()),
        },
        EventKind::PeerConnected { .. } => ("PEER+", theme.faint()),
        EventKind::PeerDisconnected { .. } => ("PEER-", theme.faint()),
        EventKind::Completed { .. } => ("DONE", theme.giving()),
        _ => match kind.level() {
            Level::Debug => ("DEBUG", theme.faint()),
            Level::Info => ("INFO", Style::new()),
            Level::Warn => ("WARN", theme.warning()),
            Level::Error => ("ERROR", theme.bad()),
        },
    }
}

/// What happened, in a sentence.
pub fn words(kind: &EventKind) -> String {
    match kind {
        EventKind::Checked { have, pieces, rechecked } => {
            let pieces = count(u64::from(*pieces), "piece");
            format!(
                "{} of {pieces} are there, {} hashed anew",
                Grouped(u64::from(*have)),
                Grouped(u64::from(*rechecked))
            )
        }
        EventKind::PeerConnected { peer, client, source } => {
            let client = client.as_ref().map_or_else(String::new, |client| format!(": {client}"));
            format!("{peer} connected{client} ({})", source.word())
        }
        EventKind::PeerDisconnected { peer, why } => format!("{peer} left: {why}"),
        EventKind::PeerBanned { peer, why } => format!("{peer} is banned: {why}"),
        EventKind::HashFailed { piece, contributors } => {
            let from = count(u64::from(*contributors), "peer");
            format!("piece {} was damaged, from {from}; it is fetched again", Grouped(u64::from(*piece)))
        }
        EventKind::MetadataFailed { contributors } => {
            let from = count(u64::from(*contributors), "peer");
            format!("what came as metadata from {from} is another torrent's; it is fetched again")
        }
        EventKind::MetadataComplete { bytes, peers } => {
            format!("the metadata is here: {} from {}", Bytes(*bytes), count(u64::from(*peers), "peer"))
        }
        EventKind::PieceLost { piece, fetched_again, why: None } => {
            let then = if *fetched_again { "it is fetched again" } else { "it is offered no more" };
            format!("piece {} is damaged on the disk; {then}", Grouped(u64::from(*piece)))
        }
        EventKind::PieceLost { piece, fetched_again, why: Some(why) } => {
            let then =
                if *fetched_again { "it is fetched again" } else { "it is not offered until it can be" };
            format!("piece {} cannot be read ({why}); {then}", Grouped(u64::from(*piece)))
        }
        EventKind::PieceFound { piece } => format!("piece {} can be read again", Grouped(u64::from(*piece))),
        EventKind::Decision(decision) => format!("{}: {}", decision.peer, decision.why),
        EventKind::TrackerReplied { tracker, peers, warning } => {
            let warning =
                warning.as_ref().map(|warning| format!("; it warns: {warning}")).unwrap_or_default();
            format!("{tracker}: {}{warning}", count(u64::from(*peers), "peer"))
        }
        EventKind::TrackerFailed { tracker, why, retry_seconds } => {
            format!("{tracker}: {why}; next try in {}", Seconds(*retry_seconds))
        }
        EventKind::Completed { downloaded, seconds } => {
            format!("complete: {} in {}", Bytes(*downloaded), Seconds(*seconds as u64))
        }
        EventKind::SuperSeedEnded { why, uploaded } => {
            format!("super-seeding ends after {}: {why}", Bytes(*uploaded))
        }
        EventKind::DiskFull { why } => why.to_string(),
        EventKind::DiskFreed => "the disk takes what comes again".into(),
        EventKind::Stalled { why } => format!("stalled: {why}"),
        EventKind::Resumed => "it moves again".into(),
        EventKind::GoalReached { ratio } => {
            format!("has sent its share, {ratio:.2} times its size, and is paused")
        }
        EventKind::Failed { message } => format!("failed: {message}"),
    }
}
