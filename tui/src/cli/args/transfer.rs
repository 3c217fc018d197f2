//! The options of `get` and `seed`.

use std::{
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
    time::Duration,
};

use clap::{Args, ValueHint};

use super::{DhtOptions, LocalOptions, LookArgs, TEMPLATE, parse_tracker};
use crate::units::{Rate, SeedGoal, parse_duration, parse_ports, parse_rate};

/// `potluck get`
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  potluck get debian.iso.torrent
  potluck get -o ~/iso https://example.org/debian.iso.torrent
  potluck get -f '*.flac' -f 1-3 album.torrent    only some files (--list shows them)
  potluck get --seed=1.5 debian.iso.torrent       go on until 1.5 times the size is given back
  potluck get --down 2M --up 500k debian.iso.torrent
  potluck get --save-torrent . 'magnet:?xt=urn:btih:…'
",
    help_template = TEMPLATE
)]
pub struct GetArgs {
    /// Torrent files, URLs of torrent files, magnet links, or info-hashes
    #[arg(required = true, value_name = "TORRENT|MAGNET|URL", value_hint = ValueHint::FilePath)]
    pub inputs: Vec<PathBuf>,
    /// The folder to download into; made if it is missing
    #[arg(short, long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub output: PathBuf,
    /// Only these files: a pattern such as '*.flac', a number of --list, or a range of them; repeat for more
    #[arg(short, long, value_name = "GLOB|NUMBER", action = clap::ArgAction::Append)]
    pub files: Vec<String>,
    /// Show the files and exit; of a magnet link as soon as peers told them
    #[arg(long)]
    pub list: bool,
    /// Write the torrent file of a magnet link, here or into this folder, as soon as peers told it
    #[arg(long, value_name = "FILE|DIR", value_hint = ValueHint::AnyPath)]
    pub save_torrent: Option<PathBuf>,
    /// Fetch the pieces in order
    #[arg(long)]
    pub sequential: bool,
    /// Go on seeding: without a value until stopped, or until a ratio (1.5) or a time (30m)
    #[arg(long, value_name = "RATIO|TIME", num_args = 0..=1, require_equals = true, default_missing_value = "forever")]
    pub seed: Option<SeedGoal>,
    /// Check all data that is there, also what is known from an earlier run; what is missing is fetched again
    #[arg(long)]
    pub check: bool,
    /// Exit with code 6 when nothing arrives for this long, or 8 when the disk is full for as long; 0 waits for ever
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = parse_duration)]
    pub stall_timeout: Duration,
    /// Exit with code 6 when it is not complete after this long; 0 waits for ever
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = parse_duration)]
    pub timeout: Duration,
    /// Run this program when a torrent is complete; no shell. It sees POTLUCK_NAME, POTLUCK_PATH,
    /// POTLUCK_DIRECTORY, POTLUCK_INFO_HASH and POTLUCK_SIZE
    #[arg(long, value_name = "COMMAND", value_hint = ValueHint::CommandString)]
    pub on_done: Option<String>,
    /// How the dashboard looks, which is shown on a terminal.
    #[command(flatten)]
    pub look: LookArgs,
    /// Whom to talk to, and how fast.
    #[command(flatten)]
    pub network: NetworkArgs,
}

/// `potluck seed`
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  potluck seed ./folder                           make a torrent in memory, print its magnet link
  potluck seed --torrent folder.torrent --tracker udp://tracker.example:6969 ./folder
  potluck seed debian.iso.torrent -o ~/iso        the payload lies in ~/iso
  potluck seed --super-seed --up 500k ./folder    the first seed of something new, on a slow line
",
    help_template = TEMPLATE
)]
pub struct SeedArgs {
    /// Files or folders to share, or torrent files whose payload is there
    #[arg(required = true, value_name = "PATH|TORRENT", value_hint = ValueHint::AnyPath)]
    pub inputs: Vec<PathBuf>,
    /// The folder that the payload of a torrent file lies in
    #[arg(short, long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub output: PathBuf,
    /// Write the torrent that is made of a path to this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub torrent: Option<PathBuf>,
    /// While nobody else has it all, tell each peer of one piece at a time and of the next when it passed that on, so
    /// that every piece is sent about once (BEP 16). For new torrents with one seed
    #[arg(long)]
    pub super_seed: bool,
    /// Check all data, also what is known from an earlier run
    #[arg(long)]
    pub check: bool,
    /// Whom to talk to, and how fast.
    #[command(flatten)]
    pub network: NetworkArgs,
}

/// Whom to talk to, and how fast.
#[derive(Args, Debug)]
#[command(next_help_heading = "Network")]
pub struct NetworkArgs {
    /// Connect to this peer; repeat for more
    #[arg(long = "peer", value_name = "IP:PORT", value_parser = parse_peer)]
    pub peers: Vec<SocketAddr>,
    /// Ask this tracker too; repeat for more
    #[arg(long = "tracker", value_name = "URL", value_hint = ValueHint::Url, value_parser = parse_tracker)]
    pub trackers: Vec<String>,
    /// Ask no tracker
    #[arg(long, conflicts_with = "trackers")]
    pub no_trackers: bool,
    /// Listen on this port, or the first free one of a range; 0 is any free port
    #[arg(long, value_name = "N|A-B", default_value = "6881-6889", value_parser = parse_ports)]
    pub port: RangeInclusive<u16>,
    /// Use only this address of this machine
    #[arg(long, value_name = "IP", value_parser = parse_ip)]
    pub bind: Option<IpAddr>,
    /// Receive at most this much per second: 500k, 2M; 0 is no limit
    #[arg(long, value_name = "RATE", default_value = "0", value_parser = parse_rate)]
    pub down: Rate,
    /// Send at most this much per second: 500k, 2M; 0 is no limit
    #[arg(long, value_name = "RATE", default_value = "0", value_parser = parse_rate)]
    pub up: Rate,
    /// Send to this many peers of each torrent at a time
    #[arg(long, value_name = "auto|N", default_value = "auto", value_parser = parse_slots)]
    pub slots: Slots,
    /// The distributed hash table.
    #[command(flatten)]
    pub dht: DhtOptions,
    /// No peer exchange: tell peers nothing of each other, and take nothing of it from them
    #[arg(long)]
    pub no_pex: bool,
    /// The local network.
    #[command(flatten)]
    pub local: LocalOptions,
    /// No overlay network (no effect yet: there is none)
    #[arg(long)]
    pub no_p2p: bool,
}

/// How many peers are sent to at a time; `None` is for the engine to decide.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slots(pub Option<u32>);

fn parse_slots(text: &str) -> Result<Slots, String> {
    if text == "auto" {
        return Ok(Slots(None));
    }
    match text.parse() {
        Ok(slots @ 1..=1000) => Ok(Slots(Some(slots))),
        _ => Err(format!("{text:?} is not a number from 1 to 1000; or write auto")),
    }
}

fn parse_peer(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<SocketAddr>() {
        Ok(addr) if addr.port() != 0 => Ok(addr),
        _ => Err(format!(
            "{text:?} is not an address and a port; write one such as 192.0.2.7:6881 or [::1]:6881"
        )),
    }
}

pub(super) fn parse_ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("{text:?} is not an IP address of this machine"))
}
