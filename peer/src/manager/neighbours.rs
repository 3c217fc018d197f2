//! Torrents that may need the payload of one that is to be removed, and of which the engine does not know.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use potluck_common::{
    Printable,
    control::{CommandError, CommandErrorKind},
};

use super::{store::Record, tickets::refusal};
use crate::resume;

/// Where another torrent's payload is, and what people call it.
#[derive(Clone, Debug)]
pub(super) struct Neighbour {
    directory: PathBuf,
    name: Printable,
    number: u32,
}

impl Neighbour {
    pub(super) fn of(record: &Record) -> Self {
        Self { directory: record.directory.clone(), name: record.name.clone(), number: record.number }
    }
}

/// Why the payload of `own` must stay: one of `others` may have the same files, whatever links lead there.
pub(super) async fn conflict(own: &Record, others: Vec<Neighbour>) -> Option<CommandError> {
    if others.is_empty() {
        return None;
    }
    let own = Neighbour::of(own);
    let found = tokio::task::spawn_blocking(move || find(&own, &others)).await;
    found.unwrap_or_else(|_| {
        let defect = "comparing the folders failed unexpectedly, so the data stays; please report this";
        Some(refusal(CommandErrorKind::Internal, defect))
    })
}

fn find(own: &Neighbour, others: &[Neighbour]) -> Option<CommandError> {
    // Most are in few folders.
    let mut folders: HashMap<&Path, PathBuf> = HashMap::new();
    let here = resume::resolved(&own.directory).join(own.name.as_str());
    let other = others.iter().find(|other| {
        let folder = folders.entry(&other.directory).or_insert_with(|| resume::resolved(&other.directory));
        let there = folder.join(other.name.as_str());
        here.starts_with(&there) || there.starts_with(&here)
    })?;
    let message = format!(
        "the data of {} stays, as {} (number {} of the list, which does not run or is just being started or stopped) may need it; remove that one first",
        own.name, other.name, other.number
    );
    Some(refusal(CommandErrorKind::Exists, &message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn neighbour(directory: PathBuf, name: &str) -> Neighbour {
        Neighbour { directory, name: name.into(), number: 7 }
    }

    #[cfg(unix)]
    #[test]
    fn who_has_the_same_files_is_found_also_through_links() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(path("data/one/inner")).expect("folders");
        std::os::unix::fs::symlink("data", path("link")).expect("a link");
        std::os::unix::fs::symlink(path("data/one/inner"), path("deep")).expect("a link");
        std::os::unix::fs::symlink("nowhere", path("dangling")).expect("a link");
        let own = neighbour(path("data"), "one");
        for (directory, name, is_found) in [
            ("data", "one", true),
            ("data/../data", "one", true),
            ("link", "one", true),
            ("deep", "two", true),
            ("link", "two", false),
            ("link", "one more", false),
            ("dangling", "one", false),
            ("missing", "one", false),
        ] {
            let found = find(&own, &[neighbour(path("missing"), "x"), neighbour(path(directory), name)]);
            assert_eq!(found.is_some(), is_found, "{directory} {name}");
            let found = find(&neighbour(path(directory), name), std::slice::from_ref(&own));
            assert_eq!(found.is_some(), is_found, "{directory} {name}, the other way around");
        }
        let error = find(&neighbour(path("dangling"), "x"), &[neighbour(path("nowhere"), "x")]);
        assert!(error.expect("found").message.as_str().contains("number 7"));
    }
}
