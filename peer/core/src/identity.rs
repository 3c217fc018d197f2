//! Who somebody is, whatever connection, port or peer id is used: what memory of deeds is kept by.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
};

use potluck_common::PeerId;

/// What a peer is remembered by: its IPv4 address, or the /64 of its IPv6 address, which one subscriber usually holds
/// whole. (It is small, because there may be very many.)
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Identity(Key);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Key {
    V4(Ipv4Addr),
    V6([u8; 8]),
    /// 127.0.0.1 and ::1 stand for everybody on this machine and behind its forwarders, so there the peer id counts too.
    HereV4(PeerId),
    HereV6(PeerId),
}

const LEAST: PeerId = PeerId([0; 20]);
const GREATEST: PeerId = PeerId([u8::MAX; 20]);

impl Identity {
    /// The identity of whoever connects from `ip`; IPv4-mapped addresses count as IPv4.
    pub fn of(ip: IpAddr) -> Self {
        Self::of_peer(ip, LEAST)
    }

    /// The identity of a peer. 127.0.0.1 and ::1 stand for everybody on this machine and behind its forwarders, so there
    /// the peer id counts too.
    pub fn of_peer(ip: IpAddr, id: PeerId) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V4(Ipv4Addr::LOCALHOST) => Key::HereV4(id),
            IpAddr::V6(Ipv6Addr::LOCALHOST) => Key::HereV6(id),
            IpAddr::V4(ip) => Key::V4(ip),
            IpAddr::V6(ip) => {
                Key::V6(*ip.octets().first_chunk().expect("sixteen octets are more than eight"))
            }
        })
    }

    /// From the least to the greatest identity of this address.
    pub fn everybody_there(self) -> RangeInclusive<Self> {
        match self.0 {
            Key::V4(_) | Key::V6(_) => self..=self,
            Key::HereV4(_) => Self(Key::HereV4(LEAST))..=Self(Key::HereV4(GREATEST)),
            Key::HereV6(_) => Self(Key::HereV6(LEAST))..=Self(Key::HereV6(GREATEST)),
        }
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
        assert_ne!(of_peer("::1", 1), of_peer("127.0.0.1", 1));
        let everybody = of_peer("127.0.0.1", 7).everybody_there();
        assert!(everybody.contains(&of_peer("127.0.0.1", 0)) && everybody.contains(&of("127.0.0.1")));
        assert!(!everybody.contains(&of("127.0.0.2")) && !everybody.contains(&of_peer("::1", 7)));
        assert!(size_of::<Identity>() <= 24);
    }
}
