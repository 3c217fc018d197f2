//! Whether the two simulators of swarms say the same of a scenario that both can play.
//!
//! The fluid one has the choker and the picker that ship, and a model of all the rest; the other has all that ships, to the byte
//! ([`crate::wire::fair`]). For each seed both play the same people. Figures are compared as means over the seeds.

use thiserror::Error;

use crate::{
    Metrics, Scenario, ScenarioError, metrics,
    wire::fair::{self, FairError},
};

/// How near two figures must be.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Within {
    /// Of the fluid simulator's, the difference as a part of it.
    Part(f64),
    /// The difference itself: of a share that is nearly nothing, a part says nothing.
    Difference(f64),
}

/// The figures of G1, which nobody rides free.
const OF_CONTRIBUTORS: [(&str, Within); 5] = [
    ("mean_over_bound", Within::Part(0.1)),
    ("p95_over_bound", Within::Part(0.1)),
    ("uplink_use", Within::Part(0.1)),
    ("jain_rate", Within::Part(0.1)),
    ("first_full_copy_over_ideal", Within::Part(0.1)),
];

/// The figures of G2.
const WITH_FREE_RIDERS: [(&str, Within); 4] = [
    ("mean_over_bound", Within::Part(0.1)),
    ("free_riders_over_good", Within::Part(0.1)),
    ("leecher_share_to_free_riders", Within::Difference(0.01)),
    ("seed_share_over_fair", Within::Part(0.1)),
];

/// The figures of one seed in both simulators.
#[derive(Clone, PartialEq, Debug)]
pub struct Pair {
    /// Of the fluid one.
    pub fluid: Metrics,
    /// Of the one of bytes.
    pub wire: Metrics,
}

/// Why a scenario cannot be compared.
#[derive(Clone, PartialEq, Debug, Error)]
pub enum CompareError {
    /// The fluid simulator cannot play it.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The other cannot, or something did not hold in it.
    #[error("to the byte: {0}")]
    Wire(#[from] FairError),
}

/// What came of comparing one figure.
#[derive(Clone, PartialEq, Debug)]
pub struct Finding {
    /// Its name.
    pub metric: &'static str,
    /// How near they must be.
    pub within: Within,
    /// The mean of the fluid simulator.
    pub fluid: f64,
    /// The mean of the simulator of bytes.
    pub wire: f64,
    /// The standard error of their difference, as far as seeds scatter.
    pub error: f64,
}

impl Finding {
    /// The figure of bytes over the fluid one.
    pub fn ratio(&self) -> f64 {
        self.wire / self.fluid
    }

    /// Whether both say the same, as far as so many seeds can tell.
    pub fn verdict(&self) -> Verdict {
        let most = match self.within {
            Within::Part(part) => part * self.fluid.abs(),
            Within::Difference(most) => most,
        };
        // Two standard errors are what chance hardly exceeds. (What is no number is not sure either.)
        let is_sure = ERRORS * self.error <= most;
        let difference = (self.wire - self.fluid).abs();
        match (is_sure, difference <= most) {
            // However few the seeds, this is not chance.
            _ if difference - ERRORS * self.error > most => Verdict::Differ,
            (false, _) => Verdict::TooFewSeeds,
            (true, true) => Verdict::Agree,
            (true, false) => Verdict::Differ,
        }
    }
}

/// What two figures with their errors say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The means are as near as they must be.
    Agree,
    /// They are not.
    Differ,
    /// Chance alone could move them further apart than they may be.
    TooFewSeeds,
}

/// So many standard errors must be less than the difference that is looked for.
const ERRORS: f64 = 2.0;

/// Plays a seed in both.
pub fn play(scenario: &Scenario, seed: u64) -> Result<Pair, CompareError> {
    let fluid = crate::run(scenario, seed)?.metrics;
    let wire = fair::figures(scenario, seed)?;
    Ok(Pair { fluid, wire })
}

/// Compares the means. What a run does not have is no agreement.
pub fn findings(scenario: &Scenario, pairs: &[Pair]) -> Vec<Finding> {
    let values = |of: fn(&Pair) -> &Metrics, metric: &str| -> Vec<f64> {
        pairs.iter().map(|pair| of(pair).get(metric).copied().unwrap_or(f64::NAN)).collect()
    };
    let compare = |&(metric, within): &(&'static str, Within)| {
        let (fluid, wire) = (values(|pair| &pair.fluid, metric), values(|pair| &pair.wire, metric));
        let error = (error_of_mean(&fluid).powi(2) + error_of_mean(&wire).powi(2)).sqrt();
        Finding { metric, within, fluid: metrics::mean(&fluid), wire: metrics::mean(&wire), error }
    };
    if scenario.free_riders.is_some() {
        WITH_FREE_RIDERS.iter().map(compare).collect()
    } else {
        OF_CONTRIBUTORS.iter().map(compare).collect()
    }
}

