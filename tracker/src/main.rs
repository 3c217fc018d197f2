//! The `potluck-tracker` program: a command line in front of the tracker server.

mod cli;

use std::{io::IsTerminal as _, process::ExitCode};

use anyhow::Context as _;
use clap::Parser as _;
use potluck_tracker::{BindError, TrackerServer};
use tracing::info;
use tracing_subscriber::EnvFilter;

use crate::cli::Cli;

/// The exit code for a failure that is none of the others.
const EXIT_OTHER: u8 = 1;
/// The exit code for an address that cannot be listened on, as in the other Potluck programs.
const EXIT_NETWORK: u8 = 5;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            let is_network = matches!(error.downcast_ref(), Some(BindError::Listen { .. }));
            ExitCode::from(if is_network { EXIT_NETWORK } else { EXIT_OTHER })
        }
    }
}

#[expect(clippy::print_stderr, reason = "the last words of a program that fails")]
fn complain(error: &anyhow::Error) {
    eprintln!("potluck-tracker: {error:#}");
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    start_log(&cli.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the worker threads")?;
    runtime.block_on(serve(cli))
}

fn start_log(filter: &str) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_new(filter).with_context(|| format!("cannot read the log filter {filter:?}"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    Ok(())
}

async fn serve(cli: &Cli) -> anyhow::Result<()> {
    // Before anything is announced: who sees the first line may send a signal at once.
    let mut ended = Signals::new().context("cannot listen for signals")?;
    raise_open_file_limit();
    let server = TrackerServer::bind(&cli.config())?;
    for url in server.announce_urls() {
        info!(%url, "listening");
    }
    let signal = ended.next().await;
    info!(signal, "stopping");
    server.shutdown().await;
    Ok(())
}

/// Each HTTP connection is an open file, and 1,024 of them are few. Best effort: the tracker copes with any number.
fn raise_open_file_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}

/// The signals that ask the program to end.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "interrupt",
            _ = self.terminate.recv() => "terminate",
        }
    }
}

/// The signal that asks the program to end.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> &'static str {
        // An error means that no signal can ever come: then there is nothing to wait for either.
        let _ = tokio::signal::ctrl_c().await;
        "interrupt"
    }
}
