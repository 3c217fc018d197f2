//! The wire protocol: handshakes, the routing of incoming connections, and messages under any geometry.

use arbitrary::Unstructured;
use bytes::BytesMut;
use potluck_common::{
    Geometry,
    limits::{PIECE_LENGTH_MAX, TOTAL_SIZE_MAX},
    wire::{HANDSHAKE_BYTES, Handshake, Message, Preamble, Rules, decode},
};

use super::assert_printable;

/// The first bytes choose a geometry; the others come from the peer.
pub fn run(bytes: &[u8]) {
    handshake(bytes);
    let mut choices = Unstructured::new(bytes);
    let Ok(geometry) = geometry(&mut choices) else { return };
    messages(&geometry, choices.take_rest());
}

fn geometry(choices: &mut Unstructured<'_>) -> arbitrary::Result<Geometry> {
    let piece_length = choices.int_in_range(1..=PIECE_LENGTH_MAX)?;
    let pieces = choices.int_in_range(0..=TOTAL_SIZE_MAX / u64::from(piece_length))?;
    let total = pieces * u64::from(piece_length);
    Geometry::new(total, piece_length.into()).map_err(|_| arbitrary::Error::IncorrectFormat)
}

fn handshake(bytes: &[u8]) {
    match (Handshake::decode(bytes), Preamble::of(bytes)) {
        (Ok(Some(handshake)), preamble) => {
            assert_eq!(preamble, Preamble::Route(handshake.info_hash));
            assert_eq!(handshake.encode(), bytes[..HANDSHAKE_BYTES]);
        }
        (Ok(None), Preamble::Route(_) | Preamble::NeedMore) => assert!(bytes.len() < HANDSHAKE_BYTES),
        (Err(_), Preamble::Close) => {}
        (outcome, preamble) => panic!("{outcome:?} but {preamble:?}"),
    }
}

/// Decodes message after message; each is what its bytes say, and before its last byte nothing is taken.
fn messages(geometry: &Geometry, bytes: &[u8]) {
    let rules = Rules::of(geometry);
    let mut buffer = BytesMut::from(bytes);
    loop {
        let before = buffer.clone();
        match decode(&mut buffer, rules) {
            Ok(Some(message)) => {
                let taken = &before[..before.len() - buffer.len()];
                let mut short = BytesMut::from(&taken[..taken.len() - 1]);
                assert_eq!(decode(&mut short, rules), Ok(None), "{message:?}");
                assert_eq!(short.len(), taken.len() - 1, "an incomplete message stays");
                understand(geometry, &message, taken);
            }
            Ok(None) => return assert_eq!(buffer, before),
            Err(error) => return assert_printable(error),
        }
    }
}

fn understand(geometry: &Geometry, message: &Message, taken: &[u8]) {
    let mut encoded = BytesMut::new();
    message.encode(&mut encoded);
    match message {
        Message::Unknown { .. } => assert!(encoded.is_empty()),
        Message::Request(raw) | Message::Cancel(raw) | Message::Reject(raw) => {
            assert_eq!(encoded, taken);
            if let Some(span) = raw.mint(geometry) {
                assert!(span.begin + span.length <= geometry.length_of(span.piece) && span.length > 0);
            }
        }
        _ => assert_eq!(encoded, taken),
    }
}
