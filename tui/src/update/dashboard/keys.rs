//! What keys do on a screen.

use potluck_common::control::{Command, FilePriority, HistoryRange, Level, QueueStep, SettingsChange};

use super::{Effect, dialogs, torrents, typing};
use crate::{
    date,
    keymap::{Action, Context, Key},
    model::{
        dashboard::Dashboard,
        dialog::{Add, DeleteChoice, Dialog, Purpose},
        field::Field,
        list::ListCursor,
        place::{List, Place, Tab},
        setting::{Change, Setting},
    },
};

/// A key was pressed.
pub(super) fn pressed(model: &mut Dashboard, key: Key, effects: &mut Vec<Effect>) {
    let context = model.context();
    match model.keymap.action(context, key) {
        Some(action) => perform(model, action, effects),
        None if context.is_typed_into() => typing::typed(model, key),
        None => {}
    }
}

/// Does what a key, or a click on its name, is for.
pub(super) fn perform(model: &mut Dashboard, action: Action, effects: &mut Vec<Effect>) {
    match action {
        Action::Redraw => return effects.push(Effect::Redraw),
        Action::Suspend => return effects.push(Effect::Suspend),
        _ if !model.dialogs.is_empty() => return dialogs::perform(model, action, effects),
        Action::Quit => return effects.push(Effect::Quit),
        _ => {}
    }
    // What was said about the command before is read by now.
    if !is_movement(action) {
        model.notice = None;
    }
    match action {
        Action::Up => step(model, -1),
        Action::Down => step(model, 1),
        Action::PageUp => page(model, -1),
        Action::PageDown => page(model, 1),
        Action::First => step(model, isize::MIN),
        Action::Last => step(model, isize::MAX),
        Action::Left => step_piece(model, -1),
        Action::Right => step_piece(model, 1),
        Action::Open => open(model),
        Action::Back => back(model),
        Action::NextTab => next_tab(model, 1),
        Action::PreviousTab => next_tab(model, usize::MAX),
        Action::Screen(number) => go(model, Place::ALL[usize::from(number) % Place::ALL.len()]),
        Action::ShowFiles => show_tab(model, Tab::Files),
        Action::ShowPeers => show_tab(model, Tab::Peers),
        Action::ShowEvents => go(model, Place::Events),
        Action::Pause => torrents::pause(model, effects),
        Action::Add => model.dialogs.push(Dialog::Add(Add::default())),
        Action::Delete => torrents::with_targets(model, |model, torrents| {
            model.dialogs.push(Dialog::Delete { torrents, choice: DeleteChoice::default() });
        }),
        Action::Verify => torrents::ask_of_targets(model, effects, Command::Verify, "verifying"),
        Action::Reannounce => {
            torrents::ask_of_targets(model, effects, Command::Reannounce, "asking the trackers of");
        }
        Action::Label => torrents::label(model),
        Action::Limits => torrents::limit(model),
        Action::CopyMagnet => torrents::copy_magnet(model, effects),
        Action::AddPeer => torrents::add_peer(model),
        Action::Mark => torrents::mark(model),
        Action::MarkAll => torrents::mark_all(model),
        Action::QueueUp => torrents::queue(model, effects, QueueStep::Up),
        Action::QueueDown => torrents::queue(model, effects, QueueStep::Down),
        Action::QueueFirst => torrents::queue(model, effects, QueueStep::First),
        Action::QueueLast => torrents::queue(model, effects, QueueStep::Last),
        Action::QueueOrder => torrents::queue_order(model),
        Action::SkipFile => torrents::set_file(model, effects, |priority| match priority {
            FilePriority::Skip => FilePriority::Normal,
            _ => FilePriority::Skip,
        }),
        Action::RaiseFile => torrents::set_file(model, effects, |priority| match priority {
            FilePriority::Skip => FilePriority::Low,
            FilePriority::Low => FilePriority::Normal,
            FilePriority::Normal | FilePriority::High => FilePriority::High,
        }),
        Action::LowerFile => torrents::set_file(model, effects, |priority| match priority {
            FilePriority::High => FilePriority::Normal,
            FilePriority::Normal => FilePriority::Low,
            FilePriority::Low | FilePriority::Skip => FilePriority::Skip,
        }),
        Action::Filter => filter(model),
        Action::SortMenu => sort_menu(model),
        Action::Reverse => reverse(model),
        Action::ColumnsRight => shift_columns(model, 1),
        Action::ColumnsLeft => shift_columns(model, -1),
        Action::EventLevel => event_level(model),
        Action::ChokesOnly => chokes_only(model),
        Action::Turtle => turtle(model, effects),
        Action::GraphRange => graph_range(model),
        Action::BitsOrBytes => model.taste.bits = !model.taste.bits,
        Action::GraphScale => model.taste.log = !model.taste.log,
        Action::Export => export(model),
        Action::Zen => model.zen = !model.zen,
        Action::Taller => model.move_split(1),
        Action::Shorter => model.move_split(-1),
        Action::ToggleDetail => model.toggles.detail = !model.toggles.detail,
        Action::ToggleSpeed => model.toggles.speed = !model.toggles.speed,
        Action::ToggleFairness => model.toggles.fairness = !model.toggles.fairness,
        Action::ToggleEvents => model.toggles.events = !model.toggles.events,
        Action::ToggleDisk => model.toggles.disk = !model.toggles.disk,
        Action::Help => {
            model.dialogs.push(Dialog::Help { query: Field::default(), cursor: ListCursor::default() });
        }
        Action::Change => change_setting(model, effects),
        // Done above, or of dialogs only.
        Action::Redraw
        | Action::Suspend
        | Action::Quit
        | Action::Accept
        | Action::Close
        | Action::NextField
        | Action::Complete
        | Action::TogglePaused
        | Action::KeepData
        | Action::DeleteData
        | Action::EraseBack
        | Action::EraseForward
        | Action::EraseWord
        | Action::EraseLine => {}
    }
}

