//! The few who are unchoked, in the order of their keys.

use crate::PeerKey;

/// A set of few keys as a sorted list, which is gone through far more often than changed.
#[derive(Default, Debug)]
pub(super) struct Keys(Vec<PeerKey>);

impl Keys {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn contains(&self, key: PeerKey) -> bool {
        self.0.binary_search(&key).is_ok()
    }

    pub(super) fn insert(&mut self, key: PeerKey) {
        if let Err(place) = self.0.binary_search(&key) {
            self.0.insert(place, key);
        }
    }

    pub(super) fn remove(&mut self, key: PeerKey) {
        if let Ok(place) = self.0.binary_search(&key) {
            self.0.remove(place);
        }
    }

    /// In the order of the keys.
    pub(super) fn iter(&self) -> std::slice::Iter<'_, PeerKey> {
        self.0.iter()
    }
}
