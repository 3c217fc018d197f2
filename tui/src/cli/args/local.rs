//! The options about the network that this machine is in: who else is there, and its router.

use clap::{Args, builder::FalseyValueParser};

/// The local network and its router, wherever torrents are transferred.
#[derive(Args, Clone, Copy, Default, Debug)]
#[command(next_help_heading = "Network")]
pub struct LocalOptions {
    /// Do not look for peers in the local network, nor tell it of ours
    #[arg(long, env = "POTLUCK_NO_LSD", value_parser = FalseyValueParser::new())]
    pub no_lsd: bool,
    /// Do not ask the router for a port, by which others can connect to us
    #[arg(long, env = "POTLUCK_NO_PORT_MAP", value_parser = FalseyValueParser::new())]
    pub no_port_map: bool,
}
