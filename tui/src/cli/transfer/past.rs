//! What earlier runs of a torrent within one command did: a torrent that was paused or checked anew is another one to the
//! engine, and the same to a person.

use std::sync::Arc;

use potluck_common::{
    Printable,
    control::{TorrentSnapshot, TorrentState, TorrentSummary},
};

/// Why a torrent that a person paused does not move.
const PAUSED: &str = "paused by you";

/// The last that was known of a torrent before it left the engine; nothing for one that never did.
#[derive(Clone, Default, Debug)]
pub(super) struct Past(Option<Box<TorrentSummary>>);

impl Past {
    /// That of a torrent whose last state was this, earlier runs included.
    pub(super) fn of(last: &TorrentSummary) -> Self {
        Self(Some(Box::new(last.clone())))
    }

    /// A state of the present run, with what earlier ones counted and knew.
    pub(super) fn onto(&self, snapshot: Arc<TorrentSnapshot>) -> Arc<TorrentSnapshot> {
        let Some(past) = &self.0 else { return snapshot };
        let is_known = is_judged(&snapshot.summary);
        let mut whole = TorrentSnapshot::clone(&snapshot);
        let summary = &mut whole.summary;
        summary.downloaded += past.downloaded;
        summary.uploaded += past.uploaded;
        summary.wasted += past.wasted;
        summary.hash_failures += past.hash_failures;
        summary.age_seconds += past.age_seconds;
        if !is_known && past.pieces > 0 {
            // It is not less for being looked at again, also where nobody saw the end of that.
            (summary.wanted_size, summary.wanted_have) = (past.wanted_size, past.wanted_have);
            (summary.have_size, summary.pieces_have) = (past.have_size, past.pieces_have);
        }
        Arc::new(whole)
    }
}

/// Whether it was found out what there is before `summary` was made. It was not where a torrent was stopped or failed while
/// that was under way; its age counts from the moment when it was.
fn is_judged(summary: &TorrentSummary) -> bool {
    matches!(summary.state, TorrentState::Downloading | TorrentState::Seeding) || summary.age_seconds > 0.0
}

/// The last state of a torrent that a person paused.
pub(super) fn at_rest(last: &TorrentSnapshot) -> Arc<TorrentSnapshot> {
    let mut rest = last.clone();
    let summary = &mut rest.summary;
    if !matches!(summary.state, TorrentState::Failed(_)) {
        (summary.state, summary.stall) = (TorrentState::Stopped, Some(Printable::new(PAUSED)));
    }
    (summary.down_rate, summary.up_rate, summary.eta_seconds) = (0, 0, None);
    (summary.seeds_connected, summary.leechers_connected) = (0, 0);
    (summary.unchoked_by, summary.unchoked) = (0, 0);
    (summary.pace, summary.trouble) = (None, None);
    rest.detail.peers.clear();
    Arc::new(rest)
}

#[cfg(test)]
mod tests {
    use potluck_common::{InfoHash, control::TorrentDetail};

    use super::*;

    fn snapshot(state: TorrentState, downloaded: u64, wanted_have: u64) -> TorrentSnapshot {
        let nothing = TorrentSummary::nothing_known(InfoHash([1; 20]), "a".into(), state);
        let summary = TorrentSummary {
            downloaded,
            uploaded: 2 * downloaded,
            wanted_have,
            wanted_size: 100,
            pieces: 4,
            down_rate: 9,
            seeds_connected: 3,
            ..nothing
        };
        TorrentSnapshot { summary, detail: TorrentDetail::default() }
    }

    #[test]
    fn counters_go_on_over_runs_and_a_second_look_takes_nothing_away() {
        let first = Past::default().onto(Arc::new(snapshot(TorrentState::Downloading, 40, 40)));
        assert_eq!(*first, snapshot(TorrentState::Downloading, 40, 40));
        let past = Past::of(&first);
        let checked = past.onto(Arc::new(snapshot(TorrentState::Checking { done: 0, total: 0 }, 0, 0)));
        assert_eq!((checked.downloaded, checked.uploaded, checked.wanted_have), (40, 80, 40));
        let second = past.onto(Arc::new(snapshot(TorrentState::Downloading, 10, 50)));
        assert_eq!((second.downloaded, second.uploaded, second.wanted_have), (50, 100, 50));
        let cut_off = past.onto(Arc::new(snapshot(TorrentState::Stopped, 0, 0)));
        assert_eq!((cut_off.downloaded, cut_off.wanted_have), (40, 40), "nobody saw how the check ends");
        let mut stopped = snapshot(TorrentState::Stopped, 0, 0);
        stopped.summary.age_seconds = 0.5;
        assert_eq!(past.onto(Arc::new(stopped)).wanted_have, 0, "it ran");
        let third = Past::of(&second).onto(Arc::new(snapshot(TorrentState::Downloading, 1, 30)));
        assert_eq!((third.downloaded, third.wanted_have), (51, 30), "a check may find less");
    }

    #[test]
    fn who_is_paused_says_so_and_has_no_peers() {
        let rest = at_rest(&snapshot(TorrentState::Stopped, 40, 40));
        assert_eq!(rest.stall.as_ref().map(Printable::as_str), Some("paused by you"));
        assert_eq!((rest.down_rate, rest.seeds_connected, rest.downloaded), (0, 0, 40));
    }
}
