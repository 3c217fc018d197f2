//! A disk: what lies on it, what of that would outlive a power cut, and what can go wrong.

mod trouble;

use std::collections::BTreeMap;

use bytes::Bytes;
use potluck_common::{Duration, Instant, PieceIndex, Rng};

pub(super) use self::trouble::{Troubles, trouble};
use super::plan::DiskPlan;

/// A piece's place on the disk.
#[derive(Clone, Debug)]
struct Stored {
    /// What a read gives.
    bytes: Bytes,
    /// What was there at the last sync.
    durable: Option<Bytes>,
    /// Which write this was; `None` once it is durable.
    unsynced: Option<u64>,
}

/// The disk of one node. Operations are done one after the other.
#[derive(Debug)]
pub(super) struct Disk {
    plan: DiskPlan,
    rng: Rng,
    stored: BTreeMap<PieceIndex, Stored>,
    writes: u64,
    busy_until: Instant,
    pub(super) troubles: Troubles,
}

impl Disk {
    pub(super) fn new(plan: DiskPlan, rng: Rng) -> Self {
        Self {
            plan,
            rng,
            stored: BTreeMap::new(),
            writes: 0,
            busy_until: Instant::ZERO,
            troubles: Troubles::default(),
        }
    }

    /// Puts a piece there before anything began.
    pub(super) fn place(&mut self, piece: PieceIndex, bytes: Bytes) {
        self.stored.insert(piece, Stored { bytes: bytes.clone(), durable: Some(bytes), unsynced: None });
    }

    /// When an operation that is begun at `now` is done.
    pub(super) fn done_at(&mut self, now: Instant, bytes: usize) -> Instant {
        let slow = if self.troubles.is_slow(now) { 40.0 } else { 1.0 };
        let takes = self.plan.seek.mul_f64(slow * (0.5 + self.rng.fraction()))
            + Duration::from_secs_f64(slow * bytes as f64 / self.plan.bytes_per_second as f64);
        self.busy_until = self.busy_until.max(now) + takes;
        self.busy_until
    }

    pub(super) fn read(&self, piece: PieceIndex) -> Option<&Bytes> {
        self.stored.get(&piece).map(|stored| &stored.bytes)
    }

    pub(super) fn write(&mut self, piece: PieceIndex, bytes: Bytes) {
        self.writes += 1;
        let durable = self.stored.remove(&piece).and_then(|stored| stored.durable);
        self.stored.insert(piece, Stored { bytes, durable, unsynced: Some(self.writes) });
    }

    /// What a sync that begins now will cover.
    pub(super) fn mark(&self) -> u64 {
        self.writes
    }

    /// A sync that began at this mark is done.
    pub(super) fn synced(&mut self, mark: u64) {
        for stored in self.stored.values_mut() {
            if stored.unsynced.take_if(|number| *number <= mark).is_some() {
                stored.durable = Some(stored.bytes.clone());
            }
        }
    }

    /// What was not synced is kept, lost or torn, each piece as chance has it.
    pub(super) fn lose_unsynced(&mut self) {
        let (rng, stored) = (&mut self.rng, &mut self.stored);
        stored.retain(|_, stored| {
            if stored.unsynced.take().is_none() {
                return true;
            }
            match rng.below(3) {
                0 => stored.durable = Some(stored.bytes.clone()),
                1 => {}
                _ => stored.durable = Some(torn(rng, &stored.bytes, stored.durable.as_ref())),
            }
            stored.durable.clone().map(|durable| stored.bytes = durable).is_some()
        });
    }

    /// A bit of this piece turns. Says whether it is there.
    pub(super) fn rot(&mut self, piece: PieceIndex) -> bool {
        let Some(stored) = self.stored.get_mut(&piece).filter(|stored| !stored.bytes.is_empty()) else {
            return false;
        };
        let mut bytes = stored.bytes.to_vec();
        let place = self.rng.below(bytes.len() as u32) as usize;
        bytes[place] ^= 1 << self.rng.below(8);
        stored.bytes = bytes.into();
        true
    }
}

/// A write of which only a first part came to the device; behind it is what was there before.
fn torn(rng: &mut Rng, new: &Bytes, old: Option<&Bytes>) -> Bytes {
    let mut bytes = new.to_vec();
    let cut = rng.below(bytes.len() as u32) as usize;
    for (place, byte) in bytes.iter_mut().enumerate().skip(cut) {
        *byte = old.and_then(|old| old.get(place)).copied().unwrap_or(0);
    }
    bytes.into()
}

#[cfg(test)]
mod tests {
    use potluck_common::Geometry;

    use super::*;

    fn disk(seed: u64) -> (Disk, PieceIndex) {
        let plan = DiskPlan { seek: Duration::from_millis(1), bytes_per_second: 1_000 };
        let piece = Geometry::new(100, 100).expect("valid").piece(0).expect("exists");
        (Disk::new(plan, Rng::new(seed)), piece)
    }

    #[test]
    fn what_was_synced_outlives_a_power_cut_and_the_rest_may_be_torn() {
        let mut seen = [false; 3];
        for seed in 0..40 {
            let (mut disk, piece) = disk(seed);
            disk.write(piece, Bytes::from_static(b"old!"));
            disk.synced(disk.mark());
            disk.write(piece, Bytes::from_static(b"new?"));
            disk.lose_unsynced();
            let left = disk.read(piece).expect("there").clone();
            let torn = ["old!", "nld!", "ned!", "new!"].map(str::as_bytes);
            let kind = match &left[..] {
                b"new?" => 0,
                b"old!" => 1,
                left if torn.contains(&left) => 2,
                left => panic!("{left:?} was never written"),
            };
            seen[kind] = true;
        }
        assert_eq!(seen, [true; 3]);
    }

    #[test]
    fn a_sync_covers_what_was_written_before_it_began() {
        let (mut disk, piece) = disk(1);
        disk.write(piece, Bytes::from_static(b"a"));
        let mark = disk.mark();
        disk.write(piece, Bytes::from_static(b"b"));
        disk.synced(mark);
        assert_eq!(disk.stored[&piece].durable, None);
        disk.synced(disk.mark());
        assert_eq!(disk.stored[&piece].durable.as_deref(), Some(&b"b"[..]));
    }

    #[test]
    fn operations_wait_for_each_other() {
        let (mut disk, _) = disk(1);
        let first = disk.done_at(Instant::from_secs(1), 500);
        let second = disk.done_at(Instant::from_secs(1), 500);
        assert!(first >= Instant::from_millis(1_500) && second >= first + Duration::from_millis(500));
    }
}
