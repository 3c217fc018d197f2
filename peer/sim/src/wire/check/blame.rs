//! Nobody who keeps to the rules is said to break them.

use potluck_core::session::{Blame, CloseReason};

use super::Violation;
use crate::wire::{
    net::{End, HostId},
    world::World,
};

impl World<'_> {
    /// A connection ended for this reason.
    pub(in crate::wire) fn check_blame(
        &self,
        host: HostId,
        end: End,
        reason: &CloseReason,
    ) -> Result<(), Violation> {
        let is_blamed = matches!(reason.blame, Blame::Peer | Blame::PeerBan);
        let other = self.host_at_other_end(end);
        let both_are_good = |other: HostId| {
            self.role(host).is_node() && self.role(other).is_node() && !self.is_suspect(other)
        };
        match other.filter(|other| is_blamed && both_are_good(*other)) {
            Some(other) => Err(Violation::new(
                "nobody is blamed for nothing",
                format!("{host} says of {other}: {}", reason.why),
            )),
            None => Ok(()),
        }
    }
}
