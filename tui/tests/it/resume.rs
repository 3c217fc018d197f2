//! What is remembered from run to run, and what people see of it.

use std::{fs, time::Duration};

use libtest_mimic::Trial;
use potluck_common::metainfo::Metainfo;
use potluck_peer::resume::peek;
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    sandbox::{Done, Running, Sandbox, assert_same},
    test,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test(
            "what_was_got_is_not_checked_again_unless_asked",
            what_was_got_is_not_checked_again_unless_asked,
        ),
        test("a_seeded_path_is_hashed_once", a_seeded_path_is_hashed_once),
        test(
            "a_finished_payload_that_is_gone_is_3_and_never_fetched",
            a_finished_payload_that_is_gone_is_3_and_never_fetched,
        ),
        test("the_same_folder_twice_is_10", the_same_folder_twice_is_10),
        test("a_damaged_state_costs_a_check", a_damaged_state_costs_a_check),
        test("without_a_place_for_state_there_is_a_warning", without_a_place_for_state_there_is_a_warning),
        test("row_5_10_an_interrupted_check_goes_on", an_interrupted_check_goes_on),
    ]
}

/// The payload `src/d` of two files and its torrent, and a seeder of it.
fn scene() -> (Sandbox, Running, String) {
    let sandbox = Sandbox::new();
    sandbox.file("src/d/a", 1_000_000, 1);
    sandbox.file("src/d/sub/b", 600_000, 2);
    sandbox.create("src/d --piece 32k");
    let (seed, address) = sandbox.seed("d.torrent -o src");
    let line = format!("get d.torrent -o dst --port 0 --bind {} --peer {address}", sandbox.ip());
    (sandbox, seed, line)
}

fn completes(sandbox: &Sandbox, line: &str) -> Done {
    let done = sandbox.potluck(line);
    assert_eq!(done.code, Some(0), "{line}: {done:?}");
    done
}

/// How many pieces a run of `get --json` had, and how many it read to know that.
fn checked(done: &Done) -> (u64, u64) {
    let events = done.events();
    let checked = events.iter().find(|event| event["event"] == "checked").expect("it looks at what is there");
    (checked["have"].as_u64().expect("a number"), checked["rechecked"].as_u64().expect("a number"))
}

fn states(done: &Done) -> Vec<Value> {
    done.events().into_iter().map(|event| event["state"].clone()).filter(|state| !state.is_null()).collect()
}

fn what_was_got_is_not_checked_again_unless_asked() {
    let (sandbox, _seed, line) = scene();
    assert_eq!(checked(&completes(&sandbox, &format!("{line} --json"))), (0, 0));
    let again = completes(&sandbox, &format!("{line} --json"));
    assert_eq!(checked(&again), (49, 0));
    assert!(!states(&again).contains(&"checking".into()), "nothing to check: {again:?}");
    // The same folder by another name.
    let other = line.replace("-o dst", "-o src/../dst/.");
    assert_eq!(checked(&completes(&sandbox, &format!("{other} --json"))), (49, 0));
    assert_eq!(checked(&completes(&sandbox, &format!("{line} --json --check"))), (49, 49));
    assert_eq!(checked(&completes(&sandbox, &format!("{line} --json --no-state"))), (49, 49));
    // A change costs the pieces of its file, and what it damaged is fetched again.
    let mut bytes = fs::read(sandbox.path("dst/d/sub/b")).expect("there");
    bytes[300_000] ^= 1;
    fs::write(sandbox.path("dst/d/sub/b"), bytes).expect("written");
    assert_eq!(checked(&completes(&sandbox, &format!("{line} --json"))), (48, 19));
    assert_same(&sandbox.path("src/d"), &sandbox.path("dst/d"));
    assert_eq!(checked(&completes(&sandbox, &format!("{line} --json"))), (49, 0));
}

