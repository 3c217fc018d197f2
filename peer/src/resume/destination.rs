//! One name for one folder, however it is reached.

use std::{
    collections::VecDeque,
    ffi::OsString,
    path::{Component, Path, PathBuf},
};

use potluck_common::hash::sha256;

/// Links on the way to a folder that are followed; more are a circle.
const LINKS_MAX: usize = 40;

/// The folder's absolute path without links, as far as it exists. Unlike `canonicalize` it does not ask that the folder
/// exists: a link to a drive that is not connected leads to the same place as when it was.
pub(crate) fn resolved(folder: &Path) -> PathBuf {
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let mut rest: VecDeque<OsString> = parts(&whole);
    let mut place = PathBuf::new();
    let mut links = 0;
    while let Some(part) = rest.pop_front() {
        if part == ".." {
            place.pop();
            continue;
        }
        place.push(&part);
        let Ok(target) = std::fs::read_link(&place) else { continue };
        links += 1;
        if links > LINKS_MAX {
            continue;
        }
        place.pop();
        for part in parts(&target).into_iter().rev() {
            rest.push_front(part);
        }
    }
    place
}

/// Pushed one after another onto a path they follow it as the system would.
fn parts(path: &Path) -> VecDeque<OsString> {
    let components = path.components().filter(|component| *component != Component::CurDir);
    components.map(|component| component.as_os_str().to_owned()).collect()
}

/// A short name for a folder.
pub(super) fn short_name(folder: &Path) -> String {
    let digest = sha256(resolved(folder).as_os_str().as_encoded_bytes());
    let start = digest.first_chunk().expect("a digest has 32 bytes");
    format!("{:016x}", u64::from_be_bytes(*start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_name_and_two_have_two() {
        let folder = tempfile::tempdir().expect("folder");
        let root = folder.path();
        std::fs::create_dir_all(root.join("a/b")).expect("folders");
        let same = |one: PathBuf, other: PathBuf| {
            assert_eq!(short_name(&one), short_name(&other), "{} {}", one.display(), other.display());
        };
        same(root.join("a/b"), root.join("a/./b/"));
        same(root.join("a/b"), root.join("a/b/../../a/b"));
        same(root.join("new/one"), root.join("a/../new/one"));
        assert_ne!(short_name(&root.join("a/b")), short_name(&root.join("a")));
        same(std::env::current_dir().expect("a folder"), PathBuf::from("."));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_also_to_what_is_not_there_now() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().expect("folder");
        let root = folder.path();
        symlink("drive/data", root.join("link")).expect("link");
        let before = short_name(&root.join("link/sub"));
        assert_eq!(before, short_name(&root.join("drive/data/sub")));
        std::fs::create_dir_all(root.join("drive/data")).expect("folders");
        assert_eq!(before, short_name(&root.join("link/sub")));
        let real = root.canonicalize().expect("exists").join("drive/data/sub");
        assert_eq!(before, short_name(&real));
        symlink("circle", root.join("circle")).expect("link");
        assert_ne!(short_name(&root.join("circle")), before, "it ends");
    }
}