fn is_movement(action: Action) -> bool {
    matches!(
        action,
        Action::Up | Action::Down | Action::PageUp | Action::PageDown | Action::First | Action::Last
    )
}

/// Goes so many entries, or lines of the map of pieces, down.
pub(super) fn step(model: &mut Dashboard, steps: isize) {
    if model.screen_context() == Context::Pieces {
        let (line, _) = model.hits.map_steps();
        return move_piece(model, i64::from(line).saturating_mul(steps as i64));
    }
    let Some(list) = model.focused_list() else { return };
    let (len, height) = (model.len(list), model.hits.height(list));
    let cursor = model.cursor_mut(list);
    cursor.step(steps, len);
    *cursor = cursor.clamped(len, height);
}

fn page(model: &mut Dashboard, pages: isize) {
    let lines = match model.focused_list() {
        Some(list) => model.hits.height(list).saturating_sub(1).max(1),
        None => 5,
    };
    step(model, pages * lines.cast_signed());
}

fn step_piece(model: &mut Dashboard, cells: i64) {
    let (_, cell) = model.hits.map_steps();
    move_piece(model, cells * i64::from(cell));
}

fn move_piece(model: &mut Dashboard, pieces: i64) {
    let last = model.selected().map_or(0, |row| row.summary.pieces.saturating_sub(1));
    let piece = i64::from(model.piece).saturating_add(pieces).clamp(0, i64::from(last));
    model.piece = piece as u32;
}

/// Goes to a screen.
pub(super) fn go(model: &mut Dashboard, place: Place) {
    model.zen = false;
    model.place = place;
}

/// Looks at a torrent from near.
pub(super) fn show_tab(model: &mut Dashboard, tab: Tab) {
    model.tab = tab;
    go(model, Place::Detail);
}

fn next_tab(model: &mut Dashboard, steps: usize) {
    let back = steps == usize::MAX;
    match model.place {
        Place::Torrents | Place::Detail => {
            model.tab = model.tab.after(if back { Tab::ALL.len() - 1 } else { steps });
        }
        place => go(model, place.after(if back { Place::ALL.len() - 1 } else { steps })),
    }
}

/// Opens what is under the cursor.
pub(super) fn open(model: &mut Dashboard) {
    match model.place {
        Place::Peers => {
            let place = model.cursor(List::AllPeers).selected;
            let entry = model.all_peer_order.get(place).map(|place| &model.state.peers[*place]);
            let Some((torrent, peer)) = entry.map(|entry| (entry.info_hash, entry.peer.address)) else {
                return;
            };
            let Some(place) = model.order.iter().position(|other| *other == torrent) else {
                return model.complain("the filter hides this torrent");
            };
            model.cursor_mut(List::Torrents).selected = place;
            show_tab(model, Tab::Peers);
            model.say(format!("the torrent of {peer}"));
        }
        _ if model.selected().is_some() => go(model, Place::Detail),
        _ => {}
    }
}

