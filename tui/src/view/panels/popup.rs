//! Windows above a screen: dialogs, menus, confirmations and help.

use ratatui::{
    Frame,
    layout::{HorizontalAlignment, Margin, Rect},
    text::{Line, Span},
    widgets::{Block, Clear, Paragraph, Wrap},
};

use crate::{
    model::list::ListCursor,
    theme::Theme,
    view::{layout::centered, text},
};

/// Draws an empty window in the middle of the screen, at most as large as the screen, and says what is left inside for
/// `width` cells and `height` lines.
pub fn open(frame: &mut Frame<'_>, theme: &Theme, title: &str, width: u16, height: u16) -> Rect {
    let area = centered(frame.area(), width.saturating_add(4), height.saturating_add(2));
    frame.render_widget(Clear, area);
    let block = Block::bordered()
        .border_set(theme.symbols.border)
        .border_style(theme.focus())
        .style(theme.base())
        .title(Line::styled(format!(" {title} "), theme.strong()));
    frame.render_widget(block, area);
    area.inner(Margin::new(2, 1))
}

/// An entry of a menu.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The key that chooses it; may be empty.
    pub key: String,
    /// What it is.
    pub words: String,
    /// What it stands at, on the right; may be empty.
    pub value: String,
    /// It is chosen at the moment.
    pub is_chosen: bool,
}

/// Draws a window with a list of entries; tells where they stand and which is the first.
pub fn menu(
    frame: &mut Frame<'_>,
    theme: &Theme,
    title: &str,
    entries: &[Entry],
    cursor: ListCursor,
) -> (Rect, usize) {
    let width = |text: &str| Span::raw(text).width();
    let key = entries.iter().map(|entry| width(&entry.key)).max().unwrap_or(0);
    let widest = entries.iter().map(|entry| width(&entry.words) + width(&entry.value)).max().unwrap_or(0);
    let wanted = (key + widest + 7).max(width(title) + 4) as u16;
    let area = open(frame, theme, title, wanted, entries.len() as u16);
    let window = cursor.window(entries.len(), usize::from(area.height));
    let selected = cursor.clamped(entries.len(), usize::from(area.height)).selected;
    for (index, y) in window.clone().zip(area.y..area.bottom()) {
        let (entry, place) = (&entries[index], Rect { y, height: 1, ..area });
        let mark = if entry.is_chosen { theme.symbols.marked } else { " " };
        let here = if index == selected { theme.symbols.selected } else { " " };
        let line = Line::from(vec![
            Span::raw(format!("{here}{mark} ")),
            Span::styled(format!("{:key$} ", entry.key), theme.strong()),
            Span::raw(entry.words.clone()),
        ]);
        let buffer = frame.buffer_mut();
        text::put(buffer, place, &line, HorizontalAlignment::Left, theme.symbols.ellipsis);
        let value = Line::styled(entry.value.clone(), theme.faint());
        if line.width() + value.width() + 2 <= usize::from(place.width) {
            text::put(buffer, place, &value, HorizontalAlignment::Right, "");
        }
        if index == selected {
            buffer.set_style(place, theme.selection());
        }
    }
    (area, window.start)
}

/// Draws a window with a question, and what the keys answer.
pub fn question(
    frame: &mut Frame<'_>,
    theme: &Theme,
    title: &str,
    words: &[Line<'_>],
    answers: &[(&str, &str)],
) {
    let mut keys = Line::default();
    for (key, answer) in answers {
        keys.push_span(Span::styled((*key).to_string(), theme.strong()));
        keys.push_span(Span::styled(format!(" {answer}   "), theme.faint()));
    }
    let widest = words.iter().map(Line::width).chain([keys.width(), title.len() + 4]).max().unwrap_or(0);
    let width = (widest as u16).clamp(24, 76).min(frame.area().width.saturating_sub(4).max(1));
    // Lines that are too long go on in the next.
    let lines: usize =
        words.iter().map(|line| line.width().div_ceil(usize::from(width)).max(1)).sum::<usize>() + 1;
    let most = frame.area().height.saturating_sub(2);
    let area = open(frame, theme, title, width, (lines as u16 + 1).min(most));
    let above = Rect { height: area.height.saturating_sub(1), ..area };
    let below = Rect { y: area.bottom().saturating_sub(1), height: area.height.min(1), ..area };
    frame.render_widget(Paragraph::new(words.to_vec()).wrap(Wrap { trim: false }), above);
    text::put(frame.buffer_mut(), below, &keys, HorizontalAlignment::Left, theme.symbols.ellipsis);
}

/// A group of keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HelpSection {
    /// Where they act.
    pub title: String,
    /// Keys and what they do.
    pub keys: Vec<(String, String)>,
}

/// Draws a window of keys and what they do, in as many columns as fit, from line `top` on. Tells how many lines there are
/// and how many are visible.
pub fn help(
    frame: &mut Frame<'_>,
    theme: &Theme,
    title: &str,
    sections: &[HelpSection],
    top: usize,
) -> (usize, usize) {
    let lines = help_lines(sections, theme);
    let widest = lines.iter().map(Line::width).max().unwrap_or(0).clamp(24, 60);
    let all = frame.area();
    let room = usize::from(all.height.saturating_sub(4)).max(1);
    let most = (usize::from(all.width.saturating_sub(6)) / (widest + 2)).max(1);
    let columns = lines.len().div_ceil(room).clamp(1, most);
    let height = lines.len().div_ceil(columns);
    let width = (columns * (widest + 2) - 2).max(title.len() + 4);
    let area = open(frame, theme, title, width as u16, height.min(room) as u16);
    let visible = usize::from(area.height);
    let top = top.min(height.saturating_sub(visible));
    for (column, lines) in lines.chunks(height.max(1)).enumerate() {
        let x = area.x + (column * (widest + 2)) as u16;
        let cells = Rect { x, width: (widest as u16).min(area.right().saturating_sub(x)), height: 1, ..area };
        for (line, y) in lines.iter().skip(top).zip(area.y..area.bottom()) {
            let place = Rect { y, ..cells };
            text::put(frame.buffer_mut(), place, line, HorizontalAlignment::Left, theme.symbols.ellipsis);
        }
    }
    (height, visible)
}

fn help_lines(sections: &[HelpSection], theme: &Theme) -> Vec<Line<'static>> {
    let keys = sections.iter().flat_map(|section| &section.keys);
    let key_width = keys.map(|(key, _)| Span::raw(key).width()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for section in sections {
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        lines.push(Line::styled(section.title.clone(), theme.accent()));
        lines.extend(section.keys.iter().map(|(key, words)| {
            Line::from(vec![
                Span::styled(format!("{key:>key_width$}  "), theme.strong()),
                Span::raw(words.clone()),
            ])
        }));
    }
    lines
}
