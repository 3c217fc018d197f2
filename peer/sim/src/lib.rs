//! Potluck's swarm simulator: the choker and the picker that ship, in virtual time, from a seed.
//!
//! [`run`] plays one [`Scenario`] and gives its [`Metrics`]. The same scenario and seed give the same figures, bit by
//! bit. `world` is the swarm, `rules` are the choker that ships and simple rules to compare it with.

pub mod goals;
pub mod library;
pub mod metrics;
mod rules;
pub mod scenario;
mod world;

pub use metrics::Metrics;
pub use scenario::{Scenario, ScenarioError};

/// Plays a scenario to its end.
pub fn run(scenario: &Scenario, seed: u64) -> Result<Metrics, ScenarioError> {
    let mut world = world::World::new(scenario, seed)?;
    world.run();
    Ok(metrics::of(scenario, &world))
}
