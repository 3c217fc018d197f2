//! The vocabulary that every Potluck crate shares: identifiers, time, bencode, metainfo, magnet links, and the
//! wire, announce and control codecs.
//!
//! This crate is pure. It cannot reach a clock, a socket, a file, a thread, an entropy source or a randomly
//! ordered map; everything from outside arrives as bytes and leaves as values or typed errors.

pub mod addr;
pub mod announce;
pub mod bencode;
pub mod bitfield;
pub mod client;
pub mod control;
pub mod geometry;
pub mod hash;
pub mod id;
pub mod krpc;
pub mod limits;
pub mod lsd;
pub mod magnet;
pub mod metainfo;
pub mod printable;
pub mod rng;
pub mod time;
pub mod wire;

pub use addr::AddrScope;
pub use bitfield::Bitfield;
pub use geometry::{BlockSpan, Geometry, PieceIndex};
pub use id::{InfoHash, InfoHashV2, PeerId};
pub use printable::Printable;
pub use rng::Rng;
pub use time::{Duration, Instant};
