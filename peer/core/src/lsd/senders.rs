//! Whoever sends announces, and how many of them are taken.

use std::{collections::BTreeMap, net::IpAddr};

use potluck_common::{Duration, Instant};

/// Most senders that are remembered; a local network has few more.
const SENDERS_MAX: usize = 256;
/// How often a sender may send, in the long run.
const SPACING: Duration = Duration::from_millis(500);
/// How far ahead of that it may be: a client that starts announces all its torrents.
const AHEAD_MAX: Duration = Duration::from_secs(20);
/// Ports that one sender may name: a few clients on one machine. Otherwise one machine could have us try all its ports, and
/// fill the books of peers.
const PORTS_MAX: usize = 4;
/// A port that was not named for so long gives its place to another.
const PORT_KEPT: Duration = Duration::from_secs(10 * 60);

/// Senders, by address. Whoever makes up addresses is bounded by how many there may be: that all of an IPv6 /64 were the
/// same would make one of a whole network.
#[derive(Clone, Default, Debug)]
pub(super) struct Senders(BTreeMap<IpAddr, Sender>);

#[derive(Clone, Debug)]
struct Sender {
    /// What it has sent is paid for by then.
    paid_at: Instant,
    /// Ports that it named, and when.
    ports: Vec<(u16, Instant)>,
}

impl Senders {
    /// Whether a datagram of this sender may be looked at.
    pub(super) fn admit(&mut self, now: Instant, ip: IpAddr) -> bool {
        let key = ip.to_canonical();
        if !self.0.contains_key(&key) && self.0.len() >= SENDERS_MAX && !self.forget_one(now) {
            return false;
        }
        let sender = self.0.entry(key).or_insert(Sender { paid_at: now, ports: Vec::new() });
        let is_admitted = sender.paid_at.since(now) < AHEAD_MAX;
        if is_admitted {
            sender.paid_at = sender.paid_at.max(now) + SPACING;
        }
        is_admitted
    }

    /// Whether this port may be one of its.
    pub(super) fn admit_port(&mut self, now: Instant, ip: IpAddr, port: u16) -> bool {
        let Some(sender) = self.0.get_mut(&ip.to_canonical()) else { return false };
        sender.ports.retain(|(_, named)| now.since(*named) < PORT_KEPT);
        if let Some((_, named)) = sender.ports.iter_mut().find(|(known, _)| *known == port) {
            *named = now;
            return true;
        }
        let is_admitted = sender.ports.len() < PORTS_MAX;
        if is_admitted {
            sender.ports.push((port, now));
        }
        is_admitted
    }

    /// Forgets the sender that has been silent longest, if it owes nothing: nobody gets a clean slate by having others
    /// remembered.
    fn forget_one(&mut self, now: Instant) -> bool {
        let oldest = self.0.iter().min_by_key(|(_, sender)| sender.paid_at);
        let Some((ip, _)) = oldest.filter(|(_, sender)| sender.paid_at <= now) else { return false };
        let ip = *ip;
        self.0.remove(&ip).is_some()
    }

    pub(super) fn assert_invariants(&self) {
        assert!(self.0.len() <= SENDERS_MAX, "{} senders", self.0.len());
        assert!(self.0.values().all(|sender| sender.ports.len() <= PORTS_MAX), "too many ports");
    }
}
