//! The engine: the pure machines of `potluck-core` on tokio, with real sockets, real files and real trackers.
//!
//! Start an [`engine::Engine`], add torrents to it, and watch their snapshots and events. [`check`] verifies a payload on
//! the disk, [`fetch`] gets a `.torrent` by URL. Nothing here decides anything about the protocol: the tasks in `net` and
//! `engine` move bytes and carry out effects.

pub mod announce;
pub mod check;
pub mod create;
pub mod dht;
pub mod disk;
pub mod engine;
pub mod fetch;
mod lsd;
pub mod manager;
mod net;
mod port_map;
pub mod resume;
