//! What a dashboard orders of the torrents of a command, and what it is told of them beside their snapshots. Torrents are
//! named by their place on the command line, counted among those that could be added.

use potluck_common::control::{Event, FilePriority, Limits};
use potluck_peer::engine::TorrentHandle;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::{course::Wish, past::Past};

/// What became of a wish: the torrent and what was done with it, or why not, in words.
pub(super) type Answer = Result<String, String>;

/// What a person wants.
#[derive(Debug)]
pub(super) enum Order {
    /// Something that takes steps.
    Wish(usize, Wish, oneshot::Sender<Answer>),
    /// It is limited so.
    Limits(usize, Limits),
    /// Files are wanted so much, by their indices in the metainfo.
    Files(usize, Vec<(usize, FilePriority)>),
}

/// What changed of a torrent.
#[derive(Debug)]
pub(super) enum Change {
    /// It is in the engine again: it, what happens to it, and what earlier runs did.
    Began(usize, TorrentHandle, broadcast::Receiver<Event>, Past),
    /// Whether a person wants it to rest, and whether it does.
    Rest(usize, bool, bool),
    /// It is none of the command's any more.
    Gone(usize),
}

/// The end of whoever runs the torrents.
#[derive(Debug)]
pub(super) struct Helm {
    pub(super) orders: mpsc::UnboundedReceiver<Order>,
    pub(super) changes: mpsc::UnboundedSender<Change>,
}

/// The end of whoever shows them.
#[derive(Debug)]
pub(super) struct Wheel {
    pub(super) orders: mpsc::UnboundedSender<Order>,
    pub(super) changes: mpsc::UnboundedReceiver<Change>,
}

/// Both ends.
pub(super) fn helm() -> (Helm, Wheel) {
    let (orders, ordered) = mpsc::unbounded_channel();
    let (changes, changed) = mpsc::unbounded_channel();
    (Helm { orders: ordered, changes }, Wheel { orders, changes: changed })
}
