//! What the outside holds of a torrent that runs in an engine.

use std::{net::SocketAddr, sync::Arc};

use potluck_common::{
    InfoHash,
    control::{Event, TorrentError, TorrentSnapshot, TorrentState},
};
use potluck_core::torrent::{Input, Source};
use tokio::sync::{broadcast, mpsc, watch};

/// A torrent in an engine; clones speak of the same one. Dropping it changes nothing.
#[derive(Clone, Debug)]
pub struct TorrentHandle {
    pub(super) info_hash: InfoHash,
    pub(super) snapshots: watch::Receiver<Arc<TorrentSnapshot>>,
    pub(super) events: broadcast::Sender<Event>,
    pub(super) inputs: mpsc::UnboundedSender<Input>,
}

impl TorrentHandle {
    /// Its id on the wire.
    pub fn info_hash(&self) -> InfoHash {
        self.info_hash
    }

    /// Its latest state.
    pub fn snapshot(&self) -> Arc<TorrentSnapshot> {
        Arc::clone(&self.snapshots.borrow())
    }

    /// Its states as they are published: at each change of what it does, and at most four times a second.
    pub fn watch(&self) -> watch::Receiver<Arc<TorrentSnapshot>> {
        self.snapshots.clone()
    }

    /// What happens to it from now on. A reader that falls far behind loses the oldest.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Tells it of a peer.
    pub fn add_peer(&self, address: SocketAddr) {
        let _ = self.inputs.send(Input::Candidates(vec![address], Source::User));
    }

    /// Waits until every wanted piece is there, or the torrent failed.
    pub async fn wait_complete(&self) -> Result<(), TorrentError> {
        let reached = |snapshot: &Arc<TorrentSnapshot>| {
            matches!(snapshot.state, TorrentState::Seeding | TorrentState::Failed(_) | TorrentState::Stopped)
        };
        let mut snapshots = self.snapshots.clone();
        // An error means that the engine is gone; its last word stands.
        let _ = snapshots.wait_for(reached).await;
        match &self.snapshot().state {
            TorrentState::Failed(error) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Stops it: announces `stopped`, closes its connections, makes what was written durable. Returns when that is
    /// done.
    pub async fn stop(&self) {
        let _ = self.inputs.send(Input::Stop);
        let mut snapshots = self.snapshots.clone();
        // The sender goes away when the torrent's task ends.
        while snapshots.changed().await.is_ok() {}
    }
}
