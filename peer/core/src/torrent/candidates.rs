//! The peer book: addresses that may be dialled, where they came from, and when each is due.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

pub use potluck_common::control::PeerSource as Source;
use potluck_common::{AddrScope, Duration, Instant, PeerId, Rng, addr};

/// Most addresses kept; the worst are forgotten first, so that a flood of addresses costs no memory.
const CANDIDATES_MAX: usize = 2_000;
/// Most addresses of our own: a tracker that sees us elsewhere with each reply must not cost memory.
const OURS_MAX: usize = 32;
/// How long a ban lasts.
const BAN: Duration = Duration::from_secs(3600);
/// Most bans kept; the oldest end first.
const BANS_MAX: usize = 1_000;
/// The wait after the first failure; it doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_secs(5);
/// Long enough to leave a dead peer alone, short enough to be back within a minute of a healed network.
///
/// With the jitter and the ten seconds of a dial that gets no answer it is below a minute.
const RETRY_MAX: Duration = Duration::from_secs(40);
/// The wait when it has failed for longer than networks are usually torn.
const RETRY_RARELY: Duration = Duration::from_secs(600);
/// The wait before a peer that broke the protocol is tried again.
const SHUN: Duration = Duration::from_secs(600);
/// The wait before an address is tried again for which there was no room.
const POSTPONE: Duration = Duration::from_secs(15);
/// After so many failures in a row an address is forgotten that the user did not give and nobody was ever met at.
const FAILURES_MAX: u32 = 10;
/// After so many, about a quarter of an hour, it is tried [`RETRY_RARELY`].
const FAILURES_MANY: u32 = 20;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Due at this time.
    Waiting(Instant),
    Dialing,
    Connected,
    /// As complete as we are: not again, unless we lose something.
    Parted,
    /// Never again in this run: it is ourselves, or banned.
    Retired,
}

#[derive(Clone, Debug)]
struct Candidate {
    source: Source,
    /// A handshake was completed there.
    is_met: bool,
    failures: u32,
    phase: Phase,
}

/// Whom a ban shuts out: an address as a whole where addresses are dear, one peer where many share an address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum BanSubject {
    /// A public IPv4 address, or the /64 of a public IPv6 address.
    Address(IpAddr),
    /// A peer on a loopback or private address: a lab behind one NAT must not be shut out for one bad member.
    Peer(IpAddr, PeerId),
}

impl BanSubject {
    /// The subject that a misbehaving peer stands for.
    pub fn of(ip: IpAddr, peer_id: PeerId) -> Self {
        match (AddrScope::of(ip), ip.to_canonical()) {
            (AddrScope::Global, IpAddr::V6(ip)) => {
                let mut segments = ip.segments();
                segments[4..].fill(0);
                Self::Address(IpAddr::from(segments))
            }
            (AddrScope::Global, ip) => Self::Address(ip),
            (_, ip) => Self::Peer(ip, peer_id),
        }
    }
}

/// The peer book of one torrent.
///
/// Invariants: at most [`CANDIDATES_MAX`] entries and [`BANS_MAX`] bans; `dialing` counts the entries in
/// `Phase::Dialing`; no entry has port 0 or an unusable address.
#[derive(Debug)]
pub(super) struct Candidates {
    book: BTreeMap<SocketAddr, Candidate>,
    bans: BTreeMap<BanSubject, Instant>,
    dialing: usize,
    /// Nothing is due before this time.
    idle_until: Instant,
    ours: BTreeSet<SocketAddr>,
    rng: Rng,
}

impl Candidates {
    pub(super) fn new(ours: BTreeSet<SocketAddr>, rng: Rng) -> Self {
        Self {
            book: BTreeMap::new(),
            bans: BTreeMap::new(),
            dialing: 0,
            idle_until: Instant::ZERO,
            ours,
            rng,
        }
    }

    /// A tracker says that we are seen at `ip` (BEP 24): our own ports there are not to be dialled.
    pub(super) fn is_us(&mut self, ip: IpAddr) {
        let ports: BTreeSet<u16> = self.ours.iter().map(SocketAddr::port).collect();
        for port in ports {
            let address = addr::canonical(SocketAddr::new(ip, port));
            if self.ours.len() < OURS_MAX && self.ours.insert(address) {
                self.retire(address);
            }
        }
    }

