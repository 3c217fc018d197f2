//! The demo's screen.
//!
//! A small terminal gets the swarm, the pieces, why each member gives to whom, and the last lines of the log; a large one
//! also how much, what each member has, and the speed over time. Panels are framed where there is room for frames.

mod exchange;
mod log;
mod members;
mod pieces;
mod reasons;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Style,
    text::{Line, Span},
    widgets::{Block, Borders, Paragraph},
};

use crate::{
    model::demo::{Demo, Phase, Role},
    theme::Theme,
    units::{Bytes, Grouped, PerSecond, Seconds},
};

/// The smallest terminal that the screen fits on.
pub const SIZE_MIN: (u16, u16) = (60, 16);
/// The smallest that everything fits on, in frames.
const SIZE_LARGE: (u16, u16) = (100, 38);
/// The fewest lines of the log, with its title.
const LOG_HEIGHT_MIN: u16 = 2;
const REASONS: &str = "Who gives to whom, and why";

/// Draws the demo on the whole of `frame`.
pub fn draw(frame: &mut Frame<'_>, demo: &Demo, theme: &Theme) {
    let area = frame.area();
    if area.width < SIZE_MIN.0 || area.height < SIZE_MIN.1 {
        return draw_too_small(frame, demo, theme);
    }
    let [header, body, footer] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)]).areas(area);
    frame.render_widget(header_line(demo, theme, area.width), header);
    frame.render_widget(footer_line(demo, theme, area.width), footer);
    if area.width >= SIZE_LARGE.0 && area.height >= SIZE_LARGE.1 {
        draw_large(frame, body, demo, theme);
    } else {
        draw_small(frame, body, demo, theme);
    }
}

fn draw_small(frame: &mut Frame<'_>, area: Rect, demo: &Demo, theme: &Theme) {
    let panels = Panels { theme, borders: Borders::TOP };
    let table = members::height(demo) + 1;
    let left = area.height.saturating_sub(table + LOG_HEIGHT_MIN);
    // With less there would be no room for the map.
    let why = Some(reasons::height(demo) + 1).filter(|why| why + 2 <= left).unwrap_or(0);
    let map = pieces::map_height(demo, usize::from(area.width) - 2, (left - why).saturating_sub(1)) + 1;
    let heights = [table, map, why].map(Constraint::Length);
    let [swarm, map, why, log] =
        Layout::vertical(heights.into_iter().chain([Constraint::Min(0)])).areas(area);
    let inner = panels.open(frame, swarm, "Swarm", "");
    members::draw(frame, inner, demo, theme);
    let inner = panels.open(frame, map, "Pieces", &pieces::legend(theme));
    pieces::draw_map(frame, inner, demo, theme);
    if why.height > 0 {
        let inner = panels.open(frame, why, REASONS, &reasons::legend(theme));
        reasons::draw(frame, inner, demo, theme);
    }
    let inner = panels.open(frame, log, "What happened", "");
    log::draw(frame, inner, demo, theme);
}

fn draw_large(frame: &mut Frame<'_>, area: Rect, demo: &Demo, theme: &Theme) {
    let panels = Panels { theme, borders: Borders::ALL };
    let table = members::height(demo) + 2;
    let exchange_width = exchange::width(area.width, demo) + 2;
    let pieces_height = pieces::height_wanted(demo, usize::from(area.width - exchange_width) - 2);
    let least = exchange::height(demo);
    let why = reasons::height(demo) + 2;
    let middle = pieces_height.min((area.height - table - why) / 2).max(least) + 2;
    let heights = [table, middle, why].map(Constraint::Length);
    let [swarm, middle, why, bottom] =
        Layout::vertical(heights.into_iter().chain([Constraint::Min(0)])).areas(area);
    let inner = panels.open(frame, swarm, "Swarm", "");
    members::draw(frame, inner, demo, theme);

    let [pieces, exchange] =
        Layout::horizontal([Constraint::Min(0), Constraint::Length(exchange_width)]).areas(middle);
    let inner = panels.open(frame, pieces, "Pieces", &pieces::legend(theme));
    pieces::draw(frame, inner, demo, theme);
    let inner = panels.open(frame, exchange, "How much", "KiB/s");
    exchange::draw(frame, inner, demo, theme);
    let inner = panels.open(frame, why, REASONS, &reasons::legend(theme));
    reasons::draw(frame, inner, demo, theme);

    let speed_width = if area.width >= 140 { area.width * 2 / 5 } else { 0 };
    let [speed, log] =
        Layout::horizontal([Constraint::Length(speed_width), Constraint::Min(0)]).areas(bottom);
    if speed_width > 0 {
        let top = demo.speed.iter().copied().max().unwrap_or(0);
        let inner = panels.open(frame, speed, "Speed of the swarm", &format!("top {}", PerSecond(top)));
        log::draw_speed(frame, inner, demo, theme);
    }
    let inner = panels.open(frame, log, "What happened", "");
    log::draw(frame, inner, demo, theme);
}

