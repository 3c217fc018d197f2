//! The control contract: what the engine tells its user interfaces, as plain data.
//!
//! An interface lives on [`TorrentSnapshot`]s (the whole state of a torrent at a moment, published a few times a
//! second) and [`Event`]s (what happened, in order). Both serialise; [`SCHEMA`] names the version of their shape.

mod event;
mod snapshot;

pub use event::{Event, EventKind, Level, PeerAction, PeerDecision};
pub use snapshot::{
    FileSnapshot, PeerDirection, PeerSnapshot, PieceState, TorrentError, TorrentErrorKind, TorrentSnapshot,
    TorrentState, TrackerSnapshot, TrackerState,
};

/// The version of everything in this module as it is serialised; it grows when a field changes its meaning.
pub const SCHEMA: u32 = 1;
