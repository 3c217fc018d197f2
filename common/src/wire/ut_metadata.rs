//! The messages by which peers give each other the `info` dictionary (`ut_metadata`, BEP 9).

use bytes::Bytes;
use thiserror::Error;

use crate::{
    bencode::{BencodeError, Limits, encode_dict, parse_prefix},
    limits::{METADATA_BYTES_MAX, METADATA_PIECE_BYTES},
};

/// The name of the extension in an extended handshake (BEP 10).
pub const UT_METADATA: &str = "ut_metadata";

/// The dictionary of a message is flat and has three short values; what others may have added must be small.
const DICTIONARY: Limits = Limits::lenient(4, 64, 1_024);

/// A message of the extension. Numbers of pieces are as they came: whether there is such a piece is the receiver's to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MetadataMessage {
    /// The sender asks for a piece.
    Request(u32),
    /// A piece.
    Data {
        /// Its number.
        piece: u32,
        /// The length of the whole `info` dictionary in bytes, as the sender has it; BEP 9 demands it, and some leave it out.
        total_size: Option<u32>,
        /// The bytes that follow the dictionary, at most [`METADATA_PIECE_BYTES`].
        payload: Bytes,
    },
    /// The sender does not give a piece.
    Reject(u32),
    /// A message of another kind, which BEP 9 says to ignore.
    Unknown,
}

/// Why a payload is no message of the extension.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum MetadataMessageError {
    /// It does not begin with a bencoded value, or that is beyond the limits.
    #[error("sent a metadata message that cannot be read: {0}")]
    Bencode(#[from] BencodeError),
    /// It begins with another value than a dictionary, or a number is missing in that.
    #[error("sent a metadata message without a kind or a piece number")]
    Incomplete,
    /// The piece's number is negative or does not fit 32 bits.
    #[error("sent a metadata message about a piece that cannot exist")]
    Piece,
    /// More bytes follow the dictionary than a piece has.
    #[error("sent a piece of metadata of {0} bytes")]
    Length(usize),
}

impl MetadataMessage {
    const REQUEST: i64 = 0;
    const DATA: i64 = 1;
    const REJECT: i64 = 2;

    /// The payload of the message.
    pub fn encode(&self) -> Vec<u8> {
        let dictionary = |kind: i64, piece: u32, total_size: Option<u32>| {
            encode_dict(|out| {
                out.int(b"msg_type", kind);
                out.int(b"piece", i64::from(piece));
                if let Some(size) = total_size {
                    out.int(b"total_size", i64::from(size));
                }
            })
        };
        match self {
            Self::Request(piece) => dictionary(Self::REQUEST, *piece, None),
            Self::Data { piece, total_size, payload } => {
                let mut message = dictionary(Self::DATA, *piece, *total_size);
                message.extend_from_slice(payload);
                message
            }
            Self::Reject(piece) => dictionary(Self::REJECT, *piece, None),
            Self::Unknown => Vec::new(),
        }
    }

    /// Reads a payload. The bytes of a piece are a view into it, not a copy.
    pub fn decode(payload: &Bytes) -> Result<Self, MetadataMessageError> {
        let (document, length) = parse_prefix(payload, &DICTIONARY)?;
        let root = document.root();
        let number = |key: &[u8]| root.get(key).and_then(|value| value.as_int());
        let kind = number(b"msg_type").ok_or(MetadataMessageError::Incomplete)?;
        if !(Self::REQUEST..=Self::REJECT).contains(&kind) {
            return Ok(Self::Unknown);
        }
        let piece = root.get(b"piece").ok_or(MetadataMessageError::Incomplete)?;
        let piece = piece.as_int().and_then(|piece| u32::try_from(piece).ok());
        let piece = piece.ok_or(MetadataMessageError::Piece)?;
        Ok(match kind {
            Self::REQUEST => Self::Request(piece),
            Self::REJECT => Self::Reject(piece),
            _ => {
                let rest = payload.len() - length;
                if rest > METADATA_PIECE_BYTES as usize {
                    return Err(MetadataMessageError::Length(rest));
                }
                let total_size = number(b"total_size").and_then(|size| u32::try_from(size).ok());
                Self::Data { piece, total_size, payload: payload.slice(length..) }
            }
        })
    }
}

/// How an `info` dictionary divides into the pieces of BEP 9: [`METADATA_PIECE_BYTES`] each, and what is left.
///
/// Only sizes from 1 to [`METADATA_BYTES_MAX`] are minted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct MetadataSize(u32);

impl MetadataSize {
    /// The division of `size` bytes; `None` if no `info` dictionary that we take has that size.
    pub fn new(size: u32) -> Option<Self> {
        (1..=METADATA_BYTES_MAX).contains(&size).then_some(Self(size))
    }

    /// The size of an `info` dictionary of ours; `None` if it is larger than what anybody would take.
    pub fn of(info: &[u8]) -> Option<Self> {
        u32::try_from(info.len()).ok().and_then(Self::new)
    }

    /// In bytes.
    pub fn get(self) -> u32 {
        self.0
    }

