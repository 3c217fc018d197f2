//! What keys do in a dialog.

use std::path::{Path, PathBuf};

use potluck_common::{
    InfoHash,
    control::{AddTorrent, Command, Limits, TorrentSource},
    magnet::Magnet,
};

use super::{
    Effect,
    typing::{edit, field},
};
use crate::{
    keymap::Action,
    model::{
        dashboard::Dashboard,
        dialog::{Add, DeleteChoice, Dialog, Purpose, sort_choices},
        field::Field,
        place::List,
    },
    units::parse_rate,
};

/// Does what a key is for in the topmost dialog.
pub(super) fn perform(model: &mut Dashboard, action: Action, effects: &mut Vec<Effect>) {
    match action {
        Action::Close => close(model),
        Action::Accept => accept(model, effects),
        Action::NextField => next_field(model),
        Action::Complete => complete(model, effects),
        Action::TogglePaused => {
            let by_itself = model.state.session.as_ref().is_some_and(|session| session.settings.adds_paused);
            if let Some(Dialog::Add(add)) = model.dialogs.last_mut() {
                add.paused = Some(!add.paused.unwrap_or(by_itself));
            }
        }
        Action::KeepData => delete(model, DeleteChoice::KeepData, effects),
        Action::DeleteData => delete(model, DeleteChoice::DeleteData, effects),
        Action::EraseBack => edit(model, Field::backspace),
        Action::EraseForward => edit(model, Field::delete),
        Action::EraseWord => edit(model, Field::delete_word),
        Action::EraseLine => edit(model, Field::delete_to_start),
        Action::Left => with_field(model, Field::left),
        Action::Right => with_field(model, Field::right),
        Action::First | Action::Last if is_typed_into(model) => {
            with_field(model, if action == Action::First { Field::home } else { Field::end });
        }
        Action::Up => step(model, -1),
        Action::Down => step(model, 1),
        Action::PageUp => step(model, -10),
        Action::PageDown => step(model, 10),
        Action::First => step(model, isize::MIN),
        Action::Last => step(model, isize::MAX),
        _ => {}
    }
}

fn is_typed_into(model: &mut Dashboard) -> bool {
    model.dialogs.last_mut().is_some_and(|dialog| field(dialog).is_some())
}

fn with_field(model: &mut Dashboard, change: fn(&mut Field)) {
    if let Some(field) = model.dialogs.last_mut().and_then(field) {
        change(field);
    }
}

fn step(model: &mut Dashboard, steps: isize) {
    match model.dialogs.last_mut() {
        Some(Dialog::Delete { choice, .. }) => {
            let all = DeleteChoice::ALL;
            let place = (*choice as usize).saturating_add_signed(steps).min(all.len() - 1);
            *choice = all[place];
        }
        Some(Dialog::Sort { list, cursor }) => cursor.step(steps, sort_choices(*list).len()),
        Some(Dialog::Help { .. }) => scroll_help(model, steps),
        _ => {}
    }
}

/// Moves what is seen of the help. The view knows how many lines there are.
pub(super) fn scroll_help(model: &mut Dashboard, lines: isize) {
    let most = model.hits.help_most().unwrap_or(0);
    if let Some(Dialog::Help { cursor, .. }) = model.dialogs.last_mut() {
        cursor.step(lines, most + 1);
    }
}

fn close(model: &mut Dashboard) {
    if let Some(Dialog::Line { purpose: Purpose::Filter { list, before }, .. }) = model.dialogs.pop() {
        model.set_filter(list, &before);
    }
}

fn next_field(model: &mut Dashboard) {
    match model.dialogs.last_mut() {
        Some(Dialog::Add(Add { focus, completions, .. })) => {
            *focus = 1 - (*focus).min(1);
            completions.clear();
        }
        Some(Dialog::Limits { focus, .. }) => *focus = 1 - (*focus).min(1),
        _ => {}
    }
}

/// The topmost dialog is done.
pub(super) fn accept(model: &mut Dashboard, effects: &mut Vec<Effect>) {
    match model.dialogs.last().cloned() {
        Some(Dialog::Help { .. }) => drop(model.dialogs.pop()),
        Some(Dialog::Add(add)) => add_torrents(model, &add, effects),
        Some(Dialog::Delete { choice, .. }) => delete(model, choice, effects),
        Some(Dialog::Sort { list, cursor }) => {
            model.dialogs.pop();
            if let Some(words) = model.sort_by(list, cursor.selected) {
                model.say(words);
            }
        }
        Some(Dialog::Limits { torrents, fields, differ, .. }) => {
            limit(model, torrents, &fields, differ, effects);
        }
        Some(Dialog::Line { purpose, field, .. }) => take_line(model, purpose, field.text(), effects),
        None => {}
    }
}

