//! The state of all torrents together, and the settings that a person may change.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{DhtSummary, Limits, PortSummary};
use crate::Printable;

/// The engine at one moment. Sizes are in bytes, rates in bytes per second.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SessionSnapshot {
    /// The program and its version.
    pub version: Printable,
    /// When it started, in seconds since 1970 (UTC). [`Event::at`](super::Event::at) counts from here.
    pub started_at: f64,
    /// Seconds that it runs.
    pub uptime_seconds: u64,
    /// The addresses that it listens on.
    pub listen: Vec<SocketAddr>,
    /// Payload that comes.
    pub down_rate: u64,
    /// Payload that is sent.
    pub up_rate: u64,
    /// Payload that came in this run.
    pub downloaded: u64,
    /// Payload that was sent in this run.
    pub uploaded: u64,
    /// Payload that came since this list of torrents was begun.
    pub downloaded_ever: u64,
    /// Payload that was sent since this list of torrents was begun.
    pub uploaded_ever: u64,
    /// Connected peers.
    pub connections: u32,
    /// Most connected peers.
    pub connections_max: u32,
    /// The node of the distributed hash table.
    #[serde(default)]
    pub dht: DhtSummary,
    /// Whether strangers can connect to us.
    #[serde(default)]
    pub port: PortSummary,
    /// Bytes free where new torrents go.
    pub free_space: Option<u64>,
    /// Upload slots of all torrents together.
    pub slots: u32,
    /// What may be changed.
    pub settings: Settings,
    /// What is wrong with the whole engine, in one sentence.
    pub trouble: Option<Printable>,
}

/// What a person may change while it runs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Where the payload of new torrents goes.
    pub directory: PathBuf,
    /// Limits of all torrents together.
    pub limits: Limits,
    /// The limits that hold instead while [`Settings::is_slow`].
    pub slow_limits: Limits,
    /// The slow limits hold ("turtle").
    pub is_slow: bool,
    /// Upload slots of all torrents together; `None` follows what the uplink carries.
    pub slots: Option<u32>,
    /// A torrent stops by itself when it has sent so many times its size; `None` never.
    pub ratio_goal: Option<f32>,
    /// New torrents wait until somebody starts them.
    pub adds_paused: bool,
    /// So many torrents download at a time, and the others wait in the queue; `None` all.
    pub downloads_max: Option<u32>,
    /// So many torrents that are complete seed at a time, and the others wait in the queue; `None` all.
    pub seeds_max: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("."),
            limits: Limits::default(),
            slow_limits: Limits { down: Some(512 * 1024), up: Some(128 * 1024) },
            is_slow: false,
            slots: None,
            ratio_goal: None,
            adds_paused: false,
            downloads_max: None,
            seeds_max: None,
        }
    }
}
