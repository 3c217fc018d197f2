//! The life of torrents in a list: taken in, fetched, paused, checked, removed, and there again in the next run.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use libtest_mimic::Trial;
use potluck_common::InfoHash;
use potluck_common::control::{
    AddTorrent, Aspects, Command, CommandErrorKind, DetailView, EventKind, FilePriority, HistoryRange, Level,
    Limits, SettingsChange, TorrentSource, TorrentState, View,
};
use tokio::runtime::Builder;

use super::watcher::Watcher;
use super::{END, start, trial};
use crate::support::Outcome;
use crate::support::payload::{Payload, Plan};
use crate::support::room::Room;
use crate::support::tracker::{self, Meeting, Tracker};

pub(super) const KIB: u64 = 1024;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("a_torrent_is_added_watched_paused_started_checked_and_removed", |room| {
            run(life(room, &Scene::new(room)?))
        }),
        trial("what_is_wrong_is_said_with_its_remedy", |room| run(refusals(room, &Scene::new(room)?))),
        trial("a_torrent_stops_at_the_ratio_goal", |room| run(goal(room, &Scene::new(room)?))),
        trial("who_reads_slowly_hears_the_same_in_the_end", |room| run(slow(room, &Scene::new(room)?))),
        trial("what_was_answered_survives_a_crash", |room| crash(room, &Scene::new(room)?)),
        trial("a_list_has_one_owner", |room| run(owners(room))),
    ]
}

pub(super) fn run(trial: impl Future<Output = Outcome>) -> Outcome {
    Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(trial)
}

pub(super) struct Scene {
    pub(super) payload: Payload,
    tracker: Tracker,
    pub(super) torrent: Vec<u8>,
    pub(super) info_hash: InfoHash,
}

impl Scene {
    /// A payload of three files, and a tracker for it.
    pub(super) fn new(room: &Room) -> Outcome<Self> {
        let files = [("a", 700 * KIB), ("b", 500 * KIB), ("c/d", 300 * KIB)];
        let files = files.map(|(path, length)| (PathBuf::from(path), length)).to_vec();
        let payload = Payload::make(&Plan { name: "three".into(), piece_length: 32 * KIB, files })?;
        let tracker = tracker::start(room, Meeting::OursHttp, payload.info_hash())?;
        let path = room.folder("torrent")?.join("three.torrent");
        payload.write_torrent(&path, tracker.announce_url())?;
        let (torrent, info_hash) = (fs::read(path)?, payload.info_hash());
        Ok(Self { payload, tracker, torrent, info_hash })
    }

    pub(super) fn announce_url(&self) -> &str {
        self.tracker.announce_url()
    }

    pub(super) fn near(&self) -> View {
        let detail = DetailView {
            info_hash: self.info_hash,
            aspects: Aspects::ALL,
            piece: Some(3),
            history: Some(HistoryRange::Minute),
        };
        View {
            detail: Some(detail),
            peers: true,
            fairness: true,
            disk: true,
            history: Some(HistoryRange::Minute),
            events: Some(Level::Debug),
        }
    }
}

