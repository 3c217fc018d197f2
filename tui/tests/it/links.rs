//! Magnet links: what is known of them from an earlier run, what cannot be had of them, and how they end.

use std::{fs, time::Duration};

use libtest_mimic::Trial;
use potluck_common::{magnet::Magnet, metainfo::Metainfo};

use crate::{
    sandbox::{Running, Sandbox, assert_same},
    test,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test(
            "what_a_link_cannot_give_ends_at_once_with_the_code_of_a_file",
            what_a_link_cannot_give_ends_at_once_with_the_code_of_a_file,
        ),
        test("what_is_wrong_once_the_metadata_came_has_the_same_codes", codes_after_the_metadata),
        test("with_kept_metadata_the_peers_of_a_link_are_asked", kept_metadata_and_peers_of_the_link),
        #[cfg(unix)]
        test("what_a_link_says_of_its_name_is_no_path", what_a_link_says_of_its_name_is_no_path),
        test("the_same_link_twice_is_fetched_once", the_same_link_twice),
        test("two_gets_of_one_link_are_not_both_at_it", two_gets_at_once),
        test("save_torrent_replaces_nothing_that_peers_named", save_torrent_replaces_nothing),
        test("a_link_by_its_v2_hash_alone_is_refused_with_4", v2_only),
        #[cfg(unix)]
        test("one_signal_ends_a_list_of_links", one_signal_ends_a_list),
    ]
}

/// A payload `src/one.bin` with its torrent. Gives the link to it, without any tracker.
fn shared(sandbox: &Sandbox) -> String {
    sandbox.file("src/one.bin", 300_000, 1);
    sandbox.create("src/one.bin --v1");
    Magnet::from(&metainfo(sandbox)).to_string()
}

fn metainfo(sandbox: &Sandbox) -> Metainfo {
    let bytes = fs::read(sandbox.path("one.bin.torrent")).expect("a torrent");
    Metainfo::parse(&bytes).expect("a good one")
}

/// As an earlier run leaves it.
fn keep_metadata(sandbox: &Sandbox) {
    let (metainfo, folder) = (metainfo(sandbox), sandbox.path("state/metadata"));
    fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join(format!("{}.info", metainfo.info_hash()));
    fs::write(path, metainfo.info_bytes()).expect("a file");
}

/// Options that cannot be done, the exit code and words of the message.
const WISHES: [(&str, i32, &str); 4] = [
    ("--files nosuch", 3, "no file of the torrent matches"),
    ("--files [", 2, "bad pattern"),
    ("--save-torrent missing/x.torrent", 3, "no such folder"),
    ("--save-torrent taken", 10, "exists already"),
];

/// Something else has the name that the torrent would get.
fn take_name(sandbox: &Sandbox) {
    fs::create_dir_all(sandbox.path("taken")).expect("a folder");
    fs::write(sandbox.path("taken/one.bin.torrent"), "something dear").expect("a file");
}

fn what_a_link_cannot_give_ends_at_once_with_the_code_of_a_file() {
    let sandbox = Sandbox::new();
    let link = shared(&sandbox);
    keep_metadata(&sandbox);
    take_name(&sandbox);
    for (wish, code, words) in WISHES {
        for list in ["", "--list"] {
            let line = format!("get {link} {wish} {list} --port 0 --timeout 30s --bind {}", sandbox.ip());
            sandbox.potluck(&line).fails(code, &[words]);
        }
    }
}

/// Whoever is later says who is at it, also where that is known only once the metadata came.
fn two_gets_at_once() {
    let sandbox = Sandbox::new();
    let link = shared(&sandbox);
    let (_seed, peer) = sandbox.seed("one.bin.torrent -o src");
    for (wanted, folder) in [(link.as_str(), "of-link"), ("one.bin.torrent", "of-torrent")] {
        let line =
            |ip: String| format!("get {wanted} -o {folder} --no-trackers --port 0 --bind {ip} --peer {peer}");
        let mut first = sandbox.start(&format!("{} --json --seed", line(sandbox.ip())));
        first.wait_for(|event| event["state"] == "seeding");
        for is_known in [true, false] {
            if !is_known {
                fs::remove_dir_all(sandbox.path("state/metadata")).expect("it was kept");
            }
            let is_at_it = format!("another Potluck has one.bin in {folder} already; end that one first");
            sandbox.potluck(&line(sandbox.ip())).fails(10, &[&is_at_it]);
        }
        assert_same(&sandbox.path("src/one.bin"), &sandbox.path(&format!("{folder}/one.bin")));
    }
}

fn codes_after_the_metadata() {
    let sandbox = Sandbox::new();
    let link = shared(&sandbox);
    take_name(&sandbox);
    let (_seed, peer) = sandbox.seed("one.bin.torrent -o src");
    for (wish, code, words) in WISHES {
        let line = format!("get {link} {wish} --peer {peer} --no-state --port 0 --bind {}", sandbox.ip());
        sandbox.potluck(&line).fails(code, &[words]);
    }
}

