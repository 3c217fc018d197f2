//! `potluck dht`, and downloads that only the DHT brings together.

use std::time::Instant;

use libtest_mimic::Trial;
use rustix::process::Signal;

use crate::{
    sandbox::{Running, Sandbox, assert_same},
    test,
};

/// An info-hash that nobody has.
const NOBODYS: &str = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("a_node_brings_peers_together_and_is_itself_again", a_node_brings_peers_together),
        test("a_silent_tracker_is_told_in_words_beside_the_peers_of_the_dht", a_silent_tracker_is_told),
        test("what_a_lookup_ends_with", what_a_lookup_ends_with),
        test("nothing_is_remembered_at_first", nothing_is_remembered_at_first),
    ]
}

/// A node by which others join, and where it listens.
fn serve(sandbox: &Sandbox) -> (Running, String, String) {
    let mut serve =
        sandbox.start(&format!("dht serve --json --interval 1s --port 0 --bind {}", sandbox.ip()));
    let told = serve.wait_for(|event| event["event"] == "listening");
    let word = |value: &serde_json::Value| value.as_str().expect("a word").to_owned();
    (serve, word(&told["listen"][0]), word(&told["ids"][0]))
}

fn a_node_brings_peers_together() {
    let sandbox = Sandbox::new();
    sandbox.file("src/one.bin", 600_000, 1);
    sandbox.create("src/one.bin --piece 32k");
    let (mut node, bootstrap, id) = serve(&sandbox);
    let join =
        |line: &str| format!("{line} --json --port 0 --bind {} --dht-bootstrap {bootstrap}", sandbox.ip());
    let mut seed = sandbox.start(&join("seed one.bin.torrent -o src"));
    let added = seed.wait_for(|event| event["event"] == "added");
    let (magnet, listen) = (added["magnet"].as_str().expect("a link"), added["listen"][0].clone());
    node.wait_for(|event| event["peers"].as_u64() > Some(0));

    let mut lookup = sandbox.command();
    lookup.args(join("dht lookup").split(' ')).arg(magnet);
    let done = Running::start(lookup).finish();
    assert_eq!(done.code, Some(0), "{done:?}");
    let events = done.events();
    assert_eq!((&events[0]["event"], &events[0]["address"]), (&"peer".into(), &listen), "{events:?}");
    let last = events.last().expect("a result");
    assert_eq!((&last["event"], &last["peers"], &last["exit"]), (&"result".into(), &1.into(), &0.into()));

    let none = sandbox.potluck(&join(&format!("dht lookup {NOBODYS}")));
    none.fails(3, &[NOBODYS, "no peer from"]);

    let live = sandbox.potluck(&join("dht nodes --live"));
    assert_eq!(live.code, Some(0), "{live:?}");
    assert!(live.json()["good"].as_u64() > Some(0), "{live:?}");

    let get = sandbox.potluck(&join("get one.bin.torrent -o dst"));
    assert_eq!(get.code, Some(0), "{get:?}");
    assert_same(&sandbox.path("src/one.bin"), &sandbox.path("dst/one.bin"));

    node.signal(Signal::INT);
    let done = node.finish();
    assert_eq!(done.code, Some(0), "{done:?}");
    // A network that was chosen is not the one that everybody joins.
    sandbox.potluck("dht nodes --json").fails(3, &["none are remembered"]);
    let (_again, _, same) = serve(&sandbox);
    assert_eq!(same, id, "it is who it was");
}

/// The tracker accepts and says nothing; a seed is found all the same.
#[expect(clippy::print_stdout, reason = "a figure, for whoever reads what the trials print")]
fn a_silent_tracker_is_told() {
    let sandbox = Sandbox::new();
    let silent = std::net::TcpListener::bind((sandbox.ip(), 0)).expect("an address of its own");
    let tracker = format!("http://{}/announce", silent.local_addr().expect("it is bound"));
    sandbox.file("src/one.bin", 6_000_000, 1);
    sandbox.create(&format!("src/one.bin --piece 32k --tracker {tracker}"));
    sandbox.file("src/nobodys.bin", 100_000, 2);
    sandbox.create(&format!("src/nobodys.bin --tracker {tracker}"));
    let (mut node, bootstrap, _) = serve(&sandbox);
    let join =
        |line: &str| format!("{line} --json --port 0 --bind {} --dht-bootstrap {bootstrap}", sandbox.ip());
    let _seed = sandbox.start(&join("seed one.bin.torrent -o src --up 100k"));
    node.wait_for(|event| event["peers"].as_u64() > Some(0));
    let begun = Instant::now();
    let mut get = sandbox.start(&join("get one.bin.torrent nobodys.bin.torrent -o dst"));
    let met = get.wait_for(|event| event["event"] == "peer_connected");
    println!(
        "discovery: a peer of the DHT after {:.1} s, while the tracker is silent",
        begun.elapsed().as_secs_f64()
    );
    assert_eq!(met["source"], "dht", "{met}");
    let has_failed = |event: &serde_json::Value| {
        let words = event["sources"]["tracker"]["message"].as_str();
        words.is_some_and(|words| words.contains("failed"))
    };
    let told = get.wait_for(|event| event["name"] == "one.bin" && has_failed(event));
    let sources = &told["sources"];
    let words = sources["tracker"]["message"].as_str().expect("words");
    assert!(words.starts_with(&format!("tracker {tracker} failed")), "{words}");
    assert!(words.contains("no answer within 30 s") && words.contains("next try in "), "{words}");
    assert_eq!((&sources["dht"]["found"], &sources["dht"]["connected"]), (&1.into(), &1.into()), "{sources}");
    assert_eq!((&sources["tracker"]["trackers"], &sources["tracker"]["connected"]), (&1.into(), &0.into()));
    // What nobody has says in one sentence who was asked.
    let told = get.wait_for(|event| event["name"] == "nobodys.bin" && has_failed(event));
    let words = told["stall"].as_str().expect("words");
    for part in ["no peers: ", &tracker, "no answer within 30 s", "next try in ", "; DHT: no peer from "] {
        assert!(words.contains(part), "{part:?} is missing in {words:?}");
    }
}

fn what_a_lookup_ends_with() {
    let sandbox = Sandbox::new();
    let ip = sandbox.ip();
    // Nobody is there, and a lookup from loopback asks nobody elsewhere.
    for bootstrap in [String::new(), format!("--dht-bootstrap {ip}:9")] {
        let line = format!("dht lookup {NOBODYS} --timeout 1s --bind {ip} {bootstrap}");
        sandbox.potluck(&line).fails(6, &[NOBODYS, "no node answered within 1 s", "--dht-bootstrap"]);
    }
    sandbox.potluck("dht lookup nonsense").fails(2, &["nonsense", "no info-hash", "40 hexadecimal digits"]);
    sandbox.potluck("dht lookup magnet:?dn=x").fails(4, &["magnet:?dn=x"]);
    sandbox.potluck(&format!("dht lookup {NOBODYS} --bind 192.0.2.1")).fails(5, &["192.0.2.1", "--bind"]);
}

fn nothing_is_remembered_at_first() {
    let sandbox = Sandbox::new();
    sandbox.potluck("dht nodes").fails(3, &["none are remembered", "--live"]);
    std::fs::create_dir_all(sandbox.path("state/dht")).expect("a folder");
    std::fs::write(sandbox.path("state/dht/nodes"), b"garbage").expect("written");
    sandbox.potluck("dht nodes").fails(9, &["not written by this version"]);
}
