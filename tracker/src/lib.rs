//! The tracker server: sockets around the pure swarm store of `potluck-tracker-core`.
//!
//! [`TrackerServer::bind`] starts a tracker inside the caller's tokio runtime, for a demo and for tests as much as for
//! the `potluck-tracker` program, which is nothing but a command line in front of it.

mod admission;
mod config;
mod http;
mod listen;
mod server;
mod shared;
mod udp;

pub use config::{HttpLimits, TrackerConfig};
pub use listen::BindError;
pub use potluck_tracker_core::{Config as SwarmConfig, Totals};
pub use server::TrackerServer;
