//! Looking for a router that speaks UPnP: the question to the network, and which answers may be followed.
//!
//! Anybody in the network may answer, in anybody's name, and what they name would be fetched. So only a place in the
//! network that we share with the router is, and only from who says that it is there (row 2.13 of the table of threats).

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4},
    time::Duration,
};

use potluck_common::AddrScope;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::UdpSocket,
    time::{Instant, timeout_at},
};
use url::{Host, Url};

use super::route::Route;

/// The group and port of SSDP.
pub(super) const GROUP: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 255, 255, 250), 1900);
/// How long answers are waited for; devices spread theirs over the two seconds that we say.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// Most places that are looked at.
const LOCATIONS_MAX: usize = 4;
/// Most answers that are read.
const ANSWERS_MAX: usize = 64;
/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 2_048;
/// Whom we look for.
const TARGETS: [&str; 4] = [
    "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
    "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANPPPConnection:1",
];

/// Where a device that may be the router describes itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Location {
    pub(super) ip: Ipv4Addr,
    pub(super) url: Url,
}

/// Asks `group`, and returns the places that may be looked at, that of the router itself first.
pub(super) async fn search(route: Route, group: SocketAddrV4, trust: Trust) -> io::Result<Vec<Location>> {
    let socket = socket(route.local)?;
    for target in TARGETS {
        socket.send_to(question(group, target).as_bytes(), SocketAddr::V4(group)).await?;
    }
    let deadline = Instant::now() + PATIENCE;
    let mut found = BTreeSet::new();
    let mut buffer = [0; ANSWER_BYTES_MAX];
    for _ in 0..ANSWERS_MAX {
        let Ok(received) = timeout_at(deadline, socket.recv_from(&mut buffer)).await else { break };
        let (length, from) = received?;
        if let Some(location) = location(&buffer[..length], from, route, trust) {
            let is_router = location.ip == route.gateway;
            found.insert(location);
            // Nobody is a better answer than the router.
            if is_router || found.len() >= LOCATIONS_MAX {
                break;
            }
        }
    }
    let mut found: Vec<Location> = found.into_iter().collect();
    found.sort_by_key(|location| location.ip != route.gateway);
    Ok(found)
}

/// Who may be a router.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Trust {
    /// Whoever is on a private address of our own network.
    OwnNetwork,
    /// The loopback interface, too: there stand the routers of tests.
    #[cfg(test)]
    Loopback,
}

/// The place that an answer names, if it may be looked at.
fn location(answer: &[u8], from: SocketAddr, route: Route, trust: Trust) -> Option<Location> {
    let text = std::str::from_utf8(answer).ok()?;
    let mut lines = text.lines();
    let is_success = lines.next()?.split_ascii_whitespace().nth(1)? == "200";
    let named = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("location"));
    let url = Url::parse(named?.1.trim()).ok()?;
    let Some(Host::Ipv4(ip)) = url.host() else { return None };
    let is_plain = url.scheme() == "http" && url.username().is_empty() && url.password().is_none();
    let is_its_own = from.ip() == IpAddr::V4(ip) && url.port_or_known_default().is_some_and(|port| port != 0);
    (is_success && is_plain && is_its_own && may_be_router(ip, route, trust)).then_some(Location { ip, url })
}

fn may_be_router(ip: Ipv4Addr, route: Route, trust: Trust) -> bool {
    let is_private = match trust {
        Trust::OwnNetwork => AddrScope::of(ip.into()) == AddrScope::Private && ip != route.local,
        #[cfg(test)]
        Trust::Loopback => ip.is_loopback(),
    };
    is_private && route.reaches(ip.into())
}

fn question(group: SocketAddrV4, target: &str) -> String {
    format!("M-SEARCH * HTTP/1.1\r\nHOST: {group}\r\nMAN: \"ssdp:discover\"\r\nMX: 2\r\nST: {target}\r\n\r\n")
}

fn socket(local: Ipv4Addr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_multicast_if_v4(&local)?;
    socket.set_multicast_ttl_v4(2)?;
    socket.bind(&SocketAddr::from((local, 0)).into())?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_2_13_only_a_place_of_our_own_network_is_looked_at() {
        let route = Route { gateway: [192, 168, 1, 1].into(), local: [192, 168, 1, 5].into(), prefix: 24 };
        let at = |url: &str| format!("HTTP/1.1 200 OK\r\nST: x\r\nLOCATION: {url}\r\nUSN: y\r\n\r\n");
        for (from, answer, is_taken) in [
            ("192.168.1.1:1900", at("http://192.168.1.1:5000/root.xml"), true),
            ("192.168.1.9:1900", at("http://192.168.1.9/root.xml"), true),
            ("192.168.1.1:5", "http/1.1 200 ok\nlocation:http://192.168.1.1/x\n".to_owned(), true),
            // In somebody else's name, or of somebody else.
            ("192.168.1.9:1900", at("http://192.168.1.1:5000/root.xml"), false),
            ("192.168.1.1:1900", at("http://router.example/root.xml"), false),
            // Not in our network, or not one that a router stands in.
            ("192.168.2.1:1900", at("http://192.168.2.1/root.xml"), false),
            ("10.0.0.1:1900", at("http://10.0.0.1/root.xml"), false),
            ("127.0.0.1:1900", at("http://127.0.0.1/root.xml"), false),
            ("169.254.169.254:1900", at("http://169.254.169.254/latest/meta-data"), false),
            ("8.8.8.8:1900", at("http://8.8.8.8/root.xml"), false),
            ("0.0.0.0:1900", at("http://0.0.0.0/root.xml"), false),
            ("192.168.1.5:1900", at("http://192.168.1.5/root.xml"), false),
            // Not over plain HTTP.
            ("192.168.1.1:1900", at("https://192.168.1.1/root.xml"), false),
            ("192.168.1.1:1900", at("file://192.168.1.1/etc/passwd"), false),
            ("192.168.1.1:1900", at("http://a:b@192.168.1.1/root.xml"), false),
            ("192.168.1.1:1900", at("http://192.168.1.1:0/root.xml"), false),
            ("192.168.1.1:1900", at("nonsense"), false),
            ("192.168.1.1:1900", at("http://[fe80::1]/root.xml"), false),
            // No answer.
            (
                "192.168.1.1:1900",
                "HTTP/1.1 404 Not Found\r\nLOCATION: http://192.168.1.1/\r\n\r\n".to_owned(),
                false,
            ),
            ("192.168.1.1:1900", "HTTP/1.1 200 OK\r\n\r\n".to_owned(), false),
            ("192.168.1.1:1900", String::new(), false),
        ] {
            let from: SocketAddr = from.parse().expect("an address");
            let taken = location(answer.as_bytes(), from, route, Trust::OwnNetwork).is_some();
            assert_eq!(taken, is_taken, "{answer:?} of {from}");
        }
        let mapped = Route { prefix: 0, ..route };
        let public = at("http://8.8.8.8/root.xml");
        let from = "8.8.8.8:1900".parse().expect("an address");
        assert!(
            location(public.as_bytes(), from, mapped, Trust::OwnNetwork).is_none(),
            "however wide the network"
        );
    }
}
