//! The dashboard of a `get`, on a terminal.

use std::{fs, net::TcpListener};

use libtest_mimic::Trial;
use portable_pty::CommandBuilder;
use rustix::process::Signal;

use crate::{
    dashboard::wait_until,
    sandbox::{Running, Sandbox, assert_same},
    terminal::OnTerminal,
    test,
    tracker::{tracker_without_farewell, wait_to_hear},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("get_shows_the_dashboard_until_it_is_done", get_shows_the_dashboard_until_it_is_done),
        test("a_file_is_skipped_in_the_dashboard_of_get", a_file_is_skipped_in_the_dashboard_of_get),
        test("a_get_is_paused_and_goes_on", a_get_is_paused_and_goes_on),
        test("a_get_is_verified_while_it_runs", a_get_is_verified_while_it_runs),
        test("a_get_is_removed_with_its_data", a_get_is_removed_with_its_data),
        test("leaving_the_dashboard_of_get_stops_it", leaving_the_dashboard_of_get_stops_it),
        test("a_closed_terminal_ends_a_get_gracefully", a_closed_terminal_ends_a_get_gracefully),
        test("ctrl_c_after_the_end_of_a_get_is_0", ctrl_c_after_the_end_of_a_get_is_0),
        test("what_on_done_prints_waits_for_the_terminal", what_on_done_prints_waits_for_the_terminal),
        test("a_get_that_fetches_is_suspended", a_get_that_fetches_is_suspended),
    ]
}

fn get_shows_the_dashboard_until_it_is_done() {
    let (sandbox, _seed, line) = slow_download();
    let mut get = OnTerminal::start(&sandbox, &line, 140, 40);
    get.wait_to_see("from 1 of 1 peer");
    get.press("p");
    get.wait_to_see("wants nothing");
    // What a command cannot do it says.
    get.press("]");
    get.wait_to_see("potluck alone opens a dashboard that does that");
    hurry(&mut get);
    assert_eq!(get.finish(), 0, "{:?}", get.seen);
    get.assert_restored();
    let (_, after) = get.seen.rsplit_once("\x1b[?1049l").expect("restored");
    assert!(after.contains("one.bin: complete, 2.86 MiB in"), "{after:?}");
    assert_same(&sandbox.path("dst/one.bin"), &sandbox.path("src/one.bin"));
}

fn a_file_is_skipped_in_the_dashboard_of_get() {
    let sandbox = Sandbox::new();
    sandbox.file("src/two/a", 700_000, 3);
    sandbox.file("src/two/b", 6_000_000, 4);
    sandbox.create("src/two");
    let (_seed, peer) = sandbox.seed("two.torrent -o src");
    let line = format!("get two.torrent -o dst --port 0 --bind {} --peer {peer} {SLOWLY}", sandbox.ip());
    let mut get = OnTerminal::start(&sandbox, &line, 140, 40);
    get.wait_to_see("from 1 of 1 peer");
    get.press("f");
    get.wait_to_see("two/b");
    get.press("j ");
    get.wait_to_see("priorities changed");
    hurry(&mut get);
    assert_eq!(get.finish(), 0, "{:?}", get.seen);
    get.assert_restored();
    assert_same(&sandbox.path("dst/two/a"), &sandbox.path("src/two/a"));
    let rest = fs::read(sandbox.path("dst/two/b")).unwrap_or_default();
    assert_ne!(rest, fs::read(sandbox.path("src/two/b")).expect("it is there"), "nobody waited for it");
}

/// A payload of three megabytes that takes longer than anything that is waited for, unless [`hurry`] lifts its limit.
fn slow_download() -> (Sandbox, Running, String) {
    let sandbox = Sandbox::new();
    sandbox.file("src/one.bin", 3_000_000, 3);
    sandbox.create("src/one.bin");
    let (seed, peer) = sandbox.seed("one.bin.torrent -o src");
    let line = format!("get one.bin.torrent -o dst --port 0 --bind {} --peer {peer} {SLOWLY}", sandbox.ip());
    (sandbox, seed, line)
}

/// What a person does meanwhile takes as long as the machine likes.
const SLOWLY: &str = "--down 16k";

/// The limits of the turtle are usually larger than [`SLOWLY`].
fn hurry(get: &mut OnTerminal) {
    get.press("T");
}

