//! Who stays when there are more connections than room.
//!
//! Incoming connections that are in the middle of their handshake have a room of their own, so that they cannot
//! displace a peer. Among peers a newcomer is always let in, and whoever has been idle for longest makes room: claims
//! cost nothing, so only payload counts.

use std::net::IpAddr;

use potluck_common::{AddrScope, Duration, Instant};

use super::{Torrent, contract::ip_of, peers::Peer};
use crate::{
    PeerKey,
    session::{Blame as Fault, Direction},
};

/// Connections that one public address may have: a household behind one NAT is a user, a flood is not.
const CONNECTIONS_PER_ADDRESS_MAX: usize = 8;
/// Incoming connections that have named the torrent and not completed their handshake; as many as the shell lets wait
/// to name one.
const HANDSHAKES_MAX: usize = 50;
/// A peer is new for so long, and idle when no payload passed for so long: the choker's round.
const IDLE: Duration = Duration::from_secs(10);

/// With fewer busy peers than this, a full house is no reason not to look for others.
const BUSY_WANTED: usize = 8;

/// What a peer is worth, least first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Standing {
    /// No payload passed lately.
    Idle,
    /// Connected a moment ago.
    New,
    /// Payload passed lately.
    Busy,
}

impl Torrent {
    pub(super) fn crowded(&self, ip: IpAddr) -> bool {
        AddrScope::of(ip) == AddrScope::Global
            && self.peers.values().filter(|peer| ip_of(peer.address) == ip).count()
                > CONNECTIONS_PER_ADDRESS_MAX
    }

    /// Peers past their handshake.
    pub(super) fn living(&self) -> usize {
        self.peers.values().filter(|peer| peer.id.is_some() && !peer.closing).count()
    }

    /// Gives up the oldest incoming handshake if there are too many.
    pub(super) fn make_room_for_handshakes(&mut self) {
        let waits = |peer: &Peer| peer.id.is_none() && !peer.closing && peer.direction == Direction::Incoming;
        let waiting = || self.peers.iter().filter(|(_, peer)| waits(peer));
        if waiting().count() <= HANDSHAKES_MAX {
            return;
        }
        if let Some((&oldest, _)) = waiting().min_by_key(|(key, peer)| (peer.since, **key)) {
            self.close(oldest, Fault::Nobody, "too many others are in the middle of their handshake");
        }
    }

    /// Whether one more connection may be opened. A house that is full of peers who give next to nothing is opened to
    /// one candidate at a time, and an idle peer makes room when it comes.
    pub(super) fn has_room_to_dial(&self, now: Instant) -> bool {
        if self.peers.len() + self.candidates.dialing() < self.config.connections_max {
            return true;
        }
        let count =
            |wanted: Standing| self.peers.values().filter(|peer| standing(now, peer) == wanted).count();
        let is_on_trial =
            |peer: &Peer| peer.direction == Direction::Outgoing && standing(now, peer) == Standing::New;
        !self.completed
            && self.candidates.dialing() == 0
            && !self.peers.values().any(is_on_trial)
            && count(Standing::Busy) < BUSY_WANTED
            && count(Standing::Idle) > 0
    }

    /// Gives up the peer that is worth least.
    pub(super) fn evict_one(&mut self, now: Instant) {
        let living = self.peers.iter().filter(|(_, peer)| peer.id.is_some() && !peer.closing);
        let worst: Option<PeerKey> = living.min_by_key(|(_, peer)| worth(now, peer)).map(|(key, _)| *key);
        if let Some(key) = worst {
            self.close(key, Fault::Nobody, "there are too many connections and it was used least");
        }
    }
}

fn standing(now: Instant, peer: &Peer) -> Standing {
    match now.since(peer.last_useful) {
        idle if idle >= IDLE => Standing::Idle,
        _ if peer.last_useful > peer.since => Standing::Busy,
        _ => Standing::New,
    }
}

/// Of those that are idle, whoever wants nothing and has nothing goes first.
fn worth(now: Instant, peer: &Peer) -> (Standing, u32, Instant) {
    let standing = standing(now, peer);
    let claims = u32::from(peer.interesting > 0) + u32::from(peer.is_interested);
    (standing, if standing == Standing::Idle { claims } else { 0 }, peer.last_useful)
}
