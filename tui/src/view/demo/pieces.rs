//! The map of the pieces: how many members have each one, and on a large terminal what each member has.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::Paragraph,
};

use crate::{
    model::demo::{Demo, Member},
    theme::Theme,
};

/// Columns of a member's name before its own map.
const NAME_WIDTH: usize = 12;

/// What the shades mean.
pub(super) fn legend(theme: &Theme) -> String {
    let [_, one, few, many, most] = theme.symbols.copies;
    format!("copies: {one} 1  {few} 2-3  {many} 4-6  {most} 7-8")
}

/// Lines that the map wants at this width, at least one and at most `height_max`.
pub(super) fn map_height(demo: &Demo, width: usize, height_max: u16) -> u16 {
    let lines = (demo.pieces as usize).div_ceil(width.max(1));
    (lines as u16).clamp(1, height_max.max(1))
}

/// Lines that [`draw`] can use at this width.
pub(super) fn height_wanted(demo: &Demo, width: usize) -> u16 {
    map_height(demo, width, 4) + 1 + demo.members.len() as u16
}

/// Draws the map of the swarm, and below it one line a member if there is room.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, demo: &Demo, theme: &Theme) {
    let members = demo.members.len() as u16;
    if area.height < members + 1 || usize::from(area.width) < NAME_WIDTH + 20 {
        return draw_map(frame, area, demo, theme);
    }
    let gap = u16::from(area.height > members + 1);
    let map = map_height(demo, usize::from(area.width), area.height - members - gap);
    draw_map(frame, Rect { height: map, ..area }, demo, theme);
    let below = Rect { y: area.y + map + gap, height: members, ..area };
    let lines: Vec<Line<'_>> =
        demo.members.iter().map(|member| member_line(member, usize::from(area.width), theme)).collect();
    frame.render_widget(Paragraph::new(lines), below);
}

/// Draws the map of the swarm.
pub(super) fn draw_map(frame: &mut Frame<'_>, area: Rect, demo: &Demo, theme: &Theme) {
    let copies = demo.copies();
    let width = usize::from(area.width);
    let cells = cells(&copies, width * usize::from(area.height), |some| some.iter().copied().min());
    let lines: Vec<Line<'_>> = cells
        .chunks(width.max(1))
        .map(|row| {
            let levels = row.iter().map(|copies| level(*copies));
            Line::from(levels.map(|level| shade(level, theme)).collect::<Vec<_>>())
        })
        .collect();
    frame.render_widget(Paragraph::new(lines), area);
}

/// Everything that one member has: a shade says how much of the cell's pieces.
fn member_line(member: &Member, width: usize, theme: &Theme) -> Line<'static> {
    let have: Vec<u32> =
        member.snapshot.iter().flat_map(|s| &s.detail.pieces).map(|p| u32::from(p.have)).collect();
    let quarters = cells(&have, width - NAME_WIDTH, |some| {
        let sum: u32 = some.iter().sum();
        Some((sum * 4).div_ceil(some.len().max(1) as u32) as usize)
    });
    let mut spans = vec![Span::raw(format!("{:NAME_WIDTH$}", member.name))];
    spans.extend(quarters.into_iter().map(|level| match level {
        0 => Span::styled(theme.symbols.nothing, theme.faint()),
        _ => Span::styled(theme.symbols.copies[level], theme.copies(level)),
    }));
    Line::from(spans)
}

/// Divides `values` among at most `count` cells as evenly as it goes.
fn cells<T>(values: &[u32], count: usize, gather: impl Fn(&[u32]) -> Option<T>) -> Vec<T> {
    let count = count.min(values.len());
    let edge = |cell: usize| cell * values.len() / count;
    (0..count).filter_map(|cell| gather(&values[edge(cell)..edge(cell + 1)])).collect()
}

fn level(copies: u32) -> usize {
    match copies {
        0 => 0,
        1 => 1,
        2..=3 => 2,
        4..=6 => 3,
        _ => 4,
    }
}

fn shade(level: usize, theme: &Theme) -> Span<'static> {
    Span::styled(theme.symbols.copies[level], theme.copies(level))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_shows_its_worst_piece() {
        let copies = [5, 0, 3, 3, 8, 8, 1];
        assert_eq!(cells(&copies, 4, |some| some.iter().copied().min()), [5, 0, 3, 1]);
        assert_eq!(cells(&copies, 100, |some| some.iter().copied().min()), copies);
        assert!(cells(&copies, 0, |some| some.iter().copied().min()).is_empty());
        assert!(cells(&[], 10, |some| some.iter().copied().min()).is_empty());
    }
}
