//! What each key does, and that nothing that can happen breaks anything.

mod chaos;

use crossterm::event::KeyCode;
use potluck_common::{
    Printable,
    control::{
        Command, CommandError, CommandErrorKind, Delta, FilePriority, Limits, Reply, RequestBody,
        SettingsChange, State, TorrentSource, View,
    },
};

use super::*;
use crate::{
    keymap::Action,
    model::{
        columns::TorrentColumn,
        dialog::DeleteChoice,
        place::{Place, Tab},
        samples,
    },
};

/// Everything that there is to see of `state`.
pub(super) fn whole(state: &State) -> Update {
    let detail = state.detail.clone().map(|detail| {
        let lists = detail.lists;
        let mut delta = potluck_common::control::DetailDelta::none(detail.info_hash);
        delta.about = lists.about;
        delta.peers = Some(potluck_common::control::ListDelta::Whole(lists.peers));
        delta.trackers = Some(potluck_common::control::ListDelta::Whole(lists.trackers));
        delta.files = Some(potluck_common::control::ListDelta::Whole(lists.files));
        delta.pieces = Some(potluck_common::control::ListDelta::Whole(lists.pieces));
        delta.holders = lists.holders.into_iter().next();
        delta.fairness = lists.fairness;
        delta.history = detail.history;
        delta
    });
    let delta = Delta {
        session: state.session.clone(),
        torrents: state.torrents.values().cloned().collect(),
        removed: Vec::new(),
        detail,
        peers: Some(potluck_common::control::ListDelta::Whole(state.peers.clone())),
        fairness: state.fairness.clone(),
        history: state.history.clone(),
        events: state.events.iter().cloned().collect(),
    };
    Update { number: 1, body: UpdateBody::Snapshot(Box::new(delta)) }
}

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
fn the_cursor_stays_on_its_torrent() {
    let mut model = board();
    let torrent = model.targets();
    for column in 0..TorrentColumn::ALL.len() {
        for _ in 0..2 {
            model.sort_by(List::Torrents, column);
            assert_eq!(model.targets(), torrent, "{column}");
        }
    }
    update(&mut model, Message::Resize(200, 60));
    let mut state = samples::state();
    state.torrents.retain(|info_hash, row| row.number % 3 == 0 || torrent.contains(info_hash));
    update(&mut model, Message::Control(whole(&state)));
    assert_eq!(model.targets(), torrent);
    model.set_filter(List::Torrents, "done<=100");
    assert_eq!(model.targets(), torrent);
    state.torrents.remove(&torrent[0]);
    update(&mut model, Message::Control(whole(&state)));
    assert_ne!(model.targets(), torrent);
    model.assert_invariants();
}

type Holds = fn(&potluck_common::control::TorrentRow) -> bool;

#[test]
fn filters_show_what_they_say() {
    let mut model = board();
    let all = model.order.len();
    let cases: [(&str, Holds); 6] = [
        ("state:seed", |row| row.summary.state == potluck_common::control::TorrentState::Seeding),
        ("state:paused", |row| row.is_paused),
        ("ratio>1", |row| row.ratio() > 1.0),
        ("size>=1G", |row| row.summary.wanted_size >= 1 << 30),
        ("private:no done<100", |row| !row.is_private && row.summary.wanted_have < row.summary.wanted_size),
        ("copies<1", |row| row.summary.distributed_copies < 1.0),
    ];
    for (text, holds) in cases {
        model.set_filter(List::Torrents, text);
        let wanted = model.state.torrents.values().filter(|row| holds(row)).count();
        assert_eq!(model.order.len(), wanted, "{text}");
        assert!(model.order.iter().all(|info_hash| holds(&model.state.torrents[info_hash])), "{text}");
    }
    let name = model.state.torrents.values().next().expect("a torrent").summary.name.to_string();
    press(&mut model, "/ Ctrl-U");
    type_in(&mut model, &name[..name.len().min(6)]);
    assert!(!model.order.is_empty() && model.order.len() < all, "it works while it is typed");
    press(&mut model, "Esc");
    assert_eq!(model.filter_text(List::Torrents), "copies<1", "as it was before");
    press(&mut model, "Esc");
    assert_eq!(model.order.len(), all);
    for text in ["ratio>x", "state:", "state:odd", "speed>1", "tag:x", "private:maybe"] {
        let told = crate::model::filter::Filter::of_torrents(text);
        let is_word = text.ends_with(':') && text != "state:";
        assert_eq!(told.trouble().is_none(), is_word, "{text}: {:?}", told.trouble());
    }
    press(&mut model, "/");
    type_in(&mut model, "ratio>x");
    press(&mut model, "Enter");
    let notice = model.notice.expect("it is explained");
    assert!(notice.is_bad && notice.text.as_str().contains("ratio>1.5"), "{notice:?}");
}

