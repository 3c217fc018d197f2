//! The command line: the shell around the simulator, with files, threads and a clock.

mod compare;
mod csv;
mod dht;
mod jobs;
mod pages;
mod plot;
mod report;
mod seeds;
mod wire;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use potluck_sim::{Metrics, Scenario, goals::Goals, library, scenario::FreeRiderKind};

pub(crate) use self::pages::begin_with_huge_pages;
use self::seeds::Seeds;

/// Swarms of the choker and the picker that ship, in virtual time: the same scenario and seed give the same bytes.
#[derive(Debug, Parser)]
#[command(name = "potluck-sim", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play a scenario, or a set of them; one line of JSON for each run
    Run(Run),
    /// Play whole swarms of the machines that ship, down to the bytes between them, with faults drawn from a seed
    Wire(wire::Wire),
    /// Play scenarios in both simulators of swarms, the fluid one and that of bytes, and compare what they say
    Compare(compare::Compare),
    /// Play a network of DHT nodes with loss, NATs, churn and hostile nodes; its bootstrap node dies
    Dht(dht::Dht),
    /// Name the scenarios, the sets of them, and the kinds of free riders
    List,
}

#[derive(Debug, clap::Args)]
struct Run {
    /// A scenario or a set of them by name (see `list`), or a TOML file
    scenario: String,
    /// Seeds: a number, or a range that includes both ends (`1..5` and `1..=5` are 1 to 5)
    #[arg(long, default_value = "1..5")]
    seed: Seeds,
    /// Compare with goals: those that come with the program (`goals`, `smoke` or `calibration`), or a TOML file; 1 is the exit
    /// code when one is missed
    #[arg(long, value_name = "GOALS", num_args = 0..=1, default_missing_value = "goals")]
    check: Option<String>,
    /// Write the swarm of each run, every ten seconds of its time, to this file
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Draw how long contributors and free riders took, and the goals if there are any, to this file
    #[arg(long, value_name = "OUT.svg")]
    plot: Option<PathBuf>,
    /// Runs at the same time; as many as there are processors when nothing is said
    #[arg(long)]
    jobs: Option<usize>,
    /// Of the set `fairness`, only the part that takes less than two minutes
    #[arg(long)]
    quick: bool,
}

/// Does what the arguments say.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::Run(run) => play(run),
        Command::Wire(arguments) => wire::run(arguments),
        Command::Compare(arguments) => compare::run(arguments),
        Command::Dht(arguments) => Ok(dht::run(arguments)),
        Command::List => {
            list();
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn play(run: &Run) -> anyhow::Result<ExitCode> {
    let goals = run.check.as_deref().map(read_goals).transpose()?;
    let scenarios = read_scenarios(&run.scenario, run.quick)?;
    if let Some(goals) = &goals {
        refuse_unnamed(goals, &scenarios)?;
    }
    let mut pairs = Vec::new();
    for (name, scenario) in &scenarios {
        pairs.extend(run.seed.iter().map(|seed| jobs::Job { name, scenario, seed }));
    }
    let mut csv = run.csv.as_deref().map(csv::Csv::create).transpose()?;
    let mut results: BTreeMap<String, Vec<Metrics>> = BTreeMap::new();
    let mut distributions = plot::Distributions::default();
    jobs::run_all(&pairs, run.jobs, potluck_sim::run, |job, outcome| {
        report::line(job.name, job.seed, &outcome.metrics)?;
        if let Some(csv) = &mut csv {
            csv.write(job.name, job.seed, &outcome.timeline)?;
        }
        distributions.add(job.name, &outcome);
        results.entry(job.name.to_owned()).or_default().push(outcome.metrics);
        Ok(())
    })?;
    if let Some(csv) = csv {
        csv.finish()?;
    }
    let findings = goals.as_ref().map(|goals| goals.check(&results)).unwrap_or_default();
    if let Some(path) = &run.plot {
        plot::draw(path, &distributions, &findings)?;
    }
    if goals.is_none() {
        return Ok(ExitCode::SUCCESS);
    }
    report::findings(&findings);
    let all_met = findings.iter().all(potluck_sim::goals::Finding::is_met);
    Ok(if all_met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read_goals(name: &str) -> anyhow::Result<Goals> {
    let known = library::GOAL_FILES.iter().find(|(known, _)| *known == name.trim_end_matches(".toml"));
    let text = match known {
        Some((_, text)) if fs::metadata(name).is_err() => (*text).to_owned(),
        _ => fs::read_to_string(name).with_context(|| format!("goals {name}"))?,
    };
    Goals::parse(&text).with_context(|| format!("goals {name}"))
}

/// A scenario that no goal names would meet all of them.
fn refuse_unnamed(goals: &Goals, scenarios: &[(String, Scenario)]) -> anyhow::Result<()> {
    match scenarios.iter().find(|(name, _)| !goals.names(name)) {
        Some((name, _)) => bail!("no goal names {name}, so that there is nothing to check"),
        None => Ok(()),
    }
}

fn read_scenarios(name: &str, quick: bool) -> anyhow::Result<Vec<(String, Scenario)>> {
    if quick && name != "fairness" {
        bail!("only `fairness` has a quick part; run {name} without --quick");
    }
    let name = if quick { "smoke" } else { name };
    if let Some((_, members, _)) = library::SETS.iter().find(|(known, ..)| *known == name) {
        return members.iter().map(|member| read_scenario(member)).collect();
    }
    Ok(vec![read_scenario(name)?])
}

fn read_scenario(name: &str) -> anyhow::Result<(String, Scenario)> {
    let text = match library::find(name) {
        Some(text) => text.to_owned(),
        None if Path::new(name).extension().is_some_and(|extension| extension == "toml") => {
            fs::read_to_string(name).with_context(|| format!("scenario {name}"))?
        }
        None => {
            bail!("no scenario is called {name}; `potluck-sim list` names them, and a file ends in .toml")
        }
    };
    let scenario = Scenario::parse(&text).with_context(|| format!("scenario {name}"))?;
    let stem = Path::new(name).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    Ok((stem.unwrap_or_else(|| name.to_owned()), scenario))
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
fn list() {
    println!("scenarios");
    for (name, text) in library::ALL {
        let about = Scenario::parse(text).map(|scenario| scenario.about).unwrap_or_default();
        println!("  {name:<28} {about}");
    }
    println!("\nsets of scenarios");
    for (name, members, about) in library::SETS {
        println!("  {name:<28} {about}: {}", members.join(", "));
    }
    println!("\nfree riders");
    for kind in FreeRiderKind::ALL {
        println!("  {:<28} {}", kind.name(), kind.about());
    }
}
