//! Which URLs may be asked, and at which addresses: pure rules against requests forged in the user's name.
//!
//! A tracker URL out of a torrent is an attacker's choice of where we connect to and what we send. It must not reach
//! a service on this host or in this network that would act on it, so what may be chosen there is next to nothing:
//! on this host only a tracker's path, nearby no query. A URL that a person typed may go anywhere. No redirect leads
//! inward, from the internet to a network or from a network to this host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use potluck_common::{
    AddrScope,
    announce::{Scheme, TrackerUrl},
};
use url::Url;

/// Who chose a URL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A person, on the command line or in a dialog.
    User,
    /// Someone else: it stood in a torrent or a magnet link.
    Torrent,
}

/// The parts of a URL that the rules look at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    scheme: Scheme,
    has_userinfo: bool,
    path: String,
    query: Option<String>,
}

impl Target {
    /// Of a tracker. The query that an announce adds is not looked at, only the one that the URL came with.
    pub fn of_tracker(url: &TrackerUrl) -> Self {
        let revealed = url.reveal();
        let authority = revealed.split("://").nth(1).and_then(|rest| rest.split(['/', '?', '#']).next());
        Self {
            scheme: url.scheme(),
            has_userinfo: authority.is_some_and(|authority| authority.contains('@')),
            path: url.path().to_owned(),
            query: url.query().map(str::to_owned),
        }
    }

    /// Of any other URL; only HTTP and HTTPS exist.
    pub fn of_url(url: &Url) -> Result<Self, Refusal> {
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(Refusal::Scheme),
        };
        Ok(Self {
            scheme,
            has_userinfo: !url.username().is_empty() || url.password().is_some(),
            path: url.path().to_owned(),
            query: url.query().map(str::to_owned),
        })
    }
}

/// Why a URL is not asked. The texts show no part of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// Neither HTTP nor HTTPS (nor, for a tracker, UDP).
    #[error("only http, https and udp URLs are asked")]
    Scheme,
    /// A user name or password that did not come from the user.
    #[error("a URL in a torrent must not contain a user name or password")]
    UserInfo,
    /// The query forges parameters of an announce.
    #[error("a tracker URL must not contain announce parameters")]
    AnnounceParameters,
    /// Unspecified, multicast or reserved.
    #[error("{0} is no address of a server")]
    Unusable(IpAddr),
    /// The metadata service of a cloud, which hands out credentials.
    #[error("a torrent must not reach the cloud metadata service at {0}")]
    MetadataService(IpAddr),
    /// On this host, and not plainly a tracker.
    #[error("a torrent may reach this host ({0}) only under the path /announce, without a query")]
    Loopback(IpAddr),
    /// Nearby, with a query that an attacker may have chosen.
    #[error("a torrent may reach the local network ({0}) only without a query")]
    LocalQuery(IpAddr),
    /// A redirect from far to near.
    #[error("a redirect must not lead inward, to {0}")]
    Inward(IpAddr),
}

/// Names of announce parameters that a tracker URL from a torrent must not bring along, in lower case.
const ANNOUNCE_PARAMETERS: [&str; 8] =
    ["corrupt", "downloaded", "event", "info_hash", "left", "peer_id", "port", "uploaded"];

/// Where clouds serve credentials to whoever asks from inside. All but the first are in private ranges.
const METADATA_SERVICES: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Where a request is in its chain of redirects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hop {
    /// The URL as it came.
    First,
    /// Where a server at an address of this scope sent us. Its query is the server's, not an attacker's.
    RedirectedFrom(AddrScope),
}

/// Checks what can be known before the host is resolved.
pub fn check_url(target: &Target, origin: Origin, hop: Hop) -> Result<(), Refusal> {
    if origin == Origin::User {
        return Ok(());
    }
    if target.has_userinfo {
        return Err(Refusal::UserInfo);
    }
    let names = target.query.iter().flat_map(|query| query.split('&')).map(parameter_name);
    if hop == Hop::First && names.into_iter().any(|name| ANNOUNCE_PARAMETERS.contains(&name.as_str())) {
        return Err(Refusal::AnnounceParameters);
    }
    Ok(())
}

/// Checks one address that the host resolved to. The connection must then be made to this very address.
pub fn check_ip(target: &Target, origin: Origin, hop: Hop, ip: IpAddr) -> Result<(), Refusal> {
    let ip = ip.to_canonical();
    let scope = AddrScope::of(ip);
    if scope == AddrScope::Unusable {
        return Err(Refusal::Unusable(ip));
    }
    if let Hop::RedirectedFrom(from) = hop
        && scope < from
    {
        return Err(Refusal::Inward(ip));
    }
    if origin == Origin::User || scope == AddrScope::Global {
        return Ok(());
    }
    if METADATA_SERVICES.contains(&ip) {
        return Err(Refusal::MetadataService(ip));
    }
    let brings_query = hop == Hop::First && target.query.is_some();
    match scope {
        AddrScope::Loopback if brings_query || !is_tracker_path(target) => Err(Refusal::Loopback(ip)),
        _ if brings_query => Err(Refusal::LocalQuery(ip)),
        _ => Ok(()),
    }
}

/// Whether the path is a plain tracker's. A UDP tracker needs none.
fn is_tracker_path(target: &Target) -> bool {
    let bare_udp = target.scheme == Scheme::Udp && target.path == "/";
    bare_udp || matches!(target.path.as_str(), "/announce" | "/scrape")
}

