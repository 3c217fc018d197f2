//! What is said: answers, and why it goes as it goes.

use super::*;

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

fn reply(model: &mut Dashboard, number: u64, result: Result<Printable, CommandError>) {
    let body = UpdateBody::Reply(Reply { number, result });
    update(model, Message::Control(Update { number: 2, body }));
}

/// Adding may take long: its end must not replace, unseen, the answer to what was asked after it.
#[test]
fn what_was_asked_last_has_the_last_word() {
    let refused =
        || Err(CommandError { kind: CommandErrorKind::Disk, message: Printable::new("no such drive") });
    // The answer to the later question, that to the earlier one which comes after it, and what is said then.
    for (later, earlier, said) in [
        (Ok("later".into()), Ok("earlier".into()), "later"),
        (Ok("later".into()), refused(), "no such drive"),
        (refused(), Ok("earlier".into()), "no such drive"),
        (Err(CommandError { kind: CommandErrorKind::Disk, message: "later".into() }), refused(), "later"),
    ] {
        let mut model = board();
        let asked = [press(&mut model, "v"), press(&mut model, "r")].map(|effects| match effects.first() {
            Some(Effect::Send(request)) => request.number,
            other => panic!("{other:?}"),
        });
        reply(&mut model, asked[1], later);
        reply(&mut model, asked[0], earlier);
        assert_eq!(model.sentence().1, said);
        // In their order each is said in its turn.
        let Some(Effect::Send(next)) = press(&mut model, "v").into_iter().next() else {
            panic!("it is asked")
        };
        reply(&mut model, next.number, Ok("next".into()));
        assert_eq!(model.sentence().1, "next");
    }
    let mut model = board();
    let Some(Effect::Send(slow)) = press(&mut model, "v").into_iter().next() else { panic!("it is asked") };
    press(&mut model, "S");
    let words = model.sentence().1;
    assert!(words.starts_with("sorted by"), "{words}");
    reply(&mut model, slow.number, Ok("verified".into()));
    assert_eq!(model.sentence().1, words, "what was done since is said");
}
