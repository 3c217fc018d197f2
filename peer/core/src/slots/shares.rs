//! Who gets how many: downloading torrents 70 %, seeding ones 30 %, evenly within each, and by turns where there are too few.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{SLOTS_MAX, SLOTS_PER_TORRENT, TorrentId, worthwhile};
use crate::choker::Demand;

/// Of ten slots, those of torrents that download.
const DOWNLOADING_OF_TEN: u64 = 7;

/// How many rounds a torrent keeps its only slots while others have none: as long as a trial lasts.
const TURN_ROUNDS: u64 = 3;

/// A torrent of which somebody wants something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) demand: Demand,
    /// As many as its own limit keeps busy.
    most: u32,
    pub(super) slots: u32,
    /// The round since which it has slots, or none.
    since: u64,
}

impl Member {
    /// One that has no slots yet.
    pub(super) fn new(demand: Demand, up_limit: Option<u64>, round: u64) -> Self {
        Self { demand, most: most(up_limit), slots: 0, since: round }
    }

    /// Other numbers than before.
    pub(super) fn report(&mut self, demand: Demand, up_limit: Option<u64>) {
        (self.demand, self.most) = (demand, most(up_limit));
    }

    /// Slots that it has before anything is known.
    pub(super) fn at_first(&self) -> u32 {
        self.most.min(SLOTS_PER_TORRENT)
    }

    /// Slots that it could use at once.
    pub(super) fn wants(&self) -> u32 {
        self.demand.wanting.min(self.most)
    }

    /// Gives it so many slots; whether that is a change.
    pub(super) fn set(&mut self, slots: u32, round: u64) -> bool {
        let before = std::mem::replace(&mut self.slots, slots);
        if (before == 0) != (slots == 0) {
            self.since = round;
        }
        before != slots
    }

    /// Where it stands when there are too few slots: first who has not had its turn for long enough, then who has waited for
    /// longest.
    fn rank(&self, round: u64) -> (u8, u64) {
        let age = round - self.since;
        match (self.slots > 0, age < TURN_ROUNDS) {
            (true, true) => (0, self.since),
            (false, _) => (1, self.since),
            (true, false) => (2, self.since),
        }
    }
}

/// As many slots as a torrent's own limit, in bytes per second, keeps busy.
fn most(up_limit: Option<u64>) -> u32 {
    up_limit.map_or(SLOTS_MAX, worthwhile).min(SLOTS_MAX)
}

/// Shares `size` slots out among `members`, in their order. All are given, as far as limits let them: what nobody wants yet
/// is there for whoever comes before the next round.
pub(super) fn share_out(members: &BTreeMap<TorrentId, Member>, size: u32, round: u64) -> Vec<u32> {
    let members: Vec<&Member> = members.values().collect();
    let mut ranked: Vec<usize> = (0..members.len()).collect();
    ranked.sort_by_key(|place| members[*place].rank(round));
    let (seeding, downloading): (Vec<usize>, Vec<usize>) =
        ranked.iter().partition(|place| members[**place].demand.seeding);
    let need = |places: &[usize]| places.iter().map(|place| u64::from(members[*place].wants())).sum::<u64>();
    let (for_downloads, for_seeds) = split(size, need(&downloading), need(&seeding), round);

    let mut slots = vec![0; members.len()];
    fill(&mut slots, &downloading, for_downloads, |place| members[place].wants());
    fill(&mut slots, &seeding, for_seeds, |place| members[place].wants());
    let left = size - slots.iter().sum::<u32>();
    // Those who are likely to need them first: whoever has most peers that want something.
    ranked.sort_by_key(|place| Reverse(members[*place].demand.wanting));
    fill(&mut slots, &ranked, left, |place| members[place].most);
    slots
}

/// How many of `size` slots go to torrents that download and to those that seed, which need so many.
fn split(size: u32, downloads: u64, seeds: u64, round: u64) -> (u32, u32) {
    let all = u64::from(size);
    let share = match size {
        // Neither side gets nothing for ever.
        0 | 1 => u64::from(round / TURN_ROUNDS % 10 < DOWNLOADING_OF_TEN).min(all),
        _ => ((all * DOWNLOADING_OF_TEN + 5) / 10).clamp(1, all - 1),
    };
    let (first, second) = (share.min(downloads), (all - share).min(seeds));
    let left = all - first - second;
    let more = left.min(downloads - first);
    let first = first + more;
    let second = second + (left - more).min(seeds - second);
    (first as u32, second as u32)
}

/// Gives `count` slots to these places in turn, each no more than its `most`.
fn fill(slots: &mut [u32], places: &[usize], mut count: u32, most: impl Fn(usize) -> u32) {
    let mut places: Vec<usize> =
        places.iter().copied().filter(|place| slots[*place] < most(*place)).collect();
    while count > 0 && !places.is_empty() {
        places.retain(|place| {
            if count > 0 {
                slots[*place] += 1;
                count -= 1;
            }
            slots[*place] < most(*place)
        });
    }
}
