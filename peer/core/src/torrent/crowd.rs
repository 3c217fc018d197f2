//! Who stays when there are more connections than room.
//!
//! Incoming connections that are in the middle of their handshake have a room of their own, so that they cannot
//! displace a peer. Among peers a newcomer is always let in, and whoever has been idle for longest makes room, first of
//! all in the network that has most peers here: claims cost nothing, so only payload counts, and addresses cost little,
//! so that a flood displaces itself.

use std::{cmp::Reverse, collections::BTreeMap, net::IpAddr};

use potluck_common::{Duration, Instant, addr::network_of};

use super::{Torrent, connection::Room, peers::Peer};
use crate::{
    PeerKey,
    session::{Blame as Fault, Direction},
};

/// Connections that one public address may have when half of the room is taken.
const CONNECTIONS_PER_ADDRESS_MAX: usize = 8;
/// One part in so many of the room is kept for those who connect to us.
const INCOMING_SHARE: usize = 10;
/// So many peers of one network (/24, or /48 of IPv6) are nothing unusual.
const NETWORK_FEW: usize = 8;
/// How long two peers who want nothing of each other stay connected when there are nearly as many as there may be;
/// libtorrent's figure.
const DULL_TIME_MAX: Duration = Duration::from_secs(600);
/// Incoming connections that have named the torrent and not completed their handshake; as many as the shell lets wait
/// to name one.
const HANDSHAKES_MAX: usize = 50;
/// A peer is new for so long, and idle when no payload passed for so long: the choker's round.
const IDLE: Duration = Duration::from_secs(10);

/// With fewer busy peers than this, a full house is no reason not to look for others.
const BUSY_WANTED: usize = 8;

/// How a peer stands, least first.
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
    /// How many connections may come.
    pub(super) fn room(&self) -> Room {
        Room { connections_max: self.config.connections_max, per_address_max: CONNECTIONS_PER_ADDRESS_MAX }
    }

    /// Peers past their handshake.
    pub(super) fn living(&self) -> usize {
        self.peers.values().filter(|peer| peer.connection.is_living()).count()
    }

    /// Gives up the oldest incoming handshake if there are too many.
    pub(super) fn make_room_for_handshakes(&mut self) {
        let waits = |peer: &Peer| {
            peer.connection.id.is_none()
                && !peer.connection.closing
                && peer.connection.direction == Direction::Incoming
        };
        let waiting = || self.peers.iter().filter(|(_, peer)| waits(peer));
        if waiting().count() <= HANDSHAKES_MAX {
            return;
        }
        if let Some((&oldest, _)) = waiting().min_by_key(|(key, peer)| (peer.connection.since, **key)) {
            self.close(oldest, Fault::Nobody, "too many others are in the middle of their handshake");
        }
    }

    /// Whether one more connection may be opened. A house that is full of peers who give next to nothing is opened to
    /// one candidate at a time, and an idle peer makes room when it comes.
    pub(super) fn has_room_to_dial(&self, now: Instant) -> bool {
        if self.peers.len() + self.book.dialing() < self.dialled_max() {
            return true;
        }
        let count =
            |wanted: Standing| self.peers.values().filter(|peer| standing(now, peer) == wanted).count();
        let is_on_trial = |peer: &Peer| {
            peer.connection.direction == Direction::Outgoing && standing(now, peer) == Standing::New
        };
        !self.completed
            && self.book.dialing() == 0
            && !self.peers.values().any(is_on_trial)
            && count(Standing::Busy) < BUSY_WANTED
            && count(Standing::Idle) > 0
    }

    /// Connections above which none is dialled: the others are for those who come.
    fn dialled_max(&self) -> usize {
        self.config.connections_max - self.config.connections_max / INCOMING_SHARE
    }

    /// A newcomer is let in; if there are too many now, whoever is worth least makes room.
    pub(super) fn make_room(&mut self, now: Instant, newcomer: Direction) {
        let most = match newcomer {
            Direction::Incoming => self.config.connections_max,
            Direction::Outgoing => self.dialled_max(),
        };
        if self.living() > most {
            self.evict_one(now);
        }
    }

    /// Gives up the peer that is worth least.
    pub(super) fn evict_one(&mut self, now: Instant) {
        let living = || self.peers.iter().filter(|(_, peer)| peer.connection.is_living());
        let mut crowds: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for (_, peer) in living() {
            *crowds.entry(network_of(peer.connection.address.ip())).or_default() += 1;
        }
        let worth = |peer: &Peer| worth(now, peer, crowds[&network_of(peer.connection.address.ip())]);
        let worst: Option<PeerKey> = living().min_by_key(|(_, peer)| worth(peer)).map(|(key, _)| *key);
        if let Some(key) = worst {
            self.close(key, Fault::Nobody, "there are too many connections and it was used least");
        }
    }

    /// When nearly all room is taken, parts with peers that have long had nothing to do with us. What they say counts only
    /// where it changes something, so that nobody stays by saying the same again.
    pub(super) fn part_with_the_dull(&mut self, now: Instant) {
        for peer in self.peers.values_mut() {
            let is_dull = !peer.is_interested && !peer.we_are_interested;
            peer.dull_since = is_dull.then(|| peer.dull_since.unwrap_or(now));
        }
        if self.living() < self.config.connections_max * 9 / 10 {
            return;
        }
        let is_over = |peer: &Peer| {
            peer.dull_since.is_some_and(|since| now.since(since) >= DULL_TIME_MAX)
                && now.since(peer.last_useful) >= DULL_TIME_MAX
        };
        let over: Vec<PeerKey> =
            self.peers.iter().filter(|(_, peer)| is_over(peer)).map(|(key, _)| *key).collect();
        for key in over {
            self.close(key, Fault::Nobody, "neither of us wanted anything for ten minutes");
        }
    }
}

fn standing(now: Instant, peer: &Peer) -> Standing {
    match now.since(peer.last_useful) {
        idle if idle >= IDLE => Standing::Idle,
        _ if peer.last_useful > peer.connection.since => Standing::Busy,
        _ => Standing::New,
    }
}

/// What a peer is worth, least first: whoever brings something now is safe from the others. Of these, the most crowded
/// network comes before how long anybody is idle, or those who come by the hundred would all be newer than the rest; and
/// of the idle, whoever wants nothing and has nothing goes first.
fn worth(now: Instant, peer: &Peer, crowd: usize) -> impl Ord + use<> {
    let standing = standing(now, peer);
    let crowd = if crowd > NETWORK_FEW { crowd } else { 0 };
    let claims = u32::from(peer.interesting > 0) + u32::from(peer.is_interested);
    let claims = if standing == Standing::Idle { claims } else { 0 };
    (standing == Standing::Busy, Reverse(crowd), standing, claims, peer.last_useful)
}
