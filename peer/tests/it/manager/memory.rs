//! What the list remembers when something goes wrong: an end in the middle, a folder that cannot be written, too many wishes.

use std::fs;
use std::path::Path;

use libtest_mimic::Trial;
use potluck_common::control::{
    AddTorrent, Command, CommandErrorKind, SettingsChange, TorrentRow, TorrentSource, TorrentState, View,
};
use potluck_common::hash::sha1;
use potluck_peer::manager::ManagerError;

use super::life::{Scene, run};
use super::watcher::Watcher;
use super::{END, start, trial};
use crate::support::Outcome;
use crate::support::room::Room;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("a_removal_that_was_cut_off_goes_on_in_the_next_run", |room| {
            run(cut_off(room, &Scene::new(room)?))
        }),
        trial("the_end_waits_for_removals", |room| run(end(room, &Scene::new(room)?))),
        trial("an_add_that_fails_leaves_nothing", |room| run(failed_add(room, &Scene::new(room)?))),
        trial("many_wishes_at_once_are_all_answered", |room| run(wishes(room, &Scene::new(room)?))),
        trial("an_add_goes_to_the_folder_that_was_chosen_before", |room| {
            run(folder(room, &Scene::new(room)?))
        }),
        trial("settings_that_cannot_be_read_are_not_replaced", |room| run(hidden(room))),
        trial("a_newer_list_is_not_touched", |room| run(newer(room, &Scene::new(room)?))),
    ]
}

/// Changes the JSON of an entry or a session, under a header that holds.
fn edit(entry: &Path, version: u32, edit: impl Fn(String) -> String) -> Outcome {
    let text = fs::read_to_string(entry)?;
    let (header, body) = text.split_once('\n').ok_or("no header")?;
    let kind = header.split(' ').next().unwrap_or_default().to_owned();
    let body = edit(body.to_owned());
    let digest = sha1(body.as_bytes()).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    Ok(fs::write(entry, format!("{kind} {version} {digest}\n{body}"))?)
}

async fn add_paused(home: &Path, scene: &Scene) -> Outcome {
    let manager = start(home).await?;
    let mut watcher = Watcher::attach(&manager, View::default()).await?;
    watcher.command(Command::Set(SettingsChange::AddsPaused(true))).await?;
    watcher.add(scene.torrent.clone()).await?;
    manager.shutdown(END).await;
    Ok(())
}

async fn cut_off(room: &Room, scene: &Scene) -> Outcome {
    let home = room.folder("home")?;
    scene.payload.copy_to(&home.join("data"), false)?;
    add_paused(&home, scene).await?;
    let entry = home.join("list").join(format!("{}.entry", scene.info_hash));
    edit(&entry, 1, |body| body.replace("\"is_leaving\":false", "\"is_leaving\":true"))?;
    let manager = start(&home).await?;
    let mut watcher = Watcher::attach(&manager, View::default()).await?;
    watcher.until("it is gone", |state| state.torrents.is_empty()).await?;
    manager.shutdown(END).await;
    assert!(!entry.exists());
    assert!(!home.join("data/three").exists());
    Ok(())
}

async fn end(room: &Room, scene: &Scene) -> Outcome {
    let home = room.folder("home")?;
    scene.payload.copy_to(&home.join("data"), false)?;
    let manager = start(&home).await?;
    let mut watcher = Watcher::attach(&manager, View::default()).await?;
    watcher.add(scene.torrent.clone()).await?;
    let info_hash = scene.info_hash;
    watcher.until_row("it runs", info_hash, |row| row.summary.state == TorrentState::Seeding).await?;
    watcher.ask_only(Command::Pause(vec![info_hash]))?;
    watcher.ask_only(Command::Remove { torrents: vec![info_hash], data: true })?;
    // The second waits for the first by now, or is under way.
    watcher.command(Command::Set(SettingsChange::AddsPaused(true))).await?;
    manager.shutdown(END).await;
    assert!(!home.join("data/three").exists());
    let manager = start(&home).await?;
    let watcher = Watcher::attach(&manager, View::default()).await?;
    assert!(watcher.state.torrents.is_empty());
    manager.shutdown(END).await;
    Ok(())
}

async fn failed_add(room: &Room, scene: &Scene) -> Outcome {
    let home = room.folder("home")?;
    let manager = start(&home).await?;
    let mut watcher = Watcher::attach(&manager, View::default()).await?;
    let list = home.join("list");
    let [entry, torrent] = ["entry", "torrent"].map(|kind| list.join(format!("{}.{kind}", scene.info_hash)));
    fs::create_dir_all(entry.join("in the way"))?;
    let source = TorrentSource::Metainfo(scene.torrent.clone());
    let add = AddTorrent { source, directory: None, paused: None, labels: Vec::new() };
    let error = watcher.refused(Command::Add(add)).await?;
    assert_eq!(error.kind, CommandErrorKind::Disk, "{}", error.message);
    watcher
        .until("what is wrong is told", |state| {
            state.session.as_ref().is_some_and(|session| session.trouble.is_some())
        })
        .await?;
    // What could not be removed then is removed as soon as it can be.
    fs::remove_dir_all(&entry)?;
    manager.shutdown(END).await;
    assert!(!entry.exists() && !torrent.exists());
    Ok(())
}

