//! Whom a word about an address concerns, and how far such a word is believed.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use potluck_common::{
    AddrScope,
    addr::{is_dialable, may_tell, network_of},
    krpc::{NodeId, NodeInfo},
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

/// What one machine may speak for, as far as an address tells: its host, and on a local network, where many machines share a
/// /64, its address.
pub(super) fn machine_of(ip: IpAddr) -> IpAddr {
    if is_local(ip) { ip.to_canonical() } else { host_of(ip) }
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

/// Whose id shares so many bits with a target more than that of who names it is closer than anybody knows: of the nodes that
/// have one bit more in common with the target a table holds some eight, which have three more among them. Ids are spread
/// evenly, so that one such node is chance once in a thousand, and two are invented.
const BITS_AHEAD: usize = 13;
const INVENTED_MIN: usize = 2;

/// Whether an answer names nodes that can hardly be there: far closer to the target than who names them knows anybody. Who
/// names them did not make them up where others knew the target before: somebody may have placed them there.
pub(super) fn invents(by: &NodeId, target: &NodeId, named: impl Iterator<Item = NodeInfo>) -> bool {
    named.filter(|node| is_ahead(by, target, &node.id)).count() >= INVENTED_MIN
}

/// Whether an id is closer to the target than `by` can be expected to know anybody.
pub(super) fn is_ahead(by: &NodeId, target: &NodeId, id: &NodeId) -> bool {
    id.bits_shared(target) >= by.bits_shared(target) + BITS_AHEAD
}

#[cfg(test)]
mod tests {
    use potluck_common::Rng;

    use super::*;

    /// Honest answers in networks of a hundred to a million nodes, and made up ones.
    #[test]
    fn what_is_named_tells_who_invents() {
        let mut rng = Rng::new(5);
        let addr = SocketAddr::from(([80, 1, 1, 1], 1));
        for bits in [7, 12, 20] {
            for _ in 0..2_000 {
                let (by, target) = (NodeId::random(&mut rng), NodeId::random(&mut rng));
                // Of those who have one bit more in common with the target than it has itself, it knows eight.
                let known = (by.bits_shared(&target) + 1).min(bits);
                let mut name = |shared: usize| NodeInfo {
                    id: target
                        .random_sharing(shared + rng.below(u32::MAX).trailing_zeros() as usize, &mut rng),
                    addr,
                };
                let honest: Vec<NodeInfo> = (0..8).map(|_| name(known)).collect();
                assert!(!invents(&by, &target, honest.iter().copied()), "{bits} bits");
                let liar: Vec<NodeInfo> = (0..4).map(|_| name(40)).collect();
                assert!(invents(&by, &target, liar.iter().copied()));
            }
        }
    }
}
