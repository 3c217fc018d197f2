//! The table is consistent: no key has two meanings in one place, and nothing can be done that the help does not tell.

use super::*;

#[test]
fn no_key_has_two_meanings_in_one_context() {
    for context in Context::ALL {
        let mut seen: Vec<Key> = Vec::new();
        for bound in Keymap::default().bindings(context) {
            for key in bound.keys {
                assert!(!seen.contains(key), "{key} has two meanings in {context:?}");
                seen.push(*key);
            }
        }
    }
}

#[test]
fn a_context_that_is_typed_into_keeps_its_characters() {
    for context in Context::ALL.into_iter().filter(|context| context.is_typed_into()) {
        for bound in Keymap::default().bindings(context) {
            for key in bound.keys {
                assert!(!key.is_character(), "{key} cannot be typed in {context:?}");
            }
        }
    }
}

#[test]
fn every_place_can_be_left_and_every_screen_quit() {
    for context in Context::ALL {
        let actions: Vec<Action> =
            Keymap::default().bindings(context).map(|bound| bound.binding.action).collect();
        let is_dialog = actions.contains(&Action::Close);
        assert_eq!(is_dialog, context.is_dialog(), "{context:?}");
        assert!(is_dialog != actions.contains(&Action::Quit), "{context:?}");
        assert!(is_dialog != actions.contains(&Action::Back), "{context:?}");
        assert!(is_dialog != actions.contains(&Action::Help), "{context:?}");
    }
}

#[test]
fn what_the_letters_do_is_what_people_expect_of_them() {
    let cases = [
        (Context::Torrents, "a", Action::Add),
        (Context::Torrents, "Space", Action::Pause),
        (Context::Torrents, "d", Action::Delete),
        (Context::Torrents, "v", Action::Verify),
        (Context::Torrents, "r", Action::Reannounce),
        (Context::Torrents, "f", Action::ShowFiles),
        (Context::Torrents, "p", Action::ShowPeers),
        (Context::Torrents, "t", Action::GraphRange),
        (Context::Torrents, "/", Action::Filter),
        (Context::Torrents, "s", Action::SortMenu),
        (Context::Torrents, "S", Action::Reverse),
        (Context::Torrents, "m", Action::Mark),
        (Context::Torrents, "M", Action::MarkAll),
        (Context::Torrents, "l", Action::Label),
        (Context::Torrents, "L", Action::Limits),
        (Context::Torrents, "T", Action::Turtle),
        (Context::Torrents, "c", Action::CopyMagnet),
        (Context::Torrents, "e", Action::ShowEvents),
        (Context::Torrents, "y", Action::BitsOrBytes),
        (Context::Torrents, "Y", Action::GraphScale),
        (Context::Torrents, "o", Action::QueueOrder),
        (Context::Torrents, "K", Action::QueueUp),
        (Context::Torrents, "J", Action::QueueDown),
        (Context::Torrents, "[", Action::QueueFirst),
        (Context::Torrents, "]", Action::QueueLast),
        (Context::Torrents, "z", Action::Zen),
        (Context::Torrents, "?", Action::Help),
        (Context::Torrents, "q", Action::Quit),
        (Context::Torrents, "g", Action::First),
        (Context::Torrents, "G", Action::Last),
        (Context::Torrents, "Ctrl-L", Action::Redraw),
        (Context::Torrents, "Ctrl-Z", Action::Suspend),
        (Context::Torrents, "<", Action::ColumnsLeft),
        (Context::Torrents, ">", Action::ColumnsRight),
        (Context::Files, "Space", Action::SkipFile),
        (Context::Pieces, "l", Action::Right),
        (Context::Events, "l", Action::EventLevel),
        (Context::Events, "/", Action::Filter),
        (Context::Events, "E", Action::Export),
        (Context::Settings, "7", Action::Screen(6)),
    ];
    for (context, name, wanted) in cases {
        let key = name.parse().expect("a key");
        assert_eq!(Keymap::default().action(context, key), Some(wanted), "{name} in {context:?}");
    }
}

#[test]
fn everything_says_what_it_does() {
    for binding in BINDINGS {
        assert!(!binding.keys.is_empty() && !binding.contexts.is_empty(), "{binding:?}");
        assert!(!binding.words.is_empty(), "{binding:?}");
    }
}

