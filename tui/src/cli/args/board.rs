//! The options of the dashboard.

use std::{net::IpAddr, ops::RangeInclusive, path::PathBuf};

use clap::{Args, ValueHint, builder::FalseyValueParser};

use super::{DhtOptions, LocalOptions, TEMPLATE, transfer::parse_ip};
use crate::{theme::ThemeName, units::parse_ports};

/// `potluck tui`
#[derive(Args, Clone, Debug)]
#[command(
    before_help = "Examples:
  potluck                           the same, without options
  potluck tui --theme dusk
  potluck tui -o ~/iso              new torrents go to ~/iso from now on
",
    help_template = TEMPLATE
)]
pub struct TuiArgs {
    /// The folder that new torrents go to from now on [default: the one chosen before, else that for downloads]
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: Option<PathBuf>,
    /// How the dashboard looks.
    #[command(flatten)]
    pub look: LookArgs,
    /// Listen on this port, or the first free one of a range; 0 is any free port
    #[arg(long, value_name = "N|A-B", default_value = "6881-6889", value_parser = parse_ports)]
    pub port: RangeInclusive<u16>,
    /// Use only this address of this machine
    #[arg(long, value_name = "IP", value_parser = parse_ip)]
    pub bind: Option<IpAddr>,
    /// No peer exchange: tell peers nothing of each other, and take nothing of it from them
    #[arg(long)]
    pub no_pex: bool,
    /// The distributed hash table.
    #[command(flatten)]
    pub dht: DhtOptions,
    /// The local network.
    #[command(flatten)]
    pub local: LocalOptions,
}

/// How the dashboard looks, wherever it is shown.
#[derive(Args, Clone, Copy, Default, Debug)]
#[command(next_help_heading = "Dashboard")]
pub struct LookArgs {
    /// The colours: default (the terminal's own), dusk, paper, contrast, colorblind or mono [default: those of POTLUCK_THEME, else of the configuration, else the ones chosen in the dashboard]
    // The environment is asked where a dashboard opens: what it says is nothing to any other command.
    #[arg(long, value_name = "NAME")]
    pub theme: Option<ThemeName>,
    /// Leave the mouse to the terminal
    #[arg(long, env = "POTLUCK_NO_MOUSE", value_parser = FalseyValueParser::new())]
    pub no_mouse: bool,
}
