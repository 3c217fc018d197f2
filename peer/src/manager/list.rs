//! The task that owns the list: what reaches it, and when it wakes.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use potluck_common::{
    InfoHash, Printable,
    control::{
        AddTorrent, CommandError, Event, FairnessSnapshot, Level, RateRecorder, Request, Rows, Settings,
        TorrentState, Update,
    },
};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::Instant,
};

use super::{
    adding::Added,
    clients::{Client, ClientId},
    clock::Clock,
    entry::Entry,
    follow::{self, Curiosity, Notice},
    jobs::{Finished, Job},
    queue::Queue,
    refresh::Sums,
    rest::Rest,
    saving::About,
    store::{Loaded, SessionRecord, Store, Writer},
    tickets::{Answer, Asker, Tickets},
};
use crate::{
    engine::Engine,
    fetch::{Bind, HttpClient},
};

/// Notices that wait; who brings more waits himself.
const NOTICES_MAX: usize = 1_024;
/// Messages taken before the time is looked at.
const BATCH_MAX: usize = 256;
/// Events that are kept for user interfaces that come later.
pub(super) const EVENTS_MAX: usize = 1_000;
/// So many torrents that are to be added are read and parsed at a time.
const READERS_MAX: usize = 4;
/// Where nothing happens it wakes all the same.
const IDLE_WAKE: Duration = Duration::from_secs(3600);

/// What reaches the list beside the notices of torrents.
pub(super) enum Message {
    /// A user interface came.
    Connect(mpsc::UnboundedReceiver<Request>, mpsc::Sender<Update>),
    /// It asks for something.
    Request(ClientId, Request),
    /// It left.
    Left(ClientId),
    /// A torrent was read or fetched and can be taken in, or not.
    Added(Asker, Box<Added>),
    /// A torrent's job is done.
    Finished(InfoHash, Box<Finished>),
    /// A change was written, or was not.
    Written(About, Result<(), String>),
    /// A torrent that does not run was read, for the time of this number, or could not be.
    Rested(InfoHash, u64, Result<Box<Rest>, String>),
    /// Space was looked at.
    Space(PathBuf, Option<u64>),
    /// A folder for new torrents was looked at, the nth.
    Folder(Asker, u64, Result<PathBuf, CommandError>),
    /// The end.
    Shutdown(Duration, oneshot::Sender<()>),
}

/// The list of torrents, its settings, and who looks at it.
pub(super) struct List {
    pub(super) engine: Engine,
    pub(super) http: HttpClient,
    pub(super) clock: Clock,
    pub(super) store: Option<Arc<Store>>,
    pub(super) writer: Option<Writer>,
    pub(super) settings: Settings,
    pub(super) entries: BTreeMap<InfoHash, Entry>,
    /// What is shown of each entry.
    pub(super) rows: Rows,
    pub(super) sums: Sums,
    /// What was given for what by runs that are over.
    pub(super) ended_fairness: FairnessSnapshot,
    /// The rates of all torrents together.
    pub(super) rates: RateRecorder,
    /// Torrents that are about to be in the list.
    pub(super) arriving: BTreeMap<InfoHash, Printable>,
    pub(super) queue: Queue,
    /// Torrents that wait until fewer are being started.
    pub(super) line: VecDeque<InfoHash>,
    pub(super) starting: usize,
    pub(super) runs: u64,
    pub(super) tickets: Tickets,
    pub(super) clients: BTreeMap<ClientId, Client>,
    pub(super) clients_ever: u64,
    /// Those that were cut off, and whose requests may still come.
    pub(super) cut_off: BTreeSet<ClientId>,
    /// What happened last, for who comes later.
    pub(super) events: VecDeque<Event>,
    pub(super) curiosity: Curiosity,
    pub(super) free_space: Option<u64>,
    pub(super) space_looked_at: Option<Instant>,
    /// The folder whose space is being looked at.
    pub(super) looking_at: Option<PathBuf>,
    /// How many folders were named for new torrents, and which of them was the last that was looked at.
    pub(super) folder_asked: u64,
    pub(super) folder_settled: u64,
    /// Torrents to be added when that is known.
    pub(super) adds_waiting: Vec<(Asker, AddTorrent)>,
    /// What is wrong with the list itself.
    pub(super) trouble: Option<Printable>,
    pub(super) write_trouble: Option<Printable>,
    /// The highest number that a torrent has or had in this run.
    pub(super) last_number: u32,
    /// How many torrents may be read at a time.
    pub(super) readers: Arc<Semaphore>,
    /// Something that may be told changed.
    pub(super) is_stirred: bool,
    /// Settings or totals are not as they are kept.
    pub(super) is_unsaved: bool,
    pub(super) saved_at: Instant,
    /// How much was written then.
    pub(super) saved_count: u32,
    pub(super) rates_saved_at: Instant,
    /// Torrents that are gone, and of which that could not be written.
    pub(super) unforgotten: BTreeSet<InfoHash>,
    /// Nothing is to be started any more.
    pub(super) is_ending: bool,
    /// What is kept of the settings may not be replaced, as it could not be read.
    pub(super) is_session_hidden: bool,
    inbox: mpsc::UnboundedReceiver<Message>,
    pub(super) sender: mpsc::UnboundedSender<Message>,
    notices: mpsc::Receiver<Notice>,
    notice_sender: mpsc::Sender<Notice>,
}

