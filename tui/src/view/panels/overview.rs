//! A torrent in a few numbers, and why it does what it does.

use potluck_common::{
    Printable,
    control::{About, TorrentRow},
};
use ratatui::{
    Frame,
    layout::{HorizontalAlignment, Rect},
    style::Style,
    text::{Line, Span},
};

use super::{bar_spans, torrents, words};
use crate::{
    units::{Bytes, Copies, Grouped, PerSecond, Seconds, count, percent},
    view::{look::Look, text},
};

/// Cells of the words on the left.
const LABEL_WIDTH: usize = 9;

/// Draws as many lines as fit, what matters most first.
pub fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    look: &Look<'_>,
    row: Option<&TorrentRow>,
    about: Option<&About>,
) {
    let area = area.intersection(frame.area());
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let lines = match row {
        Some(row) => lines(row, about, look, inner.width),
        None => vec![Line::styled("no torrent is selected", look.theme.faint())],
    };
    for (line, y) in lines.iter().zip(inner.y..inner.bottom()) {
        let place = Rect { y, height: 1, ..inner };
        text::put(frame.buffer_mut(), place, line, HorizontalAlignment::Left, look.theme.symbols.ellipsis);
    }
}

fn lines(row: &TorrentRow, about: Option<&About>, look: &Look<'_>, width: u16) -> Vec<Line<'static>> {
    let mut lines = vec![
        state(row, look),
        done(row, look, width),
        rates(row, look),
        swarm(row, look),
        exchanged(row, look),
        pieces(row, look),
    ];
    lines.extend(standing_data(row, look));
    lines.extend(about.map(|about| told(about, look)).unwrap_or_default());
    lines
}

/// A word on the left, and what it is.
fn line(label: &'static str, spans: Vec<Span<'static>>, look: &Look<'_>) -> Line<'static> {
    let mut line = Line::from(Span::styled(format!("{label:LABEL_WIDTH$}"), look.theme.faint()));
    line.spans.extend(spans);
    line
}

fn state(row: &TorrentRow, look: &Look<'_>) -> Line<'static> {
    let standing = words::torrent(row, look.theme);
    let mut spans = vec![Span::styled(format!("{} {}", standing.symbol, standing.long), standing.style)];
    if let Some(why) = standing.why {
        spans.push(Span::raw(format!(": {why}")));
    }
    line("State", spans, look)
}

fn done(row: &TorrentRow, look: &Look<'_>, width: u16) -> Line<'static> {
    let (summary, theme) = (&row.summary, look.theme);
    let (have, wanted) = (summary.wanted_have, summary.wanted_size);
    if summary.pieces == 0 {
        return line(
            "Done",
            vec![Span::styled("not known before the metadata is here", theme.faint())],
            look,
        );
    }
    let left = summary.eta_seconds.map(|seconds| format!("  {} left", Seconds(seconds)));
    let all = (wanted < summary.total_size).then(|| format!(" wanted, {} in all", Bytes(summary.total_size)));
    let text = format!(
        "{:>3}%  {} of {}{}{}",
        percent(have, wanted),
        Bytes(have),
        Bytes(wanted),
        all.unwrap_or_default(),
        left.unwrap_or_default()
    );
    let room = usize::from(width).saturating_sub(LABEL_WIDTH + text.len() + 2);
    let mut spans = Vec::new();
    if room >= 8 {
        let style = if have == wanted { theme.giving() } else { theme.getting() };
        spans = bar_spans(have, wanted, room.min(40), style, theme);
        spans.push(Span::raw("  "));
    }
    spans.push(Span::raw(text));
    line("Done", spans, look)
}

fn rates(row: &TorrentRow, look: &Look<'_>) -> Line<'static> {
    let (summary, theme) = (&row.summary, look.theme);
    let symbols = theme.symbols;
    let peers = summary.seeds_connected + summary.leechers_connected;
    let from = format!(" from {} of {}   ", summary.unchoked_by, Grouped(u64::from(peers)));
    let spans = vec![
        Span::styled(format!("{} {}", symbols.downloading, look.rate(summary.down_rate)), theme.getting()),
        Span::styled(from, theme.faint()),
        Span::styled(format!("{} {}", symbols.seeding, look.rate(summary.up_rate)), theme.giving()),
        Span::styled(format!(" to {}{}", summary.unchoked, limits(row)), theme.faint()),
    ];
    line("Rates", spans, look)
}

fn limits(row: &TorrentRow) -> String {
    match (row.limits.down, row.limits.up) {
        (None, None) => String::new(),
        (Some(down), None) => format!("; limited to {} down", PerSecond(down)),
        (None, Some(up)) => format!("; limited to {} up", PerSecond(up)),
        (Some(down), Some(up)) => format!("; limited to {} down, {} up", PerSecond(down), PerSecond(up)),
    }
}

fn swarm(row: &TorrentRow, look: &Look<'_>) -> Line<'static> {
    let summary = &row.summary;
    let of = |connected: u32, known: Option<u32>, noun: &str| match known {
        Some(known) => format!("{connected} of {}", count(u64::from(known), noun)),
        None => count(u64::from(connected), noun),
    };
    let text = format!(
        "{}, {}",
        of(summary.seeds_connected, summary.seeds_known, "seed"),
        of(summary.leechers_connected, summary.leechers_known, "leecher"),
    );
    let mut spans = vec![Span::raw(text)];
    let has_peers = summary.seeds_connected + summary.leechers_connected > 0;
    if has_peers && summary.distributed_copies < 1.0 {
        let copies = format!("; copies {}!", Copies(summary.distributed_copies));
        spans.push(Span::styled(copies, look.theme.bad()));
    } else if has_peers {
        spans.push(Span::raw(format!("; copies {}", Copies(summary.distributed_copies))));
    }
    if let Some(at) = row.available_at.filter(|_| !row.is_complete() && summary.distributed_copies < 1.0) {
        let ago = Seconds((look.now - at as f64).max(0.0) as u64);
        spans.push(Span::styled(format!("; last seen complete {ago} ago"), look.theme.faint()));
    }
    if summary.candidates > 0 {
        let more = format!("; +{} known", Grouped(u64::from(summary.candidates)));
        spans.push(Span::styled(more, look.theme.faint()));
    }
    line("Swarm", spans, look)
}

fn exchanged(row: &TorrentRow, look: &Look<'_>) -> Line<'static> {
    let summary = &row.summary;
    let ratio = torrents::ratio(row.ratio());
    let text = format!("{ratio}   got {}, gave {}", Bytes(row.downloaded_ever), Bytes(row.uploaded_ever));
    let mut spans = vec![Span::raw(text)];
    if summary.wasted > 0 || summary.hash_failures > 0 {
        let failed = count(u64::from(summary.hash_failures), "bad piece");
        let wasted = format!("; {} wasted, {failed}", Bytes(summary.wasted));
        spans.push(Span::styled(wasted, look.theme.warning()));
    }
    line("Ratio", spans, look)
}

fn pieces(row: &TorrentRow, look: &Look<'_>) -> Line<'static> {
    let summary = &row.summary;
    let (have, all) = (u64::from(summary.pieces_have), u64::from(summary.pieces));
    let of = Bytes(u64::from(summary.piece_length));
    let text = format!("{} of {} of {of}", Grouped(have), count(all, "piece"));
    let durable = if summary.is_durable { ", all on the disk for good" } else { "" };
    line("Pieces", vec![Span::raw(text), Span::styled(durable, look.theme.faint())], look)
}

/// What seldom changes.
fn standing_data(row: &TorrentRow, look: &Look<'_>) -> Vec<Line<'static>> {
    let directory = Printable::new(&row.directory.to_string_lossy()).to_string();
    let age = (look.now - row.added_at as f64).max(0.0) as u64;
    let mut lines = vec![
        line("Folder", vec![Span::raw(directory)], look),
        line("Hash", vec![Span::raw(row.summary.info_hash.to_string())], look),
        line("Added", vec![Span::raw(format!("{} ago", Seconds(age)))], look),
    ];
    if !row.labels.is_empty() {
        let labels: Vec<&str> = row.labels.iter().map(Printable::as_str).collect();
        lines.push(line("Labels", vec![Span::styled(labels.join(", "), look.theme.accent())], look));
    }
    if row.is_private {
        lines.push(line("Private", vec![Span::raw("only its trackers may name peers")], look));
    }
    lines
}

/// What its metainfo says.
fn told(about: &About, look: &Look<'_>) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for (label, text) in [("Comment", &about.comment), ("Made by", &about.creator)] {
        if !text.as_str().is_empty() {
            lines.push(line(label, vec![Span::raw(text.to_string())], look));
        }
    }
    if !about.magnet.is_empty() {
        let magnet = Printable::new(&about.magnet).to_string();
        lines.push(line("Magnet", vec![Span::styled(magnet, Style::new())], look));
    }
    lines
}
