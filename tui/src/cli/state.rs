//! Where what torrents remember is kept.

use std::path::PathBuf;

use directories::ProjectDirs;
use potluck_peer::resume;

use super::{args::StateArgs, exit::describe, output::Output};

/// The folder of all state, made if it is missing. `None`, with a warning unless it was asked for, if nothing can be
/// kept: a download does not fail for that.
pub fn folder(args: &StateArgs, output: &Output) -> Option<PathBuf> {
    if args.no_state {
        return None;
    }
    let Some(folder) = place(args) else {
        output.warn(
            "there is no home folder, so the next run will check everything; --state-dir names a folder",
        );
        return None;
    };
    if let Err(error) = resume::prepare_folder(&folder) {
        output.warn(format!(
            "cannot write to {}: {}, so the next run will check everything; --state-dir names another folder",
            folder.display().to_string().escape_debug(),
            describe(&error)
        ));
        return None;
    }
    Some(folder)
}

/// Where that folder is, or would be.
pub fn place(args: &StateArgs) -> Option<PathBuf> {
    let named = || args.state_dir.clone().or_else(from_environment).or_else(default_folder);
    (!args.no_state).then(named).flatten()
}

/// Not an option's default value: that would make a command line of an empty one.
fn from_environment() -> Option<PathBuf> {
    std::env::var_os("POTLUCK_STATE_DIR").filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// `$XDG_STATE_HOME/potluck`, else `~/.local/state/potluck`; on systems that know no such folder, that of local data.
fn default_folder() -> Option<PathBuf> {
    let folders = ProjectDirs::from("", "", "potluck")?;
    Some(folders.state_dir().unwrap_or_else(|| folders.data_local_dir()).to_owned())
}
