//! Who was given its allowed-fast pieces already (BEP 6).
//!
//! A choked peer may have these pieces for nothing. One that reconnects for as often as it likes would make us send
//! without end, so that a grant is remembered for the address and not for the connection.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use potluck_common::{AddrScope, Duration, Instant, PeerId};

use super::BanSubject;

/// How long a grant is remembered.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// Most addresses remembered. When there are more, newcomers wait for their turn like everybody else.
const ADDRESSES_MAX: usize = 4_096;
/// Peers that share a private address, and get something each: as many as a lab has machines.
const PEERS_PER_ADDRESS_MAX: usize = 64;

/// The grants of the last hour.
///
/// Invariant: at most [`ADDRESSES_MAX`] entries, of at most [`PEERS_PER_ADDRESS_MAX`] peers each.
#[derive(Debug, Default)]
pub(super) struct FastLedger {
    granted: BTreeMap<IpAddr, Grants>,
}

#[derive(Debug)]
struct Grants {
    since: Instant,
    peers: BTreeSet<PeerId>,
}

impl FastLedger {
    /// Whether this peer may have its pieces now; if so, it may not for an hour. The peers of a public address share
    /// one grant.
    pub(super) fn grant(&mut self, now: Instant, ip: IpAddr, peer: PeerId) -> bool {
        // The /64 of an IPv6 address, as for bans.
        let (ip, peers_max) = match BanSubject::of(ip, peer) {
            BanSubject::Address(ip) => (ip, 1),
            BanSubject::Peer(ip, _) if AddrScope::of(ip) == AddrScope::Unusable => (ip, 1),
            BanSubject::Peer(ip, _) => (ip, PEERS_PER_ADDRESS_MAX),
        };
        if self.granted.get(&ip).is_some_and(|grants| now.since(grants.since) >= REMEMBERED) {
            self.granted.remove(&ip);
        }
        if !self.granted.contains_key(&ip) && self.granted.len() >= ADDRESSES_MAX {
            self.granted.retain(|_, grants| now.since(grants.since) < REMEMBERED);
            if self.granted.len() >= ADDRESSES_MAX {
                return false;
            }
        }
        let grants = self.granted.entry(ip).or_insert(Grants { since: now, peers: BTreeSet::new() });
        grants.peers.len() < peers_max && grants.peers.insert(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn peer(number: u8) -> PeerId {
        PeerId([number; 20])
    }

    #[test]
    fn row_2_17_an_address_is_granted_its_pieces_once_in_an_hour() {
        let mut ledger = FastLedger::default();
        let at = Instant::from_secs;
        for (seconds, address, who, granted) in [
            (0, "9.9.9.9", 1, true),
            (0, "9.9.9.9", 1, false),
            (0, "9.9.9.9", 2, false),
            (0, "::ffff:9.9.9.9", 2, false),
            (0, "9.9.9.8", 1, true),
            (0, "2606::1:2:3:4", 1, true),
            (0, "2606::9:9:9:9", 2, false),
            (3_599, "9.9.9.9", 3, false),
            (3_600, "9.9.9.9", 3, true),
            (3_600, "9.9.9.9", 3, false),
            // Machines behind one private address are told apart.
            (0, "192.168.0.1", 1, true),
            (0, "192.168.0.1", 2, true),
            (0, "192.168.0.1", 1, false),
        ] {
            assert_eq!(
                ledger.grant(at(seconds), ip(address), peer(who)),
                granted,
                "{address} {who} at {seconds} s"
            );
        }
    }

    #[test]
    fn row_2_17_neither_names_nor_addresses_by_the_thousand_get_more() {
        let mut ledger = FastLedger::default();
        let named = (0..=255).filter(|n| ledger.grant(Instant::ZERO, ip("127.0.0.1"), peer(*n))).count();
        assert_eq!(named, PEERS_PER_ADDRESS_MAX);
        let from = |n: u32| IpAddr::from((0x0b00_0000 + n).to_be_bytes());
        let count = |ledger: &mut FastLedger, now| {
            (0..10_000).filter(|n| ledger.grant(now, from(*n), peer(1))).count()
        };
        assert_eq!(count(&mut ledger, Instant::from_secs(1)), ADDRESSES_MAX - 1);
        assert_eq!(count(&mut ledger, Instant::from_secs(2)), 0);
        assert_eq!(count(&mut ledger, Instant::from_secs(4_000)), ADDRESSES_MAX);
        assert!(ledger.granted.len() <= ADDRESSES_MAX);
    }
}
