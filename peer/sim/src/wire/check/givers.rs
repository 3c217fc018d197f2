//! Nobody who gives the metadata that it has is banned for what others gave.

use std::{fmt::Display, net::SocketAddr};

use super::Violation;
use crate::wire::{net::HostId, world::World};

impl World<'_> {
    /// A node that fetches metadata bans somebody.
    pub(in crate::wire) fn check_ban_of_giver(
        &self,
        host: HostId,
        peer: SocketAddr,
        why: &dyn Display,
    ) -> Result<(), Violation> {
        match self.host_at(peer.ip()).filter(|other| self.role(*other).is_node()) {
            Some(other) => Err(Violation::new(
                "nobody is banned for good metadata",
                format!("{host} bans {other}: {why}"),
            )),
            None => Ok(()),
        }
    }
}
