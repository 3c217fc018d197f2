//! Whether strangers can connect to our port, from what can be seen without asking anybody: who came, who did not, and what
//! the router said.

mod strangers;

use std::{
    collections::VecDeque,
    fmt,
    net::{IpAddr, SocketAddr},
};

use potluck_common::{
    AddrScope, Duration, Instant, Printable,
    control::{PortReach, PortSummary},
};

pub use self::strangers::Strangers;

/// Somebody who came from afar proves that the port is open for so long.
const PROOF_KEPT: Duration = Duration::from_secs(60 * 60);
/// Nobody came for so long, while others could be reached: it is closed, probably.
const SILENCE: Duration = Duration::from_secs(30 * 60);
/// So many peers from afar took our connections meanwhile, so that the swarm has heard of us and the network works.
const REACHED_MIN: usize = 10;

/// What the router was asked for, and what came of it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum Mapping {
    /// It is not asked, for a reason in words.
    Off(Printable),
    /// It has not answered yet.
    #[default]
    Asking,
    /// It sends on to us what comes to a port of its own.
    Mapped {
        /// The protocol that it was asked by.
        by: MappedBy,
        /// The router's address outside, if it says one.
        external_ip: Option<IpAddr>,
        /// Its port outside for TCP.
        external_port: u16,
        /// For how long, until it is asked again; `None` is for ever.
        lease: Option<Duration>,
    },
    /// It did not, for a reason in words.
    Failed(Printable),
}

/// How a router is asked for a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MappedBy {
    /// UPnP IGD.
    Upnp,
    /// NAT-PMP (RFC 6886).
    NatPmp,
    /// PCP (RFC 6887).
    Pcp,
}

impl fmt::Display for MappedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Upnp => "UPnP",
            Self::NatPmp => "NAT-PMP",
            Self::Pcp => "PCP",
        })
    }
}

impl Mapping {
    /// The address that the whole internet sees us at, if the router told one that can be.
    pub fn external_address(&self) -> Option<SocketAddr> {
        let Self::Mapped { external_ip: Some(ip), external_port, .. } = self else { return None };
        (AddrScope::of(*ip) == AddrScope::Global).then(|| SocketAddr::new(*ip, *external_port))
    }

    /// The port to tell others of, if it is another than the one that we listen on.
    pub fn external_port(&self) -> Option<u16> {
        if let Self::Mapped { external_port, .. } = self { Some(*external_port) } else { None }
    }
}

/// "mapped by UPnP to 203.0.113.5:6881 for 1 h".
impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off(why) | Self::Failed(why) => why.fmt(f),
            Self::Asking => f.write_str("asking the router for a port"),
            Self::Mapped { by, external_ip, external_port, lease } => {
                write!(f, "mapped by {by} to ")?;
                match external_ip {
                    Some(ip) => write!(f, "{}", SocketAddr::new(*ip, *external_port))?,
                    None => write!(f, "port {external_port} of the router")?,
                }
                match lease {
                    Some(lease) => write!(f, " for {}", Lease(*lease))?,
                    None => f.write_str(" until it is taken back")?,
                }
                match external_ip {
                    Some(ip) if AddrScope::of(*ip).is_local() => f.write_str(", behind another router"),
                    _ => Ok(()),
                }
            }
        }
    }
}

/// A lease as a person reads it.
struct Lease(Duration);

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.0.as_secs().div_ceil(60);
        if minutes > 0 && minutes.is_multiple_of(60) {
            write!(f, "{} h", minutes / 60)
        } else {
            write!(f, "{minutes} min")
        }
    }
}

/// What is known of our port.
#[derive(Clone, Debug)]
pub struct Reachability {
    port: u16,
    /// Only addresses of this machine are listened on.
    is_loopback: bool,
    /// Since when we listen: silence is counted from here.
    since: Instant,
    /// When somebody from afar came last, and over what.
    came: Option<(Instant, Evidence)>,
    /// When peers from afar took our connections; the last ones.
    reached: VecDeque<Instant>,
    mapping: Mapping,
}

