//! Settings of a tracker server.

use std::{net::SocketAddr, time::Duration};

use potluck_tracker_core::Config as SwarmConfig;

/// What [`TrackerServer::bind`](crate::TrackerServer::bind) is to serve. The default listens nowhere.
#[derive(Clone, Debug)]
pub struct TrackerConfig {
    /// Where to listen for HTTP. An IPv6 address serves IPv6 only: give one of each family to serve both.
    pub http: Vec<SocketAddr>,
    /// Where to listen for UDP; the same holds.
    pub udp: Vec<SocketAddr>,
    /// The announce interval and the limits on what is stored.
    pub swarms: SwarmConfig,
    /// How long a UDP connection id is accepted. BEP 15 says two minutes; clients that keep one longer simply
    /// connect again.
    pub connection_id_validity: Duration,
    /// The limits on HTTP connections.
    pub limits: HttpLimits,
}

impl Default for TrackerConfig {
    fn default() -> Self {
        Self {
            http: Vec::new(),
            udp: Vec::new(),
            swarms: SwarmConfig::default(),
            connection_id_validity: Duration::from_secs(120),
            limits: HttpLimits::default(),
        }
    }
}

/// What an HTTP client may take up.
#[derive(Clone, Debug)]
pub struct HttpLimits {
    /// From the acceptance of a connection or the end of a reply to the last byte of the next request's head: slow
    /// and idle clients are cut off alike.
    pub header_timeout: Duration,
    /// From the acceptance of a connection to its end, whatever it does; a request that is being answered then is
    /// still answered.
    pub connection_lifetime: Duration,
    /// Open connections in all.
    pub connections_max: usize,
    /// Open connections from one address (IPv6: one /64). Loopback and private addresses have no such limit.
    pub address_connections_max: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            connection_lifetime: Duration::from_secs(120),
            connections_max: 4_096,
            address_connections_max: 64,
        }
    }
}
