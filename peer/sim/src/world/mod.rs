//! The simulated swarm: nodes that follow the rules that ship, in steps of virtual time.
//!
//! Fluid: within a step an uplink is divided among the unchoked who want something, and bytes become blocks of the
//! production picker. Nothing here reaches a clock, a file or entropy: a scenario and a seed are a run.

mod cast;
mod connect;
mod deliver;
mod downloads;
mod fetch;
mod flows;
mod interest;
mod links;
mod node;
mod sample;
mod super_seeding;
#[cfg(test)]
mod tests;
mod verify;

use potluck_common::{Bitfield, Duration, Geometry, Instant, Rng, limits::BLOCK_LENGTH};

pub(crate) use self::cast::cast;
pub use self::sample::Moment;
use self::{
    downloads::Downloads,
    flows::{Flow, Uplink},
    interest::Heard,
    links::{LinkId, Links, NO_DOWNLOAD},
};
pub(crate) use self::{
    node::{Manners, Node, Role},
    sample::Tally,
};
use crate::{
    metrics::Ended,
    rules::{Command, Rule},
    scenario::{Scenario, ScenarioError},
};
use potluck_core::{choker::ChokerEvent, picker::Picker};

/// Free riders that reset their identity do it this often.
const RESET_S: u64 = 60;

/// A swarm in the middle of a run.
#[derive(Debug)]
pub(crate) struct World {
    scenario: Scenario,
    rng: Rng,
    now: Instant,
    steps: u64,
    tick: Duration,
    /// In blocks of the picker's size, which stand for blocks of the scenario's.
    geometry: Geometry,
    full: Bitfield,
    empty: Bitfield,
    nodes: Vec<Node>,
    rules: Vec<Rule>,
    /// Of each node until it has everything.
    pickers: Vec<Option<Box<Picker>>>,
    /// The pieces of each node as bits, `words` for each node.
    haves: Vec<u64>,
    words: usize,
    links: Links,
    /// What is looked at for every HAVE of every node, side by side: a node itself is too large for that.
    manners: Vec<Manners>,
    roles: Vec<Role>,
    heard: Vec<Heard>,
    /// When each node's rule is to be looked at next; the beginning of time is at once.
    wakes: Vec<Instant>,
    downloads: Downloads,
    uplinks: Vec<Uplink>,
    /// Nobody who is online leaves before, as far as is known.
    leave_next: Instant,
    /// The uplinks of everybody online who is no free rider together, in bytes per second, while it is known.
    capacity: Option<f64>,
    /// Nodes that have not come yet, the next one last.
    pending: Vec<u32>,
    /// Online nodes, as the tracker knows them.
    swarm: Vec<u32>,
    addresses: u32,
    flows: Vec<Flow>,
    /// Bytes that come to each node in this step.
    incoming: Vec<f64>,
    tally: Tally,
    timeline: Vec<Moment>,
}

impl World {
    pub(crate) fn new(scenario: &Scenario, seed: u64) -> Result<Self, ScenarioError> {
        let blocks = u64::from(scenario.blocks_per_piece) * u64::from(BLOCK_LENGTH);
        let geometry = Geometry::new(u64::from(scenario.pieces) * blocks, blocks)
            .map_err(|error| ScenarioError::Syntax(error.to_string()))?;
        let mut rng = Rng::new(seed);
        let nodes = cast(scenario, &mut rng);
        let words = (scenario.pieces as usize).div_ceil(64);
        let mut pending: Vec<u32> = (0..nodes.len() as u32).collect();
        pending.sort_by_key(|number| std::cmp::Reverse((nodes[*number as usize].joined, *number)));
        Ok(Self {
            rng,
            now: Instant::ZERO,
            steps: 0,
            tick: Duration::from_millis(u64::from(scenario.tick_ms)),
            full: Bitfield::full(scenario.pieces),
            empty: Bitfield::empty(scenario.pieces),
            geometry,
            rules: nodes.iter().map(|_| Rule::Never).collect(),
            pickers: nodes.iter().map(|_| None).collect(),
            haves: vec![0; nodes.len() * words],
            words,
            links: Links::default(),
            manners: nodes.iter().map(Node::manners).collect(),
            roles: nodes.iter().map(|node| node.role).collect(),
            heard: vec![Heard::nothing(&geometry); nodes.len()],
            wakes: vec![Instant::ZERO; nodes.len()],
            downloads: Downloads::default(),
            uplinks: nodes.iter().map(Uplink::of).collect(),
            leave_next: Instant::ZERO,
            capacity: None,
            pending,
            swarm: Vec::new(),
            addresses: 0,
            flows: Vec::new(),
            incoming: vec![0.0; nodes.len()],
            tally: Tally::new(scenario, &nodes),
            timeline: Vec::new(),
            nodes,
            scenario: scenario.clone(),
        })
    }

