//! What connects a torrent's task with its handle, made before it is known what runs in the task.

use std::sync::{Arc, Mutex};

use potluck_common::{
    InfoHash, Instant,
    control::{Aspects, Event, EventKind, TorrentSnapshot},
    metainfo::Metainfo,
};
use potluck_core::torrent::Input;
use tokio::sync::{broadcast, mpsc, watch};

use super::{
    clock::Clock,
    handle::{Shown, TorrentHandle},
    torrent_task::Message,
};

/// The task's ends.
pub(super) struct Channels {
    pub(super) snapshots: watch::Sender<Arc<TorrentSnapshot>>,
    /// Which of its lists somebody looks at.
    pub(super) shown: watch::Receiver<Shown>,
    pub(super) metainfo: watch::Sender<Option<Metainfo>>,
    pub(super) events: broadcast::Sender<Event>,
    pub(super) inputs: mpsc::UnboundedReceiver<Input>,
    pub(super) input_sender: mpsc::UnboundedSender<Input>,
    pub(super) messages: mpsc::UnboundedReceiver<Message>,
    pub(super) message_sender: mpsc::UnboundedSender<Message>,
}

impl Channels {
    /// Both ends of the channels of a torrent that is seen as `first` at first.
    pub(super) fn open(
        info_hash: InfoHash,
        first: TorrentSnapshot,
        metainfo: Option<Metainfo>,
        events_kept: usize,
        aspects: Aspects,
    ) -> (Self, TorrentHandle) {
        let (snapshots, latest) = watch::channel(Arc::new(first));
        let (show, shown) = watch::channel(Shown { aspects, ..Shown::default() });
        let (metainfo, known) = watch::channel(metainfo);
        let (events, first_events) = broadcast::channel(events_kept.max(1));
        let (input_sender, inputs) = mpsc::unbounded_channel();
        let (message_sender, messages) = mpsc::unbounded_channel();
        let handle = TorrentHandle {
            info_hash,
            snapshots: latest,
            shown: show,
            metainfo: known,
            events: events.clone(),
            first_events: Arc::new(Mutex::new(Some(first_events))),
            inputs: input_sender.clone(),
            messages: message_sender.clone(),
        };
        let channels =
            Self { snapshots, shown, metainfo, events, inputs, input_sender, messages, message_sender };
        (channels, handle)
    }
}

/// An event of a torrent, now.
pub(super) fn event(clock: Clock, info_hash: InfoHash, kind: EventKind) -> Event {
    Event { at: clock.now().since(Instant::ZERO).as_secs_f64(), info_hash, kind }
}
