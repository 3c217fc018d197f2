//! The command line: reads it, runs one command, ends with its exit code.

pub mod args;
pub mod config;
pub mod create;
pub mod dashboard;
pub mod demo;
pub mod dht;
pub mod exit;
pub mod info;
pub mod job;
pub mod load;
pub mod output;
pub mod select;
pub mod shell;
pub mod source;
pub mod state;
mod taste;
pub mod transfer;
pub mod verify;
pub mod web;
pub mod words;

use std::{ffi::OsString, panic, process::ExitCode};

use clap::{ColorChoice, CommandFactory as _, FromArgMatches as _, error::ErrorKind};

use self::{
    args::{Cli, Command, StateArgs},
    exit::{Exit, Outcome},
    output::Output,
};
use crate::io::terminal;

/// Runs the command that `arguments` (the program's name first) describe.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let arguments = args::expand(arguments);
    let cli = match read(&arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let output = Output::new(&cli.output);
    let bare = || output.is_dashboard().then(bare).transpose();
    let command = match cli.command.map_or_else(bare, |command| Ok(Some(command))) {
        Ok(command) => command,
        Err(error) => return refuse(&error),
    };
    let Some(command) = command else {
        output.error_line(Cli::command().render_help().to_string().trim_end());
        return Exit::Usage.into();
    };
    report_panics();
    let exit = panic::catch_unwind(panic::AssertUnwindSafe(|| match run(command, &cli.state, &output) {
        Ok(exit) => exit,
        Err(failure) => {
            output.fail(&failure);
            failure.exit
        }
    }));
    exit.unwrap_or(Exit::Other).into()
}

/// Without a command it is the dashboard, on a terminal, with what the environment says of its options.
fn bare() -> Result<Command, clap::Error> {
    let cli = read(&["potluck".into(), "tui".into()])?;
    Ok(cli.command.expect("one was named"))
}

fn read(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let matches = Cli::command().color(color_of_help(arguments)).try_get_matches_from(arguments)?;
    Cli::from_arg_matches(&matches)
}

/// Help is coloured before the options are read, so `--color` is looked for by hand.
fn color_of_help(arguments: &[OsString]) -> ColorChoice {
    let mut words = arguments.iter().filter_map(|word| word.to_str());
    let mode = words.find_map(|word| match word.strip_prefix("--color")? {
        "" => Some(None),
        value => value.strip_prefix('=').map(Some),
    });
    match mode.map(|value| value.or_else(|| words.next())) {
        Some(Some("always")) => ColorChoice::Always,
        Some(Some("never")) => ColorChoice::Never,
        _ => ColorChoice::Auto,
    }
}

/// Prints help, the version, or what is wrong with the command line, which begins with `potluck:` as every error.
fn refuse(error: &clap::Error) -> ExitCode {
    let is_error = !matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if is_error {
        let text = error.render().to_string().replacen("error: ", "potluck: ", 1);
        Output::new(&args::OutputArgs::default()).error_line(text.trim_end());
    } else {
        // A reader that has gone away does not need the help.
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage as u8))
}

fn run(command: Command, state: &StateArgs, output: &Output) -> Outcome<Exit> {
    match command {
        Command::Tui(args) => dashboard::run(&args, state, output),
        Command::Get(args) => transfer::get::run(&args, state, output),
        Command::Seed(args) => transfer::seed::run(&args, state, output),
        Command::Create(args) => create::run(&args, output),
        Command::Info(args) => info::run(&args, output),
        Command::Verify(args) => verify::run(&args, output),
        Command::Config(args) => config::run(&args, state, output),
        Command::Completions(args) => shell::completions(&args, output),
        Command::Man(args) => shell::man(&args, output),
        Command::Dht(args) => dht::run(&args, state, output),
        Command::Demo(args) => demo::run(&args, output),
    }
}

/// From now on a defect of ours is one line too, on a terminal that was given back, and says where to take it.
pub fn report_panics() {
    panic::set_hook(Box::new(|info| {
        terminal::restore();
        let place = info.location().map_or_else(String::new, |place| format!(" at {place}"));
        let payload = info.payload();
        let what = (payload.downcast_ref::<&str>().copied())
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        let output = Output::new(&args::OutputArgs::default());
        output.error_line(&format!(
            "potluck: internal error{place}: {}; please report it at {}/issues",
            potluck_common::Printable::new(what),
            env!("CARGO_PKG_REPOSITORY"),
        ));
    }));
}
