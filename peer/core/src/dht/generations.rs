//! A bounded memory: what is noted is remembered for at least one generation, and at most two, whether or not anything
//! else is noted meanwhile.

use std::{collections::BTreeMap, mem};

use potluck_common::{Duration, Instant};

/// A map that forgets: when a generation is full or has lasted its time, the one before it is dropped.
#[derive(Clone, Debug)]
pub(super) struct Generations<K, V> {
    young: BTreeMap<K, V>,
    old: BTreeMap<K, V>,
    began_at: Instant,
    entries_max: usize,
    lasts: Duration,
}

impl<K: Ord + Copy, V> Generations<K, V> {
    pub(super) fn new(entries_max: usize, lasts: Duration) -> Self {
        let (young, old) = (BTreeMap::new(), BTreeMap::new());
        Self { young, old, began_at: Instant::ZERO, entries_max, lasts }
    }

    /// What is remembered of `key`, made anew where nothing is.
    pub(super) fn entry(&mut self, now: Instant, key: K, new: impl FnOnce() -> V) -> &mut V {
        let age = now.since(self.began_at);
        if age >= self.lasts || self.young.len() >= self.entries_max {
            self.old = mem::take(&mut self.young);
            self.began_at = now;
        }
        if age >= self.lasts * 2 {
            self.old.clear();
        }
        let old = self.old.remove(&key);
        self.young.entry(key).or_insert_with(|| old.unwrap_or_else(new))
    }

    /// What is remembered of `key` by now.
    pub(super) fn get(&self, now: Instant, key: K) -> Option<&V> {
        let age = now.since(self.began_at);
        let young = self.young.get(&key).filter(|_| age < self.lasts * 2);
        young.or_else(|| self.old.get(&key).filter(|_| age < self.lasts))
    }

    pub(super) fn contains(&self, now: Instant, key: K) -> bool {
        self.get(now, key).is_some()
    }

    pub(super) fn forget(&mut self, key: K) {
        self.young.remove(&key);
        self.old.remove(&key);
    }

    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_ages_though_nothing_else_is_noted() {
        let second = Instant::from_secs;
        let mut memory = Generations::new(4, Duration::from_secs(300));
        memory.entry(second(1_000), 'a', || ());
        memory.entry(second(1_299), 'b', || ());
        assert!(memory.contains(second(1_299), 'a') && memory.contains(second(1_598), 'b'));
        assert!(!memory.contains(second(1_600), 'a') && !memory.contains(second(1_600), 'b'));
        memory.entry(second(1_500), 'c', || ());
        assert!(memory.contains(second(1_799), 'b') && !memory.contains(second(1_800), 'b'), "an older one");
        memory.entry(second(9_000), 'd', || ());
        assert!(!memory.contains(second(9_000), 'c'), "long ago");
    }
}
