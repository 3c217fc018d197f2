//! Addresses: their scope, which of them may be dialled, and the compact forms of BEP 7 and BEP 23.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use thiserror::Error;

use crate::control::PeerSource;

/// How far an address reaches. The address and URL policies decide on this alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum AddrScope {
    /// This host: 127/8 and ::1.
    Loopback,
    /// This link: 169.254/16 and fe80::/10.
    LinkLocal,
    /// This site: RFC 1918, carrier-grade NAT (100.64/10), and unique local IPv6 (fc00::/7).
    Private,
    /// Everywhere.
    Global,
    /// Nobody: unspecified, multicast, broadcast, documentation and reserved ranges.
    Unusable,
}

impl AddrScope {
    /// The scope of `ip`; an IPv4-mapped IPv6 address has that of its IPv4 address.
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::of_v4(ip),
            IpAddr::V6(ip) => Self::of_v6(ip),
        }
    }

    fn of_v4(ip: Ipv4Addr) -> Self {
        let [a, b, ..] = ip.octets();
        match () {
            () if ip.is_loopback() => Self::Loopback,
            () if ip.is_link_local() => Self::LinkLocal,
            () if ip.is_private() || (a == 100 && b & 0xc0 == 64) => Self::Private,
            () if a == 0 || a >= 224 || ip.is_documentation() => Self::Unusable,
            () => Self::Global,
        }
    }

    fn of_v6(ip: Ipv6Addr) -> Self {
        let [first, second, ..] = ip.segments();
        match () {
            () if ip.is_loopback() => Self::Loopback,
            () if ip.is_unspecified() || ip.is_multicast() || (first == 0x2001 && second == 0xdb8) => {
                Self::Unusable
            }
            () if first & 0xffc0 == 0xfe80 => Self::LinkLocal,
            () if first & 0xfe00 == 0xfc00 => Self::Private,
            () => Self::Global,
        }
    }

    /// Loopback, link-local or private: reachable only from nearby.
    pub fn is_local(self) -> bool {
        matches!(self, Self::Loopback | Self::LinkLocal | Self::Private)
    }
}

/// Whether a connection may be tried: a usable scope and a port other than 0.
pub fn is_dialable(addr: SocketAddr) -> bool {
    addr.port() != 0 && AddrScope::of(addr.ip()) != AddrScope::Unusable
}

/// What an address is judged by, besides itself and its source.
#[derive(Clone, Copy, Debug)]
pub struct AddrContext<'c> {
    /// Who gave it: the peer of a peer exchange, the DHT node, whoever sent the datagram. `None` where nobody in particular
    /// did, or where whoever hands it on has judged it by its giver.
    pub giver: Option<IpAddr>,
    /// Addresses at which we listen ourselves.
    pub ours: &'c BTreeSet<SocketAddr>,
}

/// Why an address is not kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum AddrRefusal {
    /// Nobody listens there.
    #[error("its port is 0")]
    PortZero,
    /// Unspecified, multicast, broadcast, documentation or reserved.
    #[error("nobody can have this address")]
    Unusable,
    /// We listen there.
    #[error("it is our own")]
    Ourselves,
    /// Whoever gave it is farther away than the address reaches: it would be another machine here, or this one.
    #[error("it is nearer to us than to whoever gave it")]
    NearerThanItsGiver,
    /// Local discovery names nobody elsewhere.
    #[error("it is not on our own network")]
    NotLocal,
}

/// Judges an address that a peer is said to be at, from whatever source: its canonical form, if it may be kept and dialled.
///
/// Trackers, the user, an earlier run and a peer that speaks of itself may name any machine, on this network and on this
/// host as well: that is how labs and local swarms find each other. Nobody else gives an address that is nearer to us than
/// they are, so that no stranger makes us knock at doors behind our router or on this host (reliability: 2.12 and 2.13). A
/// magnet link may name machines on this network, but this host and its cable only where we listen there.
pub fn acceptable(
    address: SocketAddr,
    source: PeerSource,
    context: AddrContext<'_>,
) -> Result<SocketAddr, AddrRefusal> {
    let address = canonical(address);
    let scope = AddrScope::of(address.ip());
    match () {
        () if address.port() == 0 => Err(AddrRefusal::PortZero),
        () if scope == AddrScope::Unusable => Err(AddrRefusal::Unusable),
        () if context.ours.contains(&address) => Err(AddrRefusal::Ourselves),
        // On an address of our own network that is seen everywhere, whoever hands it on has judged by our interfaces.
        () if source == PeerSource::Lsd && !scope.is_local() && context.giver.is_some() => {
            Err(AddrRefusal::NotLocal)
        }
        () if !is_told_to(source, scope, context) => Err(AddrRefusal::NearerThanItsGiver),
        () => Ok(address),
    }
}

