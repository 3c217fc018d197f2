//! "Pure cores, thin shells" as a test: reads every manifest and fails on a dependency that points the wrong way, or
//! on a crate in a pure one that could reach a clock, a socket, a file, a thread or entropy.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The workspace crates, and which others each may name.
const MAY_NAME: &[(&str, &str, &[&str])] = &[
    ("common/sha1-lanes", "potluck-sha1-lanes", &[]),
    ("common", "potluck-common", &["potluck-sha1-lanes"]),
    ("peer/core", "potluck-core", &["potluck-common"]),
    ("peer/sim", "potluck-sim", &["potluck-common", "potluck-core", "potluck-tracker-core"]),
    ("tracker/core", "potluck-tracker-core", &["potluck-common"]),
    ("peer", "potluck-peer", &["potluck-common", "potluck-core"]),
    ("tracker", "potluck-tracker", &["potluck-common", "potluck-tracker-core"]),
    ("tui", "potluck", &["potluck-common", "potluck-peer", "potluck-tracker"]),
];

/// The pure crates, and every outside crate that they may use: none of these does input or output of its own accord.
const PURE: &[(&str, &[&str])] = &[
    (
        "common",
        &[
            "bitvec",
            "bytes",
            "data-encoding",
            "percent-encoding",
            "serde",
            "serde_bencode",
            "serde_bytes",
            "sha1",
            "sha2",
            "thiserror",
            "url",
        ],
    ),
    ("common/sha1-lanes", &["sha1"]),
    ("peer/core", &["bytes", "indexmap", "thiserror"]),
    ("tracker/core", &["indexmap", "thiserror"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn manifest(folder: &str) -> toml::Table {
    let path = root().join(folder).join("Cargo.toml");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of what `folder` builds with, tests apart.
fn dependencies(folder: &str) -> BTreeSet<String> {
    let manifest = manifest(folder);
    let tables = ["dependencies", "build-dependencies"].map(|name| manifest.get(name));
    let targets = manifest.get("target").and_then(|target| target.as_table());
    let targeted =
        targets.into_iter().flat_map(|targets| targets.values()).map(|target| target.get("dependencies"));
    let tables = tables.into_iter().chain(targeted).flatten().filter_map(|table| table.as_table());
    tables.flat_map(|table| table.keys().cloned()).collect()
}

#[test]
fn every_member_is_known_here() {
    let workspace = manifest(".");
    let members = workspace["workspace"]["members"].as_array().expect("a list");
    let members: BTreeSet<&str> = members.iter().filter_map(|member| member.as_str()).collect();
    let known: BTreeSet<&str> = MAY_NAME.iter().map(|(folder, ..)| *folder).collect();
    assert_eq!(members, known, "a new member needs its place in the order of dependencies");
}

#[test]
fn dependencies_point_towards_the_pure_crates() {
    let names: BTreeMap<&str, &str> = MAY_NAME.iter().map(|(folder, name, _)| (*name, *folder)).collect();
    for (folder, name, allowed) in MAY_NAME {
        assert_eq!(manifest(folder)["package"]["name"].as_str(), Some(*name));
        for dependency in dependencies(folder).iter().filter(|name| names.contains_key(name.as_str())) {
            assert!(allowed.contains(&dependency.as_str()), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn pure_crates_use_nothing_that_reaches_the_outside() {
    for (folder, allowed) in PURE {
        for dependency in dependencies(folder).iter().filter(|name| !name.starts_with("potluck")) {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{folder} is pure and must not depend on {dependency}"
            );
        }
        let lints = root().join(folder).join(".clippy.toml");
        let lints = fs::read_to_string(&lints).unwrap_or_else(|error| panic!("{}: {error}", lints.display()));
        for banned in [
            "std::time::Instant",
            "std::time::SystemTime",
            "std::collections::HashMap",
            "std::fs::File",
            "std::net::UdpSocket",
            "std::thread::spawn",
        ] {
            assert!(lints.contains(banned), "{folder}/.clippy.toml must ban {banned}");
        }
    }
}

#[test]
fn each_crate_has_one_integration_test_binary() {
    for (folder, ..) in MAY_NAME {
        let tests = root().join(folder).join("tests");
        let Ok(entries) = fs::read_dir(&tests) else { continue };
        let stray: Vec<_> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().extension().is_some_and(|e| e == "rs"))
            .collect();
        assert!(
            stray.is_empty(),
            "{stray:?}: each test binary links the whole crate again; put it under tests/it/"
        );
    }
}

/// Where a clock that somebody may set is read, and for what. Everything else runs on monotonic ones.
const WALL_CLOCKS: &[(&str, &str)] = &[
    ("tui/src/cli/create.rs", "the creation date of a torrent"),
    ("peer/src/disk/stamp.rs", "whether a file changed, by what its file system says"),
    ("tui/src/io/dashboard.rs", "how long ago something happened, as a person reads it"),
    ("peer/src/manager/clock.rs", "when a torrent was taken in, and the rates of days"),
    ("tui/src/cli/transfer/kept.rs", "which kept metadata was not used for long: it can be fetched again"),
    ("peer/src/resume/journal.rs", "the name of a bad file that is kept"),
];

#[test]
fn row_5_9_the_time_of_day_decides_nothing() {
    for (folder, ..) in MAY_NAME {
        let is_test = |path: &PathBuf| path.components().any(|part| part.as_os_str() == "tests");
        for path in sources(&root().join(folder).join("src")).into_iter().filter(|path| !is_test(path)) {
            let text =
                fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let name =
                path.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/");
            let reads = text.lines().any(|line| {
                let code = line.split("//").next().unwrap_or_default();
                code.contains("SystemTime") || code.contains("UNIX_EPOCH") || code.contains("Utc::now")
            });
            let is_known = WALL_CLOCKS.iter().any(|(known, _)| name.ends_with(known));
            assert!(!reads || is_known, "{name} reads the time of day, which jumps; use a monotonic clock");
        }
    }
}

/// Every Rust file below `folder`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    paths
        .flat_map(|path| match path.extension() {
            _ if path.is_dir() => sources(&path),
            Some(extension) if extension == "rs" => vec![path],
            _ => Vec::new(),
        })
        .collect()
}
