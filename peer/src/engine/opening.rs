//! From a folder to the verified pieces in it: what is remembered, what must be checked, and what may be missing.

use std::{sync::Arc, time::Duration};

use potluck_common::{
    Bitfield, Printable,
    control::{EventKind, TorrentError, TorrentErrorKind, TorrentState},
};
use potluck_core::torrent::{Input, Source};
use tokio::{task::JoinHandle, time::Instant};

use super::{
    Intent,
    torrent_task::{
        EARLY_MAX, EARLY_PATIENCE, Message, PUBLISH_EVERY, TorrentTask, disk_error, internal, wanted_of,
    },
};
use crate::{
    check::{self, Findings, Found},
    disk::{DiskError, DiskErrorKind, DiskPool, Progress, Storage},
    resume::{self, Opening, Trust, Verdict},
};

/// What a check has found is written down at least as often as this, so that one that is interrupted goes on.
const NOTE_EVERY: Duration = Duration::from_secs(3);

/// How often what is there is judged again because files became shorter or went away under a check. A file system that
/// tells another length than can be read ends it.
const SHRANK_MAX: u32 = 3;

/// How long a look at the files is put off that failed for want of descriptors.
const JUDGE_AGAIN: Duration = Duration::from_secs(1);

/// How a check ended.
enum Checked {
    /// These pieces are there.
    Have(Bitfield),
    /// This file of a finished torrent went away.
    Gone(usize),
    /// Files became shorter or went away under it.
    Shrank(Bitfield),
    Stopped,
}

/// What is done while something blocks elsewhere.
struct Watch<'a> {
    /// Told to end when the torrent is stopped.
    progress: &'a Progress,
    /// At each tick.
    tick: &'a mut (dyn FnMut(&TorrentTask) + Send),
}

