//! The screen of settings.

use ratatui::{
    Frame,
    layout::{HorizontalAlignment, Rect},
    text::{Line, Span},
};

use crate::{
    model::{dashboard::Dashboard, hits::Hits, place::List, setting::Setting},
    view::{look::Look, text},
};

/// Draws what may be changed, one a line.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Dashboard, look: &Look<'_>, hits: &mut Hits) {
    let Some(session) = &model.state.session else { return };
    let (theme, cursor) = (look.theme, model.cursor(List::Settings));
    let window = cursor.window(Setting::ALL.len(), usize::from(area.height));
    for (y, number) in (area.y..area.bottom()).zip(window.clone()) {
        let setting = Setting::ALL[number];
        let is_selected = number == cursor.selected;
        let mark = if is_selected { theme.symbols.selected } else { " " };
        let value = setting.value(&session.settings, &model.taste);
        let line = Line::from(vec![
            Span::styled(format!("{mark} "), theme.strong()),
            Span::raw(format!("{:<22}", setting.title())),
            Span::styled(format!("{value:<24}"), theme.strong()),
            Span::styled(format!(" {}", setting.words(&model.keymap)), theme.faint()),
        ]);
        let row = Rect { y, height: 1, ..area };
        text::put(frame.buffer_mut(), row, &line, HorizontalAlignment::Left, theme.symbols.ellipsis);
        if is_selected {
            frame.buffer_mut().set_style(row, theme.selection());
        }
    }
    // What there is no room for in the line stands whole below.
    let below = area.y + window.len() as u16 + 1;
    if let Some(setting) = Setting::ALL.get(cursor.selected).filter(|_| below < area.bottom()) {
        let line = Line::styled(format!("  {}", setting.words(&model.keymap)), theme.faint());
        let row = Rect { y: below, height: 1, ..area };
        text::put(frame.buffer_mut(), row, &line, HorizontalAlignment::Left, theme.symbols.ellipsis);
    }
    let rows = Rect { height: area.height.min(Setting::ALL.len() as u16), ..area };
    hits.add_list(List::Settings, rows, window.start);
}