/// The name of a query parameter as a server would read it: unescaped, and here also in lower case.
fn parameter_name(parameter: &str) -> String {
    let form = url::form_urlencoded::parse(parameter.as_bytes()).next();
    form.map(|(name, _)| name.to_lowercase()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(url: &str, origin: Origin, hop: Hop, ip: &str) -> Result<(), Refusal> {
        let target = match Url::parse(url).expect("a URL").scheme() {
            "udp" => Target::of_tracker(&TrackerUrl::parse(url).expect("a tracker URL")),
            _ => Target::of_url(&Url::parse(url).expect("a URL"))?,
        };
        check_url(&target, origin, hop)?;
        check_ip(&target, origin, hop, ip.parse().expect("an address"))
    }

    const GLOBAL: &str = "93.184.216.34";
    const LOCAL: [&str; 9] = [
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "::ffff:127.0.0.1",
        "10.0.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "fd00::1",
        "fe80::1",
    ];

    #[test]
    fn row_4_6_a_torrent_may_reach_anything_global_but_forge_nothing() {
        use Refusal::{AnnounceParameters, Scheme, UserInfo};
        let cases = [
            ("http://t.example/announce", Ok(())),
            ("https://t.example/x.php?passkey=1234", Ok(())),
            ("udp://t.example:6969/any?thing", Ok(())),
            ("http://t.example/announce?info_hash=aaaa", Err(AnnounceParameters)),
            ("http://t.example/announce?x=1&InFo_HaSh=a", Err(AnnounceParameters)),
            ("http://t.example/announce?info%5Fhash=a", Err(AnnounceParameters)),
            ("http://t.example/announce?%65vent", Err(AnnounceParameters)),
            ("udp://t.example/announce?PEER_ID=a", Err(AnnounceParameters)),
            ("http://t.example/announce?port=1", Err(AnnounceParameters)),
            ("http://t.example/announce?my_info_hash=a", Ok(())),
            ("http://user@t.example/announce", Err(UserInfo)),
            ("http://:pass@t.example/announce", Err(UserInfo)),
            ("udp://user:pass@t.example:1/", Err(UserInfo)),
            ("http://t.example/@/announce", Ok(())),
            ("file:///etc/passwd", Err(Scheme)),
            ("ftp://t.example/announce", Err(Scheme)),
            ("gopher://t.example/announce", Err(Scheme)),
        ];
        for (url, expected) in cases {
            assert_eq!(verdict(url, Origin::Torrent, Hop::First, GLOBAL), expected, "{url}");
        }
    }

    #[test]
    fn row_4_6_a_torrent_reaches_nearby_services_only_as_a_plain_tracker() {
        // The URL; whether it may go to this host, and to the local network.
        let cases = [
            ("http://t.example/announce", true, true),
            ("http://t.example/scrape", true, true),
            ("https://t.example:9000/announce", true, true),
            ("udp://t.example:6969", true, true),
            ("udp://t.example:6969/announce", true, true),
            ("udp://t.example:6969/other", false, true),
            ("udp://t.example:6969/?x", false, false),
            ("http://t.example/", false, true),
            ("http://t.example/announce/", false, true),
            ("http://t.example/announce.php", false, true),
            ("http://t.example/api/shutdown", false, true),
            ("http://t.example/announce?cmd=reboot", false, false),
            ("http://t.example/announce?", false, false),
            ("http://t.example/admin?cmd=reboot", false, false),
        ];
        for (url, host, network) in cases {
            for ip in LOCAL {
                let is_host = AddrScope::of(ip.parse().unwrap()) == AddrScope::Loopback;
                let allowed = verdict(url, Origin::Torrent, Hop::First, ip).is_ok();
                assert_eq!(allowed, if is_host { host } else { network }, "{url} at {ip}");
                assert_eq!(verdict(url, Origin::User, Hop::First, ip), Ok(()), "{url} at {ip}, typed");
            }
        }
    }

    #[test]
    fn some_addresses_are_never_asked() {
        for ip in ["169.254.169.254", "::ffff:169.254.169.254", "100.100.100.200", "fd00:ec2::254"] {
            let refusal = verdict("http://t.example/announce", Origin::Torrent, Hop::First, ip);
            assert!(matches!(refusal, Err(Refusal::MetadataService(_))), "{ip}: {refusal:?}");
            assert_eq!(verdict("http://t.example/", Origin::User, Hop::First, ip), Ok(()), "{ip}, typed");
        }
        for ip in ["0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "ff02::1"] {
            for origin in [Origin::User, Origin::Torrent] {
                let refusal = verdict("http://t.example/announce", origin, Hop::First, ip);
                assert!(matches!(refusal, Err(Refusal::Unusable(_))), "{ip}: {refusal:?}");
            }
        }
    }

    #[test]
    fn row_4_6_no_redirect_leads_inward() {
        use AddrScope::{Global, Loopback, Private};
        let (near, host) = ("192.168.1.1", "127.0.0.1");
        let cases = [
            (Global, GLOBAL, true),
            (Global, near, false),
            (Global, host, false),
            (Global, "169.254.169.254", false),
            (Private, GLOBAL, true),
            (Private, near, true),
            (Private, host, false),
            (Loopback, GLOBAL, true),
            (Loopback, near, true),
            (Loopback, host, true),
        ];
        for (from, to, allowed) in cases {
            for origin in [Origin::User, Origin::Torrent] {
                // The query of a redirect repeats that of the announce.
                let url = "http://t.example/announce?info_hash=a&port=1";
                let verdict = verdict(url, origin, Hop::RedirectedFrom(from), to);
                assert_eq!(verdict.is_ok(), allowed, "{from:?} to {to} by {origin:?}: {verdict:?}");
            }
        }
        let redirected = |url| verdict(url, Origin::Torrent, Hop::RedirectedFrom(Loopback), host);
        assert!(matches!(redirected("http://t.example/shutdown"), Err(Refusal::Loopback(_))));
        assert_eq!(redirected("file:///etc/passwd"), Err(Refusal::Scheme));
    }
}
