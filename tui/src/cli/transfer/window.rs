//! The dashboard of a `get`: the torrents of one command, seen from near. What a person wants of them the command does, as it
//! owns them; this shows them.

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use potluck_common::{
    InfoHash, Printable,
    control::{
        Aspects, Command, CommandError, CommandErrorKind, Delta, DetailDelta, DetailView, Event,
        FairnessSnapshot, FilePriority, FileSnapshot, Limits, ListDelta, RateRecorder, Reply, Request,
        RequestBody, SessionSnapshot, Settings, SettingsChange, TorrentPeer, TorrentRow, TorrentSnapshot,
        Update, UpdateBody, View,
    },
};
use potluck_peer::engine::{Engine, Shown, TorrentHandle};
use tokio::{
    sync::{
        broadcast::Receiver,
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::{
    course::Wish,
    helm::{self, Change, Order, Wheel},
    past::{Past, at_rest},
};
use crate::io::dashboard::{Link, unix_seconds};

/// How often it is told what changed.
const INTERVAL: Duration = Duration::from_millis(250);
/// Updates that may wait for a slow terminal.
const UPDATES_MAX: usize = 16;
/// What a torrent says whether somebody looks or not: the command tells how its trackers fail.
const ALWAYS: Aspects = Aspects { trackers: true, ..Aspects::NONE };

/// A torrent of the command, as the dashboard sees it.
struct Seen {
    /// It, as it is or was in the engine.
    handle: TorrentHandle,
    /// What earlier runs of it did.
    past: Past,
    is_paused: bool,
    is_at_rest: bool,
    /// It is none of the command's any more.
    is_gone: bool,
    events: Receiver<Event>,
    directory: PathBuf,
    limits: Limits,
    /// What was chosen here, by the positions of files: snapshots show it a moment later.
    priorities: BTreeMap<u32, FilePriority>,
    is_private: bool,
    added_at: u64,
    rates: RateRecorder,
    /// What came and was sent until the last look.
    counted: [u64; 2],
}

/// Tells a dashboard of the torrents of one command.
pub(super) struct Window {
    engine: Engine,
    torrents: Vec<Seen>,
    settings: Settings,
    started: (Instant, f64),
    view: View,
    rates: RateRecorder,
    counted_at: u64,
    requests: mpsc::UnboundedReceiver<Request>,
    updates: mpsc::Sender<Update>,
    told: u64,
    /// Who has the torrents.
    wheel: Wheel,
    /// Answers that take a while.
    answers: JoinSet<Reply>,
}

impl Window {
    /// A window, and the dashboard's end of it.
    pub(super) fn open(engine: Engine, settings: Settings, wheel: Wheel) -> (Self, Link) {
        let (requests, requested) = mpsc::unbounded_channel();
        let (updates, updated) = mpsc::channel(UPDATES_MAX);
        let window = Self {
            engine,
            torrents: Vec::new(),
            settings,
            started: (Instant::now(), unix_seconds()),
            view: View::default(),
            rates: RateRecorder::default(),
            counted_at: unix_ms(),
            requests: requested,
            updates,
            told: 0,
            wheel,
            answers: JoinSet::new(),
        };
        (window, Link { requests, updates: updated })
    }

    /// Shows a torrent, whose payload lies in `directory`.
    pub(super) fn add(&mut self, handle: TorrentHandle, directory: PathBuf, is_private: bool) {
        self.torrents.push(Seen {
            events: handle.events(),
            handle,
            past: Past::default(),
            is_paused: false,
            is_at_rest: false,
            is_gone: false,
            directory,
            limits: Limits::default(),
            priorities: BTreeMap::new(),
            is_private,
            added_at: unix_seconds() as u64,
            rates: RateRecorder::default(),
            counted: [0; 2],
        });
    }

    /// Tells what happens until nobody listens any more.
    pub(super) async fn run(mut self) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut events = Vec::new();
        // Each is awaited by somebody, however slowly they read.
        let mut replies = VecDeque::new();
        let updates = self.updates.clone();
        loop {
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(request) => replies.extend(self.answer(request)),
                    None => return,
                },
                Some(change) = self.wheel.changes.recv() => self.take(change),
                Some(Ok(reply)) = self.answers.join_next() => replies.push_back(reply),
                place = updates.reserve(), if !replies.is_empty() => {
                    let (Ok(place), Some(reply)) = (place, replies.pop_front()) else { return };
                    self.told += 1;
                    place.send(Update { number: self.told, body: UpdateBody::Reply(reply) });
                }
                _ = ticks.tick() => {
                    self.count();
                    events.extend(self.events());
                    let delta = self.delta(std::mem::take(&mut events));
                    let body = UpdateBody::Delta(Box::new(delta));
                    match self.updates.try_send(Update { number: self.told + 1, body }) {
                        Ok(()) => self.told += 1,
                        // Whoever reads slowly hears the rest with the next.
                        Err(TrySendError::Full(Update { body: UpdateBody::Delta(delta), .. })) => {
                            events = delta.events;
                        }
                        Err(_) => return,
                    }
                }
            }
        }
    }

    /// The answer, unless that takes a while.
    fn answer(&mut self, Request { number, body }: Request) -> Option<Reply> {
        let result = match body {
            RequestBody::View(view) => {
                self.view = view;
                self.look();
                return None;
            }
            RequestBody::Command(command) => match wish_of(&command) {
                Some((wish, torrents, done)) => {
                    self.wish(number, wish, torrents, done);
                    return None;
                }
                None => self.carry_out(command),
            },
        };
        Some(Reply { number, result: result.map(Printable::new) })
    }

    fn look(&mut self) {
        let view = &self.view;
        for seen in &self.torrents {
            let of_all = Aspects { peers: view.peers, fairness: view.fairness, ..ALWAYS };
            let near = view.detail.filter(|near| near.info_hash == seen.handle.info_hash());
            let aspects = near.map_or(of_all, |near| of_all.or(near.aspects));
            // Its last state is all that is to be seen of one that rests.
            let aspects = if seen.is_paused { Aspects::ALL } else { aspects };
            seen.handle
                .show(Shown { aspects, pieces: near.and_then(|near| near.piece).into_iter().collect() });
        }
    }

    /// The command did something with a torrent.
    fn take(&mut self, change: Change) {
        match change {
            Change::Began(number, handle, events, past) => {
                let seen = &mut self.torrents[number];
                (seen.handle, seen.events, seen.past) = (handle, events, past);
                self.look();
            }
            Change::Rest(number, is_paused, is_at_rest) => {
                let seen = &mut self.torrents[number];
                (seen.is_paused, seen.is_at_rest) = (is_paused, is_at_rest);
                self.look();
            }
            Change::Gone(number) => self.torrents[number].is_gone = true,
        }
    }

    /// Has the command do what takes a while, and answers then.
    fn wish(&mut self, number: u64, wish: Wish, torrents: &[InfoHash], done: &'static str) {
        let of_wish = |seen: &Seen| !seen.is_gone && torrents.contains(&seen.handle.info_hash());
        let places = self.torrents.iter().enumerate().filter(|(_, seen)| of_wish(seen));
        let mut awaited = Vec::new();
        for (place, _) in places {
            let (sender, receiver) = oneshot::channel();
            // Where the command has ended, the other end of the answer goes with the order.
            let _ = self.wheel.orders.send(Order::Wish(place, wish, sender));
            awaited.push(receiver);
        }
        self.answers.spawn(async move {
            let mut answers = Vec::new();
            for one in awaited {
                answers.push(one.await.unwrap_or_else(|_| Err("the command ends".to_owned())));
            }
            Reply { number, result: summed_up(answers, done) }
        });
    }

    fn carry_out(&mut self, command: Command) -> Result<&'static str, CommandError> {
        match command {
            Command::Reannounce(torrents) => {
                self.of(&torrents).for_each(|(_, seen)| seen.handle.reannounce());
                Ok("asking the trackers")
            }
            Command::SetLimits { torrents, limits } => {
                let mut places = Vec::new();
                for (place, seen) in self.of(&torrents) {
                    seen.limits = limits;
                    places.push(place);
                }
                for place in places {
                    self.order(Order::Limits(place, limits));
                }
                Ok("limits changed")
            }
            Command::AddPeer { torrent, address } => {
                self.of(&[torrent]).for_each(|(_, seen)| seen.handle.add_peer(address));
                Ok("trying this peer")
            }
            Command::SetFiles { torrent, files, priority } => self.set_files(torrent, &files, priority),
            Command::Set(change) => self.set(&change),
            _ => {
                Err(refusal("this is one command's download; potluck alone opens a dashboard that does that"))
            }
        }
    }

    fn order(&self, order: Order) {
        // Where the command has ended there is nothing to change.
        let _ = self.wheel.orders.send(order);
    }

    /// Files by their positions among those that people see; one at least stays wanted.
    fn set_files(
        &mut self,
        torrent: InfoHash,
        files: &[u32],
        priority: FilePriority,
    ) -> Result<&'static str, CommandError> {
        let Some((place, seen)) = self.of(std::slice::from_ref(&torrent)).next() else {
            return Err(refusal("it is not here any more"));
        };
        let Some(metainfo) = seen.handle.metainfo() else {
            return Err(refusal("its files are not known yet"));
        };
        let snapshot = seen.handle.snapshot();
        let is_wanted = |(position, file): (usize, &FileSnapshot)| {
            let position = position as u32;
            let before = seen.priorities.get(&position).copied().unwrap_or(file.priority);
            (if files.contains(&position) { priority } else { before }) != FilePriority::Skip
        };
        // Whoever chooses files looks at them.
        if !snapshot.detail.files.iter().enumerate().any(is_wanted) {
            return Err(refusal("at least one file must be wanted; quit to stop the download"));
        }
        let shown = metainfo.files().iter().enumerate().filter(|(_, file)| !file.padding);
        let chosen = shown.enumerate().filter(|(position, _)| files.contains(&(*position as u32)));
        let chosen = chosen.map(|(_, (index, _))| (index, priority)).collect();
        seen.priorities.extend(files.iter().map(|position| (*position, priority)));
        self.order(Order::Files(place, chosen));
        Ok("priorities changed")
    }

    fn set(&mut self, change: &SettingsChange) -> Result<&'static str, CommandError> {
        match change {
            SettingsChange::Limits(limits) => self.settings.limits = *limits,
            SettingsChange::SlowLimits(limits) => self.settings.slow_limits = *limits,
            SettingsChange::Slow(is_slow) => self.settings.is_slow = *is_slow,
            _ => return Err(refusal("options of the command line say that; potluck get --help lists them")),
        }
        let settings = &self.settings;
        self.engine.set_limits(if settings.is_slow { settings.slow_limits } else { settings.limits });
        Ok("limits changed")
    }

    fn of<'a>(&'a mut self, torrents: &'a [InfoHash]) -> impl Iterator<Item = (usize, &'a mut Seen)> {
        let is_meant = |seen: &Seen| !seen.is_gone && torrents.contains(&seen.handle.info_hash());
        self.torrents.iter_mut().enumerate().filter(move |(_, seen)| is_meant(seen))
    }

    /// What came and was sent since the last look goes into the graphs.
    fn count(&mut self) {
        let (from, now) = (self.counted_at, unix_ms());
        for seen in &mut self.torrents {
            let summary = &seen.snapshot().summary;
            let counted = [summary.downloaded, summary.uploaded];
            let bytes = [0, 1].map(|way: usize| counted[way].saturating_sub(seen.counted[way]));
            seen.counted = counted;
            seen.rates.add(from, now, bytes);
            self.rates.add(from, now, bytes);
        }
        self.counted_at = now;
    }

    fn events(&mut self) -> Vec<Event> {
        let level = self.view.events;
        let mut events = Vec::new();
        for seen in &mut self.torrents {
            // Those that were missed are not worth waiting for.
            while let Ok(event) = seen.events.try_recv() {
                events.push(event);
            }
        }
        events.retain(|event| level.is_some_and(|level| event.kind.level() >= level));
        events.sort_by(|one, other| one.at.total_cmp(&other.at));
        events
    }

    fn delta(&self, events: Vec<Event>) -> Delta {
        let now_ms = unix_ms();
        let here = self.torrents.iter().enumerate().filter(|(_, seen)| !seen.is_gone);
        let snapshots: Vec<_> = here.map(|(place, seen)| (place, seen, seen.snapshot())).collect();
        let gone = self.torrents.iter().filter(|seen| seen.is_gone);
        let near = self.view.detail.and_then(|view| {
            let (_, seen, snapshot) =
                snapshots.iter().find(|(_, seen, _)| seen.handle.info_hash() == view.info_hash)?;
            let history = view.history.map(|range| seen.rates.history(range, now_ms));
            Some(DetailDelta { history, ..detail(&view, snapshot) })
        });
        let peers = snapshots.iter().flat_map(|(_, _, snapshot)| {
            let of = |peer| TorrentPeer { info_hash: snapshot.info_hash, peer };
            snapshot.detail.peers.iter().cloned().map(of)
        });
        let books = snapshots.iter().filter_map(|(_, _, snapshot)| snapshot.detail.fairness.as_ref());
        Delta {
            session: Some(self.session()),
            torrents: (snapshots.iter())
                .map(|(place, seen, snapshot)| seen.row(*place as u32 + 1, snapshot))
                .collect(),
            // Each time, as whoever reads slowly may have missed it.
            removed: gone.map(|seen| seen.handle.info_hash()).collect(),
            detail: near,
            peers: self.view.peers.then(|| ListDelta::Whole(peers.collect())),
            fairness: self.view.fairness.then(|| FairnessSnapshot::sum(books)),
            disk: self.view.disk.then(|| self.engine.disk(&self.settings.directory)),
            history: self.view.history.map(|range| self.rates.history(range, now_ms)),
            events,
        }
    }

    fn session(&self) -> SessionSnapshot {
        let status = self.engine.status();
        SessionSnapshot {
            version: Printable::new(concat!("potluck get ", env!("CARGO_PKG_VERSION"))),
            started_at: self.started.1,
            uptime_seconds: self.started.0.elapsed().as_secs(),
            listen: status.listen,
            down_rate: status.down_rate,
            up_rate: status.up_rate,
            downloaded: status.downloaded,
            uploaded: status.uploaded,
            downloaded_ever: status.downloaded,
            uploaded_ever: status.uploaded,
            connections: status.connections as u32,
            connections_max: status.connections_max as u32,
            dht: status.dht,
            port: status.port,
            free_space: None,
            slots: status.slots,
            settings: self.settings.clone(),
            trouble: None,
        }
    }
}

