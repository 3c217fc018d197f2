//! A magnet link in the list: waiting, kept from run to run, resolved, and then a torrent like any other.

use std::fs;

use libtest_mimic::Trial;
use potluck_common::control::{AddTorrent, Command, CommandErrorKind, TorrentSource, TorrentState, View};

use super::life::{KIB, Scene, run};
use super::watcher::Watcher;
use super::{END, start, trial};
use crate::support::Outcome;
use crate::support::room::Room;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("a_magnet_link_is_kept_waits_and_becomes_a_torrent", |room| {
            run(life(room, &Scene::new(room)?))
        }),
        trial("metadata_that_cannot_be_written_costs_no_link", |room| run(full(room, &Scene::new(room)?))),
    ]
}

fn add(source: String) -> Command {
    let source = TorrentSource::Url(source);
    Command::Add(AddTorrent { source, directory: None, paused: None, labels: vec!["by link".into()] })
}

async fn life(room: &Room, scene: &Scene) -> Outcome {
    let info_hash = scene.info_hash;
    let (giving, taking) = (room.folder("giving")?, room.folder("taking")?);
    scene.payload.copy_to(&giving.join("data"), false)?;

    // Nobody has it yet: it waits, in this run and in the next.
    let link = format!("magnet:?xt=urn:btih:{info_hash}&dn=a%20name&tr={}&so=0,2", scene.announce_url());
    let first = start(&taking).await?;
    let mut takes = Watcher::attach(&first, View::default()).await?;
    assert_eq!(takes.command(add(link.clone())).await?, "added a name");
    let waits = |row: &potluck_common::control::TorrentRow| {
        matches!(row.summary.state, TorrentState::Metadata { .. }) && row.summary.stall.is_some()
    };
    takes.until_row("it waits for its metadata", info_hash, waits).await?;
    // Nothing says yet what is to be verified, and to fetch that is not what was asked for.
    let error = takes.refused(Command::Verify(vec![info_hash])).await?;
    assert_eq!(error.kind, CommandErrorKind::Invalid, "{}", error.message);
    for again in [link, info_hash.to_string()] {
        assert_eq!(takes.refused(add(again)).await?.kind, CommandErrorKind::Exists);
    }
    first.shutdown(END).await;
    let second = start(&taking).await?;
    let mut takes = Watcher::attach(&second, View::default()).await?;
    takes.until_row("it waits again", info_hash, waits).await?;
    assert_eq!(takes.state.torrents[&info_hash].labels, ["by link".into()]);

    let giver = start(&giving).await?;
    let mut gives = Watcher::attach(&giver, View::default()).await?;
    gives.add(scene.torrent.clone()).await?;
    gives.until_row("it seeds", info_hash, |row| row.summary.state == TorrentState::Seeding).await?;
    takes.command(Command::Reannounce(vec![info_hash])).await?;
    takes
        .until_row("it is complete", info_hash, |row| {
            row.summary.state == TorrentState::Seeding && row.summary.name.as_str() == "three"
        })
        .await?;
    // The second of three files is not selected, but for the pieces that it shares with the others.
    let wanted = takes.state.torrents[&info_hash].summary.wanted_size;
    assert!((1_000 * KIB..1_100 * KIB).contains(&wanted), "{wanted}");
    second.shutdown(END).await;
    giver.shutdown(END).await;

    // Its metainfo is kept now: nobody is there, and it is known.
    assert!(fs::exists(taking.join("list").join(format!("{info_hash}.torrent")))?);
    let third = start(&taking).await?;
    let mut takes = Watcher::attach(&third, View::default()).await?;
    takes
        .until_row("it seeds by itself", info_hash, |row| row.summary.state == TorrentState::Seeding)
        .await?;
    takes.command(Command::Remove { torrents: vec![info_hash], data: true }).await?;
    assert!(!taking.join("data/three/a").exists());
    third.shutdown(END).await;
    Ok(())
}

/// The folder takes small files and not the metainfo, as a full disk does.
async fn full(room: &Room, scene: &Scene) -> Outcome {
    let info_hash = scene.info_hash;
    let (giving, taking) = (room.folder("giving")?, room.folder("taking")?);
    scene.payload.copy_to(&giving.join("data"), false)?;
    let giver = start(&giving).await?;
    let mut gives = Watcher::attach(&giver, View::default()).await?;
    gives.add(scene.torrent.clone()).await?;
    gives.until_row("it seeds", info_hash, |row| row.summary.state == TorrentState::Seeding).await?;

    let first = start(&taking).await?;
    let torrent = taking.join("list").join(format!("{info_hash}.torrent"));
    let obstacle = torrent.with_extension("torrent.new");
    fs::create_dir(&obstacle)?;
    let mut takes = Watcher::attach(&first, View::default()).await?;
    takes.command(add(format!("magnet:?xt=urn:btih:{info_hash}&tr={}", scene.announce_url()))).await?;
    takes.until_row("it is complete", info_hash, |row| row.summary.state == TorrentState::Seeding).await?;
    takes
        .until("what is wrong is told", |state| {
            state.session.as_ref().is_some_and(|session| session.trouble.is_some())
        })
        .await?;
    // What it became goes on all the same, in this run and after a change of it that could be written.
    takes.command(Command::Pause(vec![info_hash])).await?;
    takes.command(Command::Start(vec![info_hash])).await?;
    takes.until_row("it runs again", info_hash, |row| row.summary.state == TorrentState::Seeding).await?;
    first.shutdown(END).await;

    // The next run has the link yet, and this time there is room.
    assert!(!torrent.exists());
    fs::remove_dir(&obstacle)?;
    let second = start(&taking).await?;
    let mut takes = Watcher::attach(&second, View::default()).await?;
    takes.until_row("it seeds again", info_hash, |row| row.summary.state == TorrentState::Seeding).await?;
    second.shutdown(END).await;
    giver.shutdown(END).await;
    assert!(torrent.exists());
    Ok(())
}
