//! Records rates over time for [`History`].

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{History, HistoryRange};

const RANGES: usize = HistoryRange::ALL.len();

/// What came and was sent, by interval of each [`HistoryRange`]. Where nothing moves it needs neither memory nor care:
/// intervals without bytes are not kept at the ends, and time passes by itself. Times are milliseconds since 1970, so
/// that it is the same from run to run; nothing was moved in between.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct RateRecorder {
    rings: [Ring; RANGES],
}

/// Invariant: at most one sample more than its range has, so that those of an interval that is not over yet have room.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
struct Ring {
    /// The interval of the first sample, counted from 1970.
    first: u64,
    /// Bytes that came and bytes that were sent.
    samples: VecDeque<[u64; 2]>,
}

impl RateRecorder {
    /// Whether nothing moved for a day.
    pub fn is_empty(&self) -> bool {
        self.rings.iter().all(|ring| ring.samples.is_empty())
    }

    /// `bytes` came and were sent, evenly from `from_ms` to `to_ms`.
    pub fn add(&mut self, from_ms: u64, to_ms: u64, bytes: [u64; 2]) {
        if bytes == [0, 0] {
            return;
        }
        for (ring, range) in self.rings.iter_mut().zip(HistoryRange::ALL) {
            ring.add(range, from_ms.min(to_ms), to_ms, bytes);
        }
    }

    /// The mean rates of the intervals that are over. Those before the first in which anything moved are left out.
    pub fn history(&self, range: HistoryRange, now_ms: u64) -> History {
        let ring = &self.rings[range as usize];
        let now = now_ms / interval_ms(range);
        let first = (now.saturating_sub(range.samples() as u64)..now)
            .find(|interval| ring.at(*interval) != [0, 0])
            .unwrap_or(now);
        let seconds = u64::from(range.interval_seconds());
        let rates = |way: usize| (first..now).map(|interval| ring.at(interval)[way] / seconds).collect();
        History { range, down: rates(0), up: rates(1) }
    }

    /// Forgets what is too old to be shown beside the newest, also where that lies ahead of `now_ms`: that clock may be wrong.
    pub fn prune_old(&mut self, now_ms: u64) {
        for (ring, range) in self.rings.iter_mut().zip(HistoryRange::ALL) {
            let newest = ring.end().saturating_sub(1);
            ring.prune(range, newest.max(now_ms / interval_ms(range)));
        }
    }

    /// Forgets what is too old to be shown, and what is in the future: clocks are set. To be called now and then, and for
    /// what was read from outside.
    pub fn prune(&mut self, now_ms: u64) {
        for (ring, range) in self.rings.iter_mut().zip(HistoryRange::ALL) {
            ring.prune(range, now_ms / interval_ms(range));
        }
    }
}

const fn interval_ms(range: HistoryRange) -> u64 {
    range.interval_seconds() as u64 * 1_000
}

impl Ring {
    fn at(&self, interval: u64) -> [u64; 2] {
        let number = interval.checked_sub(self.first).and_then(|number| usize::try_from(number).ok());
        number.and_then(|number| self.samples.get(number)).copied().unwrap_or_default()
    }

    fn add(&mut self, range: HistoryRange, from_ms: u64, to_ms: u64, bytes: [u64; 2]) {
        let length = interval_ms(range);
        let last = to_ms / length;
        let begin = (from_ms / length).max(last.saturating_sub(range.samples() as u64));
        // What was given out up to a moment, so that what is rounded off is not lost.
        let until = |moment_ms: u64, way: usize| {
            let (part, whole) = (moment_ms.saturating_sub(from_ms), to_ms - from_ms);
            if part >= whole {
                return bytes[way];
            }
            (u128::from(bytes[way]) * u128::from(part) / u128::from(whole)) as u64
        };
        let mut given = [0, 0];
        for interval in begin..=last {
            // The last one takes the rest, also where it has no length.
            let end_ms = if interval == last { to_ms } else { (interval + 1) * length };
            let share = [0, 1].map(|way| until(end_ms, way) - given[way]);
            given = [0, 1].map(|way| given[way] + share[way]);
            self.add_to(range, interval, share);
        }
    }

    fn add_to(&mut self, range: HistoryRange, interval: u64, bytes: [u64; 2]) {
        // A clock that was set far back: among what is known there is no place for it.
        let is_far_back = interval.saturating_add(range.samples() as u64) < self.first;
        if bytes == [0, 0] || is_far_back {
            return;
        }
        self.prune(range, interval.max(self.end().saturating_sub(1)));
        if self.samples.is_empty() {
            self.first = interval;
        }
        // A clock that was set back: what is known already stays where it is.
        let number = interval.saturating_sub(self.first) as usize;
        if number >= self.samples.len() {
            self.samples.resize(number + 1, [0, 0]);
        }
        let sample = &mut self.samples[number];
        *sample = [0, 1].map(|way| sample[way].saturating_add(bytes[way]));
    }