#[test]
fn names_are_of_one_action_in_one_place_at_most() {
    for (number, one) in BINDINGS.iter().enumerate() {
        let is_plain = |letter: char| letter.is_ascii_lowercase() || letter == '-';
        assert!(one.name.chars().all(is_plain), "{}", one.name);
        for other in BINDINGS[..number].iter().filter(|other| other.name == one.name) {
            assert_eq!((one.action, one.keys), (other.action, other.keys), "{}", one.name);
            let shared = one.contexts.iter().find(|context| other.contexts.contains(context));
            assert_eq!(shared, None, "{}", one.name);
        }
    }
}

fn chosen(choices: &[(&str, &str)]) -> Keymap {
    let mut keymap = Keymap::default();
    for (name, keys) in choices {
        let keys: Vec<Key> = keys.split_whitespace().map(|key| key.parse().expect("a key")).collect();
        assert!(keymap.choose(name, &keys), "{name}");
    }
    keymap
}

#[test]
fn the_usual_keys_clash_with_nothing() {
    assert_eq!(Keymap::default().clashes(), []);
    assert!(!Keymap::default().choose("pauze", &[]));
}

#[test]
fn a_chosen_key_does_what_it_was_chosen_for_and_its_old_one_nothing() {
    let keymap = chosen(&[
        ("pause", "x F9"),
        ("skip-file", "x"),
        ("change", "enter"),
        ("turtle", "space"),
        ("zen", ""),
        ("redraw", "R"),
    ]);
    assert_eq!(keymap.clashes(), []);
    let does = |context, key: &str| keymap.action(context, key.parse().expect("a key"));
    assert_eq!(does(Context::Torrents, "x"), Some(Action::Pause));
    assert_eq!(does(Context::Torrents, "f9"), Some(Action::Pause));
    assert_eq!(does(Context::Peers, "space"), Some(Action::Turtle));
    assert_eq!((does(Context::Torrents, "z"), does(Context::Torrents, "T")), (None, None));
    assert_eq!(keymap.hint(Context::Torrents, Action::Pause, "; ", " goes on"), "; x goes on");
    assert_eq!(keymap.hint(Context::Torrents, Action::Zen, "; ", " is quiet"), "");
    // A character does something on a screen, and is typed into a line.
    assert_eq!(does(Context::Torrents, "R"), Some(Action::Redraw));
    assert_eq!((does(Context::Sort, "R"), does(Context::Line, "R")), (Some(Action::Redraw), None));
}

#[test]
fn a_chosen_key_is_taken_from_what_usually_has_it() {
    let keymap = chosen(&[("pause", "p"), ("down", "n"), ("zen", "F1 q"), ("redraw", "z")]);
    assert_eq!(keymap.clashes(), []);
    let does = |context, key: &str| keymap.action(context, key.parse().expect("a key"));
    assert_eq!(does(Context::Torrents, "p"), Some(Action::Pause));
    assert_eq!(
        (does(Context::Delete, "n"), does(Context::Delete, "q")),
        (Some(Action::Down), Some(Action::Close))
    );
    // Nowhere does it still do what it did, also where nothing took it.
    assert_eq!(does(Context::Files, "p"), None);
    assert_eq!(
        (does(Context::Torrents, "f1"), does(Context::Torrents, "?")),
        (Some(Action::Zen), Some(Action::Help))
    );
    assert_eq!(
        (does(Context::Torrents, "q"), does(Context::Torrents, "ctrl-c")),
        (Some(Action::Zen), Some(Action::Quit))
    );
    // What was chosen itself gives way to nothing.
    assert_eq!(does(Context::Torrents, "z"), Some(Action::Redraw));
    let taken: Vec<String> = keymap.taken().iter().map(ToString::to_string).collect();
    assert_eq!(
        taken,
        [
            "p is pause, as chosen, and peers no more",
            "F1 is zen, as chosen, and help no more",
            "q is zen, as chosen, and quit no more",
            "n is down, as chosen, and cancel-delete no more",
        ]
    );
}

