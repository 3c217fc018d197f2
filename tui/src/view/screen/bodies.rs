//! What stands in each panel.

use ratatui::{
    Frame,
    layout::{HorizontalAlignment, Rect},
    text::Line,
};

use super::settings;
use crate::{
    model::{dashboard::Dashboard, hits::Hits, place::List},
    units::{PerSecond, percent},
    view::{layout::Panel, look::Look, text},
};

/// What stands above a panel, on the left and on the right.
pub(super) fn titles(panel: Panel, model: &Dashboard, _look: &Look<'_>) -> (String, String) {
    let of_torrent = Panel::DETAILS.contains(&panel);
    let name = model.selected().filter(|_| of_torrent).map(|row| row.summary.name.as_str());
    (
        name.map_or_else(|| panel.title().to_owned(), |name| format!("{name} > {}", panel.title())),
        String::new(),
    )
}

/// The session in a few numbers.
pub(super) fn header(frame: &mut Frame<'_>, area: Rect, model: &Dashboard, _look: &Look<'_>) {
    let text = match &model.state.session {
        Some(session) => {
            format!(" potluck  {}  {}", PerSecond(session.down_rate), PerSecond(session.up_rate))
        }
        None => " potluck  starting".to_owned(),
    };
    text::put(frame.buffer_mut(), area, &Line::raw(text), HorizontalAlignment::Left, "");
}

/// Draws a panel within its frame.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    panel: Panel,
    model: &Dashboard,
    look: &Look<'_>,
    hits: &mut Hits,
) {
    let lines: Vec<String> = match panel {
        Panel::Settings => return settings::draw(frame, area, model, look, hits),
        Panel::Torrents => {
            let cursor = model.cursor(List::Torrents);
            let window = cursor.window(model.order.len(), usize::from(area.height));
            hits.add_list(List::Torrents, area, window.start);
            (model.order[window.clone()].iter().zip(window))
                .map(|(info_hash, place)| {
                    let row = &model.state.torrents[info_hash];
                    let mark = if place == cursor.selected { ">" } else { " " };
                    let summary = &row.summary;
                    let done = percent(summary.wanted_have, summary.wanted_size);
                    format!("{mark}{} {done} % {:?}", summary.name, summary.state)
                })
                .collect()
        }
        _ => Vec::new(),
    };
    for (y, line) in (area.y..area.bottom()).zip(lines) {
        let row = Rect { y, height: 1, ..area };
        text::put(frame.buffer_mut(), row, &Line::raw(line), HorizontalAlignment::Left, "");
    }
}