async fn life(room: &Room, scene: &Scene) -> Outcome {
    let info_hash = scene.info_hash;
    let (giving, taking) = (room.folder("giving")?, room.folder("taking")?);
    scene.payload.copy_to(&giving.join("data"), false)?;

    let giver = start(&giving).await?;
    let mut gives = Watcher::attach(&giver, View::default()).await?;
    assert_eq!(gives.add(scene.torrent.clone()).await?, "added three");
    gives
        .until_row("the payload is known", info_hash, |row| row.summary.state == TorrentState::Seeding)
        .await?;
    scene.tracker.wait_for_peers(1, room.deadline)?;

    let taker = start(&taking).await?;
    let mut takes = Watcher::attach(&taker, scene.near()).await?;
    takes.command(Command::Set(SettingsChange::AddsPaused(true))).await?;
    takes.add(scene.torrent.clone()).await?;
    takes.until_row("it is there, paused", info_hash, |row| row.is_paused && row.number == 1).await?;
    takes
        .until("its files are shown while it rests", |state| {
            state
                .detail
                .as_ref()
                .is_some_and(|detail| detail.lists.files.len() == 3 && detail.lists.about.is_some())
        })
        .await?;
    assert_eq!(takes.command(Command::Start(vec![info_hash])).await?, "started three");
    takes
        .until("the disk is seen at work", |state| {
            state.disk.as_ref().is_some_and(|disk| {
                let has_space = disk.folders.iter().any(|folder| folder.free.is_some());
                disk.write_rate > 0 && disk.hash_rate >= disk.write_rate && has_space && disk.errors == 0
            })
        })
        .await?;
    takes
        .until_row("it is complete", info_hash, |row| {
            row.summary.state == TorrentState::Seeding
                && row.completed_at.is_some()
                && row.downloaded_ever >= 1_500 * KIB
        })
        .await?;
    takes
        .until("its lists and what happened are seen", |state| {
            let detail = state.detail.as_ref().expect("it is looked at");
            let completed = |kind: &EventKind| matches!(kind, EventKind::Completed { .. });
            detail.lists.pieces.iter().all(|piece| piece.have)
                && detail.lists.files.iter().all(|file| file.have == file.length)
                && detail.lists.trackers.len() == 1
                && state.events.iter().any(|event| completed(&event.kind))
                && state.fairness.is_some()
                && [&state.history, &detail.history].iter().all(|history| {
                    history.as_ref().is_some_and(|history| history.down.iter().sum::<u64>() >= 1_400 * KIB)
                })
        })
        .await?;
    scene.payload.check_copy(&taking.join("data"), true)?;

    takes.command(Command::Verify(vec![info_hash])).await?;
    takes
        .until_row("all of it was checked anew", info_hash, |row| row.summary.state == TorrentState::Seeding)
        .await?;
    takes
        .command(Command::SetLabels { torrents: vec![info_hash], labels: vec!["x".into(), " y ".into()] })
        .await?;
    let limits = Limits { down: Some(100_000), up: None };
    takes.command(Command::SetLimits { torrents: vec![info_hash], limits }).await?;
    let skip = Command::SetFiles { torrent: info_hash, files: vec![2], priority: FilePriority::Skip };
    takes.command(skip).await?;
    assert_eq!(takes.command(Command::Pause(vec![info_hash])).await?, "paused three");
    takes
        .until_row("it rests", info_hash, |row| row.is_paused && row.summary.state == TorrentState::Stopped)
        .await?;
    let before = takes.state.torrents[&info_hash].clone();
    taker.shutdown(END).await;

    // The next run has it as it was.
    let taker = start(&taking).await?;
    let view = View { history: Some(HistoryRange::FiveMinutes), ..View::default() };
    let mut takes = Watcher::attach(&taker, view).await?;
    takes
        .until("the rates of the run before", |state| {
            state.history.as_ref().is_some_and(|history| history.down.iter().sum::<u64>() * 2 >= 1_400 * KIB)
        })
        .await?;
    let after = takes.state.torrents[&info_hash].clone();
    assert_eq!(after.summary.have_size, before.summary.have_size);
    assert_eq!(
        (
            after.labels,
            after.limits,
            after.completed_at,
            after.downloaded_ever,
            after.added_at,
            after.is_paused
        ),
        (before.labels, before.limits, before.completed_at, before.downloaded_ever, before.added_at, true),
    );
    let session = takes.state.session.clone().expect("seen");
    assert!(session.settings.adds_paused && session.downloaded_ever >= 1_500 * KIB, "{session:?}");

    // A paused one that is checked is paused then.
    takes.command(Command::Verify(vec![info_hash])).await?;
    takes.until_row("it rests again", info_hash, |row| row.summary.state == TorrentState::Stopped).await?;
    let words = takes.command(Command::Remove { torrents: vec![info_hash], data: true }).await?;
    assert_eq!(words, "removed three and 3 files of its data");
    takes.until("the list is empty", |state| state.torrents.is_empty()).await?;
    let left: Vec<_> = fs::read_dir(taking.join("data"))?.collect();
    assert!(left.is_empty(), "{left:?}");
    taker.shutdown(END).await;

    // Without data, all of it stays; and nobody else hears of it.
    let words = gives.command(Command::Remove { torrents: vec![info_hash], data: false }).await?;
    assert_eq!(words, "removed three");
    giver.shutdown(END).await;
    scene.payload.check_copy(&giving.join("data"), true)?;
    let taker = start(&taking).await?;
    let takes = Watcher::attach(&taker, View::default()).await?;
    assert!(takes.state.torrents.is_empty());
    taker.shutdown(END).await;
    Ok(())
}