fn refuse(model: &mut Dashboard, why: String) {
    match model.dialogs.last_mut() {
        Some(Dialog::Line { trouble, .. } | Dialog::Limits { trouble, .. }) => *trouble = Some(why),
        Some(Dialog::Add(add)) => add.trouble = Some(why),
        _ => {}
    }
}

fn take_line(model: &mut Dashboard, purpose: Purpose, text: &str, effects: &mut Vec<Effect>) {
    let asked = match purpose {
        // It works already. What of it makes no sense is said once more.
        Purpose::Filter { list, .. } => {
            model.dialogs.pop();
            let trouble = model.filters.get(&list).and_then(|filter| filter.trouble()).map(ToOwned::to_owned);
            return trouble.into_iter().for_each(|trouble| model.complain(trouble));
        }
        Purpose::Labels { differ: true, .. } if text.trim().is_empty() => {
            model.dialogs.pop();
            return model.say("labels stay as they are");
        }
        Purpose::Labels { torrents, .. } => match read_labels(text) {
            Ok(labels) => {
                let words = format!("labels of {} changed", model.called(&torrents));
                Ok((Command::SetLabels { torrents, labels }, words))
            }
            Err(why) => Err(why),
        },
        Purpose::Peer(torrent) => text
            .trim()
            .parse()
            .map(|address| (Command::AddPeer { torrent, address }, format!("trying {address}")))
            .map_err(|_| {
                format!(
                    "{text:?} is not an address and a port; write one such as 192.0.2.7:6881 or [::1]:6881"
                )
            }),
        Purpose::Export(list) => return export(model, list, text.trim(), effects),
        Purpose::Setting(setting) => {
            let Some(session) = &model.state.session else { return };
            let text = if setting == crate::model::setting::Setting::Directory {
                whole_path(model, text).to_string_lossy().into_owned()
            } else {
                text.to_owned()
            };
            setting
                .read(&text, &session.settings)
                .map(|change| (Command::Set(change), format!("{} changed", setting.title())))
        }
    };
    match asked {
        Ok((command, words)) => {
            model.dialogs.pop();
            effects.push(Effect::Send(model.ask(command, words)));
        }
        Err(why) => refuse(model, why),
    }
}

fn export(model: &mut Dashboard, list: List, text: &str, effects: &mut Vec<Effect>) {
    if text.is_empty() {
        return refuse(model, "name a file".to_owned());
    }
    let (path, text) = (whole_path(model, text), model.events_as_text(list));
    model.dialogs.pop();
    effects.push(Effect::Write { path, text });
}

/// Labels stand between commas.
fn read_labels(text: &str) -> Result<Vec<String>, String> {
    let labels: Vec<String> =
        text.split(',').map(str::trim).filter(|label| !label.is_empty()).map(ToOwned::to_owned).collect();
    if labels.len() > Command::LABELS_MAX {
        return Err(format!("at most {} labels", Command::LABELS_MAX));
    }
    match labels.iter().find(|label| label.chars().count() > Command::LABEL_CHARS_MAX) {
        Some(long) => Err(format!("{long:?} is longer than {} characters", Command::LABEL_CHARS_MAX)),
        None => Ok(labels),
    }
}

fn limit(
    model: &mut Dashboard,
    torrents: Vec<InfoHash>,
    fields: &[Field; 2],
    differ: [bool; 2],
    effects: &mut Vec<Effect>,
) {
    // The outer `None` leaves what each torrent has.
    let [down, up] = [0, 1].map(|place| match fields[place].text().trim() {
        "" if differ[place] => Ok(None),
        "" => Ok(Some(None)),
        text => parse_rate(text).map(|rate| Some(rate.0)),
    });
    let (down, up) = match (down, up) {
        (Ok(down), Ok(up)) => (down, up),
        (Err(why), _) | (_, Err(why)) => return refuse(model, why),
    };
    model.dialogs.pop();
    if down.is_none() && up.is_none() {
        return model.say("limits stay as they are");
    }
    let mut alike: Vec<(Limits, Vec<InfoHash>)> = Vec::new();
    for torrent in torrents {
        let own = model.state.torrents.get(&torrent).map(|row| row.limits).unwrap_or_default();
        let limits = Limits { down: down.unwrap_or(own.down), up: up.unwrap_or(own.up) };
        match alike.iter_mut().find(|(other, _)| *other == limits) {
            Some((_, torrents)) => torrents.push(torrent),
            None => alike.push((limits, vec![torrent])),
        }
    }
    for (limits, torrents) in alike {
        let words = format!("limits of {} changed", model.called(&torrents));
        effects.push(Effect::Send(model.ask(Command::SetLimits { torrents, limits }, words)));
    }
}

/// Takes torrents out as `choice` says.
pub(super) fn delete(model: &mut Dashboard, choice: DeleteChoice, effects: &mut Vec<Effect>) {
    let Some(Dialog::Delete { torrents, .. }) = model.dialogs.pop() else { return };
    if choice == DeleteChoice::Cancel {
        return;
    }
    let data = choice == DeleteChoice::DeleteData;
    let also = if data { " and its data" } else { "; its data stays" };
    let words = format!("removing {}{also}", model.called(&torrents));
    for torrent in &torrents {
        model.marks.remove(torrent);
    }
    effects.push(Effect::Send(model.ask(Command::Remove { torrents, data }, words)));
}

