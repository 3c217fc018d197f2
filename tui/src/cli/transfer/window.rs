//! The dashboard of a `get`: the torrents of one command, seen from near. It takes no torrents in or out: the command does.

use std::{
    collections::BTreeMap,
    collections::VecDeque,
    path::PathBuf,
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
    },
    time::{MissedTickBehavior, interval},
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
    handle: TorrentHandle,
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
}

impl Window {
    /// A window, and the dashboard's end of it.
    pub(super) fn open(engine: Engine, settings: Settings) -> (Self, Link) {
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
        };
        (window, Link { requests, updates: updated })
    }

    /// Shows a torrent, whose payload lies in `directory`.
    pub(super) fn add(&mut self, handle: TorrentHandle, directory: PathBuf, is_private: bool) {
        self.torrents.push(Seen {
            events: handle.events(),
            handle,
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

    fn answer(&mut self, request: Request) -> Option<Reply> {
        let result = match request.body {
            RequestBody::View(view) => {
                self.look(view);
                return None;
            }
            RequestBody::Command(command) => self.carry_out(command),
        };
        Some(Reply { number: request.number, result: result.map(Printable::new) })
    }

    fn look(&mut self, view: View) {
        for seen in &self.torrents {
            let of_all = Aspects { peers: view.peers, fairness: view.fairness, ..ALWAYS };
            let near = view.detail.filter(|near| near.info_hash == seen.handle.info_hash());
            let aspects = near.map_or(of_all, |near| of_all.or(near.aspects));
            seen.handle
                .show(Shown { aspects, pieces: near.and_then(|near| near.piece).into_iter().collect() });
        }
        self.view = view;
    }

    fn carry_out(&mut self, command: Command) -> Result<&'static str, CommandError> {
        match command {
            Command::Reannounce(torrents) => {
                self.of(&torrents).for_each(|seen| seen.handle.reannounce());
                Ok("asking the trackers")
            }
            Command::SetLimits { torrents, limits } => {
                for seen in self.of(&torrents) {
                    seen.limits = limits;
                    seen.handle.set_limits(limits);
                }
                Ok("limits changed")
            }
            Command::AddPeer { torrent, address } => {
                self.of(&[torrent]).for_each(|seen| seen.handle.add_peer(address));
                Ok("trying this peer")
            }
            Command::SetFiles { torrent, files, priority } => self.set_files(torrent, &files, priority),
            Command::Set(change) => self.set(&change),
            Command::Pause(_) | Command::Start(_) => {
                Err(refusal("q stops this download, and the same command goes on with it"))
            }
            Command::Remove { .. } => Err(refusal(
                "q stops this download, and what came stays; potluck alone opens a dashboard that deletes",
            )),
            _ => {
                Err(refusal("this is one command's download; potluck alone opens a dashboard that does that"))
            }
        }
    }

    /// Files by their positions among those that people see; one at least stays wanted.
    fn set_files(
        &mut self,
        torrent: InfoHash,
        files: &[u32],
        priority: FilePriority,
    ) -> Result<&'static str, CommandError> {
        let Some(seen) = self.of(std::slice::from_ref(&torrent)).next() else {
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
            return Err(refusal("at least one file must be wanted; q stops the download"));
        }
        let shown = metainfo.files().iter().enumerate().filter(|(_, file)| !file.padding);
        let chosen = shown.enumerate().filter(|(position, _)| files.contains(&(*position as u32)));
        seen.handle.set_files(chosen.map(|(_, (index, _))| (index, priority)).collect());
        seen.priorities.extend(files.iter().map(|position| (*position, priority)));
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

    fn of<'a>(&'a mut self, torrents: &'a [InfoHash]) -> impl Iterator<Item = &'a mut Seen> {
        self.torrents.iter_mut().filter(|seen| torrents.contains(&seen.handle.info_hash()))
    }

    /// What came and was sent since the last look goes into the graphs.
    fn count(&mut self) {
        let (from, now) = (self.counted_at, unix_ms());
        for seen in &mut self.torrents {
            let summary = &seen.handle.snapshot().summary;
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
        let snapshots: Vec<_> = self.torrents.iter().map(|seen| (seen, seen.handle.snapshot())).collect();
        let near = self.view.detail.and_then(|view| {
            let (seen, snapshot) =
                snapshots.iter().find(|(seen, _)| seen.handle.info_hash() == view.info_hash)?;
            let history = view.history.map(|range| seen.rates.history(range, now_ms));
            Some(DetailDelta { history, ..detail(&view, snapshot) })
        });
        let peers = snapshots.iter().flat_map(|(_, snapshot)| {
            let of = |peer| TorrentPeer { info_hash: snapshot.info_hash, peer };
            snapshot.detail.peers.iter().cloned().map(of)
        });
        let books = snapshots.iter().filter_map(|(_, snapshot)| snapshot.detail.fairness.as_ref());
        Delta {
            session: Some(self.session()),
            torrents: (snapshots.iter().enumerate())
                .map(|(number, (seen, snapshot))| seen.row(number as u32 + 1, snapshot))
                .collect(),
            removed: Vec::new(),
            detail: near,
            peers: self.view.peers.then(|| ListDelta::Whole(peers.collect())),
            fairness: self.view.fairness.then(|| FairnessSnapshot::sum(books)),
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
    fn row(&self, number: u32, snapshot: &TorrentSnapshot) -> TorrentRow {
        TorrentRow {
            number,
            summary: snapshot.summary.clone(),
            is_paused: false,
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
    use potluck_peer::engine::EngineConfig;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn each_request_is_answered_however_slowly_its_answer_is_read() {
        let bind = Some(std::net::Ipv4Addr::LOCALHOST.into());
        let engine =
            Engine::start(EngineConfig { bind, ..EngineConfig::default() }).await.expect("an engine");
        let (window, mut link) = Window::open(engine.clone(), Settings::default());
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
