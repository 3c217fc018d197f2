//! What several torrents report, gathered into one channel.

use std::sync::Arc;

use potluck_common::control::{Event, TorrentSnapshot};
use potluck_peer::engine::TorrentHandle;
use tokio::sync::{
    broadcast::{self, error::RecvError},
    mpsc, watch,
};

/// Reports that may wait. A reader that is behind slows nothing but the reports.
const BACKLOG_MAX: usize = 1024;

/// Something that the torrent with this number reports.
#[derive(Clone, Debug)]
pub enum Report {
    /// Its newest state.
    Snapshot(usize, Arc<TorrentSnapshot>),
    /// Something that happened.
    Event(usize, Event),
}

/// Both ends of the channel.
pub fn channel() -> (mpsc::Sender<Report>, mpsc::Receiver<Report>) {
    mpsc::channel(BACKLOG_MAX)
}

/// A torrent's reports from the moment that this is made.
#[derive(Debug)]
pub struct Tap {
    states: watch::Receiver<Arc<TorrentSnapshot>>,
    events: broadcast::Receiver<Event>,
}

impl Tap {
    /// Begins to listen. Who does so first hears all that happened to the torrent.
    pub fn new(handle: &TorrentHandle) -> Self {
        let mut states = handle.watch();
        states.mark_changed();
        Self { states, events: handle.events() }
    }

    /// Forwards the reports as those of torrent `number`, until the torrent ends or nobody listens. What led to a state
    /// is told before it.
    pub fn forward(self, number: usize, reports: mpsc::Sender<Report>) {
        let Self { mut states, mut events } = self;
        tokio::spawn(async move {
            let mut events_end = false;
            loop {
                let mut told = Vec::new();
                tokio::select! {
                    changed = states.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        let state = Arc::clone(&states.borrow_and_update());
                        while let Ok(event) = events.try_recv() {
                            told.push(Report::Event(number, event));
                        }
                        told.push(Report::Snapshot(number, state));
                    }
                    event = events.recv(), if !events_end => match event {
                        Ok(event) => told.push(Report::Event(number, event)),
                        // What was missed stands in the next snapshot all the same.
                        Err(RecvError::Lagged(_)) => {}
                        // The last state may be still to come.
                        Err(RecvError::Closed) => events_end = true,
                    },
                }
                for report in told {
                    if reports.send(report).await.is_err() {
                        return;
                    }
                }
            }
        });
    }
}
