//! Whom a word about an address concerns, and how far such a word is believed.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use potluck_common::{
    AddrScope,
    addr::{is_dialable, may_tell, network_of},
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

/// Whether something may be sent to `named` on the word of `by`, and whether `by` may be told of it: nobody names an address
/// that is nearer to us than they are, by the rule of all sources.
pub(super) fn may_name(by: SocketAddr, named: SocketAddr) -> bool {
    is_dialable(named) && may_tell(AddrScope::of(named.ip()), AddrScope::of(by.ip()))
}
