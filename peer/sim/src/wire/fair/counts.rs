//! What is counted of a swarm of bytes, by the measures of the fluid simulator.

use potluck_common::{Duration, Instant, PieceIndex};

use crate::{
    scenario::Scenario,
    wire::net::HostId,
    world::{Node, Role, Tally},
};

/// How often the fluid simulator counts what the uplinks could carry.
const TICK: Duration = Duration::from_secs(1);

/// The people of a scenario, what became of them, and what they sent.
#[derive(Debug)]
pub(in crate::wire) struct Counts {
    /// By their host.
    people: Vec<Node>,
    tally: Tally,
    seconds: u64,
}

/// A time of a run as the fluid simulator has it, which begins at zero.
pub(super) fn time(since_begin: Duration) -> Instant {
    Instant::ZERO + since_begin
}

impl Counts {
    pub(super) fn new(scenario: &Scenario, people: Vec<Node>) -> Self {
        Self { tally: Tally::new(scenario, &people), people, seconds: 0 }
    }

    pub(super) fn of_people(&self) -> (&[Node], &Tally) {
        (&self.people, &self.tally)
    }

    /// Whether every leecher is done.
    pub(in crate::wire) fn is_over(&self) -> bool {
        self.tally.leechers_left == 0
    }

    pub(in crate::wire) fn joined(&mut self, host: HostId) {
        let node = &mut self.people[host];
        node.online = true;
        self.tally.entered(node.role == Role::Seed);
    }

    /// A second has passed.
    pub(in crate::wire) fn second(&mut self, since_begin: Duration) {
        self.tally.capacity(&self.people, TICK);
        self.seconds += 1;
        if self.seconds.is_multiple_of(10) {
            self.tally.look_for_full_copy(time(since_begin));
        }
    }

    /// Payload went from one to the other, in bytes.
    pub(in crate::wire) fn sent(&mut self, from: HostId, to: HostId, bytes: u64) {
        self.tally.passed(&self.people, from as u32, to as u32, bytes as f64);
    }

    pub(in crate::wire) fn stored(&mut self, host: HostId, piece: PieceIndex) {
        self.people[host].pieces += 1;
        self.tally.completed(&self.people[host], piece);
    }

    /// Somebody has all. Says whether it leaves, which it has not done yet.
    pub(in crate::wire) fn done(&mut self, host: HostId, since_begin: Duration) -> bool {
        let node = &mut self.people[host];
        if node.role == Role::Seed || node.done.is_some() {
            return false;
        }
        node.done = Some(time(since_begin));
        self.tally.done(node.is_contributor());
        true
    }

    /// It leaves, with these pieces as bits.
    pub(in crate::wire) fn left(&mut self, host: HostId, have: &[u64]) {
        self.people[host].online = false;
        self.tally.left(&self.people[host], have);
    }
}
