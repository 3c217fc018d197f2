//! What an engine remembers of a torrent: a payload that goes away and comes back, and two engines with one folder.

use std::fs;
use std::path::Path;
use std::time::Duration;

use libtest_mimic::Trial;
use potluck_common::control::{EventKind, TorrentErrorKind, TorrentState};
use potluck_common::metainfo::Metainfo;
use potluck_peer::engine::{AddError, Engine, EngineConfig, Intent, RemoveData, TorrentParams};
use tokio::time::timeout;

use crate::support::payload::{Payload, Plan};
use crate::support::room::{self, Room};
use crate::support::{Outcome, address};

const PATIENCE: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(3);

/// The trials of this file.
pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn(&Room) -> Outcome| {
        Trial::test(format!("resume::{name}"), move || room::run(PATIENCE, run))
    };
    vec![
        trial("row_5_4_a_payload_that_comes_back_goes_on_without_a_check", comes_back),
        trial("what_was_removed_with_its_data_is_not_missed", removed),
        trial("row_5_7_two_engines_do_not_share_a_folder", two_engines),
    ]
}

fn block_on(task: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async { timeout(PATIENCE, task).await? })
}

async fn engine(state_dir: &Path) -> Outcome<Engine> {
    let listen = address::unused();
    let config = EngineConfig {
        bind: Some(listen.ip()),
        ports: listen.port()..=listen.port(),
        state_dir: Some(state_dir.to_owned()),
        missing_interval: Duration::from_millis(20),
        ..EngineConfig::default()
    };
    Ok(Engine::start(config).await?)
}

/// A payload on the disk, and what to add it with.
fn place(room: &Room) -> Outcome<(Payload, TorrentParams)> {
    let plan = Plan {
        name: "gone".into(),
        piece_length: 16 * 1024,
        files: vec![("a".into(), 100_000), ("dir/b".into(), 300_000), ("empty".into(), 0)],
    };
    let payload = Payload::make(&plan)?;
    let folder = room.folder("payload")?;
    payload.copy_to(&folder, false)?;
    let params = TorrentParams::new(Metainfo::parse(payload.torrent())?, folder);
    Ok((payload, params))
}

fn comes_back(room: &Room) -> Outcome {
    let (payload, params) = place(room)?;
    let (state, away) = (room.folder("state")?, room.folder("drive")?.join("payload"));
    let folder = params.directory.clone();
    block_on(async move {
        for intent in [Intent::Download, Intent::Seed] {
            let params = TorrentParams { intent, ..params.clone() };
            let first = engine(&state).await?;
            first
                .add(params.clone())
                .await?
                .wait_complete()
                .await
                .map_err(|error| error.message.to_string())?;
            first.shutdown(STOP).await;

            fs::rename(&folder, &away)?;
            let second = engine(&state).await?;
            let torrent = second.add(params).await?;
            let error = torrent.wait_complete().await.expect_err("it is gone");
            assert_eq!(error.kind, TorrentErrorKind::MissingPayload);
            assert!(error.message.as_str().contains("payload/gone/a"), "{error:?}");
            // A few looks later there is still nothing in its place.
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(!folder.exists(), "nothing is made");
            fs::create_dir(&folder)?;
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert_eq!(fs::read_dir(&folder)?.count(), 0, "nothing is made in a folder that is empty");
            fs::remove_dir(&folder)?;

            let mut events = torrent.events();
            let mut states = torrent.watch();
            fs::rename(&away, &folder)?;
            states.wait_for(|snapshot| snapshot.state == TorrentState::Seeding).await?;
            let mut told = Vec::new();
            while let Ok(event) = events.try_recv() {
                told.push(event.kind);
            }
            let failed = told.iter().position(|kind| matches!(kind, EventKind::Failed { .. }));
            let resumed = told.iter().position(|kind| *kind == EventKind::Resumed);
            let pieces = torrent.snapshot().pieces;
            let checked = EventKind::Checked { have: pieces, pieces, rechecked: 0 };
            let checked = told.iter().position(|kind| *kind == checked);
            assert!(failed.is_some() && failed < resumed && resumed < checked, "{told:?}");
            second.shutdown(STOP).await;
            payload.check_copy(&folder, true)?;
        }
        Ok(())
    })
}

fn removed(room: &Room) -> Outcome {
    let (_payload, params) = place(room)?;
    let state = room.folder("state")?;
    block_on(async move {
        let engine = engine(&state).await?;
        let torrent = engine.add(params.clone()).await?;
        torrent.wait_complete().await.map_err(|error| error.message.to_string())?;
        engine.remove(torrent.info_hash(), RemoveData::Delete).await?;
        let again = engine.add(params).await?;
        let mut states = again.watch();
        states.wait_for(|snapshot| snapshot.state == TorrentState::Downloading).await?;
        engine.shutdown(STOP).await;
        Ok(())
    })
}

fn two_engines(room: &Room) -> Outcome {
    let (_payload, params) = place(room)?;
    let state = room.folder("state")?;
    let elsewhere = room.folder("elsewhere")?;
    block_on(async move {
        let (first, second) = (engine(&state).await?, engine(&state).await?);
        let torrent = first.add(params.clone()).await?;
        let refused = second.add(params.clone()).await.err();
        assert!(matches!(refused, Some(AddError::InUse { .. })), "{refused:?}");
        second.add(TorrentParams { directory: elsewhere, ..params.clone() }).await?.stop().await;
        torrent.wait_complete().await.map_err(|error| error.message.to_string())?;
        let seed = second.add(TorrentParams { intent: Intent::Seed, ..params.clone() }).await?;
        seed.wait_complete().await.map_err(|error| error.message.to_string())?;
        seed.stop().await;
        torrent.stop().await;
        // Free at once, and known.
        second.add(params).await?.wait_complete().await.map_err(|error| error.message.to_string())?;
        first.shutdown(STOP).await;
        second.shutdown(STOP).await;
        Ok(())
    })
}
