//! A torrent of which only the info-hash is known: it finds peers and fetches the metadata from them (BEP 9).
//!
//! It composes the announcer, the peer book and the [`Collector`]. When the metadata is there ([`MagnetEffect::Complete`])
//! its shell makes a [`Torrent`](super::Torrent) of it, tells that whom this one knows ([`Magnet::addresses`]), and hands the
//! connections over.

mod contract;
mod peers;
mod report;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use potluck_common::{Duration, Instant, Printable, Rng, announce::AnnounceReply, control::EventKind};

pub use self::contract::{MagnetConfig, MagnetEffect, MagnetInput};
use self::peers::Peer;
use super::{
    Source, SourceReport, Statistics,
    connection::{Peers, Room, dial_ended},
    reach::assert_reached,
};
use crate::{
    PeerKey,
    announce::{AnnounceEffect, AnnounceFailure, AnnounceId, Announcer, AnnouncerConfig},
    metadata::{Collector, Wish},
    peer_book::PeerBook,
    session::{Blame, Direction, MetadataCommand},
};

/// Most connections: enough to find somebody who has it, and little to keep of each.
pub const PEERS_MAX: usize = 40;
/// So many peers that are giving metadata suffice; nobody else is dialled then. Claiming to have some is not enough.
const GIVERS_ENOUGH: u32 = 8;
/// One address must not fill it alone.
const ROOM: Room = Room { connections_max: PEERS_MAX, per_address_max: 4 };
/// Fewer connected peers than this make the machine ask its trackers early.
const PEERS_WANTED: usize = 8;
/// How often it looks whom it could dial, and who has to make room.
const TICK: Duration = Duration::from_millis(500);
/// How often the shell is asked for more peers.
const ASK_EVERY: Duration = Duration::from_secs(60);
/// A peer without metadata is left so long to get some before it has to make room.
const PATIENCE: Duration = Duration::from_secs(20);
/// What every announce says is missing: it is not known, and 0 would say that we are a seed.
const LEFT_UNKNOWN: u64 = 1;

/// Where the machine is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Life {
    Running,
    /// The metadata is there; the shell takes over.
    Complete,
    Stopping,
    Finished,
}

/// The machine; see the [module](self).
#[derive(Debug)]
pub struct Magnet {
    config: MagnetConfig,
    life: Life,
    peers: Peers<Peer>,
    book: PeerBook,
    collector: Collector,
    announcer: Announcer,
    /// The trackers that are being asked, without secrets.
    announcing: BTreeMap<AnnounceId, Printable>,
    commands: BTreeMap<PeerKey, Vec<MetadataCommand>>,
    effects: VecDeque<MagnetEffect>,
    /// What the sources of addresses say of themselves that the shell asks.
    sources: BTreeMap<Source, SourceReport>,
    /// When they are asked to hurry at the earliest.
    ask_at: Instant,
    /// Attempts whose hash did not hold.
    failures: u32,
    born: Instant,
    next_tick: Instant,
}

/// Who names the peers of a torrent that turns out to be private.
fn may_tell_of_private(source: Source) -> bool {
    matches!(source, Source::Tracker | Source::User | Source::Link)
}

impl Magnet {
    /// A torrent that begins at `now`; `seed` decides every tie and every jitter.
    pub fn new(config: MagnetConfig, seed: u64, now: Instant) -> Self {
        let mut rng = Rng::new(seed);
        let mut announcer = Announcer::new(&config.trackers, AnnouncerConfig::default(), rng.next_u64(), now);
        announcer.start(now);
        let book = PeerBook::new(config.ours.clone(), rng.fork());
        Self {
            life: Life::Running,
            peers: BTreeMap::new(),
            book,
            collector: Collector::new(config.expected),
            announcer,
            announcing: BTreeMap::new(),
            commands: BTreeMap::new(),
            effects: VecDeque::new(),
            sources: BTreeMap::new(),
            ask_at: Instant::ZERO,
            failures: 0,
            born: now,
            next_tick: now,
            config,
        }
    }

