//! Takes in what the engine says of a torrent.

use potluck_common::{
    InfoHash, Printable,
    control::{Event, EventKind, FairnessSnapshot, TorrentRow, TorrentState, TorrentSummary},
    metainfo::Metainfo,
};

use super::{
    entry::{Entry, Run, Unkept},
    jobs::Job,
    list::List,
};
use crate::engine::Shown;

/// What came between two snapshots came at most so long before the second, in milliseconds: a torrent is silent while
/// nothing moves.
const SPREAD_MS_MAX: u64 = 1_000;

/// Sums over all torrents, kept as they change.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Sums {
    pub(super) down_rate: u64,
    pub(super) up_rate: u64,
    pub(super) downloaded: u64,
    pub(super) uploaded: u64,
    pub(super) downloaded_ever: u64,
    pub(super) uploaded_ever: u64,
}

impl Sums {
    fn replace(&mut self, old: Option<&TorrentSummary>, new: Option<&TorrentSummary>) {
        let of = |summary: Option<&TorrentSummary>| {
            summary.map_or((0, 0), |summary| (summary.down_rate, summary.up_rate))
        };
        let (old, new) = (of(old), of(new));
        self.down_rate = self.down_rate - old.0 + new.0;
        self.up_rate = self.up_rate - old.1 + new.1;
    }
}

impl List {
    /// Shows a torrent as `row`.
    pub(super) fn put_row(&mut self, row: TorrentRow) {
        let info_hash = row.summary.info_hash;
        let (old, new) = (self.rows.get(&info_hash).cloned(), row.clone());
        if self.rows.set(row) {
            self.sums.replace(old.as_ref().map(|row| &row.summary), Some(&new.summary));
            self.stir_queue(old.as_ref(), Some(&new));
            self.is_stirred = true;
        }
    }

    /// Shows it no more.
    pub(super) fn drop_row(&mut self, info_hash: InfoHash) {
        if let Some(row) = self.rows.remove(&info_hash) {
            self.sums.replace(Some(&row.summary), None);
            self.stir_queue(Some(&row), None);
            self.is_stirred = true;
        }
    }

    /// Shows a torrent that does not run, or that its record changed.
    pub(super) fn show(&mut self, info_hash: InfoHash, state: Option<TorrentState>) {
        let Some(entry) = self.entries.get(&info_hash) else { return };
        let shown = self.rows.get(&info_hash).map(|row| &row.summary);
        let mut summary = match (state, shown) {
            (None, Some(shown)) => shown.clone(),
            (Some(state), Some(shown)) if entry.run.is_some() => TorrentSummary { state, ..shown.clone() },
            (state, _) => entry.record.summary(state.unwrap_or(TorrentState::Stopped)),
        };
        entry.complement(&mut summary);
        let row = entry.row(summary);
        self.put_row(row);
    }

    /// Takes in the newest snapshot of a torrent's run.
    pub(super) fn refresh(&mut self, info_hash: InfoHash, number: u64) {
        let now_ms = self.clock.unix_ms();
        let Some(entry) = self.entries.get_mut(&info_hash) else { return };
        let Some(run) = entry.run.as_mut().filter(|run| run.number == number) else { return };
        run.snapshot = run.handle.snapshot();
        self.is_stirred |= run.shown != Shown::default();
        let is_link = entry.record.magnet.is_some();
        let found = is_link.then(|| run.handle.metainfo()).flatten();
        let (window, moved) = run.count(now_ms);
        let mut summary = run.snapshot.summary.clone();
        entry.note(&summary, moved, window, now_ms);
        self.rates.add(window.0, window.1, moved);
        self.sums.downloaded += moved[0];
        self.sums.uploaded += moved[1];
        self.sums.downloaded_ever += moved[0];
        self.sums.uploaded_ever += moved[1];
        self.is_unsaved |= moved != [0, 0];
        entry.complement(&mut summary);
        let row = entry.row(summary);
        if entry.is_judged() {
            entry.is_recount_due = false;
        }
        let ends_check = entry.ends_check();
        if let Some(metainfo) = found {
            self.resolved(info_hash, metainfo);
        }
        let Some(entry) = self.entries.get(&info_hash) else { return };
        let row = TorrentRow { is_private: entry.record.is_private, ..row };
        self.put_row(row);
        self.show_lists(info_hash);
        self.look_at_rest(info_hash);
        if ends_check {
            self.end_check(info_hash);
        }
        self.stop_at_goal(info_hash);
    }

