//! What a disk can do to a transfer.

use std::{fs, path::Path, process::Command};

use libtest_mimic::Trial;

use crate::{
    sandbox::{Done, Running, Sandbox},
    test,
};

pub(crate) fn trials() -> Vec<Trial> {
    let can_mount = can_mount();
    vec![
        test("seed_of_a_missing_payload_is_3", seed_of_a_missing_payload_is_3),
        test("seed_of_a_damaged_payload_is_9", seed_of_a_damaged_payload_is_9),
        test("a_file_in_the_place_of_the_folder_is_8", a_file_in_the_place_of_the_folder_is_8),
        test("a_taken_port_is_5", a_taken_port_is_5),
        test("read_only_folder_is_8", read_only_folder_is_8).with_ignored_flag(!can_mount),
        test("full_disk_is_8", full_disk_is_8).with_ignored_flag(!can_mount),
    ]
}

/// Whether we may mount in a namespace of our own; the mounts go away with its last process.
fn can_mount() -> bool {
    let tried = Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
    tried.is_ok_and(|output| output.status.success())
}

fn seed_of_a_missing_payload_is_3() {
    let sandbox = Sandbox::new();
    sandbox.file("one.bin", 100_000, 1);
    sandbox.create("one.bin");
    fs::remove_file(sandbox.path("one.bin")).expect("there");
    let done = sandbox.potluck(&format!("seed one.bin.torrent --port 0 --bind {}", sandbox.ip()));
    done.fails(3, &["one.bin.torrent", "one.bin is missing", "-o"]);
    assert_eq!(done.stdout, "", "no link to what is not there");
    assert!(!sandbox.path("one.bin").exists(), "a seed makes no payload");
}

fn seed_of_a_damaged_payload_is_9() {
    let sandbox = Sandbox::new();
    sandbox.file("one.bin", 100_000, 2);
    sandbox.create("one.bin");
    let path = sandbox.file("one.bin", 100_000, 3);
    let before = fs::read(&path).expect("there");
    let done = sandbox.potluck(&format!("seed one.bin.torrent --port 0 --bind {}", sandbox.ip()));
    done.fails(9, &["one.bin.torrent", "one.bin", "potluck get"]);
    assert!(fs::read(&path).expect("there") == before, "a seed changes no payload");
}

fn a_file_in_the_place_of_the_folder_is_8() {
    let sandbox = Sandbox::new();
    sandbox.file("one.bin", 100_000, 4);
    sandbox.create("one.bin");
    sandbox.file("dst", 10, 5);
    let done = sandbox.potluck(&format!("get one.bin.torrent -o dst/sub --port 0 --bind {}", sandbox.ip()));
    done.fails(8, &["dst/sub"]);
}

fn a_taken_port_is_5() {
    let sandbox = Sandbox::new();
    sandbox.file("one.bin", 100_000, 6);
    let (_seed, addr) = sandbox.seed("one.bin");
    let done = sandbox.potluck(&format!("seed one.bin --bind {} --port {}", addr.ip(), addr.port()));
    done.fails(5, &[&addr.port().to_string(), "--port"]);
}

/// Runs `line` with a file system of these options mounted at `dst`.
fn run_mounted(sandbox: &Sandbox, options: &str, line: &str) -> Done {
    let program = env!("CARGO_BIN_EXE_potluck");
    let script = format!("mount -t tmpfs -o {options} tmpfs dst && exec {program} {line}");
    let mut command = sandbox.command_of(Path::new("unshare"));
    command.args(["-m", "sh", "-c", &script]);
    Running::start(command).finish()
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
    run_mounted(&sandbox, "size=1m", &line)
        .fails(8, &["one.bin.torrent", "dst/one.bin", "no space left", "free"]);
}