impl List {
    pub(super) fn new(
        engine: Engine,
        store: Option<(Arc<Store>, Writer)>,
        loaded: Loaded,
        settings: Settings,
        (sender, inbox): (mpsc::UnboundedSender<Message>, mpsc::UnboundedReceiver<Message>),
    ) -> Self {
        let (notice_sender, notices) = mpsc::channel(NOTICES_MAX);
        let config = engine.config();
        let http = HttpClient::new(config.bind.map_or(Bind::ANY, Bind::only), config.extra_roots.clone());
        let (store, writer) = store.unzip();
        let now = Instant::now();
        let mut list = Self {
            engine,
            http,
            clock: Clock::start(),
            store,
            writer,
            settings,
            entries: BTreeMap::new(),
            rows: Rows::default(),
            sums: Sums::default(),
            ended_fairness: FairnessSnapshot::default().ended(),
            rates: RateRecorder::default(),
            arriving: BTreeMap::new(),
            queue: Queue::default(),
            line: VecDeque::new(),
            starting: 0,
            runs: 0,
            tickets: Tickets::default(),
            clients: BTreeMap::new(),
            clients_ever: 0,
            cut_off: BTreeSet::new(),
            events: VecDeque::new(),
            curiosity: Arc::new(AtomicBool::new(false)),
            free_space: None,
            space_looked_at: None,
            looking_at: None,
            folder_asked: 0,
            folder_settled: 0,
            adds_waiting: Vec::new(),
            trouble: None,
            write_trouble: None,
            last_number: 0,
            readers: Arc::new(Semaphore::new(READERS_MAX)),
            is_stirred: false,
            is_unsaved: false,
            saved_at: now,
            saved_count: 0,
            rates_saved_at: now,
            unforgotten: BTreeSet::new(),
            is_ending: false,
            is_session_hidden: loaded.is_session_hidden,
            inbox,
            sender,
            notices,
            notice_sender,
        };
        list.restore(loaded);
        list
    }

    /// Takes over what was kept; torrents that are not paused get in line to be started.
    fn restore(&mut self, loaded: Loaded) {
        let now_ms = self.clock.unix_ms();
        match loaded.session {
            Some(SessionRecord { settings, downloaded_ever, uploaded_ever, last_number, rates }) => {
                self.settings = settings;
                (self.sums.downloaded_ever, self.sums.uploaded_ever) = (downloaded_ever, uploaded_ever);
                self.rates = rates;
                self.rates.prune_old(now_ms);
                if loaded.entries_hidden > 0 {
                    self.last_number = last_number;
                }
            }
            None => self.is_unsaved = true,
        }
        for trouble in &loaded.troubles {
            tracing::warn!("{trouble}");
        }
        self.trouble = match &loaded.troubles[..] {
            [] => None,
            [trouble] => Some(Printable::new(trouble)),
            [trouble, more @ ..] => Some(Printable::new(&format!("{trouble} (and {} more)", more.len()))),
        };
        let mut jobs = Vec::new();
        for (record, mut rates) in loaded.torrents {
            let had_rates = !rates.is_empty();
            rates.prune_old(now_ms);
            let info_hash = record.info_hash;
            self.last_number = self.last_number.max(record.number);
            self.queue.seen(record.queue_place());
            let job = match (record.is_leaving, record.is_paused) {
                (true, _) => Some(Job::Remove { data: true }),
                (false, true) => None,
                (false, false) => Some(Job::Start),
            };
            jobs.extend(job.map(|job| (info_hash, job)));
            let row = record.row(record.summary(first_state(job != Some(Job::Start))));
            let mut entry = Entry::new(record, rates, None);
            // Those that are too old to be shown need not be kept.
            entry.has_unsaved_rates = had_rates && entry.rates.is_empty();
            self.entries.insert(info_hash, entry);
            self.put_row(row);
        }
        // Only now, since what is removed must know of all others.
        for (info_hash, job) in jobs {
            if job != Job::Start || !self.enqueue(info_hash) {
                self.give_job(info_hash, job, None);
            }
        }
        self.settle_queue();
        self.last_number += loaded.entries_hidden;
        self.apply_settings();
    }

