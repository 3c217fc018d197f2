//! The router of this machine, and our address as it knows us.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
};

use potluck_common::AddrScope;
use thiserror::Error;

use crate::net::interfaces::{self, Interface};

/// The way out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Route {
    /// The router.
    pub(super) gateway: Ipv4Addr,
    /// Our own address in its network.
    pub(super) local: Ipv4Addr,
    /// How many leading bits all addresses of that network share.
    pub(super) prefix: u8,
}

impl Route {
    /// Whether `ip` is in the network that we share with the router.
    pub(super) fn reaches(&self, ip: IpAddr) -> bool {
        Interface { index: 0, ip: self.local.into(), prefix: self.prefix }.reaches(ip)
    }
}

/// Why no router can be asked.
#[derive(Debug, Error)]
pub(super) enum NoRoute {
    /// The system's list cannot be read.
    #[error("the routes of this machine cannot be read: {0}")]
    Unknown(#[from] io::Error),
    /// There is no default route.
    #[error("this machine has no router")]
    NoGateway,
    /// The router is reached over an address that is not to be used.
    #[error("the router {0} is not in a network of ours")]
    Elsewhere(Ipv4Addr),
    /// There is nothing to map.
    #[error("not needed: {0} is a public address")]
    Public(Ipv4Addr),
}

impl NoRoute {
    /// Whether it may be otherwise later.
    pub(super) fn is_trouble(&self) -> bool {
        !matches!(self, Self::Public(_))
    }
}

/// The way out for an engine with this `bind`.
pub(super) fn find(bind: Option<IpAddr>) -> Result<Route, NoRoute> {
    // Of the network that this thread is in, which in tests need not be that of the whole process.
    let routes = std::fs::read_to_string("/proc/thread-self/net/route")?;
    let gateway = default_gateway(&routes).ok_or(NoRoute::NoGateway)?;
    choose(gateway, &interfaces::all()?, bind)
}

fn choose(gateway: Ipv4Addr, interfaces: &[Interface], bind: Option<IpAddr>) -> Result<Route, NoRoute> {
    let ours = interfaces.iter().filter(|interface| bind.is_none_or(|bind| interface.ip == bind));
    let found = ours.filter_map(|interface| match interface.ip {
        IpAddr::V4(local) if interface.reaches(gateway.into()) => {
            Some(Route { gateway, local, prefix: interface.prefix })
        }
        _ => None,
    });
    let route = found.into_iter().next().ok_or(NoRoute::Elsewhere(gateway))?;
    if AddrScope::of(route.local.into()) == AddrScope::Global {
        return Err(NoRoute::Public(route.local));
    }
    Ok(route)
}

/// The gateway of the default route that the system prefers, in a list such as Linux has in `/proc/net/route`.
fn default_gateway(routes: &str) -> Option<Ipv4Addr> {
    /// The route works, and by a gateway.
    const UP_GATEWAY: u32 = 0x3;
    let gateway = |line: &str| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let mut hexadecimal = || u32::from_str_radix(fields.next()?, 16).ok();
        let (destination, gateway, flags) = (hexadecimal()?, hexadecimal()?, hexadecimal()?);
        let metric: u32 = fields.nth(2)?.parse().ok()?;
        let mask = u32::from_str_radix(fields.next()?, 16).ok()?;
        let is_default = destination == 0 && mask == 0 && flags & UP_GATEWAY == UP_GATEWAY;
        // Addresses stand there as the processor has them in memory.
        is_default.then(|| (metric, Ipv4Addr::from(gateway.to_ne_bytes())))
    };
    let found = routes.lines().skip(1).filter_map(gateway);
    found.min_by_key(|(metric, _)| *metric).map(|(_, gateway)| gateway)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_default_route_with_the_lowest_metric_counts() {
        let head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
        let wifi = "wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n";
        let cable = "eth0\t00000000\tFE00000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n";
        let own = "eth0\t0000000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n";
        let down = "eth1\t00000000\t0101010A\t0002\t0\t0\t1\t00000000\t0\t0\t0\n";
        for (lines, wanted) in [
            (vec![head], None),
            (vec![], None),
            (vec![head, own, down], None),
            (vec![head, wifi, own], Some([192, 168, 1, 1])),
            (vec![head, own, wifi, cable, down], Some([10, 0, 0, 254])),
            (vec![head, "nonsense\n", "eth0 0 zz\n", cable], Some([10, 0, 0, 254])),
        ] {
            assert_eq!(default_gateway(&lines.concat()), wanted.map(Ipv4Addr::from), "{lines:?}");
        }
    }

    #[test]
    fn our_address_is_the_one_in_the_networks_of_the_router() {
        let interface =
            |ip: &str, prefix| Interface { index: 1, ip: ip.parse().expect("an address"), prefix };
        let all = [
            interface("127.0.0.1", 8),
            interface("10.0.0.5", 24),
            interface("fd00::5", 64),
            interface("8.8.8.8", 24),
        ];
        for (gateway, bind, wanted) in [
            ([10, 0, 0, 1], None, Ok("10.0.0.5")),
            ([10, 0, 0, 1], Some("10.0.0.5"), Ok("10.0.0.5")),
            ([10, 0, 0, 1], Some("127.0.0.1"), Err("the router 10.0.0.1 is not in a network of ours")),
            ([10, 0, 9, 1], None, Err("the router 10.0.9.1 is not in a network of ours")),
            ([8, 8, 8, 1], None, Err("not needed: 8.8.8.8 is a public address")),
        ] {
            let bind = bind.map(|text| text.parse().expect("an address"));
            let route = choose(gateway.into(), &all, bind);
            let route = route.map(|route| route.local.to_string()).map_err(|error| error.to_string());
            assert_eq!(
                route,
                wanted.map(ToOwned::to_owned).map_err(ToOwned::to_owned),
                "{gateway:?} {bind:?}"
            );
        }
    }
}
