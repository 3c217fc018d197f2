//! The dashboard's screens: which panel shows what, with the header above and the keys below.

mod bodies;
mod dialogs;
mod footer;
mod help;
mod settings;
mod signs;

use ratatui::{
    Frame,
    layout::{HorizontalAlignment, Rect},
    text::{Line, Span},
    widgets::{Block, Paragraph},
};

use super::{
    layout::{Panel, SIZE_MIN},
    look::Look,
    text,
};
use crate::{
    keymap::{Action, Context},
    model::{
        dashboard::{Dashboard, Tone},
        dialog::{Dialog, Purpose},
        hits::{Hits, Target},
        place::{List, Place, Tab},
    },
    theme::Theme,
    units::{PerSecond, count},
};

/// Draws the dashboard on the whole of `frame`, and says where everything is.
pub fn draw(frame: &mut Frame<'_>, model: &Dashboard, theme: &Theme) -> Hits {
    let mut hits = Hits::default();
    let area = frame.area();
    frame.buffer_mut().set_style(area, theme.base());
    // The size that the model knows may be older than the frame.
    if area.width < SIZE_MIN.0 || area.height < SIZE_MIN.1 {
        draw_too_small(frame, model, theme);
        return hits;
    }
    let look = Look { theme, bits: model.taste.bits, now: model.now };
    for (panel, area) in model.arrangement().panels {
        draw_panel(frame, area.intersection(frame.area()), panel, model, &look, &mut hits);
    }
    if let Some(split) = model.arrangement().split() {
        hits.add(split.intersection(frame.area()), Target::Split);
    }
    for (place, dialog) in model.dialogs.iter().enumerate() {
        // Of several the topmost can be used.
        let mut below = Hits::default();
        let hits = if place + 1 == model.dialogs.len() { &mut hits } else { &mut below };
        match dialog {
            Dialog::Help { query, cursor } => help::draw(frame, model, query, *cursor, &look, hits),
            Dialog::Line { purpose: Purpose::Filter { .. }, .. } => {}
            dialog => dialogs::draw(frame, model, dialog, &look, hits),
        }
    }
    hits
}

fn draw_panel(
    frame: &mut Frame<'_>,
    area: Rect,
    panel: Panel,
    model: &Dashboard,
    look: &Look<'_>,
    hits: &mut Hits,
) {
    if area.is_empty() {
        return;
    }
    match panel {
        Panel::Header => bodies::header(frame, area, model, look),
        Panel::Status => draw_status(frame, area, model, look),
        Panel::Footer => footer::draw(frame, area, model, look, hits),
        panel => {
            let inner = open(frame, area, panel, model, look);
            bodies::draw(frame, inner, panel, model, look, hits);
            if model.place == Place::Detail && panel == model.tab.panel() || is_beside_list(panel, model) {
                draw_tabs(frame, area, model, look, hits);
            }
        }
    }
}

/// It shows a tab of the selected torrent below the list.
fn is_beside_list(panel: Panel, model: &Dashboard) -> bool {
    model.place == Place::Torrents && panel == model.tab.panel()
}

/// The panel that keys act on.
fn is_focused(panel: Panel, model: &Dashboard) -> bool {
    panel
        == match model.place {
            Place::Torrents => Panel::Torrents,
            Place::Detail => model.tab.panel(),
            Place::Peers => Panel::AllPeers,
            Place::Discovery => Panel::Trackers,
            Place::Fairness => Panel::Fairness,
            Place::Events => Panel::Events,
            Place::Settings => Panel::Settings,
        }
}

/// Draws a panel's frame and title, and says what is left inside.
fn open(frame: &mut Frame<'_>, area: Rect, panel: Panel, model: &Dashboard, look: &Look<'_>) -> Rect {
    let theme = look.theme;
    let is_focused = is_focused(panel, model);
    let style = if is_focused { theme.focus() } else { theme.frame() };
    let block = Block::bordered().border_set(theme.symbols.border).border_style(style);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let (left, right) = bodies::titles(panel, model, look);
    let room = usize::from(area.width.saturating_sub(4));
    // Each has half of the room, and what the other does not need.
    let left_needs = Span::raw(left.as_str()).width().min(room / 2);
    let right = text::fitted(&right, room.saturating_sub(left_needs + 3), theme.symbols.ellipsis);
    let right_needs = Span::raw(right.as_str()).width();
    let left = text::fitted(&left, room.saturating_sub(right_needs + 3), theme.symbols.ellipsis);
    let title = Rect { x: area.x + 2, width: area.width.saturating_sub(4), height: 1, ..area };
    let put = |frame: &mut Frame<'_>, text: String, style, side| {
        if !text.is_empty() {
            text::put(frame.buffer_mut(), title, &Line::styled(format!(" {text} "), style), side, "");
        }
    };
    put(frame, left, theme.strong(), HorizontalAlignment::Left);
    put(frame, right, theme.faint(), HorizontalAlignment::Right);
    inner
}

