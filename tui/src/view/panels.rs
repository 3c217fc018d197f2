//! The panels of the screens: each a pure function of what it shows, the room that it has, and a [`Look`].
//!
//! A panel draws within its area; [`open`] draws the frame around it and says what is left inside. Lists are
//! [`Table`](super::table::Table)s of the columns that are defined here.

pub mod events;
pub mod fairness;
pub mod files;
pub mod header;
pub mod overview;
pub mod peers;
pub mod pieces;
pub mod popup;
pub mod speed;
pub mod torrents;
pub mod trackers;

mod words;

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::{Block, Borders},
};

use super::{layout::SIZE_MIN, text};
use crate::theme::Theme;

/// A frame around a panel: what stands in it, and whether keys act on the panel.
#[derive(Clone, Debug)]
pub struct Chrome {
    /// What the panel is.
    pub title: Line<'static>,
    /// A few words on what it shows; left out where there is no room.
    pub right: String,
    /// Keys act on it.
    pub is_focused: bool,
}

impl Chrome {
    /// A frame with a title.
    pub fn new(title: impl Into<Line<'static>>, right: impl Into<String>, is_focused: bool) -> Self {
        Self { title: title.into(), right: right.into(), is_focused }
    }
}

/// Draws the frame of a panel and says what is left inside. On small terminals only its upper side is drawn, so that no
/// room is lost.
pub fn open(frame: &mut Frame<'_>, area: Rect, theme: &Theme, chrome: &Chrome) -> Rect {
    let all = frame.area();
    let area = area.intersection(all);
    if area.width < 4 || area.height < 1 {
        return Rect { width: 0, height: 0, ..area };
    }
    let is_small = all.width < 80 || all.height < 24 || all.width < SIZE_MIN.0;
    let borders = if is_small { Borders::TOP } else { Borders::ALL };
    let style = if chrome.is_focused { theme.focus() } else { theme.frame() };
    let block = Block::new().borders(borders).border_set(theme.symbols.border).border_style(style);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    draw_titles(frame, area, theme, chrome);
    inner
}

fn draw_titles(frame: &mut Frame<'_>, area: Rect, theme: &Theme, chrome: &Chrome) {
    let ellipsis = theme.symbols.ellipsis;
    let room = usize::from(area.width) - 4;
    let mut title = Line::from(Span::raw(" ")).style(theme.strong());
    title.spans.extend(chrome.title.spans.iter().cloned());
    title.push_span(" ");
    let width = title.width().min(room);
    let place = Rect { x: area.x + 1, y: area.y, width: width as u16, height: 1 };
    text::put(frame.buffer_mut(), place, &title, ratatui::layout::HorizontalAlignment::Left, ellipsis);
    let right = Line::styled(format!(" {} ", chrome.right), theme.faint());
    if !chrome.right.is_empty() && width + 1 + right.width() <= room {
        let place = Rect { x: area.right() - 1 - right.width() as u16, width: right.width() as u16, ..place };
        text::put(frame.buffer_mut(), place, &right, ratatui::layout::HorizontalAlignment::Left, ellipsis);
    }
}

/// Names of which one is chosen: `Overview [Pieces] Files`. Where the room is short only the chosen one is named.
pub fn tabs(names: &[&'static str], chosen: usize, width: usize, theme: &Theme) -> Line<'static> {
    let mut line = Line::default();
    for (index, name) in names.iter().enumerate() {
        if index == chosen {
            line.push_span(Span::styled(format!("[{name}]"), theme.focus()));
        } else {
            line.push_span(Span::styled(format!(" {name} "), theme.faint()));
        }
    }
    if line.width() <= width {
        return line;
    }
    let name = names.get(chosen).copied().unwrap_or_default();
    Line::from(vec![
        Span::styled(format!("[{name}]"), theme.focus()),
        Span::styled(format!(" {}/{}", chosen + 1, names.len()), theme.faint()),
    ])
}

/// A line of a bar: what is done in `style`, and the rest faintly.
fn bar_spans(part: u64, whole: u64, width: usize, style: Style, theme: &Theme) -> Vec<Span<'static>> {
    let (done, rest) = super::bar(part, whole, width, theme.symbols);
    vec![Span::styled(done, style), Span::styled(rest, theme.faint())]
}

#[cfg(test)]
mod tests;
