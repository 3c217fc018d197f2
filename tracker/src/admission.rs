//! How many connections there are, in all and by address.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

use potluck_common::AddrScope;

use crate::config::HttpLimits;

/// Counts connections and refuses those past the limits. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    connections_max: usize,
    address_connections_max: usize,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    /// Addresses with at least one connection; local ones are not listed.
    by_address: BTreeMap<IpAddr, usize>,
}

impl Admission {
    pub(crate) fn new(limits: &HttpLimits) -> Self {
        Self {
            connections_max: limits.connections_max,
            address_connections_max: limits.address_connections_max,
            open: Arc::default(),
        }
    }

    /// A place for a connection from `ip`, until the guard is dropped; `None` when there is none.
    pub(crate) fn admit(&self, ip: IpAddr) -> Option<Admitted> {
        let address = limited_address(ip);
        let mut open = self.open();
        if open.total >= self.connections_max {
            return None;
        }
        if let Some(address) = address {
            let count = open.by_address.entry(address).or_default();
            if *count >= self.address_connections_max {
                return None;
            }
            *count += 1;
        }
        open.total += 1;
        drop(open);
        Some(Admitted { address, admission: self.clone() })
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        // Nothing panics between two changes that belong together.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The address to count `ip` under: itself, or its /64; `None` for local ones.
fn limited_address(ip: IpAddr) -> Option<IpAddr> {
    let ip = ip.to_canonical();
    if AddrScope::of(ip).is_local() {
        return None;
    }
    match ip {
        IpAddr::V4(_) => Some(ip),
        IpAddr::V6(ip) => Some(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into()),
    }
}

/// A connection's place.
#[derive(Debug)]
pub(crate) struct Admitted {
    address: Option<IpAddr>,
    admission: Admission,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut open = self.admission.open();
        open.total -= 1;
        let Some(address) = self.address else { return };
        let count = open.by_address.get_mut(&address).expect("an admitted address is listed");
        *count -= 1;
        if *count == 0 {
            open.by_address.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_and_come_back() {
        let limits = HttpLimits { connections_max: 5, address_connections_max: 2, ..HttpLimits::default() };
        let admission = Admission::new(&limits);
        let admit = |text: &str| admission.admit(text.parse().unwrap());
        let first = admit("198.51.99.1").unwrap();
        let _second = admit("::ffff:198.51.99.1").unwrap();
        assert!(admit("198.51.99.1").is_none());
        drop(first);
        let _third = admit("198.51.99.1").unwrap();
        let _fourth = (admit("2606::1").unwrap(), admit("2606::2").unwrap());
        assert!(admit("2606::3").is_none());
        let _fifth = admit("127.0.0.1").unwrap();
        assert!(admit("127.0.0.1").is_none(), "five in all");
    }

    #[test]
    fn local_addresses_have_no_limit_of_their_own_and_nothing_is_left_behind() {
        let admission = Admission::new(&HttpLimits { address_connections_max: 1, ..HttpLimits::default() });
        let admit = |text: &str| admission.admit(text.parse().unwrap());
        let held: Vec<_> = (0..20).map(|_| admit("10.0.0.1").unwrap()).chain(admit("2606::1")).collect();
        assert_eq!(admission.open().total, 21);
        drop(held);
        let open = admission.open();
        assert_eq!((open.total, open.by_address.len()), (0, 0));
    }
}
