//! What the command line asks for.

use std::path::PathBuf;

use super::Outcome;

pub(super) const HELP: &str = "\
Compares Potluck with the clients that are installed.

cargo bench -p potluck-peer --bench peers -- [OPTIONS]

  --size SIZE           of the one big file: 1G (default), 256M
  --files COUNT         of the small files of 128 KiB: 2000 (default)
  --rounds COUNT        counted rounds: 3 (default)
  --only NAME,...       clients beside ours: libtorrent, aria2, rqbit, transmission, qbittorrent, rtorrent
  --scenario NAME,...   one-file, small-files, four-seeders (default: all)
  --same                only pairs of the same client
  --dir FOLDER          where the payloads lie (default: the folder for temporary files)
  --potluck PROGRAM     ours (default: built from this workspace)

rqbit is looked for on the path and in $RQBIT.
";

/// The options, read.
#[derive(Debug)]
pub(super) struct Arguments {
    /// Bytes of the big file.
    pub(super) size: u64,
    /// How many small files.
    pub(super) files: u32,
    /// Counted rounds.
    pub(super) rounds: usize,
    /// Names of clients; `None` is all.
    pub(super) only: Option<Vec<String>>,
    /// Names of scenarios; `None` is all.
    pub(super) scenarios: Option<Vec<String>>,
    /// Leaves out pairs of different clients.
    pub(super) same: bool,
    /// Where the payloads lie.
    pub(super) folder: PathBuf,
    /// Our program.
    pub(super) potluck: Option<PathBuf>,
    /// This process is in a network namespace of its own.
    pub(super) isolated: bool,
}

impl Arguments {
    /// `None` when help is wanted.
    pub(super) fn parse(mut words: impl Iterator<Item = String>) -> Outcome<Option<Self>> {
        let mut arguments = Self {
            size: 1 << 30,
            files: 2000,
            rounds: 3,
            only: None,
            scenarios: None,
            same: false,
            folder: std::env::temp_dir(),
            potluck: None,
            isolated: false,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--size" => arguments.size = size(&value()?)?,
                "--files" => arguments.files = value()?.parse()?,
                "--rounds" => arguments.rounds = value()?.parse::<usize>()?.max(1),
                "--only" => arguments.only = Some(names(&value()?)),
                "--scenario" => arguments.scenarios = Some(names(&value()?)),
                "--same" => arguments.same = true,
                "--dir" => arguments.folder = value()?.into(),
                "--potluck" => arguments.potluck = Some(value()?.into()),
                "--isolated" => arguments.isolated = true,
                // `cargo bench` says so to every bench.
                "--bench" => {}
                "--help" | "-h" => return Ok(None),
                _ => return Err(format!("unknown option {word}; --help tells those there are").into()),
            }
        }
        Ok(Some(arguments))
    }
}

fn names(list: &str) -> Vec<String> {
    list.split(',').map(str::to_owned).collect()
}

fn size(text: &str) -> Outcome<u64> {
    let (number, unit) = match text.strip_suffix(['G', 'M', 'K']) {
        Some(number) => (number, &text[number.len()..]),
        None => (text, ""),
    };
    let shift = match unit {
        "G" => 30,
        "M" => 20,
        "K" => 10,
        _ => 0,
    };
    Ok(number.parse::<u64>()? << shift)
}
