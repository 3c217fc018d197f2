//! What a disk can do to a transfer.

use std::fs;

use libtest_mimic::Trial;

use crate::{sandbox::Sandbox, test};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("seed_of_a_missing_payload_is_3", seed_of_a_missing_payload_is_3),
        test("seed_of_a_damaged_payload_is_9", seed_of_a_damaged_payload_is_9),
        test("a_file_in_the_place_of_the_folder_is_8", a_file_in_the_place_of_the_folder_is_8),
        test("a_taken_port_is_5", a_taken_port_is_5),
    ]
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