/// Whether this source may speak of addresses of this scope.
fn is_told_to(source: PeerSource, scope: AddrScope, AddrContext { giver, ours }: AddrContext<'_>) -> bool {
    match source {
        PeerSource::Tracker | PeerSource::User | PeerSource::Resume | PeerSource::Incoming => true,
        PeerSource::Pex | PeerSource::Dht | PeerSource::Lsd => {
            giver.is_none_or(|giver| may_tell(scope, AddrScope::of(giver)))
        }
        PeerSource::Link => {
            scope >= AddrScope::Private || ours.iter().any(|own| AddrScope::of(own.ip()) == scope)
        }
    }
}

/// Whether an address of the scope `of` means the same machine to somebody of the scope `who`, so that one may speak to the
/// other of it: what reaches as far as they are from here, or farther.
pub fn may_tell(of: AddrScope, who: AddrScope) -> bool {
    of >= who && of != AddrScope::Unusable
}

/// `addr` with an IPv4-mapped IPv6 address turned back into the IPv4 address it stands for.
pub fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// The network that `ip` belongs to, as far as one party usually has it: the /24 of an IPv4 address, the /48 of an IPv6
/// one.
pub fn network_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() & (u32::MAX << 8)).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 80)).into(),
    }
}

/// Reads compact IPv4 peers, six bytes each (BEP 23); `None` when the length is no multiple of six.
pub fn compact_v4(bytes: &[u8]) -> Option<impl Iterator<Item = SocketAddr> + '_> {
    let (entries, rest) = bytes.as_chunks::<6>();
    rest.is_empty().then(|| {
        entries.iter().map(|[a, b, c, d, high, low]| {
            SocketAddr::new(Ipv4Addr::new(*a, *b, *c, *d).into(), u16::from_be_bytes([*high, *low]))
        })
    })
}

/// Reads compact IPv6 peers, 18 bytes each (BEP 7); `None` when the length is no multiple of 18.
pub fn compact_v6(bytes: &[u8]) -> Option<impl Iterator<Item = SocketAddr> + '_> {
    let (entries, rest) = bytes.as_chunks::<18>();
    rest.is_empty().then(|| {
        entries.iter().map(|entry| {
            let mut ip = [0; 16];
            ip.copy_from_slice(&entry[..16]);
            canonical(SocketAddr::new(Ipv6Addr::from(ip).into(), u16::from_be_bytes([entry[16], entry[17]])))
        })
    })
}

