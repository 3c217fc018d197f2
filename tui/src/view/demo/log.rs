//! What happened, newest last, and the speed over time.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::{Paragraph, Sparkline},
};

use crate::{
    model::demo::{Demo, LogLine, Tone},
    theme::Theme,
};

/// With fewer lines than this the details would push out what matters.
const DETAILS_HEIGHT_MIN: u16 = 10;

/// Draws the last lines that fit.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, demo: &Demo, theme: &Theme) {
    let details = area.height >= DETAILS_HEIGHT_MIN;
    let shown = demo.log.iter().rev().filter(|line| details || line.tone != Tone::Faint);
    let mut lines: Vec<Line<'_>> =
        shown.take(usize::from(area.height)).map(|line| log_line(line, theme)).collect();
    lines.reverse();
    frame.render_widget(Paragraph::new(lines), area);
}

fn log_line<'a>(line: &'a LogLine, theme: &Theme) -> Line<'a> {
    let style = match line.tone {
        Tone::Faint => theme.faint(),
        Tone::Plain => ratatui::style::Style::new(),
        Tone::Good => theme.giving(),
        Tone::Warning => theme.warning(),
    };
    Line::from(vec![
        Span::styled(format!("{:>5.1}s  ", line.at), theme.faint()),
        Span::styled(line.text.as_str(), style),
    ])
}

/// Draws the swarm's speed over the last samples that fit.
pub(super) fn draw_speed(frame: &mut Frame<'_>, area: Rect, demo: &Demo, theme: &Theme) {
    let first = demo.speed.len().saturating_sub(usize::from(area.width));
    let samples: Vec<u64> = demo.speed.iter().skip(first).copied().collect();
    let chart =
        Sparkline::default().data(samples).bar_set(theme.symbols.column.clone()).style(theme.getting());
    frame.render_widget(chart, area);
}