    /// Forgets what is older than the range of `now`, what lies behind it, and zeros at the beginning.
    fn prune(&mut self, range: HistoryRange, now: u64) {
        let beyond = self.end().saturating_sub(now.saturating_add(1));
        self.samples
            .truncate(self.samples.len().saturating_sub(usize::try_from(beyond).unwrap_or(usize::MAX)));
        let oldest = now.saturating_sub(range.samples() as u64);
        while let Some(sample) = self.samples.front()
            && (self.first < oldest || *sample == [0, 0])
        {
            self.samples.pop_front();
            self.first = self.first.saturating_add(1);
        }
        if self.samples.is_empty() {
            *self = Self::default();
        }
    }

    /// The interval behind the last sample.
    fn end(&self) -> u64 {
        self.first.saturating_add(self.samples.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T0: u64 = 1_800_000_000_000;

    #[test]
    fn a_sample_is_the_mean_over_its_interval() {
        let mut recorder = RateRecorder::default();
        recorder.add(T0, T0 + 1_000, [1_000, 0]);
        recorder.add(T0 + 1_500, T0 + 2_500, [500, 10]);
        let history = recorder.history(HistoryRange::Minute, T0 + 3_000);
        assert_eq!((history.down, history.up), (vec![1_000, 250, 250], vec![0, 5, 5]));
        let history = recorder.history(HistoryRange::FiveMinutes, T0 + 4_000);
        assert_eq!((history.down, history.up), (vec![625, 125], vec![2, 2]));
        // An interval that is not over is not told.
        assert!(recorder.history(HistoryRange::Hour, T0 + 14_999).down.is_empty());
        assert_eq!(recorder.history(HistoryRange::Hour, T0 + 15_000).down, [100]);
    }

    #[test]
    fn what_is_idle_grows_empty() {
        let mut recorder = RateRecorder::default();
        recorder.add(T0, T0 + 250, [7, 7]);
        for (after_seconds, is_empty) in [(60, false), (3_700, false), (86_400, false), (2 * 86_400, true)] {
            recorder.prune(T0 + after_seconds * 1_000);
            assert_eq!(recorder.is_empty(), is_empty, "{after_seconds}");
        }
        assert_eq!(recorder, RateRecorder::default());
    }

    #[test]
    fn a_clock_that_is_set_back_costs_what_lies_ahead() {
        let mut recorder = RateRecorder::default();
        recorder.add(T0, T0 + 500, [10_000, 0]);
        recorder.prune(T0 - 3_600_000);
        assert!(recorder.is_empty());
        // Without that, it is not far off, and nothing grows beyond its bounds.
        recorder.add(T0, T0 + 500, [10_000, 0]);
        recorder.add(T0 - 4_000, T0 - 3_500, [5_000, 0]);
        assert_eq!(recorder.history(HistoryRange::Minute, T0 + 1_000).down, [15_000]);
    }

    #[test]
    fn a_clock_that_was_not_set_yet_costs_nothing() {
        let mut recorder = RateRecorder::default();
        recorder.add(T0, T0 + 500, [10_000, 0]);
        let before = recorder.clone();
        // In 1970.
        recorder.prune_old(5_000);
        recorder.add(5_000, 5_500, [7_000, 0]);
        assert_eq!(recorder, before);
        recorder.prune_old(T0 + 500);
        assert_eq!(recorder.history(HistoryRange::Minute, T0 + 1_000).down, [10_000]);
    }

    proptest! {
        /// Nothing is lost or made up, whatever the moments, and no ring grows beyond its range.
        #[test]
        fn bytes_are_kept(steps in prop::collection::vec((0_u64..5_000, 0_u64..1_000, 0_u64..1 << 40), 1..200)) {
            let mut recorder = RateRecorder::default();
            let (mut now, mut total) = (T0, 0);
            for (pause, length, bytes) in steps {
                let from = now + pause % 100;
                now = from + length;
                recorder.add(from, now, [bytes, bytes / 2]);
                total += bytes;
            }
            for (ring, range) in recorder.rings.iter().zip(HistoryRange::ALL) {
                prop_assert!(ring.samples.len() <= range.samples() + 1);
                if now - T0 < interval_ms(range) * range.samples() as u64 {
                    prop_assert_eq!(ring.samples.iter().map(|sample| sample[0]).sum::<u64>(), total);
                }
            }
        }

        /// What was damaged outside and still parses does no harm.
        #[test]
        fn any_ring_is_bounded_by_pruning(first: u64, count in 0_usize..2_000, bytes: u64, now in 0_u64..1 << 45) {
            let ring = Ring { first, samples: vec![[bytes, bytes]; count].into() };
            let mut recorder = RateRecorder { rings: [ring.clone(), ring.clone(), ring.clone(), ring] };
            recorder.prune_old(now);
            prop_assert!(recorder.rings.iter().zip(HistoryRange::ALL).all(|(ring, range)| ring.samples.len() <= range.samples() + 1));
            recorder.prune(now);
            recorder.add(now, now + 10, [1, u64::MAX]);
            for (ring, range) in recorder.rings.iter().zip(HistoryRange::ALL) {
                prop_assert!(ring.samples.len() <= range.samples() + 1);
                let history = recorder.history(range, now + 100_000);
                prop_assert!(history.down.len() <= range.samples());
                prop_assert_eq!(history.down.len(), history.up.len());
                prop_assert!(ring.samples.is_empty() || ring.first <= (now + 10) / interval_ms(range));
            }
        }
    }
}
