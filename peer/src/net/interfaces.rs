//! The addresses of this machine, and the networks that they are in.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use if_addrs::IfAddr;
use potluck_common::AddrScope;

/// An address of an interface that is up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Interface {
    /// The interface's number in the system.
    pub(crate) index: u32,
    pub(crate) ip: IpAddr,
    /// How many leading bits all addresses of its network share.
    pub(crate) prefix: u8,
}

impl Interface {
    /// Whether `ip` is in the same network.
    pub(crate) fn reaches(&self, ip: IpAddr) -> bool {
        match (self.ip, ip.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                shift_v4(ours, self.prefix) == shift_v4(theirs, self.prefix)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                shift_v6(ours, self.prefix) == shift_v6(theirs, self.prefix)
            }
            _ => false,
        }
    }
}

fn shift_v4(ip: Ipv4Addr, prefix: u8) -> u32 {
    ip.to_bits().checked_shr(32 - u32::from(prefix.min(32))).unwrap_or(0)
}

fn shift_v6(ip: Ipv6Addr, prefix: u8) -> u128 {
    ip.to_bits().checked_shr(128 - u32::from(prefix.min(128))).unwrap_or(0)
}

/// All of them, in the order of the system.
pub(crate) fn all() -> io::Result<Vec<Interface>> {
    let found = if_addrs::get_if_addrs()?.into_iter().filter(if_addrs::Interface::is_oper_up);
    let interface = |found: if_addrs::Interface| {
        let (ip, prefix) = match found.addr {
            IfAddr::V4(v4) => (v4.ip.into(), v4.prefixlen),
            IfAddr::V6(v6) => (v6.ip.into(), v6.prefixlen),
        };
        Some(Interface { index: found.index?, ip, prefix })
    };
    Ok(found.filter_map(interface).collect())
}

/// Those that an engine with this `bind` talks to its neighbours on: one address of each family on each interface, or only
/// `bind` itself. Loopback counts where there is nothing else, so that programs on one machine find each other.
pub(crate) fn usable(all: &[Interface], bind: Option<IpAddr>) -> Vec<Interface> {
    if let Some(bind) = bind {
        // Each of 127/8 is an address of the loopback interface, which has only one of them.
        let found = all.iter().find(|interface| interface.ip == bind);
        let found = found.or_else(|| all.iter().find(|i| bind.is_loopback() && i.reaches(bind)));
        return found.map(|interface| Interface { ip: bind, ..*interface }).into_iter().collect();
    }
    let one_each = |wanted: &dyn Fn(IpAddr) -> bool| {
        let mut chosen: Vec<Interface> = Vec::new();
        for interface in all.iter().filter(|interface| wanted(interface.ip)) {
            let is_taken =
                |c: &Interface| c.index == interface.index && c.ip.is_ipv4() == interface.ip.is_ipv4();
            if !chosen.iter().any(is_taken) {
                chosen.push(*interface);
            }
        }
        chosen
    };
    // A link-local IPv6 address is of no use to whoever hears of it without the interface.
    let is_of_no_use = |ip: IpAddr| ip.is_ipv6() && AddrScope::of(ip) == AddrScope::LinkLocal;
    let chosen = one_each(&|ip| !ip.is_loopback() && !is_of_no_use(ip));
    if chosen.is_empty() { one_each(&|ip| ip.is_loopback()) } else { chosen }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(index: u32, text: &str) -> Interface {
        let (ip, prefix) = text.split_once('/').expect("a prefix");
        Interface { index, ip: ip.parse().expect("an address"), prefix: prefix.parse().expect("a number") }
    }

    #[test]
    fn a_network_is_what_shares_the_prefix() {
        for (ours, theirs, is_near) in [
            ("192.168.1.5/24", "192.168.1.200", true),
            ("192.168.1.5/24", "::ffff:192.168.1.200", true),
            ("192.168.1.5/24", "192.168.2.5", false),
            ("192.168.1.5/24", "fd00::1", false),
            ("10.0.0.1/0", "8.8.8.8", true),
            ("10.0.0.1/32", "10.0.0.2", false),
            ("fd00:1::5/64", "fd00:1::9:9", true),
            ("fd00:1::5/64", "fd00:2::9:9", false),
            ("fd00:1::5/0", "2606::1", true),
        ] {
            let theirs = theirs.parse().expect("an address");
            assert_eq!(interface(1, ours).reaches(theirs), is_near, "{theirs} seen from {ours}");
        }
    }

    #[test]
    fn each_interface_is_used_once_a_family_and_loopback_only_alone() {
        let laptop =
            ["127.0.0.1/8", "::1/128", "192.168.1.5/24", "192.168.1.6/24", "fe80::1/64", "fd00::5/64"];
        let indices = [1, 1, 2, 2, 2, 2];
        let laptop: Vec<Interface> =
            indices.into_iter().zip(laptop).map(|(i, text)| interface(i, text)).collect();
        let alone = &laptop[..2];
        let offline = [alone, &laptop[4..5]].concat();
        for (all, bind, wanted) in [
            (&laptop[..], None, vec!["192.168.1.5", "fd00::5"]),
            (alone, None, vec!["127.0.0.1", "::1"]),
            (&offline, None, vec!["127.0.0.1", "::1"]),
            (&laptop, Some("192.168.1.6"), vec!["192.168.1.6"]),
            (&laptop, Some("127.0.7.9"), vec!["127.0.7.9"]),
            (&laptop, Some("::1"), vec!["::1"]),
            (&laptop, Some("10.9.9.9"), vec![]),
        ] {
            let bind: Option<IpAddr> = bind.map(|text: &str| text.parse().expect("an address"));
            let chosen: Vec<String> = usable(all, bind).iter().map(|i| i.ip.to_string()).collect();
            assert_eq!(chosen, wanted, "bound to {bind:?}");
        }
    }
}
