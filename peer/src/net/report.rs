//! What the connections of a torrent tell it, within a bound on what waits to be heard.
//!
//! A message of five bytes may be an event of a hundred. A torrent that is behind must slow its connections down before
//! a flood of them fills the memory, so events are counted and not only reports.

use std::sync::Arc;

use potluck_common::BlockSpan;
use potluck_core::{PeerKey, session::SessionEvent, torrent::Input};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Reports that may wait.
const REPORTS_MAX: usize = 512;
/// Events that may wait, in all reports; one report may have more if it waits alone.
const EVENTS_MAX: usize = 8 * 1024;

/// An input for a torrent's machine. Its events are no longer counted as waiting when it is dropped.
pub(crate) struct Report {
    pub(crate) input: Input,
    _share: Option<OwnedSemaphorePermit>,
}

impl From<Input> for Report {
    fn from(input: Input) -> Self {
        Self { input, _share: None }
    }
}

/// A connection's way to its torrent.
#[derive(Clone)]
pub(crate) struct Reporter {
    /// In boxes: a channel has room for 32 from its beginning, and thousands of torrents have one that is empty.
    reports: mpsc::Sender<Box<Report>>,
    events: Arc<Semaphore>,
}

/// A way to a torrent, and the torrent's end of it.
pub(crate) fn channel() -> (Reporter, mpsc::Receiver<Box<Report>>) {
    let (reports, receiver) = mpsc::channel(REPORTS_MAX);
    (Reporter { reports, events: Arc::new(Semaphore::new(EVENTS_MAX)) }, receiver)
}

impl Reporter {
    /// Tells what a session reported, when there is room for it.
    pub(crate) async fn tell(&self, peer: PeerKey, events: Vec<SessionEvent>, duplicates: Vec<BlockSpan>) {
        let share = events.len().min(EVENTS_MAX) as u32;
        let share = Arc::clone(&self.events).acquire_many_owned(share).await.ok();
        let report = Report { input: Input::Peer { peer, events, duplicates }, _share: share };
        // The torrent's end of the channel outlives its connections but at the engine's end, when nobody listens.
        let _ = self.reports.send(Box::new(report)).await;
    }

    /// Tells of a trouble. A full channel only loses one of several reports of the same one.
    pub(crate) fn try_tell(&self, input: Input) {
        let _ = self.reports.try_send(Box::new(input.into()));
    }
}
