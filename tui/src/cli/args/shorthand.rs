//! `potluck X.torrent` is short for `potluck get X.torrent`.

use std::{ffi::OsString, path::Path};

use clap::CommandFactory as _;

use super::Cli;
use crate::cli::source;

/// Puts the `get` in where only its arguments are given. `args` begins with the program's name.
///
/// It goes before the first argument that is no option of every command, if no command is named and something among
/// the arguments is a torrent, a magnet link or a URL. Everything else is left to the parser and its messages.
pub fn expand(mut args: Vec<OsString>) -> Vec<OsString> {
    let Some(first) = first_of_a_command(&args) else { return args };
    let is_command = |word: &OsString| {
        word == "help" || Cli::command().get_subcommands().any(|command| word == command.get_name())
    };
    let rest = &args[first..];
    if is_command(&rest[0]) || is_help(&rest[0]) {
        return args;
    }
    let named_later = rest.iter().take_while(|word| *word != "--").any(is_command);
    let starts_with_option = rest[0].to_string_lossy().starts_with('-');
    let is_get = if starts_with_option {
        !named_later && rest.iter().any(|word| source::is_local(Path::new(word)))
    } else {
        source::is_local(Path::new(&rest[0]))
    };
    if is_get {
        args.insert(first, "get".into());
    }
    args
}

/// Options of every command that have a value, and those that have none.
const WITH_VALUE: [&str; 5] = ["--progress", "--color", "--config", "--state-dir", "--state-interval-ms"];
const WITHOUT_VALUE: [&str; 6] = ["--json", "--ascii", "--quiet", "--verbose", "-q", "--no-state"];

fn is_help(word: &OsString) -> bool {
    ["-h", "--help", "-V", "--version"].iter().any(|help| word == help)
}

/// The index of the first argument that is not an option of every command (nor such an option's value).
fn first_of_a_command(args: &[OsString]) -> Option<usize> {
    let mut index = 1;
    while let Some(word) = args.get(index) {
        match word.to_str() {
            Some(word) if WITH_VALUE.contains(&word) => index += 2,
            Some(word) if WITHOUT_VALUE.contains(&word) => index += 1,
            Some(word) if word.split_once('=').is_some_and(|(name, _)| WITH_VALUE.contains(&name)) => {
                index += 1;
            }
            Some(word) if word.len() > 1 && word.starts_with('-') && word[1..].bytes().all(|b| b == b'v') => {
                index += 1;
            }
            _ => return Some(index),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(line: &str) -> String {
        let args = std::iter::once("potluck").chain(line.split_whitespace()).map(OsString::from).collect();
        let words: Vec<String> =
            expand(args).into_iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
        words.join(" ")
    }

    #[test]
    fn options_of_every_command_are_known() {
        let cli = Cli::command();
        let mut known = 0;
        for option in cli.get_arguments().filter(|option| option.is_global_set()) {
            let name = format!("--{}", option.get_long().expect("each has a long name"));
            let list: &[&str] = if option.get_action().takes_values() { &WITH_VALUE } else { &WITHOUT_VALUE };
            assert!(list.contains(&name.as_str()), "{name}");
            known += 1;
        }
        // One of them is there by its letter, too.
        assert_eq!(known + 1, WITH_VALUE.len() + WITHOUT_VALUE.len());
    }

    #[test]
    fn get_is_understood_where_no_command_is_named() {
        let cases = [
            ("x.torrent", "get x.torrent"),
            ("magnet:?xt=urn:btih:00", "get magnet:?xt=urn:btih:00"),
            ("https://e.example/x.torrent", "get https://e.example/x.torrent"),
            ("--json -vv --color never x.torrent", "--json -vv --color never get x.torrent"),
            ("-o /nowhere/at/all x.torrent", "get -o /nowhere/at/all x.torrent"),
            ("get x.torrent", "get x.torrent"),
            ("info x.torrent", "info x.torrent"),
            ("--json info x.torrent", "--json info x.torrent"),
            ("crate x.torrent", "crate x.torrent"),
            ("crate", "crate"),
            ("--help", "--help"),
            ("help get", "help get"),
            ("--jsn info x.torrent", "--jsn info x.torrent"),
            ("--color", "--color"),
            ("--config / --state-dir=/ --no-state", "--config / --state-dir=/ --no-state"),
            ("--config / x.torrent", "--config / get x.torrent"),
            ("", ""),
        ];
        for (line, wanted) in cases {
            assert_eq!(expanded(line), wanted, "{line}");
        }
    }
}
