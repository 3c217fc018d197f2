//! What lies over a screen and asks something.

use potluck_common::{InfoHash, control::TorrentRow};
use ratatui::{
    Frame,
    layout::{HorizontalAlignment, Position, Rect},
    style::Modifier,
    text::{Line, Span},
    widgets::{Block, Clear},
};

use crate::{
    keymap::{Action, Context, Keymap},
    model::{
        dashboard::Dashboard,
        dialog::{Add, DeleteChoice, Dialog, Purpose, sort_choices},
        field::Field,
        hits::{Hits, Target},
    },
    units::Bytes,
    view::{layout::centered, look::Look, text},
};

/// Most completions that are shown.
const COMPLETIONS_SHOWN: usize = 8;

/// Most names of torrents that are to be deleted.
const NAMES_SHOWN: usize = 4;

/// A line of a dialog.
struct Row {
    line: Line<'static>,
    target: Option<Target>,
}

impl Row {
    fn of(line: impl Into<Line<'static>>) -> Self {
        Self { line: line.into(), target: None }
    }

    fn clicked(line: Line<'static>, target: Target) -> Self {
        Self { line, target: Some(target) }
    }
}

/// Clears a part in the middle of the screen, frames it, and says what is inside. Nothing else can be clicked.
pub(super) fn cover(
    frame: &mut Frame<'_>,
    size: (u16, u16),
    title: &str,
    look: &Look<'_>,
    hits: &mut Hits,
) -> Rect {
    let all = frame.area();
    let room = Rect { y: all.y + 1, height: all.height.saturating_sub(3), ..all };
    let area = centered(room, size.0.min(all.width.saturating_sub(4)), size.1);
    frame.render_widget(Clear, area);
    // Half of a wide character would hide the frame.
    for y in area.top()..area.bottom() {
        let beside = Position::new(area.x.saturating_sub(1), y);
        if let Some(cell) =
            frame.buffer_mut().cell_mut(beside).filter(|cell| Span::raw(cell.symbol()).width() > 1)
        {
            cell.set_symbol(" ");
        }
    }
    frame.buffer_mut().set_style(area, look.theme.base());
    let block = Block::bordered()
        .border_set(look.theme.symbols.border)
        .border_style(look.theme.focus())
        .title(Line::styled(format!(" {title} "), look.theme.strong()));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    hits.add(area, Target::Dialog);
    Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
}

/// Draws a dialog.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    model: &Dashboard,
    dialog: &Dialog,
    look: &Look<'_>,
    hits: &mut Hits,
) {
    let width = 76_u16.min(frame.area().width.saturating_sub(8));
    let (title, rows) = match dialog {
        Dialog::Add(add) => ("Add a torrent".to_owned(), add_rows(model, add, usize::from(width), look)),
        Dialog::Delete { torrents, choice } => {
            (format!("Delete {}?", model.called(torrents)), delete_rows(model, torrents, *choice, look))
        }
        Dialog::Line { purpose, field, trouble } => {
            let (title, hint) = line_words(model, purpose);
            let mut rows = vec![Row::of(typed(field, true, usize::from(width), look)), Row::of("")];
            rows.push(Row::of(note(trouble.as_deref(), &hint, look)));
            rows.extend(left_alone(model, look).filter(|_| matches!(purpose, Purpose::Labels { .. })));
            (title, rows)
        }
        Dialog::Limits { torrents, fields, differ, focus, trouble } => {
            let of = (&model.keymap, usize::from(width), look);
            let mut rows = limit_rows(fields, *differ, *focus, trouble.as_deref(), of);
            rows.extend(left_alone(model, look));
            (format!("Limits of {}", model.called(torrents)), rows)
        }
        Dialog::Sort { list, cursor } => {
            let height = usize::from(frame.area().height.saturating_sub(7)).max(1);
            let rows: Vec<usize> = cursor.window(sort_choices(*list).len(), height).collect();
            ("Sort by".to_owned(), sort_rows(model, *list, &rows, cursor.selected, look))
        }
        Dialog::Help { .. } => return,
    };
    let title = text::fitted(&title, usize::from(width).saturating_sub(4), look.theme.symbols.ellipsis);
    let inner = cover(frame, (width + 4, rows.len() as u16 + 2), &title, look, hits);
    for (y, row) in (inner.y..inner.bottom()).zip(rows) {
        let area = Rect { y, height: 1, ..inner };
        let ellipsis = look.theme.symbols.ellipsis;
        text::put(frame.buffer_mut(), area, &row.line, HorizontalAlignment::Left, ellipsis);
        if let Some(target) = row.target {
            hits.add(area, target);
        }
    }
}

