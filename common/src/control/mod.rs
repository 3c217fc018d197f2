//! The control contract: what a user interface asks of an engine, and what it is told, as plain data.
//!
//! An interface sends [`Request`]s: what it wants to see ([`View`]) and what is to be done ([`Command`]). It hears
//! [`Update`]s: one snapshot, then what changed, at most four times a second and only of what it wants to see, beside the
//! answers to its requests. [`State`] is what it knows: apply each update to it. All of it serialises in both
//! directions, so that the same travels within a process and over a socket; [`VERSION`] names its shape, and is the first that is told.
//! Paths are absolute and UTF-8: others are refused where they are named, and both sides see the same file system.
//!
//! [`TorrentSnapshot`]s and [`Event`]s are also what `--json` prints; [`SCHEMA`] names the version of those.

mod command;
mod delta;
mod detail;
mod discovery;
mod disk;
mod event;
mod fairness;
mod feed;
mod history;
mod recorder;
mod rows;
mod session;
mod state;
mod summary;
mod view;

pub use command::{
    AddTorrent, Command, CommandError, CommandErrorKind, QueueStep, Reply, Request, RequestBody,
    SettingsChange, TorrentSource,
};
pub use delta::{Delta, DetailDelta, ListDelta, Update, UpdateBody};
pub use detail::{
    About, FilePriority, FileSnapshot, PeerDirection, PeerSlot, PeerSnapshot, PieceHolders, PieceState,
    TorrentDetail, TorrentPeer, TrackerSnapshot, TrackerState,
};
pub use discovery::{DhtSummary, DiscoverySnapshot, DiscoveryState, PeerSource, PortReach, PortSummary};
pub use disk::{DiskSnapshot, FolderSpace};
pub use event::{Event, EventKind, Level, PeerAction, PeerDecision};
pub use fairness::{FairnessSnapshot, PeerBalance, SlotRound};
pub use feed::{Feed, Scene, SceneDetail};
pub use history::{History, HistoryRange};
pub use recorder::RateRecorder;
pub use rows::{RowChanges, Rows};
pub use session::{SessionSnapshot, Settings};
pub use state::{Detail, State};
pub use summary::{
    Limits, TorrentError, TorrentErrorKind, TorrentRow, TorrentSnapshot, TorrentState, TorrentSummary,
};
pub use view::{Aspects, DetailView, View};

/// The version of [`Event`]s and snapshots as `--json` prints them; it grows when a field changes its meaning.
pub const SCHEMA: u32 = 1;

/// The version of [`Request`]s and [`Update`]s; it grows when a side could misunderstand the other.
pub const VERSION: u32 = 1;
