//! Potluck's command line and its terminal screens.
//!
//! [`cli`] reads the command line and runs one command; what it says and how it ends is decided in [`cli::exit`] and
//! [`cli::output`].

pub mod cli;
pub mod date;
pub mod io;
pub mod keymap;
pub mod model;
pub mod theme;
pub mod units;
pub mod update;
pub mod view;

use std::process::ExitCode;

use potluck_peer::engine::raise_descriptor_limit;

/// Runs the command that the process's arguments name.
pub fn main() -> ExitCode {
    raise_descriptor_limit();
    cli::main(std::env::args_os().collect())
}
