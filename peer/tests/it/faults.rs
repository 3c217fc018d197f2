//! Disks that fail under a running engine, and what an engine removes: rows of section 5 of the threat table.

mod crowd;
mod reading;
mod removing;

use std::time::Duration;

use libtest_mimic::Trial;
use potluck_common::control::{TorrentSnapshot, TorrentState};
use potluck_common::metainfo::Metainfo;
use potluck_peer::engine::{Engine, EngineConfig, TorrentHandle, TorrentParams};
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::support::Outcome;
use crate::support::payload::{Payload, Plan};
use crate::support::room::{self, Room};

/// How long a trial may take, on a machine that is busy with other trials.
const PATIENCE: Duration = Duration::from_secs(90);

/// The trials of this folder.
pub(crate) fn trials() -> Vec<Trial> {
    [crowd::trials(), reading::trials(), removing::trials()].into_iter().flatten().collect()
}

fn trial(name: &str, run: impl AsyncFnOnce(&Room) -> Outcome + Send + 'static) -> Trial {
    trial_within(PATIENCE, name, run)
}

/// A trial that may take so long.
fn trial_within(
    patience: Duration,
    name: &str,
    run: impl AsyncFnOnce(&Room) -> Outcome + Send + 'static,
) -> Trial {
    let runner = move |room: &Room| -> Outcome {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let result = runtime.block_on(async { timeout(room.deadline.remaining(), run(room)).await });
        // The engine's threads may be at work for a trial that was given up.
        runtime.shutdown_timeout(Duration::from_secs(2));
        result.map_err(|_| "not before the deadline")?
    };
    Trial::test(format!("faults::{name}"), move || room::run(patience, runner))
}

/// A payload of these files, of noise, in a folder `d`.
fn payload(files: &[(&str, u64)]) -> Outcome<(Payload, Metainfo)> {
    let files = files.iter().map(|(path, length)| (path.into(), *length)).collect();
    let payload = Payload::make(&Plan { name: "d".into(), piece_length: 64 * 1024, files })?;
    let metainfo = Metainfo::parse(payload.torrent())?;
    Ok((payload, metainfo))
}

/// An engine on a loopback port of its own.
async fn engine(change: impl FnOnce(&mut EngineConfig)) -> Outcome<Engine> {
    let mut config =
        EngineConfig { bind: Some([127, 0, 0, 1].into()), ports: 0..=0, ..EngineConfig::default() };
    change(&mut config);
    Ok(Engine::start(config).await?)
}

/// A torrent in an engine of its own.
pub(crate) async fn start(
    params: TorrentParams,
    change: impl FnOnce(&mut EngineConfig),
) -> Outcome<(Engine, TorrentHandle)> {
    let engine = engine(change).await?;
    let handle = engine.add(params).await?;
    Ok((engine, handle))
}

/// Waits until a torrent's state is as wanted, and says it when that does not come.
pub(crate) async fn reaches(
    handle: &TorrentHandle,
    what: &str,
    wanted: impl Fn(&TorrentSnapshot) -> bool,
) -> Outcome {
    let mut states = handle.watch();
    let reached = timeout(Duration::from_secs(60), states.wait_for(|state| wanted(state))).await;
    if let Ok(Ok(_)) = reached {
        return Ok(());
    }
    let last = handle.snapshot();
    let (state, stall, have) = (&last.state, &last.stall, last.pieces_have);
    Err(format!("{what}: {state:?}, {have} pieces, {stall:?}").into())
}

/// The message of a torrent that failed.
fn failure(snapshot: &TorrentSnapshot) -> Option<&str> {
    match &snapshot.state {
        TorrentState::Failed(error) => Some(error.message.as_str()),
        _ => None,
    }
}

fn ensure(holds: bool, message: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(message().into()) }
}