    /// The number of pieces, at least one.
    pub fn pieces(self) -> u32 {
        self.0.div_ceil(METADATA_PIECE_BYTES)
    }

    /// The length of a piece in bytes; `None` if there is no such piece.
    pub fn length_of(self, piece: u32) -> Option<u32> {
        let begin = self.begin_of(piece)?;
        Some((self.0 - begin).min(METADATA_PIECE_BYTES))
    }

    /// The offset of a piece in bytes; `None` if there is no such piece.
    pub fn begin_of(self, piece: u32) -> Option<u32> {
        (piece < self.pieces()).then(|| piece * METADATA_PIECE_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(payload: &[u8]) -> Result<MetadataMessage, MetadataMessageError> {
        MetadataMessage::decode(&Bytes::copy_from_slice(payload))
    }

    #[test]
    fn the_examples_of_bep_9() {
        let data = MetadataMessage::Data {
            piece: 0,
            total_size: Some(34_256),
            payload: Bytes::from_static(b"xxxxxxxx"),
        };
        for (wire, message) in [
            (&b"d8:msg_typei0e5:piecei0ee"[..], MetadataMessage::Request(0)),
            (b"d8:msg_typei1e5:piecei0e10:total_sizei34256eexxxxxxxx", data),
            (b"d8:msg_typei2e5:piecei0ee", MetadataMessage::Reject(0)),
        ] {
            assert_eq!(decode(wire), Ok(message.clone()));
            assert_eq!(message.encode(), wire);
        }
    }

    #[test]
    fn row_2_11_numbers_are_taken_as_they_are_or_refused() {
        use MetadataMessageError as E;
        for (wire, expected) in [
            (&b"d8:msg_typei0e5:piecei4294967295ee"[..], Ok(MetadataMessage::Request(u32::MAX))),
            (b"d8:msg_typei0e5:piecei4294967296ee", Err(E::Piece)),
            (b"d8:msg_typei0e5:piecei-1ee", Err(E::Piece)),
            (b"d8:msg_typei0e5:piece1:0e", Err(E::Piece)),
            (b"d8:msg_typei0ee", Err(E::Incomplete)),
            (b"d5:piecei0ee", Err(E::Incomplete)),
            (b"i0e", Err(E::Incomplete)),
            (b"d8:msg_typei3e5:piecei0ee", Ok(MetadataMessage::Unknown)),
            (b"d8:msg_typei-1e5:piecei0ee", Ok(MetadataMessage::Unknown)),
            // Old clients have the keys in another order.
            (b"d5:piecei7e8:msg_typei2ee", Ok(MetadataMessage::Reject(7))),
        ] {
            assert_eq!(decode(wire), expected, "{}", wire.escape_ascii());
        }
        let huge = [b"d8:msg_typei1e5:piecei0ee".to_vec(), vec![0; 16 * 1024 + 1]].concat();
        assert_eq!(decode(&huge), Err(E::Length(16 * 1024 + 1)));
        let deep = [vec![b'l'; 500], vec![b'e'; 500]].concat();
        assert!(matches!(decode(&deep), Err(E::Bencode(_))));
    }

    #[test]
    fn row_1_12_sizes_that_nobody_would_take_are_not_minted() {
        let most = METADATA_BYTES_MAX;
        for (size, pieces, last) in [
            (0, None, 0),
            (1, Some(1), 1),
            (16 * 1024, Some(1), 16 * 1024),
            (16 * 1024 + 1, Some(2), 1),
            (most, Some(1_024), 16 * 1024),
            (most + 1, None, 0),
            (i32::MAX as u32, None, 0),
            (u32::MAX, None, 0),
        ] {
            let minted = MetadataSize::new(size);
            assert_eq!(minted.map(MetadataSize::pieces), pieces, "{size}");
            if let (Some(minted), Some(pieces)) = (minted, pieces) {
                assert_eq!(minted.length_of(pieces - 1), Some(last), "{size}");
                assert_eq!(minted.length_of(pieces), None, "{size}");
                assert_eq!(minted.begin_of(u32::MAX), None, "{size}");
            }
        }
    }

    fn message() -> impl Strategy<Value = MetadataMessage> {
        let payload = proptest::collection::vec(any::<u8>(), 0..100);
        prop_oneof![
            any::<u32>().prop_map(MetadataMessage::Request),
            any::<u32>().prop_map(MetadataMessage::Reject),
            (any::<u32>(), any::<Option<u32>>(), payload).prop_map(|(piece, total_size, payload)| {
                MetadataMessage::Data { piece, total_size, payload: payload.into() }
            }),
        ]
    }

    proptest! {
        #[test]
        fn messages_round_trip(message in message()) {
            prop_assert_eq!(decode(&message.encode()), Ok(message));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }

        #[test]
        fn pieces_cover_the_metadata(size in 1..=200_000u32) {
            let size = MetadataSize::new(size).expect("in bounds");
            let lengths = (0..size.pieces()).map(|piece| size.length_of(piece).expect("it exists"));
            prop_assert_eq!(lengths.sum::<u32>(), size.get());
        }
    }
}
