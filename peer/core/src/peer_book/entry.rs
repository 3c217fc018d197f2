//! What is known of one address.

use std::{cmp::Reverse, net::SocketAddr};

use potluck_common::{Instant, control::PeerSource, wire::PexFlags};

use crate::Identity;

/// A set of sources.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Sources(u8);

impl Sources {
    pub(super) fn of(source: PeerSource) -> Self {
        Self(1 << source as u8)
    }

    /// Adds `source`. Returns whether it was not there.
    pub(super) fn insert(&mut self, source: PeerSource) -> bool {
        let before = self.0;
        self.0 |= Self::of(source).0;
        before != self.0
    }

    pub(crate) fn has(self, source: PeerSource) -> bool {
        self.0 & Self::of(source).0 != 0
    }

    /// The source of most worth.
    pub(crate) fn best(self) -> PeerSource {
        PeerSource::ALL.into_iter().rfind(|source| self.has(*source)).unwrap_or_default()
    }
}

/// What becomes of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// To be dialled from this time on.
    Waiting(Instant),
    Dialing,
    Connected,
    /// As complete as we are: not again, unless we lose something.
    Parted,
    /// Never again in this run: it is ourselves, or banned.
    Retired,
}

/// What is known of one address.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) sources: Sources,
    /// The peer that was the first to tell of it, if nobody else has since.
    pub(super) giver: Option<Identity>,
    /// What all peers that tell of it agree on.
    pub(super) flags: PexFlags,
    /// When a handshake was last completed there.
    pub(super) met_at: Option<Instant>,
    /// Payload passed on a connection to it.
    pub(super) is_proved: bool,
    pub(super) failures: u32,
    /// Its priority (BEP 40) as long as our own address is known; else drawn.
    pub(super) priority: u32,
    pub(super) phase: Phase,
}

/// In which order addresses of one source are dialled, the least first: who failed least, then who has the greatest
/// priority.
pub(super) type Rank = (u32, Reverse<u32>, SocketAddr);

impl Entry {
    pub(super) fn source(&self) -> PeerSource {
        self.sources.best()
    }

    pub(super) fn is_met(&self) -> bool {
        self.met_at.is_some()
    }

    /// It waits and has not failed.
    pub(super) fn is_fresh(&self) -> bool {
        matches!(self.phase, Phase::Waiting(_)) && self.failures == 0
    }

    pub(super) fn is_of_user(&self) -> bool {
        self.sources.has(PeerSource::User)
    }

    /// All peers that tell of it say that it takes nothing, and nobody else knows of it: whoever lies so harms only what
    /// nobody else tells.
    pub(super) fn is_said_to_be_seed(&self) -> bool {
        self.flags.has(PexFlags::SEED) && self.sources == Sources::of(PeerSource::Pex)
    }

    pub(super) fn rank(&self, address: SocketAddr) -> Rank {
        (self.failures, Reverse(self.priority), address)
    }

    /// Whether it may be forgotten to make room.
    pub(super) fn is_dispensable(&self) -> bool {
        !matches!(self.phase, Phase::Dialing | Phase::Connected)
    }

    /// What it is worth to be kept, the least first.
    pub(super) fn worth(&self) -> (bool, bool, Reverse<u32>, u32) {
        let is_of_use = matches!(self.phase, Phase::Waiting(_));
        (self.is_met(), is_of_use, Reverse(self.failures), self.priority)
    }
}
