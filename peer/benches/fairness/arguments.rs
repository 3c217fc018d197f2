//! What the command line asks for.

use std::path::PathBuf;

use super::{Outcome, kind::Kind};

pub(super) const HELP: &str = "\
Whether free riding pays in swarms of real processes on loopback.

cargo bench -p potluck-peer --bench fairness -- [OPTIONS]

  --kinds KIND,...      libtorrent-8, libtorrent-4, ours, half-8, half-4 (default: all but the last), or none
  --runs COUNT          swarms of each kind: 5 (default)
  --parallel COUNT      swarms at a time: 10 (default)
  --size BYTES          of the payload: 24000000 (default)
  --earlier FILE        lines of an earlier run, for the table; repeat for more
  --network NUMBER      second byte of the addresses 127.NUMBER.0.0/16: 83 (default)
  --dir FOLDER          where the payloads lie (default: the folder for temporary files)
  --potluck PROGRAM     ours (default: built from this workspace)

A swarm takes about seven minutes. It needs python3-libtorrent.
";

/// The options, read.
#[derive(Debug)]
pub(super) struct Arguments {
    /// The kinds of swarms to run.
    pub(super) kinds: Vec<Kind>,
    /// Swarms of each kind.
    pub(super) runs: usize,
    /// Swarms at a time.
    pub(super) parallel: usize,
    /// Bytes of the payload.
    pub(super) size: u64,
    /// Files with the lines of earlier runs.
    pub(super) earlier: Vec<PathBuf>,
    /// The second byte of all addresses.
    pub(super) network: u8,
    /// Where the payloads lie.
    pub(super) folder: PathBuf,
    /// Our program.
    pub(super) potluck: Option<PathBuf>,
}

impl Arguments {
    /// `None` when help is wanted.
    pub(super) fn parse(mut words: impl Iterator<Item = String>) -> Outcome<Option<Self>> {
        let mut arguments = Self {
            kinds: kinds("libtorrent-8,libtorrent-4,ours,half-8")?,
            runs: 5,
            parallel: 10,
            size: 24_000_000,
            earlier: Vec::new(),
            network: 83,
            folder: std::env::temp_dir(),
            potluck: None,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--kinds" => arguments.kinds = kinds(&value()?)?,
                "--runs" => arguments.runs = value()?.parse()?,
                "--parallel" => arguments.parallel = value()?.parse::<usize>()?.clamp(1, 200),
                "--size" => arguments.size = value()?.parse()?,
                "--earlier" => arguments.earlier.push(value()?.into()),
                "--network" => arguments.network = value()?.parse()?,
                "--dir" => arguments.folder = value()?.into(),
                "--potluck" => arguments.potluck = Some(value()?.into()),
                // `cargo bench` says so to every bench.
                "--bench" => {}
                "--help" | "-h" => return Ok(None),
                _ => return Err(format!("unknown option {word}; --help tells those there are").into()),
            }
        }
        Ok(Some(arguments))
    }
}

fn kinds(list: &str) -> Outcome<Vec<Kind>> {
    if list == "none" {
        return Ok(Vec::new());
    }
    let kind = |name| Kind::named(name).ok_or_else(|| format!("no kind of swarm is called {name}").into());
    list.split(',').map(kind).collect()
}