fn a_get_is_paused_and_goes_on() {
    let (sandbox, _seed, line) = slow_download();
    let mut get = OnTerminal::start(&sandbox, &line, 140, 40);
    get.wait_to_see("from 1 of 1 peer");
    get.press(" ");
    get.wait_to_see("paused by you: Space goes on");
    // Nobody is connected any more, and the command goes on.
    get.wait_for_screen("no peers", |text| text.contains("peers 0/"));
    get.press(" ");
    get.wait_to_see("from 1 of 1 peer");
    hurry(&mut get);
    assert_eq!(get.finish(), 0, "{:?}", get.seen);
    get.assert_restored();
    let (_, after) = get.seen.rsplit_once("\x1b[?1049l").expect("restored");
    // What came before the pause was kept and is counted.
    assert!(after.contains("one.bin: complete, 2.86 MiB in"), "{after:?}");
    assert_same(&sandbox.path("dst/one.bin"), &sandbox.path("src/one.bin"));
    pauses_a_link(&sandbox);
    leaves_it_to_another(&sandbox, &line.replace("dst", "shared"));
    // Who leaves while it is paused leaves it unfinished.
    let mut get = OnTerminal::start(&sandbox, &line.replace("dst", "other"), 140, 40);
    get.wait_to_see("from 1 of 1 peer");
    get.press(" ");
    get.wait_to_see("paused by you: Space goes on");
    get.press("q");
    assert_eq!(get.finish(), 7, "{:?}", get.seen);
}

/// A link is paused, too, before anything is known of it.
fn pauses_a_link(sandbox: &Sandbox) {
    let line = format!("get {} -o dst --port 0 --bind {}", "ab".repeat(20), sandbox.ip());
    let mut get = OnTerminal::start(sandbox, &line, 140, 40);
    get.wait_to_see("waiting for a peer that has the metadata");
    get.press("v");
    get.wait_to_see("there is nothing to verify yet");
    get.press(" ");
    get.wait_to_see("paused by you: Space goes on");
    get.press(" ");
    get.wait_for_screen("it looks again", |text| {
        text.contains("waiting for a peer") && !text.contains("paused by you")
    });
    get.press("d");
    get.wait_to_see("Delete abab");
    get.press("D");
    assert_eq!(get.finish(), 7, "{:?}", get.seen);
    let (_, after) = get.seen.rsplit_once("\x1b[?1049l").expect("restored");
    assert!(after.contains("removed by you without the metadata"), "{after:?}");
}

/// While it is paused another one may fetch it, and then it cannot go on.
fn leaves_it_to_another(sandbox: &Sandbox, line: &str) {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_potluck"));
    command.args(line.split_whitespace());
    command.env("POTLUCK_STATE_DIR", sandbox.path("state"));
    let mut get = OnTerminal::start_command(sandbox, command, 140, 40);
    get.wait_to_see("from 1 of 1 peer");
    get.press(" ");
    get.wait_to_see("paused by you: Space goes on");
    let mut other = sandbox.start(&format!("{line} --json"));
    other.wait_for(|event| event["state"] == "downloading");
    get.press(" ");
    get.wait_to_see("another Potluck has one.bin in");
    other.signal(Signal::INT);
    assert_eq!(other.finish().code, Some(7));
    get.wait_to_see("paused by you: Space goes on");
    get.press(" ");
    hurry(&mut get);
    assert_eq!(get.finish(), 0, "{:?}", get.seen);
    assert_same(&sandbox.path("shared/one.bin"), &sandbox.path("src/one.bin"));
}

fn a_get_is_verified_while_it_runs() {
    let (sandbox, _seed, line) = slow_download();
    let mut get = OnTerminal::start(&sandbox, &line, 140, 40);
    let checks = |text: &str| text.matches("pieces are there").count();
    get.wait_for_screen("some of it", |text| {
        text.contains("from 1 of 1 peer") && !text.contains("  0% ") && checks(text) == 1
    });
    get.press("v");
    // What a check finds is told each time: at the beginning, and now.
    get.wait_for_screen("it was checked again", |text| checks(text) == 2);
    hurry(&mut get);
    assert_eq!(get.finish(), 0, "{:?}", get.seen);
    assert_same(&sandbox.path("dst/one.bin"), &sandbox.path("src/one.bin"));
}

fn a_get_is_removed_with_its_data() {
    let (sandbox, _seed, line) = slow_download();
    for (is_paused, key, is_deleted) in [(false, "t", false), (true, "D", true)] {
        let mut get = OnTerminal::start(&sandbox, &line, 140, 40);
        get.wait_to_see("from 1 of 1 peer");
        wait_until("the file is begun", || sandbox.path("dst/one.bin").exists());
        if is_paused {
            get.press(" ");
            get.wait_to_see("paused by you: Space goes on");
        }
        get.press("d");
        get.wait_to_see("Delete one.bin?");
        get.press(key);
        assert_eq!(get.finish(), 7, "{:?}", get.seen);
        get.assert_restored();
        let (_, after) = get.seen.rsplit_once("\x1b[?1049l").expect("restored");
        assert!(after.contains("removed by you at "), "{after:?}");
        assert_eq!(after.contains("and 1 file of its data"), is_deleted, "{after:?}");
        assert_eq!(sandbox.path("dst/one.bin").exists(), !is_deleted);
    }
}

