//! Golden frames of every screen at every size that the layout distinguishes, in the default theme and in ASCII; and
//! what holds at every size.

use potluck_common::{Rng, control::State};
use ratatui::{Terminal, backend::TestBackend, buffer::Buffer, style::Color};

use super::*;
use crate::{
    model::place::Tab,
    model::{list::ListCursor, place::List, samples},
    theme::{ColorDepth, ThemeName},
    update::dashboard::{Message, update},
    view::{capture, heat_map::Band},
};

/// The sizes of the golden frames.
const SIZES: [(u16, u16); 5] = [(60, 16), (80, 24), (100, 30), (140, 40), (200, 60)];

/// The screens, with the tabs of that of a torrent.
const SCREENS: [(&str, Place, Tab); 13] = [
    ("torrents", Place::Torrents, Tab::Overview),
    ("torrents_pieces", Place::Torrents, Tab::Pieces),
    ("overview", Place::Detail, Tab::Overview),
    ("pieces", Place::Detail, Tab::Pieces),
    ("files", Place::Detail, Tab::Files),
    ("peers", Place::Detail, Tab::Peers),
    ("trackers", Place::Detail, Tab::Trackers),
    ("log", Place::Detail, Tab::Log),
    ("all_peers", Place::Peers, Tab::Overview),
    ("discovery", Place::Discovery, Tab::Overview),
    ("fairness", Place::Fairness, Tab::Overview),
    ("events", Place::Events, Tab::Overview),
    ("settings", Place::Settings, Tab::Overview),
];

/// What lies over the screens: the filter that holds, and the keys that open it.
const OVER: [(&str, &str, &str); 10] = [
    ("filter", "", "/state:seed ratio>"),
    ("filter_nothing", "", "/label:none"),
    ("labels", "", "l"),
    ("peer", "", "P192.0.2."),
    ("add", "", "ax"),
    ("delete", "state:down", "mmd"),
    ("limits", "", "mmmL"),
    ("sort", "", "s"),
    ("help", "", "?"),
    ("help_peers", "", "p?rank"),
];

/// A dashboard that was told all of `state`.
fn board(state: &State, (width, height): (u16, u16)) -> Dashboard {
    let mut model = Dashboard::new(Some("/home/ada".into()), "/home/ada".into());
    update(&mut model, Message::Resize(width, height));
    update(&mut model, Message::Tick(samples::STARTED_AT + samples::UPTIME_SECONDS as f64));
    update(&mut model, Message::Control(samples::whole(state)));
    model
}

fn drawn(model: &Dashboard, theme: &Theme, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test backend cannot fail");
    terminal.draw(|frame| drop(draw(frame, model, theme))).expect("a test backend cannot fail");
    terminal.backend().buffer().clone()
}

fn at(state: &State, size: (u16, u16), place: Place, tab: Tab) -> Dashboard {
    let mut model = board(state, size);
    (model.place, model.tab, model.piece) = (place, tab, 1_200);
    *model.cursor_mut(List::Events) = ListCursor::at(model.len(List::Events).saturating_sub(1));
    *model.cursor_mut(List::Log) = ListCursor::at(model.len(List::Log).saturating_sub(1));
    model
}

#[test]
fn golden_frames() {
    let state = samples::state();
    for (name, place, tab) in SCREENS {
        for ascii in [false, true] {
            let theme = Theme::new(true, ascii);
            let frames = SIZES.map(|size| {
                let text = capture::text(&drawn(&at(&state, size, place, tab), &theme, size));
                format!("{}x{}\n{text}", size.0, size.1)
            });
            let name = if ascii { format!("{name}_ascii") } else { name.to_string() };
            insta::assert_snapshot!(name, frames.join("\n"));
        }
    }
}

#[test]
fn long_keys_of_screens_leave_room_for_help_and_the_end() {
    let mut model = at(&samples::state(), (80, 24), Place::Torrents, Tab::Overview);
    let names = ["torrents", "torrent", "peers", "discovery", "fairness", "events", "settings"];
    let keys = ["up", "down", "left", "right", "home", "end", "delete"];
    for (name, key) in names.into_iter().zip(keys) {
        let key = format!("ctrl-{key}").parse().expect("a key");
        assert!(model.keymap.choose(&format!("screen-{name}"), &[key]));
    }
    let footer = |model: &Dashboard, size| {
        let text = capture::text(&drawn(model, &Theme::new(true, true), size));
        text.lines().last().expect("a footer").trim_end().to_owned()
    };
    let narrow = footer(&model, (80, 24));
    assert!(narrow.contains("? help  q quit ") && narrow.ends_with("  [Ctrl-Up]"), "{narrow}");
    update(&mut model, Message::Resize(140, 40));
    let wide = footer(&model, (140, 40));
    assert!(wide.contains("? help  q quit ") && wide.ends_with(" Ctrl-Del"), "{wide}");
}

