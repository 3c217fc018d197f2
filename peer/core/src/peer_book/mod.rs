//! The peer book: every address at which a peer of the torrent is said to be, from whatever source, and what came of it.
//!
//! An address is there once, however many sources name it. It is dialled by the turn of its best source, so that a flood
//! from one source costs the others nothing but their place in turn, and it is forgotten, when there are too many, from the
//! source that has most. Which address of a source comes first follows from its failures and its priority (BEP 40).

mod bans;
mod budget;
mod entry;
mod givers;
mod outcomes;
mod priority;
mod tally;
#[cfg(test)]
mod tests;
mod turns;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use potluck_common::{
    AddrScope, Instant, Rng,
    addr::{self, AddrContext, acceptable},
    control::PeerSource,
    wire::PexFlags,
};

pub use self::bans::BanSubject;
use self::{
    bans::Bans,
    budget::Budget,
    entry::{Entry, Phase, Rank, Sources},
    givers::Givers,
    turns::is_of_strangers,
};
use crate::Identity;

/// Most addresses kept, so that a flood of addresses costs no memory.
const ENTRIES_MAX: usize = 2_000;
/// So many addresses of one source no other source takes away.
const SHARE: usize = ENTRIES_MAX / 4;
/// Addresses forgotten at once when there are too many: the book is sorted for it.
const FORGOTTEN_AT_ONCE: usize = 50;
/// Most addresses of our own: a tracker that sees us elsewhere with each reply must not cost memory.
const OURS_MAX: usize = 32;
/// Most ports of one public IP address that strangers name, and of any that a link does: a household may have as many clients, and nobody's ports are
/// to be tried in turn.
const PORTS_PER_ADDRESS_MAX: usize = 4;
/// An address and what is said of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    /// Where the peer is said to be.
    pub(crate) address: SocketAddr,
    /// What else is said of it.
    pub(crate) flags: PexFlags,
    /// The peer that says so, and its own address, if it is one that does.
    pub(crate) giver: Option<(Identity, IpAddr)>,
}

impl From<SocketAddr> for Told {
    fn from(address: SocketAddr) -> Self {
        Self { address, flags: PexFlags::default(), giver: None }
    }
}

/// The peer book of one torrent.
///
/// Invariants: at most [`ENTRIES_MAX`] entries, none of them refused by [`acceptable`]; each entry in
/// `Phase::Waiting` is in `ready` of its best source if its time is at most `looked_at`, else in `waiting`, and no other is
/// in either; `known`, `dialing` and `connected` are what a count of the entries gives.
#[derive(Debug)]
pub(crate) struct PeerBook {
    entries: BTreeMap<SocketAddr, Entry>,
    /// Whoever is due later, by the time.
    waiting: BTreeSet<(Instant, SocketAddr)>,
    /// Whoever is due, by the best source.
    ready: [BTreeSet<Rank>; PeerSource::ALL.len()],
    /// Whoever was due at this time is in `ready`.
    looked_at: Instant,
    /// Addresses by their best source.
    known: [usize; PeerSource::ALL.len()],
    /// Different addresses that each source gave, whether they are still known or not.
    found: [u32; PeerSource::ALL.len()],
    /// Of those that wait: which never failed since somebody was last met there.
    fresh: usize,
    dialing: usize,
    connected: usize,
    /// Whose turn it was last.
    last_turn: PeerSource,
    /// Dials to addresses that strangers gave.
    strangers: Budget,
    bans: Bans,
    givers: Givers,
    ours: BTreeSet<SocketAddr>,
    /// Where others see us, of either family: one end of each priority.
    own: [Option<SocketAddr>; 2],
    /// We take nothing, so that whoever takes nothing either is not dialled.
    is_seed: bool,
    rng: Rng,
}

impl PeerBook {
    pub(crate) fn new(ours: BTreeSet<SocketAddr>, rng: Rng) -> Self {
        let mut book = Self {
            entries: BTreeMap::new(),
            waiting: BTreeSet::new(),
            ready: Default::default(),
            looked_at: Instant::ZERO,
            known: Default::default(),
            found: Default::default(),
            fresh: 0,
            dialing: 0,
            connected: 0,
            last_turn: PeerSource::default(),
            strangers: Budget::default(),
            bans: Bans::default(),
            givers: Givers::default(),
            ours,
            own: [None; 2],
            is_seed: false,
            rng,
        };
        for address in book.ours.clone() {
            book.set_own(address);
        }
        book
    }

    /// A tracker says that we are seen at `ip` (BEP 24): our own ports there are not to be dialled, and priorities are
    /// reckoned with it.
    pub(crate) fn is_us(&mut self, ip: IpAddr) {
        let ports: BTreeSet<u16> = self.ours.iter().map(SocketAddr::port).collect();
        for port in ports {
            let address = addr::canonical(SocketAddr::new(ip, port));
            self.set_own(address);
            if self.ours.len() < OURS_MAX && self.ours.insert(address) {
                self.retire(address);
            }
        }
    }

