//! The table is consistent: no key has two meanings in one place, and nothing can be done that the help does not tell.

use super::*;

#[test]
fn no_key_has_two_meanings_in_one_context() {
    for context in Context::ALL {
        let mut seen: Vec<Key> = Vec::new();
        for binding in bindings(context) {
            for key in binding.keys {
                assert!(!seen.contains(key), "{key} has two meanings in {context:?}");
                seen.push(*key);
            }
        }
    }
}

#[test]
fn a_context_that_is_typed_into_keeps_its_characters() {
    for context in Context::ALL.into_iter().filter(|context| context.is_typed_into()) {
        for binding in bindings(context) {
            for key in binding.keys {
                let is_character = matches!(key.code, crossterm::event::KeyCode::Char(_)) && !key.control;
                assert!(!is_character, "{key} cannot be typed in {context:?}");
            }
        }
    }
}

#[test]
fn every_place_can_be_left_and_every_screen_quit() {
    for context in Context::ALL {
        let actions: Vec<Action> = bindings(context).map(|binding| binding.action).collect();
        let is_dialog = actions.contains(&Action::Close);
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
        let found = bindings(context).find(|binding| binding.keys.iter().any(|key| key.to_string() == name));
        assert_eq!(found.map(|binding| binding.action), Some(wanted), "{name} in {context:?}");
    }
}

#[test]
fn everything_says_what_it_does() {
    for binding in BINDINGS {
        assert!(!binding.keys.is_empty() && !binding.contexts.is_empty(), "{binding:?}");
        assert!(!binding.words.is_empty(), "{binding:?}");
    }
}
