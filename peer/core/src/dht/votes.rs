//! Who we are to others: the addresses that those who answer us see (BEP 42).

use std::{collections::VecDeque, net::IpAddr};

use potluck_common::{AddrScope, addr::network_of};

/// Words that are remembered, one of each network.
const VOTES_MAX: usize = 24;
/// Networks that must agree, and be more than half.
const AGREEING_MIN: usize = 4;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Votes(VecDeque<(IpAddr, IpAddr)>);

impl Votes {
    /// Somebody who answered sees us at `ip`. Returns what most agree on.
    pub(super) fn add(&mut self, voter: IpAddr, ip: IpAddr) -> Option<IpAddr> {
        let ip = ip.to_canonical();
        if AddrScope::of(ip) != AddrScope::Global || ip.is_ipv4() != voter.to_canonical().is_ipv4() {
            return None;
        }
        let voter = network_of(voter);
        self.0.retain(|(known, _)| *known != voter);
        if self.0.len() == VOTES_MAX {
            self.0.pop_front();
        }
        self.0.push_back((voter, ip));
        let agreeing = self.0.iter().filter(|(_, named)| *named == ip).count();
        (agreeing >= AGREEING_MIN && 2 * agreeing > self.0.len()).then_some(ip)
    }

    /// Another address is certain; old words are of no use.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
