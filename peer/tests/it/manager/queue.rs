//! How many torrents run at a time: whose turn it is, moves, and what the next run makes of it.

use std::collections::BTreeSet;
use std::fs;

use libtest_mimic::Trial;
use potluck_common::InfoHash;
use potluck_common::control::{
    Command, CommandErrorKind, QueueStep, SettingsChange, State, TorrentState, View,
};
use potluck_common::hash::sha1;

use super::life::run;
use super::watcher::Watcher;
use super::{END, start, trial};
use crate::support::room::Room;
use crate::support::{Outcome, bencode};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("as_many_run_as_may_and_the_next_is_who_was_moved_there", |room| run(moves(room))),
        trial("who_is_moved_has_a_place_of_its_own_whoever_is_paused", |room| run(places(room))),
        trial("who_is_complete_waits_among_the_seeds", |room| run(seeds(room))),
    ]
}

/// A torrent of one byte, which is an `x`.
fn tiny(number: u32) -> (InfoHash, Vec<u8>) {
    let mut info = b"d6:lengthi1e4:name".to_vec();
    bencode::bytes(&mut info, format!("tiny {number}").as_bytes());
    info.extend_from_slice(b"12:piece lengthi16384e6:pieces");
    bencode::bytes(&mut info, &sha1(b"x"));
    info.push(b'e');
    (InfoHash(sha1(&info)), [b"d4:info", &info[..], b"e"].concat())
}

fn hashes(numbers: &[u32]) -> Vec<InfoHash> {
    numbers.iter().map(|number| tiny(*number).0).collect()
}

/// Waits until those run, and those wait in the queue, in this order.
async fn until(watcher: &mut Watcher, running: &[u32], waiting: &[u32]) -> Outcome {
    let in_order = |state: &State, is_queued: bool| {
        let is_it = |state: &TorrentState| match state {
            TorrentState::Stopped => is_queued,
            TorrentState::Downloading | TorrentState::Seeding => !is_queued,
            _ => false,
        };
        let rows = state.torrents.values();
        let mut rows: Vec<_> = rows
            .filter(|row| row.is_queued == is_queued && !row.is_paused && is_it(&row.summary.state))
            .collect();
        rows.sort_unstable_by_key(|row| (row.is_complete(), row.queue_place));
        rows.iter().map(|row| row.summary.info_hash).collect::<Vec<_>>()
    };
    let (running, waiting) = (hashes(running), hashes(waiting));
    let is_seen = |state: &State| in_order(state, false) == running && in_order(state, true) == waiting;
    watcher.until("who runs and who waits", is_seen).await
}

async fn moves(room: &Room) -> Outcome {
    let home = room.folder("home")?;
    let manager = start(&home).await?;
    let mut watcher = Watcher::attach(&manager, View::default()).await?;
    let refused = watcher.refused(Command::Set(SettingsChange::DownloadsMax(Some(0)))).await?;
    assert_eq!(refused.kind, CommandErrorKind::Invalid);
    watcher.command(Command::Set(SettingsChange::DownloadsMax(Some(2)))).await?;
    for number in 1..=5 {
        watcher.add(tiny(number).1).await?;
    }
    until(&mut watcher, &[1, 2], &[3, 4, 5]).await?;
    // To start who waits does not put it before the others.
    assert_eq!(watcher.command(Command::Start(hashes(&[4]))).await?, "started tiny 4");
    until(&mut watcher, &[1, 2], &[3, 4, 5]).await?;
    let to = |numbers: &[u32], to| Command::Queue { torrents: hashes(numbers), to };
    assert_eq!(watcher.command(to(&[5], QueueStep::First)).await?, "moved in the queue: tiny 5");
    until(&mut watcher, &[5, 1], &[2, 3, 4]).await?;
    watcher.command(to(&[3, 4], QueueStep::Up)).await?;
    until(&mut watcher, &[5, 1], &[3, 4, 2]).await?;
    watcher.command(Command::Pause(hashes(&[5]))).await?;
    until(&mut watcher, &[1, 3], &[4, 2]).await?;
    // Who is only checked runs for that, and waits on.
    watcher.command(Command::Verify(hashes(&[2]))).await?;
    until(&mut watcher, &[1, 3], &[4, 2]).await?;
    watcher.command(Command::Remove { torrents: hashes(&[1]), data: false }).await?;
    until(&mut watcher, &[3, 4], &[2]).await?;
    manager.shutdown(END).await;

    let manager = start(&home).await?;
    let mut watcher = Watcher::attach(&manager, View::default()).await?;
    until(&mut watcher, &[3, 4], &[2]).await?;
    watcher.command(Command::Set(SettingsChange::DownloadsMax(Some(1)))).await?;
    until(&mut watcher, &[3], &[4, 2]).await?;
    watcher.add(tiny(6).1).await?;
    until(&mut watcher, &[3], &[4, 2, 6]).await?;
    // Who was paused is the first again when it goes on.
    watcher.command(Command::Start(hashes(&[5]))).await?;
    until(&mut watcher, &[5], &[3, 4, 2, 6]).await?;
    watcher.command(Command::Set(SettingsChange::DownloadsMax(None))).await?;
    until(&mut watcher, &[5, 3, 4, 2, 6], &[]).await?;
    manager.shutdown(END).await;
    Ok(())
}

