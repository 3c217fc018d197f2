//! Rows 5.6 and 5.13: what cannot be read while it is seeded.

use std::fs::{self, File};
use std::path::Path;

use libtest_mimic::Trial;
use potluck_common::control::{EventKind, TorrentState};
use potluck_peer::engine::{Intent, TorrentParams};

use super::{ensure, failure, payload, reaches, start, trial};
use crate::support::Outcome;
use crate::support::room::Room;

const PIECE: u64 = 64 * 1024;
const TOTAL: u64 = 32 * PIECE;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("row_5_13_a_file_that_is_cut_under_a_seed_is_an_error_that_names_it", cut_in_the_middle),
        trial("row_5_13_a_seed_that_loses_its_end_offers_the_rest", cut_at_the_end),
        trial("row_5_6_a_seed_whose_files_vanish_fails_and_names_one", vanished),
        trial("row_5_6_a_download_fetches_again_what_its_disk_lost", fetched_again),
        trial("row_5_6_a_download_whose_files_vanish_fails_and_makes_none", drive_pulled),
        trial("row_5_6_seeding_changes_nothing_on_the_disk", unchanged),
    ]
}

/// A seed of `d/f` that sends slowly, and a download from it.
async fn pair(room: &Room) -> Outcome<Pair> {
    pair_after(room, |_| Ok(())).await
}

/// As [`pair`], with something done to the seed's file when it seeds and before anybody asks for it.
async fn pair_after(room: &Room, change: impl FnOnce(&Path) -> Outcome) -> Outcome<Pair> {
    let (payload, metainfo) = payload(&[("f", TOTAL)])?;
    let (source, target) = (room.folder("source")?, room.folder("target")?);
    payload.copy_to(&source, false)?;
    let mut seed = TorrentParams::new(metainfo.clone(), source.clone());
    (seed.intent, seed.up_limit) = (Intent::Seed, Some(TOTAL / 4));
    let seed = start(seed, |_| ()).await?;
    reaches(&seed.1, "it seeds", |state| state.state == TorrentState::Seeding).await?;
    change(&source.join("d/f"))?;
    let mut get = TorrentParams::new(metainfo, target);
    get.peers = seed.0.listen_addrs();
    let get = start(get, |_| ()).await?;
    Ok(Pair { file: source.join("d/f"), seed, get })
}

type Party = (potluck_peer::engine::Engine, potluck_peer::engine::TorrentHandle);

struct Pair {
    file: std::path::PathBuf,
    seed: Party,
    get: Party,
}

fn cut(file: &Path, length: u64) -> Outcome {
    Ok(File::options().write(true).open(file)?.set_len(length)?)
}

async fn cut_in_the_middle(room: &Room) -> Outcome {
    let Pair { file, seed, get } = pair(room).await?;
    reaches(&get.1, "it begins", |state| state.pieces_have > 2).await?;
    cut(&file, PIECE)?;
    reaches(&seed.1, "the seed fails", |state| failure(state).is_some()).await?;
    let snapshot = seed.1.snapshot();
    let message = failure(&snapshot).unwrap_or_default();
    let names_it = message.contains("d/f: the file is shorter than it should be");
    ensure(names_it, || format!("the message is {message:?}"))?;
    let got = get.1.snapshot();
    ensure(got.hash_failures == 0 && failure(&got).is_none(), || format!("{:?}", got.state))?;
    ensure(fs::metadata(&file)?.len() == PIECE, || "a seed writes nothing".into())
}

async fn cut_at_the_end(room: &Room) -> Outcome {
    let Pair { seed, get, .. } = pair_after(room, |file| cut(file, TOTAL - 1)).await?;
    let mut events = seed.1.events();
    reaches(&get.1, "the rest comes", |state| state.pieces_have == state.pieces - 1).await?;
    reaches(&seed.1, "the piece is lost", |state| state.pieces_have == state.pieces - 1).await?;
    let snapshot = seed.1.snapshot();
    ensure(snapshot.state == TorrentState::Seeding, || format!("{:?}", snapshot.state))?;
    let mut told = 0;
    while let Ok(event) = events.try_recv() {
        told += u32::from(matches!(event.kind, EventKind::PieceLost { piece: 31, fetched_again: false, .. }));
    }
    ensure(told == 1, || format!("told {told} times"))
}