/// Appends the compact form of `addr`: six bytes for IPv4, 18 for IPv6.
pub fn write_compact(out: &mut Vec<u8>, addr: SocketAddr) {
    match addr.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    out.extend_from_slice(&addr.port().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (ip, network) in [
            ("1.2.3.4", "1.2.3.0"),
            ("::ffff:1.2.3.4", "1.2.3.0"),
            ("255.255.255.255", "255.255.255.0"),
            ("2606:1:2:3:4:5:6:7", "2606:1:2::"),
            ("::1", "::"),
        ] {
            let parse = |text: &str| text.parse::<IpAddr>().expect("an address");
            assert_eq!(network_of(parse(ip)), parse(network), "{ip}");
        }
    }

    #[test]
    fn rows_2_12_and_2_13_who_may_speak_of_which_addresses() {
        use AddrRefusal::{NearerThanItsGiver, NotLocal, Ourselves, PortZero, Unusable};
        use PeerSource::{Dht, Incoming, Link, Lsd, Pex, Resume, Tracker, User};

        let ours =
            BTreeSet::from(["9.9.9.9:6881", "169.254.7.7:6881"].map(|own| own.parse().expect("an address")));
        let trusted: &[PeerSource] = &[Incoming, Tracker, Resume, User];
        let told: &[PeerSource] = &[Pex, Dht];
        let all: &[PeerSource] = &PeerSource::ALL;
        let (afar, lan, here) = (Some("8.8.8.8"), Some("192.168.0.9"), Some("127.0.0.1"));
        let cases = [
            // Never, whoever says so.
            ("1.2.3.4:0", all, afar, Err(PortZero)),
            ("0.0.0.0:1", all, here, Err(Unusable)),
            ("0.1.2.3:1", all, here, Err(Unusable)),
            ("255.255.255.255:1", all, here, Err(Unusable)),
            ("224.0.0.251:1", all, here, Err(Unusable)),
            ("[::]:1", all, here, Err(Unusable)),
            ("[ff02::1]:1", all, here, Err(Unusable)),
            ("[::ffff:239.1.1.1]:1", all, here, Err(Unusable)),
            ("9.9.9.9:6881", all, afar, Err(Ourselves)),
            ("[::ffff:9.9.9.9]:6881", all, afar, Err(Ourselves)),
            // Everywhere.
            ("1.2.3.4:5", trusted, afar, Ok("1.2.3.4:5")),
            ("1.2.3.4:5", told, afar, Ok("1.2.3.4:5")),
            ("1.2.3.4:5", told, here, Ok("1.2.3.4:5")),
            ("[::ffff:1.2.3.4]:5", told, afar, Ok("1.2.3.4:5")),
            ("[2606::1]:5", told, lan, Ok("[2606::1]:5")),
            ("1.2.3.4:5", &[Lsd], lan, Err(NotLocal)),
            // Nearby.
            ("127.0.0.1:22", trusted, afar, Ok("127.0.0.1:22")),
            ("127.0.0.1:22", told, afar, Err(NearerThanItsGiver)),
            ("127.0.0.1:22", told, lan, Err(NearerThanItsGiver)),
            ("[::1]:22", told, lan, Err(NearerThanItsGiver)),
            ("127.0.0.1:22", told, here, Ok("127.0.0.1:22")),
            ("10.0.0.1:80", trusted, afar, Ok("10.0.0.1:80")),
            ("10.0.0.1:80", told, afar, Err(NearerThanItsGiver)),
            ("100.64.0.1:80", told, afar, Err(NearerThanItsGiver)),
            ("[fd00::1]:80", told, afar, Err(NearerThanItsGiver)),
            ("[fe80::1]:80", told, afar, Err(NearerThanItsGiver)),
            ("169.254.169.254:80", told, afar, Err(NearerThanItsGiver)),
            ("169.254.169.254:80", told, lan, Err(NearerThanItsGiver)),
            ("[::ffff:192.168.0.1]:80", told, afar, Err(NearerThanItsGiver)),
            ("192.168.0.1:80", told, lan, Ok("192.168.0.1:80")),
            ("192.168.0.1:80", &[Lsd], lan, Ok("192.168.0.1:80")),
            ("127.0.0.1:80", &[Lsd], lan, Err(NearerThanItsGiver)),
            ("192.168.0.1:80", &[Link], None, Ok("192.168.0.1:80")),
            ("127.0.0.1:80", &[Link], None, Err(NearerThanItsGiver)),
            ("[::1]:80", &[Link], None, Err(NearerThanItsGiver)),
            // We listen on an address of that kind.
            ("169.254.1.1:80", &[Link], None, Ok("169.254.1.1:80")),
            // Judged by its giver before.
            ("10.0.0.1:80", told, None, Ok("10.0.0.1:80")),
            ("1.2.3.4:5", &[Lsd], None, Ok("1.2.3.4:5")),
            ("[2606::1]:5", &[Lsd], None, Ok("[2606::1]:5")),
            ("9.9.9.9:6881", &[Lsd], None, Err(Ourselves)),
        ];
        for (text, sources, giver, expected) in cases {
            for source in sources {
                let giver = giver.map(|giver| giver.parse().expect("an address"));
                let address = text.parse().expect("an address");
                let judged = acceptable(address, *source, AddrContext { giver, ours: &ours });
                let expected = expected.map(|text: &str| text.parse().expect("an address"));
                assert_eq!(judged, expected, "{text} from {source:?} by {giver:?}");
            }
        }
    }

    #[test]
    fn scopes() {
        let cases = [
            ("127.3.4.5", AddrScope::Loopback),
            ("::1", AddrScope::Loopback),
            ("::ffff:127.0.0.1", AddrScope::Loopback),
            ("169.254.169.254", AddrScope::LinkLocal),
            ("fe80::1", AddrScope::LinkLocal),
            ("10.1.2.3", AddrScope::Private),
            ("100.64.0.1", AddrScope::Private),
            ("fd00::1", AddrScope::Private),
            ("8.8.8.8", AddrScope::Global),
            ("2606::1", AddrScope::Global),
            ("0.0.0.0", AddrScope::Unusable),
            ("255.255.255.255", AddrScope::Unusable),
            ("239.1.1.1", AddrScope::Unusable),
            ("::", AddrScope::Unusable),
            ("ff02::1", AddrScope::Unusable),
        ];
        for (text, scope) in cases {
            assert_eq!(AddrScope::of(text.parse().expect("an address")), scope, "{text}");
        }
    }

    #[test]
    fn compact_forms_round_trip() {
        for text in ["1.2.3.4:5", "[2606::9]:6881"] {
            let addr: SocketAddr = text.parse().expect("an address");
            let mut bytes = Vec::new();
            write_compact(&mut bytes, addr);
            let back: Vec<_> = if addr.is_ipv4() {
                compact_v4(&bytes).expect("whole").collect()
            } else {
                compact_v6(&bytes).expect("whole").collect()
            };
            assert_eq!(back, [addr]);
        }
        assert!(compact_v4(&[0; 7]).is_none());
        assert!(compact_v6(&[0; 17]).is_none());
    }
}
