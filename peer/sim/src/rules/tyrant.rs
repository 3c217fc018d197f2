//! BitTyrant (Piatek 2007): a strategic peer that gives each other peer as little as keeps it unchoked there, and serves
//! first whoever gives most for what it costs.

use std::collections::{BTreeMap, VecDeque};

use potluck_common::{Duration, Instant};
use potluck_core::{PeerKey, choker::ChokerEvent};

use super::Command;

const ROUND: Duration = Duration::from_secs(10);

/// Whoever unchoked us for so many rounds in a row is given less.
const ROUNDS_PATIENT: u32 = 3;

/// What a peer is given less, and more, from round to round.
const LESS: f64 = 0.9;
const MORE: f64 = 1.2;

/// What is expected of a peer that never unchoked us, and what it is given at first, as parts of our uplink.
const UNKNOWN: f64 = 0.25;

/// What is known of one peer.
#[derive(Debug)]
struct Peer {
    interested: bool,
    unchoked: bool,
    unchokes_us: bool,
    /// Rounds for which it has unchoked us.
    rounds: u32,
    got_round: f64,
    /// What it gives us when it unchokes us, in bytes per second.
    gives: f64,
    /// What makes it do so.
    costs: f64,
}

/// The rule of one node.
#[derive(Debug)]
pub(crate) struct Tyrant {
    up: f64,
    peers: BTreeMap<PeerKey, Peer>,
    round_next: Instant,
    commands: VecDeque<Command>,
}

impl Tyrant {
    pub(crate) fn new(up: f64, now: Instant) -> Self {
        Self { up, peers: BTreeMap::new(), round_next: now, commands: VecDeque::new() }
    }

    pub(crate) fn handle(&mut self, event: ChokerEvent) {
        let expected = self.up * UNKNOWN;
        match event {
            ChokerEvent::Connected { peer, .. } => {
                let new = Peer {
                    interested: false,
                    unchoked: false,
                    unchokes_us: false,
                    rounds: 0,
                    got_round: 0.0,
                    gives: expected,
                    costs: expected,
                };
                self.peers.insert(peer, new);
            }
            ChokerEvent::Gone(peer) => drop(self.peers.remove(&peer)),
            ChokerEvent::Interested(peer, interested) => self.with(peer, |peer| peer.interested = interested),
            ChokerEvent::RemoteChoke(peer, chokes) => self.with(peer, |peer| peer.unchokes_us = !chokes),
            ChokerEvent::Got(peer, bytes) => self.with(peer, |peer| peer.got_round += bytes as f64),
            _ => {}
        }
    }

    pub(crate) fn advance(&mut self, now: Instant) {
        if now >= self.round_next {
            self.round_next += ROUND;
            self.learn();
            self.choose();
        }
    }

    pub(crate) fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn with(&mut self, key: PeerKey, change: impl FnOnce(&mut Peer)) {
        if let Some(peer) = self.peers.get_mut(&key) {
            change(peer);
        }
    }

    /// What the last round says of everybody's price.
    fn learn(&mut self) {
        for peer in self.peers.values_mut() {
            peer.rounds = if peer.unchokes_us { peer.rounds + 1 } else { 0 };
            if peer.unchokes_us && peer.got_round > 0.0 {
                peer.gives = peer.got_round / ROUND.as_secs_f64();
            }
            if peer.rounds >= ROUNDS_PATIENT {
                peer.costs *= LESS;
            } else if peer.unchoked && !peer.unchokes_us {
                peer.costs *= MORE;
            }
            peer.got_round = 0.0;
        }
    }

    /// Unchokes the best value first, for as long as the uplink lasts.
    fn choose(&mut self) {
        let value = |peer: &Peer| peer.gives / peer.costs;
        let mut ranked: Vec<_> = self.peers.iter().filter(|(_, peer)| peer.interested).collect();
        ranked.sort_by(|a, b| value(b.1).total_cmp(&value(a.1)).then(a.0.cmp(b.0)));
        let mut left = self.up;
        let mut chosen = Vec::new();
        for (key, peer) in ranked {
            if peer.costs <= left {
                left -= peer.costs;
                chosen.push(*key);
            }
        }
        for (key, peer) in &mut self.peers {
            let unchoke = chosen.contains(key);
            if unchoke {
                self.commands.push_back(Command::Limit(*key, peer.costs));
            }
            if unchoke && !peer.unchoked {
                self.commands.push_back(Command::Unchoke(*key));
            } else if !unchoke && peer.unchoked {
                self.commands.push_back(Command::Choke(*key));
            }
            peer.unchoked = unchoke;
        }
    }
}