    /// Runs until every leecher is done, or time is up.
    pub(crate) fn run(&mut self) {
        let limit = Instant::from_secs(u64::from(self.scenario.limit_s));
        while self.tally.leechers_left > 0 && self.now < limit {
            self.step();
        }
    }

    /// The swarm every ten seconds.
    pub(crate) fn into_timeline(self) -> Vec<Moment> {
        self.timeline
    }

    /// What the figures are made of.
    pub(crate) fn ended(&self) -> Ended<'_> {
        Ended { nodes: &self.nodes, tally: &self.tally, now: self.now }
    }

    fn step(&mut self) {
        self.come_and_go();
        if self.every(Duration::from_secs(10)) {
            self.replenish();
        }
        self.decide();
        self.advance_super_seeds();
        self.share();
        self.deliver_all();
        for number in 0..self.nodes.len() as u32 {
            if self.wakes[number as usize] == Instant::ZERO {
                self.obey(number);
            }
        }
        if self.every(Duration::from_secs(10)) {
            self.sample();
        }
        self.now += self.tick;
        self.steps += 1;
    }

    /// Whether a period of this length begins with this step.
    fn every(&self, period: Duration) -> bool {
        let period = period.as_micros() as u64;
        self.now.as_micros() % period < self.tick.as_micros() as u64
    }

    fn come_and_go(&mut self) {
        self.arrive();
        if self.leave_next <= self.now {
            self.go();
        }
        let half = Duration::from_secs(RESET_S / 2);
        if self.every(half) && !self.every(half * 2) {
            self.reset_identities();
        }
    }

    /// Everybody whose time has come leaves.
    fn go(&mut self) {
        self.leave_next = Instant::FAR_FUTURE;
        for number in 0..self.nodes.len() as u32 {
            let node = &self.nodes[number as usize];
            let Some(leaves) = node.leaves.filter(|_| node.online) else { continue };
            if leaves <= self.now {
                self.leave(number);
            } else {
                self.leave_next = self.leave_next.min(leaves);
            }
        }
    }

    /// The rules that wait for it learn the time, and what they want is done.
    fn decide(&mut self) {
        for number in 0..self.nodes.len() as u32 {
            if self.wakes[number as usize] > self.now || !self.nodes[number as usize].online {
                continue;
            }
            self.rules[number as usize].advance(self.now);
            self.obey(number);
            if cfg!(debug_assertions) {
                self.rules[number as usize].assert_invariants();
            }
        }
    }

    /// Does what a node's rule wants done.
    fn obey(&mut self, number: u32) {
        while let Some(command) = self.rules[number as usize].poll_command() {
            self.carry_out(number, command);
        }
        self.wakes[number as usize] = self.rules[number as usize].due();
    }

    fn carry_out(&mut self, number: u32, command: Command) {
        match command {
            Command::Unchoke(key) => {
                if let Some(id) = self.links.of_key(key) {
                    self.note_flip(id);
                    self.unchoke(number, id);
                    self.super_seed_unchokes(number, key, true);
                }
            }
            Command::Choke(key) => {
                if let Some(id) = self.links.of_key(key) {
                    self.note_flip(id);
                    self.choke(number, id);
                    self.super_seed_unchokes(number, key, false);
                }
            }
            Command::Weight(key, percent) => {
                if let Some(id) = self.links.of_key(key) {
                    self.weigh(id, percent);
                }
            }
            Command::Limit(key, bytes_per_second) => {
                if let Some(id) = self.links.of_key(key) {
                    self.limit(id, bytes_per_second as f32);
                }
            }
            Command::Evict(key) => {
                if let Some(id) = self.links.of_key(key) {
                    self.disconnect(id);
                }
            }
        }
    }

    fn weigh(&mut self, id: LinkId, percent: u8) {
        let link = &mut self.links[id];
        link.weight = percent;
        if link.download != NO_DOWNLOAD {
            self.downloads[link.download].weight = percent;
        }
    }

    fn limit(&mut self, id: LinkId, bytes_per_second: f32) {
        let link = &mut self.links[id];
        link.limit = bytes_per_second;
        if link.download != NO_DOWNLOAD {
            self.downloads[link.download].is_limited = bytes_per_second.is_finite();
        }
    }

    fn tell(&mut self, number: u32, event: ChokerEvent) {
        self.wakes[number as usize] = Instant::ZERO;
        self.rules[number as usize].handle(self.now, event);
    }
}
