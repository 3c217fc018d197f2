//! What a message does to the dashboard, and what is to be done for it outside.

mod dialogs;
mod keys;
mod mouse;
mod torrents;
mod typing;

use std::path::PathBuf;

use potluck_common::{
    InfoHash, Printable,
    control::{Request, Update, UpdateBody},
};

use crate::{
    keymap::Key,
    model::{
        dashboard::Dashboard,
        dialog::Dialog,
        hits::Hits,
        list::ListCursor,
        place::{List, Place},
    },
};

pub use self::mouse::{Mouse, MouseKind};

/// Something that the dashboard learns.
#[derive(Clone, Debug)]
pub enum Message {
    /// A key was pressed.
    Key(Key),
    /// The mouse was used.
    Mouse(Mouse),
    /// Text was pasted.
    Paste(String),
    /// The terminal has so many columns and lines.
    Resize(u16, u16),
    /// It is now so many seconds after 1970 (UTC).
    Tick(f64),
    /// The engine told something.
    Control(Update),
    /// The engine is gone.
    Lost,
    /// What was typed could go on so.
    Completed {
        /// What was typed.
        prefix: String,
        /// How it could go on, whole.
        paths: Vec<String>,
    },
    /// A file was written, or was not, and why not.
    Written {
        /// Which.
        path: PathBuf,
        /// Why not.
        result: Result<(), String>,
    },
    /// A frame was drawn, with things in these places.
    Drawn(Hits),
}

/// Something to be done outside.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// The engine is asked.
    Send(Request),
    /// Paths are looked up that begin so; [`Message::Completed`] tells them.
    Complete {
        /// What was typed.
        prefix: String,
        /// The same as a path from the root.
        path: PathBuf,
        /// Files are of no use.
        folders_only: bool,
    },
    /// A file is written that is not there yet; [`Message::Written`] tells how that went.
    Write {
        /// Which, from the root.
        path: PathBuf,
        /// What is to stand in it.
        text: String,
    },
    /// Text goes to the clipboard of the terminal.
    Copy(String),
    /// The shell gets the terminal until it gives it back.
    Suspend,
    /// Everything is drawn anew: something else may have written to the terminal.
    Redraw,
    /// The end.
    Quit,
}

/// Changes `model` as `message` says. What is returned is done in its order.
pub fn update(model: &mut Dashboard, message: Message) -> Vec<Effect> {
    let selected = model.selected().map(|row| row.summary.info_hash);
    let mut effects = Vec::new();
    match message {
        Message::Key(key) => keys::pressed(model, key, &mut effects),
        Message::Mouse(mouse) => mouse::used(model, mouse, &mut effects),
        Message::Paste(text) => typing::pasted(model, &text),
        Message::Resize(width, height) => model.size = (width, height),
        Message::Tick(now) => model.tick(now),
        Message::Control(told) => tell(model, told),
        Message::Lost => {
            // Nobody answers any more.
            (model.is_lost, model.notice) = (true, None);
            model.pending.clear();
        }
        Message::Completed { prefix, paths } => dialogs::completed(model, &prefix, paths),
        Message::Written { path, result } => match result {
            Ok(()) => model.say(format!("written to {}", path.display())),
            Err(error) => model.complain(format!("{} was not written: {error}", path.display())),
        },
        Message::Drawn(hits) => drawn(model, hits),
    }
    if model.selected().map(|row| row.summary.info_hash) != selected {
        model.release_kept();
        look_at_another(model);
    }
    dialogs::reopen_refused(model);
    effects.extend(model.ask_for_view().map(Effect::Send));
    effects
}

/// What is known of the torrent before says nothing of this one.
fn look_at_another(model: &mut Dashboard) {
    for list in [List::Files, List::Peers, List::Trackers] {
        *model.cursor_mut(list) = ListCursor::default();
    }
    model.piece = 0;
    model.cursor_mut(List::Log).selected = usize::MAX;
    let anchors = model.anchors();
    model.sort_detail(&anchors);
    model.follow_events(&anchors);
}

fn tell(model: &mut Dashboard, told: Update) {
    match told.body {
        UpdateBody::Reply(reply) => {
            let added = model.adding.remove(&reply.number);
            match (model.pending.remove(&reply.number), reply.result) {
                // Nobody waits to hear that it went well.
                (None, Ok(_)) => {}
                (Some(asked), Ok(words)) => {
                    let words = if words.as_str().is_empty() { &asked } else { words.as_str() };
                    model.answer(reply.number, words, false);
                }
                (_, Err(error)) => {
                    model.answer(reply.number, error.message.as_str(), true);
                    if let Some(add) = added {
                        dialogs::refused(model, add, error.message.to_string());
                    }
                }
            }
        }
        body => learn(model, body),
    }
}

fn learn(model: &mut Dashboard, body: UpdateBody) {
    let anchors = model.anchors();
    let (is_whole, delta) = match &body {
        UpdateBody::Snapshot(delta) => (true, delta),
        UpdateBody::Delta(delta) => (false, delta),
        UpdateBody::Hello { .. } | UpdateBody::Reply(_) => return,
    };
    let torrents = is_whole || !delta.torrents.is_empty() || !delta.removed.is_empty();
    let detail = torrents || delta.detail.is_some();
    let peers = is_whole || delta.peers.is_some();
    let events = torrents || !delta.events.is_empty();
    let near = model.selected().map(|row| (row.summary.info_hash, row.summary.name.clone()));
    model.state.apply(body);
    if torrents {
        model.sort_torrents(&anchors);
        close_empty_dialogs(model);
        leave_removed(model, near);
    }
    if detail {
        model.sort_detail(&anchors);
    }
    if peers {
        model.sort_all_peers(&anchors);
    }
    if events {
        model.follow_events(&anchors);
    }
}

/// A torrent that was seen from near and is gone is not exchanged for another one.
fn leave_removed(model: &mut Dashboard, near: Option<(InfoHash, Printable)>) {
    let Some((_, name)) = near.filter(|(torrent, _)| !model.state.torrents.contains_key(torrent)) else {
        return;
    };
    if !matches!(model.place, Place::Detail | Place::Discovery) {
        return;
    }
    model.place = Place::Torrents;
    model.say(format!("no longer in the list: {name}"));
}

/// Nothing is asked of torrents that are gone.
fn close_empty_dialogs(model: &mut Dashboard) {
    let known = &model.state.torrents;
    for dialog in &mut model.dialogs {
        if let Dialog::Delete { torrents, .. } | Dialog::Limits { torrents, .. } = dialog {
            torrents.retain(|torrent| known.contains_key(torrent));
        }
    }
    model.dialogs.retain(|dialog| {
        !matches!(dialog, Dialog::Delete { torrents, .. } | Dialog::Limits { torrents, .. } if torrents.is_empty())
    });
}

/// What is visible of the lists is known only now.
fn drawn(model: &mut Dashboard, hits: Hits) {
    model.hits = hits;
    for list in List::ALL {
        let (len, height) = (model.len(list), model.hits.height(list));
        let cursor = model.cursor_mut(list);
        *cursor = cursor.clamped(len, height);
        if let (Some(most), Some(shift)) = (model.hits.shift_most(list), model.shifts.get_mut(&list)) {
            *shift = (*shift).min(most);
        }
    }
    if let (Some(most), Some(Dialog::Help { cursor, .. })) =
        (model.hits.help_most(), model.dialogs.last_mut())
    {
        cursor.selected = cursor.selected.min(most);
    }
}

#[cfg(test)]
mod tests;
