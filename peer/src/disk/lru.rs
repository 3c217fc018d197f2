//! A map that knows which of its entries was used longest ago.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

/// Entries in the order of their last use. The owner decides when one has to go.
///
/// Invariant: `order` holds exactly one tick per entry, and the entry holds the same tick.
#[derive(Debug)]
pub(crate) struct Lru<K, V> {
    entries: HashMap<K, Entry<V>>,
    order: BTreeMap<u64, K>,
    clock: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    tick: u64,
}

/// An entry used within this many uses of others is young enough to leave in its place: the order of the youngest
/// decides nothing, and most uses repeat one of them.
const YOUNG: u64 = 8;

impl<K: Copy + Eq + Hash, V> Lru<K, V> {
    pub(crate) fn new() -> Self {
        Self { entries: HashMap::new(), order: BTreeMap::new(), clock: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The value of `key`, which becomes (nearly) the youngest.
    pub(crate) fn get(&mut self, key: &K) -> Option<&V> {
        let entry = self.entries.get_mut(key)?;
        if entry.tick + YOUNG < self.clock {
            self.clock += 1;
            self.order.remove(&entry.tick);
            self.order.insert(self.clock, *key);
            entry.tick = self.clock;
        }
        Some(&entry.value)
    }

    /// Puts in the youngest entry and gives back what it replaces.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let replaced = self.remove(&key);
        self.clock += 1;
        self.order.insert(self.clock, key);
        self.entries.insert(key, Entry { value, tick: self.clock });
        replaced
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.remove(key)?;
        self.order.remove(&entry.tick);
        Some(entry.value)
    }

    /// Takes out the entry that was used longest ago.
    pub(crate) fn pop_oldest(&mut self) -> Option<V> {
        let (_, key) = self.order.pop_first()?;
        self.entries.remove(&key).map(|entry| entry.value)
    }

    /// Takes out every entry whose key is `unwanted`.
    pub(crate) fn remove_where(&mut self, unwanted: impl Fn(&K) -> bool) -> Vec<V> {
        let keys: Vec<K> = self.entries.keys().filter(|key| unwanted(key)).copied().collect();
        keys.iter().filter_map(|key| self.remove(key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_used_longest_ago_goes_first() {
        let mut lru = Lru::new();
        for key in 0..20 {
            assert_eq!(lru.insert(key, key * 10), None);
        }
        assert_eq!(lru.get(&0), Some(&0));
        assert_eq!(lru.get(&99), None);
        assert_eq!(lru.insert(2, 22), Some(20));
        assert_eq!([lru.pop_oldest(), lru.pop_oldest()], [Some(10), Some(30)]);
        assert_eq!(lru.remove(&4), Some(40));
        let mut odd = lru.remove_where(|key| key % 2 == 1);
        odd.sort_unstable();
        assert_eq!(odd, [50, 70, 90, 110, 130, 150, 170, 190]);
        let rest: Vec<_> = std::iter::from_fn(|| lru.pop_oldest()).collect();
        assert_eq!(rest, [60, 80, 100, 120, 140, 160, 180, 0, 22]);
        assert_eq!(lru.len(), 0);
        assert!(lru.order.is_empty());
    }
}
