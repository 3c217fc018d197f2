//! The command line as types: every command and every option.
//!
//! Each command begins its help with examples, and an option that has no effect yet says so.

mod board;
mod config;
mod discovery;
mod local;
mod shorthand;
mod state;
mod transfer;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, ValueHint, builder::FalseyValueParser};
use url::Url;

pub use self::{
    board::{LookArgs, TuiArgs},
    config::{ConfigArgs, ConfigCommand},
    discovery::{DhtArgs, DhtCommand, DhtOptions, LookupArgs, NodesArgs, ServeArgs},
    local::LocalOptions,
    shorthand::expand,
    state::StateArgs,
    transfer::{GetArgs, NetworkArgs, SeedArgs},
};
use crate::units::parse_size;

/// Shown by `--version`; a packager may name the commit.
const VERSION: &str = match option_env!("POTLUCK_COMMIT") {
    Some(commit) => commit,
    None => env!("CARGO_PKG_VERSION"),
};

/// Examples stand before the options: they answer most questions.
const TEMPLATE: &str = "{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}";

/// The whole command line.
#[derive(Parser, Debug)]
#[command(
    name = "potluck",
    version = VERSION,
    about = "Download, share and check torrents. Everyone brings a piece.",
    before_help = "Examples:
  potluck                               the dashboard, on a terminal
  potluck debian.iso.torrent            download here, exit when it is complete
  potluck get -o ~/iso https://example.org/debian.iso.torrent
  potluck seed ./folder                 make a torrent of a folder and share it
  potluck info debian.iso.torrent       show what a torrent contains
  potluck demo                          watch a whole swarm on this machine
",
    help_template = TEMPLATE,
    after_help = "Exit codes: 0 done, 1 other failure, 2 usage, 3 not found, 4 bad torrent, 5 network, 6 timed out \
                  or stalled, 7 stopped by the user unfinished, 8 disk, 9 damaged data, 10 already exists, \
                  11 refused, 130 Ctrl-C twice, 143 terminated.",
    max_term_width = 100,
)]
pub struct Cli {
    /// How the command speaks.
    #[command(flatten)]
    pub output: OutputArgs,
    /// What is kept from run to run.
    #[command(flatten)]
    pub state: StateArgs,
    /// What to do; nothing is the dashboard.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// When progress is shown, on standard error.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, ValueEnum)]
pub enum ProgressMode {
    /// The dashboard for get and demo on a terminal, a bar for others, a plain line every 10 s or 5 % elsewhere.
    #[default]
    Auto,
    /// A bar on a terminal, lines elsewhere, even with --json or --quiet.
    Always,
    /// The dashboard, on a terminal.
    Dashboard,
    /// A bar, on a terminal.
    Bar,
    /// A plain line every 10 s or 5 %.
    Lines,
    /// Nothing.
    Never,
    /// One JSON object a line.
    Json,
}

/// When colours are used.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, ValueEnum)]
pub enum ColorMode {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb; CLICOLOR_FORCE turns them on.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How a command speaks; every command takes these.
#[derive(Args, Clone, Default, Debug)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Print JSON on standard output, one object a line
    #[arg(long, global = true)]
    pub json: bool,
    /// Show progress on standard error
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    pub progress: ProgressMode,
    /// Use colours
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    pub color: ColorMode,
    /// Draw with ASCII characters only (the default where the locale is not UTF-8)
    #[arg(long, global = true, env = "POTLUCK_ASCII", value_parser = FalseyValueParser::new())]
    pub ascii: bool,
    /// Say less: no progress, only results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Log to standard error: -v what happens, -vv why, -vvv everything
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Show the dashboard, on a terminal; potluck alone does the same
    Tui(TuiArgs),
    /// Download torrents and exit when they are complete
    Get(GetArgs),
    /// Share a file, a folder or the payload of a torrent until stopped
    Seed(SeedArgs),
    /// Make a .torrent file
    Create(CreateArgs),
    /// Show what a torrent, magnet link or URL contains
    Info(InfoArgs),
    /// Check downloaded data against a torrent
    Verify(VerifyArgs),
    /// Ask the distributed hash table, or serve as a node of it
    Dht(DhtArgs),
    /// Watch a whole swarm share a file on this machine
    Demo(DemoArgs),
    /// Check or show the configuration
    Config(ConfigArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print the manual page
    Man(ManArgs),
}

/// `potluck info`
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  potluck info debian.iso.torrent
  potluck info --json 'magnet:?xt=urn:btih:…'
  potluck info https://example.org/debian.iso.torrent
",
    help_template = TEMPLATE
)]
pub struct InfoArgs {
    /// Torrent files, magnet links or URLs of torrent files
    #[arg(required = true, value_name = "TORRENT|MAGNET|URL", value_hint = ValueHint::FilePath)]
    pub inputs: Vec<PathBuf>,
}

