//! The DHT simulator: thousands of the nodes that ship, in virtual time, among others that lie.
//!
//! Datagrams are delayed and lost; some nodes are behind a NAT, nodes leave and others come, a part is hostile, and the
//! bootstrap node dies once all have joined. Then nodes look up torrents that others announced. The same plan and seed give
//! the same report, bit by bit.

mod agenda;
mod hostile;
mod measure;
mod world;

#[cfg(test)]
mod tests;

use serde::Serialize;

use self::world::World;

/// What is played.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Nodes at one time, the bootstrap node and hostile ones among them.
    pub nodes: u32,
    /// Hostile nodes, in percent.
    pub hostile_percent: u32,
    /// All hostile nodes are of one clique, which names none but its members.
    pub is_clique: bool,
    /// Honest nodes behind a NAT, in percent: nobody reaches them whom they did not write to within the last minute.
    pub natted_percent: u32,
    /// Lost datagrams, in percent.
    pub loss_percent: u32,
    /// The mean life of a node, in minutes; 0 is for ever.
    pub life_minutes: u32,
    /// Torrents that are announced, each by three nodes.
    pub torrents: u32,
    /// Lookups of them, spread over the last part.
    pub lookups: u32,
    /// How long the last part takes, in minutes.
    pub lookups_minutes: u32,
}

impl Plan {
    /// The network of the goals, in so many nodes.
    pub fn of(nodes: u32) -> Self {
        Self {
            nodes,
            hostile_percent: 10,
            is_clique: false,
            natted_percent: 25,
            loss_percent: 3,
            life_minutes: 120,
            torrents: nodes / 10,
            lookups: nodes / 2,
            lookups_minutes: 20,
        }
    }

    /// The rounds within which a lookup is to find a peer: log2(n) + 4.
    pub fn rounds_max(&self) -> u32 {
        self.nodes.next_power_of_two().trailing_zeros() + 4
    }
}

/// What came of a run.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    /// Nodes at one time.
    pub nodes: u32,
    /// Hostile ones of them.
    pub hostile: u32,
    /// Honest nodes that had good nodes in their tables just before the bootstrap node died, of all that had had a minute
    /// to join.
    pub joined: f64,
    /// The same at the end, long after.
    pub joined_without_bootstrap: f64,
    /// Lookups, those that never ended among them, unless who looked had left.
    pub lookups: u32,
    /// Those that found a peer that had been announced, within the rounds that are allowed.
    pub found_in_rounds: f64,
    /// Those that found one at all.
    pub found: f64,
    /// Steps from the own table to the farthest node that answered, in the mean over lookups that found a peer: never less
    /// than those to the peer.
    pub rounds_mean: f64,
    /// The same at the 99th of a hundred.
    pub rounds_p99: u32,
    /// How long until a lookup named its first announced peer, in milliseconds: the 50th of a hundred.
    pub first_peer_ms_p50: u64,
    /// The 99th of a hundred.
    pub first_peer_ms_p99: u64,
    /// Nodes asked in a lookup, in the mean.
    pub asked_mean: f64,
    /// Nodes that took an announce, in the mean over searches that had one to make.
    pub announced_to_mean: f64,
    /// Nodes in a table at the end, in the mean and the most.
    pub table_mean: f64,
    /// The most.
    pub table_max: u32,
    /// Of all places in tables of honest nodes those that hostile ones have.
    pub table_hostile: f64,
    /// Datagrams that were sent.
    pub datagrams: u64,
    /// Of honest nodes, in bytes a second and node, in the mean.
    pub bytes_per_second_mean: f64,
    /// The digest of all that happened.
    pub digest: String,
}

/// What should hold of a run and does not, in words.
pub fn check(plan: &Plan, report: &Report) -> Vec<String> {
    let rounds = plan.rounds_max();
    let table_max = TABLE_BUCKETS_SPARE + plan.nodes.next_power_of_two().trailing_zeros();
    let mut broken = Vec::new();
    let mut must = |holds: bool, words: String| {
        if !holds {
            broken.push(words);
        }
    };
    must(report.lookups > 0, "there was no lookup".to_owned());
    must(
        report.found_in_rounds >= 0.99,
        format!("{:.4} of lookups find a peer within {rounds} rounds, not 0.99", report.found_in_rounds),
    );
    must(report.joined >= 0.99, format!("{:.4} of nodes joined, not 0.99", report.joined));
    must(
        report.joined_without_bootstrap >= 0.99,
        format!(
            "without the bootstrap node {:.4} of nodes are joined, not 0.99",
            report.joined_without_bootstrap
        ),
    );
    must(
        report.table_max <= table_max * 8,
        format!("a table has {} nodes, more than {}", report.table_max, table_max * 8),
    );
    // Nodes behind a NAT are in few tables, so that the others have their places, hostile ones among them.
    let hostile = f64::from(plan.hostile_percent) / 100.0;
    let reachable = 1.0 - (1.0 - hostile) * f64::from(plan.natted_percent) / 100.0;
    must(
        report.table_hostile <= hostile / reachable * 1.5,
        format!("hostile nodes have {:.3} of the places in tables", report.table_hostile),
    );
    broken
}

/// Buckets that a table may have beyond the logarithm of the network.
const TABLE_BUCKETS_SPARE: u32 = 6;

/// Plays a plan. A broken invariant of a node is a panic.
pub fn run(plan: &Plan, seed: u64) -> Report {
    let mut world = World::new(*plan, seed);
    world.run();
    world.report()
}
