//! What the disk does for all torrents of an engine, for whoever looks: nothing here runs while nobody does.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use potluck_common::{
    Instant, Printable,
    control::{DiskSnapshot, FolderSpace},
};

use super::{Engine, Shared, lock};
use crate::disk::{self, DiskTotals};

/// Rates are those of so long a time.
const WINDOW: Duration = Duration::from_secs(5);
/// Counters are remembered at most this often.
const SAMPLE_EVERY: Duration = Duration::from_millis(200);
/// Free space is looked at so often.
const SPACE_EVERY: Duration = Duration::from_secs(5);
/// From this share of the memory for what is not written yet on, in percent, downloads wait for the disk.
const FULL_PERCENT: u64 = 90;

/// What was seen of the disk.
#[derive(Default)]
pub(super) struct DiskWatch(Mutex<Watch>);

#[derive(Default)]
struct Watch {
    samples: Samples,
    /// The folders that were looked at last, and what is free there.
    spaces: BTreeMap<PathBuf, Option<u64>>,
    space_at: Option<Instant>,
    /// A disk that does not answer keeps one thread waiting, and not one more each time.
    is_looking: bool,
}

/// Counters of the last seconds, the newest last.
#[derive(Default)]
struct Samples(VecDeque<(Instant, DiskTotals)>);

/// What is written, read and hashed, in bytes per second.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Rates {
    written: u64,
    read: u64,
    hashed: u64,
}

impl Samples {
    /// The rates by now. Whoever looks after a while sees none at first.
    fn rates(&mut self, now: Instant, totals: DiskTotals) -> Rates {
        if self.0.back().is_some_and(|(at, _)| now.since(*at) > WINDOW) {
            self.0.clear();
        }
        while self.0.get(1).is_some_and(|(at, _)| now.since(*at) >= WINDOW) {
            self.0.pop_front();
        }
        let rates = self.0.front().map(|(at, before)| Rates::between(before, &totals, now.since(*at)));
        if self.0.back().is_none_or(|(at, _)| now.since(*at) >= SAMPLE_EVERY) {
            self.0.push_back((now, totals));
        }
        rates.unwrap_or_default()
    }
}

impl Rates {
    fn between(old: &DiskTotals, new: &DiskTotals, time: Duration) -> Self {
        let micros = time.as_micros();
        // What came in a moment is no rate.
        let rate = |old: u64, new: u64| match time {
            time if time < SAMPLE_EVERY => 0,
            _ => (u128::from(new.saturating_sub(old)) * 1_000_000 / micros) as u64,
        };
        Self {
            written: rate(old.written, new.written),
            read: rate(old.read, new.read),
            hashed: rate(old.hashed, new.hashed),
        }
    }
}

impl Engine {
    /// What the disk does, and what is free in the folders of the torrents, `folder` first. Free space is looked at
    /// elsewhere, and told the next time.
    pub fn disk(&self, folder: &Path) -> DiskSnapshot {
        let shared = &self.shared;
        let (now, disk) = (shared.clock.now(), &shared.disk);
        let totals = disk.pool.figures().totals();
        let mut watch = lock(&shared.disk_watch.0);
        let rates = watch.samples.rates(now, totals);
        let folders = watch.spaces_of(folder);
        let is_due = !watch.is_looking && watch.space_at.is_none_or(|at| now.since(at) >= SPACE_EVERY);
        watch.is_looking |= is_due;
        drop(watch);
        if is_due {
            shared.look_at_spaces(folder.to_owned());
        }
        let snapshot = DiskSnapshot {
            write_rate: rates.written,
            read_rate: rates.read,
            hash_rate: rates.hashed,
            unwritten: disk.buffers.received_bytes(),
            unwritten_max: shared.config.buffer_bytes_max,
            queued: disk.pool.backlog_bytes(),
            jobs: disk.pool.backlog_jobs() as u32,
            cache: disk.cache.bytes() as u64,
            cache_max: shared.config.cache_bytes_max,
            cache_hits: totals.hits,
            cache_misses: totals.misses,
            slow_writes: totals.slow_writes,
            errors: totals.errors,
            last_error: disk.pool.figures().last_error().map(|error| Printable::new(&error.to_string())),
            folders,
            limit: None,
        };
        DiskSnapshot { limit: limit(&snapshot).map(|why| Printable::new(&why)), ..snapshot }
    }
}