async fn refusals(room: &Room, scene: &Scene) -> Outcome {
    let home = room.folder("home")?;
    let manager = start(&home).await?;
    let mut watcher = Watcher::attach(&manager, View::default()).await?;
    watcher.command(Command::Set(SettingsChange::AddsPaused(true))).await?;
    watcher.add(scene.torrent.clone()).await?;
    let add = |source| Command::Add(AddTorrent { source, directory: None, paused: None, labels: Vec::new() });
    let nobody = InfoHash([7; 20]);
    let none = home.join("none.torrent");
    let junk = home.join("junk.torrent");
    fs::write(&junk, "junk")?;
    let file = junk.clone();
    for (command, kind, words) in [
        (
            add(TorrentSource::Metainfo(scene.torrent.clone())),
            CommandErrorKind::Exists,
            "three is in the list already (number 1)",
        ),
        (
            add(TorrentSource::Url("magnet:?xt=urn:btih:00".into())),
            CommandErrorKind::BadTorrent,
            "is no info-hash",
        ),
        (add(TorrentSource::Url("gopher://x/".into())), CommandErrorKind::Invalid, "gopher"),
        (add(TorrentSource::Path(none)), CommandErrorKind::NotFound, "none.torrent"),
        (add(TorrentSource::Path(junk)), CommandErrorKind::BadTorrent, "junk.torrent"),
        (add(TorrentSource::Path(home)), CommandErrorKind::BadTorrent, "is no file"),
        (Command::Pause(vec![nobody]), CommandErrorKind::NotFound, "there is no torrent 0707"),
        (Command::Start(vec![]), CommandErrorKind::Invalid, "no torrent is named"),
        (Command::Reannounce(vec![scene.info_hash]), CommandErrorKind::Invalid, "start it first"),
        (
            Command::SetLimits {
                torrents: vec![scene.info_hash],
                limits: Limits { down: Some(0), up: None },
            },
            CommandErrorKind::Invalid,
            "pause",
        ),
        (
            Command::SetLabels { torrents: vec![scene.info_hash], labels: vec!["x".repeat(33)] },
            CommandErrorKind::Invalid,
            "33",
        ),
        (
            Command::SetFiles { torrent: scene.info_hash, files: vec![3], priority: FilePriority::Low },
            CommandErrorKind::NotFound,
            "no file number 4; it has 3",
        ),
        (
            Command::SetFiles {
                torrent: scene.info_hash,
                files: vec![0, 1, 2],
                priority: FilePriority::Skip,
            },
            CommandErrorKind::Invalid,
            "at least one file",
        ),
        (Command::Set(SettingsChange::RatioGoal(Some(f32::NAN))), CommandErrorKind::Invalid, "ratio"),
        (Command::Set(SettingsChange::Slots(Some(0))), CommandErrorKind::Invalid, "1 to 200"),
        (Command::Set(SettingsChange::Slots(Some(201))), CommandErrorKind::Invalid, "1 to 200"),
        (Command::Set(SettingsChange::Directory(file)), CommandErrorKind::Invalid, "is no folder"),
        (Command::Set(SettingsChange::Directory(PathBuf::new())), CommandErrorKind::Invalid, "no folder"),
    ] {
        let shown = format!("{command:?}");
        let error = watcher.refused(command).await?;
        assert_eq!(error.kind, kind, "{shown}: {}", error.message);
        let words = if words == "33" { "longer than 32 characters" } else { words };
        assert!(error.message.as_str().contains(words), "{shown}: {}", error.message);
    }
    watcher.until("one torrent", |state| state.torrents.len() == 1).await?;
    manager.shutdown(END).await;
    Ok(())
}