/// The standard error of a mean; one value alone says nothing of it.
fn error_of_mean(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return f64::INFINITY;
    }
    let (mean, count) = (metrics::mean(values), values.len() as f64);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (count - 1.0) / count).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A scenario of a few seconds that both can play.
    const TINY: &str = "leechers = 6\npieces = 12\npiece_bytes = 65536\nblocks_per_piece = 4\nneighbours = 4\n\
                        latency_ms = 40\ntick_ms = 100\nreplenish = false\nseeds = { up = 250000.0 }\n\
                        free_riders = { share = 0.34, kind = \"zero-upload\" }\n";

    fn scenario(more: &str) -> Scenario {
        Scenario::parse(&format!("{more}{TINY}")).expect("valid")
    }

    #[test]
    fn the_same_seed_gives_the_same_figures_and_everybody_ends() {
        let pair = play(&scenario(""), 3).expect("both can play it");
        assert_eq!(play(&scenario(""), 3), Ok(pair.clone()));
        for figures in [&pair.fluid, &pair.wire] {
            assert!(figures["unfinished"].abs() < 1e-9, "{figures:?}");
            assert!((0.2..=1.0).contains(&figures["uplink_use"]), "{figures:?}");
            // Ten seconds are too few to deter anybody.
            assert!(figures["free_riders_over_good"] > 0.0, "{figures:?}");
        }
        assert!((pair.fluid["bound_s"] - pair.wire["bound_s"]).abs() < 1e-9, "the same people");
        let found = findings(&scenario(""), &[pair]);
        assert_eq!(found.len(), WITH_FREE_RIDERS.len());
        assert!(found.iter().all(|finding| finding.ratio().is_finite()), "{found:?}");
    }

    #[test]
    fn what_only_the_fluid_simulator_has_is_refused() {
        let cases = [
            ("linger_s = 5.0\n", "staying when one is done"),
            ("ramp_ms = 500\n", "a speed that ramps up"),
            ("rule = \"bep3\"\n", "a rule that is not ours"),
            ("arrivals = { kind = \"uniform\", over_s = 9.0 }\n", "coming one after the other"),
        ];
        for (more, what) in cases {
            assert_eq!(play(&scenario(more), 1), Err(CompareError::Wire(FairError::Fluid(what))));
        }
    }

    #[test]
    fn figures_are_near_by_their_means() {
        let pair = |fluid: f64, wire: f64| {
            let metrics = |value| Metrics::from([("mean_over_bound".to_owned(), value)]);
            Pair { fluid: metrics(fluid), wire: metrics(wire) }
        };
        let near = [pair(1.0, 1.09), pair(1.0, 1.09)];
        let far = [pair(1.0, 1.11), pair(1.0, 1.11)];
        let scattered = [pair(1.0, 1.3), pair(1.0, 0.8)];
        let often = scattered.iter().cycle().take(40).cloned().collect::<Vec<_>>();
        let cases: [(&[Pair], Verdict); 6] = [
            (&near, Verdict::Agree),
            (&far, Verdict::Differ),
            (&scattered, Verdict::TooFewSeeds),
            (&often, Verdict::Agree),
            (&near[..1], Verdict::TooFewSeeds),
            (&[pair(1.0, f64::NAN), pair(1.0, 1.0)], Verdict::TooFewSeeds),
        ];
        for (pairs, verdict) in cases {
            let found = findings(&scenario(""), pairs);
            assert_eq!(found[0].verdict(), verdict, "{pairs:?}");
            assert_eq!(found[1].verdict(), Verdict::TooFewSeeds, "what neither has is no agreement");
        }
        let error = findings(&scenario(""), &scattered)[0].error;
        assert!((error - 0.25).abs() < 1e-9, "{error}");
        let share = |wire, error| {
            let within = Within::Difference(0.01);
            Finding { metric: "leecher_share_to_free_riders", within, fluid: 0.05, wire, error }.verdict()
        };
        assert_eq!(share(0.059, 0.004), Verdict::Agree);
        assert_eq!(share(0.062, 0.004), Verdict::Differ);
        assert_eq!(share(0.062, 0.006), Verdict::TooFewSeeds);
        assert_eq!(share(0.075, 0.006), Verdict::Differ, "few seeds, and yet no chance");
    }
}
