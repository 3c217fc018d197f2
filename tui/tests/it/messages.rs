//! The exit code and the one line of everything that can be wrong with a command line.

use std::fs;

use libtest_mimic::Trial;

use crate::{
    sandbox::{Sandbox, TORRENTS},
    test,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("exit_codes_and_messages", exit_codes_and_messages),
        test("several_inputs_give_the_highest_failure", several_inputs_give_the_highest_failure),
        test("usage_errors_suggest_what_was_meant", usage_errors_suggest_what_was_meant),
        test("completions_and_manual_pages", completions_and_manual_pages),
        test("every_bad_torrent_is_refused_with_4", every_bad_torrent_is_refused_with_4),
    ]
}

const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

fn exit_codes_and_messages() {
    let sandbox = Sandbox::new();
    sandbox.file("payload.bin", 50_000, 1);
    sandbox.create("payload.bin");
    fs::write(sandbox.path("garbage.torrent"), "d4:infod").expect("a file");
    fs::create_dir(sandbox.path("folder")).expect("a folder");
    let v2 = format!("{TORRENTS}/v2.torrent");
    let cases: &[(&str, i32, &[&str])] = &[
        ("info nothing.torrent", 3, &["nothing.torrent", "no such file", "check the path"]),
        ("info 99", 3, &["99", "no such file", "a torrent file, a URL or a magnet link"]),
        ("info folder", 4, &["folder", "not a torrent file", "potluck seed"]),
        ("info garbage.torrent", 4, &["garbage.torrent", "not a torrent file", "at byte 8"]),
        ("info magnet:?dn=x", 4, &["magnet:?dn=x", "names no torrent", "copy the whole link"]),
        ("info ftp://127.0.0.1/x.torrent", 2, &["ftp", "http or https"]),
        ("info http://[::1/x.torrent", 2, &["bad URL"]),
        (
            "info http://127.0.0.1:1/x.torrent",
            5,
            &["http://127.0.0.1:1/x.torrent", "refused", "check the address"],
        ),
        ("get nothing.torrent", 3, &["nothing.torrent", "no such file"]),
        ("get 99", 3, &["99", "no such file"]),
        ("get garbage.torrent", 4, &["garbage.torrent"]),
        ("get magnet:?xt=urn:btih:xyz", 4, &["magnet:?xt=urn:btih:xyz"]),
        ("get http://127.0.0.1:1/x.torrent", 5, &["127.0.0.1:1", "refused"]),
        ("get payload.bin.torrent -f nothing.txt", 3, &["nothing.txt", "no file", "--list"]),
        ("get payload.bin.torrent -f [", 2, &["[", "bad pattern"]),
        ("get payload.bin.torrent --on-done ''", 2, &["--on-done"]),
        ("get payload.bin.torrent --bind 192.0.2.1", 5, &["192.0.2.1", "--bind"]),
        ("seed nothing", 3, &["nothing", "no such file"]),
        ("seed folder", 1, &["folder", "no file"]),
        ("seed nothing.torrent", 3, &["nothing.torrent"]),
        ("create nothing", 3, &["nothing", "no such file or folder"]),
        ("create payload.bin", 10, &["payload.bin.torrent", "exists already", "--force"]),
        ("create payload.bin -o missing/x.torrent", 3, &["missing", "no such folder"]),
        (
            "create payload.bin -o x.torrent --tracker nonsense",
            2,
            &["nonsense", "no URL", "udp://tracker.example"],
        ),
        ("seed payload.bin --tracker ftp://a.example/", 2, &["ftp://a.example/", "udp://tracker.example"]),
        ("create payload.bin -o x.torrent --web-seed nonsense", 2, &["nonsense", "https://example.org"]),
        ("create payload.bin -o x.torrent --piece 40k --v2", 2, &["40960", "--piece"]),
        ("create folder", 1, &["folder", "no file"]),
        ("verify nothing.torrent", 3, &["nothing.torrent"]),
        ("verify payload.bin.torrent -o folder", 3, &["folder/payload.bin", "missing", "potluck get"]),
        ("man nothing", 2, &["nothing", "no such command"]),
    ];
    for (line, code, parts) in cases {
        sandbox.potluck(line).fails(*code, parts);
    }
    // Arguments with spaces or of other places.
    sandbox.run(["get", &v2]).fails(4, &["v2.torrent", "v2-only", "hybrid"]);
    sandbox.run(["verify", &v2]).fails(4, &["v2.torrent", "v2-only"]);
    let link = format!("magnet:?xt=urn:btih:{HASH}&dn=A%20name");
    let waits = ["no metadata after", "the link names no tracker and no peer"];
    let waiting = ["get", "--bind", "127.0.0.1", "--port", "0", "--timeout", "1s"];
    sandbox.run(waiting.into_iter().chain([&*link])).fails(6, &waits);
    sandbox.run(waiting.into_iter().chain(["--list", &*link])).fails(6, &waits);
    assert_eq!(sandbox.potluck("info payload.bin.torrent").code, Some(0));
    assert!(!sandbox.path("x.torrent").exists(), "what fails leaves nothing");
}

