//! The list of torrents.

use potluck_common::control::TorrentRow;
use ratatui::text::{Line, Span};

use super::{bar_spans, words};
use crate::{
    model::columns::TorrentColumn,
    units::{Bytes, Copies, Seconds, Short, ShortCount, percent},
    view::{
        look::Look,
        table::{Column, Spec},
        text,
    },
};

/// From so many cells a name has its labels behind it.
const LABELS_WIDTH_MIN: u16 = 30;

impl Column for TorrentColumn {
    type Row<'a> = &'a TorrentRow;

    const SHOWN: &'static [Self] = &[
        Self::Number,
        Self::Name,
        Self::Size,
        Self::Done,
        Self::Progress,
        Self::Down,
        Self::Up,
        Self::Eta,
        Self::Ratio,
        Self::Seeds,
        Self::Leechers,
        Self::Copies,
        Self::Peers,
        Self::Unchoked,
        Self::Added,
        Self::State,
    ];

    fn spec(self) -> Spec {
        let title = self.title();
        match self {
            Self::Number => Spec::number(title, 3, 4, 9),
            Self::Name => Spec::text(title, 16, 28, 60, 0),
            Self::Size => Spec::number(title, 5, 8, 7),
            Self::Done => Spec::number(title, 5, 5, 2),
            Self::Progress => Spec::text(title, 8, 12, 16, 11),
            Self::Down | Self::Up => Spec::number(title, 6, 11, 3),
            Self::Eta => Spec::number(title, 6, 6, 4),
            Self::Ratio => Spec::number(title, 6, 6, 8),
            Self::Seeds | Self::Leechers => Spec::number(title, 6, 7, 5),
            Self::Copies => Spec::number(title, 6, 6, 6),
            Self::Peers => Spec::number(title, 6, 6, 13),
            Self::Unchoked => Spec::number(title, 9, 9, 10),
            Self::Added => Spec::number(title, 6, 6, 12),
            Self::Queue => Spec::number(title, 5, 6, 14),
            Self::State => Spec::text(title, 9, 16, 60, 1),
        }
    }

    fn cell(self, row: &&TorrentRow, look: &Look<'_>, width: u16) -> Line<'static> {
        let (summary, theme) = (&row.summary, look.theme);
        let known = |connected: u32, known: Option<u32>| match known {
            Some(known) => Line::raw(format!("{connected}/{}", ShortCount(u64::from(known)))),
            None => Line::raw(connected.to_string()),
        };
        match self {
            Self::Number => Line::styled(row.number.to_string(), theme.faint()),
            Self::Name => name(row, look, width),
            Self::Size if width >= 8 => Line::raw(Bytes(summary.wanted_size).to_string()),
            Self::Size => Line::raw(Short(summary.wanted_size).to_string()),
            // Without its metadata it is nothing of nothing.
            Self::Done | Self::Progress if summary.pieces == 0 => Line::styled("-", theme.faint()),
            Self::Done => Line::raw(format!("{}%", percent(summary.wanted_have, summary.wanted_size))),
            Self::Progress => {
                let style =
                    if summary.wanted_have == summary.wanted_size { theme.giving() } else { theme.getting() };
                Line::from(bar_spans(
                    summary.wanted_have,
                    summary.wanted_size,
                    usize::from(width),
                    style,
                    theme,
                ))
            }
            Self::Down => rate(summary.down_rate, look, width).patch_style(theme.getting()),
            Self::Up => rate(summary.up_rate, look, width).patch_style(theme.giving()),
            Self::Eta => Line::raw(summary.eta_seconds.map_or_else(|| "-".into(), brief)),
            Self::Ratio => Line::raw(ratio(row.ratio())),
            Self::Seeds => known(summary.seeds_connected, summary.seeds_known),
            Self::Leechers => known(summary.leechers_connected, summary.leechers_known),
            Self::Copies => copies(row, look),
            Self::Peers => count(summary.seeds_connected + summary.leechers_connected),
            Self::Unchoked if summary.unchoked_by + summary.unchoked == 0 => Line::styled("-", theme.faint()),
            Self::Unchoked => Line::raw(format!("{} / {}", summary.unchoked_by, summary.unchoked)),
            Self::Added => {
                Line::styled(brief((look.now - row.added_at as f64).max(0.0) as u64), theme.faint())
            }
            Self::Queue => Line::raw(row.queue_place.to_string()),
            Self::State => state(row, look, width),
        }
    }
}

