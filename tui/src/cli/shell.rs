//! `potluck completions` and `potluck man`: what a shell and a reader of manual pages need.

use clap::CommandFactory as _;

use super::{
    args::{Cli, CompletionsArgs, ManArgs},
    exit::{Exit, Failure, Outcome},
    output::Output,
};

/// Prints the completion script of a shell.
pub fn completions(args: &CompletionsArgs, output: &Output) -> Outcome<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "potluck", &mut script);
    print_text(&script, output)
}

/// Prints a manual page: of everything, or of one command.
pub fn man(args: &ManArgs, output: &Output) -> Outcome<Exit> {
    let mut cli = Cli::command();
    cli.build();
    let command = match &args.command {
        None => cli,
        Some(name) => cli
            .find_subcommand(name)
            .cloned()
            .ok_or_else(|| Failure::new(Exit::Usage, name, "no such command", "potluck --help lists them"))?,
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .expect("a vector takes everything that is written to it");
    print_text(&page, output)
}

fn print_text(text: &[u8], output: &Output) -> Outcome<Exit> {
    output.print(String::from_utf8_lossy(text).trim_end())?;
    Ok(Exit::Done)
}
