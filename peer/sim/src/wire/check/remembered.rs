//! Who is started again looks for the good peers of its last run, unless the torrent is private.

use std::net::SocketAddr;

use super::Violation;
use crate::wire::{net::HostId, world::World};

impl World<'_> {
    /// A torrent begins, and was told of these; it has so many candidates.
    pub(in crate::wire) fn check_remembered(
        &self,
        host: HostId,
        remembered: &[SocketAddr],
        candidates: u32,
    ) -> Result<(), Violation> {
        if self.plan().beyond.is_private && !remembered.is_empty() {
            return Err(Violation::new(
                "a private torrent is told by its trackers",
                format!("{host} remembers {remembered:?}"),
            ));
        }
        if (candidates as usize) < remembered.len() {
            return Err(Violation::new(
                "peers are remembered",
                format!("{host} met {} in its last run, and begins with {candidates}", remembered.len()),
            ));
        }
        Ok(())
    }
}
