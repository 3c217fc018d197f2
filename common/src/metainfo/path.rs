//! Paths that are safe by construction, and the deterministic renames that make them so.
//!
//! The info-hash and the payload know nothing of these names: a rename is between a torrent and the disk. Names that
//! are fine stay as they are, so that payload of other clients is found under the same names.

use std::{
    collections::{BTreeMap, btree_map},
    fmt,
    path::PathBuf,
};

use super::component::{Rules, folded, safe_component, split_extension};
use crate::printable::Printable;

/// A relative path of one or more components, each of which names a directory entry and nothing else: not empty, not
/// `.` or `..`, without separators, NUL and control characters, at most 255 bytes long.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SafePath(Box<[String]>);

impl SafePath {
    /// The path of these raw components, each made safe. Says nothing about other paths: [`resolve`] does.
    fn new<'r>(components: impl IntoIterator<Item = &'r [u8]>, rules: Rules) -> Self {
        let components: Box<[_]> = components
            .into_iter()
            .map(|raw| safe_component(raw, rules).unwrap_or_else(|| "_".to_owned()))
            .collect();
        assert!(!components.is_empty(), "a path has a component");
        Self(components)
    }

    /// The components from the outermost folder to the file.
    pub fn components(&self) -> &[String] {
        &self.0
    }

    /// The last component.
    pub fn file_name(&self) -> &str {
        self.0.last().expect("a path has a component")
    }

    /// The relative path for the file system. Whoever opens files walks the components instead, so that no symbolic
    /// link on the way leads out of the download folder.
    pub fn to_path_buf(&self) -> PathBuf {
        self.0.iter().collect()
    }

    /// The path with `/` between the components on every system: for JSON and for matching patterns.
    pub fn to_slash_string(&self) -> String {
        self.0.join("/")
    }
}

impl fmt::Display for SafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.to_slash_string();
        fmt::Display::fmt(&Printable::bounded(&text, text.len()), f)
    }
}

impl fmt::Debug for SafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One file's path as the torrent writes it, and whether the file is ever written to a disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawPath<'r> {
    /// The components below the torrent's name; none for the file of a single-file torrent.
    pub(super) components: &'r [&'r [u8]],
    /// Padding and symbolic links are not written, so their names cannot collide.
    pub(super) on_disk: bool,
}

