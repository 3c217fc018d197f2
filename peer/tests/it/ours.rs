//! Our own engine as a party, behind the interface of the other clients.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use potluck_common::control::{Event, TorrentSnapshot, TorrentState, TorrentSummary};
use potluck_common::magnet::Magnet;
use potluck_common::metainfo::Metainfo;
use potluck_peer::dht::DhtSettings;
use potluck_peer::engine::{
    Engine, EngineConfig, EngineStatus, Intent, MagnetParams, TorrentHandle, TorrentParams,
};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::broadcast;

use crate::clients::{Driver, Job, Running};
use crate::support::Outcome;

/// How long an engine may take to end.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(3);

/// Our engine with its default settings, listening on loopback.
pub(crate) struct Ours;

impl Driver for Ours {
    fn name(&self) -> &'static str {
        "us"
    }

    fn is_installed(&self) -> bool {
        true
    }

    fn leaves_other_files(&self) -> bool {
        false
    }

    fn start(&self, job: &Job) -> Outcome<Box<dyn Running>> {
        // A seeder must never mistake a damaged payload for something to download.
        if job.magnet.is_some() {
            return Ok(Box::new(start_magnet(job, |_| {})?));
        }
        let is_seeder = fs::read_dir(&job.payload_folder)?.next().is_some();
        let intent = if is_seeder { Intent::Seed } else { Intent::Download };
        Ok(Box::new(start(job, Settings { intent, ..DOWNLOAD })?))
    }
}

/// What differs from the defaults.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    /// What the torrent is added for.
    pub(crate) intent: Intent,
    /// Bytes of payload per second; `None` is no limit.
    pub(crate) up_limit: Option<u64>,
    /// Tell each peer of one piece at a time (BEP 16).
    pub(crate) super_seed: bool,
    /// Peers are told of each other (BEP 11).
    pub(crate) pex: bool,
    /// The router is asked for a port.
    pub(crate) port_map: bool,
}

/// To download, without limits.
pub(crate) const DOWNLOAD: Settings =
    Settings { intent: Intent::Download, up_limit: None, super_seed: false, pex: true, port_map: false };

/// To seed, without limits.
pub(crate) const SEED: Settings = Settings { intent: Intent::Seed, ..DOWNLOAD };

/// Starts an engine, in a runtime of its own, on `job`.
pub(crate) fn start(job: &Job, settings: Settings) -> Outcome<RunningOurs> {
    start_with(job, settings, |_| {})
}

/// The same, with `change` made to what the torrent is added with.
pub(crate) fn start_with(
    job: &Job,
    settings: Settings,
    change: impl FnOnce(&mut TorrentParams),
) -> Outcome<RunningOurs> {
    let metainfo = Metainfo::parse(&fs::read(&job.torrent)?)?;
    let config = EngineConfig {
        bind: Some(job.listen.ip()),
        ports: job.listen.port()..=job.listen.port(),
        up_limit: settings.up_limit,
        lsd: job.lsd,
        dht: dht_of(job),
        pex: settings.pex,
        port_map: settings.port_map,
        ..EngineConfig::default()
    };
    let mut params = TorrentParams::new(metainfo, job.payload_folder.clone());
    params.intent = settings.intent;
    params.super_seed = settings.super_seed;
    change(&mut params);
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (engine, torrent) = runtime.block_on(async {
        let engine = Engine::start(config).await?;
        let torrent = engine.add(params).await?;
        Outcome::Ok((engine, torrent))
    })?;
    Ok(RunningOurs { runtime, engine, torrent, home: job.home.clone() })
}

fn dht_of(job: &Job) -> Option<DhtSettings> {
    job.dht.map(|bootstrap| DhtSettings { bootstrap: vec![bootstrap.into()], ..DhtSettings::default() })
}

/// The same with the magnet link of `job`.
pub(crate) fn start_magnet(job: &Job, change: impl FnOnce(&mut MagnetParams)) -> Outcome<RunningOurs> {
    start_magnet_with(job, DOWNLOAD, change)
}

/// The same, with the settings of an engine.
pub(crate) fn start_magnet_with(
    job: &Job,
    settings: Settings,
    change: impl FnOnce(&mut MagnetParams),
) -> Outcome<RunningOurs> {
    let config = EngineConfig {
        bind: Some(job.listen.ip()),
        ports: job.listen.port()..=job.listen.port(),
        lsd: job.lsd,
        up_limit: settings.up_limit,
        dht: dht_of(job),
        pex: settings.pex,
        port_map: settings.port_map,
        ..EngineConfig::default()
    };
    let magnet = Magnet::parse(job.magnet.as_deref().ok_or("no magnet link")?)?;
    let mut params = MagnetParams::new(magnet, job.payload_folder.clone());
    change(&mut params);
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (engine, torrent) = runtime.block_on(async {
        let engine = Engine::start(config).await?;
        let torrent = engine.add_magnet(params)?;
        Outcome::Ok((engine, torrent))
    })?;
    Ok(RunningOurs { runtime, engine, torrent, home: job.home.clone() })
}

/// An engine with one torrent.
pub(crate) struct RunningOurs {
    runtime: Runtime,
    engine: Engine,
    torrent: TorrentHandle,
    home: PathBuf,
}

impl RunningOurs {
    /// What happens to the torrent: for the first who asks from its beginning.
    pub(crate) fn events(&self) -> broadcast::Receiver<Event> {
        self.torrent.events()
    }

    /// What the engine is doing.
    pub(crate) fn status(&self) -> EngineStatus {
        self.engine.status()
    }

    /// The torrent.
    pub(crate) fn torrent(&self) -> &TorrentHandle {
        &self.torrent
    }

    /// What the torrent is doing.
    pub(crate) fn snapshot(&self) -> Arc<TorrentSnapshot> {
        self.torrent.snapshot()
    }
}

impl Running for RunningOurs {
    fn is_complete(&mut self) -> Outcome<bool> {
        let snapshot = self.snapshot();
        match &snapshot.state {
            TorrentState::Failed(error) => Err(format!("our engine: {}", error.message).into()),
            TorrentState::Seeding => {
                check_economy(&snapshot)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

/// Among honest peers no piece fails, and few blocks come twice.
fn check_economy(snapshot: &TorrentSnapshot) -> Outcome {
    let TorrentSummary { hash_failures, wasted, total_size, .. } = &snapshot.summary;
    if *hash_failures > 0 || *wasted > total_size / 20 {
        return Err(format!("our engine: {hash_failures} pieces failed, {wasted} bytes were wasted").into());
    }
    Ok(())
}

impl Drop for RunningOurs {
    fn drop(&mut self) {
        let mut last = TorrentSnapshot::clone(&self.snapshot());
        last.detail.pieces.clear();
        last.detail.files.clear();
        // Shown when the trial fails; the folder is gone otherwise.
        let _unimportant = fs::write(self.home.join("snapshot.log"), format!("{last:#?}"));
        self.runtime.block_on(self.engine.shutdown(SHUTDOWN_PATIENCE));
    }
}
