//! Whom a word about an address concerns, and how far such a word is believed.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use potluck_common::{
    AddrScope,
    addr::{is_dialable, network_of},
};

/// One party as far as an address tells: an IPv4 address or an IPv6 /64, and on a local network, where one address may
/// be many nodes, an address with its port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Party(IpAddr, u16);

impl Party {
    pub(super) fn of(addr: SocketAddr) -> Self {
        let ip = addr.ip().to_canonical();
        if is_local(ip) { Self(ip, addr.port()) } else { Self(host_of(ip), 0) }
    }
}

/// An IPv4 address, or the /64 of an IPv6 one.
pub(super) fn host_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64)).into(),
    }
}

/// The network that a public address is in, of which only so many nodes are taken; local ones are not counted.
pub(super) fn crowd_of(addr: SocketAddr) -> Option<IpAddr> {
    (!is_local(addr.ip())).then(|| network_of(addr.ip()))
}

pub(super) fn is_local(ip: IpAddr) -> bool {
    AddrScope::of(ip).is_local()
}

/// Whether something may be sent to `named` on the word of `by`: nobody from afar can name an address of a local
/// network, and nobody who is not on this machine one of this machine.
pub(super) fn may_name(by: SocketAddr, named: SocketAddr) -> bool {
    let (by, scope) = (AddrScope::of(by.ip()), AddrScope::of(named.ip()));
    is_dialable(named)
        && match scope {
            AddrScope::Loopback => by == AddrScope::Loopback,
            AddrScope::LinkLocal | AddrScope::Private => by.is_local(),
            AddrScope::Global | AddrScope::Unusable => true,
        }
}