async fn wishes(room: &Room, scene: &Scene) -> Outcome {
    let home = room.folder("home")?;
    scene.payload.copy_to(&home.join("data"), false)?;
    let manager = start(&home).await?;
    let mut watcher = Watcher::attach(&manager, View::default()).await?;
    watcher.add(scene.torrent.clone()).await?;
    let all = || vec![scene.info_hash];
    let mut commands: Vec<Command> = (0..40).map(|_| Command::Pause(all())).collect();
    commands.extend((0..40).map(|number| match number % 2 {
        0 => Command::Start(all()),
        _ => Command::Pause(all()),
    }));
    for answer in watcher.burst(commands).await? {
        answer.map_err(|error| error.message.to_string())?;
    }
    let is_at_rest = |row: &TorrentRow| row.is_paused && row.summary.state == TorrentState::Stopped;
    watcher.until_row("it rests", scene.info_hash, is_at_rest).await?;
    // Whatever a check brings about, who starts it has it run.
    for _ in 0..5 {
        for answer in watcher.burst(vec![Command::Verify(all()), Command::Start(all())]).await? {
            answer.map_err(|error| error.message.to_string())?;
        }
        watcher
            .until_row("it runs", scene.info_hash, |row| {
                !row.is_paused && row.summary.state == TorrentState::Seeding
            })
            .await?;
        watcher.command(Command::Pause(all())).await?;
        watcher.until_row("it rests", scene.info_hash, is_at_rest).await?;
    }
    manager.shutdown(END).await;
    Ok(())
}

async fn folder(room: &Room, scene: &Scene) -> Outcome {
    let home = room.folder("home")?;
    let manager = start(&home).await?;
    let mut watcher = Watcher::attach(&manager, View::default()).await?;
    let chosen = ["one", "two"].map(|name| home.join(name));
    let source = TorrentSource::Metainfo(scene.torrent.clone());
    let add = AddTorrent { source, directory: None, paused: Some(true), labels: Vec::new() };
    let [one, two] = chosen.clone().map(|folder| Command::Set(SettingsChange::Directory(folder)));
    watcher.burst(vec![one, two, Command::Add(add)]).await?;
    watcher.until_row("it is there", scene.info_hash, |row| row.directory == chosen[1]).await?;
    manager.shutdown(END).await;
    Ok(())
}

async fn hidden(room: &Room) -> Outcome {
    let home = room.folder("home")?;
    let change = || Command::Set(SettingsChange::AddsPaused(true));
    let session = home.join("list/session");
    let is_paused =
        |watcher: &Watcher| watcher.state.session.as_ref().is_some_and(|it| it.settings.adds_paused);
    let manager = start(&home).await?;
    Watcher::attach(&manager, View::default()).await?.command(change()).await?;
    manager.shutdown(END).await;
    let whole = fs::read(&session)?;
    edit(&session, 1, |body| body.replace("\"settings\":{", "\"settings\":7,\"were\":{"))?;
    let before = fs::read(&session)?;
    assert_ne!(before, whole);

    let manager = start(&home).await?;
    let mut watcher = Watcher::attach(&manager, View::default()).await?;
    assert!(!is_paused(&watcher));
    let trouble = watcher.state.session.as_ref().and_then(|session| session.trouble.clone());
    assert!(trouble.as_ref().is_some_and(|trouble| trouble.as_str().contains("nor are settings kept")));
    watcher.command(change()).await?;
    manager.shutdown(END).await;
    assert_eq!(fs::read(&session)?, before);

    fs::write(&session, whole)?;
    let manager = start(&home).await?;
    assert!(is_paused(&Watcher::attach(&manager, View::default()).await?));
    manager.shutdown(END).await;
    Ok(())
}

async fn newer(room: &Room, scene: &Scene) -> Outcome {
    let home = room.folder("home")?;
    add_paused(&home, scene).await?;
    let entry = home.join("list").join(format!("{}.entry", scene.info_hash));
    edit(&entry, 2, |body| body)?;
    let before = fs::read(&entry)?;
    match start(&home).await {
        Ok(_) => return Err("it was read".into()),
        Err(error) => {
            let refused = error.downcast_ref::<ManagerError>();
            assert!(matches!(refused, Some(ManagerError::Newer { version: 2, .. })), "{error}");
            assert!(error.to_string().contains("a newer Potluck wrote"), "{error}");
        }
    }
    assert_eq!(fs::read(&entry)?, before);
    edit(&entry, 1, |body| body)?;
    let manager = start(&home).await?;
    let watcher = Watcher::attach(&manager, View::default()).await?;
    assert_eq!(watcher.state.torrents.len(), 1);
    manager.shutdown(END).await;
    Ok(())
}
