//! `potluck config`: checks the configuration, and shows it with what is usual.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::Path,
};

use serde_json::json;
use tempfile::NamedTempFile;

use super::{Config, Problem, find, load, place, read};
use crate::{
    cli::{
        args::{ConfigArgs, ConfigCommand, StateArgs},
        exit::{Exit, Failure, Outcome},
        output::Output,
    },
    keymap::Bound,
    units::count,
};

/// A setting, with what it is and where that was said.
struct Shown {
    section: &'static str,
    name: &'static str,
    value: serde_json::Value,
    is_chosen: bool,
    words: &'static str,
}

/// Runs `potluck config`.
pub fn run(args: &ConfigArgs, state: &StateArgs, output: &Output) -> Outcome<Exit> {
    match &args.command {
        ConfigCommand::Check => check(state, output),
        ConfigCommand::Show { output: file } => show(file.as_deref(), state, output),
    }
}

fn check(state: &StateArgs, output: &Output) -> Outcome<Exit> {
    let Some((path, text)) = find(state)? else {
        output.note(format!("{}: there is no such file, and all is as usual", called(state)));
        return Ok(Exit::Done);
    };
    let (config, problems) = read::read(&text);
    for problem in &problems {
        output.fail(&problem.failure(&path));
        if output.json {
            let Problem { line, what, remedy } = problem;
            let path = path.to_string_lossy();
            output.print_json(
                &json!({"schema": 1, "path": path, "line": line, "problem": what, "remedy": remedy}),
            )?;
        }
    }
    if !problems.is_empty() {
        return Ok(Exit::Usage);
    }
    for taken in config.keymap.taken() {
        output.note(format!("{}: {taken}", called(state)));
    }
    let chosen = settings(&config).iter().filter(|setting| setting.is_chosen).count();
    output.note(format!("{}: {}, nothing wrong", called(state), count(chosen as u64, "setting")));
    Ok(Exit::Done)
}

fn show(file: Option<&Path>, state: &StateArgs, output: &Output) -> Outcome<Exit> {
    let config = load(state)?;
    let settings = settings(&config);
    if let Some(file) = file {
        write_new(file, &toml(&settings)).map_err(|error| Failure::io(file, &error))?;
        output.note(format!("{}: written", printed(file)));
    } else if output.json {
        for Shown { section, name, value, is_chosen, words } in settings {
            let origin = if is_chosen { "file" } else { "default" };
            let name = format!("{section}.{name}");
            output.print_json(
                &json!({"schema": 1, "setting": name, "value": value, "origin": origin, "words": words}),
            )?;
        }
    } else {
        output.print(format!("# {}\n{}", called(state), toml(&settings).trim_end()))?;
    }
    Ok(Exit::Done)
}

/// A whole file under that name, or none; what is there already stays.
fn write_new(file: &Path, text: &str) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut written = NamedTempFile::new_in(folder)?;
    written.write_all(text.as_bytes())?;
    written.as_file().sync_all()?;
    written.persist_noclobber(file)?;
    Ok(())
}

fn toml(settings: &[Shown]) -> String {
    let mut text = String::new();
    let mut section = "";
    for setting in settings {
        if setting.section != section {
            section = setting.section;
            let _ = writeln!(text, "\n[{section}]");
        }
        let _ = writeln!(text, "{}", line(setting));
    }
    text
}

fn called(state: &StateArgs) -> String {
    place(state).map_or("no folder for configuration".to_owned(), |path| printed(&path))
}

fn printed(path: &Path) -> String {
    path.display().to_string().escape_debug().to_string()
}

/// A line of TOML. What is not set has no value that could be written down.
fn line(setting: &Shown) -> String {
    let Shown { name, value, is_chosen, words, .. } = setting;
    let origin = if *is_chosen { "file: " } else { "" };
    let text = match value {
        serde_json::Value::Null => format!("# {name} ="),
        // Strings, switches and lists of strings are the same in TOML.
        value => format!("{name} = {value}"),
    };
    format!("{text:<36} # {origin}{words}")
}

fn settings(config: &Config) -> Vec<Shown> {
    let dashboard = &config.dashboard;
    let own = |name, value: Option<serde_json::Value>, words| {
        let is_chosen = value.is_some();
        Shown { section: "dashboard", name, value: value.unwrap_or_default(), is_chosen, words }
    };
    let mut shown = vec![
        own(
            "theme",
            dashboard.theme.map(|theme| theme.name().into()),
            "colours; else the ones chosen in the dashboard",
        ),
        own("ascii", dashboard.ascii.map(Into::into), "only ASCII characters; else as the locale is"),
        own("mouse", dashboard.mouse.map(Into::into), "hear the mouse; else yes"),
        own("bits", dashboard.bits.map(Into::into), "rates in bits; else as chosen in the dashboard"),
    ];
    for bound in config.keymap.all() {
        if !shown.iter().any(|other| other.section == "keys" && other.name == bound.binding.name) {
            shown.push(keys(&bound));
        }
    }
    shown
}

fn keys(bound: &Bound<'_>) -> Shown {
    let keys: Vec<String> = bound.keys.iter().map(ToString::to_string).collect();
    let value = if let [only] = &keys[..] { only.as_str().into() } else { keys.into() };
    let binding = bound.binding;
    Shown { section: "keys", name: binding.name, value, is_chosen: bound.is_chosen, words: binding.words }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_written_down() {
        let text =
            "[dashboard]\ntheme = \"paper\"\n[keys]\npause = \"\\\"\"\nzen = [\"\\\\\", \"'\"]\nturtle = []";
        let (config, problems) = read::read(text);
        assert_eq!(problems, []);
        for config in [Config::default(), config] {
            let text = toml(&settings(&config));
            let (again, problems) = read::read(&text);
            assert_eq!((again.dashboard, problems), (config.dashboard, Vec::new()), "{text}");
            let keys =
                |config: &Config| config.keymap.all().map(|bound| bound.to_string()).collect::<Vec<_>>();
            assert_eq!(keys(&again), keys(&config));
        }
    }
}