impl Seen {
    /// Its newest state, with what earlier runs did.
    fn snapshot(&self) -> Arc<TorrentSnapshot> {
        let snapshot = self.past.onto(self.handle.snapshot());
        if !self.is_at_rest {
            return snapshot;
        }
        let mut rest = at_rest(&snapshot);
        let files = &mut Arc::make_mut(&mut rest).detail.files;
        for (position, file) in files.iter_mut().enumerate() {
            // No later snapshot will show it.
            file.priority = self.priorities.get(&(position as u32)).copied().unwrap_or(file.priority);
        }
        rest
    }

    fn row(&self, number: u32, snapshot: &TorrentSnapshot) -> TorrentRow {
        TorrentRow {
            number,
            summary: snapshot.summary.clone(),
            is_paused: self.is_paused,
            is_queued: false,
            queue_place: number.into(),
            directory: self.directory.clone(),
            labels: Vec::new(),
            added_at: self.added_at,
            completed_at: None,
            available_at: None,
            downloaded_ever: snapshot.downloaded,
            uploaded_ever: snapshot.uploaded,
            limits: self.limits,
            is_private: self.is_private,
        }
    }
}

/// What takes a while, of which torrents, and how it is called when it is done.
fn wish_of(command: &Command) -> Option<(Wish, &[InfoHash], &'static str)> {
    match command {
        Command::Pause(torrents) => Some((Wish::Pause, torrents, "paused")),
        Command::Start(torrents) => Some((Wish::GoOn, torrents, "goes on:")),
        Command::Verify(torrents) => Some((Wish::Verify, torrents, "verifying")),
        Command::Remove { torrents, data } => Some((Wish::Remove { data: *data }, torrents, "removed")),
        _ => None,
    }
}

