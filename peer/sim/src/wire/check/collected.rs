//! What is kept of metadata is bounded: by what came, and by a budget for all attempts. What is merely claimed costs nothing.

use super::Violation;
use crate::wire::{net::HostId, world::World};

/// Two of the largest `info` dictionaries.
const KEPT_MAX: u64 = 2 * potluck_common::limits::METADATA_BYTES_MAX as u64;

impl World<'_> {
    /// The task of a node that fetches metadata has run.
    pub(in crate::wire) fn check_kept_metadata(&self, host: HostId) -> Result<(), Violation> {
        let Some(magnet) = self.nodes().get(&host).and_then(|node| node.magnet.as_ref()) else {
            return Ok(());
        };
        let kept = magnet.machine.metadata_kept() + magnet.hoard;
        let most = KEPT_MAX.min(magnet.came);
        if kept > most {
            return Err(Violation::new(
                "what is kept of metadata is bounded",
                format!("{host} keeps {kept} bytes, and may {most}"),
            ));
        }
        Ok(())
    }
}
