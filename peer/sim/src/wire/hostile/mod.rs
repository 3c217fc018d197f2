//! Peers with no good intent, which speak bytes and not machines.

mod metadata;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use bytes::{Bytes, BytesMut};
use potluck_common::{Geometry, Instant, PeerId, Rng};

use self::metadata::Giving;
use super::{
    metadata::Metadata,
    net::End,
    plan::{FalsePorts, Ruse},
};

/// Connections that one of them opens at a time.
const CONNECTIONS_MAX: usize = 12;
/// What is kept of what somebody sends.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// A connection of a hostile peer.
#[derive(Debug, Default)]
struct Talk {
    heard: BytesMut,
    /// What waits to be said; a slow one says it a byte at a time.
    to_say: BytesMut,
    said_hello: bool,
    /// When it began.
    since: Instant,
    giving: Giving,
    ports_told: u16,
    turns: u32,
}

/// A hostile peer.
#[derive(Debug)]
pub(super) struct Hostile {
    ruse: Ruse,
    geometry: Geometry,
    metadata: Metadata,
    rng: Rng,
    pub(super) peer_id: PeerId,
    /// What it says of a node of its own.
    pub(super) false_ports: Option<FalsePorts>,
    known: BTreeSet<SocketAddr>,
    dialling: BTreeSet<SocketAddr>,
    talks: BTreeMap<End, Talk>,
}

/// What it wants to do in a turn.
#[derive(Debug, Default)]
pub(super) struct Turn {
    pub(super) dial: Option<SocketAddr>,
    pub(super) say: Vec<(End, Bytes)>,
    pub(super) hang_up: Vec<End>,
}

impl Hostile {
    pub(super) fn new(ruse: Ruse, geometry: Geometry, metadata: Metadata, mut rng: Rng) -> Self {
        let mut id = *b"-XX0000-............";
        rng.fill(&mut id[8..]);
        Self {
            ruse,
            geometry,
            metadata,
            rng,
            peer_id: PeerId(id),
            false_ports: None,
            known: BTreeSet::new(),
            dialling: BTreeSet::new(),
            talks: BTreeMap::new(),
        }
    }

    pub(super) fn learn(&mut self, addresses: impl IntoIterator<Item = SocketAddr>) {
        self.known.extend(addresses);
    }

    pub(super) fn dial_failed(&mut self, address: SocketAddr) {
        self.dialling.remove(&address);
    }

    /// A connection stands.
    pub(super) fn meets(&mut self, now: Instant, end: End, remote: SocketAddr) {
        self.dialling.remove(&remote);
        self.talks.insert(end, Talk { since: now, ..Talk::default() });
    }

    pub(super) fn lost(&mut self, end: End) {
        self.talks.remove(&end);
    }

    /// Somebody said something; a flooder does not listen.
    pub(super) fn hears(&mut self, end: End, bytes: &Bytes) {
        // Who speaks of metadata reads on at its next turn.
        let most = if self.ruse.is_about_metadata() { usize::MAX } else { KEPT_BYTES_MAX };
        if let Some(talk) = self.talks.get_mut(&end)
            && talk.heard.len() < most
        {
            talk.heard.extend_from_slice(bytes);
        }
    }

    /// How much of what came it reads.
    pub(super) fn reads(&self) -> usize {
        match self.ruse {
            Ruse::Flooder => 2_000,
            Ruse::Silent | Ruse::Slow => 1,
            _ => 64 * 1024,
        }
    }

    /// Bytes of metadata that it was given on each connection, and since when that stands.
    pub(super) fn metadata_given(&self) -> impl Iterator<Item = (End, Instant, u64)> {
        self.talks.iter().map(|(end, talk)| (*end, talk.since, talk.giving.given))
    }

    /// What it does now.
    pub(super) fn turn(&mut self) -> Turn {
        let mut turn = Turn::default();
        if self.talks.len() + self.dialling.len() < CONNECTIONS_MAX {
            let fresh: Vec<SocketAddr> = self.known.difference(&self.dialling).copied().collect();
            turn.dial = self.rng.choose(&fresh).copied();
            self.dialling.extend(turn.dial);
        }
        let ends: Vec<End> = self.talks.keys().copied().collect();
        for end in ends {
            self.talk(end);
            self.tell_ports(end);
            let talk = self.talks.get_mut(&end).expect("just listed");
            talk.turns += 1;
            let length = match self.ruse {
                Ruse::Slow => 1.min(talk.to_say.len()),
                _ => talk.to_say.len(),
            };
            let say = talk.to_say.split_to(length).freeze();
            if !say.is_empty() {
                turn.say.push((end, say));
            }
            // Now and then it goes, to come back.
            if self.rng.below(200) == 0 {
                turn.hang_up.push(end);
                self.talks.remove(&end);
            }
        }
        turn
    }
}
