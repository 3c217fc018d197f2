//! Row 5.12: what goes when a torrent is removed with its data, and what stays.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;
use potluck_common::control::TorrentState;
use potluck_peer::engine::{Engine, RemoveData, RemoveError, TorrentParams};
use potluck_peer::resume;

use super::{engine, ensure, payload, reaches, trial};
use crate::support::Outcome;
use crate::support::room::Room;

const FILES: &[(&str, u64)] = &[("a", 100_000), ("empty", 0), ("sub/b", 10_000), ("sub/deep/c", 1)];

/// One state of the folder at the time of the removal.
struct Case {
    name: &'static str,
    /// Makes the state; it gets the folder of the download, beside which others may be.
    prepare: fn(&Path) -> std::io::Result<()>,
    /// What must be there afterwards, below the folder and beside it.
    left: &'static [&'static str],
    /// How many of the four files are removed.
    files: usize,
    /// How many things are reported as none of ours any more.
    strange: usize,
}

const CASES: &[Case] = &[
    Case { name: "all_that_is_its_own_goes", prepare: |_| Ok(()), left: &[], files: 4, strange: 0 },
    Case {
        name: "strangers_and_junk_stay",
        prepare: |folder| {
            fs::write(folder.join("d/.DS_Store"), "junk")?;
            fs::write(folder.join("d/sub/deep/mine.txt"), "mine")
        },
        left: &["d", "d/.DS_Store", "d/sub", "d/sub/deep", "d/sub/deep/mine.txt"],
        files: 4,
        strange: 0,
    },
    Case {
        name: "a_missing_file_is_no_trouble",
        prepare: |folder| fs::remove_file(folder.join("d/a")),
        left: &[],
        files: 3,
        strange: 0,
    },
    Case {
        name: "a_missing_folder_is_no_trouble",
        prepare: |folder| fs::remove_dir_all(folder.join("d")),
        left: &[],
        files: 0,
        strange: 0,
    },
    Case {
        name: "a_link_in_the_place_of_a_file_stays_and_leads_nowhere",
        prepare: |folder| {
            fs::write(folder.join("../precious"), "precious")?;
            fs::remove_file(folder.join("d/a"))?;
            symlink("../../precious", folder.join("d/a"))
        },
        left: &["../precious", "d", "d/a"],
        files: 3,
        strange: 1,
    },
    Case {
        name: "a_link_in_the_place_of_a_folder_stays_and_leads_nowhere",
        prepare: |folder| {
            fs::rename(folder.join("d/sub"), folder.join("../precious"))?;
            symlink("../../precious", folder.join("d/sub"))
        },
        left: &["../precious", "../precious/b", "../precious/deep", "../precious/deep/c", "d", "d/sub"],
        files: 2,
        // Two files, and the folders `sub` and `sub/deep`.
        strange: 4,
    },
    Case {
        name: "a_folder_in_the_place_of_a_file_stays",
        prepare: |folder| {
            fs::remove_file(folder.join("d/a"))?;
            fs::create_dir(folder.join("d/a"))?;
            fs::write(folder.join("d/a/mine.txt"), "mine")
        },
        left: &["d", "d/a", "d/a/mine.txt"],
        files: 3,
        strange: 1,
    },
];

pub(super) fn trials() -> Vec<Trial> {
    let of_case = |case: &'static Case| {
        trial(&format!("row_5_12_{}", case.name), async move |room: &Room| run(room, case).await)
    };
    let mut trials: Vec<Trial> = CASES.iter().map(of_case).collect();
    trials.push(trial("row_5_12_what_another_torrent_has_stays", shared));
    trials.push(trial("row_5_12_a_removed_payload_may_be_fetched_anew", forgotten));
    trials.push(trial("row_5_12_keeping_the_data_keeps_it", kept));
    trials
}

/// The paths of all that is below `folder`.
fn below(folder: &Path) -> Outcome<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(&inner)? {
            let entry = entry?;
            found.insert(entry.path().strip_prefix(folder)?.to_path_buf());
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(found)
}

