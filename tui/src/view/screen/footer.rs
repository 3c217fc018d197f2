//! The last line: the keys that matter here, and the numbers of the screens.

use ratatui::{Frame, layout::Rect, text::Span};

use crate::{
    keymap::{Action, Binding, Context},
    model::{
        dashboard::Dashboard,
        hits::{Hits, Target},
        place::Place,
    },
    view::look::Look,
};

/// Draws the line; each key can be clicked.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Dashboard, look: &Look<'_>, hits: &mut Hits) {
    let context = model.context();
    let places = if model.dialogs.is_empty() { draw_places(frame, area, model, look, hits) } else { 0 };
    let end = area.right().saturating_sub(places);
    let mut x = area.x + 1;
    for (key, binding) in hints(model, context, end.saturating_sub(x)) {
        let (key_width, width) = (key.chars().count() as u16, hint_width(&key, binding.short));
        let cell = Rect { x, width, height: 1, ..area };
        frame.render_widget(Span::styled(key, look.theme.strong()), Rect { width: key_width, ..cell });
        let words = Rect { x: x + key_width + 1, width: width - key_width - 1, ..cell };
        frame.render_widget(Span::styled(binding.short, look.theme.faint()), words);
        hits.add(cell, Target::Action(binding.action));
        x += width + 2;
    }
}

/// As many keys as there is room for; those for help and the end are always among them.
fn hints(model: &Dashboard, context: Context, width: u16) -> Vec<(String, &'static Binding)> {
    let all: Vec<(String, &Binding)> = (model.keymap.bindings(context))
        .filter(|bound| !bound.binding.short.is_empty())
        .filter_map(|bound| {
            let key = bound.keys.iter().find(|key| context.hears(**key))?;
            Some((key.to_string(), bound.binding))
        })
        .collect();
    let must = |binding: &Binding| matches!(binding.action, Action::Help | Action::Quit | Action::Close);
    let cells = |(key, binding): &(String, &Binding)| hint_width(key, binding.short) + 2;
    let mut room = width.saturating_sub(all.iter().filter(|(_, binding)| must(binding)).map(cells).sum());
    let mut shown = Vec::new();
    let mut is_full = false;
    for hint in all {
        let needs = cells(&hint);
        if must(hint.1) {
            shown.push(hint);
        } else if !is_full && needs <= room {
            room -= needs;
            shown.push(hint);
        } else {
            is_full = true;
        }
    }
    shown
}

fn hint_width(key: &str, short: &str) -> u16 {
    (key.chars().count() + 1 + short.chars().count()) as u16
}

/// The screens, on the right: by name where there is room, else by number, and where their keys are too long, the one that
/// is shown alone. Says how many cells they take.
fn draw_places(
    frame: &mut Frame<'_>,
    area: Rect,
    model: &Dashboard,
    look: &Look<'_>,
    hits: &mut Hits,
) -> u16 {
    let name = |number: usize, place: Place| {
        let is_here = place == model.place;
        let key = model.hint(Action::Screen(number as u8), "", "");
        let space = if key.is_empty() { "" } else { " " };
        match (is_here, area.width) {
            // Where it has no key, the place is named by its first letter.
            (true, ..100) if key.is_empty() => format!("[{:.1}]", place.title()),
            (true, ..100) => format!("[{key}]"),
            (true, _) => format!("[{key}{space}{}]", place.title()),
            (false, 160..) => format!(" {key}{space}{} ", place.title()),
            (false, _) if key.is_empty() => format!(" {:.1}", place.title()),
            (false, _) => format!(" {key}"),
        }
    };
    let mut names: Vec<(Place, String)> =
        Place::ALL.into_iter().enumerate().map(|(number, place)| (place, name(number, place))).collect();
    let width = |names: &[(Place, String)]| names.iter().map(|(_, name)| name.chars().count() as u16).sum();
    let musts = hints(model, model.context(), 0);
    let musts: u16 = musts.iter().map(|(key, binding)| hint_width(key, binding.short) + 2).sum();
    if width(&names) + musts + 1 > area.width {
        names.retain(|(place, _)| *place == model.place);
    }
    let width = width(&names);
    let mut x = area.right().saturating_sub(width);
    for (place, name) in names {
        let cell = Rect { x, width: name.chars().count() as u16, height: 1, ..area };
        let style = if place == model.place { look.theme.strong() } else { look.theme.faint() };
        frame.render_widget(Span::styled(name, style), cell);
        hits.add(cell, Target::Place(place));
        x += cell.width;
    }
    width + 1
}
