//! The task of one torrent before and after its machine runs: how it is made, and how it is seen when it cannot start.

use std::{
    collections::{HashSet, VecDeque},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock, atomic::Ordering},
    time::Duration,
};

use potluck_common::{
    Printable,
    control::{
        About, Event, EventKind, FilePriority, FileSnapshot, Level, Limits, TorrentDetail, TorrentError,
        TorrentErrorKind, TorrentSnapshot, TorrentState, TorrentSummary,
    },
    magnet::Magnet,
    metainfo::{Metainfo, Version},
};
use potluck_core::torrent::{Input, Source, TorrentFile};
use tokio::{
    net::TcpStream,
    sync::{broadcast, mpsc, watch},
};

use super::{
    AddError, Intent, Registered, Shared, TorrentParams,
    channels::{self, Channels},
    handle::Shown,
    running::Running,
};
use crate::{
    disk::{DiskError, Layout, Storage},
    net::{listen::Arrival, metadata_task::HandedOver},
    resume::{self, Entry, Journal, OpenError, ResumeState, Shape},
};

/// Snapshots are published at most this often.
pub(super) const PUBLISH_EVERY: Duration = Duration::from_millis(250);
/// Peers that may wait while the payload is checked: each holds a descriptor, and a check may take an hour.
pub(super) const EARLY_MAX: usize = 16;
/// How long one of them may wait: a peer that hears nothing gives up by itself.
pub(super) const EARLY_PATIENCE: Duration = Duration::from_secs(10);

/// What reaches a torrent's task, besides inputs for its machine.
pub(super) enum Message {
    /// A peer connected to us and named this torrent. (In a box, as every torrent has room for 32 messages.)
    Arrived(Box<Arrival>),
    /// A dial that the machine asked for ended.
    Dialed(SocketAddr, io::Result<TcpStream>),
    /// Limits of its own.
    SetLimits(Limits),
    /// The limits of the engine changed.
    EngineLimits,
    /// Files are to be wanted so much.
    SetFiles(Vec<(usize, FilePriority)>),
    /// The last [`Message::SetFiles`] that was carried out is noted: they may be written to.
    FilesNoted,
}

/// A torrent's task before it runs.
pub(super) struct TorrentTask {
    pub(super) shared: Arc<Shared>,
    pub(super) params: TorrentParams,
    pub(super) storage: Arc<Storage>,
    /// What it remembers from run to run.
    pub(super) journal: Arc<Mutex<Journal>>,
    /// A stop was asked for before it ran.
    pub(super) is_stopped: bool,
    pub(super) files: Vec<TorrentFile>,
    pub(super) snapshots: watch::Sender<Arc<TorrentSnapshot>>,
    /// Which of its lists somebody looks at.
    pub(super) shown: watch::Receiver<Shown>,
    pub(super) events: broadcast::Sender<Event>,
    pub(super) inputs: mpsc::UnboundedReceiver<Input>,
    pub(super) input_sender: mpsc::UnboundedSender<Input>,
    pub(super) messages: mpsc::UnboundedReceiver<Message>,
    pub(super) message_sender: mpsc::UnboundedSender<Message>,
    /// This torrent's share of the memory for pieces.
    pub(super) buffer_bytes_max: u64,
    /// Peers that came while the payload was checked, oldest first. At most [`EARLY_MAX`].
    pub(super) early: VecDeque<Box<Arrival>>,
    /// Whom it knew before its metadata.
    pub(super) continued: Continued,
}

/// What goes on from the time when the metadata was not known.
#[derive(Default)]
pub(super) struct Continued {
    /// Addresses, by where they are known from.
    pub(super) known: Vec<(SocketAddr, Source)>,
    /// Open connections.
    pub(super) connections: Vec<HandedOver>,
}

/// What a torrent needs of the disk.
pub(super) struct Parts {
    pub(super) storage: Arc<Storage>,
    journal: Journal,
    files: Vec<TorrentFile>,
}

/// Makes the task of a torrent and the handle to it; nothing runs yet.
pub(super) fn prepare(
    shared: &Arc<Shared>,
    params: TorrentParams,
) -> Result<(TorrentTask, Registered), AddError> {
    let parts = TorrentTask::prepare_parts(shared, &params)?;
    let metainfo = &params.metainfo;
    let first = first_snapshot(metainfo, &parts.files);
    let known = Some(metainfo.clone());
    let (channels, handle) =
        Channels::open(metainfo.info_hash(), first, known, params.events_kept, params.aspects);
    let storage = Arc::new(OnceLock::from(Arc::clone(&parts.storage)));
    Ok((TorrentTask::new(shared, params, parts, channels), Registered { handle, storage }))
}

