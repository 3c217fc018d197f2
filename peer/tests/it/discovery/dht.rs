//! What trials of the DHT share: a node to join by, and jobs without a tracker.

use std::net::{IpAddr, SocketAddr};

use potluck_peer::dht::{DhtNode, DhtSettings, HostPort, NodeConfig};
use tokio::runtime::{Builder, Runtime};

use crate::clients::Job;
use crate::support::Outcome;
use crate::support::payload::Payload;
use crate::support::room::Room;
use crate::support::transfer;

/// A node of ours that stands alone, and knows nobody but who comes.
pub(crate) struct Bootstrap {
    runtime: Runtime,
    node: DhtNode,
}

impl Bootstrap {
    pub(crate) fn start(bind: IpAddr, port: u16) -> Outcome<Self> {
        Self::joining(bind, port, &[])
    }

    /// The same, as a part of a network that is there.
    pub(crate) fn joining(bind: IpAddr, port: u16, others: &[SocketAddr]) -> Outcome<Self> {
        let bootstrap = others.iter().copied().map(HostPort::from).collect();
        let settings = DhtSettings { bootstrap, ..DhtSettings::default() };
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let config = NodeConfig { bind: Some(bind), ports: port..=port, settings, state_dir: None };
        let node = runtime.block_on(async { DhtNode::start(config) })?;
        Ok(Self { runtime, node })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.node.addresses()[0]
    }

    pub(crate) fn node(&self) -> &DhtNode {
        &self.node
    }
}

impl Drop for Bootstrap {
    fn drop(&mut self) {
        self.runtime.block_on(self.node.close());
    }
}

/// A party that knows no tracker, and a node of the DHT.
pub(crate) fn job(
    room: &Room,
    name: &str,
    payload: &Payload,
    listen: SocketAddr,
    bootstrap: SocketAddr,
) -> Outcome<Job> {
    let job = transfer::job(room, name, payload, "")?;
    std::fs::write(&job.torrent, payload.torrent())?;
    Ok(Job { listen, dht: Some(bootstrap), ..job })
}