#[test]
fn marks_take_the_commands() {
    let mut model = board();
    press(&mut model, "g m m");
    let marked: Vec<_> = model.order[..2].to_vec();
    assert_eq!(commands(&press(&mut model, "v")), [Command::Verify(marked)]);
    press(&mut model, "M");
    assert_eq!(model.marks.len(), model.order.len());
    press(&mut model, "M");
    assert!(model.marks.is_empty());
    press(&mut model, "m Esc");
    assert!(model.marks.is_empty());
}

#[test]
fn what_a_filter_hides_is_left_alone() {
    let mut model = board();
    press(&mut model, "g m m m m m");
    let marked = model.marks.clone();
    model.set_filter(List::Torrents, "state:seed");
    let wanted: Vec<_> = model.order.iter().copied().filter(|torrent| marked.contains(torrent)).collect();
    assert!(!wanted.is_empty() && wanted.len() < 5, "{wanted:?}");
    let hidden = 5 - wanted.len();
    assert_eq!(model.left_alone(), Some(format!("{hidden} of 5 marked are hidden and left alone")));
    assert_eq!(commands(&press(&mut model, "v")), [Command::Verify(wanted.clone())]);
    assert!(model.sentence().1.contains("4 of 5 marked are hidden and left alone"), "{:?}", model.sentence());
    assert_eq!(commands(&press(&mut model, "d D")), [Command::Remove { torrents: wanted, data: true }]);
    // All that are marked are hidden: the one under the cursor is meant.
    let selected = model.selected().expect("a torrent").summary.info_hash;
    assert_eq!(commands(&press(&mut model, "r")), [Command::Reannounce(vec![selected])]);
    press(&mut model, "M");
    assert!(model.marks.iter().all(|torrent| model.order.contains(torrent)));
    assert_eq!((model.marks.len(), model.left_alone()), (model.order.len(), None));
}

#[test]
fn what_is_looked_at_is_not_exchanged_when_the_filter_no_longer_holds() {
    for (keys, place) in [("Enter", Place::Detail), ("4", Place::Discovery), ("x", Place::Torrents)] {
        let mut model = board();
        model.set_filter(List::Torrents, "state:down");
        press(&mut model, "g j");
        press(&mut model, keys);
        let shown = model.order.clone();
        let torrent = model.selected().expect("a torrent").summary.info_hash;
        let mut state = samples::state();
        let row = state.torrents.get_mut(&torrent).expect("it is known");
        row.summary.state = potluck_common::control::TorrentState::Seeding;
        update(&mut model, Message::Control(whole(&state)));
        assert_eq!((model.targets(), model.place), (vec![torrent], place), "{keys}");
        press(&mut model, "1 j");
        assert!(!model.order.contains(&torrent), "the cursor went elsewhere");
        assert_eq!(model.selected().map(|row| row.summary.info_hash), shown.get(2).copied(), "{keys}");
    }
    // Somebody filters anew: then it goes at once.
    let mut model = board();
    model.set_filter(List::Torrents, "state:seed");
    assert!(!model.order.contains(&samples::hash(1)));
}