/// A rate, with its unit where there is room.
pub(super) fn rate(bytes: u64, look: &Look<'_>, width: u16) -> Line<'static> {
    if bytes == 0 {
        return Line::styled("-", look.theme.faint());
    }
    let long = look.rate(bytes);
    if long.len() <= usize::from(width) {
        return Line::raw(long);
    }
    Line::raw(if look.bits {
        ShortCount(bytes.saturating_mul(8)).to_string()
    } else {
        Short(bytes).to_string()
    })
}

/// A time in at most five cells, and so exact that it is of use.
pub(super) fn brief(seconds: u64) -> String {
    match seconds {
        600..3_600 => format!("{}m", seconds / 60),
        36_000..86_400 => format!("{}h", seconds / 3_600),
        864_000..86_400_000 => format!("{}d", seconds / 86_400),
        86_400_000.. => "ages".into(),
        _ => Seconds(seconds).to_string(),
    }
}

/// A ratio with three significant digits.
pub(super) fn ratio(ratio: f64) -> String {
    match ratio {
        ratio if ratio < 0.005 => "-".into(),
        ratio if ratio < 9.995 => format!("{ratio:.2}"),
        ratio if ratio < 99.95 => format!("{ratio:.1}"),
        ratio => format!("{ratio:.0}"),
    }
}

fn count(number: u32) -> Line<'static> {
    Line::raw(if number == 0 { "-".into() } else { ShortCount(u64::from(number)).to_string() })
}

/// The name, and behind it the labels where there is room.
fn name(row: &TorrentRow, look: &Look<'_>, width: u16) -> Line<'static> {
    let (theme, width) = (look.theme, usize::from(width));
    let labels: Vec<&str> = row.labels.iter().map(potluck_common::Printable::as_str).collect();
    let labels = if width < usize::from(LABELS_WIDTH_MIN) || labels.is_empty() {
        String::new()
    } else {
        // A label is told from the name by more than its colour.
        let room = (width / 3).saturating_sub(" []".len());
        format!(" [{}]", text::fitted(&labels.join(", "), room, theme.symbols.ellipsis))
    };
    let labels = Span::styled(labels, theme.accent());
    let name = text::fitted(row.summary.name.as_str(), width - labels.width(), theme.symbols.ellipsis);
    Line::from(vec![Span::raw(name), labels])
}

/// Distributed copies; what cannot be completed by those who are connected has an exclamation mark.
fn copies(row: &TorrentRow, look: &Look<'_>) -> Line<'static> {
    let (summary, theme) = (&row.summary, look.theme);
    let copies = f64::from(summary.distributed_copies);
    let is_of_interest = summary.seeds_connected + summary.leechers_connected > 0;
    match copies {
        _ if !is_of_interest => Line::styled("- ", theme.faint()),
        copies if copies < 1.0 => {
            Line::styled(format!("{}!", Copies(summary.distributed_copies)), theme.bad())
        }
        // A space stands where others have the mark, so that points are below each other.
        copies if copies < 99.95 => Line::raw(format!("{} ", Copies(summary.distributed_copies))),
        copies => Line::raw(format!("{copies:.0} ")),
    }
}

/// A symbol and a word, and what is wrong where there is room.
fn state(row: &TorrentRow, look: &Look<'_>, width: u16) -> Line<'static> {
    let standing = words::torrent(row, look.theme);
    let word = if width < 16 { standing.short } else { standing.long };
    let mut line = Line::from(Span::styled(format!("{} {word}", standing.symbol), standing.style));
    if let Some(why) = standing.why.filter(|_| width >= 24) {
        line.push_span(Span::styled(format!(": {why}"), look.theme.faint()));
    }
    line
}
