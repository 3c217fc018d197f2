//! The inputs of `peer/fuzz/corpus` through the drivers of the fuzz targets, on the toolchain at hand.

use std::{
    any::Any,
    collections::BTreeSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

#[expect(unreachable_pub, reason = "it is the root of a library, too: that of the fuzz targets")]
#[path = "../../../fuzz/src/lib.rs"]
mod drivers;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus")
}

fn names(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_input_that_was_ever_found_passes() {
    let mut failures = Vec::new();
    for (target, run) in drivers::TARGETS {
        let inputs = names(&corpus().join(target));
        assert!(!inputs.is_empty(), "{target} has inputs");
        for input in inputs {
            let bytes = read(&input);
            if let Err(cause) = catch_unwind(AssertUnwindSafe(|| run(&bytes))) {
                failures.push(format!("{}: {}", input.display(), message(&*cause)));
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn every_target_has_a_program_and_every_folder_a_target() {
    let known: BTreeSet<_> = drivers::TARGETS.iter().map(|(target, _)| (*target).to_owned()).collect();
    let stem = |path: PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
    let folders: BTreeSet<_> = names(&corpus()).into_iter().map(stem).collect();
    let programs: BTreeSet<_> = names(&corpus().join("../fuzz_targets")).into_iter().map(stem).collect();
    assert_eq!(folders, known, "folders of the corpus");
    assert_eq!(programs, known, "programs");
}

#[expect(clippy::disallowed_methods, reason = "this test is the shell of a pure crate")]
fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn message(cause: &(dyn Any + Send)) -> &str {
    let text = cause.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("a panic without words")
}