/// The answers of several torrents as one: what was done, or the first failure.
fn summed_up(answers: Vec<helm::Answer>, done: &str) -> Result<Printable, CommandError> {
    let count = answers.len();
    let (well, badly): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    let names: Vec<String> = well.into_iter().flatten().collect();
    let words = match &names[..] {
        [] => String::new(),
        [name] => format!("{done} {name}"),
        names => format!("{done} {} torrents", names.len()),
    };
    match badly.into_iter().find_map(Result::err) {
        None if count == 0 => Err(refusal("it is not here any more")),
        None => Ok(Printable::new(&words)),
        Some(why) if names.is_empty() => Err(refusal(&why)),
        Some(why) => Err(refusal(&format!("{words}; but {why}"))),
    }
}

/// The lists that somebody looks at.
fn detail(view: &DetailView, snapshot: &TorrentSnapshot) -> DetailDelta {
    let (lists, wanted) = (&snapshot.detail, view.aspects);
    let mut delta = DetailDelta::none(view.info_hash);
    delta.about = lists.about.clone().filter(|_| wanted.about);
    delta.peers = wanted.peers.then(|| ListDelta::Whole(lists.peers.clone()));
    delta.trackers = wanted.trackers.then(|| ListDelta::Whole(lists.trackers.clone()));
    delta.discovery = wanted.trackers.then(|| ListDelta::Whole(lists.discovery.clone()));
    delta.files = wanted.files.then(|| ListDelta::Whole(lists.files.clone()));
    delta.pieces = wanted.pieces.then(|| ListDelta::Whole(lists.pieces.clone()));
    delta.holders = lists.holders.iter().find(|holders| Some(holders.piece) == view.piece).cloned();
    delta.fairness = lists.fairness.clone().filter(|_| wanted.fairness);
    delta
}

