//! Potluck's swarm simulator: the choker and the picker that ship, in virtual time, from a seed.
//!
//! [`run`] plays one [`Scenario`] and gives its [`Outcome`]. The same scenario and seed give the same figures, bit by
//! bit. `world` is the swarm, `rules` are the choker that ships and simple rules to compare it with.

pub mod compare;
pub mod dht;
pub mod goals;
pub mod library;
pub mod metrics;
mod rules;
pub mod scenario;
pub mod wire;
mod world;

pub use metrics::Metrics;
pub use scenario::{Scenario, ScenarioError};
pub use world::Moment;

/// What came of a run.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// Its figures.
    pub metrics: Metrics,
    /// The swarm every ten seconds.
    pub timeline: Vec<Moment>,
    /// How long each contributor took, in seconds, in ascending order.
    pub contributors_s: Vec<f64>,
    /// How long each free rider took, in seconds, in ascending order.
    pub free_riders_s: Vec<f64>,
}

/// Plays a scenario to its end.
pub fn run(scenario: &Scenario, seed: u64) -> Result<Outcome, ScenarioError> {
    let mut world = world::World::new(scenario, seed)?;
    world.run();
    Ok(Outcome {
        metrics: metrics::of(scenario, world.ended()),
        contributors_s: metrics::times(world.ended(), world::Node::is_contributor),
        free_riders_s: metrics::times(world.ended(), world::Node::is_free_rider),
        timeline: world.into_timeline(),
    })
}
