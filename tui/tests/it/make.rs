//! `create`, `info` and `verify` agree with each other and with what lies on the disk.

use std::fs;

use libtest_mimic::Trial;
use serde_json::json;

use crate::{sandbox::Sandbox, test};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("create_info_verify_round_trip", create_info_verify_round_trip),
        test("create_writes_what_was_asked_for", create_writes_what_was_asked_for),
        test("create_never_replaces_unasked", create_never_replaces_unasked),
        test("verify_tells_damage_from_absence", verify_tells_damage_from_absence),
    ]
}

fn create_info_verify_round_trip() {
    let sandbox = Sandbox::new();
    sandbox.file("src/album/a.bin", 300_000, 1);
    sandbox.file("src/album/grüße/日本.txt", 1, 2);
    sandbox.file("src/album/empty", 0, 0);
    for (version, v1, v2) in [("v1", true, false), ("v2", false, true), ("hybrid", true, true)] {
        let line = format!("create src/album --{version} -o {version}.torrent --json");
        let made = sandbox.potluck(&line).json();
        assert_eq!(made["version"], version);
        assert_eq!(made["torrent"], format!("{version}.torrent"));
        assert_eq!((made["info_hash"].is_string(), made["info_hash_v2"].is_string()), (v1, v2));
        assert!(made["magnet"].as_str().is_some_and(|link| link.starts_with("magnet:?xt=urn:bt")), "{made}");
        let info = sandbox.potluck(&format!("info {version}.torrent --json")).json();
        assert_eq!(info["info_hash"], made["info_hash"]);
        assert_eq!(info["total_size"], 300_001);
        let mut paths: Vec<_> = info["files"].as_array().expect("files").iter().map(|f| &f["path"]).collect();
        paths.sort_by_key(ToString::to_string);
        assert_eq!(paths, ["album/a.bin", "album/empty", "album/grüße/日本.txt"]);
        if v1 {
            let done = sandbox.potluck(&format!("verify {version}.torrent -o src --json"));
            assert_eq!(done.code, Some(0), "{done:?}");
            assert_eq!(done.json()["complete"], true);
        }
    }
}

fn create_writes_what_was_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.file("one.bin", 200_000, 3);
    let mut command = sandbox.command();
    command.env("SOURCE_DATE_EPOCH", "951827696").args(["create", "one.bin", "--private", "--piece", "40k"]);
    command.args(["--tracker", "http://a.example/announce", "--tracker", "udp://b.example:1"]);
    command.args(["--web-seed", "https://c.example/one.bin", "--comment", "a remark"]);
    let done = crate::sandbox::Running::start(command).finish();
    assert_eq!(done.code, Some(0), "{done:?}");
    let info = sandbox.potluck("info one.bin.torrent --json").json();
    for (key, value) in [
        ("private", json!(true)),
        ("piece_length", json!(40_960)),
        ("pieces", json!(5)),
        ("trackers", json!(["http://a.example/announce", "udp://b.example:1"])),
        ("tracker_tiers", json!([["http://a.example/announce"], ["udp://b.example:1"]])),
        ("web_seeds", json!(["https://c.example/one.bin"])),
        ("comment", json!("a remark")),
        ("creation_date", json!(951_827_696)),
    ] {
        assert_eq!(info[key], value, "{key}");
    }
    let text = sandbox.potluck("info one.bin.torrent").stdout;
    assert!(text.contains("2000-02-29 12:34 UTC") && text.contains("a remark"), "{text}");
}

fn create_never_replaces_unasked() {
    let sandbox = Sandbox::new();
    sandbox.file("one.bin", 20_000, 4);
    fs::write(sandbox.path("out"), "precious").expect("a file");
    sandbox.potluck("create one.bin -o out").fails(10, &["out", "exists already", "--force"]);
    assert_eq!(fs::read_to_string(sandbox.path("out")).expect("there"), "precious");
    assert_eq!(sandbox.potluck("create one.bin -o out --force").code, Some(0));
    assert_eq!(sandbox.potluck("info one.bin").code, Some(4), "the payload is no torrent");
    assert_eq!(sandbox.potluck("verify out --json").json()["complete"], true);
    let left: Vec<_> =
        fs::read_dir(sandbox.path(".")).expect("a folder").map(|e| e.expect("e").file_name()).collect();
    assert_eq!(left.len(), 2, "no temporary file is left: {left:?}");
}

fn verify_tells_damage_from_absence() {
    let sandbox = Sandbox::new();
    sandbox.file("d/a", 100_000, 5);
    sandbox.file("d/b", 100_000, 6);
    sandbox.create("d --piece 32k");
    let state = |name: &str| {
        let done = sandbox.potluck("verify d.torrent --json");
        let report = done.json();
        let files = report["files"].as_array().expect("files");
        let file = files.iter().find(|file| file["path"] == name).expect("listed");
        (done.code, file["state"].as_str().expect("a word").to_owned())
    };
    assert_eq!(state("d/a"), (Some(0), "complete".into()));

    let mut bytes = fs::read(sandbox.path("d/a")).expect("there");
    bytes[70_000] ^= 1;
    fs::write(sandbox.path("d/a"), &bytes).expect("written");
    assert_eq!(state("d/a"), (Some(9), "damaged".into()));
    sandbox.potluck("verify d.torrent").fails(9, &["d", "damaged", "potluck get"]);
    bytes[70_000] ^= 1;
    fs::write(sandbox.path("d/a"), &bytes[..50_000]).expect("written");
    assert_eq!(state("d/a"), (Some(9), "short".into()));
    fs::remove_file(sandbox.path("d/a")).expect("there");
    assert_eq!(state("d/a"), (Some(3), "missing".into()));
    sandbox.potluck("verify d.torrent").fails(3, &["d", "missing", "potluck get"]);
}