    /// Learns an address. Returns whether it is new.
    pub(super) fn learn(&mut self, now: Instant, address: SocketAddr, source: Source) -> bool {
        let address = addr::canonical(address);
        if !addr::is_dialable(address) || self.ours.contains(&address) {
            return false;
        }
        if let Some(known) = self.book.get_mut(&address) {
            known.source = known.source.max(source);
            if source == Source::User && matches!(known.phase, Phase::Waiting(_)) {
                known.phase = Phase::Waiting(now);
                self.idle_until = self.idle_until.min(now);
            }
            return false;
        }
        if self.book.len() >= CANDIDATES_MAX && !self.forget_worst(source) {
            return false;
        }
        self.idle_until = self.idle_until.min(now);
        self.book
            .insert(address, Candidate { source, is_met: false, failures: 0, phase: Phase::Waiting(now) });
        true
    }

    /// The best source that named this address; of one that is not in the book nothing but the connection itself is known.
    pub(super) fn source_of(&self, address: SocketAddr) -> Source {
        self.book.get(&address).map_or(Source::Incoming, |candidate| candidate.source)
    }

    /// The next address that is due, marked as being dialled; the user's first, then the least failed.
    pub(super) fn next_due(&mut self, now: Instant) -> Option<SocketAddr> {
        if now < self.idle_until {
            return None;
        }
        let rank = |c: &Candidate| (c.source != Source::User, c.failures);
        let is_due = |address: &SocketAddr, c: &Candidate| {
            matches!(c.phase, Phase::Waiting(at) if at <= now) && !self.is_banned(now, address.ip(), None)
        };
        let due: Vec<(SocketAddr, (bool, u32))> =
            self.book.iter().filter(|(a, c)| is_due(a, c)).map(|(address, c)| (*address, rank(c))).collect();
        let Some(best) = due.iter().map(|(_, rank)| *rank).min() else {
            self.idle_until = self.earliest_after(now);
            return None;
        };
        let equals: Vec<SocketAddr> =
            due.iter().filter(|(_, rank)| *rank == best).map(|(address, _)| *address).collect();
        let address = *self.rng.choose(&equals)?;
        self.set_phase(address, Phase::Dialing);
        Some(address)
    }

    /// When to look again, if nothing that happens meanwhile changes it. An address that is due and banned is looked
    /// at again after a while.
    fn earliest_after(&self, now: Instant) -> Instant {
        let waits = self.book.values().filter_map(|c| match c.phase {
            Phase::Waiting(at) => Some(if at > now { at } else { now + RETRY_MAX }),
            _ => None,
        });
        waits.min().unwrap_or(Instant::FAR_FUTURE)
    }

    /// A connection to or from this address stands.
    pub(super) fn connected(&mut self, address: SocketAddr) {
        self.set_phase(address, Phase::Connected);
    }

    /// A peer completed its handshake there: worth more than an address that somebody told us.
    pub(super) fn met(&mut self, address: SocketAddr) {
        if let Some(candidate) = self.book.get_mut(&address) {
            candidate.is_met = true;
        }
    }

    /// Whether a connection stands.
    fn somebody_is_there(&self) -> bool {
        self.book.values().any(|candidate| candidate.phase == Phase::Connected)
    }

    /// Payload passed, so the address is a good one.
    pub(super) fn proved(&mut self, address: SocketAddr) {
        if let Some(candidate) = self.book.get_mut(&address) {
            candidate.failures = 0;
        }
    }

    /// A dial failed or a connection ended: due again after a wait that doubles, with jitter.
    pub(super) fn failed(&mut self, now: Instant, address: SocketAddr) {
        let Some(candidate) = self.book.get_mut(&address) else { return };
        if matches!(candidate.phase, Phase::Parted | Phase::Retired) {
            return;
        }
        candidate.failures = candidate.failures.saturating_add(1);
        let Candidate { source, is_met, failures, .. } = *candidate;
        // While nobody at all is there, a failure says as much about our own network as about the address.
        if failures >= FAILURES_MAX && source != Source::User && !is_met && self.somebody_is_there() {
            self.set_phase(address, Phase::Retired);
            self.book.remove(&address);
            return;
        }
        let rarely =
            failures > FAILURES_MANY && source != Source::User && (!is_met || self.somebody_is_there());
        let doubled = RETRY_MIN.saturating_mul(1 << (failures - 1).min(8)).min(RETRY_MAX);
        let wait = if rarely { RETRY_RARELY } else { doubled };
        let jitter = wait.mul_f64(0.2 * self.rng.fraction());
        self.set_phase(address, Phase::Waiting(now + wait + jitter));
    }