#[test]
fn what_is_gone_is_left_with_a_sentence() {
    for keys in ["Enter", "4"] {
        let mut model = board();
        press(&mut model, keys);
        let row = model.selected().expect("a torrent").clone();
        let mut state = samples::state();
        state.torrents.remove(&row.summary.info_hash);
        update(&mut model, Message::Control(whole(&state)));
        assert_eq!(model.place, Place::Torrents);
        assert_eq!(model.sentence().1, format!("no longer in the list: {}", row.summary.name));
        model.assert_invariants();
    }
}

#[test]
fn torrents_are_added_from_paths_and_links() {
    let added = |text: &str| {
        let mut model = board();
        update(&mut model, Message::Paste(format!("  {text}\r\n")));
        let effects = press(&mut model, "Enter");
        let sources = commands(&effects).into_iter().map(|command| match command {
            Command::Add(torrent) => torrent.source,
            other => panic!("{other:?}"),
        });
        sources.collect::<Vec<_>>()
    };
    let url = |text: &str| TorrentSource::Url(text.to_owned());
    assert_eq!(
        added("https://e.example/x\nhttps://e.example/y"),
        [url("https://e.example/x"), url("https://e.example/y")]
    );
    assert_eq!(added("~/my iso.torrent"), [TorrentSource::Path("/home/me/my iso.torrent".into())]);
    assert_eq!(added("x.torrent"), [TorrentSource::Path("/srv/x.torrent".into())]);
    assert_eq!(added("/x.torrent"), [TorrentSource::Path("/x.torrent".into())]);

    let mut model = board();
    assert_eq!(commands(&press(&mut model, "a Enter")), []);
    assert!(matches!(model.dialogs.last(), Some(Dialog::Add(add)) if add.trouble.is_some()));
    type_in(&mut model, "x.torrent");
    press(&mut model, "BackTab Ctrl-P");
    type_in(&mut model, "dst");
    let commands = commands(&press(&mut model, "Enter"));
    let [Command::Add(torrent)] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!(torrent.directory.as_deref(), Some(std::path::Path::new("/srv/dst")));
    assert!(torrent.paused.is_some());
}

#[test]
fn magnet_links_and_info_hashes_are_added_like_urls() {
    let hash = "0123456789abcdef0123456789abcdef01234567";
    let link = format!("magnet:?xt=urn:btih:{hash}");
    for text in [link.clone(), link.to_uppercase(), hash.to_owned(), format!("https://e.example/x {link}")] {
        let mut model = board();
        update(&mut model, Message::Paste(text.clone()));
        let commands = commands(&press(&mut model, "Enter"));
        let sources: Vec<&str> = text.split(' ').collect();
        assert_eq!(commands.len(), sources.len(), "{text}");
        for (command, source) in commands.iter().zip(sources) {
            let Command::Add(add) = command else { panic!("{command:?}") };
            assert_eq!(add.source, TorrentSource::Url(source.to_owned()));
        }
    }
}

fn refuse(model: &mut Dashboard, number: u64, why: &str) {
    let error = CommandError { kind: CommandErrorKind::Disk, message: Printable::new(why) };
    let reply = Reply { number, result: Err(error) };
    update(model, Message::Control(Update { number: 2, body: UpdateBody::Reply(reply) }));
}

#[test]
fn what_could_not_be_added_comes_back_with_the_reason() {
    let mut model = board();
    press(&mut model, "a");
    type_in(&mut model, "~/x.torrent");
    press(&mut model, "Enter");
    let number = *model.adding.keys().next().expect("it is remembered");
    press(&mut model, "v");
    let verify = *model.pending.keys().next_back().expect("it is asked");
    press(&mut model, "a y");
    refuse(&mut model, verify, "no such drive");
    assert!(matches!(&model.dialogs[..], [Dialog::Add(add)] if add.trouble.is_none()), "of something else");
    refuse(&mut model, number, "no such file");
    let open = |model: &Dashboard| match &model.dialogs[..] {
        [Dialog::Add(add)] => (add.fields[0].text().to_owned(), add.trouble.clone()),
        other => panic!("{other:?}"),
    };
    assert_eq!(open(&model), ("y".to_owned(), None), "nothing comes between while it is typed");
    press(&mut model, "Esc");
    assert_eq!(open(&model), ("~/x.torrent".to_owned(), Some("no such file".to_owned())));
    assert!(model.adding.is_empty());

    let mut model = board();
    update(&mut model, Message::Paste("https://e.example/x\nhttps://e.example/y".to_owned()));
    press(&mut model, "Enter");
    let numbers: Vec<u64> = model.adding.keys().copied().collect();
    press(&mut model, "?");
    for number in numbers {
        refuse(&mut model, number, "no answer");
    }
    press(&mut model, "Esc");
    assert_eq!(open(&model).0, "https://e.example/x https://e.example/y");
}