impl TorrentTask {
    /// Finds out which pieces are there, and makes ready to run. `None` if it was stopped meanwhile.
    pub(super) async fn open(&mut self) -> Result<Option<Bitfield>, TorrentError> {
        let mut shrank = 0;
        loop {
            let Some(verdict) = self.judge().await? else { return Ok(None) };
            let opened = match verdict {
                Verdict::Missing(file) => Err(self.gone(file)),
                Verdict::Trust(trust) => match self.check(trust).await? {
                    _ if self.is_stopped => return Ok(None),
                    Checked::Stopped => return Ok(None),
                    Checked::Gone(file) => Err(self.gone(file)),
                    Checked::Shrank(_) if shrank < SHRANK_MAX => {
                        shrank += 1;
                        continue;
                    }
                    Checked::Have(have) | Checked::Shrank(have) => self.ready(&have).await.map(|()| have),
                },
            };
            match opened {
                Ok(have) => return Ok((!self.is_stopped).then_some(have)),
                Err(error) if error.kind == TorrentErrorKind::MissingPayload => {
                    if !self.wait_for_payload(error).await {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What can be believed of what is remembered. `None` if it was stopped meanwhile.
    async fn judge(&mut self) -> Result<Option<Verdict>, TorrentError> {
        loop {
            let turns = Arc::clone(&self.shared.judgements);
            let Some(turn) = self.wait_with(turns.acquire_owned()).await else { return Ok(None) };
            let judged = self.judge_now().await?;
            drop(turn);
            match judged {
                // What others use they need for a moment only.
                Err(error) if error.kind() == DiskErrorKind::TooManyFiles => {
                    tracing::warn!(%error, "the payload is looked at again in a moment");
                    self.shared.free_descriptors();
                    if self.wait_with(tokio::time::sleep(JUDGE_AGAIN)).await.is_none() {
                        return Ok(None);
                    }
                }
                judged => return judged.map(Some).map_err(|error| disk_error(&error)),
            }
        }
    }

    async fn judge_now(&mut self) -> Result<Result<Verdict, DiskError>, TorrentError> {
        let (journal, storage) = (Arc::clone(&self.journal), Arc::clone(&self.storage));
        let (wanted, force, vouched) = (self.wanted(), self.params.force_check, self.params.vouched.clone());
        let work = tokio::task::spawn_blocking(move || {
            let opening = match &vouched {
                _ if force => Opening::Doubting,
                Some(stamps) => Opening::Vouched(stamps),
                None => Opening::Trusting,
            };
            resume::lock(&journal).open(&storage, &wanted, opening)
        });
        let progress = Progress::new();
        self.attend(work, Watch { progress: &progress, tick: &mut |_| {} }).await
    }

    /// Hashes what must be, on all processors, away from the runtime.
    async fn check(&mut self, trust: Trust) -> Result<Checked, TorrentError> {
        let geometry = *self.storage.layout().geometry();
        let findings = Arc::new(Findings::new(geometry.pieces()));
        if !trust.check.is_empty() {
            if !self.check_pieces(trust.check, &findings).await? {
                return Ok(Checked::Stopped);
            }
            if let Some(file) = self.missing_after_check().await? {
                return Ok(Checked::Gone(file));
            }
        }
        let found = findings.so_far();
        let mut have = trust.have;
        for piece in found.have.iter(&geometry) {
            have.insert(piece);
        }
        self.tell(EventKind::Checked {
            have: have.count(),
            pieces: geometry.pieces(),
            rechecked: found.read,
        });
        Ok(if found.shrank { Checked::Shrank(have) } else { Checked::Have(have) })
    }

    /// A file of a finished torrent that went away during its check: its drive, as a rule.
    async fn missing_after_check(&mut self) -> Result<Option<usize>, TorrentError> {
        let (journal, storage, wanted) =
            (Arc::clone(&self.journal), Arc::clone(&self.storage), self.wanted());
        let work = tokio::task::spawn_blocking(move || resume::lock(&journal).missing(&storage, &wanted));
        let progress = Progress::new();
        let looked = self.attend(work, Watch { progress: &progress, tick: &mut |_| {} }).await?;
        looked.map_err(|error| disk_error(&error))
    }

    /// Whether the check came to its end.
    async fn check_pieces(&mut self, only: Bitfield, findings: &Arc<Findings>) -> Result<bool, TorrentError> {
        let turns = Arc::clone(&self.shared.checks);
        let Some(_turn) = self.wait_with(turns.acquire_owned()).await else { return Ok(false) };
        let total = only.count();
        let progress = Arc::new(Progress::new());
        let work = {
            let (storage, progress) = (Arc::clone(&self.storage), Arc::clone(&progress));
            let findings = Arc::clone(findings);
            tokio::task::spawn_blocking(move || {
                check::check_noting(&storage, Some(&only), DiskPool::default_threads(), &progress, &findings)
            })
        };
        let every = self.shared.config.state_interval.min(NOTE_EVERY);
        let mut note_at = Instant::now() + every;
        let mut noting: Option<JoinHandle<()>> = None;
        let mut counted = 0;
        let mut count = move |task: &Self, done: u64| {
            // A second look begins anew.
            task.shared.disk.pool.figures().checked(done.saturating_sub(counted));
            counted = done;
        };
        let mut tick = |task: &Self| {
            count(task, progress.done());
            let done = progress.done().saturating_mul(u64::from(total)) / progress.total().max(1);
            task.publish_state(TorrentState::Checking { done: done as u32, total });
            if Instant::now() >= note_at && noting.as_ref().is_none_or(JoinHandle::is_finished) {
                note_at = Instant::now() + every;
                noting = Some(task.note(findings.so_far()));
            }
        };
        let result = self.attend(work, Watch { progress: &progress, tick: &mut tick }).await?;
        // What came since the last tick.
        count(self, progress.done());
        // Two of them would wait for one journal.
        if let Some(noting) = noting {
            let _ = noting.await;
        }
        let noted = self.note(findings.so_far()).await;
        noted.map_err(|_| internal("noting what was found failed unexpectedly"))?;
        let result = result.map_err(|error| disk_error(&error))?;
        Ok(!result.cancelled)
    }

    /// Writes down what a check has found so far.
    fn note(&self, found: Found) -> JoinHandle<()> {
        let (journal, storage) = (Arc::clone(&self.journal), Arc::clone(&self.storage));
        tokio::task::spawn_blocking(move || {
            resume::lock(&journal).checked(&storage, &found.have, &found.looked_at);
        })
    }

    /// Judges what is there, and makes what no block would ever make.
    async fn ready(&mut self, have: &Bitfield) -> Result<(), TorrentError> {
        let turns = Arc::clone(&self.shared.judgements);
        let Some(_turn) = self.wait_with(turns.acquire_owned()).await else { return Ok(()) };
        if self.params.intent == Intent::Seed {
            self.must_be_whole(have).await?;
        }
        // Other files may be wanted in the meantime.
        let mut noted = None;
        while noted.as_ref() != Some(&self.wanted()) {
            let wanted = self.wanted();
            noted = Some(wanted.clone());
            self.note_run(wanted, have.clone()).await?;
        }
        Ok(())
    }

    async fn note_run(&mut self, wanted: Vec<bool>, have: Bitfield) -> Result<(), TorrentError> {
        let (journal, storage) = (Arc::clone(&self.journal), Arc::clone(&self.storage));
        let downloads = self.params.intent == Intent::Download;
        let work = tokio::task::spawn_blocking(move || {
            // First the marks, then what they are about.
            resume::lock(&journal).running(&storage, &wanted, &have, downloads);
            if downloads { storage.create_empty_files(|file| wanted[file]) } else { Ok(()) }
        });
        let progress = Progress::new();
        let made = self.attend(work, Watch { progress: &progress, tick: &mut |_| {} }).await?;
        made.map_err(|error| disk_error(&error))
    }

    /// Waits for what others must give first, and meanwhile keeps house. `None` if it was stopped before.
    async fn wait_with<T>(&mut self, awaited: impl Future<Output = T>) -> Option<T> {
        let mut awaited = std::pin::pin!(awaited);
        let (mut tick, progress) = (tokio::time::interval(EARLY_PATIENCE / 4), Progress::new());
        while !self.is_stopped {
            tokio::select! {
                result = &mut awaited => return Some(result),
                // Thousands may wait here, most of them alone.
                _ = tick.tick(), if !self.early.is_empty() => self.drop_impatient(),
                Some(message) = self.messages.recv() => self.let_wait(message),
                Some(input) = self.inputs.recv() => self.take_early(input, &progress),
            }
        }
        None
    }

    /// Waits for `work`, and meanwhile keeps house: peers wait, and who wants the end is heard.
    async fn attend<T>(&mut self, mut work: JoinHandle<T>, watch: Watch<'_>) -> Result<T, TorrentError> {
        let mut tick = tokio::time::interval(PUBLISH_EVERY);
        loop {
            tokio::select! {
                result = &mut work => {
                    return result.map_err(|_| internal("looking at the payload failed unexpectedly"));
                }
                _ = tick.tick() => {
                    (watch.tick)(self);
                    self.drop_impatient();
                }
                Some(message) = self.messages.recv() => self.let_wait(message),
                Some(input) = self.inputs.recv() => self.take_early(input, watch.progress),
            }
        }
    }

    fn take_early(&mut self, input: Input, progress: &Progress) {
        match input {
            Input::Stop => {
                self.is_stopped = true;
                progress.cancel();
            }
            Input::Candidates(addresses, Source::User) => self.params.peers.extend(addresses),
            Input::Candidates(addresses, Source::Link) => self.params.link_peers.extend(addresses),
            Input::BufferBudget(bytes) => self.buffer_bytes_max = bytes,
            // There is no machine yet that could have asked for anything else.
            _ => {}
        }
    }

    fn let_wait(&mut self, message: Message) {
        // Nobody is dialled before the check is over.
        let arrival = match message {
            Message::Arrived(arrival) => arrival,
            other => return self.change(other),
        };
        if self.early.len() == EARLY_MAX {
            self.early.pop_front();
        }
        self.early.push_back(arrival);
    }

    fn drop_impatient(&mut self) {
        let now = self.shared.clock.now();
        self.early.retain(|arrival| now.since(arrival.accepted) < EARLY_PATIENCE);
    }

    /// For each file whether the user wants it, padding never.
    fn wanted(&self) -> Vec<bool> {
        wanted_of(&self.files)
    }

    /// What was complete and is not there any more.
    fn gone(&self, file: usize) -> TorrentError {
        let path = Printable::new(&self.storage.layout().path_of(file).to_string_lossy());
        let name = Printable::new(self.params.metainfo.name());
        missing(&format!(
            "{name} was complete, and now {path} is missing or too short; connect the drive that holds it, or begin anew with --check"
        ))
    }

    async fn must_be_whole(&self, have: &Bitfield) -> Result<(), TorrentError> {
        let directory = Printable::new(&self.params.directory.to_string_lossy());
        let name = Printable::new(self.params.metainfo.name());
        let storage = Arc::clone(&self.storage);
        let missing_file = tokio::task::spawn_blocking(move || first_missing(&storage)).await;
        let missing_file = missing_file
            .map_err(|_| internal("looking at the payload failed unexpectedly"))?
            .map_err(|error| disk_error(&error))?;
        if let Some(file) = missing_file {
            let path = self.storage.layout().path_of(file);
            return Err(missing(&format!(
                "the payload of {name} is not in {directory}: {} is missing; name the folder that holds it with -o",
                path.display()
            )));
        }
        let pieces = self.storage.layout().geometry().pieces();
        if !have.is_full() {
            return Err(TorrentError {
                kind: TorrentErrorKind::DamagedPayload,
                message: Printable::new(&format!(
                    "{} of {pieces} pieces of {name} in {directory} fail their hash; fetch them again with potluck get, or make a new torrent",
                    pieces - have.count(),
                )),
            });
        }
        Ok(())
    }

    /// Shows that the payload is missing, and looks now and then whether it has come back. `false` if it was stopped.
    async fn wait_for_payload(&mut self, error: TorrentError) -> bool {
        self.show_failure(error);
        let mut tick = tokio::time::interval(self.shared.config.missing_interval);
        tick.reset();
        let progress = Progress::new();
        while !self.is_stopped {
            tokio::select! {
                _ = tick.tick() => {
                    let (storage, wanted) = (Arc::clone(&self.storage), self.wanted());
                    let looked = tokio::task::spawn_blocking(move || is_back(&storage, &wanted)).await;
                    if looked.unwrap_or(false) {
                        self.tell(EventKind::Resumed);
                        self.publish_state(TorrentState::Checking { done: 0, total: 0 });
                        return true;
                    }
                }
                // Whoever connects hears nothing.
                Some(message) = self.messages.recv() => self.change(message),
                Some(input) = self.inputs.recv() => self.take_early(input, &progress),
            }
        }
        false
    }
}

/// The first file that does not exist.
fn first_missing(storage: &Storage) -> Result<Option<usize>, DiskError> {
    for (number, _) in storage.layout().files().iter().enumerate().filter(|(_, file)| !file.padding) {
        if storage.stamp(number)?.is_none() {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

/// Whether every wanted file is long enough.
fn is_back(storage: &Storage, wanted: &[bool]) -> bool {
    let files = storage.layout().files().iter().zip(wanted).enumerate();
    files.filter(|(_, (_, wanted))| **wanted).all(|(number, (file, _))| {
        storage.stamp(number).is_ok_and(|stamp| stamp.is_some_and(|stamp| stamp.length >= file.length))
    })
}

fn missing(text: &str) -> TorrentError {
    TorrentError { kind: TorrentErrorKind::MissingPayload, message: Printable::new(text) }
}
