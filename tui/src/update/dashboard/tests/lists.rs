//! The list of torrents: cursor, filters, marks, and what is seen of it.

use super::*;

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