fn kept_metadata_and_peers_of_the_link() {
    let sandbox = Sandbox::new();
    let link = shared(&sandbox);
    keep_metadata(&sandbox);
    let (_seed, peer) = sandbox.seed("one.bin.torrent -o src");
    let line = format!("get {link}&x.pe={peer} -o dst --timeout 60s --port 0 --bind {}", sandbox.ip());
    let done = sandbox.potluck(&line);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_same(&sandbox.path("src/one.bin"), &sandbox.path("dst/one.bin"));
}

/// Neither a path nor what a terminal obeys, also where the metadata is known from the beginning.
#[cfg(unix)]
fn what_a_link_says_of_its_name_is_no_path() {
    let sandbox = Sandbox::new();
    shared(&sandbox);
    keep_metadata(&sandbox);
    let mut magnet = Magnet::from(&metainfo(&sandbox));
    magnet.name = Some("../../evil\u{1b}[31m\nsecond".to_owned());
    let link = magnet.to_string();
    let mut command = sandbox.command();
    command.args(["get", &link, "-o", "src", "--timeout", "30s", "--port", "0", "--bind", &sandbox.ip()]);
    command.args(["--on-done", "sh -c 'echo \"$POTLUCK_NAME $POTLUCK_PATH\" > told'"]);
    let done = Running::start(command).finish();
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stdout.starts_with("one.bin: already complete"), "{done:?}");
    let told = fs::read_to_string(sandbox.path("told")).expect("it ran");
    assert_eq!(told, "one.bin src/one.bin\n");
}

/// In a later run, which asks nobody for the metadata, and in one run, which is refused in words.
fn the_same_link_twice() {
    let sandbox = Sandbox::new();
    let link = shared(&sandbox);
    let (seed, peer) = sandbox.seed("one.bin.torrent -o src");
    let line = format!("get {link} -o dst --peer {peer} --port 0 --bind {}", sandbox.ip());
    let done = sandbox.potluck(&line);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_same(&sandbox.path("src/one.bin"), &sandbox.path("dst/one.bin"));
    drop(seed);
    let done = sandbox.potluck(&line);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stdout.contains("already complete"), "{done:?}");
    let both = sandbox.potluck(&format!("get {link} {link} -o dst --port 0 --bind {}", sandbox.ip()));
    both.fails(10, &["given twice"]);
}

fn save_torrent_replaces_nothing() {
    let sandbox = Sandbox::new();
    let link = shared(&sandbox);
    keep_metadata(&sandbox);
    take_name(&sandbox);
    let list = |target: &str| {
        sandbox
            .potluck(&format!("get {link} --list --save-torrent {target} --port 0 --bind {}", sandbox.ip()))
    };
    list("taken").fails(10, &["one.bin.torrent", "exists already", "--save-torrent"]);
    let there = fs::read(sandbox.path("taken/one.bin.torrent")).expect("it stays");
    assert_eq!(there, b"something dear");
    // Twice the same is no conflict, and a file that was named is replaced.
    fs::create_dir(sandbox.path("free")).expect("a folder");
    for target in ["free", "free", "taken/one.bin.torrent"] {
        let done = list(target);
        assert_eq!(done.code, Some(0), "{target}: {done:?}");
    }
    for saved in ["free/one.bin.torrent", "taken/one.bin.torrent"] {
        let bytes = fs::read(sandbox.path(saved)).expect("a torrent");
        let saved = Metainfo::parse(&bytes).expect("a good one");
        assert_eq!(saved.info_hash(), metainfo(&sandbox).info_hash());
    }
    let left: Vec<_> = fs::read_dir(sandbox.path("free")).expect("a folder").collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

fn v2_only() {
    let sandbox = Sandbox::new();
    let link = format!("magnet:?xt=urn:btmh:1220{}", "ab".repeat(32));
    for list in ["", "--list"] {
        let line = format!("get {link} {list} --port 0 --timeout 30s --bind {}", sandbox.ip());
        sandbox.potluck(&line).fails(4, &["urn:btmh", "v2 hash only", "urn:btih"]);
    }
    assert_eq!(sandbox.potluck(&format!("info {link}")).code, Some(0));
}

#[cfg(unix)]
fn one_signal_ends_a_list() {
    use rustix::process::Signal;
    for (signal, code) in [(Signal::INT, 7), (Signal::TERM, 143)] {
        let sandbox = Sandbox::new();
        let links = ["a", "b", "c"].map(|digit| digit.repeat(40)).join(" ");
        let line = format!("get {links} --list --json --port 0 --bind {}", sandbox.ip());
        let mut get = sandbox.start(&line);
        get.wait_for(|event| event["state"] == "metadata");
        get.signal(signal);
        get.finish_within(Duration::from_secs(10)).fails(code, &["stopped without the metadata"]);
    }
}