fn leaving_the_dashboard_of_get_stops_it() {
    let sandbox = Sandbox::new();
    sandbox.file("src/one.bin", 2_000_000, 3);
    sandbox.create("src/one.bin");
    for (key, signal, code) in [
        (Some("q"), None, 7),
        (Some("\x03"), None, 7),
        (None, Some(Signal::INT), 7),
        (None, Some(Signal::TERM), 143),
    ] {
        let line = format!("get one.bin.torrent -o dst --port 0 --bind {}", sandbox.ip());
        let mut get = OnTerminal::start(&sandbox, &line, 80, 24);
        get.wait_to_see("no peer was given");
        if let Some(key) = key {
            get.press(key);
        }
        if let Some(signal) = signal {
            get.signal(signal);
        }
        assert_eq!(get.finish(), code, "{:?}", get.seen);
        get.assert_restored();
        let (_, after) = get.seen.rsplit_once("\x1b[?1049l").expect("restored");
        assert!(after.contains("stopped at 0 %"), "{after:?}");
    }
}

fn a_closed_terminal_ends_a_get_gracefully() {
    let sandbox = Sandbox::new();
    let (tracker, heard) = tracker_without_farewell(&sandbox);
    sandbox.file("src/one.bin", 2_000_000, 3);
    sandbox.create(&format!("src/one.bin --tracker http://{tracker}/announce"));
    for hears_of_it in [true, false] {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_potluck"));
        command.args(["get", "one.bin.torrent", "-o", "dst", "--port", "0", "--bind", &sandbox.ip()]);
        command.set_controlling_tty(hears_of_it);
        let mut get = OnTerminal::start_command(&sandbox, command, 80, 24);
        wait_to_hear(&heard, "started");
        get.wait_to_see("looking for peers");
        get.hang_up();
        wait_to_hear(&heard, "stopped");
        assert_eq!(get.finish(), 143, "{:?}", get.seen);
    }
}

fn ctrl_c_after_the_end_of_a_get_is_0() {
    let sandbox = Sandbox::new();
    let (tracker, heard) = tracker_without_farewell(&sandbox);
    sandbox.file("src/one.bin", 2_000_000, 3);
    sandbox.create(&format!("src/one.bin --tracker http://{tracker}/announce"));
    let (_seed, peer) = sandbox.seed("one.bin.torrent -o src --no-trackers --up 1M");
    for key in ["q", "\x03"] {
        let folder = if key == "q" { "one" } else { "other" };
        let line = format!("get one.bin.torrent -o {folder} --port 0 --bind {} --peer {peer}", sandbox.ip());
        let mut get = OnTerminal::start(&sandbox, &line, 80, 24);
        get.wait_for("\x1b[?1049h");
        wait_to_hear(&heard, "stopped");
        get.press(key);
        assert_eq!(get.finish(), 0, "{:?}", get.seen);
        get.assert_restored();
    }
}

fn what_on_done_prints_waits_for_the_terminal() {
    let sandbox = Sandbox::new();
    sandbox.file("src/one.bin", 200_000, 3);
    sandbox.create("src/one.bin");
    let (_seed, peer) = sandbox.seed("one.bin.torrent -o src");
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_potluck"));
    command.args(["get", "one.bin.torrent", "-o", "dst", "--port", "0", "--bind", &sandbox.ip()]);
    command.args([
        "--peer",
        &peer.to_string(),
        "--on-done",
        "sh -c 'echo to the one; echo to the other >&2'",
    ]);
    let mut get = OnTerminal::start_command(&sandbox, command, 140, 40);
    assert_eq!(get.finish(), 0, "{:?}", get.seen);
    get.assert_restored();
    let (before, after) = get.seen.rsplit_once("\x1b[?1049l").expect("restored");
    for line in ["to the one", "to the other"] {
        assert!(!before.contains(line) && after.contains(line), "{:?}", get.seen);
    }
}

fn a_get_that_fetches_is_suspended() {
    let sandbox = Sandbox::new();
    let silent = TcpListener::bind(format!("{}:0", sandbox.ip())).expect("a port");
    let url = format!("http://{}/x.torrent", silent.local_addr().expect("bound"));
    for line in [format!("get {url}"), "demo --plain".to_owned()] {
        let mut command = OnTerminal::start(&sandbox, &line, 80, 24);
        let _asked = line.starts_with("get").then(|| silent.accept().expect("it asks"));
        if line.starts_with("demo") {
            command.wait_for("they meet at");
        }
        command.signal(Signal::TSTP);
        #[cfg(target_os = "linux")]
        wait_until("the process stops", || command.is_stopped());
        command.signal(Signal::CONT);
        command.signal(Signal::TERM);
        assert_eq!(command.finish(), 143, "{:?}", command.seen);
    }
}
