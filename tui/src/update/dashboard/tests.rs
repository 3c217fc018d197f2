//! What each key does, and that nothing that can happen breaks anything.

mod adding;
mod chaos;
mod events;
mod lists;
mod mouse;
mod near;
mod queue;
mod sentences;

use crossterm::event::KeyCode;
use potluck_common::{
    Printable,
    control::{
        Command, CommandError, CommandErrorKind, FilePriority, Limits, Reply, RequestBody, SettingsChange,
        TorrentSource, View,
    },
};

use super::*;
use crate::{
    keymap::Action,
    model::{
        columns::TorrentColumn,
        dialog::DeleteChoice,
        place::{Place, Tab},
        samples::{self, whole},
    },
};

/// A dashboard that knows the samples, with the cursor on the torrent that is known from near.
pub(crate) fn board() -> Dashboard {
    let mut model = Dashboard::new(Some("/home/me".into()), "/srv".into());
    let state = samples::state();
    let near = state.detail.as_ref().map(|detail| detail.info_hash);
    update(&mut model, Message::Tick(1_000.0));
    update(&mut model, Message::Control(whole(&state)));
    let place = model.order.iter().position(|torrent| Some(*torrent) == near).expect("it is in the list");
    for _ in 0..place {
        press(&mut model, "j");
    }
    model.assert_invariants();
    model
}

/// Presses keys one after the other: characters, or names such as `Enter`, between spaces.
fn press(model: &mut Dashboard, keys: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for name in keys.split(' ') {
        let key = match name {
            "Enter" => Key::plain(KeyCode::Enter),
            "Esc" => Key::plain(KeyCode::Esc),
            "Tab" => Key::plain(KeyCode::Tab),
            "BackTab" => Key::plain(KeyCode::BackTab),
            "Space" => Key::char(' '),
            "Down" => Key::plain(KeyCode::Down),
            "Right" => Key::plain(KeyCode::Right),
            "Left" => Key::plain(KeyCode::Left),
            "Ctrl-C" => Key::control('c'),
            "Ctrl-L" => Key::control('l'),
            "Ctrl-P" => Key::control('p'),
            "Ctrl-U" => Key::control('u'),
            "Ctrl-Z" => Key::control('z'),
            "PgDn" => Key::plain(KeyCode::PageDown),
            _ => {
                let mut characters = name.chars();
                let character = characters.next().expect("a key");
                assert!(characters.next().is_none(), "{name} is no key");
                Key::char(character)
            }
        };
        effects.extend(update(model, Message::Key(key)));
        model.assert_invariants();
    }
    effects
}

fn type_in(model: &mut Dashboard, text: &str) {
    for character in text.chars() {
        update(model, Message::Key(Key::char(character)));
    }
}

/// What was asked for; what is to be seen is left out.
fn commands(effects: &[Effect]) -> Vec<Command> {
    let command = |effect: &Effect| match effect {
        Effect::Send(Request { body: RequestBody::Command(command), .. }) => Some(command.clone()),
        _ => None,
    };
    effects.iter().filter_map(command).collect()
}

fn views(effects: &[Effect]) -> Vec<View> {
    let view = |effect: &Effect| match effect {
        Effect::Send(Request { body: RequestBody::View(view), .. }) => Some(view.clone()),
        _ => None,
    };
    effects.iter().filter_map(view).collect()
}

#[test]
fn keys_ask_for_what_they_say() {
    let selected = board().targets();
    let all = |command: fn(Vec<InfoHash>) -> Command| vec![command(selected.clone())];
    let torrent = selected[0];
    let cases = [
        ("v", all(Command::Verify)),
        ("r", all(Command::Reannounce)),
        ("Space", all(Command::Pause)),
        (
            "T",
            vec![Command::Set(SettingsChange::Slow(
                !board().state.session.expect("a session").settings.is_slow,
            ))],
        ),
        ("d Enter", vec![Command::Remove { torrents: selected.clone(), data: false }]),
        ("d t", vec![Command::Remove { torrents: selected.clone(), data: false }]),
        ("d D", vec![Command::Remove { torrents: selected.clone(), data: true }]),
        ("d j Enter", vec![Command::Remove { torrents: selected.clone(), data: true }]),
        ("d j j Enter", vec![]),
        ("d Esc", vec![]),
        ("d q", vec![]),
        (
            "L Ctrl-U 2 M Tab Ctrl-U 5 0 0 k Enter",
            vec![Command::SetLimits {
                torrents: selected.clone(),
                limits: Limits { down: Some(2 << 20), up: Some(500 << 10) },
            }],
        ),
        ("L Ctrl-U f Enter", vec![]),
        (
            "l Ctrl-U a , b , Enter",
            vec![Command::SetLabels {
                torrents: selected.clone(),
                labels: vec!["a".to_owned(), "b".to_owned()],
            }],
        ),
        (
            "P 1 . 2 . 3 . 4 : 5 Enter",
            vec![Command::AddPeer { torrent, address: "1.2.3.4:5".parse().expect("an address") }],
        ),
        ("P 1 . 2 Enter", vec![]),
        ("q", vec![]),
    ];
    for (keys, wanted) in cases {
        assert_eq!(commands(&press(&mut board(), keys)), wanted, "{keys}");
    }
    assert!(press(&mut board(), "q").contains(&Effect::Quit));
    assert!(press(&mut board(), "Ctrl-C").contains(&Effect::Quit));
    assert!(press(&mut board(), "Ctrl-Z").contains(&Effect::Suspend));
    assert!(press(&mut board(), "a Ctrl-L").contains(&Effect::Redraw));
    assert!(!press(&mut board(), "a q").contains(&Effect::Quit), "it is typed");
    assert!(
        matches!(&press(&mut board(), "c")[..], [Effect::Copy(magnet)] if magnet.starts_with("magnet:?"))
    );
}