#[test]
fn what_differs_among_marks_is_left_as_it_is() {
    let mut model = board();
    press(&mut model, "g m m m");
    let three = model.targets();
    assert_eq!(commands(&press(&mut model, "l Enter")), [], "their labels differ");
    let labelled = Command::SetLabels { torrents: three.clone(), labels: vec!["x".to_owned()] };
    assert_eq!(commands(&press(&mut model, "l x Enter")), [labelled]);
    // The third one alone is limited, and only what it sends.
    let asked = commands(&press(&mut model, "L Ctrl-U 2 M Enter"));
    let limits = |up| Limits { down: Some(2 << 20), up };
    let wanted = [
        Command::SetLimits { torrents: three[..2].to_vec(), limits: limits(None) },
        Command::SetLimits { torrents: three[2..].to_vec(), limits: limits(Some(200 << 10)) },
    ];
    assert_eq!(asked, wanted);
    let selected = model.selected().expect("a torrent").summary.info_hash;
    assert!(!three.contains(&selected));
    let asked = commands(&press(&mut model, "P 1 . 2 . 3 . 4 : 5 Enter"));
    assert!(matches!(&asked[..], [Command::AddPeer { torrent, .. }] if *torrent == selected), "{asked:?}");
}

#[test]
fn a_dead_engine_is_said_to_be_dead_until_the_end() {
    let mut model = board();
    press(&mut model, "v");
    update(&mut model, Message::Lost);
    update(&mut model, Message::Tick(9_000.0));
    press(&mut model, "r y");
    let (tone, words) = model.sentence();
    assert!(tone == crate::model::dashboard::Tone::Bad && words.starts_with("the engine is gone"), "{words}");
}

#[test]
fn the_sentence_says_why_before_the_terminal_ends() {
    let mut model = board();
    let torrent = model.targets()[0];
    let row = model.state.torrents.get_mut(&torrent).expect("it is known");
    row.summary.name = Printable::new(&"long ".repeat(60));
    row.summary.pace = Some("1 of 4 peers gives; 3 choke us".into());
    let words = model.sentence().1;
    assert!(words.find("…: ").is_some_and(|end| end <= 80 / 4), "{words}");
    assert!(words.ends_with("; 1 of 4 peers gives; 3 choke us"), "{words}");
    press(&mut model, "Enter");
    assert!(!model.sentence().1.contains("long"), "its panel has the name");
}

#[test]
fn the_magnet_link_is_known_wherever_it_is_copied() {
    let mut model = board();
    for keys in ["p", "f", "1"] {
        let view = views(&press(&mut model, keys)).pop().unwrap_or_else(|| model.view());
        assert!(view.detail.expect("a torrent").aspects.about, "{keys}");
    }
}

