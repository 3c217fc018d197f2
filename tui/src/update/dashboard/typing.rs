//! What is typed or pasted.

use crossterm::event::KeyCode;

use crate::{
    keymap::Key,
    model::{
        dashboard::Dashboard,
        dialog::{Add, Dialog, Purpose},
        field::Field,
        list::ListCursor,
    },
};

/// The line that the topmost dialog is typed into.
pub(super) fn field(dialog: &mut Dialog) -> Option<&mut Field> {
    match dialog {
        Dialog::Help { query, .. } => Some(query),
        Dialog::Add(add) => add.fields.get_mut(add.focus),
        Dialog::Line { field, .. } => Some(field),
        Dialog::Limits { fields, focus, .. } => fields.get_mut(*focus),
        Dialog::Delete { .. } | Dialog::Sort { .. } => None,
    }
}

/// A key that means nothing else.
pub(super) fn typed(model: &mut Dashboard, key: Key) {
    if let Key { code: KeyCode::Char(character), control: false } = key {
        edit(model, |field| field.insert(character.encode_utf8(&mut [0; 4])));
    }
}

/// Changes what is typed; what follows from it changes with it.
pub(super) fn edit(model: &mut Dashboard, change: impl FnOnce(&mut Field)) {
    let Some(dialog) = model.dialogs.last_mut() else { return };
    let Some(field) = field(dialog) else { return };
    change(field);
    let text = field.text().to_owned();
    match dialog {
        Dialog::Help { cursor, .. } => *cursor = ListCursor::default(),
        Dialog::Add(add) => {
            add.trouble = None;
            add.completions.clear();
        }
        Dialog::Line { purpose: Purpose::Filter { list, .. }, trouble, .. } => {
            let list = *list;
            *trouble = None;
            model.set_filter(list, &text);
            let told = model.filters.get(&list).and_then(|filter| filter.trouble()).map(ToOwned::to_owned);
            if let Some(Dialog::Line { trouble, .. }) = model.dialogs.last_mut() {
                *trouble = told;
            }
        }
        Dialog::Line { trouble, .. } | Dialog::Limits { trouble, .. } => *trouble = None,
        Dialog::Delete { .. } | Dialog::Sort { .. } => {}
    }
}

/// Text was pasted: into what is being typed, or else it is something to add.
pub(super) fn pasted(model: &mut Dashboard, text: &str) {
    let text = text.trim();
    if model.dialogs.last_mut().is_some_and(|dialog| field(dialog).is_some()) {
        return edit(model, |field| field.insert(text));
    }
    if text.is_empty() {
        return;
    }
    let fields = [Field::new(text), Field::default()];
    model.dialogs.push(Dialog::Add(Add { fields, ..Add::default() }));
}
