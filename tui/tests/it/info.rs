//! `potluck info --json` says what the manifest of the samples says.

use std::fs;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    sandbox::{Sandbox, TORRENTS},
    test,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("info_agrees_with_the_manifest", info_agrees_with_the_manifest),
        test("info_of_a_magnet_link_shows_its_parts", info_of_a_magnet_link_shows_its_parts),
        test("row_5_9_absurd_creation_dates_are_shown_as_none", row_5_9_absurd_creation_dates),
    ]
}

fn info_agrees_with_the_manifest() {
    let sandbox = Sandbox::new();
    let manifest = fs::read_to_string(format!("{TORRENTS}/manifest.toml")).expect("the manifest");
    let manifest: toml::Table = manifest.parse().expect("valid");
    let samples = manifest["sample"].as_array().expect("samples");
    for sample in samples {
        let file = sample["file"].as_str().expect("a name");
        let done = sandbox.run(["info", "--json", &format!("{TORRENTS}/{file}")]);
        assert_eq!(done.code, Some(0), "{done:?}");
        let info = done.json();
        for key in ["name", "version", "piece_length", "pieces", "total_size"] {
            assert_eq!(info[key], json_of(&sample[key]), "{key} of {file}");
        }
        for key in ["info_hash", "info_hash_v2"] {
            let wanted = sample.get(key).map_or(Value::Null, json_of);
            assert_eq!(info[key], wanted, "{key} of {file}");
        }
        assert_eq!(info["schema"], 1);
        assert_eq!(info["private"], sample.get("private").map_or(json!(false), json_of), "{file}");
        let trackers = sample.get("trackers").map_or(json!([]), json_of);
        assert_eq!(info["tracker_tiers"], trackers, "{file}");
        assert!(info["trackers"].is_array() && info["web_seeds"].is_array(), "{file}");
        check_files(file, &info["files"], sample);
        let text = sandbox.run(["info", &format!("{TORRENTS}/{file}")]);
        assert_eq!(text.code, Some(0), "{text:?}");
        assert!(!text.stdout.contains('\x1b'), "{text:?}");
    }
    assert!(samples.len() > 8, "{}", samples.len());
}

fn check_files(file: &str, shown: &Value, sample: &toml::Value) {
    let shown = shown.as_array().expect("a list");
    let wanted = sample["files"].as_array().expect("files");
    assert_eq!(shown.len(), wanted.len(), "{file}: {shown:?}");
    for (shown, wanted) in shown.iter().zip(wanted) {
        for key in ["path", "length"] {
            assert_eq!(shown[key], json_of(&wanted[key]), "{key} in {file}");
        }
    }
}

fn json_of(value: &toml::Value) -> Value {
    serde_json::to_value(value).expect("toml fits into JSON")
}

fn row_5_9_absurd_creation_dates() {
    let sandbox = Sandbox::new();
    sandbox.file("one.bin", 20_000, 1);
    sandbox.create("one.bin");
    let torrent = fs::read(sandbox.path("one.bin.torrent")).expect("there");
    let info = torrent.windows(7).position(|window| window == b"4:infod").expect("a torrent");
    for (date, is_shown) in
        [(0, true), (1 << 62, false), (-(1 << 62), false), (i64::MAX, false), (i64::MIN, false)]
    {
        let dated = format!("d13:creation datei{date}e").into_bytes();
        fs::write(sandbox.path("dated.torrent"), [&dated[..], &torrent[info..]].concat()).expect("written");
        let json = sandbox.potluck("info --json dated.torrent").json();
        assert_eq!(json["creation_date"], date);
        let text = sandbox.potluck("info dated.torrent");
        assert_eq!((text.code, text.stdout.contains("Created ")), (Some(0), is_shown), "{text:?}");
    }
    // Nor is there harm in seeding and fetching it.
    let (_seed, addr) = sandbox.seed("dated.torrent");
    let line = format!("get dated.torrent -o dst --port 0 --bind {} --peer {addr}", sandbox.ip());
    let done = sandbox.potluck(&line);
    assert_eq!(done.code, Some(0), "{done:?}");
}

fn info_of_a_magnet_link_shows_its_parts() {
    let sandbox = Sandbox::new();
    let link = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&dn=two%20words\
                &tr=udp%3A%2F%2Ft.example%3A6969&x.pe=%5B%3A%3A1%5D:6881&xl=1234";
    let info = sandbox.run(["info", "--json", link]).json();
    for (key, value) in [
        ("kind", json!("magnet")),
        ("schema", json!(1)),
        ("name", json!("two words")),
        ("info_hash", json!("0123456789abcdef0123456789abcdef01234567")),
        ("info_hash_v2", Value::Null),
        ("version", json!("v1")),
        ("total_size", json!(1234)),
        ("trackers", json!(["udp://t.example:6969"])),
        ("peers", json!(["[::1]:6881"])),
        ("files", Value::Null),
    ] {
        assert_eq!(info[key], value, "{key}");
    }
    let text = sandbox.run(["info", link]).stdout;
    assert!(text.contains("two words") && text.contains("udp://t.example:6969"), "{text}");
}
