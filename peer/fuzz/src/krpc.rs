//! Datagrams of the DHT (BEP 5, 32, 42, 43).

use potluck_common::krpc::{Body, DATAGRAM_BYTES_READ_MAX, Message, TRANSACTION_BYTES_MAX};

use super::assert_printable;

/// Reads a datagram; what was understood survives being written and read again.
pub fn run(bytes: &[u8]) {
    match Message::decode(bytes) {
        Ok(message) => {
            assert!(message.transaction.len() <= TRANSACTION_BYTES_MAX);
            if let Body::Response(response) = &message.body {
                let listed = response.nodes.iter().chain(response.nodes6.iter()).count();
                assert!(listed + response.peers.iter().count() <= DATAGRAM_BYTES_READ_MAX / 6);
            }
            let again = message.encode();
            assert_eq!(Message::decode(&again), Ok(message));
        }
        Err(error) => assert_printable(error),
    }
}