impl Shared {
    /// Looks at the folders of all torrents, some of them, off the runtime.
    fn look_at_spaces(self: &Arc<Self>, first: PathBuf) {
        let shared = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let mut folders = BTreeSet::from([first]);
            for entry in lock(&shared.torrents).values() {
                if folders.len() == DiskSnapshot::FOLDERS_SHOWN {
                    break;
                }
                if let Some(storage) = entry.storage.get() {
                    folders.insert(storage.layout().root().to_owned());
                }
            }
            let spaces: Vec<_> =
                folders.into_iter().map(|folder| (disk::free_space(&folder), folder)).collect();
            let mut watch = lock(&shared.disk_watch.0);
            watch.take_spaces(spaces);
            (watch.is_looking, watch.space_at) = (false, Some(shared.clock.now()));
        });
    }
}

impl Watch {
    /// Keeps what was seen. Others write as well; what nobody would see is no news.
    fn take_spaces(&mut self, seen: Vec<(Option<u64>, PathBuf)>) {
        let before = std::mem::take(&mut self.spaces);
        self.spaces = seen
            .into_iter()
            .map(|(free, folder)| {
                let known = before.get(&folder).copied().flatten();
                let is_near = known.zip(free).is_some_and(|(old, new)| old.abs_diff(new) <= old / 1_000);
                (folder, if is_near { known } else { free })
            })
            .collect();
    }

    /// What is known of them, `first` first.
    fn spaces_of(&self, first: &Path) -> Vec<FolderSpace> {
        let of =
            |(folder, free): (&PathBuf, &Option<u64>)| FolderSpace { directory: folder.clone(), free: *free };
        let mut spaces: Vec<_> = self.spaces.iter().map(of).collect();
        spaces.sort_by_key(|space| space.directory != first);
        spaces
    }
}

/// That the disk is what limits, in one sentence.
fn limit(disk: &DiskSnapshot) -> Option<String> {
    let is_full = disk.unwritten * 100 >= disk.unwritten_max * FULL_PERCENT;
    // What is not in whole pieces waits for peers.
    let waits_for_disk = disk.queued * 2 >= disk.unwritten && disk.queued > 0;
    (is_full && waits_for_disk).then(|| {
        let mebibytes = disk.queued as f64 / f64::from(1 << 20);
        format!("the disk limits: {mebibytes:.1} MiB wait for it")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_last_seconds_while_somebody_looks() {
        let mut samples = Samples::default();
        let at = |millis: u64| Instant::ZERO + Duration::from_millis(millis);
        let totals =
            |written| DiskTotals { written, read: 2 * written, hashed: written, ..DiskTotals::default() };
        assert_eq!(samples.rates(at(0), totals(900)), Rates::default(), "what came before is no rate");
        assert_eq!(samples.rates(at(100), totals(950)), Rates::default(), "nor what came in a moment");
        let rates = samples.rates(at(1_000), totals(1_900));
        assert_eq!(rates, Rates { written: 1_000, read: 2_000, hashed: 1_000 });
        for second in 2..=20 {
            samples.rates(at(second * 1_000), totals(1_900));
        }
        assert_eq!(samples.rates(at(20_500), totals(1_900)), Rates::default(), "it fades");
        assert!(samples.0.len() <= 8, "few are kept");
        assert_eq!(samples.rates(at(90_000), totals(9_000_000)), Rates::default(), "nobody looked meanwhile");
        assert_eq!(samples.rates(at(91_000), totals(9_000_500)).written, 500);
    }

    #[test]
    fn the_disk_limits_where_what_came_waits_for_it() {
        for (unwritten, queued, is_limit) in [
            (0, 0, false),
            (95, 0, false),
            (95, 10, false),
            (95, 80, true),
            (50, 50, false),
            (120, 120, true),
        ] {
            let disk = DiskSnapshot { unwritten, queued, unwritten_max: 100, ..DiskSnapshot::default() };
            assert_eq!(limit(&disk).is_some(), is_limit, "{unwritten} {queued}");
        }
    }

    #[test]
    fn a_little_space_more_or_less_is_no_news() {
        let mut watch = Watch::default();
        let folder = |name: &str| PathBuf::from(name);
        for (seen, shown) in [(1_000_000, 1_000_000), (999_500, 1_000_000), (900_000, 900_000)] {
            watch.take_spaces(vec![(Some(seen), folder("/a")), (None, folder("/b"))]);
            let spaces = watch.spaces_of(Path::new("/b"));
            assert_eq!(spaces[0], FolderSpace { directory: folder("/b"), free: None });
            assert_eq!(spaces[1], FolderSpace { directory: folder("/a"), free: Some(shown) });
        }
    }
}
