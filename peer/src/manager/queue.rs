//! The queue: how many torrents run at a time, and in which order the others get their turn.
//!
//! Those that download and those that are complete have a queue each. Where the settings limit one, the first in it run and the
//! others wait, stopped. Who is paused, failed or on the way out has a place and does not count. The order is kept with
//! the entries, so that a move writes only those that changed places.

use std::{collections::BTreeSet, ops::RangeInclusive};

use potluck_common::{
    InfoHash,
    control::{QueueStep, TorrentRow, TorrentState},
};

use super::{
    entry::{Entry, Run},
    jobs::Job,
    list::List,
};

/// What the list knows of its queues.
#[derive(Default, Debug)]
pub(super) struct Queue {
    /// Something changed by which others may be the first.
    is_stirred: bool,
    /// Somebody may be waiting.
    has_waiting: bool,
    /// The first and the last place that anybody has or had, in whichever queue or in none.
    first_place: i64,
    last_place: i64,
}

impl Queue {
    /// Somebody has this place.
    pub(super) fn seen(&mut self, place: i64) {
        self.first_place = self.first_place.min(place);
        self.last_place = self.last_place.max(place);
    }
}

impl List {
    /// A torrent is to run. Says whether it has to wait for its turn; that is looked at soon.
    pub(super) fn enqueue(&mut self, info_hash: InfoHash) -> bool {
        let maxima = self.maxima();
        self.queue.is_stirred = true;
        let Some(entry) = self.entries.get_mut(&info_hash) else { return false };
        let is_limited = maxima[usize::from(entry.record.is_complete())].is_some();
        entry.is_queued = is_limited && entry.run.as_ref().is_none_or(Run::is_failed);
        self.queue.has_waiting |= entry.is_queued;
        let state = entry.run.is_none().then_some(TorrentState::Stopped);
        let is_queued = entry.is_queued;
        if is_queued {
            self.show(info_hash, state);
        }
        is_queued
    }

    /// The place behind all others, for a torrent of this number; `None` is that of its number.
    pub(super) fn last_place(&mut self, number: u32) -> Option<i64> {
        let is_behind = i64::from(number) > self.queue.last_place;
        self.queue.last_place = i64::from(number).max(self.queue.last_place.saturating_add(1));
        (!is_behind).then_some(self.queue.last_place)
    }

    /// A torrent is shown otherwise than before; others may get its turn.
    pub(super) fn stir_queue(&mut self, old: Option<&TorrentRow>, new: Option<&TorrentRow>) {
        let standing = |row: &TorrentRow| {
            let is_failed = matches!(row.summary.state, TorrentState::Failed(_));
            (row.is_paused, is_failed, row.is_complete())
        };
        self.queue.is_stirred |= old.map(standing) != new.map(standing);
    }

    /// Others may be the first, as the limits are others.
    pub(super) fn queue_changed(&mut self) {
        self.queue.is_stirred = true;
    }

    /// Starts those whose turn it is, and stops those whose turn it is not any more.
    pub(super) fn settle_queue(&mut self) {
        let maxima = self.maxima();
        let is_pointless = maxima == [None, None] && !self.queue.has_waiting;
        if !std::mem::take(&mut self.queue.is_stirred) || is_pointless || self.is_ending {
            return;
        }
        let members = self.entries.values().filter(|entry| self.is_in_queue(entry));
        let mut members: Vec<(bool, i64, InfoHash)> = members.map(Entry::standing).collect();
        members.sort_unstable();
        let mut counted = [0_u32; 2];
        self.queue.has_waiting = false;
        for (is_complete, _, info_hash) in members {
            let place = &mut counted[usize::from(is_complete)];
            *place += 1;
            let has_turn = maxima[usize::from(is_complete)].is_none_or(|max| *place <= max);
            self.queue.has_waiting |= !has_turn;
            self.give_turn(info_hash, has_turn);
        }
    }