async fn vanished(room: &Room) -> Outcome {
    let (payload, metainfo) = payload(&[("1", TOTAL), ("2", TOTAL), ("3", TOTAL)])?;
    let source = room.folder("source")?;
    payload.copy_to(&source, false)?;
    let seed = TorrentParams { intent: Intent::Seed, ..TorrentParams::new(metainfo.clone(), source.clone()) };
    // A file that is open stays readable when its name is gone.
    let seed = start(seed, |config| config.open_files_max = 1).await?;
    reaches(&seed.1, "it seeds", |state| state.state == TorrentState::Seeding).await?;
    for name in ["1", "2", "3"] {
        fs::remove_file(source.join("d").join(name))?;
    }
    let mut get = TorrentParams::new(metainfo, room.folder("target")?);
    get.peers = seed.0.listen_addrs();
    let _get = start(get, |_| ()).await?;
    reaches(&seed.1, "the seed fails", |state| failure(state).is_some()).await?;
    let snapshot = seed.1.snapshot();
    let message = failure(&snapshot).unwrap_or_default();
    ensure(message.contains("source/d/") && message.contains("it does not exist"), || message.into())?;
    ensure(fs::read_dir(source.join("d"))?.next().is_none(), || "a seed makes no files".into())
}

async fn fetched_again(room: &Room) -> Outcome {
    let Pair { seed, get, .. } = {
        let pair = pair(room).await?;
        reaches(&pair.get.1, "it completes", |state| state.is_durable).await?;
        pair
    };
    get.0.shutdown(std::time::Duration::from_secs(5)).await;
    // Once more, with nothing cached: what peers ask for comes from the disk.
    let (_, metainfo) = payload(&[("f", TOTAL)])?;
    let target = room.folder("target")?;
    let mut again = TorrentParams::new(metainfo.clone(), target.clone());
    again.peers = seed.0.listen_addrs();
    let again = start(again, |config| config.cache_bytes_max = 0).await?;
    reaches(&again.1, "it is whole", |state| state.is_durable).await?;
    let mut events = again.1.events();
    cut(&target.join("d/f"), TOTAL - 1)?;
    let mut other = TorrentParams::new(metainfo, room.folder("other")?);
    other.peers = again.0.listen_addrs();
    let other = start(other, |_| ()).await?;
    reaches(&other.1, "the other completes", |state| state.state == TorrentState::Seeding).await?;
    reaches(&again.1, "it is whole again", |state| state.is_durable).await?;
    let whole = fs::read(target.join("d/f"))? == fs::read(room.folder("source")?.join("d/f"))?;
    ensure(whole, || "it is not whole".into())?;
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        told.push(event.kind);
    }
    let is_lost =
        |kind: &EventKind| matches!(kind, EventKind::PieceLost { piece: 31, fetched_again: true, .. });
    ensure(told.iter().any(is_lost), || format!("{told:?}"))
}

/// As if a drive was pulled, and its mount point is an empty folder: the handles that are open give errors.
async fn drive_pulled(room: &Room) -> Outcome {
    let Pair { seed, get, .. } = pair(room).await?;
    reaches(&get.1, "it completes", |state| state.is_durable).await?;
    get.0.shutdown(std::time::Duration::from_secs(5)).await;
    let (_, metainfo) = payload(&[("f", TOTAL)])?;
    let (target, drive) = (room.folder("target")?, room.folder("drive")?);
    let again = TorrentParams::new(metainfo.clone(), target.clone());
    let again = start(again, |config| config.cache_bytes_max = 0).await?;
    reaches(&again.1, "it is whole", |state| state.is_durable).await?;
    let other = room.folder("other")?;
    let mut other = TorrentParams { down_limit: Some(TOTAL / 4), ..TorrentParams::new(metainfo, other) };
    other.peers = again.0.listen_addrs();
    let other = start(other, |_| ()).await?;
    reaches(&other.1, "the file is open", |state| state.pieces_have > 2).await?;
    // From here it could be fetched again.
    again.1.add_peer(*seed.0.listen_addrs().first().ok_or("no address")?);
    fs::rename(target.join("d"), drive.join("d"))?;
    cut(&drive.join("d/f"), 0)?;
    reaches(&again.1, "it fails", |state| failure(state).is_some()).await?;
    let snapshot = again.1.snapshot();
    let message = failure(&snapshot).unwrap_or_default();
    ensure(message.contains("target/d/f: it does not exist"), || message.into())?;
    again.0.shutdown(std::time::Duration::from_secs(5)).await;
    ensure(fs::read_dir(&target)?.next().is_none(), || "a file was made on the mount point".into())
}

async fn unchanged(room: &Room) -> Outcome {
    let source = room.folder("source")?;
    let pair = pair(room).await?;
    let stamps = |path: &Path| -> Outcome<_> {
        let of = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
        Ok((of(path)?, of(&path.join("d"))?, of(&path.join("d/f"))?))
    };
    let before = stamps(&source)?;
    reaches(&pair.get.1, "it completes", |state| state.is_durable).await?;
    pair.seed.0.shutdown(std::time::Duration::from_secs(5)).await;
    ensure(stamps(&source)? == before, || "a time stamp changed".into())
}
