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
        let coming = || {
            let downloads = flows.iter().filter(brings_block).map(|flow| &self.downloads[flow.download]);
            downloads.filter_map(|it| Some((it, self.pickers[it.to as usize].as_deref()?)))
        };
        // Whom the block is asked of, and then of which piece it is.
        let asked = coming().map(|(it, picker)| picker.in_flight(it.key_of_owner()).next().is_some());
        black_box(asked.fold(false, |some, is| some ^ is));
        let pieces = coming().filter_map(|(it, picker)| {
            let piece = it.first()? / self.scenario.blocks_per_piece;
            Some(picker.is_started(self.geometry.piece(piece)?))
        });
        black_box(pieces.fold(false, |some, is| some ^ is));
    }
}
