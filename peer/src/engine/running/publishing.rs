//! What a running torrent publishes of itself, and when: nobody is told what did not change.

use std::{sync::Arc, time::Duration};

use potluck_common::{
    Instant, Printable,
    control::{TorrentSnapshot, TorrentState, TorrentSummary},
};
use potluck_core::torrent::{Input, Rate};

use super::Running;
use crate::engine::{handle::Shown, torrent_task::PUBLISH_EVERY};

/// Where nothing happens any more rates fade, and for whom looks ages grow.
const PUBLISH_QUIET_EVERY: Duration = Duration::from_secs(1);
/// What a download waits for comes nearer, and a stall may begin without a word. Ten thousand look, and few have news.
const PUBLISH_STALLED_EVERY: Duration = Duration::from_secs(15);
/// A peer that gives more than this is fast enough to keep a processor busy with hashing.
const FAST_PEER_BYTES_PER_SECOND: u64 = 100 * 1024 * 1024;

impl Running {
    /// When the next snapshot is due, if it has news; where nothing happens or is wanted and nobody looks, never.
    pub(super) fn publish_at(&self) -> Instant {
        let latest = self.base.snapshots.borrow();
        let moves = latest.down_rate > 0 || latest.up_rate > 0;
        match () {
            () if self.is_stirred => self.published + PUBLISH_EVERY,
            () if moves || !self.base.shown.borrow().is_empty() => self.published + PUBLISH_QUIET_EVERY,
            () if latest.stall.is_some() || latest.state == TorrentState::Downloading => {
                self.published + PUBLISH_STALLED_EVERY
            }
            () => Instant::FAR_FUTURE,
        }
    }

    pub(super) fn publish_when_due(&mut self, now: Instant) {
        let is_awaited = self.published == Instant::ZERO || !self.base.shown.borrow().is_empty();
        if now < self.publish_at() && self.published != Instant::ZERO {
            return;
        }
        self.published = now;
        let fast = self.machine.faster_than(now, FAST_PEER_BYTES_PER_SECOND);
        self.context.pieces.set_hash_inline(fast != 1);
        let snapshot = self.snapshot(now);
        self.is_stirred = self.machine.has_stale_figures();
        let is_news = is_awaited || !says_the_same(&self.base.snapshots.borrow().summary, &snapshot.summary);
        if is_news {
            self.base.snapshots.send_replace(Arc::new(snapshot));
        }
    }

    pub(super) fn snapshot(&mut self, now: Instant) -> TorrentSnapshot {
        let Shown { aspects, pieces } = self.base.shown.borrow_and_update().clone();
        let geometry = self.base.params.metainfo.geometry();
        let pieces: Vec<_> = pieces.into_iter().filter_map(|piece| geometry.piece(piece)).collect();
        if aspects.trackers {
            self.machine.handle(now, Input::Source(self.searches.local_report()));
        }
        let mut detail = self.machine.detail(now, aspects, &pieces);
        detail.about = aspects.about.then(|| self.base.about());
        detail.made.about = aspects.about;
        if let Some(fairness) = &mut detail.fairness {
            let slots = &self.base.shared.slots;
            fairness.is_automatic &= slots.is_automatic();
            fairness.up_capacity = fairness.up_capacity.or_else(|| slots.capacity());
        }
        let mut summary = self.machine.summary(now);
        if let Some(why) = self.pace_of_engine(now, &summary) {
            summary.pace = Some(why);
        }
        TorrentSnapshot { summary, detail }
    }

    /// A limit of the whole engine that its torrents use up together, of which this one knows nothing. What its own limit
    /// holds back the others do not.
    fn pace_of_engine(&self, now: Instant, summary: &TorrentSummary) -> Option<Printable> {
        let limit = self.base.shared.down_limit_reached(now)?;
        let own = self.base.params.down_limit;
        let is_slowed =
            summary.state == TorrentState::Downloading && is_slowed_by_others(summary.down_rate, own, limit);
        is_slowed
            .then(|| Printable::new(&format!("all torrents together are limited to {} by you", Rate(limit))))
    }
}

/// Whether two summaries say the same but for the torrent's age, which grows by itself.
fn says_the_same(known: &TorrentSummary, new: &TorrentSummary) -> bool {
    // Cheap ones first: summaries that differ mostly do so in their numbers.
    known.downloaded == new.downloaded && known.uploaded == new.uploaded && {
        let aged = TorrentSummary { age_seconds: known.age_seconds, ..new.clone() };
        aged == *known
    }
}

/// Whether a torrent that moves gets less than the limit of `all` torrents and its `own`, in bytes per second.
fn is_slowed_by_others(rate: u64, own: Option<u64>, all: u64) -> bool {
    rate > 0 && own.into_iter().chain([all]).all(|limit| rate < limit / 10 * 9)
}

#[cfg(test)]
mod tests {
    use potluck_common::control::TorrentSummary;

    use super::{is_slowed_by_others, says_the_same};
    use crate::engine::{tests::torrent, torrent_task::first_snapshot};

    #[test]
    fn a_torrent_that_only_grew_older_says_the_same() {
        let known = first_snapshot(&torrent(b"payload"), &[]).summary;
        let older = TorrentSummary { age_seconds: 900.0, ..known.clone() };
        assert!(says_the_same(&known, &older));
        for other in [
            TorrentSummary { downloaded: 1, ..older.clone() },
            TorrentSummary { candidates: 1, ..older.clone() },
            TorrentSummary { stall: Some("no peer answers".into()), ..older.clone() },
            TorrentSummary { down_rate: 1, ..older },
        ] {
            assert!(!says_the_same(&known, &other), "{other:?}");
        }
    }

    #[test]
    fn others_slow_only_whom_its_own_limit_does_not() {
        for (rate, own, is_slowed) in [
            (0, None, false),
            (100, None, true),
            (950, None, false),
            (95, Some(100), false),
            (50, Some(100), true),
            (500, Some(5_000), true),
        ] {
            assert_eq!(is_slowed_by_others(rate, own, 1_000), is_slowed, "{rate} of {own:?}");
        }
    }
}