fn add_torrents(model: &mut Dashboard, add: &Add, effects: &mut Vec<Effect>) {
    let text = add.fields[0].text().trim();
    if text.is_empty() {
        return refuse(
            model,
            "type the path or the URL of a .torrent file or a magnet link, or paste one".to_owned(),
        );
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    // Several links may be pasted at once; a path may hold spaces.
    let sources = if words.iter().all(|word| is_url(word)) { words } else { vec![text] };
    let folder = add.fields[1].text().trim();
    let directory = (!folder.is_empty()).then(|| whole_path(model, folder));
    model.dialogs.pop();
    for source in sources {
        let body = if is_url(source) {
            TorrentSource::Url(source.to_owned())
        } else {
            TorrentSource::Path(whole_path(model, source))
        };
        let torrent =
            AddTorrent { source: body, directory: directory.clone(), paused: add.paused, labels: Vec::new() };
        let words = format!("adding {}", short(source));
        let request = model.ask(Command::Add(torrent), words);
        let fields = [Field::new(source), add.fields[1].clone()];
        model.adding.insert(request.number, Add { fields, paused: add.paused, ..Add::default() });
        effects.push(Effect::Send(request));
    }
}

/// Something could not be added: what was typed comes back with the reason, as soon as nothing else is typed.
pub(super) fn refused(model: &mut Dashboard, mut add: Add, why: String) {
    add.trouble = Some(why);
    let are_urls = |add: &Add| add.fields[0].text().split_whitespace().all(is_url);
    match model.refused.back_mut() {
        // Of many links that were pasted at once those that failed come back at once.
        Some(other) if other.fields[1] == add.fields[1] && are_urls(other) && are_urls(&add) => {
            other.fields[0].insert(&format!(" {}", add.fields[0].text()));
        }
        _ => model.refused.push_back(add),
    }
}

/// Opens what could not be added, once there is no dialog.
pub(super) fn reopen_refused(model: &mut Dashboard) {
    if model.dialogs.is_empty()
        && let Some(add) = model.refused.pop_front()
    {
        model.dialogs.push(Dialog::Add(add));
    }
}

/// Whether it is a link, and no path.
pub(super) fn is_url(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let is_link = ["magnet:", "http://", "https://"].iter().any(|start| text.starts_with(start));
    is_link || Magnet::parse_loose(&text).is_ok()
}

/// The end of a long path or link says more than its beginning.
fn short(text: &str) -> String {
    const CHARS_MAX: usize = 48;
    let count = text.chars().count();
    if count <= CHARS_MAX { text.to_owned() } else { text.chars().take(CHARS_MAX).collect::<String>() + ".." }
}

/// A path from the root.
fn whole_path(model: &Dashboard, text: &str) -> PathBuf {
    match (text.strip_prefix('~'), &model.home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            // `join("")` keeps a slash at the end, which asks for what is in the folder.
            home.join(rest.trim_start_matches('/'))
        }
        _ => model.directory.join(Path::new(text)),
    }
}

fn complete(model: &mut Dashboard, effects: &mut Vec<Effect>) {
    let Some(Dialog::Add(add)) = model.dialogs.last() else { return };
    let focus = add.focus.min(1);
    let prefix = add.fields[focus].text().to_owned();
    if is_url(&prefix) || prefix.is_empty() && focus == 1 {
        return next_field(model);
    }
    let mut path = whole_path(model, &prefix).into_os_string();
    if (prefix.is_empty() || prefix.ends_with('/') || prefix == "~") && !path.to_string_lossy().ends_with('/')
    {
        path.push("/");
    }
    effects.push(Effect::Complete { prefix, path: path.into(), folders_only: focus == 1 });
}

/// Takes in how a path could go on.
pub(super) fn completed(model: &mut Dashboard, prefix: &str, paths: Vec<String>) {
    let Some(Dialog::Add(add)) = model.dialogs.last_mut() else { return };
    let field = &mut add.fields[add.focus.min(1)];
    // Somebody typed on in the meantime.
    if field.text() != prefix {
        return;
    }
    let Some(first) = paths.first() else {
        add.trouble = Some("nothing there begins so".to_owned());
        return;
    };
    let common = paths.iter().skip(1).fold(first.as_str(), |common, path| {
        let same = common.char_indices().zip(path.chars()).find(|((_, one), other)| one != other);
        let end = same.map_or(common.len().min(path.len()), |((at, _), _)| at);
        &common[..end]
    });
    if common.len() > prefix.len() {
        field.set(common);
    }
    add.completions = if paths.len() > 1 { paths } else { Vec::new() };
}
