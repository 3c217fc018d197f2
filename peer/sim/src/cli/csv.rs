//! The timeline of each run as comma-separated values.

#![expect(clippy::disallowed_types, reason = "files are the shell's")]

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::Context;
use potluck_sim::Moment;

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct Csv(BufWriter<File>);

impl Csv {
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| path.display().to_string())?;
        let mut out = BufWriter::new(file);
        writeln!(
            out,
            "scenario,seed,at_s,leeching,leechers_left,contributors_left,uplink_use,interest,copies_least"
        )?;
        Ok(Self(out))
    }

    pub(crate) fn write(&mut self, scenario: &str, seed: u64, timeline: &[Moment]) -> anyhow::Result<()> {
        for moment in timeline {
            let Moment { at_s, leeching, leechers_left, contributors_left, .. } = moment;
            let Moment { uplink_use, interest, copies_least, .. } = moment;
            write!(self.0, "{scenario},{seed},{at_s:.0},{leeching},{leechers_left},{contributors_left},")?;
            writeln!(self.0, "{uplink_use:.4},{interest:.4},{copies_least}")?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        self.0.flush().context("the timeline cannot be written")
    }
}