    fn give_turn(&mut self, info_hash: InfoHash, has_turn: bool) {
        let Some(entry) = self.entries.get_mut(&info_hash) else { return };
        if entry.is_queued != has_turn {
            return;
        }
        entry.is_queued = !has_turn;
        let is_checked = entry.is_checked || entry.jobs.iter().any(|(job, _)| *job == Job::Check);
        self.show(info_hash, None);
        if has_turn {
            self.give_job(info_hash, Job::Start, None);
        } else if is_checked {
            // A check was promised: it goes on to its end, or is begun as that of one who does not run.
            self.drop_starts(info_hash);
        } else {
            self.give_job(info_hash, Job::Stop, None);
        }
    }

    /// Moves torrents in their queues; those that do not stand in one are passed over.
    pub(super) fn move_in_queue(&mut self, torrents: &BTreeSet<InfoHash>, to: QueueStep) {
        for is_complete in [false, true] {
            let is_meant = |entry: &&Entry| {
                entry.record.is_complete() == is_complete
                    && (self.is_in_queue(entry) || torrents.contains(&entry.record.info_hash))
            };
            let standing = self.entries.values().filter(is_meant).map(Entry::standing);
            let mut order: Vec<(i64, InfoHash)> = standing.map(|(_, place, hash)| (place, hash)).collect();
            order.sort_unstable();
            let places: Vec<(i64, bool)> =
                order.iter().map(|(place, hash)| (*place, torrents.contains(hash))).collect();
            for (index, place) in moved(&places, to, self.queue.first_place..=self.queue.last_place) {
                self.place(order[index].1, place);
            }
        }
        self.queue.is_stirred = true;
    }

    fn place(&mut self, info_hash: InfoHash, place: i64) {
        self.queue.seen(place);
        if let Some(entry) = self.entries.get_mut(&info_hash) {
            entry.record.queue_place = Some(place);
            entry.is_unsaved = true;
        }
        self.show(info_hash, None);
        self.save_soon(info_hash);
    }

    /// It shall run.
    fn is_in_queue(&self, entry: &Entry) -> bool {
        let jobs = || entry.jobs.iter().map(|(job, _)| *job);
        let leaves = entry.record.is_leaving || jobs().any(|job| matches!(job, Job::Remove { .. }));
        let row = self.rows.get(&entry.record.info_hash);
        let has_failed = row.is_some_and(|row| matches!(row.summary.state, TorrentState::Failed(_)));
        let is_tried = entry.is_queued || jobs().any(|job| job == Job::Start);
        !entry.record.is_paused && !leaves && (!has_failed || is_tried)
    }

    /// How many may download, and how many seed.
    fn maxima(&self) -> [Option<u32>; 2] {
        [self.settings.downloads_max, self.settings.seeds_max]
    }
}

impl Entry {
    /// Which queue, and where in it.
    fn standing(&self) -> (bool, i64, InfoHash) {
        (self.record.is_complete(), self.record.queue_place(), self.record.info_hash)
    }
}

/// Who gets which place, by the positions in `order`, which has places with whether their owners are chosen to move. What is chosen
/// keeps its order, and does not pass others that are chosen. All places that anybody has, here or elsewhere, are in `given`: who
/// goes to an end goes beyond them, so that nobody has the place of somebody else.
fn moved(order: &[(i64, bool)], to: QueueStep, given: RangeInclusive<i64>) -> Vec<(usize, i64)> {
    let chosen: Vec<usize> = (0..order.len()).filter(|index| order[*index].1).collect();
    let (first, last) = given.into_inner();
    let count = chosen.len();
    match to {
        QueueStep::First if chosen.iter().enumerate().any(|(place, index)| place != *index) => {
            let begin = first.saturating_sub_unsigned(count as u64);
            chosen.into_iter().zip((0..).map(|step| begin.saturating_add_unsigned(step))).collect()
        }
        QueueStep::Last
            if chosen.iter().rev().enumerate().any(|(place, index)| order.len() - 1 - place != *index) =>
        {
            chosen.into_iter().zip((1..).map(|step| last.saturating_add_unsigned(step))).collect()
        }
        QueueStep::First | QueueStep::Last => Vec::new(),
        QueueStep::Up | QueueStep::Down => {
            let mut owners: Vec<usize> = (0..order.len()).collect();
            if to == QueueStep::Up {
                (1..owners.len()).for_each(|place| pass(&mut owners, order, place, place - 1));
            } else {
                (1..owners.len()).rev().for_each(|place| pass(&mut owners, order, place - 1, place));
            }
            // Two may have one place, where not all of a move was written before the power failed: all get others.
            let are_distinct = order.windows(2).all(|pair| pair[0].0 != pair[1].0);
            let place = |index: usize| {
                if are_distinct { order[index].0 } else { last.saturating_add_unsigned(index as u64 + 1) }
            };
            let changes = owners.into_iter().enumerate().map(|(index, owner)| (owner, place(index)));
            changes.filter(|(owner, place)| order[*owner].0 != *place).collect()
        }
    }
}

