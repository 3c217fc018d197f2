//! No piece is `have` whose bytes on the disk do not hash.

use super::Violation;
use crate::wire::{net::HostId, world::World};

impl World<'_> {
    /// Every piece that the machine of this node claims lies on its disk as it should; but for bits that turned there.
    pub(in crate::wire) fn check_have(&self, host: HostId) -> Result<(), Violation> {
        let Some(node) = self.nodes().get(&host) else { return Ok(()) };
        let Some(machine) = &node.machine else { return Ok(()) };
        for piece in machine.torrent.have().iter(&self.payload().geometry) {
            let holds = node.disk.read(piece).is_some_and(|bytes| self.payload().holds(piece, bytes));
            if !holds && !node.rotten.contains(&piece) {
                return Err(Violation::new(
                    "what is claimed lies on the disk",
                    format!("{host} claims {piece:?}, whose hash does not hold"),
                ));
            }
        }
        Ok(())
    }
}
