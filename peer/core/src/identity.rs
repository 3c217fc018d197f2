//! Who somebody is, whatever connection, port or peer id is used: what memory of deeds is kept by.

use std::net::{IpAddr, Ipv6Addr};

/// The network address that a peer is remembered by: an IPv4 address, or the /64 of an IPv6 address, which one
/// subscriber usually holds whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Identity(IpAddr);

impl Identity {
    /// The identity of whoever connects from `ip`; IPv4-mapped addresses count as IPv4.
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self(ip.into()),
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                Self(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
        }
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
    }
}
