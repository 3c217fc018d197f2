//! The wire simulator: whole swarms of the machines that ship, down to the bytes between them, in virtual time.
//!
//! Everything follows from a seed: who takes part, what the network and the disks are like, what goes wrong and when
//! ([`plan`]). Nodes run the production `Torrent` and, for each end of a connection, the production `Session`; those that know
//! only the hash begin with the production `Magnet`; trackers have the production store. Around them the [`world`] does what the engine would: its tasks, batches and delays, its resume state and
//! what that promises after a crash. First there is a storm of faults, in which nothing wrong may happen; then all heals but
//! for hostile peers, and everybody must end with the true bytes within a bound. What must hold stands in [`check`], a property
//! a file.

mod agenda;
mod check;
mod dht;
mod disk;
pub mod fair;
mod hostile;
mod metadata;
mod net;
mod node;
mod payload;
mod plan;
mod sabotage;
#[cfg(test)]
mod tests;
mod trace;
mod tracker;
mod world;

use potluck_common::Rng;

pub use self::{
    check::Violation,
    trace::{Record, Trace},
};
use self::{plan::Plan, sabotage::Sabotage, world::World};

/// What came of a run that held all properties.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Run {
    /// The hash over everything that happened, in hexadecimal.
    pub digest: String,
    /// How many things happened.
    pub events: u64,
    /// How long it took, in milliseconds of virtual time.
    pub virtual_ms: u64,
    /// How much of it passed after the storm, in milliseconds of virtual time.
    pub healed_ms: u64,
    /// How many leechers ended with all that they wanted.
    pub completed: usize,
    /// How many things went wrong on purpose.
    pub faults: u32,
    /// How often a node went down.
    pub crashes: u32,
    /// Bytes that went over connections.
    pub bytes: u64,
    /// How many members began with the hash alone.
    pub magnets: usize,
}

/// A seed that once failed.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The seed.
    pub number: u64,
    /// What it found, in a sentence.
    pub found: String,
    /// It is played as one that knows nothing of metadata, PORT, private torrents and remembered peers, as when it was found.
    #[serde(default)]
    pub is_early: bool,
}

/// The seeds that once failed (`peer/sim/wire-seeds.toml`).
pub fn kept_seeds() -> Vec<Kept> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[serde(default)]
        seed: Vec<Kept>,
    }
    let file: File =
        toml::from_str(include_str!("../../wire-seeds.toml")).expect("the file is part of the program");
    file.seed
}

/// What a seed stands for, in one line.
pub fn describe(seed: u64, is_early: bool) -> String {
    plan(&mut Rng::new(seed), is_early).in_words()
}

fn plan(rng: &mut Rng, is_early: bool) -> Plan {
    if is_early { Plan::draw_early(rng) } else { Plan::draw(rng) }
}

/// Seeds that are tried until a defect on purpose is seen.
const SELF_CHECK_SEEDS: u64 = 200;

/// Breaks one thing after the other on purpose; says which properties did not notice.
pub fn self_check() -> Vec<String> {
    let judge = |(sabotage, property)| {
        let found = (1..SELF_CHECK_SEEDS).find_map(|seed| {
            let mut rng = Rng::new(seed);
            let plan = Plan { sabotage: Some(sabotage), ..Plan::draw(&mut rng) };
            World::new(plan, rng, &mut Trace::new(Record::Nothing)).run().err()
        });
        match found {
            Some(violation) if violation.property == property => None,
            Some(violation) => Some(format!("{sabotage:?} was seen as: {violation}")),
            None => Some(format!("{sabotage:?} was not seen")),
        }
    };
    Sabotage::ALL.into_iter().filter_map(judge).collect()
}

/// Plays the run of a seed, perhaps as an early one ([`Kept::is_early`]). What happened is in `trace`, also when a machine
/// panics.
pub fn run(seed: u64, is_early: bool, trace: &mut Trace) -> Result<Run, Violation> {
    let mut rng = Rng::new(seed);
    let plan = plan(&mut rng, is_early);
    let magnets = plan.members.iter().filter(|member| member.begins_with_hash).count();
    let ending = World::new(plan, rng, trace).run()?;
    Ok(Run {
        digest: format!("{:016x}", trace.digest()),
        events: ending.events,
        virtual_ms: ending.virtual_time.as_millis() as u64,
        healed_ms: ending.healed_for.as_millis() as u64,
        completed: ending.completed,
        faults: ending.faults,
        crashes: ending.crashes,
        bytes: ending.bytes,
        magnets,
    })
}
