//! One connection to a peer, as far as it is the same whether the metadata is known or not: who is refused, which of two
//! connections to one peer stays, and what the peer book hears of a beginning and an end.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use potluck_common::{AddrScope, Instant, PeerId, Printable, control::PeerSource};

use super::{
    contract::ip_of,
    reach::{Reach, new_stays},
};
use crate::{
    Identity, PeerKey,
    peer_book::PeerBook,
    session::{Blame, Direction},
};

/// A connection, whatever it is for.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) address: SocketAddr,
    /// Where the peer can be reached, as far as is known.
    pub(super) reach: Reach,
    pub(super) direction: Direction,
    pub(super) since: Instant,
    /// Set once its handshake is complete.
    pub(super) id: Option<PeerId>,
    pub(super) client: Option<Printable>,
    /// Told to close; what it still reports is accounted, nothing new is asked of it.
    pub(super) closing: bool,
}

impl Connection {
    pub(super) fn new(now: Instant, address: SocketAddr, direction: Direction) -> Self {
        Self {
            address,
            reach: Reach::of(address, direction),
            direction,
            since: now,
            id: None,
            client: None,
            closing: false,
        }
    }

    /// The peer's address, IPv4 if it is one.
    pub(super) fn ip(&self) -> IpAddr {
        ip_of(self.address)
    }

    /// Past its handshake, and not told to close.
    pub(super) fn is_living(&self) -> bool {
        self.id.is_some() && !self.closing
    }

    /// By what the peer is remembered, once its handshake is complete.
    pub(super) fn identity(&self) -> Option<Identity> {
        self.id.map(|id| Identity::of_peer(self.ip(), id))
    }

    /// The name of its program: what it says of itself, or else what its peer id tells.
    pub(super) fn client_name(&self) -> Printable {
        let of_id = || self.id.map_or_else(Printable::default, |id| id.client());
        self.client.clone().unwrap_or_else(of_id)
    }

    /// Every address that stands for the peer, and where it connected from.
    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.reach.with(self.address)
    }

    /// The peer says on which port it listens. Returns whether that is news: known from now on, and not to be dialled, since
    /// we are connected to it this very moment.
    pub(super) fn listens(&mut self, now: Instant, port: u16, book: &mut PeerBook) -> bool {
        let Some(listens_at) = self.reach.listens(self.address, port) else { return false };
        book.learn(now, listens_at, PeerSource::Incoming);
        book.connected(listens_at);
        true
    }
}

/// A peer of a torrent, whatever the torrent keeps of it.
pub(super) trait Connected: AsRef<Connection> + AsMut<Connection> {}

impl<P: AsRef<Connection> + AsMut<Connection>> Connected for P {}

/// The peers of a torrent.
pub(super) type Peers<P> = BTreeMap<PeerKey, P>;

/// Whom to close, through whose fault, and why.
pub(super) type Verdict = (PeerKey, Blame, &'static str);

/// How many connections a torrent has room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Of all.
    pub(super) connections_max: usize,
    /// Of one public address (a /64 of IPv6), when half of the room is taken: a household behind one NAT is a user, a flood
    /// is not. Before that a whole lab is welcome.
    pub(super) per_address_max: usize,
}

/// Why a new connection, which is among `peers` already, is not wanted.
pub(super) fn refusal<P: Connected>(
    peers: &Peers<P>,
    book: &PeerBook,
    now: Instant,
    key: PeerKey,
    room: Room,
) -> Option<Verdict> {
    let ip = peers[&key].as_ref().ip();
    if book.is_banned(now, ip, None) {
        return Some((key, Blame::PeerBan, "its address is banned"));
    }
    let who = Identity::of(ip);
    let same = |peer: &&P| Identity::of(peer.as_ref().ip()) == who;
    let is_crowded = AddrScope::of(ip) == AddrScope::Global
        && peers.len() > room.connections_max / 2
        && peers.values().filter(same).count() > room.per_address_max;
    is_crowded.then_some((key, Blame::Nobody, "its address has many connections already"))
}

/// A handshake is complete: the peer is `id`, and we are `ours`. Returns which connection is to be closed for that: this one,
/// or another one to the same peer.
pub(super) fn handshaken<P: Connected>(
    peers: &mut Peers<P>,
    book: &mut PeerBook,
    now: Instant,
    key: PeerKey,
    id: PeerId,
    ours: PeerId,
) -> Option<Verdict> {
    let connection = peers.get_mut(&key).expect("the caller looked").as_mut();
    connection.id = Some(id);
    let (address, direction) = (connection.address, connection.direction);
    if direction == Direction::Outgoing {
        book.met(now, address);
    }
    if id == ours {
        if direction == Direction::Outgoing {
            book.retire(address);
        }
        return Some((key, Blame::Nobody, "it is ourselves"));
    }
    if book.is_banned(now, ip_of(address), Some(id)) {
        return Some((key, Blame::PeerBan, "it is banned"));
    }
    let connections = peers.iter().map(|(other, peer)| (*other, peer.as_ref()));
    let mut others = connections.filter(|(other, _)| *other != key);
    let (other, older) = others.find(|(_, other)| other.id == Some(id) && !other.closing)?;
    let newer_stays = new_stays(now.since(older.since), [older.direction, direction], ours > id);
    let loser = if newer_stays { other } else { key };
    Some((loser, Blame::Nobody, "we are connected to it already"))
}

/// A dial led to nothing, of which `how` is told to the book. Whoever is there may have come by itself meanwhile.
pub(super) fn dial_ended<P: Connected>(
    peers: &Peers<P>,
    book: &mut PeerBook,
    now: Instant,
    address: SocketAddr,
    how: fn(&mut PeerBook, Instant, SocketAddr),
) {
    how(book, now, address);
    if peers.values().any(|peer| peer.as_ref().reach.has(address)) {
        book.connected(address);
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// Whose fault it was.
    pub(super) blame: Blame,
    /// Payload passed, and nothing speaks against the peer.
    pub(super) is_proof: bool,
}

/// Notes in the peer book how a connection ended that is not among `peers` any more, under each address that stands for the
/// peer. Returns the connections that stand for one of these addresses from now on.
pub(super) fn ended<P: Connected>(
    peers: &mut Peers<P>,
    book: &mut PeerBook,
    now: Instant,
    connection: &Connection,
    end: End,
) -> Vec<PeerKey> {
    let mut heirs = Vec::new();
    for address in connection.addresses() {
        let same = |other: &Connection| {
            !other.closing
                && (connection.id.is_some() && other.id == connection.id
                    || other.address == address
                    || other.reach.has(address))
        };
        let survivor = peers.iter_mut().find(|(_, other)| same((**other).as_ref()));
        if survivor.is_some() && !connection.reach.has(address) {
            // From where it connected nobody can be reached.
            continue;
        }
        let inherits = |(key, other): (&PeerKey, &mut P)| other.as_mut().reach.add(address).then_some(*key);
        if let Some(heir) = survivor.and_then(inherits) {
            // One of two connections to the same peer ended: its address is the other's now.
            book.connected(address);
            heirs.push(heir);
        } else if end.blame == Blame::PeerBan {
            book.retire(address);
        } else {
            if end.is_proof {
                book.proved(address);
            }
            book.left(now, address);
            if end.blame == Blame::Peer {
                book.shunned(now, address);
            }
        }
    }
    heirs
}
