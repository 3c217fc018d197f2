//! The scenarios, and the rounds of each.

use std::{cell::Cell, path::Path};

use super::{
    Outcome,
    arguments::Arguments,
    clients::{self, Client, Ours},
    ground::Ground,
    payload::Payload,
    program,
    table::{self, Row},
    tracker::Tracker,
    transfer::{Figures, transfer},
};

/// What is moved, and from how many.
struct Scenario {
    name: &'static str,
    title: String,
    seeders: usize,
    payload: Shape,
}

enum Shape {
    OneFile,
    SmallFiles,
}

/// All that a run needs.
pub(super) struct Bench<'a> {
    arguments: &'a Arguments,
    ground: &'a Ground,
    tracker: Tracker,
    ours: Ours,
    others: Vec<Box<dyn Client>>,
    /// How many were begun.
    transfers: Cell<usize>,
}

/// Who seeds and who leeches.
#[derive(Clone, Copy)]
struct Pair<'a> {
    seeder: &'a dyn Client,
    leecher: &'a dyn Client,
}

impl<'a> Bench<'a> {
    pub(super) fn new(arguments: &'a Arguments, ground: &'a Ground) -> Outcome<Self> {
        let program = arguments.potluck.clone().map_or_else(program::built, Ok)?;
        let mut others = clients::others();
        if let Some(only) = &arguments.only {
            for name in only {
                if !others.iter().any(|client| client.name() == name) {
                    return Err(format!("no client is called {name}; --help tells those there are").into());
                }
            }
            others.retain(|client| only.iter().any(|name| name == client.name()));
        }
        let tracker = Tracker::start(ground.address())?;
        let ours = Ours { program: program.canonicalize()? };
        Ok(Self { arguments, ground, tracker, ours, others, transfers: Cell::new(0) })
    }

    pub(super) fn run(&self) -> Outcome {
        let size = self.arguments.size as f64 / f64::from(1 << 20);
        let files = self.arguments.files;
        let scenarios = [
            Scenario {
                name: "one-file",
                title: format!("One file of {size:.0} MiB in pieces of 1 MiB, one seeder to one leecher"),
                seeders: 1,
                payload: Shape::OneFile,
            },
            Scenario {
                name: "small-files",
                title: format!("{files} files of 128 KiB in pieces of 256 KiB, one seeder to one leecher"),
                seeders: 1,
                payload: Shape::SmallFiles,
            },
            Scenario {
                name: "four-seeders",
                title: format!("One file of {size:.0} MiB in pieces of 1 MiB, four seeders to one leecher"),
                seeders: 4,
                payload: Shape::OneFile,
            },
        ];
        for scenario in scenarios {
            let wanted = self.arguments.scenarios.as_ref();
            if wanted.is_none_or(|wanted| wanted.iter().any(|name| name == scenario.name)) {
                self.compare(&scenario)?;
            }
        }
        Ok(())
    }

    fn compare(&self, scenario: &Scenario) -> Outcome {
        let folder = tempfile::Builder::new().prefix("potluck-peers-").tempdir_in(&self.arguments.folder)?;
        let payload = match scenario.payload {
            Shape::OneFile => Payload::one_file(folder.path(), self.arguments.size, &self.tracker)?,
            Shape::SmallFiles => Payload::small_files(folder.path(), self.arguments.files, &self.tracker)?,
        };
        eprintln!("{}", scenario.title);
        let mut rows = self.rows();
        let pairs: Vec<(usize, Pair<'_>)> =
            rows.iter().enumerate().filter_map(|(number, (_, pair))| Some((number, (*pair)?))).collect();
        let results = self.rounds(scenario, &payload, &pairs, folder.path());
        for ((number, _), result) in pairs.iter().zip(results) {
            rows[*number].0.result = result;
        }
        let rows: Vec<Row> = rows.into_iter().map(|(row, _)| row).collect();
        print!("{}", table::render(&scenario.title, self.arguments.rounds, payload.bytes, &rows));
        Ok(())
    }

    /// A row each, with the pair that is to fill it, if that can be. The first is ours to ours.
    fn rows(&self) -> Vec<(Row, Option<Pair<'_>>)> {
        let ours: &dyn Client = &self.ours;
        let mut rows = vec![self.row(ours, ours)];
        for other in &self.others {
            let other = other.as_ref();
            if !other.is_installed() {
                let result = Err("not installed".into());
                rows.push((Row { name: other.name().into(), result }, None));
                continue;
            }
            rows.push(self.row(other, other));
            if !self.arguments.same {
                rows.extend([self.row(other, ours), self.row(ours, other)]);
            }
        }
        rows
    }

    fn row<'b>(&self, seeder: &'b dyn Client, leecher: &'b dyn Client) -> (Row, Option<Pair<'b>>) {
        let name = format!("{} → {}", seeder.name(), leecher.name());
        if self.ground.is_isolated() || leecher.dials_loopback() {
            return (Row { name, result: Ok(Vec::new()) }, Some(Pair { seeder, leecher }));
        }
        let why = "it does not dial 127.0.0.0/8, and making a network namespace is not permitted";
        (Row { name, result: Err(why.into()) }, None)
    }

    /// The figures of each pair, round by round. A pair that fails once is left out from then on.
    fn rounds(
        &self,
        scenario: &Scenario,
        payload: &Payload,
        pairs: &[(usize, Pair<'_>)],
        folder: &Path,
    ) -> Vec<Result<Vec<Figures>, String>> {
        let mut results = vec![Ok(Vec::new()); pairs.len()];
        self.one(scenario, payload, pairs[0].1, folder, "warm-up").ok();
        for round in 0..self.arguments.rounds {
            let mut order: Vec<usize> = (0..pairs.len()).collect();
            // Each round begins elsewhere, and every second goes backwards.
            order.rotate_left(round * pairs.len() / self.arguments.rounds);
            if round % 2 == 1 {
                order.reverse();
            }
            for number in order {
                let Ok(figures) = &mut results[number] else { continue };
                match self.one(scenario, payload, pairs[number].1, folder, &format!("round {}", round + 1)) {
                    Ok(one) => figures.push(one),
                    Err(error) => results[number] = Err(error),
                }
            }
        }
        results
    }

    fn one(
        &self,
        scenario: &Scenario,
        payload: &Payload,
        pair: Pair<'_>,
        folder: &Path,
        what: &str,
    ) -> Result<Figures, String> {
        let number = self.transfers.get();
        self.transfers.set(number + 1);
        let folder = folder.join(format!("run-{number}"));
        let seeders = (pair.seeder, scenario.seeders);
        let result = transfer(self.ground, &self.tracker, payload, seeders, pair.leecher, folder)
            .map_err(|error| error.to_string());
        let names = format!("{} → {}", pair.seeder.name(), pair.leecher.name());
        match &result {
            Ok(figures) => eprintln!("  {what}: {names}: {}", table::in_short(figures)),
            Err(error) => eprintln!("  {what}: {names}: {error}"),
        }
        result
    }
}
