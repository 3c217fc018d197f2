//! Messages of peer exchange (BEP 11).

use potluck_common::wire::{PEX_CONTACTS_MAX, PexMessage};

use super::assert_printable;

/// Reads a payload; what was understood of it is bounded, and survives being written and read again.
pub fn run(bytes: &[u8]) {
    match PexMessage::decode(bytes) {
        Ok(message) => {
            assert!(message.added.len() <= PEX_CONTACTS_MAX && message.dropped.len() <= PEX_CONTACTS_MAX);
            let again = PexMessage::decode(&message.encode()).expect("we write what we read");
            // Mapped addresses were turned into IPv4, which comes first.
            let sorted = |mut message: PexMessage| {
                message.added.sort_by_key(|contact| contact.address.is_ipv6());
                message.dropped.sort_by_key(std::net::SocketAddr::is_ipv6);
                message
            };
            assert_eq!(sorted(again), sorted(message));
        }
        Err(error) => assert_printable(error),
    }
}
