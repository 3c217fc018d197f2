//! The options of `potluck config`.

use clap::{Args, Subcommand};

use super::TEMPLATE;

/// `potluck config`
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  potluck config check          what in the configuration cannot be used, and what to do
  potluck config show           every setting and every key, as they are and as they would be written
  potluck config show > ~/.config/potluck/config.toml
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
#[derive(Subcommand, Clone, Copy, Debug)]
pub enum ConfigCommand {
    /// Say what in the configuration cannot be used
    Check,
    /// Show all settings, with those of the file
    Show,
}
