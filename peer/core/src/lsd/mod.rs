//! Local service discovery (BEP 14): which torrents are announced in the local network when, and which announces of others
//! are believed.
//!
//! The shell sends each [`LsdEffect::Send`] to every group that it has joined, and hands in what comes from there. Private
//! torrents (BEP 27) are never tracked, so that nothing is told or heard of them.

mod senders;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
};

use bytes::Bytes;
use potluck_common::{
    AddrScope, Duration, InfoHash, Instant,
    lsd::{Announce, Cookie, INFO_HASHES_MAX},
};

use self::senders::Senders;

/// How often a torrent is announced (BEP 14).
const INTERVAL: Duration = Duration::from_secs(5 * 60);
/// A torrent whose announce is hurried waits for so long after its last one (BEP 14: not more often than each minute).
const HURRIED_INTERVAL: Duration = Duration::from_secs(60);
/// The time between two announces of any torrents.
const SPACING: Duration = Duration::from_secs(1);
/// All torrents are announced in so many messages, if that many info-hashes fit into each. Below it each has a message
/// of its own, as some clients read only the first info-hash (Transmission 3.00).
const ROUND_MESSAGES: usize = 60;

/// What a machine is made of.
#[derive(Clone, Copy, Debug)]
pub struct LsdConfig {
    /// The port that we listen on for peers; not 0.
    pub port: u16,
    /// What we know our own announces by.
    pub cookie: Cookie,
}

/// What happened outside.
#[derive(Clone, Debug)]
pub enum LsdInput {
    /// A torrent runs: announce it from now on, unless it is private.
    Track {
        /// Which one.
        info_hash: InfoHash,
        /// BEP 27: it is to be found by its own trackers only.
        is_private: bool,
    },
    /// It runs no more.
    Untrack(InfoHash),
    /// It has few usable peers left: announce it soon.
    Hurry(InfoHash),
    /// There is an interface that has not heard of us: announce everything soon.
    NewInterface,
    /// Something came to a group that we have joined.
    Datagram {
        /// Its sender.
        from: SocketAddr,
        /// Whether the sender is in the network of one of our interfaces: its address may then be a global one.
        is_neighbour: bool,
        /// What it says.
        payload: Bytes,
    },
}

/// What the shell must do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LsdEffect {
    /// Send this announce to every group.
    Send(Announce),
    /// Somebody in the local network has this torrent, as they say.
    Peer {
        /// The torrent, which is tracked.
        info_hash: InfoHash,
        /// Where they listen.
        address: SocketAddr,
    },
}

/// All torrents together.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct LsdStatus {
    /// Torrents that are announced.
    pub torrents: usize,
    /// Announces sent.
    pub sent: u64,
    /// Announces of others that were believed.
    pub heard: u64,
    /// Datagrams that were not: no announce, from afar, or too many.
    pub ignored: u64,
}

/// One torrent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrackedStatus {
    /// When it was announced last.
    pub announced: Option<Instant>,
    /// When it is due again; others may be before it.
    pub due: Instant,
    /// How often somebody said to have it.
    pub answers: u64,
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Lsd {
    config: LsdConfig,
    torrents: BTreeMap<InfoHash, TrackedStatus>,
    /// Each torrent once, by when it is due.
    queue: BTreeSet<(Instant, InfoHash)>,
    /// When the last announce was sent.
    sent_at: Option<Instant>,
    senders: Senders,
    effects: VecDeque<LsdEffect>,
    status: LsdStatus,
}

impl Lsd {
    /// A machine that tracks nothing.
    pub fn new(config: LsdConfig) -> Self {
        assert_ne!(config.port, 0, "nobody can connect to port 0");
        Self {
            config,
            torrents: BTreeMap::new(),
            queue: BTreeSet::new(),
            sent_at: None,
            senders: Senders::default(),
            effects: VecDeque::new(),
            status: LsdStatus::default(),
        }
    }

    /// Something happened outside.
    pub fn handle(&mut self, now: Instant, input: LsdInput) {
        match input {
            LsdInput::Track { is_private: true, .. } => {}
            LsdInput::Track { info_hash, .. } => self.track(now, info_hash),
            LsdInput::Untrack(info_hash) => {
                if let Some(torrent) = self.torrents.remove(&info_hash) {
                    self.queue.remove(&(torrent.due, info_hash));
                }
            }
            LsdInput::Hurry(info_hash) => self.hurry(now, info_hash),
            LsdInput::NewInterface => {
                let all: Vec<InfoHash> = self.torrents.keys().copied().collect();
                for info_hash in all {
                    self.hurry(now, info_hash);
                }
            }
            LsdInput::Datagram { from, is_neighbour, payload } => {
                let believed = self.hear(now, from, is_neighbour, &payload);
                let count =
                    if believed.is_some() { &mut self.status.heard } else { &mut self.status.ignored };
                *count += 1;
            }
        }
    }