fn draw_too_small(frame: &mut Frame<'_>, demo: &Demo, theme: &Theme) {
    let area = frame.area();
    let have: u64 = demo.members.iter().filter_map(|m| m.snapshot.as_ref()).map(|s| s.have_size).sum();
    let all = demo.total_size * demo.members.len() as u64;
    let lines = vec![
        Line::styled(
            format!("need {}x{}, have {}x{}", SIZE_MIN.0, SIZE_MIN.1, area.width, area.height),
            theme.warning(),
        ),
        Line::raw(format!("{} of {} in the swarm", Bytes(have), Bytes(all))),
        Line::raw(PerSecond(demo.speed_now()).to_string()),
        Line::styled("q quits", theme.faint()),
    ];
    frame.render_widget(Paragraph::new(lines), area);
}

fn header_line(demo: &Demo, theme: &Theme, width: u16) -> Line<'static> {
    let mut line = Line::from(vec![
        Span::styled(" potluck demo ", theme.accent()),
        Span::raw(format!(" {}  ", Seconds(demo.elapsed as u64))),
        match &demo.phase {
            Phase::Starting => Span::styled("starting", theme.faint()),
            Phase::Sharing => Span::styled(format!("swarm {}", PerSecond(demo.speed_now())), theme.getting()),
            Phase::Verifying => Span::styled("comparing every copy with the payload", theme.warning()),
            Phase::Over(what) => Span::styled(what.clone(), theme.giving()),
        },
    ]);
    // What does not fit is left out, never cut in the middle of a number.
    let given = format!("  seeder gave {:.2} copies", demo.copies_given_by_seeder());
    let size = format!("  {} in {} pieces", Bytes(demo.total_size), Grouped(u64::from(demo.pieces)));
    let parts = if demo.phase == Phase::Starting { vec![size] } else { vec![given, size] };
    for part in parts {
        if line.width() + part.len() < usize::from(width) {
            line.push_span(Span::raw(part));
        }
    }
    line
}

fn footer_line(demo: &Demo, theme: &Theme, width: u16) -> Line<'static> {
    let mut spans = vec![
        Span::styled(" q", theme.strong()),
        Span::styled(" quit", theme.faint()),
        Span::styled("  1-8", theme.strong()),
        Span::styled(" from near", theme.faint()),
        Span::raw("   tracker "),
    ];
    match demo.tracker_counts() {
        Some((seeds, leechers)) => {
            if width >= 100 {
                spans.push(Span::styled(format!("{} ", demo.tracker), theme.faint()));
            }
            spans.push(Span::raw(format!("{seeds} seeding, {leechers} leeching")));
        }
        None => spans.push(Span::styled("not asked yet", theme.faint())),
    }
    let mut line = Line::from(spans);
    let takers = demo.members.iter().filter(|member| member.role == Role::Leecher).count() as u64;
    let (rate, alone) = (demo.seeder_rate_max, demo.total_size * takers / demo.seeder_rate_max.max(1));
    let (rate, alone) = (PerSecond(rate), Seconds(alone));
    let story = format!("   the seeder alone, at {rate}, would need {alone} for {takers} copies");
    if line.width() + story.len() <= usize::from(width) {
        line.push_span(Span::styled(story, theme.faint()));
    }
    line
}

/// How panels are framed.
struct Panels<'a> {
    theme: &'a Theme,
    borders: Borders,
}

impl Panels<'_> {
    /// Draws a panel's frame and titles, and says what is left inside.
    fn open(&self, frame: &mut Frame<'_>, area: Rect, title: &str, right: &str) -> Rect {
        let mut block = Block::new()
            .borders(self.borders)
            .border_set(self.theme.symbols.border)
            .border_style(self.theme.faint())
            .title(Line::styled(format!(" {title} "), self.theme.strong()));
        if !right.is_empty() {
            block = block.title(Line::styled(format!(" {right} "), Style::new()).right_aligned());
        }
        let inner = block.inner(area);
        frame.render_widget(block, area);
        // Without side borders a column of space stands in their place.
        if self.borders.contains(Borders::LEFT) {
            inner
        } else {
            Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
        }
    }
}

#[cfg(test)]
mod tests;
