//! Decoding, header first.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use super::message::{Message, RawSpan, id};
use crate::{
    geometry::Geometry,
    limits::{BLOCK_LENGTH, EXTENDED_HANDSHAKE_BYTES_MAX, EXTENDED_MESSAGE_BYTES_MAX, PIECES_MAX},
};

/// Largest message of an unknown kind that is skipped rather than taken for an attack: room for the HASHES message
/// of BEP 52 (512 hashes) and for whatever comes after it.
pub const UNKNOWN_MESSAGE_BYTES_MAX: u32 = 64 * 1024;

/// What the torrent at hand says about the lengths of messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// The length of a BITFIELD's payload, in bytes.
    pub bitfield_bytes: u32,
    /// That is its exact length; else the longest.
    pub bitfield_is_exact: bool,
    /// The longest payload of an extended message, in bytes.
    pub extended_bytes_max: u32,
}

impl Rules {
    /// The rules for a torrent whose metadata is known.
    pub fn of(geometry: &Geometry) -> Self {
        Self {
            bitfield_bytes: geometry.pieces().div_ceil(8),
            bitfield_is_exact: true,
            extended_bytes_max: EXTENDED_MESSAGE_BYTES_MAX,
        }
    }

    /// The rules as long as the metadata is not known: a bitfield may be that of any torrent.
    pub const BEFORE_METADATA: Self = Self {
        bitfield_bytes: PIECES_MAX.div_ceil(8),
        bitfield_is_exact: false,
        extended_bytes_max: EXTENDED_MESSAGE_BYTES_MAX,
    };

    /// Whether a message of this kind may have this length (which counts the id).
    fn allow(self, id: u8, length: u32) -> bool {
        match id {
            id::CHOKE | id::UNCHOKE | id::INTERESTED | id::NOT_INTERESTED | id::HAVE_ALL | id::HAVE_NONE => {
                length == 1
            }
            id::HAVE | id::SUGGEST | id::ALLOWED_FAST => length == 5,
            id::REQUEST | id::CANCEL | id::REJECT => length == 13,
            id::PORT => length == 3,
            // Some peers that have nothing send a bitfield of no bytes at all.
            id::BITFIELD if self.bitfield_is_exact => length == 1 || length == 1 + self.bitfield_bytes,
            id::BITFIELD => (1..=1 + self.bitfield_bytes).contains(&length),
            id::PIECE => (9..=9 + BLOCK_LENGTH).contains(&length),
            id::EXTENDED => (2..=2 + self.extended_bytes_max).contains(&length),
            _ => length <= UNKNOWN_MESSAGE_BYTES_MAX,
        }
    }
}

/// Why a message cannot be taken; the connection is out of step from here on and must be closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum WireError {
    /// No message of this kind has this length.
    #[error("sent a message of kind {id} with a length of {length} bytes")]
    Length {
        /// The message's id.
        id: u8,
        /// The length that its prefix claims.
        length: u32,
    },
    /// The extended handshake is above [`EXTENDED_HANDSHAKE_BYTES_MAX`].
    #[error("sent an extended handshake of {0} bytes")]
    ExtendedHandshake(u32),
}

/// Takes the first message off `buffer`; `None` while it is incomplete, and then nothing is taken.
///
/// A message that no rule allows is an error as soon as its length and id are there, before the rest of it came. The
/// payload of a block is a view into the buffer's memory, not a copy.
pub fn decode(buffer: &mut BytesMut, rules: Rules) -> Result<Option<Message>, WireError> {
    let Some(prefix) = buffer.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*prefix);
    if length == 0 {
        buffer.advance(4);
        return Ok(Some(Message::KeepAlive));
    }
    let Some(&id) = buffer.get(4) else { return Ok(None) };
    check(buffer, id, length, rules)?;
    if buffer.len() - 4 < length as usize {
        return Ok(None);
    }
    buffer.advance(5);
    Ok(Some(take_body(buffer, id, length as usize - 1)))
}

