//! Writes the list down: what people did at once, counters every half minute, rates every five, and all of it at the end.

use std::time::Duration;

use potluck_common::{InfoHash, Printable};
use tokio::{sync::oneshot, time::Instant};

use super::{
    list::{List, Message},
    store::{Change, SessionRecord},
};

/// Counters are written as often as this: what a crash costs.
const COUNTERS_EVERY: Duration = Duration::from_secs(30);
/// So long for each of them, so that thousands of busy torrents do not keep the disk busy.
const COUNTER_TIME: Duration = Duration::from_millis(30);
/// Rates are larger, and less is lost with them.
const RATES_EVERY: Duration = Duration::from_secs(300);

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
        let now_ms = self.clock.unix_ms();
        self.saved_at = now;
        if with_rates {
            self.rates_saved_at = now;
            self.rates.prune(now_ms);
        }
        let mut changes = Vec::new();
        for (info_hash, entry) in &mut self.entries {
            if std::mem::take(&mut entry.is_unsaved) {
                changes.push((Some(*info_hash), Change::Record(Box::new(entry.record.clone()))));
            }
            if with_rates && std::mem::take(&mut entry.has_unsaved_rates) {
                entry.rates.prune(now_ms);
                // They grow old without anything happening.
                entry.has_unsaved_rates = !entry.rates.is_empty();
                changes.push((None, Change::Rates(*info_hash, Box::new(entry.rates.clone()))));
            }
        }
        self.saved_count = changes.len() as u32;
        for (info_hash, change) in changes {
            self.write_for(info_hash, change);
        }
        self.save_session();
        self.is_unsaved = false;
    }

    /// Writes what the list knows of a torrent now.
    pub(super) fn save_soon(&mut self, info_hash: InfoHash) {
        let Some(entry) = self.entries.get_mut(&info_hash) else { return };
        if std::mem::take(&mut entry.is_unsaved) {
            let change = Change::Record(Box::new(entry.record.clone()));
            self.write_for(Some(info_hash), change);
        }
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
        self.write(Change::Session(Box::new(record)));
    }

    /// Has something written, soon and in this order.
    pub(super) fn write(&self, change: Change) {
        self.write_for(None, change);
    }

    fn write_for(&self, info_hash: Option<InfoHash>, change: Change) {
        let sender = self.sender.clone();
        if let Some(writer) = &self.writer {
            writer.write(change, move |result| {
                let result = result.map_err(|error| error.to_string());
                // After the end nobody minds.
                let _ = sender.send(Message::Written(info_hash, result));
            });
        }
    }

    /// Something was written, or was not: then it is tried again with the counters.
    pub(super) fn written(&mut self, info_hash: Option<InfoHash>, result: Result<(), String>) {
        let trouble = result.err().map(|error| {
            tracing::warn!("the list of torrents cannot be written: {error}");
            let text =
                format!("the list of torrents cannot be written: {error}; it is tried again every 30 s");
            Printable::new(&text)
        });
        if trouble.is_some() {
            self.is_unsaved = true;
            if let Some(entry) = info_hash.and_then(|info_hash| self.entries.get_mut(&info_hash)) {
                entry.is_unsaved = true;
            }
        }
        if self.write_trouble != trouble {
            self.write_trouble = trouble;
            self.is_stirred = true;
        }
    }

    /// Stops everything within `deadline`, and writes everything down.
    pub(super) async fn end(mut self, deadline: Duration, done: oneshot::Sender<()>) {
        let at = Instant::now() + deadline;
        self.clients.clear();
        self.line.clear();
        self.entries.values_mut().for_each(|entry| entry.jobs.clear());
        // Those who are on their way into the engine would be left behind there, and removals be left half done.
        while self.entries.values().any(|entry| entry.is_busy)
            && let Ok(Some(message)) = tokio::time::timeout_at(at - deadline / 2, self.next_message()).await
        {
            if !matches!(message, Message::Request(..)) {
                self.take(message);
            }
        }
        self.engine.shutdown(at.saturating_duration_since(Instant::now())).await;
        let running = |(info_hash, entry): (&InfoHash, &super::entry::Entry)| {
            entry.run.as_ref().map(|run| (*info_hash, run.number))
        };
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
}
