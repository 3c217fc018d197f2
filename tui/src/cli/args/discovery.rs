//! The options about the distributed hash table, and `potluck dht`.

use std::{net::IpAddr, ops::RangeInclusive, time::Duration};

use clap::{Args, Subcommand};
use potluck_peer::dht::{DhtSettings, HostPort};

use super::{TEMPLATE, transfer::parse_ip};
use crate::units::{Rate, parse_duration, parse_ports, parse_rate};

/// The distributed hash table, wherever torrents are transferred.
#[derive(Args, Clone, Default, Debug)]
#[command(next_help_heading = "Network")]
pub struct DhtOptions {
    /// No distributed hash table: peers come from trackers and other sources only [env: POTLUCK_NO_DHT=, unless it is said how to join it]
    #[arg(long, conflicts_with = "dht_bootstrap")]
    pub no_dht: bool,
    /// Join the distributed hash table by this node instead of the public ones; repeat for more
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_host_port)]
    pub dht_bootstrap: Vec<HostPort>,
}

impl DhtOptions {
    /// What the engine is told.
    pub fn settings(&self) -> Option<DhtSettings> {
        let is_off = self.no_dht || (self.dht_bootstrap.is_empty() && is_off_by_environment());
        (!is_off).then(|| settings(&self.dht_bootstrap))
    }
}

/// Whether `POTLUCK_NO_DHT` is set to anything but a word for no.
fn is_off_by_environment() -> bool {
    let value = std::env::var("POTLUCK_NO_DHT").unwrap_or_default().to_ascii_lowercase();
    !matches!(value.as_str(), "" | "0" | "n" | "no" | "f" | "false" | "off")
}

/// With these nodes to join by, or the public ones.
fn settings(bootstrap: &[HostPort]) -> DhtSettings {
    let defaults = DhtSettings::default();
    if bootstrap.is_empty() {
        return defaults;
    }
    DhtSettings { bootstrap: bootstrap.to_vec(), ..defaults }
}

fn parse_host_port(text: &str) -> Result<HostPort, String> {
    text.parse::<HostPort>().map_err(|error| format!("{text:?} is {error}"))
}

/// `potluck dht`
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  potluck dht lookup 'magnet:?xt=urn:btih:…'        who has this torrent
  potluck dht nodes --live                          join, and show how many nodes are known
  potluck dht serve --bind 10.0.0.1 --port 6881     a node by which others can join
",
    help_template = TEMPLATE
)]
pub struct DhtArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub command: DhtCommand,
}

/// The commands of `potluck dht`.
#[derive(Subcommand, Debug)]
pub enum DhtCommand {
    /// Look for the peers of a torrent, and print them as they are found
    Lookup(LookupArgs),
    /// Show what is remembered of the nodes of earlier runs, or join and show what is known then
    Nodes(NodesArgs),
    /// Run a node by which others can join, until stopped
    Serve(ServeArgs),
}

/// `potluck dht lookup`
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  potluck dht lookup c12fe1c06bba254a9dc9f519b335aa7c1367a88a
  potluck dht lookup --json --timeout 20s 'magnet:?xt=urn:btih:…'
  potluck dht lookup --dht-bootstrap 10.0.0.1:6881 c12fe1c06bba254a9dc9f519b335aa7c1367a88a
",
    after_help = "Exit codes: 0 peers were found, 3 none were, 5 no node that was asked answered, 6 it took too long.",
    help_template = TEMPLATE
)]
pub struct LookupArgs {
    /// An info-hash, in 40 hexadecimal digits, or a magnet link
    #[arg(value_name = "INFOHASH|MAGNET")]
    pub torrent: String,
    /// How to join.
    #[command(flatten)]
    pub join: JoinArgs,
    /// Give up after this long
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_patience)]
    pub timeout: Duration,
}

/// `potluck dht nodes`
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  potluck dht nodes
  potluck dht nodes --json
  potluck dht nodes --live --timeout 30s
",
    after_help = "Exit codes: 0 nodes are known, 3 none are, 6 none answered in time, 9 what is remembered is damaged.",
    help_template = TEMPLATE
)]
pub struct NodesArgs {
    /// Join, and show what is known then
    #[arg(long)]
    pub live: bool,
    /// How to join.
    #[command(flatten)]
    pub join: JoinArgs,
    /// With --live: look for nodes for so long
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = parse_patience)]
    pub timeout: Duration,
}

/// How a command joins for a short time.
#[derive(Args, Debug)]
#[command(next_help_heading = "Network")]
pub struct JoinArgs {
    /// Join by this node instead of the public ones; repeat for more
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_host_port)]
    pub dht_bootstrap: Vec<HostPort>,
    /// Use only this address of this machine
    #[arg(long, value_name = "IP", value_parser = parse_ip)]
    pub bind: Option<IpAddr>,
    /// The UDP port, or the first free one of a range; 0 is any free port
    #[arg(long, value_name = "N|A-B", default_value = "0", value_parser = parse_ports)]
    pub port: RangeInclusive<u16>,
}

impl JoinArgs {
    /// Who is there for a moment only asks others, so that nobody remembers it in vain (BEP 43).
    pub fn settings(&self) -> DhtSettings {
        DhtSettings { read_only: true, ..settings(&self.dht_bootstrap) }
    }
}

/// `potluck dht serve`
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  potluck dht serve --bind 10.0.0.1 --port 6881
  potluck dht serve --port 6881 --dht-bootstrap router.example:6881    a part of a network that is there
",
    after_help = "Others join by it with --dht-bootstrap IP:PORT. Without --dht-bootstrap it asks nobody of its own accord but \
                  nodes that it knew before as it was run so, and waits for others. Its id and the nodes that it knows are kept \
                  in the folder of --state-dir, apart from those of the public network; one process at a time can have it.",
    help_template = TEMPLATE
)]
pub struct ServeArgs {
    /// Use only this address of this machine
    #[arg(long, value_name = "IP", value_parser = parse_ip)]
    pub bind: Option<IpAddr>,
    /// The UDP port, or the first free one of a range; 0 is any free port
    #[arg(long, value_name = "N|A-B", default_value = "6881", value_parser = parse_ports)]
    pub port: RangeInclusive<u16>,
    /// Join by this node; repeat for more
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_host_port)]
    pub dht_bootstrap: Vec<HostPort>,
    /// Send at most so much per second in answers
    #[arg(long, value_name = "RATE", default_value = "256k", value_parser = parse_answer_rate)]
    pub up: u32,
    /// Print how it is as often as this
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_patience)]
    pub interval: Duration,
}

impl ServeArgs {
    /// Nobody but these is asked, and who was met by them.
    pub fn settings(&self) -> DhtSettings {
        DhtSettings {
            bootstrap: self.dht_bootstrap.clone(),
            read_only: false,
            answer_bytes_per_second: self.up,
        }
    }
}

/// The shortest that makes sense is a second, the longest an hour.
fn parse_patience(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text)?;
    let bounds = Duration::from_secs(1)..=Duration::from_secs(3_600);
    if bounds.contains(&time) { Ok(time) } else { Err(format!("{text:?} is not between 1s and 1h")) }
}

fn parse_answer_rate(text: &str) -> Result<u32, String> {
    match parse_rate(text)? {
        Rate(Some(rate @ 1_024..=0x0400_0000)) => Ok(rate as u32),
        _ => Err(format!("{text:?} is not between 1k and 64M")),
    }
}
