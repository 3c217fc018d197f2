//! The configuration file: what a person wrote down once, for every run.
//!
//! Options of the command line go before environment variables, those before the file, and the file before what is usual.

mod nearest;
mod read;
mod show;

use std::{
    env,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use directories::ProjectDirs;

use super::{
    args::StateArgs,
    exit::{Exit, Failure, Outcome},
};
use crate::{keymap::Keymap, theme::ThemeName};

pub use self::show::run;

/// Within the folder of all configuration.
const FILE: &str = "config.toml";
/// The variable of the environment that names the colours.
const THEME_VARIABLE: &str = "POTLUCK_THEME";
/// A file that is longer was not written by a person.
const BYTES_MAX: u64 = 64 * 1024;

/// What the file says; nothing where there is none.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Config {
    /// How dashboards look.
    pub dashboard: DashboardConfig,
    /// Which keys do what in them.
    pub keymap: Keymap,
}

/// The section `[dashboard]`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct DashboardConfig {
    /// The colours.
    pub theme: Option<ThemeName>,
    /// ASCII characters only, or others in any case.
    pub ascii: Option<bool>,
    /// The mouse is heard.
    pub mouse: Option<bool>,
    /// Rates in bits per second.
    pub bits: Option<bool>,
}

/// Something in the file that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Problem {
    /// From 1.
    line: usize,
    /// Which setting, and what is wrong with it.
    what: String,
    remedy: String,
}

impl Problem {
    fn failure(&self, path: &Path) -> Failure {
        let place = format!("{}:{}", path.display(), self.line);
        Failure::new(Exit::Usage, place, &self.what, &self.remedy)
    }
}

/// The configuration of this run; a file with a mistake is not half used.
fn load(args: &StateArgs) -> Outcome<Config> {
    let Some((path, text)) = find(args)? else { return Ok(Config::default()) };
    let (config, problems) = read::read(&text);
    match &problems[..] {
        [] => Ok(config),
        [only] => Err(only.failure(&path)),
        [first, rest @ ..] => {
            let mut failure = first.failure(&path);
            let also = format!("{}; {} more: potluck config check", failure.remedy, rest.len());
            failure.remedy = potluck_common::Printable::new(&also);
            Err(failure)
        }
    }
}

/// What a dashboard follows: the configuration, and before it the colours that the environment names.
pub fn of_dashboard(args: &StateArgs) -> Outcome<Config> {
    let mut config = load(args)?;
    let theme = env::var_os(THEME_VARIABLE).unwrap_or_default();
    config.dashboard.theme = theme_named(&theme.to_string_lossy())?.or(config.dashboard.theme);
    Ok(config)
}

/// What [`THEME_VARIABLE`] names; nothing where it is empty.
fn theme_named(name: &str) -> Outcome<Option<ThemeName>> {
    if name.is_empty() {
        return Ok(None);
    }
    name.parse().map(Some).map_err(|_| {
        let names = ThemeName::ALL.map(ThemeName::name).join(", ");
        let what = format!("there is no theme {name:?}");
        Failure::new(Exit::Usage, THEME_VARIABLE, what, format!("there are {names}"))
    })
}

/// The file, if there is one, and what stands in it.
fn find(args: &StateArgs) -> Outcome<Option<(PathBuf, String)>> {
    let named = args.config.clone().or_else(from_environment);
    let is_named = named.is_some();
    let Some(path) = named.or_else(usual_place) else { return Ok(None) };
    match read_file(&path) {
        Ok(bytes) => text(&path, bytes).map(|text| Some((path, text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !is_named => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            let what = format!("longer than {} KiB", BYTES_MAX / 1024);
            Err(Failure::new(Exit::Usage, path.display(), what, "is that the configuration?"))
        }
        Err(error) => Err(Failure::io(&path, &error)),
    }
}

/// Where the file is, or would be.
fn place(args: &StateArgs) -> Option<PathBuf> {
    args.config.clone().or_else(from_environment).or_else(usual_place)
}

fn from_environment() -> Option<PathBuf> {
    env::var_os("POTLUCK_CONFIG").filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// `$XDG_CONFIG_HOME/potluck/config.toml`, else `~/.config/potluck/config.toml`, or where the system has such files.
fn usual_place() -> Option<PathBuf> {
    ProjectDirs::from("", "", "potluck").map(|folders| folders.config_dir().join(FILE))
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

fn text(path: &Path, bytes: Vec<u8>) -> Outcome<String> {
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let (line, what) = (line_after(before), "no UTF-8".to_owned());
        Problem { line, what, remedy: "save it as UTF-8".to_owned() }.failure(path)
    })
}

/// The line, from 1, that begins or goes on after `text`.
fn line_after(text: &[u8]) -> usize {
    text.split(|byte| *byte == b'\n').count()
}
