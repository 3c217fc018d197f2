//! Choke rules of other clients, as far as they matter to who gets what: they act only at rounds, every ten seconds.

use std::{cmp::Ordering, collections::VecDeque};

use potluck_common::{Duration, Instant, Rng};
use potluck_core::{PeerKey, choker::ChokerEvent};

use super::Command;
use crate::scenario::{LeechRule, SeedRule};

/// Seconds between two rounds.
const ROUND_S: f64 = 10.0;

/// Somebody who came within this time is tried three times as often (BEP 3).
const NEWCOMER: Duration = Duration::from_secs(45);

/// A turn of libtorrent's round robin ends after this time, and 20 pieces.
const TURN: Duration = Duration::from_secs(60);

/// What is known of one peer.
#[derive(Clone, Debug)]
struct Peer {
    key: PeerKey,
    interested: bool,
    unchoked: bool,
    optimistic: bool,
    got_round: f64,
    sent_round: f64,
    /// Smoothed over about two rounds, in bytes per second.
    got_rate: f64,
    sent_rate: f64,
    sent_since_unchoke: f64,
    unchoked_at: Option<Instant>,
    connected: Instant,
}

/// A comparison rule of one node.
#[derive(Debug)]
pub(crate) struct Simple {
    leeching: LeechRule,
    seeding: SeedRule,
    is_seed: bool,
    slots: usize,
    rng: Rng,
    /// In the order of their keys, which is that of their coming.
    peers: Vec<Peer>,
    round_next: Instant,
    rounds: u64,
    commands: VecDeque<Command>,
}

impl Simple {
    pub(crate) fn new(leeching: LeechRule, seeding: SeedRule, slots: usize, seed: u64, now: Instant) -> Self {
        let mut rng = Rng::new(seed);
        let offset = Duration::from_secs(u64::from(rng.below(10)));
        Self {
            leeching,
            seeding,
            is_seed: false,
            slots,
            rng,
            peers: Vec::new(),
            round_next: now + offset,
            rounds: 0,
            commands: VecDeque::new(),
        }
    }

    pub(crate) fn handle(&mut self, now: Instant, event: ChokerEvent) {
        match event {
            ChokerEvent::Connected { peer, .. } => self.connected(now, peer),
            ChokerEvent::Gone(peer) => {
                if let Ok(place) = self.place(peer) {
                    self.peers.remove(place);
                }
            }
            ChokerEvent::Interested(peer, interested) => self.with(peer, |peer| peer.interested = interested),
            ChokerEvent::Got(peer, bytes) => self.with(peer, |peer| peer.got_round += bytes as f64),
            ChokerEvent::Sent(peer, bytes) => self.with(peer, |peer| {
                peer.sent_round += bytes as f64;
                peer.sent_since_unchoke += bytes as f64;
            }),
            ChokerEvent::BecameSeed(seed) => self.is_seed = seed,
            _ => {}
        }
    }

    pub(crate) fn advance(&mut self, now: Instant) {
        if now >= self.round_next {
            self.round(now);
            self.round_next += Duration::from_secs_f64(ROUND_S);
            self.rounds += 1;
        }
    }

    pub(crate) fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn place(&self, key: PeerKey) -> Result<usize, usize> {
        self.peers.binary_search_by_key(&key, |peer| peer.key)
    }

    fn with(&mut self, key: PeerKey, change: impl FnOnce(&mut Peer)) {
        if let Ok(place) = self.place(key) {
            change(&mut self.peers[place]);
        }
    }

    fn connected(&mut self, now: Instant, key: PeerKey) {
        let Err(place) = self.place(key) else { return };
        let peer = Peer {
            key,
            interested: false,
            unchoked: false,
            optimistic: false,
            got_round: 0.0,
            sent_round: 0.0,
            got_rate: 0.0,
            sent_rate: 0.0,
            sent_since_unchoke: 0.0,
            unchoked_at: None,
            connected: now,
        };
        self.peers.insert(place, peer);
    }

    fn round(&mut self, now: Instant) {
        for peer in &mut self.peers {
            peer.got_rate = 0.5 * peer.got_rate + 0.5 * peer.got_round / ROUND_S;
            peer.sent_rate = 0.5 * peer.sent_rate + 0.5 * peer.sent_round / ROUND_S;
        }
        let mut candidates: Vec<_> =
            (0..self.peers.len()).filter(|place| self.peers[*place].interested).collect();
        self.rng.shuffle(&mut candidates);
        let chosen = if self.is_seed {
            self.choose_seeding(now, candidates)
        } else {
            self.choose_leeching(now, candidates)
        };
        self.apply(now, &chosen);
    }

    /// Places in `peers` to be unchoked, and whether by optimism.
    fn choose_leeching(&mut self, now: Instant, mut candidates: Vec<usize>) -> Vec<(usize, bool)> {
        match self.leeching {
            LeechRule::UnchokeAll | LeechRule::Ours => earned(&candidates, usize::MAX),
            LeechRule::Superseedr => self.four_and_a_fourth_round(&mut candidates, |peer| peer.got_round),
            LeechRule::Bep3 => {
                self.sort(&mut candidates, |a, b| {
                    b.got_rate.total_cmp(&a.got_rate).then(b.unchoked.cmp(&a.unchoked))
                });
                let mut chosen = earned(&candidates, self.slots - 1);
                self.add_optimistic(now, &candidates, &mut chosen, false);
                chosen
            }
            LeechRule::Libtorrent => {
                self.sort(&mut candidates, |a, b| {
                    b.got_round.total_cmp(&a.got_round).then(a.unchoked_at.cmp(&b.unchoked_at))
                });
                let mut chosen = earned(&candidates, self.slots - (self.slots / 5).max(1));
                self.add_optimistic(now, &candidates, &mut chosen, true);
                chosen
            }
        }
    }