/// The memory of a torrent. Where it cannot be kept the torrent runs without one.
fn open_journal(shared: &Shared, params: &TorrentParams) -> Result<Journal, AddError> {
    let shape = Shape::of(&params.metainfo);
    let entry =
        shared.config.state_dir.as_deref().map(|folder| Entry::open(folder, shape, &params.directory));
    let entry = match entry {
        None => None,
        Some(Ok(mut entry)) => {
            if !entry.share_lock(&shared.locks) {
                tracing::debug!(
                    "no descriptor is left for the lock of the resume state: nobody else is kept away"
                );
            }
            Some(entry)
        }
        // It writes nothing that the other could stumble over.
        Some(Err(OpenError::InUse)) if params.intent == Intent::Seed => {
            tracing::info!(
                "another Potluck keeps the resume state of this payload; it is checked as a whole"
            );
            None
        }
        Some(Err(OpenError::InUse)) => {
            let name = Printable::new(params.metainfo.name());
            let directory = Printable::new(&params.directory.to_string_lossy());
            return Err(AddError::InUse { name, directory });
        }
        Some(Err(OpenError::Io(error))) => {
            tracing::warn!(%error, "no resume state can be kept: the next start checks everything");
            None
        }
    };
    Ok(Journal::new(entry, ResumeState::unknown(shape.info_hash, shape.pieces, shape.files)))
}

fn files_of(params: &TorrentParams) -> Vec<TorrentFile> {
    let wanted: Option<HashSet<usize>> =
        params.wanted_files.as_ref().map(|numbers| numbers.iter().copied().collect());
    let is_wanted = |number| wanted.as_ref().is_none_or(|wanted| wanted.contains(&number));
    let mut files: Vec<TorrentFile> = (params.metainfo.files().iter().enumerate())
        .map(|(number, file)| TorrentFile {
            path: Printable::new(&file.path.to_string()),
            offset: file.offset,
            length: file.length,
            priority: if is_wanted(number) { FilePriority::Normal } else { FilePriority::Skip },
            padding: file.padding,
        })
        .collect();
    change_files(&mut files, &params.priorities);
    files
}

/// Files are wanted so much; what there is none of is left out.
pub(super) fn change_files(files: &mut [TorrentFile], changes: &[(usize, FilePriority)]) {
    for (number, priority) in changes {
        if let Some(file) = files.get_mut(*number) {
            file.priority = *priority;
        }
    }
}

/// For each file whether the user wants it, padding never.
pub(super) fn wanted_of(files: &[TorrentFile]) -> Vec<bool> {
    files.iter().map(TorrentFile::is_wanted).collect()
}

/// The files as they are shown before anything was checked.
fn shown_files(files: &[TorrentFile]) -> Vec<FileSnapshot> {
    let shown = files.iter().filter(|file| !file.padding).map(|file| FileSnapshot {
        path: file.path.clone(),
        length: file.length,
        have: 0,
        priority: file.priority,
    });
    shown.collect()
}

/// What is known before anything was checked.
pub(super) fn first_snapshot(metainfo: &Metainfo, files: &[TorrentFile]) -> TorrentSnapshot {
    let geometry = metainfo.geometry();
    let name = Printable::new(metainfo.name());
    let state = TorrentState::Checking { done: 0, total: 0 };
    let summary = TorrentSummary {
        total_size: geometry.total(),
        wanted_size: geometry.total(),
        piece_length: geometry.piece_length(),
        pieces: geometry.pieces(),
        ..TorrentSummary::nothing_known(metainfo.info_hash(), name, state)
    };
    let detail = TorrentDetail { files: shown_files(files), ..TorrentDetail::default() };
    TorrentSnapshot { summary, detail }
}

/// The last word on a torrent whose task panicked.
pub(super) fn broken(latest: &mut Arc<TorrentSnapshot>) {
    let error = internal(
        "the torrent stopped because of a defect in Potluck; please report it. Nothing unverified was kept",
    );
    Arc::make_mut(latest).summary.state = TorrentState::Failed(error);
}

impl TorrentTask {
    /// Looks whether a torrent can be transferred as `params` says. Blocks.
    pub(super) fn prepare_parts(shared: &Shared, params: &TorrentParams) -> Result<Parts, AddError> {
        let metainfo = &params.metainfo;
        if metainfo.version() == Version::V2 {
            return Err(AddError::V2Only(Printable::new(metainfo.name())));
        }
        let layout = Layout::from_metainfo(metainfo, params.directory.clone())?;
        let storage = Storage::new(layout, &shared.disk.open_files);
        Ok(Parts { storage, journal: open_journal(shared, params)?, files: files_of(params) })
    }