    /// The deadline of [`Lsd::poll_timeout`] has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|due| due <= now) {
            self.announce(now);
        }
    }

    /// When the next announce is to be sent.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let (due, _) = self.queue.first()?;
        Some(self.sent_at.map_or(*due, |sent| (sent + SPACING).max(*due)))
    }

    /// What the shell must do; until `None`.
    pub fn poll_effect(&mut self) -> Option<LsdEffect> {
        self.effects.pop_front()
    }

    /// All torrents together.
    pub fn status(&self) -> LsdStatus {
        LsdStatus { torrents: self.torrents.len(), ..self.status }
    }

    /// One torrent, if it is tracked.
    pub fn tracked(&self, info_hash: &InfoHash) -> Option<TrackedStatus> {
        self.torrents.get(info_hash).copied()
    }

    /// What must hold after every step.
    pub fn assert_invariants(&self) {
        let due: BTreeSet<_> =
            self.torrents.iter().map(|(info_hash, torrent)| (torrent.due, *info_hash)).collect();
        assert_eq!(due, self.queue, "each torrent waits once");
        self.senders.assert_invariants();
    }

    fn track(&mut self, now: Instant, info_hash: InfoHash) {
        self.torrents.entry(info_hash).or_insert_with(|| {
            self.queue.insert((now, info_hash));
            TrackedStatus { announced: None, due: now, answers: 0 }
        });
    }

    /// Makes a torrent due as early as it may be.
    fn hurry(&mut self, now: Instant, info_hash: InfoHash) {
        let Some(torrent) = self.torrents.get(&info_hash) else { return };
        let earliest = torrent.announced.map_or(now, |announced| (announced + HURRIED_INTERVAL).max(now));
        if earliest < torrent.due {
            self.set_due(info_hash, earliest);
        }
    }

    fn set_due(&mut self, info_hash: InfoHash, due: Instant) {
        if let Some(torrent) = self.torrents.get_mut(&info_hash) {
            self.queue.remove(&(torrent.due, info_hash));
            self.queue.insert((due, info_hash));
            torrent.due = due;
        }
    }

    /// Announces those that are due and have waited longest, as many as one message takes.
    fn announce(&mut self, now: Instant) {
        let most = self.torrents.len().div_ceil(ROUND_MESSAGES).clamp(1, INFO_HASHES_MAX);
        let due = self.queue.iter().take_while(|(due, _)| *due <= now).take(most);
        let info_hashes: Vec<InfoHash> = due.map(|(_, info_hash)| *info_hash).collect();
        for info_hash in &info_hashes {
            self.set_due(*info_hash, now + INTERVAL);
            if let Some(torrent) = self.torrents.get_mut(info_hash) {
                torrent.announced = Some(now);
            }
        }
        self.sent_at = Some(now);
        self.status.sent += 1;
        let LsdConfig { port, cookie } = self.config;
        self.effects.push_back(LsdEffect::Send(Announce { port, info_hashes, cookie: Some(cookie) }));
    }

    /// Takes an announce of somebody near; `None` if there is nothing in it for us.
    fn hear(&mut self, now: Instant, from: SocketAddr, is_neighbour: bool, payload: &[u8]) -> Option<()> {
        if !is_near(from, is_neighbour) || !self.senders.admit(now, from.ip()) {
            return None;
        }
        let announce = Announce::decode(payload).ok()?;
        if announce.cookie == Some(self.config.cookie)
            || !self.senders.admit_port(now, from.ip(), announce.port)
        {
            return None;
        }
        // One address a datagram, whatever it names: that of whoever sent it.
        let address = SocketAddr::new(from.ip().to_canonical(), announce.port);
        let mut is_news = None;
        for info_hash in announce.info_hashes {
            if let Some(torrent) = self.torrents.get_mut(&info_hash) {
                torrent.answers += 1;
                is_news = Some(());
                self.effects.push_back(LsdEffect::Peer { info_hash, address });
            }
        }
        is_news
    }
}

/// Whether somebody is near enough to be believed: multicast does not come from afar, but what is sent to one address may.
/// An IPv6 address of one link is of no use, as a connection would need to know the link, too.
fn is_near(from: SocketAddr, is_neighbour: bool) -> bool {
    match AddrScope::of(from.ip()) {
        AddrScope::Loopback | AddrScope::Private => true,
        AddrScope::LinkLocal => from.ip().to_canonical().is_ipv4(),
        AddrScope::Global => is_neighbour,
        AddrScope::Unusable => false,
    }
}
