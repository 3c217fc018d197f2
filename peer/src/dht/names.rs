//! The names of the nodes by which one joins, and how they become addresses.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use potluck_common::addr;
use thiserror::Error;
use tokio::{
    net::lookup_host,
    sync::{mpsc, watch},
    time::{sleep, timeout},
};

use super::NodeCounts;
use crate::net::udp::Port;

/// The public nodes that everybody joins by.
const PUBLIC: [(&str, u16); 5] = [
    ("router.bittorrent.com", 6881),
    ("dht.transmissionbt.com", 6881),
    ("router.utorrent.com", 6881),
    ("dht.libtorrent.org", 25_401),
    ("dht.aelitis.com", 6881),
];

/// Addresses of one name that are asked; some have dozens.
const ADDRESSES_MAX: usize = 8;
/// How long a name server may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// The wait before names are resolved again while we know too few nodes; it doubles.
const RETRY_MIN: Duration = Duration::from_secs(10);
const RETRY_MAX: Duration = Duration::from_secs(600);
/// So many nodes that answer are enough never to ask these again.
const NODES_ENOUGH: u32 = 8;
/// Longest name (RFC 1035).
const NAME_BYTES_MAX: usize = 253;

/// A host by name or address, and a port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct HostPort {
    host: String,
    port: u16,
}

/// Why a text is no [`HostPort`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("not a host and a port; write one such as router.example:6881, 192.0.2.7:6881 or [2001:db8::7]:6881")]
pub struct NoHostPort;

impl HostPort {
    /// The public nodes that everybody joins by.
    pub fn public() -> Vec<Self> {
        PUBLIC.into_iter().map(|(host, port)| Self { host: host.to_owned(), port }).collect()
    }
}

impl From<SocketAddr> for HostPort {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port() }
    }
}

impl FromStr for HostPort {
    type Err = NoHostPort;

    fn from_str(text: &str) -> Result<Self, NoHostPort> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return if address.port() == 0 { Err(NoHostPort) } else { Ok(address.into()) };
        }
        let (host, port) = text.rsplit_once(':').ok_or(NoHostPort)?;
        let is_of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let is_name = (1..=NAME_BYTES_MAX).contains(&host.len()) && host.bytes().all(is_of_a_name);
        match port.parse() {
            Ok(port @ 1..) if is_name => Ok(Self { host: host.to_owned(), port }),
            _ => Err(NoHostPort),
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse() {
            Ok(ip @ IpAddr::V6(_)) => SocketAddr::new(ip, self.port).fmt(f),
            _ => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// What became of resolving all names.
#[derive(Debug)]
pub(super) struct Resolved {
    /// Those that can be reached from here.
    pub(super) addresses: Vec<SocketAddr>,
    /// Why there are none, in words.
    pub(super) failure: Option<String>,
}

/// Resolves `names`, and again while `counts` says that they are needed, until nobody listens.
pub(super) async fn keep_resolving(
    names: Vec<HostPort>,
    port: Arc<Port>,
    counts: watch::Receiver<NodeCounts>,
    sender: mpsc::Sender<Resolved>,
) {
    let mut wait = RETRY_MIN;
    loop {
        if counts.borrow().good < NODES_ENOUGH {
            if sender.send(resolve(&names, &port).await).await.is_err() {
                return;
            }
        } else {
            wait = RETRY_MIN;
        }
        sleep(wait).await;
        wait = (wait * 2).min(RETRY_MAX);
    }
}

async fn resolve(names: &[HostPort], port: &Port) -> Resolved {
    let (mut addresses, mut failure) = (Vec::new(), None);
    for name in names {
        // Nothing is asked of a name server on behalf of who can reach this host alone.
        let is_name = name.host.parse::<IpAddr>().is_err();
        if is_name && port.is_loopback() && name.host != "localhost" {
            failure = Some(format!("{name} cannot be reached from a loopback address"));
            continue;
        }
        match timeout(ANSWER_TIME_MAX, lookup_host((name.host.as_str(), name.port))).await {
            Ok(Ok(found)) => {
                if !take_found(&mut addresses, found, |ip| port.reaches(ip)) {
                    failure = Some(format!("{name} cannot be reached from the addresses that we listen on"));
                }
            }
            Ok(Err(error)) => failure = Some(format!("{name} cannot be resolved: {error}")),
            Err(_) => failure = Some(format!("no name server tells the address of {name}")),
        }
    }
    let failure = failure.filter(|_| addresses.is_empty());
    if let Some(failure) = &failure {
        tracing::info!(failure, "no bootstrap node of the DHT is known");
    }
    Resolved { addresses, failure }
}

/// Takes the addresses that were found for one name; whether any of them is new.
fn take_found(
    addresses: &mut Vec<SocketAddr>,
    found: impl Iterator<Item = SocketAddr>,
    reaches: impl Fn(IpAddr) -> bool,
) -> bool {
    let before = addresses.len();
    for address in found.map(addr::canonical).take(ADDRESSES_MAX).filter(|address| reaches(address.ip())) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses.len() > before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_name_with_many_addresses_few_are_asked() {
        let mut addresses = Vec::new();
        let found = |n: u8| (0..200).map(move |host| SocketAddr::from(([80, n, 0, host], 6881)));
        assert!(take_found(&mut addresses, found(1), |_| true));
        assert_eq!(addresses.len(), ADDRESSES_MAX);
        assert!(!take_found(&mut addresses, found(1), |_| true), "they are known");
        assert!(take_found(&mut addresses, found(2), |_| true));
        assert_eq!(addresses.len(), 2 * ADDRESSES_MAX);
        assert!(!take_found(&mut addresses, found(3), |_| false), "out of reach");
    }

    #[test]
    fn hosts_and_ports() {
        for (text, shown) in [
            ("router.example:6881", Some("router.example:6881")),
            ("192.0.2.7:1", Some("192.0.2.7:1")),
            ("[2001:db8::7]:65535", Some("[2001:db8::7]:65535")),
            ("localhost:6881", Some("localhost:6881")),
            ("router.example", None),
            ("router.example:0", None),
            ("router.example:65536", None),
            ("192.0.2.7:0", None),
            ("[2001:db8::7]:0", None),
            ("2001:db8::7", None),
            (":6881", None),
            ("a b:6881", None),
            ("http://router.example:6881", None),
            ("", None),
        ] {
            let parsed = text.parse::<HostPort>().ok().map(|host| host.to_string());
            assert_eq!(parsed.as_deref(), shown, "{text}");
        }
        assert!(format!("{}:1", "a".repeat(254)).parse::<HostPort>().is_err());
    }
}