#[test]
fn golden_dialogs() {
    let state = samples::state();
    for (name, filter, keys) in OVER {
        let frames = [SIZES[1], SIZES[3]].map(|size| {
            let mut model = board(&state, size);
            // One more is marked, which the filter of some hides.
            model.marks.insert(samples::hash(2));
            model.set_filter(List::Torrents, filter);
            for key in keys.chars() {
                update(&mut model, Message::Key(crate::keymap::Key::char(key)));
            }
            let text = capture::text(&drawn(&model, &Theme::new(true, false), size));
            format!("{}x{}\n{text}", size.0, size.1)
        });
        insta::assert_snapshot!(format!("over_{name}"), frames.join("\n"));
    }
}

/// A list of which two torrents may download at a time, with the cursor on the first that waits for its turn.
fn queued() -> State {
    use potluck_common::control::TorrentState;
    let mut state = samples::state();
    state.session.as_mut().expect("a session").settings.downloads_max = Some(2);
    let mut rows: Vec<_> = state.torrents.values_mut().collect();
    rows.sort_by_key(|row| row.number);
    let shall_run = |row: &&mut potluck_common::control::TorrentRow| {
        !row.is_complete() && !row.is_paused && !matches!(row.summary.state, TorrentState::Failed(_))
    };
    for row in rows.into_iter().filter(shall_run).skip(2) {
        row.is_queued = true;
        let summary = &mut row.summary;
        (summary.state, summary.stall, summary.pace) = (TorrentState::Stopped, None, None);
        (summary.down_rate, summary.up_rate, summary.eta_seconds) = (0, 0, None);
        (summary.seeds_connected, summary.leechers_connected) = (0, 0);
        (summary.unchoked_by, summary.unchoked) = (0, 0);
    }
    state
}

#[test]
fn golden_queue() {
    let state = queued();
    for ascii in [false, true] {
        let theme = Theme::new(true, ascii);
        let frame = |size: (u16, u16), place, tab| {
            let mut model = at(&state, size, place, tab);
            let waits = |torrent: &potluck_common::InfoHash| model.state.torrents[torrent].is_queued;
            let next = model.order.iter().position(waits).expect("one waits");
            // As a person goes there, so that what is drawn is of this torrent.
            for _ in 0..next {
                update(&mut model, Message::Key(crate::keymap::Key::char('j')));
            }
            format!("{}x{}\n{}", size.0, size.1, capture::text(&drawn(&model, &theme, size)))
        };
        let mut frames = SIZES.map(|size| frame(size, Place::Torrents, Tab::Overview)).to_vec();
        frames.extend([SIZES[1], SIZES[3]].map(|size| frame(size, Place::Detail, Tab::Overview)));
        assert!(frames.iter().all(|frame| frame.contains("queued: 2 of 2 downloads run, this is")));
        insta::assert_snapshot!(if ascii { "queue_ascii" } else { "queue" }, frames.join("\n"));
    }
}

/// What means something else has another character, too, and not only another style.
#[test]
fn what_means_something_else_reads_otherwise() {
    use potluck_common::control::{FilePriority, PeerSlot, TorrentState};
    type Change = fn(&mut Dashboard);
    fn row(model: &mut Dashboard) -> &mut potluck_common::control::TorrentRow {
        model.state.torrents.get_mut(&samples::hash(1)).expect("the first")
    }
    fn lists(model: &mut Dashboard) -> &mut potluck_common::control::TorrentDetail {
        &mut model.state.detail.as_mut().expect("the first from near").lists
    }
    let cases: [(&str, Place, Tab, Change, Change); 8] = [
        (
            "which is marked",
            Place::Torrents,
            Tab::Overview,
            |model| {
                model.marks.insert(samples::hash(1));
            },
            |model| {
                model.marks.insert(samples::hash(2));
            },
        ),
        (
            "the cursor",
            Place::Torrents,
            Tab::Files,
            |model| {
                model.state.detail = None;
                row(model).summary.name = "x".into();
            },
            |model| {
                model.state.detail = None;
                row(model).summary.name = "x".into();
                model.cursor_mut(List::Torrents).selected = 1;
            },
        ),
        ("bad news", Place::Torrents, Tab::Overview, |model| model.say("x"), |model| model.complain("x")),
        ("a pause", Place::Torrents, Tab::Overview, |_| {}, |model| row(model).is_paused = true),
        (
            "a seed",
            Place::Torrents,
            Tab::Overview,
            |_| {},
            |model| {
                row(model).summary.state = TorrentState::Seeding;
            },
        ),
        (
            "a piece",
            Place::Detail,
            Tab::Pieces,
            |_| {},
            |model| {
                lists(model).pieces.iter_mut().for_each(|piece| piece.have = !piece.have);
            },
        ),
        (
            "a priority",
            Place::Detail,
            Tab::Files,
            |_| {},
            |model| {
                lists(model).files[1].priority = FilePriority::Low;
            },
        ),
        (
            "a slot",
            Place::Detail,
            Tab::Peers,
            |_| {},
            |model| {
                lists(model).peers[0].slot = PeerSlot::Optimistic;
            },
        ),
    ];
    let state = samples::state();
    for (name, place, tab, one, other) in cases {
        for ascii in [false, true] {
            let text = |change: Change| {
                let mut model = at(&state, SIZES[3], place, tab);
                change(&mut model);
                capture::text(&drawn(&model, &Theme::new(true, ascii), SIZES[3]))
            };
            assert_ne!(text(one), text(other), "{name}");
        }
    }
    let bands = [Band::Have, Band::InFlight, Band::Many, Band::Some, Band::Few, Band::Nobody];
    for theme in [Theme::new(true, false), Theme::new(true, true)] {
        let signs: std::collections::BTreeSet<&str> = bands.iter().map(|band| band.symbol(&theme)).collect();
        assert_eq!(signs.len(), bands.len(), "{signs:?}");
    }
}

