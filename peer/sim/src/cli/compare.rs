//! `potluck-sim compare`: scenarios in the fluid simulator and to the byte, and whether both say the same.

use std::{collections::BTreeMap, io::Write, process::ExitCode};

use potluck_sim::{
    Scenario,
    compare::{self, Finding, Pair, Verdict, Within},
};

use super::{
    jobs::{self, Job},
    seeds::Seeds,
};

/// What is compared.
#[derive(Debug, clap::Args)]
pub(crate) struct Compare {
    /// Scenarios by name (see `list`), or TOML files
    #[arg(default_values_t = ["g1-small".to_owned(), "g2-small".to_owned()])]
    scenarios: Vec<String>,
    /// Seeds: a number, or a range that includes both ends; each is played by both simulators
    #[arg(long, default_value = "1..5")]
    seed: Seeds,
    /// Fail where a figure's means over the seeds are not within 10 %, or where there are too few seeds to tell
    #[arg(long)]
    check: bool,
    /// Runs at the same time; as many as there are processors when nothing is said
    #[arg(long)]
    jobs: Option<usize>,
}

/// Does what the arguments say; 1 is the exit code when a check fails.
pub(crate) fn run(arguments: &Compare) -> anyhow::Result<ExitCode> {
    let scenarios: Vec<(String, Scenario)> =
        arguments.scenarios.iter().map(|name| super::read_scenario(name)).collect::<Result<_, _>>()?;
    let mut jobs = Vec::new();
    for (name, scenario) in &scenarios {
        jobs.extend(arguments.seed.iter().map(|seed| Job { name, scenario, seed }));
    }
    let mut pairs: BTreeMap<&str, Vec<Pair>> = BTreeMap::new();
    jobs::run_all(&jobs, arguments.jobs, compare::play, |job, pair| {
        let value = serde_json::json!({
            "scenario": job.name, "seed": job.seed, "fluid": pair.fluid, "wire": pair.wire,
        });
        writeln!(std::io::stdout().lock(), "{value}")?;
        pairs.entry(job.name).or_default().push(pair);
        Ok(())
    })?;
    let mut all_agree = true;
    for (name, scenario) in &scenarios {
        let findings = compare::findings(scenario, &pairs[name.as_str()]);
        all_agree &= findings.iter().all(|finding| finding.verdict() == Verdict::Agree);
        table(name, &findings);
    }
    Ok(if arguments.check && !all_agree { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

#[expect(clippy::print_stderr, reason = "for people")]
fn table(scenario: &str, findings: &[Finding]) {
    eprintln!("\n{scenario:<30} {:>8} {:>8} {:>8} {:>6}", "fluid", "bytes", "+/-", "ratio");
    for finding in findings {
        let within = match finding.within {
            Within::Part(part) => format!("{:.0} %", part * 100.0),
            Within::Difference(most) => format!("{most} more or less"),
        };
        let verdict = match finding.verdict() {
            Verdict::Agree => "within",
            Verdict::Differ => "NOT within",
            Verdict::TooFewSeeds => "too few seeds to tell whether within",
        };
        let Finding { metric, fluid, wire, error, .. } = finding;
        eprintln!(
            "{metric:<30} {fluid:>8.3} {wire:>8.3} {error:>8.3} {:>6.3} {verdict} {within}",
            finding.ratio()
        );
    }
}
