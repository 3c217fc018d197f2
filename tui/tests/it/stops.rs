//! Signals: what Ctrl-C and SIGTERM do, and that the same command goes on afterwards.

use std::time::Duration;

use libtest_mimic::Trial;
use rustix::process::Signal;

use crate::{
    sandbox::{Sandbox, assert_same},
    test,
    tracker::{tracker_without_farewell, wait_to_hear},
};

/// A graceful end takes at most this long; some more for a busy machine.
const GRACE: Duration = Duration::from_secs(3 + 2);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("ctrl_c_of_a_get_is_7_and_the_same_get_goes_on", ctrl_c_of_a_get_is_7_and_the_same_get_goes_on),
        test("ctrl_c_of_a_seed_is_0", ctrl_c_of_a_seed_is_0),
        test("sigterm_is_143", sigterm_is_143),
        test("row_5_8_sigterm_of_many_seeds_with_a_dead_tracker", sigterm_with_a_dead_tracker),
        test("ctrl_c_twice_is_130", ctrl_c_twice_is_130),
        test("timeouts_are_6", timeouts_are_6),
    ]
}

fn ctrl_c_of_a_get_is_7_and_the_same_get_goes_on() {
    let sandbox = Sandbox::new();
    sandbox.file("src/one.bin", 4_000_000, 1);
    sandbox.create("src/one.bin --piece 32k");
    let (slow, addr) = sandbox.seed("one.bin.torrent -o src --up 500k");
    let line = format!("get one.bin.torrent -o dst --json --port 0 --bind {}", sandbox.ip());
    let mut get = sandbox.start(&format!("{line} --peer {addr}"));
    get.wait_for(|event| event["wanted_have"].as_u64().is_some_and(|have| have > 300_000));
    get.signal(Signal::INT);
    let done = get.finish_within(GRACE);
    done.fails(7, &["one.bin.torrent", "stopped at", "goes on from there"]);
    let stopped = done.events().pop().expect("a result");
    assert_eq!((&stopped["event"], &stopped["exit"]), (&"result".into(), &7.into()));
    drop(slow);

    let (_seed, addr) = sandbox.seed("one.bin.torrent -o src");
    let done = sandbox.potluck(&format!("{line} --peer {addr}"));
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_same(&sandbox.path("src/one.bin"), &sandbox.path("dst/one.bin"));
    let last = done.events().pop().expect("a result");
    let again = last["downloaded"].as_u64().expect("a number");
    assert!(again <= 4_000_000 - 250_000, "what was there is not fetched again: {last}");
}

fn ctrl_c_of_a_seed_is_0() {
    let sandbox = Sandbox::new();
    sandbox.file("one.bin", 100_000, 2);
    let (seed, _) = sandbox.seed("one.bin");
    seed.signal(Signal::INT);
    let done = seed.finish_within(GRACE);
    assert_eq!((done.code, &done.stderr[..]), (Some(0), ""), "{done:?}");
    assert_eq!(done.events().pop().expect("a result")["event"], "result");
}

fn sigterm_is_143() {
    let sandbox = Sandbox::new();
    sandbox.file("one.bin", 100_000, 3);
    let (seed, _) = sandbox.seed("one.bin");
    seed.signal(Signal::TERM);
    assert_eq!(seed.finish_within(GRACE).code, Some(143));
    sandbox.create("one.bin");
    let mut get =
        sandbox.start(&format!("get one.bin.torrent -o dst --json --port 0 --bind {}", sandbox.ip()));
    get.wait_for(|event| event["state"] == "downloading");
    get.signal(Signal::TERM);
    get.finish_within(GRACE).fails(143, &["one.bin.torrent", "stopped at 0 %"]);
}

/// Ten torrents, and a tracker that answered once and then accepts and is silent.
fn sigterm_with_a_dead_tracker() {
    let sandbox = Sandbox::new();
    let (tracker, _heard) = tracker_without_farewell(&sandbox);
    let names: Vec<String> = (0..10).map(|number| format!("{number}.bin")).collect();
    for (name, seed) in names.iter().zip(20..) {
        sandbox.file(name, 50_000, seed);
    }
    let line = format!("{} --tracker http://{tracker}/announce", names.join(" "));
    let mut seeds = sandbox.start(&format!("seed --json --bind {} --port 0 {line}", sandbox.ip()));
    let mut answered = 0;
    seeds.wait_for(|event| {
        answered += u32::from(event["event"] == "tracker_replied");
        answered == 10
    });
    seeds.signal(Signal::TERM);
    let done = seeds.finish_within(Duration::from_secs(10));
    assert_eq!(done.code, Some(143), "{done:?}");
    let results = done.events().iter().filter(|event| event["event"] == "result").count();
    assert_eq!(results, 10, "each tells how it ended: {done:?}");
}

/// The tracker answers once and then never again, so that the first Ctrl-C waits for its farewell.
fn ctrl_c_twice_is_130() {
    let sandbox = Sandbox::new();
    sandbox.file("one.bin", 100_000, 4);
    let (tracker, heard) = tracker_without_farewell(&sandbox);
    let (mut seed, _) = sandbox.seed(&format!("one.bin --tracker http://{tracker}/announce"));
    seed.wait_for(|event| event["event"] == "tracker_replied");
    seed.signal(Signal::INT);
    wait_to_hear(&heard, "stopped");
    seed.signal(Signal::INT);
    let done = seed.finish_within(GRACE);
    assert_eq!(done.code, Some(130), "{done:?}");
}

fn timeouts_are_6() {
    let sandbox = Sandbox::new();
    sandbox.file("one.bin", 100_000, 5);
    sandbox.create("one.bin --tracker http://127.0.0.1:1/announce");
    let line = format!("get one.bin.torrent -o dst --port 0 --bind {}", sandbox.ip());
    // A dead tracker is said once, and never ends a download by itself.
    let done = sandbox.potluck(&format!("{line} --stall-timeout 2s"));
    done.fails(6, &["one.bin.torrent", "nothing arrived for 2s", "at 0 %: no peer", "goes on from there"]);
    let warning = done.stderr.lines().find(|line| line.contains("warning: tracker"));
    assert!(
        warning.is_some_and(|line| line.contains("127.0.0.1:1")
            && line.contains("again in")
            && !line.contains("os error")),
        "{done:?}"
    );
    sandbox.potluck(&format!("{line} --timeout 1s")).fails(6, &["one.bin.torrent", "not complete after 1s"]);
}