/// What is wrong, or else a hint.
fn note(trouble: Option<&str>, hint: &str, look: &Look<'_>) -> Line<'static> {
    match trouble {
        Some(trouble) => Line::styled(format!("{} {trouble}", look.theme.symbols.failed), look.theme.bad()),
        None => Line::styled(hint.to_owned(), look.theme.faint()),
    }
}

/// What is typed, with the cursor in it, as far as it fits.
pub(super) fn typed_line(before: &str, after: &str, width: usize, look: &Look<'_>) -> Line<'static> {
    let width = width.max(4);
    // What was typed last is seen.
    let mut start = before.to_owned();
    while Span::raw(start.as_str()).width() > width - 2 {
        let first = start.chars().next().map_or(0, char::len_utf8);
        start.drain(..first);
    }
    let mut rest = after.chars();
    let under = rest.next().map_or(" ".to_owned(), |character| character.to_string());
    let left = width.saturating_sub(Span::raw(start.as_str()).width() + 1);
    let end = text::fitted(rest.as_str(), left, look.theme.symbols.ellipsis);
    let cursor = look.theme.base().add_modifier(Modifier::REVERSED);
    Line::from(vec![Span::raw(start), Span::styled(under, cursor), Span::raw(end)])
}

fn typed(field: &Field, is_focused: bool, width: usize, look: &Look<'_>) -> Line<'static> {
    if is_focused {
        let (before, after) = field.parts();
        return typed_line(before, after, width, look);
    }
    Line::raw(text::fitted(field.text(), width, look.theme.symbols.ellipsis))
}

fn labelled(label: &str, line: Line<'static>, is_focused: bool, look: &Look<'_>) -> Line<'static> {
    let style = if is_focused { look.theme.strong() } else { look.theme.faint() };
    let mut spans = vec![Span::styled(format!("{label:<8}"), style)];
    spans.extend(line.spans);
    Line::from(spans)
}

fn add_rows(model: &Dashboard, add: &Add, width: usize, look: &Look<'_>) -> Vec<Row> {
    let settings = model.state.session.as_ref().map(|session| &session.settings);
    let field = |place: usize, label: &str| {
        let line = typed(&add.fields[place], add.focus == place, width.saturating_sub(8), look);
        Row::clicked(labelled(label, line, add.focus == place, look), Target::Choice(place))
    };
    let mut rows = vec![field(0, "torrent")];
    rows.push(Row::of(Line::styled("        a .torrent file, or its URL".to_owned(), look.theme.faint())));
    rows.push(field(1, "into"));
    let folder =
        settings.map_or_else(String::new, |settings| settings.directory.to_string_lossy().into_owned());
    let folder = potluck_common::Printable::new(&folder);
    rows.push(Row::of(Line::styled(format!("        empty: {folder}"), look.theme.faint())));
    let waits = add.paused.unwrap_or_else(|| settings.is_some_and(|settings| settings.adds_paused));
    let start = if waits { "paused" } else { "at once" };
    let hint = |action, start, end| model.keymap.hint(Context::Add, action, start, end);
    let hints = [
        hint(Action::Accept, "", " adds"),
        hint(Action::Complete, "", " completes"),
        hint(Action::NextField, "", " the other field"),
    ];
    let hints: Vec<String> = hints.into_iter().filter(|hint| !hint.is_empty()).collect();
    rows.push(Row::of(Line::from(vec![
        Span::styled("start   ", look.theme.faint()),
        Span::raw(start),
        Span::styled(hint(Action::TogglePaused, "  ", " changes it"), look.theme.faint()),
    ])));
    rows.push(Row::of(note(add.trouble.as_deref(), &hints.join(", "), look)));
    for path in add.completions.iter().take(COMPLETIONS_SHOWN) {
        let path = potluck_common::Printable::new(path);
        rows.push(Row::of(Line::raw(format!("        {path}"))));
    }
    let more = add.completions.len().saturating_sub(COMPLETIONS_SHOWN);
    if more > 0 {
        rows.push(Row::of(Line::styled(format!("        and {more} more"), look.theme.faint())));
    }
    rows
}

/// What is about to go: names, sizes, and what is not meant though it is marked.
fn deleted(model: &Dashboard, torrents: &[InfoHash], look: &Look<'_>) -> Vec<Row> {
    let rows = || torrents.iter().filter_map(|torrent| model.state.torrents.get(torrent));
    let size = |row: &TorrentRow| Bytes(row.summary.have_size);
    let shown = if torrents.len() > NAMES_SHOWN + 1 { NAMES_SHOWN } else { torrents.len() };
    let mut lines: Vec<Row> = rows()
        .take(shown)
        .map(|row| Row::of(Line::raw(format!("{:>8}  {}", size(row).to_string(), row.summary.name))))
        .collect();
    if torrents.len() > shown {
        lines.push(Row::of(Line::raw(format!("          and {} more", torrents.len() - shown))));
    }
    let all = rows().fold(0_u64, |all, row| all.saturating_add(row.summary.have_size));
    lines.push(Row::of(Line::styled(
        format!("{:>8}  on the disk", Bytes(all).to_string()),
        look.theme.strong(),
    )));
    lines.extend(left_alone(model, look));
    lines.push(Row::of(""));
    lines
}

fn left_alone(model: &Dashboard, look: &Look<'_>) -> Option<Row> {
    model.left_alone().map(|words| Row::of(Line::styled(words, look.theme.warning())))
}

fn delete_rows(model: &Dashboard, torrents: &[InfoHash], choice: DeleteChoice, look: &Look<'_>) -> Vec<Row> {
    let (them, their) = if torrents.len() == 1 { ("it", "its") } else { ("them", "their") };
    let words = |one: DeleteChoice| {
        let (action, words) = match one {
            DeleteChoice::KeepData => {
                (Action::KeepData, format!("take {them} out of the list; {their} data stays on the disk"))
            }
            DeleteChoice::DeleteData => {
                (Action::DeleteData, format!("take {them} out and DELETE {their} data from the disk"))
            }
            DeleteChoice::Cancel => (Action::Close, "leave everything as it is".to_owned()),
        };
        format!("{}{words}", model.keymap.hint(Context::Delete, action, "", "  "))
    };
    let row = |(number, one): (usize, DeleteChoice)| {
        let is_chosen = one == choice;
        let mark = if is_chosen { look.theme.symbols.selected } else { " " };
        let mut style = if one == DeleteChoice::DeleteData { look.theme.bad() } else { look.theme.base() };
        if is_chosen {
            style = style.add_modifier(Modifier::REVERSED);
        }
        let line = Line::from(vec![Span::raw(format!("{mark} ")), Span::styled(words(one), style)]);
        Row::clicked(line, Target::Choice(number))
    };
    let mut rows = deleted(model, torrents, look);
    rows.extend(DeleteChoice::ALL.into_iter().enumerate().map(row));
    rows
}

fn line_words(model: &Dashboard, purpose: &Purpose) -> (String, String) {
    let (title, hint) = match purpose {
        Purpose::Filter { .. } => (String::new(), ""),
        Purpose::Labels { torrents, differ } => {
            let hint = if *differ {
                "they differ; empty leaves them as they are; words between commas replace all"
            } else {
                "between commas; empty takes all away"
            };
            (format!("Labels of {}", model.called(torrents)), hint)
        }
        Purpose::Peer(torrent) => (
            format!("A peer of {}", model.called(std::slice::from_ref(torrent))),
            "an address and a port, such as 192.0.2.7:6881 or [::1]:6881",
        ),
        Purpose::Export(_) => ("Write these events to a file".to_owned(), "a file that is not there yet"),
        Purpose::Setting(setting) => {
            return (setting.title().to_owned(), setting.words(&model.keymap));
        }
    };
    (title, hint.to_owned())
}

fn limit_rows(
    fields: &[Field; 2],
    differ: [bool; 2],
    focus: usize,
    trouble: Option<&str>,
    (keymap, width, look): (&Keymap, usize, &Look<'_>),
) -> Vec<Row> {
    let row = |place: usize, label: &str| {
        let line = typed(&fields[place], focus == place, width.saturating_sub(8), look);
        Row::clicked(labelled(label, line, focus == place, look), Target::Choice(place))
    };
    let goes_on = keymap.hint(Context::Limits, Action::NextField, "; ", " goes on");
    let hint = format!("bytes per second such as 500k or 2M; none is no limit{goes_on}");
    let mut rows = vec![row(0, "down"), row(1, "up"), Row::of("")];
    let which = match differ {
        [true, true] => Some("they"),
        [true, false] => Some("those down"),
        [false, true] => Some("those up"),
        [false, false] => None,
    };
    if let Some(which) = which {
        rows.push(Row::of(Line::raw(format!("{which} differ; empty leaves them as they are"))));
    }
    rows.push(Row::of(note(trouble, &hint, look)));
    rows
}

fn sort_rows(
    model: &Dashboard,
    list: crate::model::place::List,
    shown: &[usize],
    selected: usize,
    look: &Look<'_>,
) -> Vec<Row> {
    let choices = sort_choices(list);
    let now = model.sorted_by(list);
    let symbols = look.theme.symbols;
    let row = |number: &usize| {
        let (title, words) = *choices.get(*number)?;
        let mark = if *number == selected { symbols.selected } else { " " };
        let arrow = match now {
            Some((column, true)) if column == *number => symbols.descending,
            Some((column, false)) if column == *number => symbols.ascending,
            _ => " ",
        };
        let mut style = look.theme.base();
        if *number == selected {
            style = style.add_modifier(Modifier::REVERSED);
        }
        let line = Line::from(vec![
            Span::raw(format!("{mark} ")),
            Span::styled(format!("{title:<10}{words}"), style),
            Span::raw(format!(" {arrow}")),
        ]);
        Some(Row::clicked(line, Target::Choice(*number)))
    };
    shown.iter().filter_map(row).collect()
}
