//! Rates over time.

use potluck_common::control::{History, HistoryRange};
use ratatui::{
    Frame,
    layout::{HorizontalAlignment, Rect},
    text::{Line, Span},
};

use crate::{
    theme::Theme,
    units::Seconds,
    view::{
        chart::{AXIS_WIDTH, Chart},
        look::Look,
        text,
    },
};

/// How a range is called: `5m`.
pub const fn range_name(range: HistoryRange) -> &'static str {
    match range {
        HistoryRange::Minute => "1m",
        HistoryRange::FiveMinutes => "5m",
        HistoryRange::Hour => "1h",
        HistoryRange::Day => "1d",
    }
}

/// The newest rates, for the frame.
pub fn newest(history: &History, look: &Look<'_>) -> String {
    let symbols = look.theme.symbols;
    let rate = |samples: &[u64]| look.rate(samples.last().copied().unwrap_or(0));
    format!("{} {}  {} {}", symbols.downloading, rate(&history.down), symbols.seeding, rate(&history.up))
}

/// Draws what came above what was sent, each on a scale of its own, and the time below where there is room.
pub fn draw(frame: &mut Frame<'_>, area: Rect, look: &Look<'_>, history: Option<&History>, log: bool) {
    let (theme, area) = (look.theme, area.intersection(frame.area()));
    let Some(history) = history else {
        return frame.render_widget(Line::styled(" no rates yet", theme.faint()), area);
    };
    if area.is_empty() {
        return;
    }
    let span = history.range.samples();
    let has_time = area.height >= 5;
    let plots = area.height - u16::from(has_time);
    let upper = plots - plots / 2;
    let down = Rect { height: upper, ..area };
    let up = Rect { y: area.y + upper, height: plots - upper, ..area };
    let buffer = frame.buffer_mut();
    let chart = |samples, style, symbol| Chart { samples, span, log, style, symbol };
    chart(&history.down, theme.getting(), theme.symbols.downloading).draw(buffer, down, theme);
    chart(&history.up, theme.giving(), theme.symbols.seeding).draw(buffer, up, theme);
    if has_time && area.width > AXIS_WIDTH {
        let cells =
            Rect { x: area.x + AXIS_WIDTH, y: area.bottom() - 1, width: area.width - AXIS_WIDTH, height: 1 };
        draw_time(frame, cells, history.range, log, theme);
    }
}

/// When the left end, the middle and the right end were.
fn draw_time(frame: &mut Frame<'_>, area: Rect, range: HistoryRange, log: bool, theme: &Theme) {
    let seconds = range.samples() as u64 * u64::from(range.interval_seconds());
    let mut put = |text: String, side| {
        let line = Line::from(Span::styled(text, theme.faint()));
        text::put(frame.buffer_mut(), area, &line, side, "");
    };
    put(format!("-{}", range_name(range)), HorizontalAlignment::Left);
    if area.width >= 24 {
        let middle = format!("-{}{}", Seconds(seconds / 2), if log { " (log)" } else { "" });
        put(middle, HorizontalAlignment::Center);
    }
    put("now".into(), HorizontalAlignment::Right);
}