#[test]
fn nothing_goes_on_unseen_beyond_its_end() {
    use ratatui::{Terminal, backend::TestBackend};
    let mut model = board();
    let draw = |model: &mut Dashboard| {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).expect("a test backend");
        let theme = crate::theme::Theme::new(true, false);
        let mut hits = Hits::default();
        let frame = |frame: &mut ratatui::Frame<'_>| hits = crate::view::screen::draw(frame, model, &theme);
        terminal.draw(frame).expect("a test backend");
        update(model, Message::Drawn(hits));
    };
    let help = |model: &Dashboard| match model.dialogs.last() {
        Some(Dialog::Help { cursor, .. }) => cursor.selected,
        other => panic!("{other:?}"),
    };
    draw(&mut model);
    for _ in 0..40 {
        press(&mut model, ">");
    }
    let shift = model.shift(List::Torrents);
    assert!(shift > 0 && shift < TorrentColumn::ALL.len(), "{shift}");
    press(&mut model, "<");
    assert_eq!(model.shift(List::Torrents), shift - 1, "the first step back is seen");
    press(&mut model, "?");
    draw(&mut model);
    for _ in 0..60 {
        press(&mut model, "PgDn");
        update(&mut model, Message::Mouse(Mouse { kind: MouseKind::WheelDown, column: 9, row: 9 }));
    }
    let last = help(&model);
    assert!(last > 20 && last < 300, "{last}");
    update(&mut model, Message::Mouse(Mouse { kind: MouseKind::WheelUp, column: 9, row: 9 }));
    assert_eq!(help(&model), last - 3);
    // A larger terminal shows more of it.
    let mut hits = Hits::default();
    hits.add_help(7);
    update(&mut model, Message::Drawn(hits));
    assert_eq!(help(&model), 7);
}

#[test]
fn the_piece_that_is_asked_about_is_the_one_that_its_cell_shows() {
    let mut model = board();
    press(&mut model, "Enter Tab");
    let mut hits = Hits::default();
    hits.add_map(ratatui::layout::Rect::new(0, 0, 70, 9), 10);
    update(&mut model, Message::Drawn(hits));
    model.piece = 1_200;
    let pieces = &model.detail().expect("it is known").lists.pieces;
    let worst = crate::view::heat_map::worst(pieces, 1_200, 10);
    assert!(
        pieces[1_200..1_210]
            .iter()
            .all(|piece| { piece.have || piece.availability >= pieces[worst as usize].availability })
    );
    let view = views(&press(&mut model, "Left Right")).pop().expect("another view");
    assert_eq!(view.detail.expect("a torrent").piece, Some(worst));
}

#[test]
fn paths_are_completed() {
    let mut model = board();
    press(&mut model, "a");
    type_in(&mut model, "~/de");
    let effects = press(&mut model, "Tab");
    let asked =
        Effect::Complete { prefix: "~/de".to_owned(), path: "/home/me/de".into(), folders_only: false };
    assert_eq!(effects, [asked]);
    let paths = vec!["~/debian.torrent".to_owned(), "~/debüt.torrent".to_owned()];
    update(&mut model, Message::Completed { prefix: "~/de".to_owned(), paths: paths.clone() });
    let Some(Dialog::Add(add)) = model.dialogs.last() else { panic!("it is open") };
    assert_eq!((add.fields[0].text(), &add.completions), ("~/deb", &paths));
    update(&mut model, Message::Completed { prefix: "~/x".to_owned(), paths: vec!["~/xyz".to_owned()] });
    update(&mut model, Message::Completed { prefix: "~/deb".to_owned(), paths: vec![paths[1].clone()] });
    let Some(Dialog::Add(add)) = model.dialogs.last() else { panic!("it is open") };
    assert_eq!((add.fields[0].text(), add.completions.len()), ("~/debüt.torrent", 0));
}

