//! Peer exchange (BEP 11): peers tell each other whom they are connected to.
//!
//! Who came and went stands in one log that all peers share, and each has a place in it up to which it was told. So a
//! minute costs each peer as much as has changed in it, whatever the number of peers.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
};

use potluck_common::{
    AddrScope, Duration, Instant,
    addr::may_tell,
    control::PeerSource,
    wire::{PEX_CONTACTS_MAX, PexContact, PexFlags, PexMessage},
};

use super::{Life, Torrent, peers::Peer};
use crate::{
    PeerKey,
    peer_book::Told,
    session::{Blame as Fault, Direction, SessionCommand},
};

/// The time between two messages to one peer (BEP 11).
const EVERY: Duration = Duration::from_secs(60);
/// The first one comes so long after the peer said that it takes such, if there is anything to tell.
const FIRST_AFTER: Duration = Duration::from_secs(2);
/// Messages are spread over so many seconds more.
const SPREAD_SECONDS: u64 = 5;
/// Most contacts that a peer is kept told of.
const TOLD_MAX: usize = 200;
/// Most changes remembered. Whoever falls behind them is told of nobody's going that they named.
const LOG_MAX: usize = 2_000;
/// Time within which a peer may send as many messages as [`Heard`] has places, and no more.
const HEARD_TIME: Duration = Duration::from_secs(60);
/// What is counted for people as new.
const LATELY: Duration = Duration::from_secs(60);

/// Who can be told of, and who came and went.
#[derive(Default, Debug)]
pub(super) struct Pex {
    /// Connected peers by where they listen: each at one address.
    contacts: BTreeMap<SocketAddr, PeerKey>,
    /// The last changes, at most [`LOG_MAX`].
    log: VecDeque<Change>,
    /// The number of the first of them.
    first: u64,
    /// When how many new addresses came.
    learnt: VecDeque<(Instant, u32)>,
}

#[derive(Clone, Copy, Debug)]
struct Change {
    address: SocketAddr,
    key: PeerKey,
    is_added: bool,
}

/// What one peer was told, and when it told something.
#[derive(Debug)]
pub(super) struct Exchange {
    /// It takes messages.
    takes: bool,
    /// The number of the next change that it is to be told; `None` before the first message.
    place: Option<u64>,
    /// Whom it knows of from us, in ascending order; at most [`TOLD_MAX`].
    told: Vec<PeerKey>,
    /// The next message goes not sooner.
    next_at: Instant,
    heard: Heard,
}

/// When the last messages of a peer came, the oldest first.
#[derive(Default, Debug)]
pub(super) struct Heard([Option<Instant>; 2]);

impl Heard {
    /// Whether any message came.
    fn is_something(&self) -> bool {
        self.0[1].is_some()
    }

    /// A message came. Returns whether there were too many.
    pub(super) fn is_too_much(&mut self, now: Instant) -> bool {
        let oldest = self.0[0];
        self.0 = [self.0[1], Some(now)];
        oldest.is_some_and(|oldest| now.since(oldest) < HEARD_TIME)
    }
}

impl Exchange {
    fn new() -> Self {
        Self { takes: false, place: None, told: Vec::new(), next_at: Instant::ZERO, heard: Heard::default() }
    }

    fn knows(&self, key: PeerKey) -> bool {
        self.told.binary_search(&key).is_ok()
    }

    fn learns(&mut self, key: PeerKey) {
        if let Err(place) = self.told.binary_search(&key) {
            self.told.insert(place, key);
        }
    }

    fn forgets(&mut self, key: PeerKey) {
        if let Ok(place) = self.told.binary_search(&key) {
            self.told.remove(place);
        }
    }
}

impl Pex {
    fn end(&self) -> u64 {
        self.first + self.log.len() as u64
    }

    fn note(&mut self, change: Change) {
        self.log.push_back(change);
        if self.log.len() > LOG_MAX {
            self.log.pop_front();
            self.first += 1;
        }
    }