async fn seeds(room: &Room) -> Outcome {
    let home = room.folder("home")?;
    let data = home.join("data");
    fs::create_dir_all(&data)?;
    for number in [1, 2, 3] {
        fs::write(data.join(format!("tiny {number}")), "x")?;
    }
    let manager = start(&home).await?;
    let mut watcher = Watcher::attach(&manager, View::default()).await?;
    watcher.command(Command::Set(SettingsChange::DownloadsMax(Some(1)))).await?;
    watcher.command(Command::Set(SettingsChange::SeedsMax(Some(2)))).await?;
    for number in 1..=5 {
        watcher.add(tiny(number).1).await?;
    }
    // That three are there already is found out when it is their turn among the downloads.
    until(&mut watcher, &[4, 1, 2], &[5, 3]).await?;
    watcher.command(Command::Pause(hashes(&[1]))).await?;
    until(&mut watcher, &[4, 2, 3], &[5]).await?;
    manager.shutdown(END).await;

    let manager = start(&home).await?;
    let mut watcher = Watcher::attach(&manager, View::default()).await?;
    until(&mut watcher, &[4, 2, 3], &[5]).await?;
    watcher.command(Command::Set(SettingsChange::DownloadsMax(Some(3)))).await?;
    watcher.command(Command::Start(hashes(&[1]))).await?;
    until(&mut watcher, &[4, 5, 1, 2], &[3]).await?;
    let to = |to| Command::Queue { torrents: hashes(&[3]), to };
    watcher.command(to(QueueStep::First)).await?;
    until(&mut watcher, &[4, 5, 3, 1], &[2]).await?;
    // Who loses its turn before its check has begun is checked all the same, and found to lack something.
    fs::write(data.join("tiny 3"), "y")?;
    for answer in watcher.burst(vec![Command::Verify(hashes(&[3])), to(QueueStep::Last)]).await? {
        answer.map_err(|error| error.message.to_string())?;
    }
    until(&mut watcher, &[4, 5, 3, 1, 2], &[]).await?;
    manager.shutdown(END).await;
    Ok(())
}

/// Places are given once, so that each step shows: those of who is paused, or of the other queue, are not given again.
async fn places(room: &Room) -> Outcome {
    let home = room.folder("home")?;
    let manager = start(&home).await?;
    let mut watcher = Watcher::attach(&manager, View::default()).await?;
    watcher.command(Command::Set(SettingsChange::DownloadsMax(Some(1)))).await?;
    for number in 1..=5 {
        watcher.add(tiny(number).1).await?;
    }
    watcher.command(Command::Pause(hashes(&[1, 5]))).await?;
    until(&mut watcher, &[2], &[3, 4]).await?;
    let to = |number: u32, to| Command::Queue { torrents: hashes(&[number]), to };
    watcher.command(to(3, QueueStep::Last)).await?;
    watcher.command(to(4, QueueStep::First)).await?;
    until(&mut watcher, &[4], &[2, 3]).await?;
    manager.shutdown(END).await;

    let manager = start(&home).await?;
    let mut watcher = Watcher::attach(&manager, View::default()).await?;
    until(&mut watcher, &[4], &[2, 3]).await?;
    watcher.command(to(2, QueueStep::First)).await?;
    until(&mut watcher, &[2], &[4, 3]).await?;
    watcher.command(Command::Start(hashes(&[1, 5]))).await?;
    until(&mut watcher, &[2], &[4, 1, 5, 3]).await?;
    let given = watcher.state.torrents.values().map(|row| row.queue_place);
    assert_eq!(given.collect::<BTreeSet<_>>().len(), 5, "each has its own");
    watcher.command(to(5, QueueStep::Down)).await?;
    until(&mut watcher, &[2], &[4, 1, 3, 5]).await?;
    watcher.command(to(1, QueueStep::Up)).await?;
    until(&mut watcher, &[2], &[1, 4, 3, 5]).await?;
    manager.shutdown(END).await;
    Ok(())
}