/// Adds the torrent of [`FILES`] with its payload in `folder`, and waits until it was checked.
async fn add(engine: &Engine, folder: &Path, files: &[(&str, u64)]) -> Outcome<potluck_common::InfoHash> {
    let (payload, metainfo) = payload(files)?;
    payload.copy_to(folder, false)?;
    let handle = engine.add(TorrentParams::new(metainfo, folder.to_path_buf())).await?;
    reaches(&handle, "it was checked", |state| !matches!(state.state, TorrentState::Checking { .. })).await?;
    Ok(handle.info_hash())
}

async fn run(room: &Room, case: &Case) -> Outcome {
    let folder = room.folder("around/download")?;
    let engine = engine(|_| ()).await?;
    let torrent = add(&engine, &folder, FILES).await?;
    (case.prepare)(&folder)?;
    let removal = engine.remove(torrent, RemoveData::Delete).await?;
    let around = below(&room.folder("around")?)?;
    let place = |path: &&str| match path.strip_prefix("../") {
        Some(beside) => PathBuf::from(beside),
        None => Path::new("download").join(path),
    };
    let mut wanted: BTreeSet<PathBuf> = case.left.iter().map(place).collect();
    wanted.insert("download".into());
    ensure(around == wanted, || format!("there is {around:?}, not {wanted:?}"))?;
    let counts = (removal.files, removal.left.len());
    ensure(counts == (case.files, case.strange), || format!("{removal:?}"))?;
    let again = engine.remove(torrent, RemoveData::Delete).await;
    ensure(matches!(again, Err(RemoveError::Unknown(_))), || format!("{again:?}"))
}

async fn shared(room: &Room) -> Outcome {
    let folder = room.folder("around/download")?;
    // The same folder by another name.
    let alias = room.folder("around")?.join("alias");
    symlink("download", &alias)?;
    let engine = engine(|_| ()).await?;
    let first = add(&engine, &folder, FILES).await?;
    let second = add(&engine, &alias, &[("sub/b", 20_000), ("own", 5)]).await?;
    let removal = engine.remove(first, RemoveData::Delete).await?;
    ensure((removal.files, removal.kept) == (3, 1), || format!("{removal:?}"))?;
    let left = below(&folder)?;
    let wanted = ["d", "d/own", "d/sub", "d/sub/b"].map(PathBuf::from).into();
    ensure(left == wanted, || format!("{left:?}"))?;
    let removal = engine.remove(second, RemoveData::Delete).await?;
    ensure((removal.files, removal.kept) == (2, 0), || format!("{removal:?}"))?;
    let left = below(&folder)?;
    ensure(left.is_empty(), || format!("{left:?}"))
}

/// What is remembered goes with the payload: else its absence would look like a drive that is not connected.
async fn forgotten(room: &Room) -> Outcome {
    let (folder, state) = (room.folder("download")?, room.folder("state")?);
    let engine = engine(|config| config.state_dir = Some(state.clone())).await?;
    let torrent = add(&engine, &folder, FILES).await?;
    let (_, metainfo) = payload(FILES)?;
    let known = resume::peek(&state, &metainfo, &folder).is_some_and(|state| state.have.is_full());
    ensure(known, || "it is not remembered as whole".into())?;
    engine.remove(torrent, RemoveData::Delete).await?;
    ensure(resume::peek(&state, &metainfo, &folder).is_none(), || "it is still remembered".into())?;
    let again = engine.add(TorrentParams::new(metainfo, folder)).await?;
    reaches(&again, "it downloads", |state| state.state == TorrentState::Downloading).await
}

async fn kept(room: &Room) -> Outcome {
    let folder = room.folder("download")?;
    let engine = engine(|_| ()).await?;
    for _ in 0..2 {
        // The second time it is added at once.
        let torrent = add(&engine, &folder, FILES).await?;
        let before = below(&folder)?;
        engine.remove(torrent, RemoveData::Keep).await?;
        ensure(below(&folder)? == before && before.len() == 7, || format!("{before:?}"))?;
    }
    Ok(())
}
