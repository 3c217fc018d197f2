//! Logs: `tracing` to standard error, above the bars.

use std::io::{self, IsTerminal as _, Write};

use indicatif::MultiProgress;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use super::{Output, Paint};
use crate::io::terminal;

/// Starts logging at the level that `-v` asks for; `POTLUCK_LOG` (a filter such as `potluck_peer=trace`) wins.
pub(super) fn start(verbose: u8, paint: Paint, output: &Output) {
    let level = match verbose {
        0 => "off",
        1 => "potluck=info,potluck_core=info,potluck_peer=info,potluck_tracker=info",
        2 => "potluck=debug,potluck_core=debug,potluck_peer=debug,potluck_tracker=debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("POTLUCK_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(paint.is_colored())
        .with_writer(AboveBars(output.bars.clone()))
        .try_init();
    // Only a test that runs several commands in one process gets here twice; the first one's log serves.
    drop(started);
}

/// Takes the bars off the screen while a log line is written.
struct AboveBars(MultiProgress);

impl<'a> MakeWriter<'a> for AboveBars {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

/// One log line.
struct Line<'a>(&'a MultiProgress);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A screen that owns the terminal has no place for it; a standard error elsewhere has.
        if !(terminal::is_open() && io::stderr().is_terminal()) {
            self.0.suspend(|| io::stderr().write_all(bytes))?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