/// How somebody came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Evidence {
    /// A connection of a peer.
    Connection,
    /// A datagram of a node of the DHT that we never sent anything to.
    Datagram,
}

impl Reachability {
    /// Of a port that has been listened on since `now`.
    pub fn new(now: Instant, port: u16, is_loopback: bool) -> Self {
        let mapping = Mapping::default();
        Self { port, is_loopback, since: now, came: None, reached: VecDeque::new(), mapping }
    }

    /// Somebody came from `ip` whom we had not asked to.
    pub fn came(&mut self, now: Instant, ip: IpAddr, evidence: Evidence) {
        if AddrScope::of(ip) == AddrScope::Global {
            self.came = Some((now, evidence));
        }
    }

    /// A peer at `ip` took a connection of ours.
    pub fn reached(&mut self, now: Instant, ip: IpAddr) {
        if AddrScope::of(ip) == AddrScope::Global {
            self.reached.push_back(now);
            while self.reached.len() > REACHED_MIN {
                self.reached.pop_front();
            }
        }
    }

    /// What the router says now.
    pub fn set_mapping(&mut self, mapping: Mapping) {
        self.mapping = mapping;
    }

    /// What the router says now.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// What is to be thought of it.
    pub fn summary(&self, now: Instant) -> PortSummary {
        let (reach, words) = self.verdict(now);
        PortSummary { port: Some(self.port), reach, message: Printable::new(&words) }
    }

