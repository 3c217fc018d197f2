//! Who somebody is, whatever connection, port or peer id is used: what memory of deeds is kept by.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
};

use potluck_common::PeerId;

/// The network address that a peer is remembered by: an IPv4 address, or the /64 of an IPv6 address, which one
/// subscriber usually holds whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Identity(IpAddr, Option<PeerId>);

impl Identity {
    /// The identity of whoever connects from `ip`; IPv4-mapped addresses count as IPv4.
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self(ip.into(), None),
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                Self(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into(), None)
            }
        }
    }

    /// The identity of a peer. 127.0.0.1 and ::1 stand for everybody on this machine and behind its forwarders, so there
    /// the peer id counts too.
    pub fn of_peer(ip: IpAddr, id: PeerId) -> Self {
        let ip = ip.to_canonical();
        let is_shared = ip == Ipv4Addr::LOCALHOST || ip == Ipv6Addr::LOCALHOST;
        Self(Self::of(ip).0, is_shared.then_some(id))
    }

    /// From the least to the greatest identity of this address.
    pub fn everybody_there(self) -> RangeInclusive<Self> {
        Self(self.0, None)..=Self(self.0, Some(PeerId([u8::MAX; 20])))
    }

    /// The address, with the host part of IPv6 set to zero.
    pub fn ip(self) -> IpAddr {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_an_ipv4_address_or_an_ipv6_network() {
        let of = |text: &str| Identity::of(text.parse().expect("an address"));
        assert_eq!(of("::ffff:1.2.3.4"), of("1.2.3.4"));
        assert_ne!(of("1.2.3.4"), of("1.2.3.5"));
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2:ffff::"));
        assert_ne!(of("2001:db8:1:2::"), of("2001:db8:1:3::"));
        let of_peer = |text: &str, id| Identity::of_peer(text.parse().expect("an address"), PeerId([id; 20]));
        assert_eq!(of_peer("1.2.3.4", 1), of_peer("1.2.3.4", 2));
        assert_eq!(of_peer("127.0.0.2", 1), of("127.0.0.2"));
        assert_ne!(of_peer("127.0.0.1", 1), of_peer("127.0.0.1", 2));
        assert_ne!(of_peer("::1", 1), of_peer("::1", 2));
    }
}