    /// Reckons priorities with this address of ours from now on, if it is one that others see.
    fn set_own(&mut self, address: SocketAddr) {
        let own = &mut self.own[usize::from(address.is_ipv6())];
        let is_worse = AddrScope::of(address.ip()) == AddrScope::Unusable
            || own.is_some_and(|own| AddrScope::of(own.ip()) > AddrScope::of(address.ip()));
        if is_worse || *own == Some(address) {
            return;
        }
        *own = Some(address);
        for address in self.entries.keys().copied().collect::<Vec<_>>() {
            let priority = self.priority_of(address);
            self.change(address, |entry| entry.priority = priority.unwrap_or(entry.priority));
        }
    }

    /// The priority of a connection with this address (BEP 40), greater first; `None` while our own is not known.
    pub(crate) fn priority_of(&self, address: SocketAddr) -> Option<u32> {
        priority::priority(self.own[usize::from(address.is_ipv6())]?, address)
    }

    /// All is there from now on, or something lacks again.
    pub(crate) fn set_seed(&mut self, is_seed: bool) {
        self.is_seed = is_seed;
    }

    /// Learns an address. Returns whether it is new.
    pub(crate) fn learn(&mut self, now: Instant, told: impl Into<Told>, source: PeerSource) -> bool {
        let told = told.into();
        let giver = told.giver.map(|(_, ip)| ip);
        let context = AddrContext { giver, ours: &self.ours };
        let Ok(address) = acceptable(told.address, source, context) else { return false };
        let who = told.giver.map(|(who, _)| who);
        if who.is_some_and(|who| !self.givers.is_trusted(who)) {
            return false;
        }
        if self.entries.contains_key(&address) {
            self.learn_more(now, address, told.flags, source);
            return false;
        }
        if self.has_many_ports(address.ip(), source)
            || self.entries.len() >= ENTRIES_MAX && !self.make_room(source)
        {
            return false;
        }
        if let Some(who) = who {
            self.givers.gave(who);
        }
        self.found[source as usize] += 1;
        let drawn = self.rng.next_u64() as u32;
        let priority = self.priority_of(address).unwrap_or(drawn);
        self.insert(
            address,
            Entry {
                sources: Sources::of(source),
                giver: who,
                flags: told.flags,
                met_at: None,
                is_proved: false,
                failures: 0,
                priority,
                phase: Phase::Waiting(now),
            },
        );
        true
    }

    /// Another source names a known address, or the same one again.
    fn learn_more(&mut self, now: Instant, address: SocketAddr, flags: PexFlags, source: PeerSource) {
        let mut is_news = false;
        self.change(address, |entry| {
            let was_said_to_be_seed = entry.is_said_to_be_seed();
            is_news = entry.sources.insert(source);
            if source == PeerSource::Pex {
                entry.flags = entry.flags.and(flags);
            } else {
                entry.giver = None;
            }
            let is_parted_unmet = entry.phase == Phase::Parted && !entry.is_met();
            if was_said_to_be_seed && !entry.is_said_to_be_seed() && is_parted_unmet {
                entry.phase = Phase::Waiting(now);
            }
            if source == PeerSource::User && matches!(entry.phase, Phase::Waiting(_)) {
                entry.phase = Phase::Waiting(now);
            }
        });
        self.found[source as usize] += u32::from(is_news);
    }

    /// Whether so many ports of an address are known that this source must not name another one. On this network a peer or a
    /// node is bounded by what may speak of it at all; a link is not.
    fn has_many_ports(&self, ip: IpAddr, source: PeerSource) -> bool {
        let is_bounded = match AddrScope::of(ip) {
            AddrScope::Global => is_of_strangers(source),
            _ => source == PeerSource::Link,
        };
        let ports = SocketAddr::new(ip, 0)..=SocketAddr::new(ip, u16::MAX);
        is_bounded && self.entries.range(ports).count() >= PORTS_PER_ADDRESS_MAX
    }

    /// All addresses that are held to be connected.
    pub(crate) fn connected_ones(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        let is_connected = |(_, entry): &(&SocketAddr, &Entry)| entry.phase == Phase::Connected;
        self.entries.iter().filter(is_connected).map(|(address, _)| *address)
    }

    /// Addresses being dialled.
    pub(crate) fn dialing(&self) -> usize {
        self.dialing
    }