fn refusal(why: &str) -> CommandError {
    CommandError { kind: CommandErrorKind::Unsupported, message: Printable::new(why) }
}

fn unix_ms() -> u64 {
    (unix_seconds() * 1_000.0) as u64
}

#[cfg(test)]
mod tests {
    use potluck_common::{control::TorrentState, metainfo::Metainfo};
    use potluck_peer::engine::{EngineConfig, TorrentParams};

    use super::*;
    use crate::cli::transfer::{
        course::Step,
        origin::{Changed, Errand, Origin},
    };

    const TWO_FILES: &[u8] = b"d4:infod5:filesld6:lengthi4e4:pathl1:aeed6:lengthi4e4:pathl1:beee4:name3:two\
        12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee";

    async fn engine() -> Engine {
        let bind = Some(std::net::Ipv4Addr::LOCALHOST.into());
        Engine::start(EngineConfig { bind, ..EngineConfig::default() }).await.expect("an engine")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_files_of_what_rests_are_seen_and_chosen() {
        let (engine, folder) = (engine().await, tempfile::tempdir().expect("a folder"));
        let metainfo = Metainfo::parse(TWO_FILES).expect("a torrent");
        let torrent = metainfo.info_hash();
        let params = TorrentParams::new(metainfo, folder.path().to_owned());
        let origin = Origin::torrent(&params);
        let params = TorrentParams { aspects: Aspects::NONE, ..params };
        let handle = engine.add(params).await.expect("it is added");
        let runs = |state: &TorrentState| *state == TorrentState::Downloading;
        handle.watch().wait_for(|snapshot| runs(&snapshot.state)).await.expect("it runs");
        let (mut window, _link) = Window::open(engine.clone(), Settings::default(), helm::helm().1);
        window.add(handle.clone(), folder.path().to_owned(), false);
        window.look();

        let (changed, input) = (Changed::default(), "two".to_owned());
        Errand { step: Step::Stop, engine: engine.clone(), input, origin, changed, handle }.run().await;
        window.take(Change::Rest(0, true, true));
        assert_eq!(window.torrents[0].snapshot().detail.pieces.len(), 1);
        let mut choose = |file| {
            let command = Command::SetFiles { torrent, files: vec![file], priority: FilePriority::Skip };
            let is_done = window.carry_out(command).is_ok();
            let snapshot = window.torrents[0].snapshot();
            (is_done, snapshot.detail.files.iter().map(|file| file.priority).collect::<Vec<_>>())
        };
        let chosen = vec![FilePriority::Skip, FilePriority::Normal];
        assert_eq!(choose(0), (true, chosen.clone()));
        assert_eq!(choose(1), (false, chosen), "one must be wanted");
        engine.shutdown(Duration::from_secs(1)).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_request_is_answered_however_slowly_its_answer_is_read() {
        let engine = engine().await;
        let (window, mut link) = Window::open(engine.clone(), Settings::default(), helm::helm().1);
        let asked = UPDATES_MAX as u64 * 3;
        for number in 0..asked {
            let body = RequestBody::Command(Command::Reannounce(Vec::new()));
            link.requests.send(Request { number, body }).expect("the window is there");
        }
        let task = tokio::spawn(window.run());
        while link.updates.len() < UPDATES_MAX {
            tokio::task::yield_now().await;
        }
        let mut answered = Vec::new();
        while answered.len() < asked as usize {
            let update = link.updates.recv().await.expect("the window is there");
            if let UpdateBody::Reply(reply) = update.body {
                answered.push(reply.number);
            }
        }
        assert!(answered.into_iter().eq(0..asked));
        drop(link);
        task.await.expect("it ends with its reader");
        engine.shutdown(Duration::from_secs(1)).await;
    }
}