    pub(super) async fn run(mut self) {
        loop {
            let wake = self.next_wake();
            tokio::select! {
                Some(message) = self.inbox.recv() => {
                    if let Message::Shutdown(deadline, done) = message {
                        return self.end(deadline, done).await;
                    }
                    self.take(message);
                }
                Some(notice) = self.notices.recv() => self.hear(notice),
                () = tokio::time::sleep_until(wake) => {}
            }
            for _ in 0..BATCH_MAX {
                let Ok(notice) = self.notices.try_recv() else { break };
                self.hear(notice);
            }
            self.settle_queue();
            self.save_when_due();
            self.tell_clients();
        }
    }

    fn next_wake(&self) -> Instant {
        let wakes = [self.next_save(), self.next_telling()];
        wakes.into_iter().flatten().min().unwrap_or_else(|| Instant::now() + IDLE_WAKE)
    }

    pub(super) fn take(&mut self, message: Message) {
        match message {
            Message::Connect(requests, updates) => self.connect(requests, updates),
            Message::Request(client, request) => self.answer_request(client, request),
            Message::Left(client) => self.leave(client),
            Message::Added(asker, added) => self.added(asker, *added),
            Message::Finished(info_hash, finished) => self.finished(info_hash, *finished),
            Message::Written(about, result) => self.written(about, result),
            Message::Rested(info_hash, number, rest) => self.rested(info_hash, number, rest),
            Message::Space(directory, space) => self.space_is(&directory, space),
            Message::Folder(asker, number, folder) => self.folder_looked_at(asker, number, folder),
            // Handled where the loop can end.
            Message::Shutdown(..) => {}
        }
    }

    fn hear(&mut self, notice: Notice) {
        match notice {
            Notice::Stirred(info_hash, run) => self.refresh(info_hash, run),
            Notice::Happened(event) => self.happened(event),
            Notice::Ended(info_hash, run) => self.run_ended(info_hash, run),
        }
    }

    pub(super) async fn next_message(&mut self) -> Option<Message> {
        self.inbox.recv().await
    }

    /// Something happened: whoever wants to know is told with what changed.
    pub(super) fn happened(&mut self, mut event: Event) {
        // By the calendar, which went on while the machine slept.
        event.at += self.clock.ahead_seconds();
        for client in self.clients.values_mut() {
            client.note(&event);
        }
        // Small ones are for who looks now.
        if event.kind.level() > Level::Debug {
            self.events.push_back(event);
        }
        if self.events.len() > EVENTS_MAX {
            self.events.pop_front();
        }
        self.is_stirred = true;
    }

    pub(super) fn answer(&mut self, asker: Asker, answer: Answer) {
        if let Some(client) = self.clients.get_mut(&asker.client) {
            client.answer(asker.number, answer);
            if client.is_cut_off() {
                self.cut_off.insert(asker.client);
            }
        }
    }

    /// Has a task follow a torrent that begins to run.
    pub(super) fn follow(&self, handle: &crate::engine::TorrentHandle, run: u64) {
        tokio::spawn(follow::follow(handle.clone(), run, self.notice_sender.clone()));
    }
}

/// What a torrent is said to do before anything was done with it.
pub(super) fn first_state(is_paused: bool) -> TorrentState {
    if is_paused { TorrentState::Stopped } else { TorrentState::Checking { done: 0, total: 0 } }
}
