//! The program itself: bytes, files and exit codes.

#![expect(clippy::disallowed_methods, reason = "files are what is tested")]

use std::{path::PathBuf, process::Command};

/// A scenario that is over within a second.
const TINY: &str = "leechers = 12\npieces = 8\nneighbours = 6\nseeds = { up = 200000.0 }\n\
                    free_riders = { share = 0.25, kind = \"zero-upload\" }\n";

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder for the test");
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a file for the test");
        path.to_string_lossy().into_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// The exit code, standard output and standard error.
fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_potluck-sim")).args(arguments).output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn two_processes_play_the_same_run_of_a_seed() {
    let play = || {
        let (code, out, err) = run(&["wire", "--seed", "2", "--check"]);
        assert_eq!(code, Some(0), "{err}");
        out
    };
    let first = play();
    assert_eq!(first, play());
    let value: serde_json::Value = serde_json::from_str(&first).expect("a line of JSON");
    assert!(value["run"]["digest"].as_str().is_some_and(|digest| digest.len() == 16), "{first}");
}

#[test]
fn two_processes_write_the_same_bytes_however_many_threads_they_have() {
    let folder = Folder::new("bytes");
    let scenario = folder.file("tiny.toml", TINY);
    let csv = |name: &str| folder.0.join(name).to_string_lossy().into_owned();
    let (one, two) = (csv("one.csv"), csv("two.csv"));
    let first = run(&["run", &scenario, "--seed", "1..3", "--jobs", "1", "--csv", &one]);
    let second = run(&["run", &scenario, "--seed", "1..=3", "--jobs", "3", "--csv", &two]);
    assert_eq!((first.0, second.0), (Some(0), Some(0)), "{}", first.2);
    assert_eq!(first.1, second.1);
    assert_eq!(first.1.lines().count(), 3);
    let read = |path: &str| std::fs::read_to_string(path).expect("it was written");
    assert_eq!(read(&one), read(&two));
    assert!(read(&one).lines().count() > 6, "{}", read(&one));
    for (line, seed) in first.1.lines().zip(1..) {
        let value: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        assert_eq!((value["scenario"].as_str(), value["seed"].as_u64()), (Some("tiny"), Some(seed)));
        assert!(value["metrics"]["free_riders_over_good"].is_number(), "{line}");
    }
}

#[test]
fn the_exit_code_says_whether_goals_are_met_and_arguments_right() {
    let folder = Folder::new("codes");
    let scenario = folder.file("tiny.toml", TINY);
    let goal =
        |bound: &str| format!("[[goal]]\nname = \"G\"\nscenario = \"tiny\"\nmetric = \"interest\"\n{bound}");
    let met = folder.file("met.toml", &goal("most = 1.0"));
    let missed = folder.file("missed.toml", &goal("least = 1.5"));
    let boundless = folder.file("boundless.toml", &goal(""));
    let cases: [(&[&str], i32, &str); 10] = [
        (&["run", &scenario, "--seed", "1", "--check", &met], 0, "1 of 1 met"),
        (&["run", &scenario, "--seed", "1", "--check", &missed], 1, "MISSED by"),
        (&["run", &scenario, "--seed", "1", "--check", &boundless], 2, "neither `least` nor `most`"),
        (&["run", &scenario, "--seed", "1", "--check"], 2, "no goal names tiny"),
        (&["run", "calibration", "--seed", "1", "--check"], 2, "no goal names calibrate-bep3"),
        (&["run", &scenario, "--seed", "1", "--quick"], 2, "without --quick"),
        (&["run", "nothing-like-it"], 2, "no scenario is called nothing-like-it"),
        (&["run", "no/such/file.toml"], 2, "no/such/file.toml"),
        (&["run", &scenario, "--seed", "5..1"], 2, "is not 1 to"),
        (&["stroll"], 2, "stroll"),
    ];
    for (arguments, code, words) in cases {
        let (is, _, said) = run(arguments);
        assert_eq!(is, Some(code), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}

#[test]
fn simulators_are_compared_where_both_can_play() {
    let folder = Folder::new("compare");
    let both = format!("latency_ms = 40\nreplenish = false\n{TINY}");
    let (both, fluid) = (folder.file("both.toml", &both), folder.file("fluid.toml", TINY));
    let (code, lines, said) = run(&["compare", &both, "--seed", "1..2"]);
    assert_eq!((code, lines.lines().count()), (Some(0), 2), "{said}");
    assert!(said.contains("free_riders_over_good"), "{said}");
    let line: serde_json::Value = serde_json::from_str(lines.lines().next().expect("two")).expect("JSON");
    for simulator in ["fluid", "wire"] {
        assert!(line[simulator]["mean_over_bound"].is_number(), "{line}");
    }
    let (code, _, said) = run(&["compare", &fluid, "--seed", "1"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("is not played to the byte"), "{said}");
}

#[test]
fn a_picture_shows_both_groups_and_the_goals() {
    let folder = Folder::new("plot");
    let scenario = folder.file("tiny.toml", TINY);
    let goals = "[[goal]]\nname = \"G\"\nscenario = \"tiny\"\nmetric = \"interest\"\nmost = 1.0";
    let goals = folder.file("goals.toml", goals);
    let picture = folder.0.join("out.svg").to_string_lossy().into_owned();
    let (code, _, said) = run(&["run", &scenario, "--seed", "1..2", "--check", &goals, "--plot", &picture]);
    assert_eq!(code, Some(0), "{said}");
    let drawn = std::fs::read_to_string(&picture).expect("it was drawn");
    for wanted in ["<svg", "contributors", "free riders", "tiny interest at most 1"] {
        assert!(drawn.contains(wanted), "{wanted}");
    }
}

#[test]
fn the_list_names_scenarios_sets_and_free_riders() {
    let (code, listed, _) = run(&["list"]);
    assert_eq!(code, Some(0));
    for wanted in ["g7-super-seed", "fairness", "identity-reset", "crowd-10000"] {
        assert!(listed.contains(wanted), "{wanted}");
    }
}