    pub(super) fn new(shared: &Arc<Shared>, params: TorrentParams, parts: Parts, channels: Channels) -> Self {
        let Parts { storage, journal, files } = parts;
        let Channels { snapshots, shown, events, inputs, input_sender, messages, message_sender, .. } =
            channels;
        Self {
            shared: Arc::clone(shared),
            params,
            storage,
            journal: Arc::new(Mutex::new(journal)),
            is_stopped: false,
            files,
            snapshots,
            shown,
            events,
            inputs,
            input_sender,
            messages,
            message_sender,
            buffer_bytes_max: shared.config.buffer_bytes_max,
            early: VecDeque::new(),
            continued: Continued::default(),
        }
    }

    /// Shows what its metainfo says in place of what a magnet link did.
    pub(super) fn show_first_snapshot(&self) {
        self.snapshots.send_replace(Arc::new(first_snapshot(&self.params.metainfo, &self.files)));
    }

    /// Where it publishes its snapshots.
    pub(super) fn snapshots(&self) -> watch::Sender<Arc<TorrentSnapshot>> {
        self.snapshots.clone()
    }

    pub(super) async fn run(mut self) {
        let have = match self.open().await {
            Ok(Some(have)) => have,
            // Stopped before it ran.
            Ok(None) => return self.conclude(TorrentState::Stopped),
            Err(error) => return self.fail_before_start(error).await,
        };
        Box::new(Running::new(self, have)).run().await;
    }

    /// What its metainfo says.
    pub(super) fn about(&self) -> About {
        let metainfo = &self.params.metainfo;
        About {
            directory: self.params.directory.clone(),
            comment: metainfo.comment().cloned().unwrap_or_default(),
            creator: metainfo.created_by().cloned().unwrap_or_default(),
            created_at: metainfo.creation_date(),
            is_private: metainfo.private(),
            magnet: Magnet::from(metainfo).to_string(),
        }
    }

    /// The numbers of the files that the user wants, but for padding.
    pub(super) fn wanted_on_disk(&self) -> HashSet<usize> {
        self.files.iter().enumerate().filter(|(_, file)| file.is_wanted()).map(|(number, _)| number).collect()
    }

    /// Takes what a person changes while no machine runs.
    pub(super) fn change(&mut self, message: Message) {
        match message {
            Message::SetLimits(limits) => {
                (self.params.down_limit, self.params.up_limit) = (limits.down, limits.up);
            }
            Message::SetFiles(files) => {
                change_files(&mut self.files, &files);
                let shown = shown_files(&self.files);
                self.snapshots.send_modify(|latest| Arc::make_mut(latest).detail.files = shown);
            }
            Message::Arrived(_) | Message::Dialed(..) | Message::EngineLimits | Message::FilesNoted => {}
        }
    }

    /// A torrent that cannot start stays visible as failed until it is stopped.
    async fn fail_before_start(mut self, error: TorrentError) {
        self.show_failure(error);
        loop {
            tokio::select! {
                // Whoever connects hears nothing, as from a torrent that we do not know.
                Some(message) = self.messages.recv() => self.change(message),
                Some(input) = self.inputs.recv() => {
                    if matches!(input, Input::Stop) {
                        return;
                    }
                }
            }
        }
    }

    /// Shows that it failed, to its peers too: who waits hears nothing, as from a torrent that we do not know.
    pub(super) fn show_failure(&mut self, error: TorrentError) {
        self.tell(EventKind::Failed { message: error.message.clone() });
        self.publish_state(TorrentState::Failed(error));
        self.early.clear();
    }

    fn conclude(&self, state: TorrentState) {
        resume::lock(&self.journal).release();
        self.publish_state(state);
    }

    pub(super) fn publish_state(&self, state: TorrentState) {
        self.snapshots.send_modify(|latest| Arc::make_mut(latest).summary.state = state);
    }

    pub(super) fn tell(&self, kind: EventKind) {
        let is_curious =
            self.params.curiosity.as_ref().is_none_or(|curiosity| curiosity.load(Ordering::Relaxed));
        if kind.level() == Level::Debug && !is_curious {
            return;
        }
        // Nobody may be listening.
        let info_hash = self.params.metainfo.info_hash();
        let _ = self.events.send(channels::event(self.shared.clock, info_hash, kind));
    }
}

pub(super) fn internal(message: &str) -> TorrentError {
    TorrentError { kind: TorrentErrorKind::Internal, message: Printable::new(message) }
}

pub(super) fn disk_error(error: &DiskError) -> TorrentError {
    TorrentError { kind: TorrentErrorKind::Disk, message: Printable::new(&error.to_string()) }
}