    fn verdict(&self, now: Instant) -> (PortReach, String) {
        let mapping = &self.mapping;
        if self.is_loopback {
            return (PortReach::Unknown, "only programs on this machine can connect".to_owned());
        }
        if let Some((_, evidence)) = self.came.filter(|(at, _)| now.since(*at) < PROOF_KEPT) {
            let what = match evidence {
                Evidence::Connection => "a peer connected from outside",
                Evidence::Datagram => "a node of the DHT asked from outside",
            };
            return (PortReach::Open, format!("{what}; {mapping}"));
        }
        let last = self.came.map_or(self.since, |(at, _)| at);
        let reached = self.reached.iter().filter(|at| **at >= last).count();
        if now.since(last) >= SILENCE && reached >= REACHED_MIN && !matches!(mapping, Mapping::Mapped { .. })
        {
            let words = format!("closed, probably: nobody could connect in 30 minutes; {mapping}");
            return (PortReach::Closed, words);
        }
        (PortReach::Unknown, format!("nobody has connected from outside yet; {mapping}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: &str = "8.8.8.8";

    enum Step {
        Came(u64, &'static str, Evidence),
        /// So many peers, ten seconds apart.
        Reached(u64, &'static str, u64),
        Mapped(Mapping),
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn mapped(external_ip: Option<&str>) -> Mapping {
        Mapping::Mapped {
            by: MappedBy::Upnp,
            external_ip: external_ip.map(ip),
            external_port: 6881,
            lease: Some(Duration::from_secs(3_600)),
        }
    }

    fn failed() -> Mapping {
        Mapping::Failed(Printable::new("no router answered"))
    }

    #[test]
    fn what_is_thought_follows_from_what_was_seen() {
        use Evidence::{Connection, Datagram};
        use PortReach::{Closed, Open, Unknown};
        use Step::{Came, Mapped, Reached};
        for (steps, now, reach, words) in [
            (vec![], 0, Unknown, "nobody has connected from outside yet; asking the router for a port"),
            (vec![Came(10, FAR, Connection)], 10, Open, "a peer connected from outside; asking"),
            (vec![Came(10, FAR, Datagram)], 100, Open, "a node of the DHT asked from outside; asking"),
            (vec![Came(10, "2606::1", Connection)], 3_600, Open, "a peer connected from outside"),
            // Proof grows old, and one from nearby is none.
            (vec![Came(10, FAR, Connection)], 3_610, Unknown, "nobody has connected from outside yet"),
            (vec![Came(10, "192.168.1.7", Connection)], 20, Unknown, "nobody has connected"),
            (vec![Came(10, "127.0.0.1", Connection)], 20, Unknown, "nobody has connected"),
            (vec![Came(10, "100.64.0.9", Datagram)], 20, Unknown, "nobody has connected"),
            // A mapping is a word and no proof.
            (
                vec![Mapped(mapped(Some("203.0.114.5")))],
                9_000,
                Unknown,
                "mapped by UPnP to 203.0.114.5:6881 for 1 h",
            ),
            (
                vec![Reached(0, FAR, 20), Mapped(mapped(None))],
                9_000,
                Unknown,
                "mapped by UPnP to port 6881 of the router for 1 h",
            ),
            // Silence says something where the network works, and not sooner.
            (
                vec![Reached(100, FAR, 10), Mapped(failed())],
                1_799,
                Unknown,
                "nobody has connected from outside yet; no",
            ),
            (
                vec![Reached(100, FAR, 10), Mapped(failed())],
                1_800,
                Closed,
                "closed, probably: nobody could connect in 30 minutes; no router answered",
            ),
            (vec![Reached(100, FAR, 9), Mapped(failed())], 9_000, Unknown, "nobody has connected"),
            (vec![Reached(100, "10.0.0.1", 50), Mapped(failed())], 9_000, Unknown, "nobody has connected"),
            // It was open once: the silence since then counts, and the peers since then.
            (
                vec![Came(5_000, FAR, Connection), Reached(100, FAR, 10)],
                8_700,
                Unknown,
                "nobody has connected",
            ),
            (
                vec![Reached(100, FAR, 10), Came(5_000, FAR, Connection), Reached(5_100, FAR, 10)],
                8_700,
                Closed,
                "nobody could connect in 30 minutes",
            ),
        ] {
            let mut port = Reachability::new(Instant::ZERO, 6881, false);
            for step in steps {
                match step {
                    Came(at, from, evidence) => port.came(Instant::from_secs(at), ip(from), evidence),
                    Reached(at, to, count) => {
                        (0..count).for_each(|n| port.reached(Instant::from_secs(at + 10 * n), ip(to)));
                    }
                    Mapped(mapping) => port.set_mapping(mapping),
                }
            }
            let summary = port.summary(Instant::from_secs(now));
            assert_eq!((summary.port, summary.reach), (Some(6881), reach), "{}", summary.message);
            assert!(summary.message.as_str().contains(words), "{:?} has not {words:?}", summary.message);
        }
    }

    #[test]
    fn a_port_of_this_machine_alone_is_nobody_elses() {
        let mut port = Reachability::new(Instant::ZERO, 1, true);
        port.came(Instant::ZERO, ip(FAR), Evidence::Connection);
        let summary = port.summary(Instant::ZERO);
        assert_eq!(
            (summary.reach, summary.message.as_str()),
            (PortReach::Unknown, "only programs on this machine can connect")
        );
    }

    #[test]
    fn only_an_address_that_all_can_see_is_ours() {
        for (told, address, words) in [
            (Some("8.8.4.4"), Some("8.8.4.4:6881"), "mapped by UPnP to 8.8.4.4:6881 for 1 h"),
            (Some("10.0.0.5"), None, "mapped by UPnP to 10.0.0.5:6881 for 1 h, behind another router"),
            (Some("100.64.3.3"), None, "mapped by UPnP to 100.64.3.3:6881 for 1 h, behind another router"),
            (Some("0.0.0.0"), None, "mapped by UPnP to 0.0.0.0:6881 for 1 h"),
            (None, None, "mapped by UPnP to port 6881 of the router for 1 h"),
        ] {
            let mapping = mapped(told);
            assert_eq!(mapping.external_address().map(|address| address.to_string()).as_deref(), address);
            assert_eq!(mapping.to_string(), words);
            assert_eq!(mapping.external_port(), Some(6881));
        }
        assert_eq!((failed().external_port(), failed().external_address()), (None, None));
    }
}