fn a_seeded_path_is_hashed_once() {
    let sandbox = Sandbox::new();
    sandbox.file("one.bin", 300_000, 3);
    let seed = |options: &str| {
        let mut seed = sandbox.start(&format!("seed --json --port 0 --bind {} {options}", sandbox.ip()));
        let checked = seed.wait_for(|event| event["event"] == "checked");
        seed.wait_for(|event| event["state"] == "seeding");
        seed.signal(Signal::INT);
        assert_eq!(seed.finish().code, Some(0));
        (checked["have"] == checked["pieces"], checked["rechecked"].as_u64().expect("a number"))
    };
    assert_eq!(seed("one.bin --torrent one.torrent"), (true, 0));
    assert_eq!(seed("one.bin --no-state"), (true, 0), "it is not the state that says so");
    assert_eq!(seed("one.torrent"), (true, 0), "and it is remembered");
    let (complete, rechecked) = seed("one.torrent --check");
    assert!(complete && rechecked > 0);
}

fn a_finished_payload_that_is_gone_is_3_and_never_fetched() {
    let (sandbox, _seed, line) = scene();
    completes(&sandbox, &line);
    fs::rename(sandbox.path("dst/d/sub"), sandbox.path("away")).expect("moved");
    sandbox.potluck(&line).fails(3, &["d was complete", "dst/d/sub/b is missing", "drive", "--check"]);
    assert!(!sandbox.path("dst/d/sub").exists(), "nothing is made in its place");
    // Back again: it goes on without a check.
    fs::rename(sandbox.path("away"), sandbox.path("dst/d/sub")).expect("moved");
    assert_eq!(checked(&completes(&sandbox, &format!("{line} --json"))), (49, 0));

    fs::rename(sandbox.path("dst"), sandbox.path("away")).expect("moved");
    sandbox.potluck(&line).fails(3, &["dst/d/a is missing"]);
    assert!(!sandbox.path("dst").exists(), "not even the folder is made");
    // A folder that is there and empty is what a drive leaves that is not connected.
    fs::create_dir(sandbox.path("dst")).expect("a folder");
    sandbox.potluck(&line).fails(3, &["dst/d/a is missing"]);
    let seeds = line.replace("get ", "seed ");
    sandbox.potluck(&seeds).fails(3, &["dst/d/a is missing"]);
    assert_eq!(fs::read_dir(sandbox.path("dst")).expect("there").count(), 0);
    // Whoever says so begins anew.
    completes(&sandbox, &format!("{line} --check"));
    assert_same(&sandbox.path("src/d"), &sandbox.path("dst/d"));
}

fn the_same_folder_twice_is_10() {
    let (sandbox, _seed, line) = scene();
    let mut first = sandbox.start(&format!("{line} --json --seed"));
    first.wait_for(|event| event["state"] == "seeding");
    sandbox.potluck(&line).fails(10, &["another Potluck has d in dst", "end that one first"]);
    completes(&sandbox, &line.replace("-o dst", "-o elsewhere"));
    first.signal(Signal::KILL);
    first.finish();
    completes(&sandbox, &line);
}

fn a_damaged_state_costs_a_check() {
    let (sandbox, _seed, line) = scene();
    completes(&sandbox, &line);
    let folder = sandbox.path("state/resume");
    let names = || {
        let entries = fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        let mut names: Vec<_> = entries.collect();
        names.sort();
        names
    };
    for path in names().iter().filter(|path| !path.to_string_lossy().ends_with(".lock")) {
        let bytes = fs::read(path).expect("there");
        fs::write(path, &bytes[..bytes.len() / 2]).expect("written");
    }
    let mut command = sandbox.command();
    command.env("POTLUCK_LOG", "potluck_peer=warn").args(format!("{line} --json").split_whitespace());
    let done = Running::start(command).finish();
    // The seeder's own state lies there too, and nobody reads that.
    assert_eq!((done.code, checked(&done)), (Some(0), (49, 49)), "{done:?}");
    assert!(done.stderr.lines().count() <= 2 && done.stderr.contains("it is kept as"), "{done:?}");
    assert!(names().iter().any(|path| path.to_string_lossy().ends_with(".resume.bad")), "{:?}", names());
    assert_eq!(checked(&completes(&sandbox, &format!("{line} --json"))), (49, 0));
}

