//! What is added by typing and pasting, and what could not be.

use super::*;

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