fn several_inputs_give_the_highest_failure() {
    let sandbox = Sandbox::new();
    sandbox.file("payload.bin", 50_000, 1);
    sandbox.create("payload.bin");
    fs::write(sandbox.path("garbage.torrent"), "nonsense").expect("a file");
    let done = sandbox.potluck("info nothing.torrent payload.bin.torrent garbage.torrent 99");
    assert_eq!(done.code, Some(4), "{done:?}");
    assert_eq!(done.stderr.lines().count(), 3, "{done:?}");
    assert!(done.stdout.contains("payload.bin"), "{done:?}");
    let done = sandbox.potluck("get --json nothing.torrent garbage.torrent");
    assert_eq!(done.code, Some(4), "{done:?}");
    let exits: Vec<_> = done.events().iter().map(|event| event["exit"].clone()).collect();
    assert_eq!(exits, [3, 4], "{done:?}");
}

fn usage_errors_suggest_what_was_meant() {
    let sandbox = Sandbox::new();
    let cases = [
        ("crate x", "similar subcommand exists: 'create'"),
        ("get --seqential x.torrent", "similar argument exists: '--sequential'"),
        ("get x.torrent --down fast", "500k"),
        ("get x.torrent --peer 127.0.0.1", "192.0.2.7:6881"),
        ("get", "required"),
    ];
    for (line, part) in cases {
        let done = sandbox.potluck(line);
        assert_eq!(done.code, Some(2), "{done:?}");
        assert!(done.stderr.starts_with("potluck: ") && done.stderr.contains(part), "{done:?}");
        assert_eq!(done.stdout, "");
    }
    let bare = sandbox.potluck("");
    assert_eq!(bare.code, Some(2));
    assert!(bare.stderr.contains("Examples:") && bare.stdout.is_empty(), "{bare:?}");
    for line in ["--help", "get --help", "help seed", "--version"] {
        let done = sandbox.potluck(line);
        assert_eq!((done.code, &done.stderr[..]), (Some(0), ""), "{line}");
        assert!(!done.stdout.is_empty());
    }
    // What is none yet is accepted, and says so.
    let help = sandbox.potluck("get --help").stdout;
    let at = help.find("--no-p2p").expect("documented");
    assert!(help[at..].split("\n\n").next().expect("text").contains("no effect yet"), "{help}");
}

fn completions_and_manual_pages() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = sandbox.potluck(&format!("completions {shell}"));
        assert_eq!(done.code, Some(0));
        assert!(done.stdout.contains("potluck") && done.stdout.contains("stall-timeout"), "{shell}");
    }
    assert_eq!(sandbox.potluck("completions tcsh").code, Some(2));
    let page = sandbox.potluck("man").stdout;
    assert!(page.contains(".TH potluck 1") && page.contains("demo"), "{page}");
    let page = sandbox.potluck("man get").stdout;
    assert!(page.contains("stall\\-timeout"), "{page}");
}

fn every_bad_torrent_is_refused_with_4() {
    let sandbox = Sandbox::new();
    let folder = fs::read_dir(format!("{TORRENTS}/bad")).expect("the samples");
    let mut count = 0;
    for entry in folder {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        sandbox.run([std::ffi::OsStr::new("info"), path.as_os_str()]).fails(4, &[&name]);
        count += 1;
    }
    assert!(count > 30, "{count} samples");
}
