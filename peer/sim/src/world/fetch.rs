//! Looking at what is needed next, all at once.
//!
//! What a step needs of a large swarm lies far apart in memory, and one thing leads to the next: waiting for memory
//! takes most of the time. Several things that are looked at one after another without need for each other are fetched at the same
//! time. Nothing is changed here, and nothing depends on it.

use std::{hint::black_box, ops::Range};

use super::{World, flows::Flow};

/// So much is looked at together that memory is kept busy, and so little that it is still in the cache when its turn comes.
pub(super) const TOGETHER: usize = 16;

impl World {
    /// Before the uplinks of these nodes are divided.
    pub(super) fn fetch_uplinks(&self, numbers: Range<usize>) {
        let downloads = self.uplinks[numbers].iter().flat_map(|uplink| &uplink.unchoked);
        black_box(downloads.fold(0, |sum, download| sum ^ self.downloads[*download].to));
    }

    /// Before what flows arrives.
    pub(super) fn fetch_flows(&self, flows: &[Flow]) {
        let block = self.scenario.block_bytes();
        let brings_block =
            |flow: &&Flow| f64::from(self.downloads[flow.download].carry) + flow.bytes >= block;
        let pickers = flows.iter().filter(brings_block).filter_map(|flow| {
            let key = self.downloads[flow.download].key_of_owner();
            Some(self.pickers[flow.to as usize].as_ref()?.in_flight_count(key))
        });
        black_box(pickers.fold(0, |sum, count| sum ^ count));
    }
}