    /// The metadata of a magnet link came: it is kept as that of any torrent.
    fn resolved(&mut self, info_hash: InfoHash, metainfo: Metainfo) {
        let Some(entry) = self.entries.get_mut(&info_hash) else { return };
        let Some(magnet) = entry.record.magnet() else { return };
        entry.record = entry.record.resolved(&metainfo);
        let bytes = magnet.torrent_file(metainfo.info_bytes());
        if let Some(run) = &mut entry.run {
            run.metainfo = Some(metainfo.clone());
        }
        if self.store.is_some() {
            (entry.unkept, entry.is_unsaved) = (Some(Unkept { metainfo, bytes }), true);
        } else {
            entry.metainfo = Some(metainfo);
        }
        self.save_soon(info_hash);
    }

    /// Stops a torrent that has sent as much as it shall.
    pub(super) fn stop_at_goal(&mut self, info_hash: InfoHash) {
        let Some(goal) = self.settings.ratio_goal else { return };
        let Some(row) = self.rows.get(&info_hash) else { return };
        let ratio = row.ratio();
        let is_reached = row.summary.state == TorrentState::Seeding && ratio >= f64::from(goal);
        let Some(entry) = self.entries.get_mut(&info_hash) else { return };
        if !is_reached || entry.record.is_exempt || entry.record.is_paused {
            return;
        }
        entry.record.is_paused = true;
        entry.is_queued = false;
        entry.is_unsaved = true;
        let at = self.engine.now().since(potluck_common::Instant::ZERO).as_secs_f64();
        let kind = EventKind::GoalReached { ratio: ratio as f32 };
        self.happened(Event { at, info_hash, kind });
        self.give_job(info_hash, Job::Stop, None);
        self.save_soon(info_hash);
    }

    /// A run is over, by itself or because it was stopped.
    pub(super) fn run_ended(&mut self, info_hash: InfoHash, number: u64) {
        self.refresh(info_hash, number);
        let Some(entry) = self.entries.get_mut(&info_hash) else { return };
        let Some(run) = entry.run.take_if(|run| run.number == number) else { return };
        let was_checked = std::mem::take(&mut entry.is_checked);
        self.count_fairness(&run);
        let state = self.rows.get(&info_hash).map(|row| row.summary.state.clone());
        let state = match state {
            Some(TorrentState::Failed(error)) => TorrentState::Failed(error),
            _ => TorrentState::Stopped,
        };
        self.show(info_hash, Some(state));
        self.look_at_rest_again(info_hash);
        if was_checked {
            // It ended by itself, and somebody may have waited for that.
            self.next_job(info_hash);
        }
    }

    /// What a run that is over gave for what counts on.
    pub(super) fn count_fairness(&mut self, run: &Run) {
        if let Some(last) = run.snapshot.detail.fairness.clone() {
            self.ended_fairness = FairnessSnapshot::sum([&self.ended_fairness, &last.ended()]).ended();
        }
    }
}

impl Run {
    /// What came and was sent since this was asked last, and from when to when.
    fn count(&mut self, now_ms: u64) -> ((u64, u64), [u64; 2]) {
        let total = [self.snapshot.summary.downloaded, self.snapshot.summary.uploaded];
        let moved = [0, 1].map(|way| total[way].saturating_sub(self.counted[way]));
        let from = self.counted_at.max(now_ms.saturating_sub(SPREAD_MS_MAX));
        (self.counted, self.counted_at) = (total, now_ms);
        ((from, now_ms), moved)
    }
}

impl Entry {
    fn note(&mut self, summary: &TorrentSummary, moved: [u64; 2], window: (u64, u64), now_ms: u64) {
        let before = self.record.known;
        self.record.known.note(summary);
        self.is_unsaved |= self.record.known != before;
        if moved != [0, 0] {
            self.record.downloaded_ever += moved[0];
            self.record.uploaded_ever += moved[1];
            self.rates.add(window.0, window.1, moved);
            (self.is_unsaved, self.has_unsaved_rates) = (true, true);
        }
        // It counts ours, too: what we lack is with somebody.
        let minute = now_ms / 60_000 * 60;
        if summary.state == TorrentState::Downloading
            && summary.distributed_copies >= 1.0
            && self.record.available_at != Some(minute)
        {
            self.record.available_at = Some(minute);
            self.is_unsaved = true;
        }
        if summary.state == TorrentState::Seeding && self.record.completed_at.is_none() {
            self.record.completed_at = Some(now_ms / 1_000);
            self.is_unsaved = true;
        }
    }

    /// It was checked because somebody asked for that, and that is done. Says so once.
    fn ends_check(&mut self) -> bool {
        let state = self.run.as_ref().map(|run| &run.snapshot.summary.state);
        match state {
            Some(TorrentState::Downloading | TorrentState::Seeding | TorrentState::Failed(_)) => {
                std::mem::take(&mut self.is_checked)
            }
            _ => false,
        }
    }

    /// Its name, for people.
    pub(super) fn name(&self) -> &Printable {
        &self.record.name
    }
}