    fn choose_seeding(&mut self, now: Instant, mut candidates: Vec<usize>) -> Vec<(usize, bool)> {
        match self.seeding {
            SeedRule::UnchokeAll => earned(&candidates, usize::MAX),
            SeedRule::Superseedr => self.four_and_a_fourth_round(&mut candidates, |peer| peer.sent_round),
            SeedRule::Fastest => {
                self.sort(&mut candidates, |a, b| b.sent_rate.total_cmp(&a.sent_rate));
                let mut chosen = earned(&candidates, self.slots - 1);
                self.add_optimistic(now, &candidates, &mut chosen, false);
                chosen
            }
            // (Who leeches by another rule has no seeding of ours.)
            SeedRule::Mainline | SeedRule::Ours => self.mainline(&candidates),
            SeedRule::Libtorrent => {
                let served = |peer: &Peer| {
                    let long = peer.unchoked_at.is_some_and(|at| now.since(at) > TURN);
                    peer.unchoked && long && peer.sent_since_unchoke > 20.0 * 256.0 * 1_024.0
                };
                let sent = |peer: &Peer| if peer.unchoked { peer.sent_round } else { 0.0 };
                self.sort(&mut candidates, |a, b| {
                    let by_turn = served(a).cmp(&served(b));
                    by_turn.then(sent(b).total_cmp(&sent(a))).then(a.unchoked_at.cmp(&b.unchoked_at))
                });
                let mut chosen = earned(&candidates, self.slots - (self.slots / 5).max(1));
                self.add_optimistic(now, &candidates, &mut chosen, true);
                chosen
            }
        }
    }

    fn sort(&self, places: &mut [usize], order: impl Fn(&Peer, &Peer) -> Ordering) {
        places.sort_by(|a, b| order(&self.peers[*a], &self.peers[*b]));
    }

    fn four_and_a_fourth_round(
        &mut self,
        candidates: &mut [usize],
        worth: impl Fn(&Peer) -> f64,
    ) -> Vec<(usize, bool)> {
        self.sort(candidates, |a, b| worth(b).total_cmp(&worth(a)));
        let mut chosen = earned(candidates, 4);
        if self.rounds % 4 == 3 && candidates.len() > 4 {
            let number = 4 + self.rng.below(candidates.len() as u32 - 4) as usize;
            chosen.push((candidates[number], true));
        }
        chosen
    }

    /// Whoever was unchoked last stays; two rounds admit one, the third keeps all.
    fn mainline(&mut self, candidates: &[usize]) -> Vec<(usize, bool)> {
        let mut held: Vec<_> =
            candidates.iter().copied().filter(|place| self.peers[*place].unchoked).collect();
        self.sort(&mut held, |a, b| b.unchoked_at.cmp(&a.unchoked_at));
        let kept = if self.rounds % 3 == 2 { self.slots } else { self.slots - 1 };
        let mut chosen = earned(&held, kept);
        let mut rest = without(candidates, &chosen);
        while chosen.len() < self.slots && !rest.is_empty() {
            let number = self.rng.below(rest.len() as u32) as usize;
            chosen.push((rest.swap_remove(number), false));
        }
        chosen
    }

    /// One more, for three rounds: whoever waited longest, or at random with newcomers three times as likely.
    fn add_optimistic(
        &mut self,
        now: Instant,
        candidates: &[usize],
        chosen: &mut Vec<(usize, bool)>,
        longest_wait: bool,
    ) {
        let rest = without(candidates, chosen);
        if !self.rounds.is_multiple_of(3) {
            let is_kept = |place: &&usize| self.peers[**place].optimistic && self.peers[**place].unchoked;
            if let Some(place) = rest.iter().find(is_kept) {
                return chosen.push((*place, true));
            }
        }
        let drawn = if longest_wait {
            rest.iter().copied().min_by_key(|place| self.peers[*place].unchoked_at)
        } else {
            let weight =
                |place: &usize| if now.since(self.peers[*place].connected) < NEWCOMER { 3 } else { 1 };
            let weights: Vec<u32> = rest.iter().map(weight).collect();
            let mut ticket = self.rng.below(weights.iter().sum());
            let hit = weights.iter().position(|weight| {
                let is_hit = ticket < *weight;
                ticket = ticket.saturating_sub(*weight);
                is_hit
            });
            hit.map(|number| rest[number])
        };
        chosen.extend(drawn.map(|place| (place, true)));
    }

    fn apply(&mut self, now: Instant, chosen: &[(usize, bool)]) {
        let mut slots = vec![None; self.peers.len()];
        for (place, optimistic) in chosen {
            slots[*place] = Some(*optimistic);
        }
        for (peer, slot) in self.peers.iter_mut().zip(slots) {
            if slot.is_some() && !peer.unchoked {
                peer.unchoked_at = Some(now);
                peer.sent_since_unchoke = 0.0;
                self.commands.push_back(Command::Unchoke(peer.key));
            } else if slot.is_none() && peer.unchoked {
                self.commands.push_back(Command::Choke(peer.key));
            }
            peer.unchoked = slot.is_some();
            peer.optimistic = slot == Some(true);
            peer.got_round = 0.0;
            peer.sent_round = 0.0;
        }
    }
}

/// The first `count` of these places, not by optimism.
fn earned(places: &[usize], count: usize) -> Vec<(usize, bool)> {
    places.iter().take(count).map(|place| (*place, false)).collect()
}

fn without(places: &[usize], chosen: &[(usize, bool)]) -> Vec<usize> {
    places.iter().copied().filter(|place| chosen.iter().all(|(other, _)| other != place)).collect()
}
