//! What happened: words that are searched in it, and a file that it goes to.

use tz::TimeZone;

use super::*;
use crate::model::zone::Zone;

#[test]
fn words_are_searched_in_what_happened_and_in_names() {
    for (keys, list) in [("6", List::Events), ("2 Left", List::Log)] {
        let mut model = board();
        press(&mut model, keys);
        let all = model.len(list);
        let event = model.shown_events(list)[0];
        let words = model.told(event);
        assert!(all > 1, "{list:?}");
        press(&mut model, "/");
        type_in(&mut model, &words);
        press(&mut model, "Enter");
        let shown: Vec<String> =
            model.shown_events(list).into_iter().map(|event| model.told(event)).collect();
        assert!(shown.contains(&words) && shown.len() < all, "{words}: {shown:?}");
        press(&mut model, "/ Ctrl-U x q z w Enter");
        assert_eq!(model.len(list), 0);
        model.set_filter(list, "dbn");
        assert_eq!(model.len(list), 0, "debian has these letters in this order, but not this word");
        press(&mut model, "Esc");
        assert_eq!(model.len(list), all, "Esc takes the filter away");
    }
}

#[test]
fn what_is_shown_goes_to_a_file_in_the_time_of_the_wall() {
    let mut model = board();
    model.zone = Zone::new(TimeZone::from_posix_tz("EST5").expect("it is a rule"));
    update(&mut model, Message::Tick(samples::STARTED_AT + 61.0));
    press(&mut model, "6 E");
    let Some(Dialog::Line { field, .. }) = model.dialogs.last() else { panic!("it asks for a name") };
    assert_eq!(field.text(), "~/potluck-events-2026-11-21-050101.txt", "the name says when it was");
    let effects = press(&mut model, "Enter");
    let [Effect::Write { path, text }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(path.to_str(), Some("/home/me/potluck-events-2026-11-21-050101.txt"));
    let shown = model.shown_events(List::Events);
    assert_eq!(text.lines().count(), shown.len());
    let (line, event) = (text.lines().next().expect("a line"), shown[0]);
    assert!(line.contains(" -05:00 ") && line.ends_with(&model.told(event)), "{line}");
    for (result, words, is_bad) in [
        (Ok(()), "written to /x", false),
        (Err("it is full".to_owned()), "/x was not written: it is full", true),
    ] {
        update(&mut model, Message::Written { path: "/x".into(), result });
        let notice = model.notice.clone().expect("it is said");
        assert_eq!((notice.text.as_str(), notice.is_bad), (words, is_bad));
    }
    press(&mut model, "E Ctrl-U Enter");
    assert!(matches!(model.dialogs.last(), Some(Dialog::Line { trouble: Some(_), .. })), "it needs a name");
}
