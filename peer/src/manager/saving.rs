//! Writes the list down: what people did at once, counters every half minute, rates every five, and all of it at the end.

use std::time::Duration;

use potluck_common::{InfoHash, Printable, control::RateRecorder};
use tokio::{sync::oneshot, time::Instant};

use super::{
    entry::Entry,
    jobs::Job,
    list::{List, Message},
    store::{Change, SessionRecord},
};

/// Counters are written as often as this: what a crash costs.
const COUNTERS_EVERY: Duration = Duration::from_secs(30);
/// So long for each of them, so that thousands of busy torrents do not keep the disk busy.
const COUNTER_TIME: Duration = Duration::from_millis(30);
/// Rates are larger, and less is lost with them.
const RATES_EVERY: Duration = Duration::from_secs(300);

/// What was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum About {
    /// What the list knows of a torrent.
    Record(InfoHash),
    /// The same, and the metainfo that came of its magnet link.
    Resolved(InfoHash),
    /// Its rates.
    Rates(InfoHash),
    /// That it is gone.
    Removal(InfoHash),
    /// The settings and totals.
    Session,
}

impl List {
    /// When something is to be written.
    pub(super) fn next_save(&self) -> Option<Instant> {
        (self.is_unsaved && self.writer.is_some())
            .then(|| self.saved_at + COUNTERS_EVERY.max(COUNTER_TIME * self.saved_count))
    }

    pub(super) fn save_when_due(&mut self) {
        let now = Instant::now();
        if self.next_save().is_none_or(|at| now < at) {
            return;
        }
        let with_rates = now >= self.rates_saved_at + RATES_EVERY;
        self.save_all(with_rates);
    }

    fn save_all(&mut self, with_rates: bool) {
        let now = Instant::now();
        let (now_ms, is_settled) = (self.clock.unix_ms(), self.clock.is_settled());
        // What lies ahead of a calendar that may be wrong itself stays.
        let prune = |rates: &mut RateRecorder| {
            if is_settled { rates.prune(now_ms) } else { rates.prune_old(now_ms) }
        };
        self.saved_at = now;
        if with_rates {
            self.rates_saved_at = now;
            prune(&mut self.rates);
        }
        let mut changes = Vec::new();
        for (info_hash, entry) in &mut self.entries {
            if std::mem::take(&mut entry.is_unsaved) {
                changes.push(entry.change());
            }
            if with_rates && std::mem::take(&mut entry.has_unsaved_rates) {
                // Those that grow old later are left out when they are read.
                prune(&mut entry.rates);
                changes.push((
                    About::Rates(*info_hash),
                    Change::Rates(*info_hash, Box::new(entry.rates.clone())),
                ));
            }
        }
        self.saved_count = changes.len() as u32;
        for (about, change) in changes {
            self.write(about, change);
        }
        for info_hash in std::mem::take(&mut self.unforgotten) {
            self.drop_kept(info_hash);
        }
        self.save_session();
        self.is_unsaved = false;
    }

    /// Writes what the list knows of a torrent now.
    pub(super) fn save_soon(&mut self, info_hash: InfoHash) {
        let Some(entry) = self.entries.get_mut(&info_hash) else { return };
        if std::mem::take(&mut entry.is_unsaved) {
            let (about, change) = entry.change();
            self.write(about, change);
        }
    }

    /// Has nothing of a torrent kept any more: now, or as soon as that can be written.
    pub(super) fn drop_kept(&mut self, info_hash: InfoHash) {
        self.write(About::Removal(info_hash), Change::Remove(info_hash));
    }

    /// Writes that a torrent is being removed with its payload: else a crash on the way would leave it in the list, and
    /// the next run fetch all of it again. Gives what hears when that is done, or cannot be.
    pub(super) fn note_leaving(&mut self, info_hash: InfoHash) -> oneshot::Receiver<()> {
        let (noted, hears) = oneshot::channel();
        if let Some(entry) = self.entries.get_mut(&info_hash) {
            entry.record.is_leaving = true;
            entry.is_unsaved = false;
            let (about, change) = entry.change();
            // Who went meanwhile needs not hear.
            self.write_then(about, change, move || {
                let _ = noted.send(());
            });
        }
        hears
    }

    /// Writes the settings and totals now.
    pub(super) fn save_session(&self) {
        if self.is_session_hidden {
            return;
        }
        let record = SessionRecord {
            settings: self.settings.clone(),
            downloaded_ever: self.sums.downloaded_ever,
            uploaded_ever: self.sums.uploaded_ever,
            last_number: self.last_number,
            rates: self.rates.clone(),
        };
        self.write(About::Session, Change::Session(Box::new(record)));
    }