    /// Something happened outside.
    pub fn handle(&mut self, now: Instant, input: MagnetInput) {
        match input {
            MagnetInput::PeerConnected { peer, address, direction } => {
                self.peer_connected(now, peer, address, direction);
            }
            MagnetInput::Peer(peer, events) => self.peer_reported(now, peer, events),
            MagnetInput::DialFailed(address) => {
                dial_ended(&self.peers, &mut self.book, now, address, PeerBook::failed);
            }
            MagnetInput::DialPostponed(address) => {
                dial_ended(&self.peers, &mut self.book, now, address, PeerBook::postponed);
            }
            MagnetInput::Candidates(addresses, source) => {
                self.learn(now, addresses, source);
            }
            MagnetInput::Announced(id, outcome) => self.announced(now, id, outcome),
            MagnetInput::Scraped(id, outcome) => self.announcer.handle_scrape(id, outcome),
            MagnetInput::Source(report) => drop(self.sources.insert(report.source, report)),
            MagnetInput::EvictOne => self.evict_one(now),
            MagnetInput::Reannounce => self.announcer.announce_now(now),
            MagnetInput::Stop => self.stop(now),
        }
    }

    /// A deadline has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.announcer.poll_timeout().is_some_and(|at| at <= now) {
            self.announcer.handle_timeout(now);
        }
        if self.collector.poll_timeout().is_some_and(|at| at <= now) {
            self.collector.handle_timeout(now);
        }
        if self.next_tick <= now {
            self.tick(now);
            self.next_tick = now + TICK;
        }
    }

    /// When the machine next needs [`Magnet::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.life {
            Life::Running => {
                let timeouts = [self.announcer.poll_timeout(), self.collector.poll_timeout()];
                timeouts.into_iter().flatten().chain([self.next_tick]).min()
            }
            Life::Complete | Life::Stopping | Life::Finished => None,
        }
    }

    /// Brings every decision up to date. Call it once after a batch of inputs, before [`Magnet::poll_effect`].
    pub fn settle(&mut self, now: Instant) {
        self.follow_collector(now);
        self.dial(now);
        self.collect_announces();
        for (peer, commands) in std::mem::take(&mut self.commands) {
            self.effects.push_back(MagnetEffect::Peer(peer, commands));
        }
        if self.life == Life::Stopping && self.peers.is_empty() && self.announcer.is_quiet() {
            self.life = Life::Finished;
            self.effects.push_back(MagnetEffect::Finished);
        }
    }

    /// What the shell must do next; drain until `None`.
    pub fn poll_effect(&mut self) -> Option<MagnetEffect> {
        self.effects.pop_front()
    }

    /// The `key` of every announce of this torrent (BEP 7).
    pub fn announce_key(&self) -> u32 {
        self.announcer.key()
    }

    /// Whom it knows, and from where; of a private torrent only those whom [`Magnet::goes_on`] lets. Who dialled us and is
    /// connected says by itself where it listens, and is not to be dialled before it has.
    pub fn addresses(&self, is_private: bool) -> impl Iterator<Item = (std::net::SocketAddr, Source)> + '_ {
        let came = |peer: &&Peer| peer.connection.direction == Direction::Incoming;
        let is_here = move |address| {
            self.peers.values().filter(came).any(|peer| peer.connection.reach.first() == Some(address))
        };
        let told = self.book.addresses().filter(move |(address, _)| !is_here(*address));
        told.filter(move |(_, source)| !is_private || may_tell_of_private(*source))
    }

    /// Whether a connection goes on with the payload. That the torrent is private is known only now: then those go whom
    /// neither a tracker nor the user or the link named (BEP 27). Who dialled us may have found us in the DHT, where we were until now.
    pub fn goes_on(&self, peer: PeerKey, is_private: bool) -> bool {
        let address = self.peers.get(&peer).and_then(|peer| peer.connection.reach.first());
        !is_private || address.is_some_and(|address| may_tell_of_private(self.book.source_of(address)))
    }

    /// Bytes of metadata that are kept, of all attempts to put it together.
    pub fn metadata_kept(&self) -> u64 {
        self.collector.kept()
    }

    fn tick(&mut self, now: Instant) {
        if self.peers.len() < PEERS_WANTED && self.book.fresh() == 0 {
            self.announcer.want_peers(now);
            if self.ask_at <= now {
                self.ask_at = now + ASK_EVERY;
                self.effects.push_back(MagnetEffect::WantPeers);
            }
        }
        if self.peers.len() >= PEERS_MAX && self.book.waiting() > 0 {
            self.evict_one(now);
        }
    }

    fn stop(&mut self, now: Instant) {
        if matches!(self.life, Life::Running | Life::Complete) {
            self.life = Life::Stopping;
            self.announcer.stop(now);
            let all: Vec<PeerKey> = self.peers.keys().copied().collect();
            for peer in all {
                self.close(peer, Blame::Nobody, "we are stopping");
            }
        }
    }

    /// Carries out what the collector wishes.
    fn follow_collector(&mut self, now: Instant) {
        while let Some(wish) = self.collector.poll_wish() {
            match wish {
                Wish::Ask(peer, piece) => self.command(peer, MetadataCommand::Ask(piece)),
                Wish::Close(peer, why) => self.close(peer, Blame::Peer, why),
                Wish::Ban(peer) => self.ban(now, peer, "gave metadata that is not this torrent's"),
                Wish::Failed { contributors } => {
                    self.failures += 1;
                    self.event(EventKind::MetadataFailed { contributors });
                }
                Wish::Complete { info, contributors } if self.life == Life::Running => {
                    self.life = Life::Complete;
                    let bytes = info.len() as u64;
                    self.event(EventKind::MetadataComplete { bytes, peers: contributors });
                    self.effects.push_back(MagnetEffect::Complete(info));
                }
                Wish::Complete { .. } => {}
            }
        }
    }

    fn dial(&mut self, now: Instant) {
        let is_enough = || self.collector.giving(now) >= GIVERS_ENOUGH;
        if self.life != Life::Running || is_enough() {
            return;
        }
        while self.peers.len() + self.book.dialing() < PEERS_MAX.min(self.config.connections_max)
            && self.book.dialing() < self.config.dials_max
            && let Some(address) = self.book.next_due(now)
        {
            self.effects.push_back(MagnetEffect::Dial(address));
        }
    }

    fn announced(&mut self, now: Instant, id: AnnounceId, outcome: Result<AnnounceReply, AnnounceFailure>) {
        self.announcer.handle(now, id, outcome.as_ref());
        if let Some(tracker) = self.announcing.remove(&id) {
            let retry = self.announcer.poll_timeout().map_or(0, |at| at.since(now).as_secs());
            self.event(super::report::announce_event(tracker, &outcome, retry));
        }
        if let Ok(reply) = outcome {
            if let Some(ip) = reply.external_ip {
                self.book.is_us(ip);
            }
            self.learn(now, reply.peers, Source::Tracker);
        }
    }

    /// Learns addresses. (Whether the torrent is private only its metadata says.)
    fn learn(&mut self, now: Instant, addresses: Vec<std::net::SocketAddr>, source: Source) {
        for address in addresses {
            self.book.learn(now, address, source);
        }
    }

    fn collect_announces(&mut self) {
        while let Some(effect) = self.announcer.poll_effect() {
            if let AnnounceEffect::Announce { id, url, .. } = &effect {
                self.announcing.insert(*id, Printable::new(&url.redacted()));
            }
            let statistics = Statistics { left: LEFT_UNKNOWN, ..Statistics::default() };
            self.effects.push_back(MagnetEffect::Announce(effect, statistics));
        }
    }

    fn command(&mut self, peer: PeerKey, command: MetadataCommand) {
        if self.peers.contains_key(&peer) {
            self.commands.entry(peer).or_default().push(command);
        }
    }

    fn event(&mut self, kind: EventKind) {
        self.effects.push_back(MagnetEffect::Event(kind));
    }

    /// Checks what must always hold; called after each step in tests.
    ///
    /// # Panics
    /// When something does not hold, which is a defect here.
    pub fn assert_invariants(&self) {
        self.collector.assert_invariants();
        self.book.assert_invariants();
        assert_reached(self.book.connected_ones(), self.peers.values().map(|peer| &peer.connection.reach));
        assert!(
            self.commands.keys().all(|peer| self.peers.contains_key(peer)),
            "commands go to living sessions"
        );
    }
}
