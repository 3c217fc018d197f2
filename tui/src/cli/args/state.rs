//! The options about what is kept from run to run: state, and the configuration.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// What is kept from run to run; every command takes these.
#[derive(Args, Clone, Default, Debug)]
#[command(next_help_heading = "State")]
pub struct StateArgs {
    /// Remember here what was downloaded and checked, so that the next run goes on from there [default: POTLUCK_STATE_DIR,
    /// else the system's folder for the state of programs]
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub state_dir: Option<PathBuf>,
    /// Remember nothing: the next run checks everything
    #[arg(long, global = true)]
    pub no_state: bool,
    /// Read this configuration [default: POTLUCK_CONFIG, else config.toml in the system's folder for configuration]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// How often a running download is noted, in milliseconds, for tests
    #[arg(long, global = true, hide = true, value_name = "N")]
    pub state_interval_ms: Option<u64>,
}
