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
    vec![trial("a_magnet_link_is_kept_waits_and_becomes_a_torrent", |room| {
        run(life(room, &Scene::new(room)?))
    })]
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
