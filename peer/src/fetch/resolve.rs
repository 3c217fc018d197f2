//! Names to addresses: resolved once, checked, and then the only ones that are connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use potluck_common::{AddrScope, Printable, announce::Family};
use url::Host;

use super::{HttpError, policy::Refusal};

/// The local addresses that outgoing connections and datagrams come from; `None` turns a family off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bind {
    /// For IPv4; the unspecified address lets the system choose.
    pub v4: Option<Ipv4Addr>,
    /// For IPv6; the unspecified address lets the system choose.
    pub v6: Option<Ipv6Addr>,
}

impl Bind {
    /// Both families, from whatever address the system chooses.
    pub const ANY: Self = Self { v4: Some(Ipv4Addr::UNSPECIFIED), v6: Some(Ipv6Addr::UNSPECIFIED) };

    /// One address, and nothing of the other family.
    pub fn only(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self { v4: Some(ip), v6: None },
            IpAddr::V6(ip) => Self { v4: None, v6: Some(ip) },
        }
    }

    /// The local address of a family, if it is not off.
    pub(crate) fn local(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => self.v4.map(Into::into),
            Family::V6 => self.v6.map(Into::into),
        }
    }

    /// Whether `ip` can be reached from here: of a family that is on, and on this host if that is bound to loopback.
    fn reaches(&self, ip: IpAddr) -> bool {
        let is_loopback = |ip| AddrScope::of(ip) == AddrScope::Loopback;
        self.local(Family::of(ip)).is_some_and(|local| !is_loopback(local) || is_loopback(ip))
    }
}

/// Where a host may be reached: at these addresses and no others, in the resolver's order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Resolved {
    pub(crate) v4: Vec<SocketAddr>,
    pub(crate) v6: Vec<SocketAddr>,
}

impl Resolved {
    /// The addresses of each family that has some, IPv4 first.
    pub(crate) fn families(&self) -> impl Iterator<Item = &[SocketAddr]> {
        [self.v4.as_slice(), &self.v6].into_iter().filter(|addrs| !addrs.is_empty())
    }

    /// The addresses of the family of `ip`, or of the other if there are none.
    pub(super) fn preferring(&self, family: Family) -> &[SocketAddr] {
        match family {
            Family::V4 if !self.v4.is_empty() => &self.v4,
            Family::V6 if self.v6.is_empty() => &self.v4,
            _ => &self.v6,
        }
    }
}

/// Resolves `host` and keeps what `check` allows and `bind` reaches. Fails when nothing is left, with the reason that
/// took the first address.
pub(crate) async fn resolve(
    bind: &Bind,
    host: Host<&str>,
    port: u16,
    check: impl Fn(IpAddr) -> Result<(), Refusal>,
) -> Result<Resolved, HttpError> {
    let mut resolved = Resolved { v4: Vec::new(), v6: Vec::new() };
    let mut reason = None;
    for ip in look_up(host).await? {
        let verdict = check(ip)
            .map_err(HttpError::Refused)
            .and_then(|()| if bind.reaches(ip) { Ok(()) } else { Err(HttpError::Unbound(ip)) });
        match (verdict, Family::of(ip)) {
            (Ok(()), Family::V4) => resolved.v4.push(SocketAddr::new(ip, port)),
            (Ok(()), Family::V6) => resolved.v6.push(SocketAddr::new(ip, port)),
            (Err(error), _) => reason = reason.or(Some(error)),
        }
    }
    match reason {
        Some(error) if resolved.v4.is_empty() && resolved.v6.is_empty() => Err(error),
        _ => Ok(resolved),
    }
}

/// The addresses of `host`, at least one, in canonical form.
async fn look_up(host: Host<&str>) -> Result<Vec<IpAddr>, HttpError> {
    let name = match host {
        Host::Ipv4(ip) => return Ok(vec![ip.into()]),
        Host::Ipv6(ip) => return Ok(vec![IpAddr::from(ip).to_canonical()]),
        Host::Domain(name) => name,
    };
    let unresolvable = |why: &str| HttpError::Unresolvable { host: name.into(), why: Printable::new(why) };
    let found = tokio::net::lookup_host((name, 0)).await.map_err(|error| unresolvable(&error.to_string()))?;
    let mut ips = Vec::new();
    for ip in found.map(|addr| addr.ip().to_canonical()) {
        if !ips.contains(&ip) {
            ips.push(ip);
        }
    }
    if ips.is_empty() { Err(unresolvable("it has no address")) } else { Ok(ips) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().expect("an address")).collect()
    }

    #[test]
    fn a_bound_address_reaches_its_family_and_loopback_only_itself() {
        let cases = [
            (Bind::ANY, ["127.0.0.1", "8.8.8.8", "::1", "2606::1"], [true, true, true, true]),
            (
                Bind::only(ips(&["192.168.1.5"])[0]),
                ["127.0.0.1", "8.8.8.8", "::1", "2606::1"],
                [true, true, false, false],
            ),
            (
                Bind::only(ips(&["127.0.0.5"])[0]),
                ["127.0.0.1", "8.8.8.8", "::1", "10.0.0.1"],
                [true, false, false, false],
            ),
            (
                Bind::only(ips(&["::1"])[0]),
                ["127.0.0.1", "8.8.8.8", "::1", "2606::1"],
                [false, false, true, false],
            ),
        ];
        for (bind, targets, reached) in cases {
            let actual: Vec<_> = ips(&targets).into_iter().map(|ip| bind.reaches(ip)).collect();
            assert_eq!(actual, reached, "{bind:?}");
        }
    }

    #[tokio::test]
    async fn literals_need_no_resolver_and_refusals_are_kept() {
        let refuse = |ip: IpAddr| if ip.is_ipv4() { Err(Refusal::Loopback(ip)) } else { Ok(()) };
        let v6 = resolve(&Bind::ANY, Host::Ipv6(Ipv6Addr::LOCALHOST), 7, refuse).await.expect("allowed");
        assert_eq!(v6.families().collect::<Vec<_>>(), [["[::1]:7".parse().expect("an address")]]);
        let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
        let refused = resolve(&Bind::ANY, Host::Ipv6(mapped), 7, refuse).await;
        assert_eq!(refused, Err(HttpError::Refused(Refusal::Loopback(Ipv4Addr::LOCALHOST.into()))));
        let bind = Bind { v6: None, ..Bind::ANY };
        let unbound = resolve(&bind, Host::Ipv6(Ipv6Addr::LOCALHOST), 7, refuse).await;
        assert_eq!(unbound, Err(HttpError::Unbound(Ipv6Addr::LOCALHOST.into())));
    }
}