    /// Has something written, soon and in this order.
    pub(super) fn write(&self, about: About, change: Change) {
        self.write_then(about, change, || {});
    }

    fn write_then(&self, about: About, change: Change, then: impl FnOnce() + Send + 'static) {
        let sender = self.sender.clone();
        if let Some(writer) = &self.writer {
            writer.write(change, move |result| {
                let result = result.map_err(|error| error.to_string());
                // After the end nobody minds.
                let _ = sender.send(Message::Written(about, result));
                then();
            });
        }
    }

    /// Something was written, or was not: then it is tried again with the counters.
    pub(super) fn written(&mut self, about: About, result: Result<(), String>) {
        let trouble = result.err().map(|error| {
            tracing::warn!("the list of torrents cannot be written: {error}");
            let text =
                format!("the list of torrents cannot be written: {error}; it is tried again every 30 s");
            Printable::new(&text)
        });
        if trouble.is_some() {
            self.is_unsaved = true;
            self.write_again(about);
        } else if let About::Resolved(info_hash) = about
            && let Some(entry) = self.entries.get_mut(&info_hash)
        {
            entry.unkept = None;
        }
        if self.write_trouble != trouble {
            self.write_trouble = trouble;
            self.is_stirred = true;
        }
    }

    fn write_again(&mut self, about: About) {
        match about {
            About::Record(info_hash) | About::Resolved(info_hash) => {
                if let Some(entry) = self.entries.get_mut(&info_hash) {
                    entry.is_unsaved = true;
                }
            }
            About::Rates(info_hash) => {
                if let Some(entry) = self.entries.get_mut(&info_hash) {
                    entry.has_unsaved_rates = true;
                }
            }
            // One that is there again was written behind its removal.
            About::Removal(info_hash) => {
                if !self.entries.contains_key(&info_hash) && !self.arriving.contains_key(&info_hash) {
                    self.unforgotten.insert(info_hash);
                }
            }
            About::Session => {}
        }
    }

    /// Stops everything within `deadline`, and writes everything down.
    pub(super) async fn end(mut self, deadline: Duration, done: oneshot::Sender<()>) {
        self.clients.clear();
        self.finish_jobs(Instant::now() + deadline).await;
        // All of it for them, who say farewell to trackers.
        self.engine.shutdown(deadline).await;
        let running =
            |(info_hash, entry): (&InfoHash, &Entry)| entry.run.as_ref().map(|run| (*info_hash, run.number));
        let running: Vec<(InfoHash, u64)> = self.entries.iter().filter_map(running).collect();
        for (info_hash, run) in running {
            self.refresh(info_hash, run);
        }
        self.save_all(true);
        // Its thread ends when all is written.
        let writer = self.writer.take();
        let _ = tokio::task::spawn_blocking(move || drop(writer)).await;
        drop(self);
        let _ = done.send(());
    }

    /// Waits for what is under way: who is on the way into the engine would be left behind there, and removals be left
    /// half done. Removals that were asked for are begun, too; what is not reached is noted for the next run.
    async fn finish_jobs(&mut self, at: Instant) {
        let is_removal = |job: &Job| matches!(job, Job::Remove { .. });
        self.is_ending = true;
        self.line.clear();
        let waiting: Vec<InfoHash> = self.entries.keys().copied().collect();
        for info_hash in waiting {
            if let Some(entry) = self.entries.get_mut(&info_hash) {
                entry.jobs.retain(|(job, _)| is_removal(job));
            }
            self.next_job(info_hash);
        }
        while self.entries.values().any(|entry| entry.is_busy)
            && let Ok(Some(message)) = tokio::time::timeout_at(at, self.next_message()).await
        {
            if !matches!(message, Message::Request(..)) {
                self.take(message);
            }
        }
        let late =
            self.entries.iter_mut().filter(|(_, entry)| entry.jobs.iter().any(|(job, _)| is_removal(job)));
        let mut gone = Vec::new();
        for (info_hash, entry) in late {
            if entry.jobs.iter().any(|(job, _)| *job == Job::Remove { data: true }) {
                (entry.record.is_leaving, entry.is_unsaved) = (true, true);
            } else {
                gone.push(*info_hash);
            }
        }
        for info_hash in gone {
            self.entries.remove(&info_hash);
            self.drop_kept(info_hash);
        }
    }
}

impl Entry {
    /// What is to be written of it. An entry must not be written without its metainfo: it would be lost with the next run.
    fn change(&self) -> (About, Change) {
        let (info_hash, record) = (self.record.info_hash, Box::new(self.record.clone()));
        match &self.unkept {
            Some(unkept) => (About::Resolved(info_hash), Change::Add(record, unkept.bytes.clone())),
            None => (About::Record(info_hash), Change::Record(record)),
        }
    }
}
