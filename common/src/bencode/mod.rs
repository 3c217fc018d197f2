//! Bencode: a bounded scanner, a zero-copy cursor, a typed decoder behind them, and a canonical writer.
//!
//! Everything bencoded from outside goes through [`parse`] or [`parse_prefix`] first. The scanner is iterative, so
//! nesting cannot overflow a stack; it checks every length against the bytes that are there, and it stops at the
//! [`Limits`] of the caller. What it returns borrows the input: the raw bytes of a value ([`Node::span`]) are those
//! that arrived, which is what info-hashes are made of.
//!
//! `serde_bencode` has no such bounds and rejects a whole file for an odd key in a place nobody reads. It is used
//! behind the scanner only: [`from_bytes`] for values of known shape, [`decode_known`] for dictionaries of foreign
//! origin.

mod de;
mod node;
mod scan;
mod write;

#[cfg(test)]
mod tests;

use thiserror::Error;

pub use de::{DecodeError, Wanted, decode_known, from_bytes};
pub use node::{Dict, Document, Kind, List, Node};
pub(crate) use scan::check_canonical;
pub use scan::{parse, parse_prefix};
pub use write::{DictWriter, ListWriter, encode_dict, encode_list};

use crate::limits;

/// How exactly the encoding must follow BEP 3.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// What old or careless software writes is accepted: unsorted keys, leading zeros, `i-0e`, and line ends after
    /// the last byte of a document. Equal keys in one dictionary are refused all the same: two readers could take
    /// different ones.
    Lenient,
    /// The one canonical encoding of a value and nothing else, as BEP 52 demands and as we write it.
    Strict,
}

/// The bounds within which a value is scanned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Most lists and dictionaries that may be open at one time.
    pub depth: usize,
    /// Most values, counting each dictionary key as one.
    pub tokens: usize,
    /// Most bytes of the encoded value.
    pub bytes: usize,
    /// How exact the encoding must be.
    pub mode: Mode,
}

impl Limits {
    /// For a `.torrent` file of any origin.
    pub const METAINFO: Self =
        Self::lenient(limits::BENCODE_DEPTH_MAX, limits::BENCODE_TOKENS_MAX, limits::METAINFO_BYTES_MAX);

    /// For an extended handshake (BEP 10).
    pub const EXTENDED_HANDSHAKE: Self = Self::lenient(
        limits::EXTENDED_HANDSHAKE_DEPTH_MAX,
        limits::EXTENDED_HANDSHAKE_TOKENS_MAX,
        limits::EXTENDED_HANDSHAKE_BYTES_MAX,
    );

    /// For the reply of an HTTP tracker: flat, but an uncompacted peer list has eight tokens per peer.
    pub const TRACKER_REPLY: Self = Self::lenient(20, 100_000, limits::TRACKER_REPLY_BYTES_MAX);

    /// Lenient limits with these bounds.
    pub const fn lenient(depth: usize, tokens: usize, bytes: usize) -> Self {
        Self { depth, tokens, bytes, mode: Mode::Lenient }
    }

    /// The same bounds, with the canonical encoding demanded.
    #[must_use]
    pub const fn strict(self) -> Self {
        Self { mode: Mode::Strict, ..self }
    }
}

/// Why bytes are not a bencoded value within the limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("at byte {position}: {kind}")]
pub struct BencodeError {
    /// Offset of the first byte of what is wrong.
    pub position: usize,
    /// What is wrong there.
    pub kind: ErrorKind,
}

/// What is wrong with an encoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ErrorKind {
    /// The input ends inside a value.
    #[error("the data ends in the middle of a value")]
    UnexpectedEnd,
    /// No value begins with this byte.
    #[error("byte 0x{0:02x} does not begin a value")]
    UnexpectedByte(u8),
    /// A dictionary key is not a byte string.
    #[error("a dictionary key is not a string")]
    KeyNotString,
    /// A dictionary ends after a key.
    #[error("a dictionary key has no value")]
    ValueMissing,
    /// An integer is not an optional minus sign and digits up to an `e`.
    #[error("malformed integer")]
    Integer,
    /// An integer has leading zeros or is minus zero (strict mode only).
    #[error("integer is not in canonical form")]
    IntegerNotCanonical,
    /// A string's length is not digits up to a colon.
    #[error("malformed string length")]
    Length,
    /// A string's length has leading zeros (strict mode only).
    #[error("string length is not in canonical form")]
    LengthNotCanonical,
    /// A string is longer than what is left of the input.
    #[error("a string is longer than the data that is left")]
    StringPastEnd,
    /// The keys of a dictionary are not in order (strict mode only).
    #[error("dictionary keys are not sorted")]
    KeysUnsorted,
    /// Two keys of one dictionary are equal.
    #[error("two equal keys in one dictionary")]
    KeyDuplicate,
    /// Bytes follow the value.
    #[error("data follows the end of the value")]
    TrailingData,
    /// [`Limits::depth`] is exceeded.
    #[error("nesting is deeper than {0} levels")]
    Depth(usize),
    /// [`Limits::tokens`] is exceeded.
    #[error("more than {0} values")]
    Tokens(usize),
    /// [`Limits::bytes`] is exceeded.
    #[error("longer than {0} bytes")]
    Bytes(usize),
}