    /// A peer there broke the protocol: no hurry to be back.
    pub(super) fn shunned(&mut self, now: Instant, address: SocketAddr) {
        if self.book.get(&address).is_some_and(|candidate| matches!(candidate.phase, Phase::Waiting(_))) {
            self.set_phase(address, Phase::Waiting(now + SHUN));
        }
    }

    /// It was not tried, for no fault of its own.
    pub(super) fn postponed(&mut self, now: Instant, address: SocketAddr) {
        if self.book.get(&address).is_some_and(|candidate| candidate.phase == Phase::Dialing) {
            self.set_phase(address, Phase::Waiting(now + POSTPONE));
        }
    }

    /// Do not dial this address again unless [`Candidates::revive`] says so: it has nothing for us.
    pub(super) fn part(&mut self, address: SocketAddr) {
        self.set_phase(address, Phase::Parted);
    }

    /// We lack something again: whoever was complete may be dialled.
    pub(super) fn revive(&mut self, now: Instant) {
        let parted = self.book.values_mut().filter(|candidate| candidate.phase == Phase::Parted);
        parted.for_each(|candidate| candidate.phase = Phase::Waiting(now));
        self.idle_until = self.idle_until.min(now);
    }

    /// Never dial this address again in this run.
    pub(super) fn retire(&mut self, address: SocketAddr) {
        self.set_phase(address, Phase::Retired);
    }

    /// Shuts `subject` out for an hour. Returns whether it was not shut out already.
    pub(super) fn ban(&mut self, now: Instant, subject: BanSubject) -> bool {
        if self.bans.len() >= BANS_MAX
            && let Some(oldest) =
                self.bans.iter().min_by_key(|(_, until)| **until).map(|(subject, _)| *subject)
        {
            self.bans.remove(&oldest);
        }
        self.bans.insert(subject, now + BAN).is_none_or(|until| until <= now)
    }

    /// Whether this peer is banned now.
    pub(super) fn is_banned(&self, now: Instant, ip: IpAddr, peer_id: Option<PeerId>) -> bool {
        let anyone = PeerId([0; 20]);
        let subject = BanSubject::of(ip, peer_id.unwrap_or(anyone));
        self.bans.get(&subject).is_some_and(|until| *until > now)
    }

    /// Addresses being dialled.
    pub(super) fn dialing(&self) -> usize {
        self.dialing
    }

    /// Addresses that are waiting to be dialled.
    pub(super) fn waiting(&self) -> usize {
        self.book.values().filter(|c| matches!(c.phase, Phase::Waiting(_))).count()
    }

    fn set_phase(&mut self, address: SocketAddr, phase: Phase) {
        if let Some(candidate) = self.book.get_mut(&address) {
            self.dialing -= usize::from(candidate.phase == Phase::Dialing);
            self.dialing += usize::from(phase == Phase::Dialing);
            candidate.phase = phase;
            if let Phase::Waiting(at) = phase {
                self.idle_until = self.idle_until.min(at);
            }
        }
    }

    fn forget_worst(&mut self, newcomer: Source) -> bool {
        let worst = (self.book.iter())
            .filter(|(_, c)| {
                matches!(c.phase, Phase::Waiting(_) | Phase::Parted | Phase::Retired) && c.source <= newcomer
            })
            .max_by_key(|(_, c)| (c.failures, std::cmp::Reverse(c.source)))
            .map(|(address, _)| *address);
        worst.is_some_and(|address| self.book.remove(&address).is_some())
    }

