//! Extended handshakes (BEP 10).

use potluck_common::wire::{CLIENT_CHARS_MAX, ExtendedHandshake};

use super::assert_printable;

/// Reads a payload; what was understood of it survives being written and read again.
pub fn run(bytes: &[u8]) {
    match ExtendedHandshake::decode(bytes) {
        Ok(handshake) => {
            if let Some(client) = &handshake.client {
                assert!(client.as_str().chars().count() <= CLIENT_CHARS_MAX, "{client}");
                assert_printable(client);
            }
            assert_ne!(handshake.listen_port, Some(0));
            assert_ne!(handshake.request_queue, Some(0));
            let again = ExtendedHandshake::decode(&handshake.encode()).expect("we write what we read");
            assert_eq!(again, handshake);
        }
        Err(error) => assert_printable(error),
    }
}