/// The safe path of every file: each begins with `name` (safe already), and no two that are on disk meet, even where
/// case does not count or where one names a file and another a folder. Of names that meet, the first file's stays
/// and later ones get a number before their extension; folders win over files.
///
/// O(n log n) in the total length of the paths, also when all are equal.
pub(super) fn resolve(name: &str, files: &[RawPath<'_>]) -> Vec<SafePath> {
    resolve_by(name, files, Rules::NATIVE)
}

fn resolve_by(name: &str, files: &[RawPath<'_>], rules: Rules) -> Vec<SafePath> {
    let mut paths: Vec<_> = files
        .iter()
        .map(|file| {
            SafePath::new(std::iter::once(name.as_bytes()).chain(file.components.iter().copied()), rules)
        })
        .collect();
    let mut names = Names::default();
    let folders: Vec<_> =
        paths.iter().zip(files).map(|(path, file)| names.folder_of(path, file.on_disk)).collect();
    let mut late = Vec::new();
    for (index, path) in paths.iter().enumerate().filter(|(index, _)| files[*index].on_disk) {
        if !names.claim(folders[index], path.file_name()) {
            late.push(index);
        }
    }
    for index in late {
        let file_name = paths[index].0.last_mut().expect("a path has a component");
        *file_name = names.claim_numbered(folders[index], file_name);
    }
    paths
}

/// The names in use: every directory entry under its folder and its name without regard to case.
#[derive(Default)]
struct Names {
    entries: BTreeMap<(u32, String), Entry>,
    folders: u32,
}

struct Entry {
    /// The number of the folder with this name, if it is one.
    folder: Option<u32>,
    /// The number to try next when a file is to be named apart from this entry.
    next_number: u32,
}

impl Names {
    /// The number of the folder that `path` lies in, which is known from now on with all those above it.
    fn folder_of(&mut self, path: &SafePath, on_disk: bool) -> u32 {
        let (_, folders) = path.0.split_last().expect("a path has a component");
        let depth = if on_disk { folders.len() } else { 0 };
        folders[..depth].iter().fold(0, |parent, name| {
            let number = self.folders + 1;
            let entry = self.entries.entry((parent, folded(name))).or_insert_with(|| {
                self.folders = number;
                Entry { folder: Some(number), next_number: 1 }
            });
            entry.folder.expect("folders are entered before files")
        })
    }

    /// Takes `name` in `folder` if it is free.
    fn claim(&mut self, folder: u32, name: &str) -> bool {
        match self.entries.entry((folder, folded(name))) {
            btree_map::Entry::Occupied(_) => false,
            btree_map::Entry::Vacant(free) => {
                free.insert(Entry { folder: None, next_number: 1 });
                true
            }
        }
    }

    /// Takes the first free name that is `name` with a number. A number is tried once for each name, so that many
    /// equal names cost no more than as many different ones.
    fn claim_numbered(&mut self, folder: u32, name: &str) -> String {
        let (stem, extension) = split_extension(name);
        let key = (folder, folded(name));
        let mut number = self.entries.get(&key).map_or(1, |entry| entry.next_number);
        loop {
            let candidate = format!("{stem}.{number}{extension}");
            number += 1;
            if self.claim(folder, &candidate) {
                if let Some(entry) = self.entries.get_mut(&key) {
                    entry.next_number = number;
                }
                return candidate;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hash::sha1;

    fn resolved(files: &[&[&[u8]]], rules: Rules) -> Vec<String> {
        let files: Vec<_> = files.iter().map(|components| RawPath { components, on_disk: true }).collect();
        resolve_by("t", &files, rules).iter().map(SafePath::to_slash_string).collect()
    }

    #[test]
    fn row_1_1_every_form_of_traversal_stays_inside() {
        let long = [b'x'; 300];
        let long_name =
            format!("t/{}~{}", "x".repeat(231), &data_encoding::HEXLOWER.encode(&sha1(&long))[..8]);
        let cases: &[(&[&[u8]], &str)] = &[
            (&[b".."], "t/_"),
            (&[b"..", b"..", b"etc", b"passwd"], "t/_/_/etc/passwd"),
            (&[b".", b"a"], "t/_/a"),
            (&[b"", b"a"], "t/_/a"),
            (&[b""], "t/_"),
            (&[b"/etc/passwd"], "t/_etc_passwd"),
            (&[b"avi /../../Startup/x.exe"], "t/avi _.._.._Startup_x.exe"),
            (&[b"a\\..\\b"], "t/a_.._b"),
            (&[b"nul\0byte"], "t/nul_byte"),
            (&[b"esc\x1b[31m\r\n\x7f"], "t/esc_[31m___"),
            (&["\u{202e}gpj.exe".as_bytes()], "t/_gpj.exe"),
            (&[b"bad\xff\xfeutf"], "t/bad__utf"),
            (&[&long], &long_name),
            // These are fine and stay.
            (&[b"a..b"], "t/a..b"),
            (&[b"..."], "t/..."),
            (&[b"..x"], "t/..x"),
            (&[b"foo... bar"], "t/foo... bar"),
            (&[b".hidden"], "t/.hidden"),
            (&[b"what?: *"], "t/what?: *"),
            (&[b"con"], "t/con"),
            (&["näme 日本 می‌خواهم".as_bytes()], "t/näme 日本 می‌خواهم"),
        ];
        for (components, expected) in cases {
            assert_eq!(resolved(&[components], Rules::Unix), [*expected]);
        }
    }

    #[test]
    fn row_1_4_a_path_is_shown_without_control_characters() {
        let path = resolve_by(
            "a\u{200b}",
            &[RawPath { components: &[b"\x1b]0;x\x07"], on_disk: true }],
            Rules::Unix,
        );
        assert_eq!(path[0].to_string(), "a\\u{200b}/_]0;x_");
        assert_eq!(path[0].to_path_buf(), PathBuf::from("a\u{200b}/_]0;x_"));
    }

    #[test]
    fn windows_names_nothing_it_would_not_open() {
        let cases: &[(&[u8], &str)] = &[
            (b"con", "t/_con"),
            (b"Lpt1.txt", "t/_Lpt1.txt"),
            (b"aux .c", "t/_aux .c"),
            (b"console", "t/console"),
            (b"end. .", "t/end___"),
            (b"...", "t/___"),
            (b"a..b", "t/a..b"),
            (b"stream:a", "t/stream_a"),
        ];
        for (component, expected) in cases {
            assert_eq!(resolved(&[&[component]], Rules::Windows), [*expected]);
        }
    }

    #[test]
    fn row_1_3_names_that_meet_are_told_apart() {
        type Files<'a> = &'a [&'a [&'a [u8]]];
        let cases: &[(Files<'_>, &[&str])] = &[
            (&[&[b"a.txt"], &[b"a.txt"], &[b"A.TXT"]], &["t/a.txt", "t/a.1.txt", "t/A.2.TXT"]),
            (&[&[b"a"], &[b"a"], &[b"a.1"]], &["t/a", "t/a.2", "t/a.1"]),
            (&[&[b"a"], &[b"a", b"b"]], &["t/a.1", "t/a/b"]),
            (&[&[b"D", b"x"], &[b"d"], &[b"d", b"X"]], &["t/D/x", "t/d.1", "t/d/X.1"]),
            (&[&[b".."], &[b""], &[b"_"]], &["t/_", "t/_.1", "t/_.2"]),
            (&[&[b"a/b"], &[b"a\\b"]], &["t/a_b", "t/a_b.1"]),
            (&[&[b"STRASSE"], &["straße".as_bytes()]], &["t/STRASSE", "t/straße.1"]),
        ];
        for (files, expected) in cases {
            assert_eq!(resolved(files, Rules::Unix), *expected);
        }
    }

    #[test]
    fn row_1_3_twenty_thousand_equal_names() {
        let name: &[&[u8]] = &[b"a.txt"];
        let paths = resolved(&vec![name; 20_000], Rules::Unix);
        assert_eq!((paths[0].as_str(), paths[19_999].as_str()), ("t/a.txt", "t/a.19999.txt"));
        // The worst case for numbered names: half of the numbers are taken already.
        let taken: Vec<_> = (0..20_000).map(|number| format!("a.{}.txt", 2 * number).into_bytes()).collect();
        let taken: Vec<[&[u8]; 1]> = taken.iter().map(|name| [&name[..]]).collect();
        let mut files = vec![name; 20_000];
        files.extend(taken.iter().map(|components| &components[..]));
        let paths = resolved(&files, Rules::Unix);
        assert_eq!((paths[1].as_str(), paths[19_999].as_str()), ("t/a.1.txt", "t/a.39997.txt"));
    }

    #[test]
    fn names_that_are_never_written_take_no_place() {
        let pad = RawPath { components: &[b".pad", b"5"], on_disk: false };
        let file = RawPath { components: &[b".pad"], on_disk: true };
        let paths = resolve_by("t", &[pad, pad, file], Rules::Unix);
        assert_eq!(
            paths.iter().map(SafePath::to_slash_string).collect::<Vec<_>>(),
            ["t/.pad/5", "t/.pad/5", "t/.pad"]
        );
    }

    fn hostile_component() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::sample::select(vec!["", ".", "..", "a", "A", "a.1", "b", "a/b", "a\\b", "\0", "\u{202e}"])
                .prop_map(|text| text.as_bytes().to_vec()),
            proptest::collection::vec(any::<u8>(), 0..300),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn paths_are_safe_and_distinct(
            files in proptest::collection::vec(proptest::collection::vec(hostile_component(), 1..4), 1..20)
        ) {
            let borrowed: Vec<Vec<&[u8]>> =
                files.iter().map(|file| file.iter().map(Vec::as_slice).collect()).collect();
            let raw: Vec<_> =
                borrowed.iter().map(|components| RawPath { components, on_disk: true }).collect();
            for rules in [Rules::Unix, Rules::Windows] {
                let paths = resolve_by("t", &raw, rules);
                let mut all: Vec<Vec<String>> = Vec::new();
                for (path, raw) in paths.iter().zip(&raw) {
                    prop_assert_eq!(path.components().len(), raw.components.len() + 1);
                    for name in path.components() {
                        prop_assert!(!name.is_empty() && name != "." && name != ".." && name.len() <= 255);
                        prop_assert!(!name.contains(['/', '\\', '\0']));
                        prop_assert!(!name.chars().any(char::is_control));
                    }
                    let normal = |part| matches!(part, std::path::Component::Normal(_));
                    prop_assert!(path.to_path_buf().components().all(normal));
                    all.push(path.components().iter().map(|name| folded(name)).collect());
                }
                for (index, one) in all.iter().enumerate() {
                    for other in &all[index + 1..] {
                        prop_assert!(!one.starts_with(other) && !other.starts_with(one), "{:?} {:?}", one, other);
                    }
                }
            }
        }
    }
}
