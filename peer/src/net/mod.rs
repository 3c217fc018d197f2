//! Sockets: listening, dialling, limiting, and the loop that moves one connection's bytes.

pub(crate) mod dial;
pub(crate) mod interfaces;
pub(crate) mod limiter;
pub(crate) mod listen;
pub(crate) mod metadata_task;
mod output;
mod pacing;
pub(crate) mod peer_task;
pub(crate) mod piece_table;
pub(crate) mod report;
pub(crate) mod udp;
pub(crate) mod uplink;
mod uploads;
pub(crate) mod waiting_room;
