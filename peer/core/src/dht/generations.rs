//! A bounded memory: what is noted is remembered for at least one generation, and at most two.

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
        if now.since(self.began_at) >= self.lasts || self.young.len() >= self.entries_max {
            self.old = mem::take(&mut self.young);
            self.began_at = now;
        }
        let old = self.old.remove(&key);
        self.young.entry(key).or_insert_with(|| old.unwrap_or_else(new))
    }

    pub(super) fn contains(&self, key: K) -> bool {
        self.young.contains_key(&key) || self.old.contains_key(&key)
    }

    pub(super) fn forget(&mut self, key: K) {
        self.young.remove(&key);
        self.old.remove(&key);
    }

    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}
