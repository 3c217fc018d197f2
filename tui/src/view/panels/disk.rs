//! What the disk does: whether it is what limits, how fast it is, what waits for it, and how much room is left.

use potluck_common::{
    Printable,
    control::{DiskSnapshot, FolderSpace},
};
use ratatui::{
    Frame,
    layout::{HorizontalAlignment, Rect},
    style::Style,
    text::{Line, Span},
};

use super::bar_spans;
use crate::{
    units::{Bytes, count},
    view::{look::Look, text},
};

/// Cells of the words on the left.
const LABEL_WIDTH: usize = 9;
/// Less room than this is a warning.
const LITTLE_SPACE: u64 = 1 << 30;
/// From this share of its bound on, in percent, what waits is a warning.
const MUCH_PERCENT: u64 = 90;

/// Draws as many lines as fit, what matters most first.
pub fn draw(frame: &mut Frame<'_>, area: Rect, look: &Look<'_>, disk: Option<&DiskSnapshot>) {
    let area = area.intersection(frame.area());
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let lines = match disk {
        Some(disk) => lines(disk, look, inner.width),
        None => vec![Line::styled("no figures of the disk", look.theme.faint())],
    };
    for (line, y) in lines.iter().zip(inner.y..inner.bottom()) {
        let place = Rect { y, height: 1, ..inner };
        text::put(frame.buffer_mut(), place, line, HorizontalAlignment::Left, look.theme.symbols.ellipsis);
    }
}

fn lines(disk: &DiskSnapshot, look: &Look<'_>, width: u16) -> Vec<Line<'static>> {
    let theme = look.theme;
    let mut folders = disk.folders.iter().map(|folder| free(folder, look));
    let mut lines = Vec::new();
    if let Some(why) = &disk.limit {
        lines.push(Line::styled(why.to_string(), theme.warning()));
    }
    if let Some(error) = disk.last_error.as_ref().filter(|_| disk.errors > 0) {
        let words = format!("{}, the last: {error}", count(disk.errors, "failure"));
        lines.push(line("Errors", vec![Span::styled(words, theme.bad())], look));
    }
    lines.extend([writing(disk, look), reading(disk, look), waiting(disk, look, width)]);
    lines.extend(folders.next());
    lines.push(slow(disk, look));
    lines.push(cache(disk, look));
    lines.extend(folders);
    lines
}

fn line(label: &'static str, spans: Vec<Span<'static>>, look: &Look<'_>) -> Line<'static> {
    let mut line = Line::from(Span::styled(format!("{label:LABEL_WIDTH$}"), look.theme.faint()));
    line.spans.extend(spans);
    line
}

/// A rate that stands still where another comes to stand beside it.
fn rate(bytes: u64, style: Style, look: &Look<'_>) -> Span<'static> {
    Span::styled(format!("{:<12}", look.rate(bytes)), style)
}

fn writing(disk: &DiskSnapshot, look: &Look<'_>) -> Line<'static> {
    let hashing = Span::styled("hashing ", look.theme.faint());
    let written = rate(disk.write_rate, look.theme.getting(), look);
    line("Writing", vec![written, hashing, Span::raw(look.rate(disk.hash_rate))], look)
}

fn reading(disk: &DiskSnapshot, look: &Look<'_>) -> Line<'static> {
    let hits = disk.hit_percent().map_or("-".to_owned(), |percent| format!("{percent}%"));
    let from_memory = Span::styled("from memory ", look.theme.faint());
    line("Reading", vec![rate(disk.read_rate, look.theme.giving(), look), from_memory, Span::raw(hits)], look)
}

/// What came and is not written yet, of what may be.
fn waiting(disk: &DiskSnapshot, look: &Look<'_>, width: u16) -> Line<'static> {
    let (some, most) = (disk.unwritten, disk.unwritten_max);
    let is_much = some * 100 >= most * MUCH_PERCENT;
    let style = if is_much { look.theme.warning() } else { look.theme.getting() };
    let words = format!(" {} of {}", Bytes(some), Bytes(most));
    let room = usize::from(width).saturating_sub(LABEL_WIDTH + words.len()).min(24);
    let mut spans = bar_spans(some.min(most), most, room, style, look.theme);
    spans.push(Span::raw(words));
    line("Waiting", spans, look)
}

fn slow(disk: &DiskSnapshot, look: &Look<'_>) -> Line<'static> {
    let theme = look.theme;
    let (words, style) = match disk.slow_writes {
        0 => ("no piece waited long".to_owned(), theme.faint()),
        pieces => (format!("{} waited longer than 1 s", count(pieces, "piece")), theme.warning()),
    };
    let jobs = Span::styled(format!("   {}", count(u64::from(disk.jobs), "job")), theme.faint());
    line("Slow", vec![Span::styled(words, style), jobs], look)
}

fn cache(disk: &DiskSnapshot, look: &Look<'_>) -> Line<'static> {
    let words = format!("{} of {} for peers", Bytes(disk.cache), Bytes(disk.cache_max));
    line("Cache", vec![Span::raw(words)], look)
}

fn free(folder: &FolderSpace, look: &Look<'_>) -> Line<'static> {
    let theme = look.theme;
    let (words, style) = match folder.free {
        Some(bytes) if bytes < LITTLE_SPACE => (format!("only {}", Bytes(bytes)), theme.warning()),
        Some(bytes) => (Bytes(bytes).to_string(), Style::new()),
        None => ("unknown".to_owned(), theme.faint()),
    };
    let place = Printable::new(&folder.directory.to_string_lossy());
    line("Free", vec![Span::styled(words, style), Span::styled(format!(" in {place}"), theme.faint())], look)
}