    pub(super) fn assert_invariants(&self) {
        assert!(self.book.len() <= CANDIDATES_MAX && self.bans.len() <= BANS_MAX, "the peer book is bounded");
        let dialing = self.book.values().filter(|c| c.phase == Phase::Dialing).count();
        assert_eq!(self.dialing, dialing, "the count of dials agrees with a recount");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> Candidates {
        Candidates::new(BTreeSet::from(["10.0.0.1:6881".parse().expect("an address")]), Rng::new(1))
    }

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn ourselves_duplicates_port_zero_and_unusable_addresses_are_not_learnt() {
        let mut book = book();
        let now = Instant::from_secs(1);
        for text in [
            "10.0.0.1:6881",
            "1.2.3.4:0",
            "0.0.0.0:1",
            "239.1.1.1:5",
            "[ff02::1]:5",
            "[::ffff:10.0.0.1]:6881",
        ] {
            assert!(!book.learn(now, at(text), Source::Tracker), "{text}");
        }
        assert!(book.learn(now, at("[::ffff:1.2.3.4]:5"), Source::Tracker));
        assert!(!book.learn(now, at("1.2.3.4:5"), Source::Tracker), "the same address in another form");
    }

    #[test]
    fn failures_wait_longer_and_end() {
        // Whether we once met it, and whether somebody else is connected: how often it is tried in two hours.
        for (is_met, somebody, tries) in
            [(false, true, 10..=10), (true, true, 28..=32), (false, false, 28..=32), (true, false, 140..=190)]
        {
            let mut book = book();
            let begin = Instant::from_secs(1);
            let mut now = begin;
            book.learn(now, at("1.2.3.4:5"), Source::Tracker);
            if is_met {
                book.met(at("1.2.3.4:5"));
            }
            if somebody {
                book.learn(now, at("4.3.2.1:5"), Source::Incoming);
                book.connected(at("4.3.2.1:5"));
            }
            let mut waits = Vec::new();
            let due_at = |book: &Candidates| match book.book.get(&at("1.2.3.4:5"))?.phase {
                Phase::Waiting(at) => Some(at),
                _ => None,
            };
            while let Some(due) = due_at(&book).filter(|due| due.since(begin) < Duration::from_secs(7_200)) {
                waits.push(due.since(now));
                now = due;
                assert_eq!(book.next_due(now), Some(at("1.2.3.4:5")));
                book.assert_invariants();
                book.failed(now, at("1.2.3.4:5"));
            }
            assert!(tries.contains(&waits.len()), "{is_met} {somebody}: {} of {tries:?}", waits.len());
            let quarter = &waits[..waits.len().min(20)];
            assert!(
                waits[1] >= RETRY_MIN && quarter.iter().all(|wait| *wait < Duration::from_secs(50)),
                "row 6.3: {waits:?}"
            );
        }
    }

    #[test]
    fn a_flood_is_bounded_and_does_not_displace_the_users_addresses() {
        let mut book = book();
        let now = Instant::from_secs(1);
        book.learn(now, at("9.9.9.9:9"), Source::User);
        for n in 0..10_000u32 {
            book.learn(
                now,
                SocketAddr::new(IpAddr::from((0x0b00_0000 + n).to_be_bytes()), 1),
                Source::Tracker,
            );
            if n % 1000 == 0 {
                book.assert_invariants();
            }
        }
        assert_eq!(book.next_due(now), Some(at("9.9.9.9:9")));
    }

    #[test]
    fn row_2_8_bans_shut_out_public_addresses_and_single_private_peers() {
        let mut book = book();
        let now = Instant::from_secs(1);
        let (one, other) = (PeerId([1; 20]), PeerId([2; 20]));
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        for (banned, asked, same_id, expected) in [
            ("9.9.9.9", "9.9.9.9", false, true),
            ("2606::1:2:3:4", "2606::9:9:9:9", false, true),
            ("127.0.0.1", "127.0.0.1", true, true),
            ("127.0.0.1", "127.0.0.1", false, false),
        ] {
            book.ban(now, BanSubject::of(ip(banned), one));
            let asking = if same_id { one } else { other };
            assert_eq!(book.is_banned(now, ip(asked), Some(asking)), expected, "{banned} {asked}");
        }
        assert!(!book.is_banned(now + BAN, ip("9.9.9.9"), Some(one)), "a ban ends");
    }
}
