//! Thousands of torrents that do nothing cost nothing.

use std::time::Duration;

use libtest_mimic::Trial;
use potluck_common::control::{AddTorrent, Command, TorrentSource, View};
use tokio::runtime::Builder;

use super::watcher::Watcher;
use super::{END, start, trial};
use crate::support::room::Room;
use crate::support::{Outcome, bencode};

pub(super) fn trials() -> Vec<Trial> {
    vec![trial("a_thousand_paused_torrents_are_quiet", |room| {
        Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(thousand(room))
    })]
}

/// The torrent number `number` of one byte.
pub(super) fn tiny(number: usize) -> Vec<u8> {
    let mut torrent = b"d4:infod6:lengthi1e4:name".to_vec();
    bencode::bytes(&mut torrent, format!("tiny {number}").as_bytes());
    torrent.extend_from_slice(b"12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee");
    torrent
}

async fn thousand(room: &Room) -> Outcome {
    const COUNT: usize = 1_000;
    let home = room.folder("home")?;
    let manager = start(&home).await?;
    let mut watcher = Watcher::attach(&manager, View::default()).await?;
    for number in 0..COUNT {
        let source = TorrentSource::Metainfo(tiny(number));
        let add = AddTorrent { source, directory: None, paused: Some(true), labels: Vec::new() };
        watcher.command(Command::Add(add)).await?;
    }
    watcher.until("all are there", |state| state.torrents.len() == COUNT).await?;
    manager.shutdown(END).await;

    let manager = start(&home).await?;
    let mut watcher = Watcher::attach(&manager, View::default()).await?;
    assert_eq!((watcher.state.torrents.len(), watcher.told), (COUNT, 1), "all are in the first snapshot");
    let mut numbers: Vec<u32> = watcher.state.torrents.values().map(|row| row.number).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(1..=COUNT as u32));
    // The space on the disk may be told once.
    let told = watcher.listen(Duration::from_secs(2)).await?;
    assert!(told <= 1, "{told} updates although nothing happened");
    manager.shutdown(END).await;
    Ok(())
}