async fn goal(room: &Room, scene: &Scene) -> Outcome {
    let info_hash = scene.info_hash;
    let (giving, taking) = (room.folder("giving")?, room.folder("taking")?);
    scene.payload.copy_to(&giving.join("data"), false)?;
    let giver = start(&giving).await?;
    let mut gives = Watcher::attach(&giver, View { events: Some(Level::Info), ..View::default() }).await?;
    gives.command(Command::Set(SettingsChange::RatioGoal(Some(0.9)))).await?;
    gives.add(scene.torrent.clone()).await?;
    let taker = start(&taking).await?;
    let mut takes = Watcher::attach(&taker, View::default()).await?;
    takes.add(scene.torrent.clone()).await?;
    takes.until_row("it is complete", info_hash, |row| row.summary.state == TorrentState::Seeding).await?;
    gives
        .until_row("it stops by itself", info_hash, |row| {
            row.is_paused && row.summary.state == TorrentState::Stopped
        })
        .await?;
    gives
        .until("it says why", |state| {
            state
                .events
                .iter()
                .any(|event| matches!(event.kind, EventKind::GoalReached { ratio } if ratio >= 0.9))
        })
        .await?;
    // Who starts it all the same knows what he does.
    gives.command(Command::Start(vec![info_hash])).await?;
    gives.until_row("it runs", info_hash, |row| row.summary.state == TorrentState::Seeding).await?;
    gives.listen(Duration::from_millis(600)).await?;
    assert!(!gives.state.torrents[&info_hash].is_paused);
    taker.shutdown(END).await;
    giver.shutdown(END).await;
    Ok(())
}

async fn slow(room: &Room, scene: &Scene) -> Outcome {
    let manager = start(&room.folder("home")?).await?;
    let mut watcher = Watcher::attach(&manager, View::default()).await?;
    watcher.command(Command::Set(SettingsChange::AddsPaused(true))).await?;
    watcher.add(scene.torrent.clone()).await?;
    let labels = |number: u32| {
        let labels = vec![format!("label {number}")];
        Command::SetLabels { torrents: vec![scene.info_hash], labels }
    };
    // While somebody else changes things for many times the interval of updates, it reads nothing.
    let mut other = Watcher::attach(&manager, View::default()).await?;
    let told = watcher.told;
    for number in 0..20 {
        other.command(labels(number)).await?;
        other.listen(Duration::from_millis(100)).await?;
    }
    assert!(other.told >= 4 && other.told <= 12, "{}", other.told);
    other.until_row("the last", scene.info_hash, |row| row.labels == ["label 19".into()]).await?;
    watcher.until_row("the last", scene.info_hash, |row| row.labels == ["label 19".into()]).await?;
    assert!(watcher.told - told <= 3, "{} waited", watcher.told - told);
    assert_eq!(watcher.state.torrents, other.state.torrents);
    manager.shutdown(END).await;
    Ok(())
}

/// The runtime goes with all that runs in it.
fn crash(room: &Room, scene: &Scene) -> Outcome {
    let home = room.folder("home")?;
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let manager = start(&home).await?;
        let mut watcher = Watcher::attach(&manager, View::default()).await?;
        watcher.command(Command::Set(SettingsChange::AddsPaused(true))).await?;
        watcher.add(scene.torrent.clone()).await.map(drop)
    })?;
    drop(runtime);
    run(async {
        let manager = start(&home).await?;
        let watcher = Watcher::attach(&manager, View::default()).await?;
        let row = &watcher.state.torrents[&scene.info_hash];
        assert!(row.is_paused && row.labels == ["new".into()], "{row:?}");
        manager.shutdown(END).await;
        Ok(())
    })
}

async fn owners(room: &Room) -> Outcome {
    let home = room.folder("home")?;
    let first = start(&home).await?;
    let Err(error) = start(&home).await else { return Err("two lists in one folder".into()) };
    assert!(error.to_string().contains("end that one first"), "{error}");
    first.shutdown(END).await;
    start(&home).await?.shutdown(END).await;
    Ok(())
}
