//! What is made of look-ups.

use potluck_common::{Duration, Instant};
use potluck_core::dht::SearchReport;

/// One look-up.
#[derive(Debug)]
pub(super) struct Lookup {
    pub(super) torrent: usize,
    /// Who looks.
    pub(super) by: u32,
    pub(super) began_at: Instant,
    /// How long it took to name a peer that had been announced.
    pub(super) first_peer: Option<Duration>,
    /// What came of it, once it has ended.
    pub(super) report: Option<SearchReport>,
}

/// What came of all of them that had time to end.
#[derive(Clone, Default, Debug)]
pub(super) struct Tally {
    pub(super) lookups: u32,
    pub(super) found_in_rounds: u32,
    pub(super) found: u32,
    /// Of those that found a peer, sorted.
    pub(super) rounds: Vec<u32>,
    /// Of those that found a peer, sorted.
    pub(super) first_peer_ms: Vec<u64>,
    pub(super) asked: Vec<u32>,
}

impl Tally {
    /// One that has not ended counts as one that found nothing, unless who looked has left.
    pub(super) fn of<'l>(
        lookups: impl Iterator<Item = &'l Lookup>,
        lives: impl Fn(u32) -> bool,
        rounds_max: u32,
    ) -> Self {
        let mut tally = Self::default();
        for lookup in lookups.filter(|lookup| lookup.report.is_some() || lives(lookup.by)) {
            tally.lookups += 1;
            let Some(report) = lookup.report else { continue };
            tally.asked.push(report.asked);
            if let Some(took) = lookup.first_peer {
                tally.found += 1;
                tally.found_in_rounds += u32::from(report.depth <= rounds_max);
                tally.rounds.push(report.depth);
                tally.first_peer_ms.push(took.as_millis() as u64);
            }
        }
        tally.rounds.sort_unstable();
        tally.first_peer_ms.sort_unstable();
        tally
    }

    /// So many of all.
    pub(super) fn share(&self, count: u32) -> f64 {
        f64::from(count) / f64::from(self.lookups.max(1))
    }
}

pub(super) fn mean(values: &[u32]) -> f64 {
    values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len().max(1) as f64
}

/// Of sorted values the one below which so many in a hundred are.
pub(super) fn percentile<T: Copy>(values: &[T], percent: usize) -> Option<T> {
    values.get((values.len() * percent / 100).min(values.len().saturating_sub(1))).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_up_that_never_ends_has_found_nothing() {
        let lookup = |by: u32, ended: bool, found: bool| Lookup {
            torrent: 0,
            by,
            began_at: Instant::ZERO,
            first_peer: found.then_some(Duration::from_millis(7)),
            report: ended.then(SearchReport::default),
        };
        let lookups = [
            lookup(1, true, true),
            lookup(2, true, false),
            lookup(3, false, false),
            lookup(4, false, true),
            lookup(5, false, false),
        ];
        let tally = Tally::of(lookups.iter(), |by| by != 5, 16);
        assert_eq!((tally.lookups, tally.found, tally.found_in_rounds), (4, 1, 1));
        assert!((tally.share(tally.found) - 0.25).abs() < 1e-9);
    }
}
