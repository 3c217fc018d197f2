//! What keys ask of torrents and of their files.

use potluck_common::control::{Command, FilePriority, QueueStep, TorrentRow, TorrentState};

use super::{
    Effect,
    keys::{line, step},
};
use crate::{
    keymap::Action,
    model::{
        columns::{Sort, TorrentColumn},
        dashboard::Dashboard,
        dialog::{Dialog, Purpose},
        field::Field,
        place::List,
        setting::typed_rate,
    },
};

pub(super) fn with_targets(
    model: &mut Dashboard,
    run: impl FnOnce(&mut Dashboard, Vec<potluck_common::InfoHash>),
) {
    let targets = model.targets();
    if targets.is_empty() {
        return complain_of_none(model);
    }
    run(model, targets);
}

fn complain_of_none(model: &mut Dashboard) {
    let add = model.hint(Action::Add, "; ", " adds one");
    model.complain(format!("there is no torrent to do that to{add}"));
}

pub(super) fn ask_of_targets(
    model: &mut Dashboard,
    effects: &mut Vec<Effect>,
    command: impl FnOnce(Vec<potluck_common::InfoHash>) -> Command,
    words: &str,
) {
    with_targets(model, |model, torrents| {
        let left_alone = model.left_alone().map_or(String::new(), |words| format!("; {words}"));
        let words = format!("{words} {}{left_alone}", model.called(&torrents));
        effects.push(Effect::Send(model.ask(command(torrents), words)));
    });
}

/// Pauses what runs; starts what does not, unless something of it runs.
pub(super) fn pause(model: &mut Dashboard, effects: &mut Vec<Effect>) {
    let rests = |row: &TorrentRow| {
        let is_over = matches!(row.summary.state, TorrentState::Failed(_) | TorrentState::Stopped);
        row.is_paused || is_over && !row.is_queued
    };
    let all_rest = model.targets().iter().filter_map(|torrent| model.state.torrents.get(torrent)).all(rests);
    if all_rest {
        ask_of_targets(model, effects, Command::Start, "starting");
    } else {
        ask_of_targets(model, effects, Command::Pause, "pausing");
    }
}

pub(super) fn queue(model: &mut Dashboard, effects: &mut Vec<Effect>, to: QueueStep) {
    let words = match to {
        QueueStep::First => "first in the queue:",
        QueueStep::Up => "sooner in the queue:",
        QueueStep::Down => "later in the queue:",
        QueueStep::Last => "last in the queue:",
    };
    ask_of_targets(model, effects, |torrents| Command::Queue { torrents, to }, words);
}

/// Lists the torrents as they wait, or by their numbers if they stand so already.
pub(super) fn queue_order(model: &mut Dashboard) {
    let is_by_queue = model.torrent_sort == Sort::by(TorrentColumn::Queue, false);
    let column = if is_by_queue { TorrentColumn::Number } else { TorrentColumn::Queue };
    model.torrent_sort = Sort::by(column, false);
    model.sort_everything();
    model.say(if is_by_queue { "in the order of their numbers" } else { "in the order of the queue" });
}

/// An address is a peer of one torrent, whatever is marked.
pub(super) fn add_peer(model: &mut Dashboard) {
    match model.selected().map(|row| row.summary.info_hash) {
        Some(torrent) => model.dialogs.push(line(Purpose::Peer(torrent), "")),
        None => complain_of_none(model),
    }
}

/// What all of these torrents have; `None` if they differ.
fn common<T: PartialEq>(
    model: &Dashboard,
    torrents: &[potluck_common::InfoHash],
    of: impl Fn(&TorrentRow) -> T,
) -> Option<T> {
    let mut all = torrents.iter().filter_map(|torrent| model.state.torrents.get(torrent)).map(of);
    let first = all.next()?;
    all.all(|other| other == first).then_some(first)
}

pub(super) fn label(model: &mut Dashboard) {
    with_targets(model, |model, torrents| {
        let labels = common(model, &torrents, |row| row.labels.clone());
        let text = labels.as_ref().map_or(String::new(), |labels| {
            labels.iter().map(potluck_common::Printable::as_str).collect::<Vec<&str>>().join(", ")
        });
        model.dialogs.push(line(Purpose::Labels { torrents, differ: labels.is_none() }, &text));
    });
}

pub(super) fn limit(model: &mut Dashboard) {
    with_targets(model, |model, torrents| {
        let limits =
            [common(model, &torrents, |row| row.limits.down), common(model, &torrents, |row| row.limits.up)];
        let field = |limit: Option<Option<u64>>| match limit {
            Some(limit) => Field::new(&limit.map_or("none".to_owned(), typed_rate)),
            None => Field::default(),
        };
        let differ = limits.map(|limit| limit.is_none());
        let fields = limits.map(field);
        model.dialogs.push(Dialog::Limits { torrents, fields, differ, focus: 0, trouble: None });
    });
}

pub(super) fn copy_magnet(model: &mut Dashboard, effects: &mut Vec<Effect>) {
    let Some(row) = model.selected() else { return model.complain("there is no torrent to copy") };
    let known =
        model.detail().and_then(|detail| detail.lists.about.as_ref()).map(|about| about.magnet.clone());
    // It names the torrent all the same.
    let bare = if known.is_none() { " without its trackers, which are not known yet," } else { "" };
    let magnet = known.unwrap_or_else(|| format!("magnet:?xt=urn:btih:{}", row.summary.info_hash));
    model.say(format!("the magnet link{bare} went to the clipboard, if the terminal lets it (OSC 52)"));
    effects.push(Effect::Copy(magnet));
}

pub(super) fn mark(model: &mut Dashboard) {
    let Some(torrent) = model.selected().map(|row| row.summary.info_hash) else { return };
    if !model.marks.remove(&torrent) {
        model.marks.insert(torrent);
    }
    step(model, 1);
}

pub(super) fn mark_all(model: &mut Dashboard) {
    if model.order.iter().all(|torrent| model.marks.contains(torrent)) {
        model.marks.clear();
    } else {
        // Those that the filter hides are none of them.
        model.marks = model.order.iter().copied().collect();
    }
}

pub(super) fn set_file(
    model: &mut Dashboard,
    effects: &mut Vec<Effect>,
    change: fn(FilePriority) -> FilePriority,
) {
    let place = model.cursor(List::Files).selected;
    let file = model.file_order.get(place).copied();
    let known =
        model.detail().zip(file).map(|(detail, file)| (detail.info_hash, file, &detail.lists.files[file]));
    let Some((torrent, file, snapshot)) = known else { return };
    let priority = change(snapshot.priority);
    if priority == snapshot.priority {
        return;
    }
    let what = match priority {
        FilePriority::Skip => "skipping",
        FilePriority::Low => "after all others:",
        FilePriority::Normal => "fetching",
        FilePriority::High => "before all others:",
    };
    let words = format!("{what} {}", snapshot.path);
    let command = Command::SetFiles { torrent, files: vec![file as u32], priority };
    effects.push(Effect::Send(model.ask(command, words)));
}
