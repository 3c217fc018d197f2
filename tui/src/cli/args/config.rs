//! The options of `potluck config`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::TEMPLATE;

/// `potluck config`
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  potluck config check          what in the configuration cannot be used, and what to do
  potluck config show           every setting and every key: what the file says, and what is usual
  potluck config show --output ~/.config/potluck/config.toml
                                a file to begin with; one that is there stays as it is
",
    after_help = "The file is config.toml in ~/.config/potluck or where the system has such files; POTLUCK_CONFIG or --config \
                  names another one. Options go before environment variables, those before the file, and the file before \
                  what was chosen in the dashboard.",
    help_template = TEMPLATE
)]
pub struct ConfigArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// What `potluck config` does.
#[derive(Subcommand, Clone, Debug)]
pub enum ConfigCommand {
    /// Say what in the configuration cannot be used
    Check,
    /// Show all settings: what the file says, and what is usual
    Show {
        /// Write them to this file, which must not be there yet; its folder is made
        #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
    },
}
