//! The task of one torrent until its machine runs: checks what lies on the disk, and judges what that means.

use std::{
    collections::{HashSet, VecDeque},
    io,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use potluck_common::{
    Instant, Printable,
    control::{Event, EventKind, TorrentError, TorrentErrorKind, TorrentSnapshot, TorrentState},
    metainfo::{Metainfo, Version},
};
use potluck_core::torrent::{Input, Source, TorrentFile};
use tokio::{
    net::TcpStream,
    sync::{broadcast, mpsc, watch},
};

use super::{AddError, Intent, Registered, Shared, TorrentParams, handle::TorrentHandle, running::Running};
use crate::{
    check::{self, CheckResult, FileState},
    disk::{DiskError, DiskPool, Layout, Progress, Storage},
    net::listen::Arrival,
};

/// Events kept for a slow reader.
const EVENTS_MAX: usize = 1024;
/// Snapshots are published at most this often.
pub(super) const PUBLISH_EVERY: Duration = Duration::from_millis(250);
/// Peers that may wait while the payload is checked: each holds a descriptor, and a check may take an hour.
const EARLY_MAX: usize = 16;
/// How long one of them may wait: a peer that hears nothing gives up by itself.
const EARLY_PATIENCE: Duration = Duration::from_secs(10);

/// What reaches a torrent's task from the engine, besides inputs for its machine.
pub(super) enum Message {
    /// A peer connected to us and named this torrent.
    Arrived(Arrival),
    /// A dial that the machine asked for ended.
    Dialed(SocketAddr, io::Result<TcpStream>),
}

/// A torrent's task before it runs.
pub(super) struct TorrentTask {
    pub(super) shared: Arc<Shared>,
    pub(super) params: TorrentParams,
    pub(super) storage: Arc<Storage>,
    pub(super) files: Vec<TorrentFile>,
    pub(super) snapshots: watch::Sender<Arc<TorrentSnapshot>>,
    pub(super) events: broadcast::Sender<Event>,
    pub(super) inputs: mpsc::UnboundedReceiver<Input>,
    pub(super) input_sender: mpsc::UnboundedSender<Input>,
    pub(super) messages: mpsc::UnboundedReceiver<Message>,
    pub(super) message_sender: mpsc::UnboundedSender<Message>,
    /// This torrent's share of the memory for pieces.
    pub(super) buffer_bytes_max: u64,
    /// Peers that came while the payload was checked, oldest first. At most [`EARLY_MAX`].
    pub(super) early: VecDeque<Arrival>,
}

/// Makes the task of a torrent and the handle to it; nothing runs yet.
pub(super) fn prepare(
    shared: &Arc<Shared>,
    params: TorrentParams,
) -> Result<(TorrentTask, Registered), AddError> {
    let metainfo = &params.metainfo;
    if metainfo.version() == Version::V2 {
        return Err(AddError::V2Only(Printable::new(metainfo.name())));
    }
    let layout = Layout::from_metainfo(metainfo, params.directory.clone())?;
    let storage = Storage::new(layout, &shared.disk.open_files);
    let files = files_of(metainfo, params.wanted_files.as_deref());
    let (snapshots, latest) = watch::channel(Arc::new(first_snapshot(metainfo, &files)));
    let (events, _) = broadcast::channel(EVENTS_MAX);
    let (input_sender, inputs) = mpsc::unbounded_channel();
    let (message_sender, messages) = mpsc::unbounded_channel();
    let handle = TorrentHandle {
        info_hash: metainfo.info_hash(),
        snapshots: latest,
        events: events.clone(),
        inputs: input_sender.clone(),
    };
    let registered = Registered { handle, messages: message_sender.clone() };
    let task = TorrentTask {
        shared: Arc::clone(shared),
        params,
        storage,
        files,
        snapshots,
        events,
        inputs,
        input_sender,
        messages,
        message_sender,
        buffer_bytes_max: shared.config.buffer_bytes_max,
        early: VecDeque::new(),
    };
    Ok((task, registered))
}

fn files_of(metainfo: &Metainfo, wanted: Option<&[usize]>) -> Vec<TorrentFile> {
    let wanted: Option<HashSet<usize>> = wanted.map(|numbers| numbers.iter().copied().collect());
    let is_wanted = |number| wanted.as_ref().is_none_or(|wanted| wanted.contains(&number));
    (metainfo.files().iter().enumerate())
        .map(|(number, file)| TorrentFile {
            path: Printable::new(&file.path.to_string()),
            offset: file.offset,
            length: file.length,
            wanted: is_wanted(number),
            padding: file.padding,
        })
        .collect()
}

/// What is known before anything was checked.
fn first_snapshot(metainfo: &Metainfo, files: &[TorrentFile]) -> TorrentSnapshot {
    use potluck_common::control::FileSnapshot;
    let geometry = metainfo.geometry();
    let files = files.iter().filter(|file| !file.padding).map(|file| FileSnapshot {
        path: file.path.clone(),
        length: file.length,
        have: 0,
        wanted: file.wanted,
    });
    TorrentSnapshot {
        info_hash: metainfo.info_hash(),
        name: Printable::new(metainfo.name()),
        state: TorrentState::Checking { done: 0, total: geometry.pieces() },
        is_durable: false,
        total_size: geometry.total(),
        wanted_size: geometry.total(),
        wanted_have: 0,
        have_size: 0,
        piece_length: geometry.piece_length(),
        pieces: geometry.pieces(),
        pieces_have: 0,
        downloaded: 0,
        uploaded: 0,
        wasted: 0,
        hash_failures: 0,
        down_rate: 0,
        up_rate: 0,
        eta_seconds: None,
        seeds_connected: 0,
        leechers_connected: 0,
        seeds_known: None,
        leechers_known: None,
        candidates: 0,
        distributed_copies: 0.0,
        age_seconds: 0.0,
        stall: None,
        trouble: None,
        peers: Vec::new(),
        trackers: Vec::new(),
        files: files.collect(),
        piece_states: Vec::new(),
    }
}

/// The last word on a torrent whose task panicked.
pub(super) fn broken(latest: &mut Arc<TorrentSnapshot>) {
    let error = internal(
        "the torrent stopped because of a defect in Potluck; please report it. Nothing unverified was kept",
    );
    Arc::make_mut(latest).state = TorrentState::Failed(error);
}

impl TorrentTask {
    /// Where it publishes its snapshots.
    pub(super) fn snapshots(&self) -> watch::Sender<Arc<TorrentSnapshot>> {
        self.snapshots.clone()
    }

    pub(super) async fn run(mut self) {
        let checked = match self.check().await {
            Ok(Some(checked)) => checked,
            // Stopped while it was checking.
            Ok(None) => return self.conclude(TorrentState::Stopped),
            Err(error) => return self.fail_before_start(error).await,
        };
        if let Err(error) = self.ready(&checked).await {
            return self.fail_before_start(error).await;
        }
        Running::new(self, checked.have).run().await;
    }

    /// Hashes what lies in the folder, on all processors, away from the runtime.
    async fn check(&mut self) -> Result<Option<CheckResult>, TorrentError> {
        let total = self.storage.layout().geometry().pieces();
        let progress = Arc::new(Progress::new());
        let work = {
            let (storage, progress) = (Arc::clone(&self.storage), Arc::clone(&progress));
            tokio::task::spawn_blocking(move || {
                check::check(&storage, None, DiskPool::default_threads(), &progress)
            })
        };
        tokio::pin!(work);
        let mut tick = tokio::time::interval(PUBLISH_EVERY);
        loop {
            tokio::select! {
                result = &mut work => {
                    let result = result.map_err(|_| internal("checking the payload failed unexpectedly"))?;
                    let checked = result.map_err(|error| disk_error(&error))?;
                    return Ok((!checked.cancelled).then_some(checked));
                }
                _ = tick.tick() => {
                    let done = progress.done().saturating_mul(u64::from(total)) / progress.total().max(1);
                    self.publish_state(TorrentState::Checking { done: done as u32, total });
                    self.drop_impatient();
                }
                Some(message) = self.messages.recv() => self.let_wait(message),
                Some(input) = self.inputs.recv() => {
                    match input {
                        Input::Stop => progress.cancel(),
                        Input::Candidates(addresses, Source::User) => self.params.peers.extend(addresses),
                        Input::BufferBudget(bytes) => self.buffer_bytes_max = bytes,
                        // There is no machine yet that could have asked for anything else.
                        _ => {}
                    }
                }
            }
        }
    }

    fn let_wait(&mut self, message: Message) {
        // Nobody is dialled before the check is over.
        let Message::Arrived(arrival) = message else { return };
        if self.early.len() == EARLY_MAX {
            self.early.pop_front();
        }
        self.early.push_back(arrival);
    }

    fn drop_impatient(&mut self) {
        let now = self.shared.clock.now();
        self.early.retain(|arrival| now.since(arrival.accepted) < EARLY_PATIENCE);
    }

    /// Judges what the check found, and makes what no block would ever make.
    async fn ready(&mut self, checked: &CheckResult) -> Result<(), TorrentError> {
        let geometry = *self.storage.layout().geometry();
        let kind = EventKind::Checked { have: checked.have.count(), pieces: geometry.pieces() };
        self.tell(kind);
        match self.params.intent {
            Intent::Seed => self.must_be_whole(checked),
            Intent::Download => {
                let (storage, wanted) = (Arc::clone(&self.storage), self.wanted_on_disk());
                let made = tokio::task::spawn_blocking(move || {
                    storage.create_empty_files(|file| wanted.contains(&file))
                });
                let made =
                    made.await.map_err(|_| internal("creating the empty files failed unexpectedly"))?;
                made.map_err(|error| disk_error(&error))
            }
        }
    }

    /// The numbers of the files that the user wants, but for padding.
    pub(super) fn wanted_on_disk(&self) -> HashSet<usize> {
        let wanted = |file: &TorrentFile| file.wanted && !file.padding;
        self.files.iter().enumerate().filter(|(_, file)| wanted(file)).map(|(number, _)| number).collect()
    }

    fn must_be_whole(&self, checked: &CheckResult) -> Result<(), TorrentError> {
        let directory = Printable::new(&self.params.directory.to_string_lossy());
        let name = Printable::new(self.params.metainfo.name());
        let missing = checked.files.iter().position(|file| file.state == FileState::Missing);
        if let Some(missing) = missing.map(|number| self.storage.layout().path_of(number)) {
            return Err(TorrentError {
                kind: TorrentErrorKind::MissingPayload,
                message: Printable::new(&format!(
                    "the payload of {name} is not in {directory}: {} is missing; name the folder that holds it with -o",
                    missing.display()
                )),
            });
        }
        let geometry = self.storage.layout().geometry();
        if !checked.have.is_full() {
            return Err(TorrentError {
                kind: TorrentErrorKind::DamagedPayload,
                message: Printable::new(&format!(
                    "{} of {} pieces of {name} in {directory} fail their hash; fetch them again with potluck get, or make a new torrent",
                    geometry.pieces() - checked.have.count(),
                    geometry.pieces()
                )),
            });
        }
        Ok(())
    }

    /// A torrent that cannot start stays visible as failed until it is stopped.
    async fn fail_before_start(mut self, error: TorrentError) {
        self.tell(EventKind::Failed { message: error.message.clone() });
        self.publish_state(TorrentState::Failed(error));
        self.early.clear();
        loop {
            tokio::select! {
                // Whoever connects hears nothing, as from a torrent that we do not know.
                Some(_) = self.messages.recv() => {}
                Some(input) = self.inputs.recv() => {
                    if matches!(input, Input::Stop) {
                        return;
                    }
                }
            }
        }
    }

    fn conclude(&self, state: TorrentState) {
        self.publish_state(state);
    }

    fn publish_state(&self, state: TorrentState) {
        self.snapshots.send_modify(|latest| Arc::make_mut(latest).state = state);
    }

    pub(super) fn tell(&self, kind: EventKind) {
        let at = self.shared.clock.now().since(Instant::ZERO).as_secs_f64();
        // Nobody may be listening.
        let _ = self.events.send(Event { at, info_hash: self.params.metainfo.info_hash(), kind });
    }
}

fn internal(message: &str) -> TorrentError {
    TorrentError { kind: TorrentErrorKind::Internal, message: Printable::new(message) }
}

pub(super) fn disk_error(error: &DiskError) -> TorrentError {
    TorrentError { kind: TorrentErrorKind::Disk, message: Printable::new(&error.to_string()) }
}