/// `potluck create`
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  potluck create ./folder
  potluck create -o song.torrent --tracker udp://tracker.example:6969 song.flac
  potluck create --private --piece 1M --tracker https://tracker.example/announce ./album
",
    help_template = TEMPLATE
)]
pub struct CreateArgs {
    /// The file or folder to make a torrent of
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub path: PathBuf,
    /// Where to write the torrent [default: NAME.torrent here]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Replace the output file if it exists
    #[arg(long)]
    pub force: bool,
    /// Piece length, such as 256k or 1M
    #[arg(long, value_name = "auto|SIZE", default_value = "auto", value_parser = parse_piece_length)]
    pub piece: PieceLength,
    /// Only the trackers may hand out peers (BEP 27)
    #[arg(long)]
    pub private: bool,
    /// A tracker's announce URL; repeat for more, each in a tier of its own
    #[arg(long = "tracker", value_name = "URL", value_hint = ValueHint::Url, value_parser = parse_tracker)]
    pub trackers: Vec<String>,
    /// A web server that has the payload (BEP 19); repeat for more
    #[arg(long = "web-seed", value_name = "URL", value_hint = ValueHint::Url, value_parser = parse_web_seed)]
    pub web_seeds: Vec<String>,
    /// A comment for people
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// Make a v1 torrent, which every client reads (the default)
    #[arg(long, group = "kind")]
    pub v1: bool,
    /// Make a v2 torrent (BEP 52); few clients read it, and this one cannot transfer it yet
    #[arg(long, group = "kind")]
    pub v2: bool,
    /// Make a torrent that is both v1 and v2
    #[arg(long, group = "kind")]
    pub hybrid: bool,
}

/// The piece length of a new torrent; `None` is chosen from the payload's size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PieceLength(pub Option<u32>);

fn parse_piece_length(text: &str) -> Result<PieceLength, String> {
    if text == "auto" {
        return Ok(PieceLength(None));
    }
    let bytes = parse_size(text)?;
    match u32::try_from(bytes) {
        Ok(length) if (1..=potluck_common::limits::PIECE_LENGTH_MAX).contains(&length) => {
            Ok(PieceLength(Some(length)))
        }
        _ => Err(format!("{text:?} is not a piece length; choose one from 16k to 16M, or auto")),
    }
}

/// The URL as it was given: a torrent holds what its maker wrote.
pub(super) fn parse_tracker(text: &str) -> Result<String, String> {
    let example = "give one such as https://tracker.example/announce or udp://tracker.example:6969";
    check_url(text, &["http", "https", "udp"], example)
}

fn parse_web_seed(text: &str) -> Result<String, String> {
    check_url(text, &["http", "https", "ftp"], "give one such as https://example.org/file")
}

fn check_url(text: &str, schemes: &[&str], example: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| format!("no URL ({error}); {example}"))?;
    if !schemes.contains(&url.scheme()) || url.host_str().is_none_or(str::is_empty) {
        return Err(format!("not a URL that can be asked; {example}"));
    }
    Ok(text.to_owned())
}

/// `potluck verify`
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  potluck verify debian.iso.torrent -o ~/Downloads
",
    help_template = TEMPLATE
)]
pub struct VerifyArgs {
    /// The torrent file
    #[arg(value_name = "TORRENT", value_hint = ValueHint::FilePath)]
    pub torrent: PathBuf,
    /// The folder that the payload lies in
    #[arg(short, long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub output: PathBuf,
}

