//! The list of torrents of one person, over an [`Engine`]: kept from run to run, changed by [`Command`]s, and told to any
//! number of user interfaces, each by one snapshot and then by what changed.
//!
//! One task, the [`List`](list::List), owns everything and never waits: what takes long (fetching, starting, stopping,
//! removing) runs in tasks of its own and reports back; a thread writes the store. Torrents that run are followed by
//! tasks that sleep until something happens, so that idle ones cost nothing, however many there are. What is told to
//! whom is decided by the pure [`Feed`](potluck_common::control::Feed).
//!
//! - `list` is the task: what reaches it, when it wakes. `commands` carries out what is asked for, `adding` takes torrents
//!   in, `jobs` are the long operations of a torrent, one at a time and in order
//!   (`starting` brings it into the engine and out of it); `tickets` answer when the last is done.
//!   `queue` says whose turn it is where fewer may run than shall.
//!   `neighbours` are torrents that may need the payload of one that is removed.
//! - `entry` is one torrent of the list; `refresh` takes in what the engine says of it.
//! - `clients` and `scene` tell user interfaces what they want to see; `rest` reads what does not run.
//! - `store` and `saving` are the memory from run to run.
//!
//! [`Command`]: potluck_common::control::Command

mod adding;
mod clients;
mod clock;
mod commands;
mod entry;
mod follow;
mod jobs;
mod list;
mod neighbours;
mod queue;
mod refresh;
mod rest;
mod saving;
mod scene;
mod settings;
mod starting;
mod store;
mod tickets;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use potluck_common::{
    Printable,
    control::{Request, Settings, Update},
};
use thiserror::Error;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use self::{
    list::{List, Message},
    store::{LoadError, Loaded, Store, Writer},
};
use crate::engine::Engine;

/// Updates that may wait for a slow reader: answers mostly, as nothing new is made before the last one was taken.
const UPDATES_MAX: usize = 256;

/// How to start a [`Manager`].
#[derive(Clone)]
pub struct ManagerConfig {
    /// What transfers the torrents. The manager is its only user.
    pub engine: Engine,
    /// The folder that keeps the list from run to run; `None` forgets it.
    pub store: Option<PathBuf>,
    /// The settings where the store has none.
    pub settings: Settings,
}

/// Why a list of torrents cannot be had.
#[derive(Debug, Error)]
pub enum ManagerError {
    /// Somebody else has it.
    #[error("another Potluck uses the list of torrents in {folder}: end that one first")]
    InUse {
        /// The folder.
        folder: Printable,
    },
    /// Its folder cannot be used.
    #[error("the list of torrents cannot be kept in {folder}: {cause}; see that you may write there")]
    Folder {
        /// The folder.
        folder: Printable,
        /// Why not.
        cause: io::Error,
    },
    /// A newer Potluck wrote it; this one would lose what it does not know.
    #[error(
        "a newer Potluck wrote the list of torrents in {folder} (version {version} of its files): use that one, or another folder"
    )]
    Newer {
        /// The folder.
        folder: Printable,
        /// The version of its files.
        version: u32,
    },
}

/// The list of torrents of one person. Dropping it leaves the engine to itself; see [`Manager::shutdown`].
pub struct Manager {
    inbox: mpsc::UnboundedSender<Message>,
    task: JoinHandle<()>,
}

/// A user interface's end. Dropping it is to leave.
#[derive(Debug)]
pub struct Client {
    /// What it asks for. Nothing is told before the first [`RequestBody::View`](potluck_common::control::RequestBody::View).
    pub requests: mpsc::UnboundedSender<Request>,
    /// What it is told. Whoever reads slowly hears less often, and the same in the end.
    pub updates: mpsc::Receiver<Update>,
}

impl Manager {
    /// Reads the list and begins to start its torrents, a few at a time. All of them are in the first snapshot, whether they
    /// were started by then or not.
    pub async fn start(config: ManagerConfig) -> Result<Self, ManagerError> {
        let ManagerConfig { engine, store, mut settings } = config;
        let (store, mut loaded) = match store {
            Some(folder) => {
                let opened = tokio::task::spawn_blocking(move || open(&folder)).await;
                let (store, writer, loaded) = opened.map_err(|_| defect())??;
                (Some((store, writer)), loaded)
            }
            None => (None, Loaded::default()),
        };
        if loaded.session.is_none() {
            let wanted = settings.directory.clone();
            let found = tokio::task::spawn_blocking(move || settings::first_folder(&wanted)).await;
            let (directory, told) = found.map_err(|_| defect())?;
            settings.directory = directory;
            loaded.troubles.extend(told);
        }
        let (inbox, messages) = mpsc::unbounded_channel();
        let list = List::new(engine, store, loaded, settings, (inbox.clone(), messages));
        Ok(Self { inbox, task: tokio::spawn(list.run()) })
    }

    /// Lets a user interface in.
    pub fn connect(&self) -> Client {
        let (requests, requested) = mpsc::unbounded_channel();
        let (updates, updated) = mpsc::channel(UPDATES_MAX);
        // After the end there is nobody to tell; the closed channels say so.
        let _ = self.inbox.send(Message::Connect(requested, updates));
        Client { requests, updates: updated }
    }

    /// Stops all torrents and the engine within `deadline`, and writes everything down. What is under way or was asked to
    /// be removed gets as long before. User interfaces see their channels close.
    pub async fn shutdown(self, deadline: Duration) {
        let (done, ended) = oneshot::channel();
        if self.inbox.send(Message::Shutdown(deadline, done)).is_ok() {
            let _ = ended.await;
        }
        let _ = self.task.await;
    }
}

fn defect() -> ManagerError {
    let cause = io::Error::other("a defect of Potluck; please report it");
    ManagerError::Folder { folder: Printable::default(), cause }
}

fn open(folder: &std::path::Path) -> Result<(Arc<Store>, Writer, Loaded), ManagerError> {
    let shown = || Printable::new(&folder.to_string_lossy());
    let refused = |cause| ManagerError::Folder { folder: shown(), cause };
    let store = Arc::new(Store::open(folder)?);
    let loaded = store.load().map_err(|error| match error {
        LoadError::Folder(cause) => refused(cause),
        LoadError::Newer(version) => ManagerError::Newer { folder: shown(), version },
    })?;
    let writer = Writer::start(Arc::clone(&store)).map_err(refused)?;
    Ok((store, writer, loaded))
}