/// The names of the tabs stand in the lower border.
fn draw_tabs(frame: &mut Frame<'_>, area: Rect, model: &Dashboard, look: &Look<'_>, hits: &mut Hits) {
    let mut x = area.x + 2;
    for tab in Tab::ALL {
        let name = if tab == model.tab { format!("[{}]", tab.title()) } else { format!(" {} ", tab.title()) };
        let width = name.chars().count() as u16;
        if x + width + 1 > area.right() {
            break;
        }
        let style = if tab == model.tab { look.theme.strong() } else { look.theme.faint() };
        let cell = Rect { x, y: area.bottom() - 1, width, height: 1 };
        frame.render_widget(Span::styled(name, style), cell);
        hits.add(cell, Target::Tab(tab));
        x += width;
    }
}

/// One sentence: what is typed to filter, or why it goes as it goes.
fn draw_status(frame: &mut Frame<'_>, area: Rect, model: &Dashboard, look: &Look<'_>) {
    let (theme, ellipsis) = (look.theme, look.theme.symbols.ellipsis);
    if let Some(Dialog::Line { purpose: Purpose::Filter { list, .. }, field, trouble }) = model.dialogs.last()
    {
        let terms = if *list == List::Torrents { ", state:seed ratio>2 label:x" } else { "" };
        let hint = trouble.clone().unwrap_or_else(|| {
            let hint = |action, start, end| model.keymap.hint(Context::Line, action, start, end);
            let keeps = hint(Action::Accept, "; ", " keeps it");
            format!("words{terms}{keeps}{}", hint(Action::Close, ", ", " takes it back"))
        });
        let style = if trouble.is_some() { theme.bad() } else { theme.faint() };
        let (before, after) = field.parts();
        let room = usize::from(area.width).saturating_sub(2);
        let line = dialogs::typed_line(before, after, room, look);
        let mut spans = vec![Span::styled(" /", theme.accent())];
        spans.extend(line.spans);
        spans.push(Span::styled(format!("  {hint}"), style));
        text::put(frame.buffer_mut(), area, &Line::from(spans), HorizontalAlignment::Left, ellipsis);
        return;
    }
    let (tone, sentence) = model.sentence();
    let (mark, style) = match tone {
        Tone::Plain => (" ", theme.base()),
        Tone::Waiting => (theme.symbols.waiting, theme.warning()),
        Tone::Bad => (theme.symbols.failed, theme.bad()),
    };
    let line = Line::from(vec![Span::styled(format!("{mark} "), style), Span::styled(sentence, style)]);
    text::put(frame.buffer_mut(), area, &line, HorizontalAlignment::Left, ellipsis);
}

fn draw_too_small(frame: &mut Frame<'_>, model: &Dashboard, theme: &Theme) {
    let area = frame.area();
    let mut lines = vec![Line::styled(
        format!("need {}x{}, have {}x{}", SIZE_MIN.0, SIZE_MIN.1, area.width, area.height),
        theme.warning(),
    )];
    if let Some(session) = &model.state.session {
        let (symbols, down, up) = (theme.symbols, session.down_rate, session.up_rate);
        lines.push(Line::raw(format!(
            "{} {} {} {}",
            symbols.downloading,
            PerSecond(down),
            symbols.seeding,
            PerSecond(up)
        )));
        lines.push(Line::raw(count(model.state.torrents.len() as u64, "torrent")));
    }
    lines.push(Line::styled(model.hint(Action::Quit, "", " quits"), theme.faint()));
    frame.render_widget(Paragraph::new(lines), area);
}

#[cfg(test)]
mod tests;
