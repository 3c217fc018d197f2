//! The peer wire protocol's codec: handshake and messages of BEP 3, 5 (PORT), 6, 9, 10 and 11.
//!
//! Decoding is header-first: [`decode`] judges a message by its first five bytes, before anything of it needs to be
//! buffered, so memory follows the bytes that came and never a length that was only claimed. Integers stay raw here;
//! [`Geometry`](crate::Geometry) mints them into indices and spans.

mod allowed_fast;
mod decode;
mod extended;
mod handshake;
mod message;
mod ut_metadata;
mod ut_pex;
pub mod utp;

pub use allowed_fast::allowed_fast_set;
pub use decode::{Rules, UNKNOWN_MESSAGE_BYTES_MAX, WireError, decode};
pub use extended::{CLIENT_CHARS_MAX, ExtendedError, ExtendedHandshake};
pub use handshake::{HANDSHAKE_BYTES, Handshake, HandshakeError, PROTOCOL, Preamble, Reserved};
pub use message::{Message, PIECE_HEADER_BYTES, RawSpan, piece_header};
pub use ut_metadata::{MetadataMessage, MetadataMessageError, MetadataSize, UT_METADATA};
pub use ut_pex::{PEX_CONTACTS_MAX, PexContact, PexError, PexFlags, PexMessage};
