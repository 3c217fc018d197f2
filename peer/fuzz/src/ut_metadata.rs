//! Messages of `ut_metadata` (BEP 9).

use bytes::Bytes;
use potluck_common::{limits::METADATA_PIECE_BYTES, wire::MetadataMessage};

use super::assert_printable;

/// Reads a payload; what was understood of it survives being written and read again.
pub fn run(bytes: &[u8]) {
    match MetadataMessage::decode(&Bytes::copy_from_slice(bytes)) {
        Ok(MetadataMessage::Unknown) => {}
        Ok(message) => {
            if let MetadataMessage::Data { payload, .. } = &message {
                assert!(payload.len() <= METADATA_PIECE_BYTES as usize);
            }
            let again = MetadataMessage::decode(&message.encode().into()).expect("we write what we read");
            assert_eq!(again, message);
        }
        Err(error) => assert_printable(error),
    }
}
