//! What is seen of torrents whose machine does not run: what is known of them from before, from near and from afar.

use std::fs;

use libtest_mimic::Trial;
use potluck_common::control::{Command, FilePriority, SettingsChange, State, TorrentRow, TorrentState, View};

use super::life::{KIB, Scene, run};
use super::watcher::Watcher;
use super::{END, start, trial};
use crate::support::Outcome;
use crate::support::room::Room;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("what_was_known_is_shown_until_a_run_knows_better", |room| {
            run(missing(room, &Scene::new(room)?))
        }),
        trial("files_that_are_chosen_at_rest_are_counted", |room| run(chosen(room, &Scene::new(room)?))),
        trial("what_was_shared_counts_after_the_end_of_a_torrent", |room| {
            run(shared(room, &Scene::new(room)?))
        }),
        trial("the_space_is_seen_where_nothing_happens", |room| run(space(room))),
        trial("metainfo_that_cannot_be_read_is_said_in_the_row", |room| {
            run(damaged(room, &Scene::new(room)?))
        }),
    ]
}

/// All of it is there, as the row says.
fn is_whole(row: &TorrentRow) -> bool {
    let summary = &row.summary;
    summary.have_size == 1_500 * KIB
        && summary.wanted_have == summary.wanted_size
        && summary.pieces_have == summary.pieces
}

/// It is seen from near, with all that lies there.
fn is_whole_from_near(state: &State) -> bool {
    state.detail.as_ref().is_some_and(|detail| {
        let lists = &detail.lists;
        lists.about.is_some()
            && lists.trackers.len() == 1
            && lists.pieces.iter().all(|piece| piece.have)
            && lists.files.len() == 3
            && lists.files.iter().all(|file| file.have == file.length)
    })
}

/// Nothing stirs the list, and the space on its disk is looked at after the first look at it.
async fn space(room: &Room) -> Outcome {
    let manager = start(&room.folder("home")?).await?;
    let mut watcher = Watcher::attach(&manager, View::default()).await?;
    watcher.look(View { disk: true, ..View::default() }).await?;
    let has_space = |state: &State| state.disk.as_ref().is_some_and(|disk| !disk.folders.is_empty());
    watcher.until("the space on the disk", has_space).await?;
    manager.shutdown(END).await;
    Ok(())
}

async fn missing(room: &Room, scene: &Scene) -> Outcome {
    let info_hash = scene.info_hash;
    let home = room.folder("home")?;
    scene.payload.copy_to(&home.join("data"), false)?;
    let manager = start(&home).await?;
    let mut watcher = Watcher::attach(&manager, View::default()).await?;
    watcher.add(scene.torrent.clone()).await?;
    watcher.until_row("it seeds", info_hash, |row| row.summary.state == TorrentState::Seeding).await?;
    watcher.command(Command::Pause(vec![info_hash])).await?;
    watcher.look(scene.near()).await?;
    watcher.until("it is seen from near", is_whole_from_near).await?;

    // The drive is not there.
    fs::rename(home.join("data"), home.join("away"))?;
    watcher.command(Command::Start(vec![info_hash])).await?;
    let is_waiting = |row: &TorrentRow| matches!(row.summary.state, TorrentState::Failed(_));
    watcher
        .until("it waits, and nothing is taken back", |state| {
            let row = &state.torrents[&info_hash];
            assert!(is_whole(row) && is_whole_from_near(state), "{:?} {:?}", row.summary, state.detail);
            is_waiting(row)
        })
        .await?;
    // Also for who comes now.
    let mut other = Watcher::attach(&manager, scene.near()).await?;
    other.until("it is seen from near", is_whole_from_near).await?;
    watcher.command(Command::Pause(vec![info_hash])).await?;
    watcher.until_row("it is over", info_hash, |row| row.summary.state == TorrentState::Stopped).await?;
    assert!(is_whole(&watcher.state.torrents[&info_hash]), "{:?}", watcher.state.torrents);
    manager.shutdown(END).await;

    // It is kept, and holds when the drive is there again.
    let manager = start(&home).await?;
    let mut watcher = Watcher::attach(&manager, scene.near()).await?;
    assert!(is_whole(&watcher.state.torrents[&info_hash]), "{:?}", watcher.state.torrents);
    fs::rename(home.join("away"), home.join("data"))?;
    watcher.command(Command::Start(vec![info_hash])).await?;
    watcher
        .until("it seeds", |state| {
            let row = &state.torrents[&info_hash];
            assert!(is_whole(row), "{:?}", row.summary);
            row.summary.state == TorrentState::Seeding && is_whole_from_near(state)
        })
        .await?;
    manager.shutdown(END).await;
    Ok(())
}

