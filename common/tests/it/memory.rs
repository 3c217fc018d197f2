//! What hostile torrents take while they are parsed: each shape in a process of its own, whose peak the kernel knows.
#![expect(clippy::disallowed_methods, reason = "this test is the shell of a pure crate")]

use std::{
    env, fs,
    process::{Command, Stdio},
};

use potluck_common::{
    limits::{BENCODE_TOKENS_MAX, FILES_MAX},
    metainfo::{Metainfo, MetainfoError},
};

/// What parsing may take above the bytes of a torrent and the copy of `info` that is kept.
const PARSE_BYTES_MAX: usize = 64 * 1024 * 1024;

const SHAPE: &str = "POTLUCK_MEMORY_SHAPE";

/// Makes one torrent.
type Make = fn() -> Vec<u8>;

/// A torrent by its name, and whether it is accepted.
const SHAPES: &[(&str, Make, bool)] = &[
    (
        "files of a v1 list up to the last token",
        || v1(&repeated(b"d6:lengthi0e4:pathl1:aee", 499_990), &[]),
        false,
    ),
    (
        "as many files as may be, and other tokens",
        || v1(&distinct(FILES_MAX), &repeated(b"0:", 2_300_000)),
        true,
    ),
    ("paths of a hundred folders, all different", || v1(&deep(3_050), &repeated(b"0:", 2_600_000)), true),
    ("more of them", || v1(&deep(28_000), &[]), false),
    ("empty components", || v1(&empty_components(), &[]), false),
    ("files of a v2 tree up to the last token", v2, false),
    ("trackers in one tier", || outer(b"13:announce-listl", &repeated(b"1:a", 1_000_000), b"e"), true),
    ("piece layers of no file", layers, false),
];

fn repeated(item: &[u8], count: usize) -> Vec<u8> {
    item.repeat(count)
}

/// The v1 entries of files with names that differ.
fn distinct(count: usize) -> Vec<u8> {
    let mut files = Vec::with_capacity(count * 32);
    (0..count).for_each(|number| files.extend(format!("d6:lengthi0e4:pathl5:{number:05}ee").bytes()));
    files
}

/// The v1 entries of files each below 99 folders of its own.
fn deep(count: usize) -> Vec<u8> {
    let mut files = Vec::with_capacity(count * 720);
    for number in 0..count {
        files.extend(format!("d6:lengthi0e4:pathl5:{number:05}{}ee", "5:aaaaa".repeat(99)).bytes());
    }
    files
}

/// The v1 entries of files with a hundred components that cost two bytes each.
fn empty_components() -> Vec<u8> {
    let path = "0:".repeat(100);
    format!("d6:lengthi0e4:pathl{path}ee").into_bytes().repeat(BENCODE_TOKENS_MAX / 105 - 10)
}

fn v1(files: &[u8], junk: &[u8]) -> Vec<u8> {
    let parts: [&[u8]; 5] =
        [b"d4:infod5:filesl", files, b"e4:name1:n12:piece lengthi16384e6:pieces0:e1:zl", junk, b"ee"];
    parts.concat()
}

fn v2() -> Vec<u8> {
    let mut tree = Vec::with_capacity(30 * 499_990);
    (0..499_990).for_each(|number| tree.extend(format!("6:{number:06}d0:d6:lengthi0eee").bytes()));
    let parts: [&[u8]; 3] =
        [b"d4:infod9:file treed", &tree, b"e12:meta versioni2e4:name1:n12:piece lengthi16384eee"];
    parts.concat()
}

/// A small torrent with something large outside its `info`.
fn outer(before: &[u8], many: &[u8], after: &[u8]) -> Vec<u8> {
    let info = b"4:infod6:lengthi0e4:name1:n12:piece lengthi16384e6:pieces0:e";
    [b"d", before, many, after, info, b"e"].concat()
}

fn layers() -> Vec<u8> {
    let mut layers = Vec::with_capacity(11 * 1_499_900);
    (0..1_499_900).for_each(|number| layers.extend(format!("7:{number:07}0:").bytes()));
    let info: &[u8] = b"d4:infod9:file treed1:nd0:d6:lengthi0eeee12:meta versioni2e4:name1:n12:piece lengthi16384ee12:piece layersd";
    [info, &layers, b"ee"].concat()
}

#[test]
fn no_torrent_takes_more_than_64_mib_to_parse() {
    let program = env::current_exe().expect("a test is a program");
    let start = |(shape, ..): &(&'static str, Make, bool)| {
        let mut child = Command::new(&program);
        child.args(["--exact", "memory::a_shape_is_parsed", "--nocapture"]).env(SHAPE, shape);
        (*shape, child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"))
    };
    for (shape, child) in SHAPES.iter().map(start).collect::<Vec<_>>() {
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("1 passed"), "{shape}: {said}{complaint}");
    }
}

/// Does nothing but in the processes that the test above starts.
#[test]
fn a_shape_is_parsed() {
    let Ok(name) = env::var(SHAPE) else { return };
    let (_, make, accepted) = SHAPES.iter().find(|(shape, ..)| *shape == name).expect("known");
    let bytes = make();
    // Makes the peak what is in use now.
    fs::write("/proc/self/clear_refs", "5").expect("writable");
    let before = peak();
    let outcome = Metainfo::parse(&bytes);
    let used = peak().saturating_sub(before);
    println!("{name}: {} MiB for {} MiB, {:?}", used >> 20, bytes.len() >> 20, outcome.as_ref().err());
    let limits = matches!(
        outcome,
        Err(MetainfoError::FileCount | MetainfoError::FileListBytes | MetainfoError::LayerUnknown(_))
    );
    assert_eq!((outcome.is_ok(), limits), (*accepted, !*accepted), "{:?}", outcome.err());
    let kept = outcome.map_or(0, |metainfo| metainfo.info_bytes().len());
    assert!(used <= PARSE_BYTES_MAX + kept, "{used} bytes");
}

/// The most memory that this process had at one time, in bytes.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("readable");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says it");
    let kibibytes: usize = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kibibytes * 1024
}
