//! Goals: what the figures of a scenario must come to, over all seeds of a run.

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;

use crate::Metrics;

/// How the figures of several seeds become one.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Statistic {
    /// The mean.
    #[default]
    Mean,
    /// The smallest.
    Least,
    /// The largest.
    Most,
}

/// One bound on one figure.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    /// What it is called; several bounds may belong to one goal.
    pub name: String,
    /// The scenario, or `*` for each that another goal names.
    pub scenario: String,
    /// The figure.
    pub metric: String,
    /// It must be this at least.
    pub least: Option<f64>,
    /// It must be this at most.
    pub most: Option<f64>,
    /// Of the figures of all seeds.
    #[serde(default)]
    pub statistic: Statistic,
}

/// A file of goals.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goals {
    /// In the order in which they are reported.
    #[serde(rename = "goal")]
    goals: Vec<Goal>,
}

/// Why a file is no file of goals.
#[derive(Clone, PartialEq, Debug, Error)]
pub enum GoalsError {
    /// The file is not what goals look like.
    #[error("{0}")]
    Syntax(String),
    /// A goal that bounds nothing.
    #[error("goal {name} on {metric} has neither `least` nor `most`; write one of them")]
    Boundless {
        /// Its name.
        name: String,
        /// Its figure.
        metric: String,
    },
}

/// What became of one goal in one scenario.
#[derive(Clone, PartialEq, Debug)]
pub struct Finding {
    /// The goal.
    pub goal: Goal,
    /// The scenario that it was measured in.
    pub scenario: String,
    /// The figure over all seeds; `None` when the scenario gives no such figure.
    pub value: Option<f64>,
}

impl Finding {
    /// Whether the goal is met.
    pub fn is_met(&self) -> bool {
        self.value.is_some() && self.missed_by() <= 0.0
    }

    /// By how much it is missed; nothing or less is not at all.
    pub fn missed_by(&self) -> f64 {
        let Some(value) = self.value else { return f64::INFINITY };
        let below = self.goal.least.map_or(f64::NEG_INFINITY, |least| least - value);
        let above = self.goal.most.map_or(f64::NEG_INFINITY, |most| value - most);
        below.max(above)
    }
}

impl Goals {
    /// Reads a file of goals.
    pub fn parse(text: &str) -> Result<Self, GoalsError> {
        let goals: Self = toml::from_str(text).map_err(|error| GoalsError::Syntax(error.to_string()))?;
        for goal in &goals.goals {
            if goal.least.is_none() && goal.most.is_none() {
                let (name, metric) = (goal.name.clone(), goal.metric.clone());
                return Err(GoalsError::Boundless { name, metric });
            }
        }
        Ok(goals)
    }

    /// The goals in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Goal> {
        self.goals.iter()
    }

    /// Whether a goal is about this scenario itself, and not only about all.
    pub fn names(&self, scenario: &str) -> bool {
        self.goals.iter().any(|goal| goal.scenario == scenario)
    }

    /// What became of each goal, given the figures of each seed by scenario. Goals of scenarios that were not run are left
    /// out.
    pub fn check(&self, results: &BTreeMap<String, Vec<Metrics>>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for goal in &self.goals {
            for (scenario, runs) in results {
                if goal.scenario == *scenario || goal.scenario == "*" && self.names(scenario) {
                    let value = over_seeds(goal, runs);
                    findings.push(Finding { goal: goal.clone(), scenario: scenario.clone(), value });
                }
            }
        }
        findings
    }
}

/// The figure of a goal over all seeds, if every seed has it.
fn over_seeds(goal: &Goal, runs: &[Metrics]) -> Option<f64> {
    let values: Vec<f64> = runs.iter().map(|run| run.get(&goal.metric).copied()).collect::<Option<_>>()?;
    match goal.statistic {
        _ if values.is_empty() => None,
        Statistic::Mean => Some(crate::metrics::mean(&values)),
        Statistic::Least => values.into_iter().min_by(f64::total_cmp),
        Statistic::Most => values.into_iter().max_by(f64::total_cmp),
    }
}
