//! Transfers on file systems of their own: full, read-only. Ignored by name where we may not mount.

use std::{fs, path::Path, process::Command};

use libtest_mimic::Trial;
use rustix::process::Signal;

use crate::{
    sandbox::{Done, PROGRAM, Running, Sandbox, assert_same},
    test,
};

pub(crate) fn trials() -> Vec<Trial> {
    let can_mount = can_mount();
    let trials = [
        test("read_only_folder_is_8", read_only_folder_is_8),
        test("row_5_6_a_read_only_payload_is_seeded", a_read_only_payload_is_seeded),
        test("row_5_5_full_disk_is_8_after_the_stall_timeout", full_disk_is_8),
        test("row_5_5_a_full_disk_is_waited_out", a_full_disk_is_waited_out),
    ];
    trials.into_iter().map(|trial| trial.with_ignored_flag(!can_mount)).collect()
}

/// Whether we may mount in a namespace of our own; the mounts go away with its last process.
fn can_mount() -> bool {
    let tried = Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
    tried.is_ok_and(|output| output.status.success())
}

/// Runs `line` with a file system of these options mounted at `dst`.
fn run_mounted(sandbox: &Sandbox, options: &str, line: &str) -> Done {
    start_mounted(sandbox, options, &format!("exec {PROGRAM} {line}")).finish()
}

/// Starts a shell with `script` in a namespace in which a file system of these options is mounted at `dst`.
fn start_mounted(sandbox: &Sandbox, options: &str, script: &str) -> Running {
    let script = format!("mount -t tmpfs -o {options} tmpfs dst && {script}");
    let mut command = sandbox.command_of(Path::new("unshare"));
    command.args(["-m", "sh", "-c", &script]);
    Running::start(command)
}

fn read_only_folder_is_8() {
    let sandbox = Sandbox::new();
    sandbox.file("one.bin", 1_000_000, 7);
    sandbox.create("one.bin");
    let (_seed, addr) = sandbox.seed("one.bin.torrent");
    fs::create_dir(sandbox.path("dst")).expect("a folder");
    let line = format!("get one.bin.torrent -o dst --port 0 --bind {} --peer {addr}", sandbox.ip());
    run_mounted(&sandbox, "ro", &line)
        .fails(8, &["one.bin.torrent", "dst/one.bin", "read-only", "can be written to"]);
}

fn full_disk_is_8() {
    let sandbox = Sandbox::new();
    sandbox.file("one.bin", 3_000_000, 8);
    sandbox.create("one.bin");
    let (_seed, addr) = sandbox.seed("one.bin.torrent");
    fs::create_dir(sandbox.path("dst")).expect("a folder");
    let line = format!("get one.bin.torrent -o dst --port 0 --bind {} --peer {addr}", sandbox.ip());
    let line = format!("{line} --stall-timeout 3s");
    run_mounted(&sandbox, "size=1m", &line)
        .fails(8, &["one.bin.torrent", "dst/one.bin", "no space left", "free"]);
}

/// Nothing is written, and no access is asked for that a read-only file system refuses.
fn a_read_only_payload_is_seeded() {
    let sandbox = Sandbox::new();
    sandbox.file("one.bin", 1_000_000, 10);
    sandbox.create("one.bin");
    fs::create_dir(sandbox.path("dst")).expect("a folder");
    let ip = sandbox.ip();
    let line = format!("seed one.bin.torrent -o dst --json --port 7001 --bind {ip}");
    let script = format!("cp one.bin dst && mount -o remount,ro dst && exec {PROGRAM} {line}");
    let mut seed = start_mounted(&sandbox, "size=8m", &script);
    seed.wait_for(|event| event["state"] == "seeding");
    let done = sandbox
        .potluck(&format!("get one.bin.torrent -o other --port 0 --bind {} --peer {ip}:7001", sandbox.ip()));
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_same(&sandbox.path("one.bin"), &sandbox.path("other/one.bin"));
    seed.signal(Signal::TERM);
    assert_eq!(seed.finish().code, Some(143));
}

/// While the disk is full others are given what is there, and a minute after there is space all is there.
fn a_full_disk_is_waited_out() {
    let sandbox = Sandbox::new();
    sandbox.file("one.bin", 6_000_000, 9);
    sandbox.create("one.bin --piece 64k");
    let (_seed, addr) = sandbox.seed("one.bin.torrent");
    fs::create_dir(sandbox.path("dst")).expect("a folder");
    let ip = sandbox.ip();
    let line = format!(
        "get one.bin.torrent -o dst --json --state-interval-ms 1000 --port 7001 --bind {ip} --peer {addr} --no-dht --no-pex"
    );
    let script = format!("head -c 5M /dev/zero >dst/filler && {PROGRAM} {line} && cp dst/one.bin arrived");
    let mut full = start_mounted(&sandbox, "size=8m", &script);
    let told = full.wait_for(|event| event["event"] == "disk_full");
    let why = told["why"].as_str().expect("a sentence");
    assert!(why.starts_with("disk full: ") && why.contains("dst/one.bin: no space left"), "{why}");
    let state =
        full.wait_for(|event| event["stall"].as_str().is_some_and(|stall| stall.contains("disk full")));
    assert!(state["stall"].as_str().is_some_and(|stall| stall.contains(" MiB more are needed")), "{state}");

    let other = sandbox.ip();
    // By the DHT or by peer exchange it and the seed would find each other.
    let line =
        format!("get one.bin.torrent -o other --port 0 --bind {other} --peer {ip}:7001 --no-dht --no-pex");
    let done = sandbox.potluck(&format!("{line} --json --stall-timeout 3s"));
    done.fails(6, &["nothing arrived for 3s"]);
    let given = done.events().pop().expect("a result");
    assert!(given["have_size"].as_u64().is_some_and(|given| given > 2_000_000), "{given}");

    let states = fs::read_dir(sandbox.path("state/resume")).expect("a folder of states");
    let names: Vec<_> = states.map(|entry| entry.expect("an entry").file_name()).collect();
    let is_saved = |name: &std::ffi::OsString| name.to_string_lossy().ends_with(".resume.old");
    assert!(names.iter().any(is_saved), "what is there is written down again and again: {names:?}");

    fs::remove_file(full.root().join(sandbox.path("dst/filler").strip_prefix("/").expect("absolute")))
        .expect("space");
    full.wait_for(|event| event["event"] == "disk_freed");
    let done = full.finish();
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_same(&sandbox.path("one.bin"), &sandbox.path("arrived"));
    let result = done.events().pop().expect("a result");
    assert_eq!((&result["wasted"], &result["hash_failures"]), (&0.into(), &0.into()), "{result}");
}
