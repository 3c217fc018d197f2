//! The list of torrents: two of them over loopback, seen through the updates that user interfaces get.

mod life;
mod magnet;
mod many;
mod memory;
mod queue;
mod rest;
mod watcher;

use std::path::Path;
use std::time::Duration;

use libtest_mimic::Trial;
use potluck_common::control::Settings;
use potluck_peer::engine::{Engine, EngineConfig};
use potluck_peer::manager::{Manager, ManagerConfig};

use crate::support::address::unused_localhost;
use crate::support::room::{self, Room};
use crate::support::{Error, Outcome};

const PATIENCE: Duration = Duration::from_secs(60);
/// How long a list may take to end.
const END: Duration = Duration::from_secs(5);

/// The trials of this file.
pub(crate) fn trials() -> Vec<Trial> {
    [life::trials(), magnet::trials(), many::trials(), memory::trials(), queue::trials(), rest::trials()]
        .into_iter()
        .flatten()
        .collect()
}

fn trial(name: &str, run: impl FnOnce(&Room) -> Outcome + Send + 'static) -> Trial {
    Trial::test(format!("manager::{name}"), || room::run(PATIENCE, run))
}

/// A list that is kept in `home`, and downloads to `home`/data.
async fn start(home: &Path) -> Result<Manager, Error> {
    let address = unused_localhost();
    let config = EngineConfig {
        bind: Some(address.ip()),
        ports: address.port()..=address.port(),
        state_dir: Some(home.join("state")),
        ..EngineConfig::default()
    };
    let engine = Engine::start(config).await?;
    let settings = Settings { directory: home.join("data"), ..Settings::default() };
    let store = Some(home.join("list"));
    Ok(Manager::start(ManagerConfig { engine, store, settings }).await?)
}
