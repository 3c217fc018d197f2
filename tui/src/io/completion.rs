//! How a path that is being typed could go on.

use std::{fs, path::Path};

use potluck_common::printable::is_unsafe;

/// Names of a folder that are looked at.
const NAMES_MAX: usize = 10_000;

/// How the path `typed` could go on, which is `path` from the root: folders, with a slash at their end, and torrent
/// files unless `folders_only`. What is told begins as it was typed. Names that cannot be typed are left out. Blocks.
pub fn complete(typed: &str, path: &Path, folders_only: bool) -> Vec<String> {
    let text = path.to_string_lossy();
    let (folder, begun) = text.rsplit_once('/').unwrap_or(("", &text));
    let folder = if folder.is_empty() { "/" } else { folder };
    let typed_folder = match typed.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/"),
        None if typed == "~" => "~/".to_owned(),
        None => String::new(),
    };
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<String> = (entries.take(NAMES_MAX).flatten())
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let is_hidden = name.starts_with('.') && !begun.starts_with('.');
            if is_hidden || !name.starts_with(begun) || name.chars().any(is_unsafe) {
                return None;
            }
            // A link to a folder is one, too.
            let is_folder = fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_dir());
            let is_torrent =
                Path::new(&name).extension().is_some_and(|end| end.eq_ignore_ascii_case("torrent"));
            match (is_folder, is_torrent && !folders_only) {
                (true, _) => Some(format!("{typed_folder}{name}/")),
                (false, true) => Some(format!("{typed_folder}{name}")),
                (false, false) => None,
            }
        })
        .collect();
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_torrents_are_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        for name in ["iso", "isolated", ".hidden"] {
            fs::create_dir(root.join(name)).expect("a folder");
        }
        for name in ["iso.torrent", "iso.txt", "ISO2.TORRENT", "i\u{1b}.torrent", "grüße.torrent"] {
            fs::write(root.join(name), "").expect("a file");
        }
        let cases: [(&str, &str, bool, &[&str]); 7] = [
            ("~/iso", "iso", false, &["~/iso.torrent", "~/iso/", "~/isolated/"]),
            ("iso", "iso", true, &["iso/", "isolated/"]),
            ("", "", false, &["ISO2.TORRENT", "grüße.torrent", "iso.torrent", "iso/", "isolated/"]),
            ("~", "", true, &["~/iso/", "~/isolated/"]),
            (".h", ".h", false, &[".hidden/"]),
            ("x", "x", false, &[]),
            ("no/x", "no/x", false, &[]),
        ];
        for (typed, path, folders_only, wanted) in cases {
            let path = format!("{}/{path}", root.display());
            assert_eq!(complete(typed, Path::new(&path), folders_only), wanted, "{typed}");
        }
    }
}