/// Takes away what was set last: a filter, then marks; then to the list of torrents.
fn back(model: &mut Dashboard) {
    if model.zen {
        model.zen = false;
        return;
    }
    if let Some(list) = model.filtered_list().filter(|list| !model.filter_text(*list).is_empty()) {
        return model.set_filter(list, "");
    }
    if model.place == Place::Torrents && !model.marks.is_empty() {
        return model.marks.clear();
    }
    go(model, Place::Torrents);
}

pub(super) fn line(purpose: Purpose, text: &str) -> Dialog {
    Dialog::Line { purpose, field: Field::new(text), trouble: None }
}

/// Events go to a file whose name says when that was.
fn export(model: &mut Dashboard) {
    let Some(list @ (List::Log | List::Events)) = model.focused_list() else { return };
    let local = model.now as i64 + model.zone.ahead_seconds(model.now as i64);
    let (day, clock) = (date::day(local).unwrap_or_default(), date::clock(local));
    let name = format!("~/potluck-events-{day}-{clock}.txt").replace(':', "");
    model.dialogs.push(line(Purpose::Export(list), &name));
}

fn filter(model: &mut Dashboard) {
    let Some(list) = model.filtered_list() else { return };
    let before = model.filter_text(list).to_owned();
    model.dialogs.push(line(Purpose::Filter { list, before: before.clone() }, &before));
}

fn sort_menu(model: &mut Dashboard) {
    let Some(list) = model.sorted_list() else { return };
    let selected = model.sorted_by(list).map_or(0, |(column, _)| column);
    let cursor = ListCursor::at(selected);
    model.dialogs.push(Dialog::Sort { list, cursor });
}

fn reverse(model: &mut Dashboard) {
    let Some(list) = model.sorted_list() else { return };
    let Some((column, _)) = model.sorted_by(list) else { return };
    if let Some(words) = model.sort_by(list, column) {
        model.say(words);
    }
}

fn shift_columns(model: &mut Dashboard, steps: isize) {
    let Some(list) = model.sorted_list() else { return };
    let most = model.hits.shift_most(list).unwrap_or(0);
    let shift = model.shift(list).saturating_add_signed(steps).min(most);
    model.shifts.insert(list, shift);
}

fn event_level(model: &mut Dashboard) {
    let anchors = model.anchors();
    let (level, words) = match model.level {
        Level::Debug => (Level::Info, "information"),
        Level::Info => (Level::Warn, "warnings"),
        Level::Warn => (Level::Error, "errors only"),
        Level::Error => (Level::Debug, "everything, also each choke and connection"),
    };
    (model.level, model.chokes_only) = (level, false);
    model.follow_events(&anchors);
    model.say(format!("events from this level on: {words}"));
}

fn chokes_only(model: &mut Dashboard) {
    let anchors = model.anchors();
    model.chokes_only = !model.chokes_only;
    model.follow_events(&anchors);
    model.say(if model.chokes_only { "only whom we choke or unchoke, and why" } else { "all events" });
}

fn turtle(model: &mut Dashboard, effects: &mut Vec<Effect>) {
    let Some(session) = &model.state.session else { return };
    let is_slow = !session.settings.is_slow;
    let words = if is_slow { "the turtle is on: the slow limits hold" } else { "the turtle is off" };
    effects.push(Effect::Send(model.ask(Command::Set(SettingsChange::Slow(is_slow)), words)));
}

fn graph_range(model: &mut Dashboard) {
    let place = HistoryRange::ALL.iter().position(|range| *range == model.range).unwrap_or(0);
    model.range = HistoryRange::ALL[(place + 1) % HistoryRange::ALL.len()];
}

/// Changes the setting under the cursor.
pub(super) fn change_setting(model: &mut Dashboard, effects: &mut Vec<Effect>) {
    let Some(setting) = Setting::ALL.get(model.cursor(List::Settings).selected).copied() else { return };
    let Some(session) = &model.state.session else { return };
    match setting.enter(&session.settings, &model.taste) {
        Change::Own(taste) => model.taste = taste,
        Change::Asked(change) => {
            let words = format!("{} changed", setting.title());
            effects.push(Effect::Send(model.ask(Command::Set(change), words)));
        }
        Change::Typed => {
            let text = setting.typed(&session.settings);
            model.dialogs.push(line(Purpose::Setting(setting), &text));
        }
    }
}
