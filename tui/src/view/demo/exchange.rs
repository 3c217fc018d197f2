//! Who gives to whom: one row a giver, one column a receiver. The free rider's row stays empty, and soon its column.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::Paragraph,
};

use crate::{
    model::demo::{Demo, Member, Role},
    theme::Theme,
};

const NAME_WIDTH: usize = 12;

/// Lines that the table needs.
pub(super) fn height(demo: &Demo) -> u16 {
    demo.members.len() as u16 + 1
}

/// Columns that the table wants on a terminal of this width.
pub(super) fn width(terminal_width: u16, demo: &Demo) -> u16 {
    let cell = if terminal_width >= 120 { 6 } else { 4 };
    NAME_WIDTH as u16 + cell * demo.members.len() as u16
}

/// Draws the table in `area`, which has the width of [`width`].
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, demo: &Demo, theme: &Theme) {
    let count = demo.members.len().max(1);
    let cell = (usize::from(area.width).saturating_sub(NAME_WIDTH) / count).max(2);
    let mut heading = vec![Span::raw(format!("{:NAME_WIDTH$}", "from \\ to"))];
    heading.extend(demo.members.iter().map(|member| Span::raw(format!("{:>cell$}", initials(member)))));
    let mut lines = vec![Line::from(heading).style(theme.faint())];
    for giver in &demo.members {
        let mut spans = vec![Span::styled(format!("{:NAME_WIDTH$}", giver.name), theme.strong())];
        spans.extend(demo.members.iter().map(|receiver| gift(giver, receiver, cell, theme)));
        lines.push(Line::from(spans));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn gift(giver: &Member, receiver: &Member, cell: usize, theme: &Theme) -> Span<'static> {
    match giver.gives_to(receiver.ip) {
        Some((rate, _)) if rate >= 512 => {
            let style = if receiver.role == Role::FreeRider { theme.warning() } else { theme.giving() };
            Span::styled(format!("{:>cell$}", short(rate, cell)), style)
        }
        Some((_, true)) => Span::styled(format!("{:>cell$}", "0"), theme.faint()),
        _ => Span::styled(format!("{:>cell$}", theme.symbols.nothing), theme.faint()),
    }
}

/// A rate in KiB/s, or in MiB/s where that is too long.
fn short(rate: u64, cell: usize) -> String {
    let text = rate.div_ceil(1024).to_string();
    if text.len() < cell { text } else { format!("{}M", rate >> 20) }
}

/// `leecher 3` is `L3`, `free rider` is `FR`, `seeder` is `S`.
pub(super) fn initials(member: &Member) -> String {
    member.name.split(' ').filter_map(|word| word.chars().next()).flat_map(char::to_uppercase).collect()
}
