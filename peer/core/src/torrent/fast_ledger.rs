//! Who was given its allowed-fast pieces already (BEP 6).
//!
//! A choked peer may have these pieces for nothing. One that reconnects for as often as it likes would make us send
//! without end, so that a grant is remembered for the address and not for the connection.

use std::collections::BTreeMap;

use potluck_common::{Duration, Instant};

use crate::Identity;

/// How long a grant is remembered.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// Most grants remembered. When there are more, newcomers wait for their turn like everybody else.
const GRANTS_MAX: usize = 4_096;
/// Peers that share an address at which identities are told apart by name, and get something each: as many as a lab has
/// machines.
const PEERS_PER_ADDRESS_MAX: usize = 64;

/// The grants of the last hour.
///
/// Invariant: at most [`GRANTS_MAX`] entries, and [`PEERS_PER_ADDRESS_MAX`] of one address.
#[derive(Debug, Default)]
pub(super) struct FastLedger {
    granted: BTreeMap<Identity, Instant>,
}

impl FastLedger {
    /// Whether this peer may have its pieces now; if so, it may not for an hour.
    pub(super) fn grant(&mut self, now: Instant, who: Identity) -> bool {
        let is_over = |at: Instant| now.since(at) >= REMEMBERED;
        if self.granted.get(&who).is_some_and(|at| !is_over(*at)) {
            return false;
        }
        let of_address = |granted: &BTreeMap<Identity, Instant>| granted.range(who.everybody_there()).count();
        if self.granted.len() >= GRANTS_MAX || of_address(&self.granted) >= PEERS_PER_ADDRESS_MAX {
            self.granted.retain(|_, at| !is_over(*at));
            if self.granted.len() >= GRANTS_MAX || of_address(&self.granted) >= PEERS_PER_ADDRESS_MAX {
                return false;
            }
        }
        self.granted.insert(who, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use potluck_common::PeerId;

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
            (0, "192.168.0.1", 1, true),
            (0, "192.168.0.1", 2, false),
            // Everybody on this machine may have this address.
            (0, "127.0.0.1", 1, true),
            (0, "127.0.0.1", 2, true),
            (0, "127.0.0.1", 1, false),
        ] {
            assert_eq!(
                ledger.grant(at(seconds), Identity::of_peer(ip(address), peer(who))),
                granted,
                "{address} {who} at {seconds} s"
            );
        }
    }

    #[test]
    fn row_2_17_neither_names_nor_addresses_by_the_thousand_get_more() {
        let mut ledger = FastLedger::default();
        let named = (0..=255)
            .filter(|n| ledger.grant(Instant::ZERO, Identity::of_peer(ip("127.0.0.1"), peer(*n))))
            .count();
        assert_eq!(named, PEERS_PER_ADDRESS_MAX);
        let from = |n: u32| IpAddr::from((0x0b00_0000 + n).to_be_bytes());
        let count = |ledger: &mut FastLedger, now| {
            (0..10_000).filter(|n| ledger.grant(now, Identity::of_peer(from(*n), peer(1)))).count()
        };
        assert_eq!(count(&mut ledger, Instant::from_secs(1)), GRANTS_MAX - PEERS_PER_ADDRESS_MAX);
        assert_eq!(count(&mut ledger, Instant::from_secs(2)), 0);
        assert_eq!(count(&mut ledger, Instant::from_secs(4_000)), GRANTS_MAX);
        assert!(ledger.granted.len() <= GRANTS_MAX);
    }
}
