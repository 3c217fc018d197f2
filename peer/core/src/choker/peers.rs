//! Where the choker finds a connection by its key.

use std::hash::{BuildHasherDefault, Hasher};

use indexmap::IndexMap;

use super::peer::Peer;
use crate::PeerKey;

/// Connections by key. An index map is dense, where a tree filled in ascending order is half empty: there may be very
/// many of these.
pub(super) type Peers = IndexMap<PeerKey, Peer, BuildHasherDefault<KeyHasher>>;

/// Spreads keys over a table in a few instructions. Keys are given out by the engine and not by strangers, who could
/// otherwise choose keys that fall on the same place.
#[derive(Default)]
pub(super) struct KeyHasher(u64);

/// 2⁶⁴ over the golden ratio (Knuth, The Art of Computer Programming, 6.4): successive keys fall far from each other.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let product = u128::from(self.0 ^ number) * u128::from(SPREAD);
        self.0 = (product >> 64) as u64 ^ product as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