#[test]
fn ctrl_c_ends_whatever_else_is_chosen_for_it() {
    let keymap = chosen(&[("quit", "x"), ("cancel", "F9")]);
    assert_eq!(keymap.clashes(), []);
    let interrupt = Key::control('c');
    assert_eq!(keymap.action(Context::Torrents, interrupt), Some(Action::Quit));
    assert_eq!(keymap.action(Context::Line, interrupt), Some(Action::Close));
    assert_eq!(keymap.hint(Context::Torrents, Action::Quit, "", ""), "x");
    let keymap = chosen(&[("quit", "x"), ("copy-magnet", "ctrl-c")]);
    assert_eq!(keymap.clashes(), []);
    assert_eq!(keymap.action(Context::Torrents, interrupt), Some(Action::CopyMagnet));
    assert_eq!(keymap.action(Context::Line, interrupt), Some(Action::Close));
}

#[test]
fn what_cannot_be_is_told_with_its_remedy() {
    type Case = (&'static [(&'static str, &'static str)], &'static str, &'static str, &'static str);
    let cases: [Case; 11] = [
        (&[("pause", "p"), ("peers", "p")], "pause", "p is peers, too, in \"Torrents\"", "peers = []"),
        (&[("pause", "x"), ("zen", "x")], "zen", "x is pause, too", "pause = []"),
        (
            &[("down", "n"), ("cancel-delete", "n")],
            "down",
            "n is cancel-delete, too, in \"Deleting\"",
            "cancel-delete = []",
        ),
        (&[("erase-back", "x")], "erase-back", "x is typed there", "ctrl-"),
        // Ctrl-C leads out as long as it is free.
        (&[("quit", ""), ("zen", "ctrl-c")], "quit", "no key would lead out of \"Torrents\"", "choose a key"),
        (&[("bits", "q"), ("zen", "ctrl-c")], "zen", "quit has no other key, and", "another one for quit"),
        (
            &[("cancel", ""), ("suspend", "ctrl-c")],
            "cancel",
            "no key would lead out of \"This help\"",
            "ctrl-",
        ),
        // Where it is typed it leads out of nothing.
        (
            &[("cancel", "x"), ("suspend", "ctrl-c")],
            "cancel",
            "no key would lead out of \"This help\"",
            "ctrl-",
        ),
        (&[("accept", "")], "accept", "no key would take what is typed in \"This help\"", "ctrl-"),
        (&[("accept", "y")], "accept", "no key would take what is typed in \"This help\"", "ctrl-"),
        (
            &[("complete", "enter")],
            "complete",
            "accept has no other key, and no key would take what is typed in \"This help",
            "another one for accept",
        ),
    ];
    for (choices, name, words, remedy) in cases {
        let clashes = chosen(choices).clashes();
        let [clash] = &clashes[..] else { panic!("{choices:?}: {clashes:?}") };
        assert!(clash.names().contains(&name), "{clash:?}");
        assert!(clash.words(name).starts_with(words), "{}", clash.words(name));
        assert!(clash.remedy(name).contains(remedy), "{}", clash.remedy(name));
    }
}

proptest::proptest! {
    /// Whatever was chosen, and clashes with nothing: each key that is shown does what it is shown for.
    #[test]
    fn what_is_shown_is_true(choices in proptest::collection::vec(
        (0..BINDINGS.len(), proptest::collection::vec(0_u8..40, 0..3)), 0..12
    )) {
        let mut keymap = Keymap::default();
        for (number, keys) in choices {
            let key = |key: &u8| match key {
                0..26 => Key::char((b'a' + key) as char),
                26..38 => Key::plain(crossterm::event::KeyCode::F(key - 25)),
                38 => Key::control('x'),
                _ => Key::char(' '),
            };
            let keys: Vec<Key> = keys.iter().map(key).collect();
            keymap.choose(BINDINGS[number].name, &keys);
        }
        let is_sound = keymap.clashes().is_empty();
        for context in Context::ALL {
            for bound in keymap.bindings(context) {
                for key in bound.keys.iter().filter(|key| context.hears(**key)) {
                    let does = keymap.action(context, *key);
                    proptest::prop_assert!(does.is_some());
                    proptest::prop_assert!(!is_sound || does == Some(bound.binding.action), "{} {}", key, bound.binding.name);
                }
            }
            let leads_out = [Action::Quit, Action::Close].iter().any(|action| keymap.key(context, *action).is_some());
            proptest::prop_assert!(!is_sound || leads_out);
            let accepts = keymap.key(context, Action::Accept).is_some();
            proptest::prop_assert!(!is_sound || accepts || !context.is_typed_into());
        }
    }
}