#[test]
fn a_new_user_is_told_what_to_do() {
    let frames = SIZES
        .map(|size| capture::text(&drawn(&board(&samples::empty(), size), &Theme::new(true, false), size)));
    assert!(frames.iter().all(|frame| frame.contains("press a to add one")));
    insta::assert_snapshot!("empty", frames[1]);
}

#[test]
fn sentences_name_the_keys_in_force() {
    type Case = (&'static str, bool, fn(&mut Dashboard), &'static str);
    let press = |model: &mut Dashboard, key: &str| {
        update(model, Message::Key(key.parse().expect("a key")));
    };
    // What is changed, and what is said then; both with no key for it, too.
    let cases: [Case; 12] = [
        ("add", true, |_| {}, "no torrents yet: press F9 to add one"),
        ("add", true, |_| {}, "nothing here yet: press F9 to add a torrent, or paste its URL"),
        (
            "back",
            false,
            |model| model.set_filter(List::Torrents, "label:none"),
            "shows nothing; F9 takes it away",
        ),
        (
            "back",
            false,
            |model| model.set_filter(List::Torrents, "label:none"),
            "leaves none: F9 takes it away",
        ),
        ("quit", false, |model| drop(update(model, Message::Lost)), "any more; F9 quits"),
        ("quit", false, |model| model.size = (50, 12), "F9 quits"),
        ("turtle", false, |model| model.place = Place::Settings, "hold instead; F9 anywhere"),
        ("bits", false, |model| model.place = Place::Settings, "bytes or bits; F9 anywhere"),
        (
            "delete-data",
            false,
            |model| drop(update(model, Message::Key("d".parse().expect("a key")))),
            "F9  take it out and DELETE",
        ),
        (
            "complete",
            false,
            |model| drop(update(model, Message::Key("a".parse().expect("a key")))),
            ", F9 completes",
        ),
        (
            "accept",
            false,
            |model| drop(update(model, Message::Key("/".parse().expect("a key")))),
            "; F9 keeps it",
        ),
        ("screen-peers", false, |_| {}, " F9 Peers "),
    ];
    for (name, is_empty, change, said) in cases {
        let state = if is_empty { samples::empty() } else { samples::state() };
        let text = |keys: &str| {
            let mut model = board(&state, SIZES[4]);
            let keys: Vec<crate::keymap::Key> =
                keys.split_whitespace().map(|key| key.parse().expect("a key")).collect();
            assert!(model.keymap.choose(name, &keys), "{name}");
            change(&mut model);
            let size = model.size;
            capture::text(&drawn(&model, &Theme::new(true, false), size))
        };
        assert!(text("F9").contains(said), "{name}: {}", text("F9"));
        let without = text("");
        assert!(!without.contains("F9") && !without.contains(said), "{name}: {without}");
    }
    let mut model = board(&samples::state(), SIZES[1]);
    assert!(model.keymap.choose("help", &["F9".parse().expect("a key")]));
    press(&mut model, "?");
    assert!(model.dialogs.is_empty(), "it is free");
    press(&mut model, "f9");
    let text = capture::text(&drawn(&model, &Theme::new(true, false), SIZES[1]));
    assert!(text.contains("Help: every key"), "{text}");
}

#[test]
fn nothing_is_told_by_colour_alone() {
    let state = samples::state();
    for (name, place, tab) in SCREENS {
        for size in [SIZES[1], SIZES[4]] {
            let model = at(&state, size, place, tab);
            let plain = drawn(&model, &Theme::new(false, false), size);
            let has_color =
                plain.content().iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
            assert!(!has_color, "{name} has colours without colours");
            for theme in ThemeName::ALL {
                let colored = drawn(&model, &Theme::named(theme, ColorDepth::True, false), size);
                assert_eq!(capture::text(&colored), capture::text(&plain), "{name} in {theme}");
            }
        }
    }
}

#[test]
fn no_size_panics() {
    let mut rng = Rng::new(11);
    for state in [samples::state(), samples::empty(), State::default()] {
        for (_, place, tab) in SCREENS {
            for _ in 0..12 {
                let size = (rng.below(300) as u16, rng.below(100) as u16);
                let drawn_on = (rng.below(300) as u16, rng.below(100) as u16);
                let model = at(&state, size, place, tab);
                drawn(&model, &Theme::new(true, false), size);
                // A terminal may be resized between the model and the frame.
                drawn(&model, &Theme::new(true, true), drawn_on);
            }
        }
    }
}