fn check(buffer: &BytesMut, id: u8, length: u32, rules: Rules) -> Result<(), WireError> {
    if !rules.allow(id, length) {
        return Err(WireError::Length { id, length });
    }
    let is_extended_handshake = id == id::EXTENDED && buffer.get(5) == Some(&0);
    if is_extended_handshake && length as usize - 2 > EXTENDED_HANDSHAKE_BYTES_MAX {
        return Err(WireError::ExtendedHandshake(length - 2));
    }
    Ok(())
}

/// Takes the `length` bytes after the id. All of them are there, and the length fits the kind ([`Rules::allow`]).
fn take_body(buffer: &mut BytesMut, id: u8, length: usize) -> Message {
    match id {
        id::CHOKE => Message::Choke,
        id::UNCHOKE => Message::Unchoke,
        id::INTERESTED => Message::Interested,
        id::NOT_INTERESTED => Message::NotInterested,
        id::HAVE => Message::Have(buffer.get_u32()),
        id::BITFIELD => Message::Bitfield(take_bytes(buffer, length)),
        id::REQUEST => Message::Request(take_span(buffer)),
        id::PIECE => Message::Piece {
            piece: buffer.get_u32(),
            begin: buffer.get_u32(),
            payload: take_bytes(buffer, length - 8),
        },
        id::CANCEL => Message::Cancel(take_span(buffer)),
        id::PORT => Message::Port(buffer.get_u16()),
        id::SUGGEST => Message::Suggest(buffer.get_u32()),
        id::HAVE_ALL => Message::HaveAll,
        id::HAVE_NONE => Message::HaveNone,
        id::REJECT => Message::Reject(take_span(buffer)),
        id::ALLOWED_FAST => Message::AllowedFast(buffer.get_u32()),
        id::EXTENDED => Message::Extended { id: buffer.get_u8(), payload: take_bytes(buffer, length - 1) },
        _ => {
            buffer.advance(length);
            Message::Unknown { id }
        }
    }
}

fn take_span(buffer: &mut BytesMut) -> RawSpan {
    RawSpan { piece: buffer.get_u32(), begin: buffer.get_u32(), length: buffer.get_u32() }
}