/// `potluck demo`
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  potluck demo                  a seeder, six leechers and a free rider, 30 to 40 s
  potluck demo --plain 2>&1 | tee demo.log
",
    help_template = TEMPLATE
)]
pub struct DemoArgs {
    /// Size of the generated payload; the rates grow with it
    #[arg(long, value_name = "SIZE", default_value = "48M", value_parser = parse_demo_size)]
    pub size: u64,
    /// About 8 s instead of 30 to 40 s
    #[arg(long)]
    pub fast: bool,
    /// Plain lines, on a terminal too
    #[arg(long)]
    pub plain: bool,
}

/// Small enough to be quick, and large enough that six leechers have something to trade.
fn parse_demo_size(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        bytes @ 0x10_0000..=0x4000_0000 => Ok(bytes),
        _ => Err(format!("{text:?} is not between 1M and 1G")),
    }
}

/// `potluck completions`
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  potluck completions bash > ~/.local/share/bash-completion/completions/potluck
  potluck completions zsh > ~/.zfunc/_potluck
  potluck completions fish > ~/.config/fish/completions/potluck.fish
",
    help_template = TEMPLATE
)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// `potluck man`
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  potluck man | man -l -
  potluck man get > potluck-get.1
",
    help_template = TEMPLATE
)]
pub struct ManArgs {
    /// The page of one command instead of the whole
    #[arg(value_name = "COMMAND")]
    pub command: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_begins_its_help_with_examples() {
        let mut cli = Cli::command();
        let names: Vec<String> = cli.get_subcommands().map(|c| c.get_name().to_owned()).collect();
        for name in names {
            let command = cli.find_subcommand_mut(&name).expect("just listed");
            let help = command.render_long_help().to_string();
            let (examples, usage) = (help.find("Examples:"), help.find("Usage:"));
            assert!(examples.is_some() && examples < usage, "{name}: {help}");
        }
    }

    #[test]
    fn values_are_checked_while_reading() {
        let refused = [
            "create --piece 0 x",
            "create --piece 3G x",
            "create --v1 --v2 x",
            "demo --size 2k",
            "get --down fast x.torrent",
            "get --peer 127.0.0.1 x.torrent",
            "get --port 9-1 x.torrent",
            "get --bind eth0 x.torrent",
            "get --slots 0 x.torrent",
            "get --seed=soon x.torrent",
            "get",
            "-q -v demo",
            "get --progress sometimes x.torrent",
            "get --no-dht --dht-bootstrap a.example:1 x.torrent",
            "get --dht-bootstrap a.example x.torrent",
            "get --dht-bootstrap a.example:0 x.torrent",
            "dht",
            "dht lookup",
            "dht lookup --timeout 0 x",
            "dht lookup --timeout 2h x",
            "dht serve --port 70000",
            "dht serve --up 0",
            "dht serve --up 1G",
        ];
        for line in refused {
            let words = std::iter::once("potluck").chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_err(), "{line}");
        }
        let accepted = [
            "create --piece 40k x",
            "get --no-dht --no-pex --no-lsd --no-port-map --no-p2p --json x.torrent",
            "get --seed x.torrent",
            "get --dht-bootstrap a.example:1 --dht-bootstrap [::1]:6881 x.torrent",
            "dht lookup --json --bind 127.0.0.1 --dht-bootstrap 127.0.0.1:1 c12fe1c06bba254a9dc9f519b335aa7c1367a88a",
            "dht nodes --live --timeout 5",
            "dht serve --bind ::1 --port 0 --up 1M --interval 5s",
            "get --seed=1.5 --slots auto --stall-timeout 30 --on-done 'echo' x.torrent y.torrent",
            "seed --peer 127.0.0.1:1 --peer [::1]:2 --port 0 --bind ::1 --up 500k --down 0 x",
        ];
        for line in accepted {
            let words = std::iter::once("potluck").chain(line.split(' '));
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{line}: {error}");
            }
        }
    }
}