#[test]
fn files_have_priorities() {
    let mut model = board();
    press(&mut model, "f");
    for (key, change) in [
        ("Space", [FilePriority::Normal, FilePriority::Skip, FilePriority::Skip, FilePriority::Skip]),
        ("+", [FilePriority::Low, FilePriority::Normal, FilePriority::High, FilePriority::High]),
        ("-", [FilePriority::Skip, FilePriority::Skip, FilePriority::Low, FilePriority::Normal]),
    ] {
        for place in 0..model.file_order.len() {
            model.cursor_mut(List::Files).selected = place;
            let file = model.file_order[place];
            let before = model.detail().expect("it is known").lists.files[file].priority;
            let wanted = change[before as usize];
            let asked = commands(&press(&mut model, key));
            if wanted == before {
                assert_eq!(asked, []);
            } else {
                let torrent = model.targets()[0];
                assert_eq!(
                    asked,
                    [Command::SetFiles { torrent, files: vec![file as u32], priority: wanted }]
                );
            }
        }
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
    press(&mut model, "Esc G Enter");
    assert!(model.taste.bits);
    let asked = commands(&press(&mut model, "g Enter Ctrl-U ~ / x Enter"));
    assert_eq!(asked, [Command::Set(SettingsChange::Directory("/home/me/x".into()))]);
}

#[test]
fn answers_are_shown() {
    let mut model = board();
    let effects = press(&mut model, "v");
    let Some(Effect::Send(request)) = effects.first() else { panic!("{effects:?}") };
    assert!(model.sentence().1.starts_with("verifying "), "{:?}", model.sentence());
    let error = CommandError { kind: CommandErrorKind::Disk, message: Printable::new("no such drive") };
    for (result, words, is_bad) in [
        (Ok(Printable::default()), "verifying ", false),
        (Ok("done".into()), "done", false),
        (Err(error), "no such drive", true),
    ] {
        model.pending.insert(request.number, "verifying x".to_owned());
        let reply = Reply { number: request.number, result };
        update(&mut model, Message::Control(Update { number: 2, body: UpdateBody::Reply(reply) }));
        let notice = model.notice.clone().expect("it is said");
        assert!(notice.text.as_str().starts_with(words) && notice.is_bad == is_bad, "{notice:?}");
        assert!(model.pending.is_empty());
    }
    assert!(model.changes_at().is_some());
    update(&mut model, Message::Tick(1_100.0));
    assert!(model.notice.is_none() && model.changes_at().is_none());
}

#[test]
fn the_mouse_does_what_keys_do() {
    use ratatui::layout::Rect;
    let mut model = board();
    let mut hits = Hits::default();
    hits.add_list(List::Torrents, Rect::new(1, 3, 50, 8), 2);
    hits.add(Rect::new(1, 2, 10, 1), crate::model::hits::Target::Column(List::Torrents, 1));
    hits.add(Rect::new(0, 20, 5, 1), crate::model::hits::Target::Action(Action::Add));
    let click = |model: &mut Dashboard, column, row| {
        let mouse = Mouse { kind: MouseKind::Click, column, row };
        update(model, Message::Mouse(mouse))
    };
    update(&mut model, Message::Drawn(hits));
    click(&mut model, 5, 5);
    assert_eq!(model.cursor(List::Torrents).selected, 4);
    click(&mut model, 5, 5);
    assert_eq!(model.place, Place::Detail, "a second click opens");
    press(&mut model, "Esc");
    click(&mut model, 5, 2);
    assert_eq!(model.torrent_sort.column, TorrentColumn::Name);
    let wheel = |kind| Message::Mouse(Mouse { kind, column: 5, row: 5 });
    press(&mut model, "g");
    update(&mut model, wheel(MouseKind::WheelDown));
    assert_eq!(model.cursor(List::Torrents).top, 3);
    update(&mut model, wheel(MouseKind::WheelUp));
    assert_eq!(model.cursor(List::Torrents).top, 0);
    click(&mut model, 2, 20);
    assert!(matches!(model.dialogs.last(), Some(Dialog::Add(_))));
    click(&mut model, 5, 5);
    assert_eq!(model.place, Place::Torrents, "what lies below a dialog is out of reach");
}

#[test]
fn data_are_deleted_by_nothing_but_their_own_choice() {
    let mut model = board();
    press(&mut model, "d");
    let choose = |number| crate::model::hits::Target::Choice(number);
    let mut hits = Hits::default();
    hits.add(ratatui::layout::Rect::new(0, 0, 9, 1), choose(1));
    update(&mut model, Message::Drawn(hits));
    let mouse = Mouse { kind: MouseKind::Click, column: 1, row: 0 };
    assert_eq!(commands(&update(&mut model, Message::Mouse(mouse))), [], "one click is not enough");
    assert!(matches!(model.dialogs.last(), Some(Dialog::Delete { choice: DeleteChoice::DeleteData, .. })));
}
