//! Follows a torrent that runs: a task that sleeps until it publishes something, or something happens to it.

use std::sync::{Arc, atomic::AtomicBool};

use potluck_common::{InfoHash, control::Event};
use tokio::sync::{broadcast::error::RecvError, mpsc};

use crate::engine::TorrentHandle;

/// What the list hears of a torrent that runs.
#[derive(Debug)]
pub(super) enum Notice {
    /// It published a new snapshot.
    Stirred(InfoHash, u64),
    /// Something happened to it.
    Happened(Event),
    /// It is no more in the engine.
    Ended(InfoHash, u64),
}

/// Whether anybody wants to know every small thing.
pub(super) type Curiosity = Arc<AtomicBool>;

/// Follows the torrent of `handle` in its run number `run` until it is over. A list that is busy slows this down and not
/// the torrent: snapshots are replaced, and the oldest events are lost.
pub(super) async fn follow(handle: TorrentHandle, run: u64, notices: mpsc::Sender<Notice>) {
    let info_hash = handle.info_hash();
    let mut snapshots = handle.watch();
    let mut events = handle.events();
    drop(handle);
    snapshots.mark_changed();
    let mut has_events = true;
    loop {
        let notice = tokio::select! {
            changed = snapshots.changed() => match changed {
                Ok(()) => Notice::Stirred(info_hash, run),
                Err(_) => break,
            },
            event = events.recv(), if has_events => match event {
                Ok(event) => Notice::Happened(event),
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => {
                    has_events = false;
                    continue;
                }
            },
        };
        if notices.send(notice).await.is_err() {
            return;
        }
    }
    while let Ok(event) = events.try_recv() {
        if notices.send(Notice::Happened(event)).await.is_err() {
            return;
        }
    }
    let _ = notices.send(Notice::Ended(info_hash, run)).await;
}
