//! Both ends of a connection on which nothing is on its way agree on what was said.

use super::Violation;
use crate::wire::{
    net::{End, HostId},
    node::Connection,
    plan::Role,
    world::World,
};

impl World<'_> {
    /// Looks at every connection between two nodes that has nothing left to say for the moment.
    pub(in crate::wire) fn check_views(&self) -> Result<(), Violation> {
        for (end, one) in self.connections() {
            let Some(other) = self.connections().get(&end.other()) else { continue };
            let is_quiet = one.is_quiet() && other.is_quiet() && self.network().is_quiet(*end);
            if is_quiet && let Some(what) = self.disagreement(*end, one, other) {
                return Err(Violation::new(
                    "both ends agree",
                    format!("{end:?} of {} with {}: {what}", one.host, other.host),
                ));
            }
        }
        Ok(())
    }

    fn disagreement(&self, end: End, one: &Connection, other: &Connection) -> Option<String> {
        let (mine, theirs) = (&one.session, &other.session);
        if mine.remote_choking() != theirs.am_choking() {
            return Some(format!("it thinks that it is choked: {}", mine.remote_choking()));
        }
        if mine.peer_interested() != theirs.am_interested() {
            return Some(format!("it thinks that the other wants something: {}", mine.peer_interested()));
        }
        let pieces = self.payload().geometry;
        let known = mine.remote_pieces();
        if let Some(piece) = pieces.iter().find(|piece| known.has(*piece) != theirs.has_piece(*piece)) {
            return Some(format!("{piece:?} is there for the one and not for the other"));
        }
        if mine.requests_outstanding() > 0 && theirs.uploads_queued() + other.uploads_waiting() == 0 {
            return Some(format!("{} requests were lost", mine.requests_outstanding()));
        }
        self.wrong_offer(other).or_else(|| self.wrong_interest(end, one))
    }

    /// Whether nothing waits for the torrent of this node or in it.
    fn is_settled(&self, host: HostId) -> bool {
        let machine = self.nodes().get(&host).and_then(|node| node.machine.as_ref());
        machine.is_some_and(|machine| !machine.has_inputs())
    }

    /// What a node has it tells to everybody; but for a super-seed.
    fn wrong_offer(&self, one: &Connection) -> Option<String> {
        let node = &self.nodes()[&one.host];
        let have = node.machine.as_ref()?.torrent.have();
        if !self.is_settled(one.host) || node.member.super_seed {
            return None;
        }
        let pieces = self.payload().geometry;
        let differs = pieces.iter().find(|piece| have.has(*piece) && !one.session.has_piece(*piece))?;
        Some(format!("{} was never told of {differs:?}", self.host_at_other_end(one.end())?))
    }

    /// Who lacks something that the other has is interested, and nobody else.
    fn wrong_interest(&self, end: End, one: &Connection) -> Option<String> {
        let node = &self.nodes()[&one.host];
        let machine = node.machine.as_ref()?;
        if !self.is_settled(one.host) || self.host_at_other_end(end).is_none() {
            return None;
        }
        let wanted = match node.member.role {
            Role::Seed | Role::Poisoner => self.payload().geometry.iter().collect(),
            _ => self.wanted_pieces(&node.member.priorities),
        };
        let lacks = |piece| one.session.remote_pieces().has(piece) && !machine.torrent.have().has(piece);
        let should = wanted.into_iter().any(lacks);
        (should != one.session.am_interested())
            .then(|| format!("it should be interested: {should}, and is: {}", !should))
    }
}
