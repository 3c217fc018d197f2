//! What reaches a pipe: no escape sequence, and nothing that breaks when the reader goes away.

use std::{fs::File, process::Stdio};

use libtest_mimic::Trial;

use crate::{
    sandbox::{Done, Running, Sandbox},
    test,
};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        test("no_escape_sequence_in_a_pipe", no_escape_sequence_in_a_pipe),
        test("colours_where_they_are_asked_for", colours_where_they_are_asked_for),
        test("a_reader_that_goes_away_is_no_error", a_reader_that_goes_away_is_no_error),
    ];
    if cfg!(target_os = "linux") {
        trials.push(test("a_full_standard_output_is_one", a_full_standard_output_is_one));
    }
    trials
}

fn no_escape_sequence_in_a_pipe() {
    let sandbox = Sandbox::new();
    sandbox.file("d/evil\u{9b}", 100_000, 1);
    sandbox.file("d/b", 100_000, 2);
    std::fs::remove_file(sandbox.path("d/evil\u{9b}")).expect("there");
    sandbox.create("d");
    let (seed, addr) = sandbox.seed("d.torrent");
    let lines = [
        "--help".to_owned(),
        "get --help".into(),
        "info d.torrent".into(),
        "info nothing.torrent".into(),
        "verify d.torrent -o nowhere".into(),
        "create d -o other.torrent --progress always".into(),
        format!("get d.torrent -o dst --peer {addr} --bind {} --port 0 --progress always", sandbox.ip()),
        format!("get d.torrent -o dst2 --peer {addr} --bind {} --port 0 --progress json -vv", sandbox.ip()),
        "man".into(),
        "crate".into(),
    ];
    for line in lines {
        let Done { stdout, stderr, .. } = sandbox.potluck(&line);
        assert!(!stdout.contains('\x1b') && !stderr.contains('\x1b'), "{line}:\n{stdout}\n{stderr}");
    }
    drop(seed);
}

fn colours_where_they_are_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.file("b", 100_000, 2);
    sandbox.create("b");
    let info = |arguments: &[&str], variable: Option<(&str, &str)>| {
        let mut command = sandbox.command();
        command.arg("info").arg("b.torrent").args(arguments).envs(variable);
        Running::start(command).finish().stdout.contains('\x1b')
    };
    assert!(info(&["--color", "always"], None));
    assert!(info(&[], Some(("CLICOLOR_FORCE", "1"))));
    assert!(!info(&[], Some(("CLICOLOR_FORCE", "0"))));
    assert!(!info(&["--color", "never"], Some(("CLICOLOR_FORCE", "1"))));
    assert!(info(&["--color", "always"], Some(("NO_COLOR", "1"))), "the option wins");
    assert!(sandbox.potluck("--color always --help").stdout.contains('\x1b'));
}

fn a_reader_that_goes_away_is_no_error() {
    let sandbox = Sandbox::new();
    sandbox.file("b", 10_000, 2);
    sandbox.create("b");
    for line in ["info b.torrent", "man", "completions bash", "--help", "info --json b.torrent b.torrent"] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut child = sandbox
            .command()
            .args(line.split(' '))
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let status = child.wait().expect("a child of ours");
        let stderr = std::io::read_to_string(child.stderr.take().expect("piped")).expect("text");
        assert_eq!((status.code(), &stderr[..]), (Some(0), ""), "{line}");
    }
}

fn a_full_standard_output_is_one() {
    let sandbox = Sandbox::new();
    sandbox.file("b", 10_000, 2);
    sandbox.create("b");
    let full = File::options().write(true).open("/dev/full").expect("a device");
    let output = sandbox.command().args(["info", "b.torrent"]).stdout(full).output().expect("it runs");
    assert_eq!(output.status.code(), Some(8));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("standard output: no space left"), "{stderr}");
}