    /// New addresses of the last minute.
    pub(super) fn learnt_lately(&self, now: Instant) -> u32 {
        let lately = self.learnt.iter().filter(|(at, _)| now.since(*at) < LATELY);
        lately.map(|(_, count)| count).sum()
    }

    fn learnt(&mut self, now: Instant, count: u32) {
        while self.learnt.front().is_some_and(|(at, _)| now.since(*at) >= LATELY) {
            self.learnt.pop_front();
        }
        if count > 0 {
            self.learnt.push_back((now, count));
        }
    }
}

impl Peer {
    /// Where others can reach it, as far as is known.
    pub(super) fn contact(&self) -> Option<SocketAddr> {
        self.connection.reach.first()
    }

    /// Whether it ever told us of others.
    pub(super) fn tells_of_others(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| exchange.heard.is_something())
    }
}

impl Torrent {
    /// Whether peers are told of each other: never of a private torrent (BEP 27), whatever a shell says.
    pub(super) fn exchanges_peers(&self) -> bool {
        self.config.pex && !self.config.private && self.life == Life::Running
    }

    /// The peer said whether it takes messages.
    pub(super) fn takes_pex(&mut self, now: Instant, key: PeerKey, takes: bool) {
        if !takes && self.peers.get(&key).is_none_or(|peer| peer.exchange.is_none()) {
            return;
        }
        if let Some(exchange) = self.exchange_of(key).filter(|exchange| exchange.takes != takes) {
            exchange.takes = takes;
            exchange.next_at = exchange.next_at.max(now + FIRST_AFTER);
        }
    }

    fn exchange_of(&mut self, key: PeerKey) -> Option<&mut Exchange> {
        if !self.exchanges_peers() {
            return None;
        }
        Some(self.peers.get_mut(&key)?.exchange.get_or_insert_with(|| Box::new(Exchange::new())))
    }

    /// A peer is past its handshake, or said where it listens: others may be told of it.
    pub(super) fn note_contact(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.get(&key).filter(|peer| peer.is_counted && !peer.connection.closing)
        else {
            return;
        };
        let Some(address) = peer.contact().filter(|_| self.exchanges_peers()) else { return };
        if self.pex.contacts.contains_key(&address) {
            return;
        }
        self.pex.contacts.insert(address, key);
        self.pex.note(Change { address, key, is_added: true });
    }

    /// A peer is gone.
    pub(super) fn note_contact_gone(&mut self, key: PeerKey, peer: &Peer) {
        let Some(address) = peer.contact() else { return };
        if self.pex.contacts.get(&address) == Some(&key) {
            self.pex.contacts.remove(&address);
            self.pex.note(Change { address, key, is_added: false });
        }
    }

    /// Whoever others are told of is there, and is told of at one address.
    pub(super) fn assert_contacts(&self) {
        for (address, key) in &self.pex.contacts {
            let contact = self.peers.get(key).and_then(Peer::contact);
            assert_eq!(contact, Some(*address), "others are told of living peers, at one address each");
        }
    }

