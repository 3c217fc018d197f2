//! `potluck get` and `potluck seed`: one engine, its torrents, and what a person or a script hears of them.

pub mod feed;
pub mod get;
pub mod seed;
pub mod status;

mod hook;
mod item;
mod reporter;
mod run;
mod signals;
mod window;

use std::{path::Path, time::Duration};

use self::run::Run;
pub use self::signals::{Signal, Signals, sleep_without_screen};
use super::{
    args::{NetworkArgs, StateArgs},
    exit::{Exit, Failure, Outcome},
    output::Output,
    state,
};
use potluck_common::{control::Aspects, metainfo::Metainfo};
use potluck_peer::engine::{AddError, Engine, EngineConfig, EngineError, TorrentParams};

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
        AddError::V2Only(_) | AddError::Layout(_) => Failure::new(Exit::BadTorrent, input, error, ""),
    }
}

/// The parameters that both commands share.
fn params(metainfo: Metainfo, directory: &Path, network: &NetworkArgs, output: &Output) -> TorrentParams {
    // What `--json` prints has lists; people are told of trackers only.
    let lists = output.json;
    TorrentParams {
        peers: network.peers.clone(),
        use_trackers: !network.no_trackers,
        extra_trackers: network.trackers.clone(),
        slots: network.slots.0,
        aspects: Aspects { trackers: true, peers: lists, files: lists, ..Aspects::NONE },
        ..TorrentParams::new(metainfo, directory.to_path_buf())
    }
}