#[test]
fn screens_and_tabs_are_gone_to() {
    let cases = [
        ("2", Place::Detail, Tab::Overview),
        ("3", Place::Peers, Tab::Overview),
        ("4", Place::Discovery, Tab::Overview),
        ("5", Place::Fairness, Tab::Overview),
        ("6", Place::Events, Tab::Overview),
        ("7", Place::Settings, Tab::Overview),
        ("7 1", Place::Torrents, Tab::Overview),
        ("e", Place::Events, Tab::Overview),
        ("f", Place::Detail, Tab::Files),
        ("p", Place::Detail, Tab::Peers),
        ("p Esc", Place::Torrents, Tab::Peers),
        ("Enter", Place::Detail, Tab::Overview),
        ("Tab Tab", Place::Torrents, Tab::Files),
        ("Enter Right Right Right", Place::Detail, Tab::Pieces),
        ("Enter Left", Place::Detail, Tab::Log),
        ("Enter BackTab Tab Tab", Place::Detail, Tab::Pieces),
        ("3 Tab", Place::Discovery, Tab::Overview),
        ("3 BackTab", Place::Detail, Tab::Overview),
        ("7 Tab", Place::Torrents, Tab::Overview),
    ];
    for (keys, place, tab) in cases {
        let mut model = board();
        press(&mut model, keys);
        assert_eq!((model.place, model.tab), (place, tab), "{keys}");
    }
    let mut model = board();
    press(&mut model, "3 j Enter");
    assert_eq!((model.place, model.tab), (Place::Detail, Tab::Peers));
}

#[test]
fn what_is_seen_is_what_is_asked_for() {
    let mut model = board();
    let torrent = model.targets()[0];
    let mut asks = |keys: &str| views(&press(&mut model, keys)).pop();
    let view = asks("p").expect("another view");
    let detail = view.detail.expect("a torrent");
    assert_eq!(detail.info_hash, torrent);
    assert!(detail.aspects.peers && !detail.aspects.files && !view.peers);
    assert_eq!(asks("y"), None, "nothing else is seen");
    let detail = asks("Tab Tab Tab Tab").expect("another view").detail.expect("a torrent");
    assert!(detail.aspects.pieces);
    assert_eq!(detail.piece, Some(0));
    assert_eq!(asks("Right").expect("another piece").detail.expect("a torrent").piece, Some(1));
    let view = asks("3").expect("another view");
    assert!(view.peers);
    let view = asks("7").expect("another view");
    assert_eq!((view.detail, view.peers, view.fairness, view.history), (None, false, false, None));
    let view = asks("z").expect("another view");
    assert!(view.history.is_some() && view.detail.is_none());
}

#[test]
fn the_disk_is_asked_for_where_there_is_room_to_show_it() {
    for (size, keys, is_asked_for) in
        [((80, 24), "7", false), ((100, 30), "7", true), ((200, 60), "7 1", true), ((140, 40), "7 1", false)]
    {
        let mut model = board();
        update(&mut model, Message::Resize(size.0, size.1));
        press(&mut model, keys);
        assert_eq!(model.view().disk, is_asked_for, "{keys} at {size:?}");
    }
}

#[test]
fn settings_are_changed() {
    let mut model = board();
    let asked = commands(&press(&mut model, "7 j Enter Ctrl-U 1 M Enter"));
    assert!(
        matches!(&asked[..], [Command::Set(SettingsChange::Limits(limits))] if limits.down == Some(1 << 20))
    );
    assert_eq!(commands(&press(&mut model, "Enter Ctrl-U x Enter")), []);
    assert!(matches!(model.dialogs.last(), Some(Dialog::Line { trouble: Some(_), .. })));
    press(&mut model, "Esc G Enter k Enter");
    assert!(model.taste.log && model.taste.bits);
    press(&mut model, "Y y");
    assert!(!model.taste.log && !model.taste.bits, "from anywhere");
    let asked = commands(&press(&mut model, "g Enter Ctrl-U ~ / x Enter"));
    assert_eq!(asked, [Command::Set(SettingsChange::Directory("/home/me/x".into()))]);
}