    /// Tells each peer that is due what has changed since it was last told.
    pub(super) fn tell_of_peers(&mut self, now: Instant) {
        if !self.exchanges_peers() || self.pex.end() == 0 {
            return;
        }
        let end = self.pex.end();
        let is_due = |peer: &Peer| {
            !peer.connection.closing
                && (peer.exchange.as_ref()).is_some_and(|exchange| {
                    exchange.takes && exchange.next_at <= now && exchange.place != Some(end)
                })
        };
        let due: Vec<PeerKey> =
            self.peers.iter().filter(|(_, peer)| is_due(peer)).map(|(key, _)| *key).collect();
        for key in due {
            let Some(peer) = self.peers.get_mut(&key) else { continue };
            let Some(mut exchange) = peer.exchange.take() else { continue };
            let message = self.news_for(key, &mut exchange);
            if !message.is_empty() {
                exchange.next_at = now + EVERY + Duration::from_secs(key.0 % SPREAD_SECONDS);
                self.command(key, SessionCommand::Pex(message.encode().into()));
            }
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.exchange = Some(exchange);
            }
        }
    }

    /// What this peer is to be told next, and notes that it was.
    fn news_for(&self, key: PeerKey, exchange: &mut Exchange) -> PexMessage {
        let mut message = PexMessage::default();
        match exchange.place {
            None => {
                let contacts = self.pex.contacts.len().max(1);
                // Not everybody is told of the same ones.
                let begin = (key.0 as usize).wrapping_mul(PEX_CONTACTS_MAX) % contacts;
                let all = self.pex.contacts.iter().map(|(address, key)| (*address, *key));
                let from_there = all.clone().skip(begin).chain(all.take(begin));
                for (address, of) in from_there {
                    if message.added.len() == PEX_CONTACTS_MAX {
                        break;
                    }
                    self.tell_added(key, address, of, exchange, &mut message);
                }
                exchange.place = Some(self.pex.end());
                return message;
            }
            Some(place) if place < self.pex.first => {
                exchange.told.retain(|told| self.peers.contains_key(told));
                exchange.place = Some(self.pex.first);
            }
            Some(_) => {}
        }
        let place = exchange.place.unwrap_or(self.pex.first);
        for change in self.pex.log.range((place - self.pex.first) as usize..) {
            if message.added.len() == PEX_CONTACTS_MAX || message.dropped.len() == PEX_CONTACTS_MAX {
                break;
            }
            if change.is_added {
                self.tell_added(key, change.address, change.key, exchange, &mut message);
            } else if exchange.knows(change.key) {
                exchange.forgets(change.key);
                match self.pex.contacts.get(&change.address) {
                    // It is connected again, or by another connection.
                    Some(of) => exchange.learns(*of),
                    None => message.dropped.push(change.address),
                }
            }
            exchange.place = exchange.place.map(|place| place + 1);
        }
        message
    }

    /// Tells the peer `key` of the peer `of`, unless it is itself, knows it, has been told of enough, or is farther away
    /// than the address reaches.
    fn tell_added(
        &self,
        key: PeerKey,
        address: SocketAddr,
        of: PeerKey,
        exchange: &mut Exchange,
        message: &mut PexMessage,
    ) {
        let (Some(to), Some(contact)) = (self.peers.get(&key), self.peers.get(&of)) else { return };
        let is_itself = key == of || to.connection.address == address || to.connection.reach.has(address);
        let scope = |address: SocketAddr| AddrScope::of(address.ip());
        if is_itself
            || exchange.knows(of)
            || exchange.told.len() >= TOLD_MAX
            || self.pex.contacts.get(&address) != Some(&of)
            || !may_tell(scope(address), scope(to.connection.address))
        {
            return;
        }
        let flags = PexFlags::default()
            .with_if(contact.takes_nothing, PexFlags::SEED)
            .with_if(contact.connection.direction == Direction::Outgoing, PexFlags::REACHABLE);
        exchange.learns(of);
        message.added.push(PexContact { address, flags });
    }

    /// A peer told us whom it is connected to. Who went is no news: what matters is whether they answer us.
    pub(super) fn pex_came(&mut self, now: Instant, key: PeerKey, payload: &[u8]) {
        let Some(exchange) = self.exchange_of(key) else { return };
        if exchange.heard.is_too_much(now) {
            return self.close(key, Fault::Peer, "sent peer exchange more often than once a minute");
        }
        let message = match PexMessage::decode(payload) {
            Ok(message) => message,
            Err(error) => return self.close(key, Fault::Peer, &error.to_string()),
        };
        let Some(peer) = self.peers.get(&key) else { return };
        let Some(giver) = peer.connection.identity().map(|who| (who, peer.connection.address.ip())) else {
            return;
        };
        let mut new = 0;
        for PexContact { address, flags } in message.added {
            let told = Told { address, flags, giver: Some(giver) };
            new += u32::from(self.book.learn(now, told, PeerSource::Pex));
        }
        self.pex.learnt(now, new);
    }
}