fn without_a_place_for_state_there_is_a_warning() {
    let (sandbox, _seed, line) = scene();
    let done = completes(&sandbox, &format!("{line} --state-dir d.torrent/state"));
    assert_eq!(done.stderr.lines().filter(|line| line.contains("warning")).count(), 1, "{done:?}");
    assert!(
        done.stderr.contains("cannot write to d.torrent/state") && done.stderr.contains("--state-dir"),
        "{done:?}"
    );
    let again = completes(&sandbox, &format!("{line} --json --state-dir d.torrent/state"));
    assert_eq!(checked(&again), (49, 49));
}

/// Pieces of one byte make a check that lasts.
fn an_interrupted_check_goes_on() {
    const PIECES: u64 = 250_000;
    let sandbox = Sandbox::new();
    sandbox.file("one.bin", PIECES as usize, 5);
    sandbox.create("one.bin --piece 1");
    let metainfo = Metainfo::parse(&fs::read(sandbox.path("one.bin.torrent")).expect("made")).expect("valid");
    let known =
        || peek(&sandbox.path("state"), &metainfo, &sandbox.path(".")).map_or(0, |state| state.known.count());
    let line = format!("get one.bin.torrent --json --port 0 --bind {} --state-interval-ms 100", sandbox.ip());
    let mut first = sandbox.start(&line);
    first.wait_for(|event| event["state"] == "checking");
    wait_until(|| known() > 0);
    first.signal(Signal::INT);
    let done = first.finish();
    assert_eq!(done.code, Some(7), "{done:?}");
    let after_first = u64::from(known());
    assert!(0 < after_first && after_first < PIECES, "in the middle: {after_first}");

    let mut second = sandbox.start(&line);
    second.wait_for(|event| event["state"] == "checking");
    wait_until(|| u64::from(known()) > after_first);
    second.signal(Signal::KILL);
    second.finish();
    let after_second = u64::from(known());
    assert!(after_second < PIECES, "in the middle: {after_second}");

    let third = completes(&sandbox, &line);
    assert_eq!(checked(&third), (PIECES, PIECES - after_second));

    // The same of a check that was forced.
    let mut forced = sandbox.start(&format!("{line} --check"));
    forced.wait_for(|event| event["state"] == "checking");
    wait_until(|| (1..PIECES).contains(&u64::from(known())));
    forced.signal(Signal::KILL);
    forced.finish();
    let after_forced = u64::from(known());
    // It is a finished torrent all the same, and its drive may have gone.
    let (payload, away) = (sandbox.path("one.bin"), sandbox.path("away.bin"));
    fs::rename(&payload, &away).expect("moved");
    assert_eq!(sandbox.potluck(&line).code, Some(3));
    assert!(!payload.exists(), "nothing is made in its place");
    fs::rename(&away, &payload).expect("moved");
    assert_eq!(checked(&completes(&sandbox, &line)), (PIECES, PIECES - after_forced));

    // The drive goes during a check.
    let mut forced = sandbox.start(&format!("{line} --check"));
    forced.wait_for(|event| event["state"] == "checking");
    wait_until(|| (1..PIECES).contains(&u64::from(known())));
    fs::rename(&payload, &away).expect("moved");
    let done = forced.finish();
    assert_eq!((done.code, payload.exists()), (Some(3), false), "{done:?}");
    fs::rename(&away, &payload).expect("moved");
    completes(&sandbox, &line);
}

#[track_caller]
fn wait_until(is_so: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + crate::sandbox::PATIENCE;
    while !is_so() {
        assert!(std::time::Instant::now() < deadline, "it never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}
