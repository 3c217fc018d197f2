//! The settings of a swarm store, and the limits that bound its memory.

use potluck_common::Duration;

/// Most peers of each family in one HTTP reply: about 5 KB.
pub const NUMWANT_HTTP_MAX: u32 = 200;

/// Most peers in one UDP reply: with 18 bytes each it still fits an unfragmented datagram.
pub const NUMWANT_UDP_MAX: u32 = 74;

/// A fixed part of 20 bytes and the IPv6 peers stay below what the internet carries unfragmented.
const _: () = assert!(20 + 18 * NUMWANT_UDP_MAX < 1400);

/// Settings of [`Swarms`](crate::Swarms).
#[derive(Clone, Debug)]
pub struct Config {
    /// How often clients shall announce. Who is silent for twice as long is forgotten.
    pub interval: Duration,
    /// Clients shall not announce more often than this, events aside; cut to `interval`.
    pub min_interval: Duration,
    /// Peers per family for clients that do not say how many they want.
    pub numwant_default: u32,
    /// Most torrents at a time; announces of further ones are refused. A torrent takes about 500 bytes.
    pub torrents_max: usize,
    /// Most peers at a time in all torrents together; further ones are answered but not stored. A peer takes
    /// about 150 bytes.
    pub peers_max: usize,
    /// Most peers of one torrent; further ones are answered but not stored.
    pub torrent_peers_max: usize,
    /// Most peers of one torrent at one global address (IPv6: one /64). A further one takes the place of the one
    /// that was silent longest. Local addresses have no such limit: a test or a demo is many peers on one host.
    pub address_peers_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30 * 60),
            min_interval: Duration::from_secs(60),
            numwant_default: 50,
            torrents_max: 100_000,
            peers_max: 1_000_000,
            torrent_peers_max: 100_000,
            address_peers_max: 8,
        }
    }
}

impl Config {
    /// How long a silent peer is remembered.
    pub fn lifetime(&self) -> Duration {
        self.interval * 2
    }
}
