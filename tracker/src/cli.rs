//! The command line.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use clap::{ArgGroup, Parser};
use potluck_tracker::{SwarmConfig, TrackerConfig};

/// Examples and exit codes, below the options.
const AFTER_HELP: &str = "\
Examples:
  potluck-tracker --http 127.0.0.1:6969
          for this machine only; the announce URL is http://127.0.0.1:6969/announce
  potluck-tracker --http :6969 --udp :6969
          for everybody, over HTTP and UDP, IPv4 and IPv6
  potluck-tracker --udp 192.168.1.5:0
          on a free port, which the first line of the log names

Exit codes: 0 ended by a signal, 2 wrong usage, 5 an address cannot be listened on, 1 anything else.";

/// A BitTorrent tracker: tells the peers of a torrent about each other, over HTTP and UDP.
#[derive(Parser, Debug)]
#[command(name = "potluck-tracker", version, after_help = AFTER_HELP)]
#[command(group = ArgGroup::new("listen").args(["http", "udp"]).required(true).multiple(true))]
pub(crate) struct Cli {
    /// Serve HTTP on IP:PORT, or on :PORT for every address. May be repeated.
    #[arg(
        long, value_name = "ADDR", env = "POTLUCK_TRACKER_HTTP", value_delimiter = ',', value_parser = parse_addresses
    )]
    http: Vec<Addresses>,

    /// Serve UDP on IP:PORT, or on :PORT for every address. May be repeated.
    #[arg(long, value_name = "ADDR", env = "POTLUCK_TRACKER_UDP", value_delimiter = ',', value_parser = parse_addresses)]
    udp: Vec<Addresses>,

    /// How often clients shall announce; who is silent for twice as long is forgotten.
    #[arg(long, value_name = "TIME", env = "POTLUCK_TRACKER_INTERVAL", default_value = "30m", value_parser = parse_time)]
    interval: Duration,

    /// Clients shall not announce more often than this.
    #[arg(long, value_name = "TIME", env = "POTLUCK_TRACKER_MIN_INTERVAL", default_value = "1m", value_parser = parse_time)]
    min_interval: Duration,

    /// How long a UDP client may go on without connecting again.
    #[arg(
        long, value_name = "TIME", env = "POTLUCK_TRACKER_CONNECTION_ID_VALIDITY", default_value = "2m",
        value_parser = parse_time
    )]
    connection_id_validity: Duration,

    /// Serve at most this many torrents; each takes about 500 bytes of memory.
    #[arg(long, value_name = "N", env = "POTLUCK_TRACKER_MAX_TORRENTS", default_value_t = SwarmConfig::default().torrents_max)]
    max_torrents: usize,

    /// Remember at most this many peers; each takes about 150 bytes of memory.
    #[arg(long, value_name = "N", env = "POTLUCK_TRACKER_MAX_PEERS", default_value_t = SwarmConfig::default().peers_max)]
    max_peers: usize,

    /// What to log on standard error: error, warn, info, debug, or a filter such as potluck_tracker=debug.
    #[arg(long, value_name = "FILTER", env = "POTLUCK_TRACKER_LOG", default_value = "info")]
    pub(crate) log: String,
}

impl Cli {
    /// The server's configuration.
    pub(crate) fn config(&self) -> TrackerConfig {
        let all = |lists: &[Addresses]| lists.iter().flat_map(|list| list.0.clone()).collect();
        TrackerConfig {
            http: all(&self.http),
            udp: all(&self.udp),
            swarms: SwarmConfig {
                interval: self.interval,
                min_interval: self.min_interval,
                torrents_max: self.max_torrents,
                peers_max: self.max_peers,
                ..SwarmConfig::default()
            },
            connection_id_validity: self.connection_id_validity,
            ..TrackerConfig::default()
        }
    }
}

/// What one `ADDR` stands for.
#[derive(Clone, Debug, PartialEq)]
struct Addresses(Vec<SocketAddr>);

fn parse_addresses(text: &str) -> Result<Addresses, String> {
    let malformed = || "expected IP:PORT, [IPv6]:PORT or :PORT, such as 127.0.0.1:6969".to_owned();
    let Some(port) = text.strip_prefix(':') else {
        return text.parse().map(|address| Addresses(vec![address])).map_err(|_| malformed());
    };
    let port: u16 = port.parse().map_err(|_| malformed())?;
    let mut addresses = vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))];
    if has_ipv6() {
        addresses.push((Ipv6Addr::UNSPECIFIED, port).into());
    }
    Ok(Addresses(addresses))
}

/// Whether this machine speaks IPv6 at all: nobody asked for it by name, so its absence is no error.
fn has_ipv6() -> bool {
    UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok()
}

/// Reads a time such as `90s`, `30m` or `1h30m`; at least one second.
fn parse_time(text: &str) -> Result<Duration, String> {
    let malformed = || "expected a time such as 90s, 30m or 1h30m".to_owned();
    let mut seconds: u64 = 0;
    let mut number = String::new();
    for character in text.chars() {
        let unit = match character {
            '0'..='9' => {
                number.push(character);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            _ => return Err(malformed()),
        };
        let count: u64 = std::mem::take(&mut number).parse().map_err(|_| malformed())?;
        seconds = count.checked_mul(unit).and_then(|more| seconds.checked_add(more)).ok_or_else(malformed)?;
    }
    match u32::try_from(seconds) {
        Ok(1..) if number.is_empty() => Ok(Duration::from_secs(seconds)),
        _ => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times() {
        let cases = [
            ("1s", Some(1)),
            ("30m", Some(1_800)),
            ("1h30m", Some(5_400)),
            ("2h0m5s", Some(7_205)),
            ("", None),
            ("0s", None),
            ("30", None),
            ("m", None),
            ("-1m", None),
            ("1d", None),
            ("1.5h", None),
            ("4294967296s", None),
            ("99999999999999999999h", None),
            ("5m3", None),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse_time(text).ok(), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn addresses() {
        let one = |text: &str| parse_addresses(text).ok().map(|list| list.0);
        assert_eq!(one("127.0.0.1:80"), Some(vec!["127.0.0.1:80".parse().unwrap()]));
        assert_eq!(one("[::1]:0"), Some(vec!["[::1]:0".parse().unwrap()]));
        assert_eq!(one(":7").unwrap()[0], "0.0.0.0:7".parse().unwrap());
        for text in ["", ":", "6969", "localhost:80", "127.0.0.1", ":65536", "::1:80", ":-1"] {
            assert_eq!(one(text), None, "{text}");
        }
    }
}
