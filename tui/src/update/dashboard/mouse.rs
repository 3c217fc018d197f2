//! What the mouse does.

use super::{Effect, dialogs, keys};
use crate::model::{
    dashboard::Dashboard,
    dialog::{DeleteChoice, Dialog},
    hits::Target,
    list::ListCursor,
    place::{List, Place},
};

/// Lines that the wheel moves.
const WHEEL_LINES: isize = 3;

/// Something that was done with the mouse.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mouse {
    /// What.
    pub kind: MouseKind,
    /// Where, from 0.
    pub column: u16,
    /// Where, from 0.
    pub row: u16,
}

/// What can be done with a mouse.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MouseKind {
    /// The left button was pressed.
    Click,
    /// The mouse was moved with it.
    Drag,
    /// The wheel was turned away from the person.
    WheelUp,
    /// The wheel was turned towards the person.
    WheelDown,
}

/// The mouse was used.
pub(super) fn used(model: &mut Dashboard, mouse: Mouse, effects: &mut Vec<Effect>) {
    match mouse.kind {
        MouseKind::Click => {
            model.is_splitting = false;
            if let Some(target) = model.hits.at(mouse.column, mouse.row) {
                clicked(model, target, effects);
            }
        }
        MouseKind::Drag if model.is_splitting && model.dialogs.is_empty() => drag(model, mouse.row),
        MouseKind::Drag => {}
        MouseKind::WheelUp => wheel(model, mouse, -WHEEL_LINES),
        MouseKind::WheelDown => wheel(model, mouse, WHEEL_LINES),
    }
}

/// The border below the list goes to where the mouse is.
fn drag(model: &mut Dashboard, row: u16) {
    if let Some(split) = model.arrangement().split() {
        model.move_split(row.min(i16::MAX.cast_unsigned()).cast_signed() - split.y.cast_signed());
    }
}

fn wheel(model: &mut Dashboard, mouse: Mouse, lines: isize) {
    if let Some(Dialog::Help { .. }) = model.dialogs.last() {
        return dialogs::scroll_help(model, lines);
    }
    let under = model.hits.list_at(mouse.column, mouse.row);
    let Some(list) = under.filter(|_| model.dialogs.is_empty()) else { return };
    let (len, height) = (model.len(list), model.hits.height(list));
    model.cursor_mut(list).scroll(lines, len, height);
}

fn clicked(model: &mut Dashboard, target: Target, effects: &mut Vec<Effect>) {
    match target {
        Target::Action(action) => keys::perform(model, action, effects),
        Target::Choice(number) => choose(model, number, effects),
        // Below a dialog nothing can be clicked.
        _ if !model.dialogs.is_empty() => {}
        Target::Dialog => {}
        Target::Split => model.is_splitting = true,
        Target::Entry(list, place) => {
            let len = model.len(list);
            if place >= len {
                return;
            }
            let was_selected = model.cursor(list).selected == place;
            model.cursor_mut(list).selected = place;
            // A second click on the same opens it.
            match list {
                List::Torrents if was_selected && model.place == Place::Torrents => keys::open(model),
                List::AllPeers if was_selected => keys::open(model),
                List::Settings if was_selected => keys::change_setting(model, effects),
                _ => {}
            }
        }
        Target::Column(list, column) => {
            if let Some(words) = model.sort_by(list, column) {
                model.say(words);
            }
        }
        Target::Tab(tab) => model.tab = tab,
        Target::Place(place) => keys::go(model, place),
        Target::Piece(piece) => {
            let pieces = model.selected().map_or(0, |row| row.summary.pieces);
            if piece < pieces {
                model.piece = piece;
            }
        }
    }
}

fn choose(model: &mut Dashboard, number: usize, effects: &mut Vec<Effect>) {
    match model.dialogs.last_mut() {
        Some(Dialog::Delete { choice, .. }) => {
            let Some(chosen) = DeleteChoice::ALL.get(number).copied() else { return };
            *choice = chosen;
            // What cannot be undone takes a second step.
            if chosen != DeleteChoice::DeleteData {
                dialogs::delete(model, chosen, effects);
            }
        }
        Some(Dialog::Sort { cursor, .. }) => {
            *cursor = ListCursor { selected: number, ..*cursor };
            dialogs::accept(model, effects);
        }
        Some(Dialog::Add(add)) => {
            add.focus = number.min(1);
        }
        Some(Dialog::Limits { focus, .. }) => *focus = number.min(1),
        Some(Dialog::Help { .. } | Dialog::Line { .. }) | None => {}
    }
}
