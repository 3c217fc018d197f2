//! One peer, several connections and several addresses: which connection stays, and which addresses it stands for.

use std::net::SocketAddr;

use potluck_common::{Duration, addr};

use crate::session::Direction;

/// Most addresses that one connection stands for: a household of two families of addresses, each dialled by both sides.
pub(super) const REACH_MAX: usize = 4;
/// Two connections of one peer closer together than this were opened by both sides at once.
const SIMULTANEOUS_OPEN: Duration = Duration::from_secs(5);

/// Where one peer can be reached: the addresses that are not dialled while a connection to it lives.
///
/// The first is what others are told. It is where we dialled it; of one that came by itself, where it first said that it
/// listens. The others were dialled, too, and turned out to be the same peer. What is once there stays, so that one
/// connection takes no more than [`REACH_MAX`] addresses, whatever it says.
#[derive(Clone, Default, Debug)]
pub(super) struct Reach(Vec<SocketAddr>);

impl Reach {
    /// Of a new connection with this address.
    pub(super) fn of(address: SocketAddr, direction: Direction) -> Self {
        match direction {
            Direction::Outgoing => Self(vec![address]),
            Direction::Incoming => Self::default(),
        }
    }

    /// The peer says on which port it listens. Returns where that is, unless something is known already.
    pub(super) fn listens(&mut self, address: SocketAddr, port: u16) -> Option<SocketAddr> {
        let listens_at = addr::canonical(SocketAddr::new(address.ip(), port));
        (self.0.is_empty() && self.add(listens_at)).then_some(listens_at)
    }

    /// The connection stands for this address as well. Returns whether it does, which is not so if it has enough.
    pub(super) fn add(&mut self, address: SocketAddr) -> bool {
        if !self.has(address) && self.0.len() < REACH_MAX {
            self.0.push(address);
        }
        self.has(address)
    }

    pub(super) fn has(&self, address: SocketAddr) -> bool {
        self.0.contains(&address)
    }

    pub(super) fn first(&self) -> Option<SocketAddr> {
        self.0.first().copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.0.iter().copied()
    }

    /// These addresses and where the connection itself came from.
    pub(super) fn with(&self, address: SocketAddr) -> impl Iterator<Item = SocketAddr> + '_ {
        self.iter().chain((!self.has(address)).then_some(address))
    }
}

/// Whether the newer of two connections to one peer stays. When both sides dialled at once, both must choose the same: the
/// connection that the side with the larger peer id opened. Later the older one stays, or whoever copies a peer id would
/// take the place of its owner.
pub(super) fn new_stays(age_of_older: Duration, [older, newer]: [Direction; 2], we_are_larger: bool) -> bool {
    let simultaneous = age_of_older < SIMULTANEOUS_OPEN && older != newer;
    simultaneous && ((newer == Direction::Outgoing) == we_are_larger)
}

/// Checks that each address that the book holds to be connected is one that a living connection stands for.
pub(super) fn assert_reached<'a>(
    connected: impl Iterator<Item = SocketAddr>,
    living: impl Iterator<Item = &'a Reach>,
) {
    let reached: Vec<&Reach> = living.collect();
    for address in connected {
        assert!(reached.iter().any(|reach| reach.has(address)), "{address} has a living peer");
    }
    assert!(reached.iter().all(|reach| reach.0.len() <= REACH_MAX), "a connection stands for few addresses");
}
