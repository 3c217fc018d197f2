//! What is kept is bounded.

use potluck_core::session::OUTPUT_BYTES_MAX;

use super::Violation;
use crate::wire::{net::HostId, world::World};

/// So many pieces may be open whatever the bound, or one slow peer would keep the others from theirs.
const PIECES_MIN: usize = 3;
/// Beyond the bound on output: one reply to everything that one read can ask for.
const OUTPUT_SLACK_BYTES: usize = 256 * 1024;
/// A torrent that is behind has so many reports waiting; the engine makes connections wait before.
const REPORTS_MAX: usize = 50_000;

impl World<'_> {
    /// The task of this node's torrent has run.
    pub(in crate::wire) fn check_machine_memory(&self, host: HostId) -> Result<(), Violation> {
        let Some(node) = self.nodes().get(&host) else { return Ok(()) };
        let Some(machine) = &node.machine else { return Ok(()) };
        let least = PIECES_MIN * self.payload().geometry.piece_length() as usize;
        let budget = (node.member.buffer_bytes_max as usize).max(least);
        let kept = machine.pieces.bytes();
        if kept > budget {
            return Err(Violation::new(
                "memory is bounded",
                format!("{host} keeps {kept} bytes of pieces, and may {budget}"),
            ));
        }
        if machine.reports.len() + machine.inputs.len() > REPORTS_MAX {
            return Err(Violation::new("memory is bounded", format!("{host} is behind with its inputs")));
        }
        Ok(())
    }

    /// The output of a connection of this node.
    pub(in crate::wire) fn check_output(host: HostId, bytes: usize) -> Result<(), Violation> {
        if bytes > OUTPUT_BYTES_MAX + OUTPUT_SLACK_BYTES {
            return Err(Violation::new(
                "memory is bounded",
                format!("{host} keeps {bytes} bytes for a peer that does not read"),
            ));
        }
        Ok(())
    }
}
