//! The manifest of `torrents/`, and the files it lists.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use potluck_common::Rng;
use serde::Deserialize;

/// What `torrents/manifest.toml` says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) sample: Vec<Sample>,
    pub(crate) bad: Vec<Bad>,
}

/// A torrent that is read, and what must be read from it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sample {
    pub(crate) file: String,
    /// What it is there for; for people.
    pub(crate) shows: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) info_hash: Option<String>,
    pub(crate) info_hash_v2: Option<String>,
    pub(crate) piece_length: u32,
    pub(crate) pieces: u32,
    pub(crate) total_size: u64,
    #[serde(default)]
    pub(crate) private: bool,
    #[serde(default)]
    pub(crate) trackers: Vec<Vec<String>>,
    /// The files of the payload in its order, without padding.
    pub(crate) files: Vec<Recipe>,
}

/// A file and how its content is made.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recipe {
    pub(crate) path: String,
    pub(crate) length: u64,
    /// Absent when there is no content: an empty file, or a link that is not created.
    #[serde(default)]
    pub(crate) seed: u64,
}

impl Recipe {
    /// The content: what a generator with this seed gives.
    pub(crate) fn content(&self) -> Vec<u8> {
        content(self.length, self.seed)
    }
}

/// A torrent that is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bad {
    pub(crate) file: String,
    /// The kind of damage.
    pub(crate) kind: String,
    /// Words of the message.
    pub(crate) error: String,
}

/// The first `length` bytes of the generator with this `seed`.
pub(crate) fn content(length: u64, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; length as usize];
    Rng::new(seed).fill(&mut bytes);
    bytes
}

/// The folder `torrents` of the repository.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../torrents")
}

/// The manifest.
pub(crate) fn manifest() -> Manifest {
    let text = String::from_utf8(read("manifest.toml")).expect("the manifest is text");
    toml::from_str(&text).expect("the manifest is well formed")
}

/// The content of a file below `torrents`.
#[expect(clippy::disallowed_methods, reason = "this test is the shell of a pure crate")]
pub(crate) fn read(file: &str) -> Vec<u8> {
    std::fs::read(folder().join(file)).unwrap_or_else(|error| panic!("torrents/{file}: {error}"))
}

/// The names of the torrents in a folder, each with `prefix` before it.
fn listed(prefix: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder().join(prefix)).expect("the folder is there");
    let names = entries.map(|entry| entry.expect("readable").file_name().into_string().expect("ASCII names"));
    names.filter(|name| name.ends_with(".torrent")).map(|name| format!("{prefix}{name}")).collect()
}

#[test]
fn the_manifest_lists_every_torrent_and_no_other() {
    let manifest = manifest();
    let samples: BTreeSet<_> = manifest.sample.iter().map(|sample| sample.file.clone()).collect();
    assert_eq!(listed(""), samples);
    let bad: BTreeSet<_> = manifest.bad.iter().map(|bad| bad.file.clone()).collect();
    assert_eq!(listed("bad/"), bad);
    assert!(manifest.sample.iter().all(|sample| !sample.shows.is_empty()));
}