fn take_bytes(buffer: &mut BytesMut, length: usize) -> Bytes {
    buffer.split_to(length).freeze()
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;
    use proptest::prelude::*;

    use super::*;

    const RULES: Rules = Rules { bitfield_bytes: 3, bitfield_is_exact: true, extended_bytes_max: 128 * 1024 };

    fn header(length: u32, id: u8) -> BytesMut {
        let mut buffer = BytesMut::new();
        buffer.put_u32(length);
        buffer.put_u8(id);
        buffer
    }

    #[test]
    fn row_2_3_lengths_are_judged_on_the_header() {
        let block = BLOCK_LENGTH;
        let good = [(0, 1), (3, 1), (4, 5), (5, 4), (5, 1), (6, 13), (7, 9), (7, 9 + block), (8, 13), (9, 3)];
        let fast = [(13, 5), (14, 1), (15, 1), (16, 13), (17, 5)];
        let others = [(20, 2), (20, 2 + 128 * 1024), (21, 49), (99, UNKNOWN_MESSAGE_BYTES_MAX)];
        for (id, length) in good.into_iter().chain(fast).chain(others) {
            assert!(RULES.allow(id, length), "{id} {length}");
        }
        let bad = [
            (0, 2),
            (0, u32::MAX),
            (2, 16 * 1024 * 1024),
            (4, 1),
            (4, 4),
            (4, 6),
            (5, 3),
            (5, 5),
            (6, 12),
            (6, 14),
            (7, 8),
            (7, 10 + block),
            (8, 1),
            (9, 2),
            (14, 2),
            (16, 12),
            (17, 1),
            (20, 1),
            (20, 3 + 128 * 1024),
            (20, 1 << 31),
            (99, UNKNOWN_MESSAGE_BYTES_MAX + 1),
            (255, u32::MAX),
        ];
        for (id, length) in bad {
            let mut buffer = header(length, id);
            assert_eq!(decode(&mut buffer, RULES), Err(WireError::Length { id, length }));
            assert!(buffer.capacity() < 1024, "a claim allocates nothing");
        }
        let mut handshake = header(2 + 64 * 1024 + 1, id::EXTENDED);
        assert_eq!(decode(&mut handshake, RULES), Ok(None), "it may be another extension's message");
        handshake.put_u8(0);
        assert_eq!(decode(&mut handshake, RULES), Err(WireError::ExtendedHandshake(64 * 1024 + 1)));
    }

    #[test]
    fn unknown_messages_are_skipped_and_keep_alives_are_values() {
        let mut buffer = header(4, 77);
        buffer.put_slice(b"abc");
        Message::KeepAlive.encode(&mut buffer);
        Message::HaveAll.encode(&mut buffer);
        assert_eq!(decode(&mut buffer, RULES), Ok(Some(Message::Unknown { id: 77 })));
        assert_eq!(decode(&mut buffer, RULES), Ok(Some(Message::KeepAlive)));
        assert_eq!(decode(&mut buffer, RULES), Ok(Some(Message::HaveAll)));
        assert_eq!(decode(&mut buffer, RULES), Ok(None));
    }

    fn span() -> impl Strategy<Value = RawSpan> {
        any::<(u32, u32, u32)>().prop_map(|(piece, begin, length)| RawSpan { piece, begin, length })
    }

    fn bytes(length: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = Bytes> {
        proptest::collection::vec(any::<u8>(), length).prop_map(Bytes::from)
    }

    fn message() -> impl Strategy<Value = Message> {
        prop_oneof![
            Just(Message::KeepAlive),
            Just(Message::Choke),
            Just(Message::Unchoke),
            Just(Message::Interested),
            Just(Message::NotInterested),
            any::<u32>().prop_map(Message::Have),
            bytes(3).prop_map(Message::Bitfield),
            bytes(0).prop_map(Message::Bitfield),
            span().prop_map(Message::Request),
            (any::<u32>(), any::<u32>(), bytes(0..50)).prop_map(|(piece, begin, payload)| Message::Piece {
                piece,
                begin,
                payload
            }),
            span().prop_map(Message::Cancel),
            any::<u16>().prop_map(Message::Port),
            any::<u32>().prop_map(Message::Suggest),
            Just(Message::HaveAll),
            Just(Message::HaveNone),
            span().prop_map(Message::Reject),
            any::<u32>().prop_map(Message::AllowedFast),
            (any::<u8>(), bytes(0..50)).prop_map(|(id, payload)| Message::Extended { id, payload }),
        ]
    }

    proptest! {
        #[test]
        fn messages_round_trip_however_they_are_cut(
            messages in proptest::collection::vec(message(), 0..20),
            chunk in 1usize..40,
        ) {
            let mut wire = BytesMut::new();
            for message in &messages {
                message.encode(&mut wire);
            }
            let (mut buffer, mut back) = (BytesMut::new(), Vec::new());
            for part in wire.chunks(chunk) {
                buffer.extend_from_slice(part);
                while let Some(message) = decode(&mut buffer, RULES).expect("valid") {
                    back.push(message);
                }
            }
            prop_assert!(buffer.is_empty());
            prop_assert_eq!(back, messages);
        }

        #[test]
        fn arbitrary_bytes_never_panic_and_always_advance(bytes: Vec<u8>, small in any::<bool>()) {
            // Half the time a plausible length, so that bodies are reached too.
            let mut buffer = BytesMut::from(&bytes[..]);
            if small && buffer.len() >= 4 {
                buffer[..3].fill(0);
            }
            let mut left = buffer.len();
            while let Ok(Some(_)) = decode(&mut buffer, RULES) {
                prop_assert!(buffer.len() < left);
                left = buffer.len();
            }
        }
    }
}
