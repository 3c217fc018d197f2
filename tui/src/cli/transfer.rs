//! `potluck get` and `potluck seed`: one engine, its torrents, and what a person or a script hears of them.

pub mod feed;
pub mod get;
pub mod seed;
pub mod status;

mod course;
mod helm;
mod hook;
mod item;
mod kept;
mod magnet;
mod origin;
mod past;
mod port;
mod reporter;
mod run;
mod signals;
mod window;

use std::{path::Path, time::Duration};

use self::run::Run;
pub use self::signals::{Signal, Signals, sleep_without_screen};
use super::{
    args::{GetArgs, NetworkArgs, StateArgs},
    exit::{Exit, Failure, Outcome},
    output::Output,
    state,
};
use potluck_common::{
    control::{Aspects, TorrentErrorKind},
    magnet::Magnet,
    metainfo::Metainfo,
};
use potluck_peer::engine::{AddError, Engine, EngineConfig, EngineError, MagnetParams, TorrentParams};

/// Most time that a graceful end may take.
pub const SHUTDOWN_DEADLINE: Duration = Duration::from_millis(2_500);

/// Starts an engine as the options say.
async fn start_engine(network: &NetworkArgs, state: &StateArgs, output: &Output) -> Outcome<Engine> {
    let defaults = EngineConfig::default();
    let config = EngineConfig {
        bind: network.bind,
        ports: network.port.clone(),
        up_limit: network.up.0,
        down_limit: network.down.0,
        pex: !network.no_pex,
        lsd: !network.local.no_lsd,
        port_map: !network.local.no_port_map,
        state_dir: state::folder(state, output),
        dht: network.dht.settings(),
        state_interval: state.state_interval_ms.map_or(defaults.state_interval, Duration::from_millis),
        ..defaults
    };
    Engine::start(config).await.map_err(|error| start_failure(&error))
}

/// What it means that an engine does not start.
pub fn start_failure(error: &EngineError) -> Failure {
    let exit = match error {
        EngineError::Listen { .. } => Exit::Network,
        EngineError::Threads(_) | EngineError::Descriptors(_) => Exit::Other,
    };
    Failure::sentence(exit, error)
}

/// What it means that a torrent cannot be added.
pub fn add_failure(input: &str, error: &AddError) -> Failure {
    match error {
        AddError::Duplicate(_) => Failure::new(Exit::Conflict, input, "given twice", "name it once"),
        AddError::InUse { .. } => Failure::sentence(Exit::Conflict, error),
        AddError::Defect(_) => Failure::sentence(Exit::Other, error),
        AddError::V2Only(_) | AddError::V2Link(_) | AddError::Layout(_) => {
            Failure::new(Exit::BadTorrent, input, error, "")
        }
    }
}

/// The exit code of a torrent that cannot go on.
fn exit_of(kind: TorrentErrorKind) -> Exit {
    match kind {
        TorrentErrorKind::Disk => Exit::Disk,
        TorrentErrorKind::MissingPayload | TorrentErrorKind::NotFound => Exit::NotFound,
        TorrentErrorKind::DamagedPayload => Exit::Damaged,
        TorrentErrorKind::BadTorrent => Exit::BadTorrent,
        TorrentErrorKind::Invalid => Exit::Usage,
        TorrentErrorKind::Conflict => Exit::Conflict,
        TorrentErrorKind::Internal => Exit::Other,
    }
}

/// The lists that a command shows: what `--json` prints has lists; people are told of trackers only.
fn aspects(output: &Output) -> Aspects {
    Aspects { trackers: true, peers: output.json, files: output.json, ..Aspects::NONE }
}

/// The parameters that both commands share, of a torrent that may come to be known later.
fn params(
    directory: &Path,
    network: &NetworkArgs,
    output: &Output,
) -> impl Fn(Metainfo) -> TorrentParams + Send + Sync + use<> {
    let (directory, aspects) = (directory.to_path_buf(), aspects(output));
    let (peers, extra_trackers) = (network.peers.clone(), network.trackers.clone());
    let (use_trackers, slots) = (!network.no_trackers, network.slots.0);
    move |metainfo| TorrentParams {
        peers: peers.clone(),
        use_trackers,
        extra_trackers: extra_trackers.clone(),
        slots,
        aspects,
        ..TorrentParams::new(metainfo, directory.clone())
    }
}

/// The parameters of a magnet link, but for what becomes of it.
fn params_of_magnet(magnet: Magnet, args: &GetArgs, output: &Output) -> MagnetParams {
    let network = &args.network;
    MagnetParams {
        peers: network.peers.clone(),
        use_trackers: !network.no_trackers,
        extra_trackers: network.trackers.clone(),
        aspects: aspects(output),
        ..MagnetParams::new(magnet, args.output.clone())
    }
}