    /// Addresses that are waiting to be dialled.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len() + self.ready.iter().map(BTreeSet::len).sum::<usize>()
    }

    /// Of these: how many have not failed.
    pub(crate) fn fresh(&self) -> usize {
        self.fresh
    }

    /// The best source that named this address; of one that is not in the book nothing but the connection itself is known.
    pub(crate) fn source_of(&self, address: SocketAddr) -> PeerSource {
        self.entries.get(&addr::canonical(address)).map_or(PeerSource::Incoming, Entry::source)
    }

    /// All addresses, and the best source that named each.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (SocketAddr, PeerSource)> + '_ {
        self.entries.iter().map(|(address, entry)| (*address, entry.source()))
    }

    fn set_phase(&mut self, address: SocketAddr, phase: Phase) {
        self.change(address, |entry| entry.phase = phase);
    }

    /// Changes an entry, and what is kept of it elsewhere.
    fn change(&mut self, address: SocketAddr, change: impl FnOnce(&mut Entry)) {
        let Some(mut entry) = self.entries.remove(&address) else { return };
        self.uncount(address, &entry);
        change(&mut entry);
        self.insert(address, entry);
    }

    fn insert(&mut self, address: SocketAddr, entry: Entry) {
        self.known[entry.source() as usize] += 1;
        self.fresh += usize::from(entry.is_fresh());
        match entry.phase {
            Phase::Waiting(at) if at <= self.looked_at => {
                self.ready[entry.source() as usize].insert(entry.rank(address));
            }
            Phase::Waiting(at) => {
                self.waiting.insert((at, address));
            }
            Phase::Dialing => self.dialing += 1,
            Phase::Connected => self.connected += 1,
            Phase::Parted | Phase::Retired => {}
        }
        self.entries.insert(address, entry);
    }

    fn uncount(&mut self, address: SocketAddr, entry: &Entry) {
        self.known[entry.source() as usize] -= 1;
        self.fresh -= usize::from(entry.is_fresh());
        match entry.phase {
            Phase::Waiting(at) => {
                self.waiting.remove(&(at, address));
                self.ready[entry.source() as usize].remove(&entry.rank(address));
            }
            Phase::Dialing => self.dialing -= 1,
            Phase::Connected => self.connected -= 1,
            Phase::Parted | Phase::Retired => {}
        }
    }

    fn forget(&mut self, address: SocketAddr) {
        if let Some(entry) = self.entries.remove(&address) {
            self.uncount(address, &entry);
        }
    }

    /// Forgets some addresses for one of `newcomer`, those of least worth: of its own source if that has more than its
    /// share, else of the source that has most. What the user gave makes room only for more of it. Returns whether there
    /// is room now.
    fn make_room(&mut self, newcomer: PeerSource) -> bool {
        let others = PeerSource::ALL.into_iter().filter(|source| *source != PeerSource::User);
        let most = others.max_by_key(|source| self.known[*source as usize]).unwrap_or(newcomer);
        let has_share = self.known[newcomer as usize] >= SHARE || self.known[most as usize] <= SHARE;
        let victim = if has_share { newcomer } else { most };
        let of_victim = |entry: &Entry| entry.source() == victim && entry.is_dispensable();
        let mut least: Vec<_> = (self.entries.iter())
            .filter(|(_, entry)| of_victim(entry))
            .map(|(address, entry)| (entry.worth(), *address))
            .collect();
        least.sort_unstable();
        for (_, address) in least.into_iter().take(FORGOTTEN_AT_ONCE) {
            self.forget(address);
        }
        self.entries.len() < ENTRIES_MAX
    }

    pub(crate) fn assert_invariants(&self) {
        assert!(self.entries.len() <= ENTRIES_MAX, "the peer book is bounded");
        let count = |phase| self.entries.values().filter(|entry| entry.phase == phase).count();
        assert_eq!(self.dialing, count(Phase::Dialing), "the count of dials agrees with a recount");
        assert_eq!(self.connected, count(Phase::Connected), "the count of connections, too");
        let mut waiting = 0;
        for (address, entry) in &self.entries {
            let Phase::Waiting(at) = entry.phase else { continue };
            waiting += 1;
            let is_ready = self.ready[entry.source() as usize].contains(&entry.rank(*address));
            assert_eq!(is_ready, at <= self.looked_at, "whoever is due is ready, nobody else is");
            assert_ne!(is_ready, self.waiting.contains(&(at, *address)), "whoever is not due waits");
        }
        assert_eq!(waiting, self.waiting(), "nobody else waits");
        let fresh = self.entries.values().filter(|entry| entry.is_fresh()).count();
        assert_eq!(fresh, self.fresh, "the count of fresh ones agrees with a recount");
        for source in PeerSource::ALL {
            let known = self.entries.values().filter(|entry| entry.source() == source).count();
            assert_eq!(known, self.known[source as usize], "the count of each source agrees with a recount");
        }
        self.bans.assert_invariants();
        self.givers.assert_invariants();
    }
}
