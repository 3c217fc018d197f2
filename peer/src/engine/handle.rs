//! What the outside holds of a torrent that runs in an engine.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use potluck_common::{
    InfoHash, Printable,
    control::{
        Aspects, Event, FilePriority, Limits, TorrentError, TorrentErrorKind, TorrentSnapshot, TorrentState,
    },
    metainfo::Metainfo,
};
use potluck_core::torrent::{Input, Source};
use tokio::sync::{broadcast, mpsc, watch};

use super::torrent_task::Message;

/// What becomes of the payload of a torrent that is removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RemoveData {
    /// It stays.
    Keep,
    /// The torrent's own files are removed.
    Delete,
}

/// Which lists of a torrent somebody looks at; nobody else's are made.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Shown {
    /// The lists.
    pub aspects: Aspects,
    /// The pieces whose holders are wanted; a few.
    pub pieces: BTreeSet<u32>,
}

impl Shown {
    /// Nobody looks.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A torrent in an engine; clones speak of the same one. Dropping it changes nothing.
#[derive(Clone, Debug)]
pub struct TorrentHandle {
    pub(super) info_hash: InfoHash,
    pub(super) snapshots: watch::Receiver<Arc<TorrentSnapshot>>,
    pub(super) shown: watch::Sender<Shown>,
    pub(super) metainfo: watch::Receiver<Option<Metainfo>>,
    pub(super) events: broadcast::Sender<Event>,
    /// Has everything from the torrent's beginning on; for whoever asks first.
    pub(super) first_events: Arc<Mutex<Option<broadcast::Receiver<Event>>>>,
    pub(super) inputs: mpsc::UnboundedSender<Input>,
    pub(super) messages: mpsc::UnboundedSender<Message>,
}

impl TorrentHandle {
    /// Its id on the wire.
    pub fn info_hash(&self) -> InfoHash {
        self.info_hash
    }

    /// What its torrent file says; `None` as long as that of a magnet link is not known.
    pub fn metainfo(&self) -> Option<Metainfo> {
        self.metainfo.borrow().clone()
    }

    /// The same, as soon as it is known; `None` if the torrent ends before.
    pub async fn wait_metainfo(&self) -> Option<Metainfo> {
        let mut metainfo = self.metainfo.clone();
        metainfo.wait_for(Option::is_some).await.ok()?.clone()
    }

    /// Its latest state.
    pub fn snapshot(&self) -> Arc<TorrentSnapshot> {
        Arc::clone(&self.snapshots.borrow())
    }

    /// Its states as they are published: at each change of what it does, and at most four times a second.
    pub fn watch(&self) -> watch::Receiver<Arc<TorrentSnapshot>> {
        self.snapshots.clone()
    }

    /// From now on its snapshots have these lists.
    pub fn show(&self, shown: Shown) {
        self.shown.send_if_modified(|now| {
            let is_news = *now != shown;
            *now = shown;
            is_news
        });
    }

    /// What happens to it: for the first who asks from its beginning, for others from now on. A reader that falls far
    /// behind loses the oldest.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        let first = self.first_events.lock().unwrap_or_else(PoisonError::into_inner).take();
        first.unwrap_or_else(|| self.events.subscribe())
    }

    /// Tells it of a peer.
    pub fn add_peer(&self, address: SocketAddr) {
        let _ = self.inputs.send(Input::Candidates(vec![address], Source::User));
    }

    /// Limits it so from now on; the engine's limits hold beside these.
    pub fn set_limits(&self, limits: Limits) {
        let _ = self.messages.send(Message::SetLimits(limits));
    }

    /// Files are wanted so much from now on, as indices into its `metainfo.files()`; the others stay as they are. What was
    /// complete may have something to fetch again.
    pub fn set_files(&self, files: Vec<(usize, FilePriority)>) {
        let _ = self.messages.send(Message::SetFiles(files));
    }

    /// Asks the trackers now: those that failed at once, the others as early as they allow.
    pub fn reannounce(&self) {
        let _ = self.inputs.send(Input::Reannounce);
    }

    /// Waits until every wanted piece is there, or the torrent failed.
    pub async fn wait_complete(&self) -> Result<(), TorrentError> {
        let reached = |snapshot: &Arc<TorrentSnapshot>| {
            matches!(snapshot.state, TorrentState::Seeding | TorrentState::Failed(_) | TorrentState::Stopped)
        };
        let mut snapshots = self.snapshots.clone();
        let ended =
            |message| TorrentError { kind: TorrentErrorKind::Internal, message: Printable::new(message) };
        let Ok(snapshot) = snapshots.wait_for(reached).await.map(|snapshot| Arc::clone(&snapshot)) else {
            return Err(ended("the engine ended before the torrent was complete"));
        };
        match &snapshot.state {
            TorrentState::Failed(error) => Err(error.clone()),
            TorrentState::Stopped => Err(ended("the torrent was stopped before it was complete")),
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
