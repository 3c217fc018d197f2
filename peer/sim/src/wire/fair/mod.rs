//! Scenarios of the fluid simulator, to the byte: the same people and figures, and instead of flows the machines that ship.
//!
//! Nothing goes wrong here. Everybody has an upload limit, by which the engine's way to share it works (`node/sharing.rs`), on a
//! network with room for more, as the fluid model has it; and leaves when it is done.

mod cast;
mod counts;

use potluck_common::{Duration, Rng};
use thiserror::Error;

pub(super) use self::counts::Counts;
use super::{
    check::Violation,
    trace::{Record, Trace},
    world::World,
};
use crate::{
    Metrics,
    metrics::{self, Ended},
    scenario::Scenario,
    world,
};

/// Why a scenario cannot be played to the byte.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum FairError {
    /// It has something that only the fluid simulator has.
    #[error("{0} is not played to the byte")]
    Fluid(&'static str),
    /// Something does not hold that must always hold.
    #[error("{0}")]
    Broken(Violation),
}

/// The figures of a scenario as they come of the machines that ship; people are those of the fluid run of this seed.
pub fn figures(scenario: &Scenario, seed: u64) -> Result<Metrics, FairError> {
    let people = world::cast(scenario, &mut Rng::new(seed));
    let mut rng = Rng::new(seed);
    let plan = cast::plan(scenario, &people, &mut rng)?;
    let counts = Counts::new(scenario, people);
    let mut trace = Trace::new(Record::Nothing);
    let mut world = World::new(plan, rng, &mut trace);
    world.count(counts);
    let ending = world.run().map_err(FairError::Broken)?;
    let counts = world.counts().expect("they were given to it");
    let (nodes, tally) = counts.of_people();
    Ok(metrics::of(scenario, Ended { nodes, tally, now: counts::time(ending.virtual_time) }))
}

/// How long a run may take at most.
pub(super) fn patience(scenario: &Scenario) -> Duration {
    Duration::from_secs(u64::from(scenario.limit_s))
}
