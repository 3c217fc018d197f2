//! Our tracker, where everybody meets.

use std::net::{Ipv4Addr, SocketAddr};

use potluck_tracker::{TrackerConfig, TrackerServer};
use tokio::runtime::{Builder, Runtime};

use super::Outcome;

const PORT: u16 = 6969;

/// Runs in a thread until it is dropped.
pub(super) struct Tracker {
    pub(super) announce_url: String,
    runtime: Runtime,
    server: Option<TrackerServer>,
}

impl Tracker {
    /// At the last address of the network.
    pub(super) fn start(network: u8) -> Outcome<Self> {
        let address = SocketAddr::new(Ipv4Addr::new(127, network, 255, 254).into(), PORT);
        let config = TrackerConfig { http: vec![address], ..TrackerConfig::default() };
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let server = runtime.block_on(async { TrackerServer::bind(&config) })?;
        Ok(Self { announce_url: format!("http://{address}/announce"), runtime, server: Some(server) })
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.shutdown());
        }
    }
}