/// Who is chosen passes who is not.
fn pass(owners: &mut [usize], order: &[(i64, bool)], from: usize, to: usize) {
    if order[owners[from]].1 && !order[owners[to]].1 {
        owners.swap(from, to);
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use potluck_common::{
        control::{RateRecorder, Settings},
        metainfo::Metainfo,
    };
    use tokio::sync::mpsc;

    use super::*;
    use crate::{
        engine::{Engine, EngineConfig, Shown, TorrentParams},
        manager::store::{Loaded, Record},
    };

    #[test]
    fn what_is_chosen_moves_together_and_the_rest_keeps_its_order() {
        use QueueStep::{Down, First, Last, Up};
        // Capital letters are chosen.
        for (before, to, after) in [
            ("abC", Up, "aCb"),
            ("Abc", Up, "Abc"),
            ("aBCd", Up, "BCad"),
            ("AbC", Up, "ACb"),
            ("aBcD", Down, "acBD"),
            ("ABc", Down, "cAB"),
            ("abC", Down, "abC"),
            ("aBcD", First, "BDac"),
            ("ABc", First, "ABc"),
            ("AbCd", Last, "bdAC"),
            ("abC", Last, "abC"),
            ("", Last, ""),
            ("ab", First, "ab"),
        ] {
            let mut order: Vec<(i64, char)> = (5..).step_by(3).zip(before.chars()).collect();
            let places: Vec<(i64, bool)> =
                order.iter().map(|(place, name)| (*place, name.is_ascii_uppercase())).collect();
            let changes = moved(&places, to, 5..=90);
            assert!(changes.len() <= before.len());
            assert_eq!(changes.is_empty(), before == after, "{before} {to:?}: nothing is written in vain");
            for (index, place) in changes {
                order[index].0 = place;
            }
            if matches!(to, First | Last) && before != after {
                let is_beyond =
                    |(place, name): &&(i64, char)| name.is_ascii_uppercase() && !(5..=90).contains(place);
                let chosen = before.chars().filter(char::is_ascii_uppercase).count();
                assert_eq!(
                    order.iter().filter(is_beyond).count(),
                    chosen,
                    "{before} {to:?}: beyond all others"
                );
            }
            order.sort_unstable();
            let is_distinct = order.windows(2).all(|pair| pair[0].0 < pair[1].0);
            assert!(is_distinct, "{before} {to:?}: each has a place of its own");
            assert_eq!(order.into_iter().map(|(_, name)| name).collect::<String>(), after, "{before} {to:?}");
        }
    }

    #[test]
    fn where_two_have_one_place_a_step_gives_all_others() {
        let order = [(5, false), (7, false), (7, true)];
        assert_eq!(moved(&order, QueueStep::Up, 5..=90), [(0, 91), (2, 92), (1, 93)]);
    }

    /// A list of two torrents that shall run, of which one may download; what they do goes on, so that nothing is begun.
    async fn two() -> (List, [InfoHash; 2]) {
        let bind = Some(Ipv4Addr::LOCALHOST.into());
        let config = EngineConfig { bind, ports: 0..=0, ..EngineConfig::default() };
        let engine = Engine::start(config).await.expect("an engine");
        let settings = Settings { downloads_max: Some(1), ..Settings::default() };
        let mut list = List::new(engine, None, Loaded::default(), settings, mpsc::unbounded_channel());
        let hashes = [1, 2].map(|number| {
            let torrent = format!(
                "d4:infod6:lengthi1e4:name1:{number}12:piece lengthi16384e6:pieces20:{}ee",
                "a".repeat(20)
            );
            let metainfo = Metainfo::parse(torrent.as_bytes()).expect("valid");
            let record = Record::new(&metainfo, number, "/nowhere".into(), 0);
            let info_hash = record.info_hash;
            list.put_row(record.row(record.summary(TorrentState::Stopped)));
            let entry = Entry::new(record, RateRecorder::default(), Some(metainfo));
            list.entries.insert(info_hash, Entry { is_busy: true, ..entry });
            info_hash
        });
        (list, hashes)
    }

    #[tokio::test]
    async fn a_check_that_was_promised_outlives_the_turn() {
        for (is_checked, before, after) in [
            (false, &[][..], &[Job::Stop][..]),
            (false, &[Job::Start], &[Job::Stop]),
            (false, &[Job::Check], &[Job::Check]),
            (false, &[Job::Start, Job::Check], &[Job::Check]),
            (true, &[], &[]),
            (true, &[Job::Start], &[]),
        ] {
            let (mut list, [first, second]) = two().await;
            list.entries.get_mut(&first).expect("there").is_queued = true;
            let entry = list.entries.get_mut(&second).expect("there");
            entry.jobs = before.iter().map(|job| (*job, Vec::new())).collect();
            entry.is_checked = is_checked;
            list.queue_changed();
            list.settle_queue();
            let entry = &list.entries[&second];
            assert!(entry.is_queued && !list.entries[&first].is_queued);
            let jobs: Vec<Job> = entry.jobs.iter().map(|(job, _)| *job).collect();
            assert_eq!(jobs, after, "{is_checked} {before:?}");
            list.engine.shutdown(Duration::ZERO).await;
        }
    }

    #[tokio::test]
    async fn a_check_goes_on_to_its_end_when_the_turn_comes() {
        let folder = tempfile::tempdir().expect("a folder");
        for is_over in [false, true] {
            let (mut list, [first, _]) = two().await;
            let metainfo = list.entries[&first].metainfo.clone().expect("it was given");
            let params =
                TorrentParams { is_unheard: true, ..TorrentParams::new(metainfo, folder.path().into()) };
            let handle = list.engine.add(params).await.expect("it is added");
            let snapshot = handle.snapshot();
            let run = Run {
                number: 1,
                handle,
                metainfo: None,
                snapshot,
                counted: [0; 2],
                counted_at: 0,
                shown: Shown::default(),
                is_check: true,
            };
            let entry = list.entries.get_mut(&first).expect("there");
            (entry.run, entry.is_busy, entry.is_queued, entry.is_checked) =
                (Some(run), false, true, !is_over);
            list.queue_changed();
            list.settle_queue();
            let entry = &list.entries[&first];
            assert!(!entry.is_queued, "it has its turn");
            let waits = |entry: &Entry| entry.jobs.iter().map(|(job, _)| *job).eq([Job::Start]);
            // What checks only leaves the engine before it runs.
            assert!(waits(entry) && entry.is_busy == is_over);
            if !is_over {
                list.entries.get_mut(&first).expect("there").is_checked = false;
                list.end_check(first);
                let entry = &list.entries[&first];
                assert!(waits(entry) && entry.is_busy, "it leaves now, to be started");
            }
            list.engine.shutdown(Duration::ZERO).await;
        }
    }

    #[tokio::test]
    async fn who_is_at_its_goal_waits_for_no_turn() {
        let (mut list, [first, _]) = two().await;
        list.settings.ratio_goal = Some(1.0);
        let entry = list.entries.get_mut(&first).expect("there");
        (entry.is_queued, entry.is_busy) = (true, false);
        (entry.record.uploaded_ever, entry.record.downloaded_ever) = (9, 1);
        list.show(first, Some(TorrentState::Seeding));
        list.stop_at_goal(first);
        let row = list.rows.get(&first).expect("shown");
        assert!(row.is_paused && !row.is_queued);
        list.engine.shutdown(Duration::ZERO).await;
    }
}
