//! The protocol machines of a BitTorrent peer: every decision of the engine, and no input or output.
//!
//! Each machine has one owner, takes time and entropy as arguments, and follows one contract: `handle…` when
//! something happened outside, `handle_timeout` when a deadline it asked for (`poll_timeout`) has passed, and
//! `poll_…` until `None` for what the shell must do. Sibling machines do not import each other; only
//! [`torrent`] composes them.

pub mod announce;
pub mod blame;
pub mod choker;
pub mod dht;
pub mod identity;
pub mod lsd;
pub mod metadata;
mod peer_book;
pub mod picker;
pub mod rate;
pub mod reachability;
pub mod session;
pub mod slots;
pub mod super_seed;
pub mod torrent;
pub mod uplink;

pub use identity::Identity;

/// One connection to one peer, for as long as it lasts; never reused within an engine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PeerKey(pub u64);