async fn chosen(room: &Room, scene: &Scene) -> Outcome {
    let info_hash = scene.info_hash;
    let manager = start(&room.folder("home")?).await?;
    let mut watcher = Watcher::attach(&manager, View::default()).await?;
    watcher.command(Command::Set(SettingsChange::AddsPaused(true))).await?;
    watcher.add(scene.torrent.clone()).await?;
    watcher.until_row("it rests", info_hash, |row| row.summary.wanted_size == 1_500 * KIB).await?;
    // Its pieces are of 32 KiB: the last file begins within one, and the first one ends within one.
    for (files, priority, wanted) in [
        (vec![0, 1], FilePriority::Skip, 316),
        (vec![0], FilePriority::High, 704 + 316),
        (vec![0, 1], FilePriority::Normal, 1_500),
    ] {
        watcher.command(Command::SetFiles { torrent: info_hash, files, priority }).await?;
        watcher.until_row("what is wanted", info_hash, |row| row.summary.wanted_size == wanted * KIB).await?;
    }
    manager.shutdown(END).await;
    Ok(())
}

async fn shared(room: &Room, scene: &Scene) -> Outcome {
    let info_hash = scene.info_hash;
    let (giving, taking) = (room.folder("giving")?, room.folder("taking")?);
    scene.payload.copy_to(&giving.join("data"), false)?;
    let giver = start(&giving).await?;
    // Nobody looks while it happens.
    let mut gives = Watcher::attach(&giver, View::default()).await?;
    gives.add(scene.torrent.clone()).await?;
    let taker = start(&taking).await?;
    let mut takes = Watcher::attach(&taker, View::default()).await?;
    takes.add(scene.torrent.clone()).await?;
    takes.until_row("it is complete", info_hash, |row| row.summary.state == TorrentState::Seeding).await?;
    gives.command(Command::Pause(vec![info_hash])).await?;
    gives.command(Command::Set(SettingsChange::Slots(Some(3)))).await?;
    gives.look(View { fairness: true, ..View::default() }).await?;
    gives
        .until("what was given while seeding", |state| {
            let fairness = state.fairness.as_ref();
            fairness.is_some_and(|fairness| fairness.while_seeding >= 1_500 * KIB && !fairness.is_automatic)
        })
        .await?;
    taker.shutdown(END).await;
    giver.shutdown(END).await;
    Ok(())
}

async fn damaged(room: &Room, scene: &Scene) -> Outcome {
    let home = room.folder("home")?;
    let manager = start(&home).await?;
    let mut watcher = Watcher::attach(&manager, View::default()).await?;
    watcher.command(Command::Set(SettingsChange::AddsPaused(true))).await?;
    watcher.add(scene.torrent.clone()).await?;
    manager.shutdown(END).await;
    let kept = home.join("list").join(format!("{}.torrent", scene.info_hash));
    fs::write(&kept, "junk")?;
    let manager = start(&home).await?;
    let mut watcher = Watcher::attach(&manager, scene.near()).await?;
    watcher
        .until_row("why nothing is seen", scene.info_hash, |row| {
            row.summary.trouble.as_ref().is_some_and(|trouble| trouble.message.as_str().contains("damaged"))
        })
        .await?;
    manager.shutdown(END).await;
    Ok(())
}
