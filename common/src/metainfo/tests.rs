//! Rows of hostile and odd torrents, each built from a good one.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{
    bencode::{DictWriter, encode_dict, encode_list},
    hash::{sha1, sha256},
    limits::{PIECE_LENGTH_MAX, TOTAL_SIZE_MAX},
};

/// A dictionary under construction: raw encodings by key, so that a test can put anything anywhere.
type Parts = BTreeMap<&'static str, Vec<u8>>;

fn encoded(parts: &Parts) -> Vec<u8> {
    encode_dict(|out| parts.iter().for_each(|(key, value)| out.raw(key.as_bytes(), value)))
}

fn int(value: i64) -> Vec<u8> {
    format!("i{value}e").into_bytes()
}

fn bytes(value: impl AsRef<[u8]>) -> Vec<u8> {
    let value = value.as_ref();
    [value.len().to_string().as_bytes(), b":", value].concat()
}

fn path(components: &[&str]) -> Vec<u8> {
    encode_list(|out| components.iter().for_each(|name| out.bytes(name.as_bytes())))
}

fn file(length: i64, components: &[&str], attributes: &str) -> Vec<u8> {
    encode_dict(|out| {
        if !attributes.is_empty() {
            out.bytes(b"attr", attributes.as_bytes());
        }
        out.int(b"length", length);
        out.raw(b"path", &path(components));
    })
}

fn list(values: &[Vec<u8>]) -> Vec<u8> {
    encode_list(|out| values.iter().for_each(|value| out.raw(value)))
}

fn torrent(info: &Parts) -> Vec<u8> {
    encode_dict(|out| out.raw(b"info", &encoded(info)))
}

/// 100 000 bytes in one file, 4 pieces.
fn single() -> Parts {
    let pieces = bytes([7; 80]);
    [("length", int(100_000)), ("name", bytes("x")), ("piece length", int(32_768)), ("pieces", pieces)].into()
}

fn with(mut parts: Parts, changes: &[(&'static str, Vec<u8>)]) -> Parts {
    for (key, value) in changes {
        parts.insert(key, value.clone());
    }
    parts
}

fn without(mut parts: Parts, key: &str) -> Parts {
    parts.remove(key);
    parts
}

fn folder(files: &[Vec<u8>], pieces: usize) -> Parts {
    without(with(single(), &[("files", list(files)), ("pieces", bytes(vec![7; 20 * pieces]))]), "length")
}

/// Parses `torrent`, which must be refused with a message that holds every word of `expected`.
#[track_caller]
fn refused(torrent: &[u8], expected: &str) {
    let message = Metainfo::parse(torrent).map(|_| ()).expect_err(expected).to_string();
    assert!(message.contains(expected), "{message:?} does not say {expected:?}");
}

#[test]
fn a_plain_torrent_is_read() {
    let metainfo = Metainfo::parse(&torrent(&single())).expect("valid");
    assert_eq!(metainfo.version(), Version::V1);
    assert_eq!((metainfo.name(), metainfo.is_single_file(), metainfo.private()), ("x", true, false));
    assert_eq!((metainfo.geometry().pieces(), metainfo.total_size()), (4, 100_000));
    assert_eq!(metainfo.piece_hash(metainfo.geometry().piece(3).expect("exists")), &[7; 20]);
    assert_eq!(metainfo.info_bytes(), encoded(&single()));
    assert_eq!(metainfo.info_hash_v1(), Some(InfoHash(sha1(&encoded(&single())))));
    let [entry] = metainfo.files() else { panic!("one file") };
    assert_eq!((entry.path.to_slash_string(), entry.length, entry.offset), ("x".to_owned(), 100_000, 0));
}

#[test]
fn row_1_1_the_name_is_safe_and_the_info_hash_stays() {
    for (raw, expected) in [("a/b", Some("a_b")), ("..", None), ("", None), (".", None), ("...", Some("..."))]
    {
        let info = with(folder(&[file(100_000, &["..", "f"], "")], 4), &[("name", bytes(raw))]);
        let metainfo = Metainfo::parse(&torrent(&info)).expect("valid");
        let hash = InfoHash(sha1(&encoded(&info)));
        let expected = expected.map_or_else(|| hash.to_string(), str::to_owned);
        assert_eq!((metainfo.info_hash(), metainfo.name()), (hash, &expected[..]));
        assert_eq!(metainfo.files()[0].path.components(), [&expected[..], "_", "f"]);
    }
}

#[test]
fn row_1_2_symbolic_links_are_left_out() {
    let link = encode_dict(|out| {
        out.bytes(b"attr", b"l");
        out.raw(b"path", &path(&["f"]));
        out.raw(b"symlink path", &path(&["..", "..", "etc"]));
    });
    let metainfo = Metainfo::parse(&torrent(&folder(&[link, file(100_000, &["f"], "")], 4))).expect("valid");
    let [link, real] = metainfo.files() else { panic!("two files") };
    assert_eq!((link.symlink, link.is_on_disk(), link.length), (true, false, 0));
    assert_eq!((real.is_on_disk(), real.path.to_slash_string()), (true, "x/f".to_owned()));
    refused(&torrent(&folder(&[file(100_000, &["f"], "l")], 4)), "a symbolic link with a length");
}

#[test]
fn row_1_3_equal_names_of_a_whole_torrent() {
    let files = vec![file(5, &["same"], ""); 20_000];
    let metainfo = Metainfo::parse(&torrent(&folder(&files, 4))).expect("valid");
    assert_eq!(metainfo.files()[19_999].path.components(), ["x", "same.19999"]);
}

#[test]
fn row_1_5_sizes_that_do_not_fit_are_refused() {
    let max = i64::try_from(TOTAL_SIZE_MAX).expect("fits");
    let cases = [
        (with(single(), &[("length", int(-1))]), "no valid length"),
        (with(single(), &[("length", int(i64::MAX))]), "no valid length"),
        (with(single(), &[("length", b"i9223372036854775808e".to_vec())]), "no valid length"),
        (with(single(), &[("length", b"i18446744073709551617e".to_vec())]), "no valid length"),
        (with(single(), &[("length", bytes("1"))]), "no valid length"),
        (without(single(), "length"), "\"length\" is missing"),
        (folder(&[file(max, &["a"], ""), file(1, &["b"], "")], 4), "total size"),
        (folder(&vec![file(max, &["a"], ""); 70_000], 4), "total size"),
        (folder(&[file(100_001, &["a"], ""), file(-1, &["b"], "")], 4), "no valid length"),
        (folder(&[], 0), "no files"),
        (with(single(), &[("files", list(&[file(1, &["a"], "")]))]), "both \"length\" and \"files\""),
        (with(single(), &[("piece length", int(0))]), "piece length 0"),
        (with(single(), &[("piece length", int(-16_384))]), "piece length -16384"),
        (with(single(), &[("piece length", int((1 << 32) + 16_384))]), "piece length 4294983680"),
        (with(single(), &[("piece length", int(1 << 62))]), "piece length 4611686018427387904"),
        (with(single(), &[("piece length", int(i64::from(PIECE_LENGTH_MAX) + 1))]), "piece length"),
        (with(single(), &[("piece length", b"i99999999999999999999e".to_vec())]), "not an integer"),
        (without(single(), "piece length"), "\"piece length\" is missing"),
        (with(single(), &[("length", int(1 << 40)), ("piece length", int(1))]), "pieces are above"),
        (with(single(), &[("meta version", int(3))]), "meta version 3"),
        (with(single(), &[("meta version", bytes("2"))]), "\"meta version\" is not an integer"),
        (without(single(), "name"), "\"name\" is missing"),
        (with(single(), &[("name", int(1))]), "\"name\" is not a string"),
        (folder(&[file(1, &[], "")], 1), "entry 0 of \"files\" has no valid path"),
        (folder(&[file(1, &["a"; 101], "")], 1), "deeper than 100"),
        (folder(&[int(1)], 1), "entry 0 of \"files\" is not a dictionary"),
        (without(with(single(), &[("files", int(1))]), "length"), "\"files\" is not a list"),
    ];
    for (info, expected) in cases {
        refused(&torrent(&info), expected);
    }
}

#[test]
fn row_1_6_piece_hashes_that_do_not_fit_are_refused() {
    let cases = [
        (with(single(), &[("pieces", bytes([7; 60]))]), "3 hashes where the files make 4"),
        (with(single(), &[("pieces", bytes([7; 100]))]), "5 hashes where the files make 4"),
        (with(single(), &[("pieces", bytes([7; 59]))]), "59 bytes long"),
        (with(single(), &[("pieces", bytes(""))]), "0 hashes"),
        (with(single(), &[("pieces", list(&[bytes([7; 20])]))]), "\"pieces\" is not a string"),
        (without(single(), "pieces"), "\"pieces\" is missing"),
    ];
    for (info, expected) in cases {
        refused(&torrent(&info), expected);
    }
    let empty = with(single(), &[("length", int(0)), ("pieces", bytes(""))]);
    assert_eq!(Metainfo::parse(&torrent(&empty)).expect("valid").geometry().pieces(), 0);
}

/// A v2 torrent of `a` (three pieces of 16 KiB) and `b/c` (one block).
struct Sample {
    info: Parts,
    a: FileMerkle,
    tree_a: Parts,
    tree_c: Parts,
    layers: Vec<u8>,
}

fn v2() -> Sample {
    let merkle = |byte, length| {
        let mut hasher = MerkleHasher::new(16_384);
        hasher.update(&vec![byte; length]);
        hasher.finish()
    };
    let (a, c) = (merkle(1, 40_000), merkle(2, 100));
    let leaf = |merkle: &FileMerkle| -> Parts {
        let length = i64::try_from(merkle.length).expect("fits");
        [("length", int(length)), ("pieces root", bytes(merkle.root.expect("not empty")))].into()
    };
    let layers = encode_dict(|out| out.bytes(&a.root.expect("not empty"), &a.layer.concat()));
    let info = [("meta version", int(2)), ("name", bytes("x")), ("piece length", int(16_384))].into();
    Sample { info, tree_a: leaf(&a), tree_c: leaf(&c), a, layers }
}

impl Sample {
    fn tree(&self) -> Vec<u8> {
        let leaf = |leaf: &Parts| encode_dict(|out| out.raw(b"", &encoded(leaf)));
        encode_dict(|out| {
            out.raw(b"a", &leaf(&self.tree_a));
            out.dict(b"b", |out| out.raw(b"c", &leaf(&self.tree_c)));
        })
    }

    fn torrent_with_tree(&self, tree: &[u8]) -> Vec<u8> {
        let info = with(self.info.clone(), &[("file tree", tree.to_vec())]);
        encode_dict(|out| {
            out.raw(b"info", &encoded(&info));
            out.raw(b"piece layers", &self.layers);
        })
    }

    fn torrent(&self) -> Vec<u8> {
        self.torrent_with_tree(&self.tree())
    }

    /// The same as a hybrid with these v1 files.
    fn hybrid(mut self, files: &[Vec<u8>], pieces: usize) -> Vec<u8> {
        self.info.insert("files", list(files));
        self.info.insert("pieces", bytes(vec![7; 20 * pieces]));
        self.torrent()
    }
}

fn v2_with(change: impl FnOnce(&mut Sample)) -> Vec<u8> {
    let mut sample = v2();
    change(&mut sample);
    sample.torrent()
}

fn v2_with_tree(build: impl FnOnce(&mut DictWriter<'_>)) -> Vec<u8> {
    v2().torrent_with_tree(&encode_dict(build))
}

#[test]
fn a_v2_torrent_is_read() {
    let sample = v2();
    let metainfo = Metainfo::parse(&sample.torrent()).expect("valid");
    assert_eq!((metainfo.version(), metainfo.info_hash_v1()), (Version::V2, None));
    let hash = InfoHashV2(sha256(metainfo.info_bytes()));
    assert_eq!((metainfo.info_hash_v2(), metainfo.info_hash()), (Some(hash), hash.truncated()));
    let layout: Vec<_> =
        metainfo.files().iter().map(|file| (file.path.to_slash_string(), file.offset, file.length)).collect();
    assert_eq!(layout, [("x/a".to_owned(), 0, 40_000), ("x/b/c".to_owned(), 49_152, 100)]);
    assert_eq!((metainfo.geometry().pieces(), metainfo.total_size()), (4, 40_100));
    assert_eq!(metainfo.piece_layer(&sample.a.root.expect("not empty")), Some(&sample.a.layer[..]));
    assert!(metainfo.piece_hashes().is_empty());
}

#[test]
fn row_1_7_v2_hash_trees_that_do_not_hold_are_refused() {
    let root = v2().a.root.expect("not empty");
    let layer = v2().a.layer.concat();
    let layers = |entries: &[(&[u8], &[u8])]| {
        encode_dict(|out| entries.iter().for_each(|(root, layer)| out.bytes(root, layer)))
    };
    let mut wrong = layer.clone();
    wrong[95] ^= 1;
    let above = [255; 32];
    let cases = [
        (v2_with(|v2| v2.layers = layers(&[(&root, &wrong)])), "does not hash to its pieces root"),
        (
            v2_with(|v2| v2.layers = layers(&[(&root, &layer[..64])])),
            "64 bytes long where its pieces need 96",
        ),
        (v2_with(|v2| v2.layers = layers(&[(&root, &layer[..95])])), "95 bytes long"),
        (v2_with(|v2| v2.layers = layers(&[(&root, &[])])), "0 bytes long"),
        (v2_with(|v2| v2.layers = layers(&[])), "file \"a\" has no piece layer"),
        (v2_with(|v2| v2.layers = layers(&[(&root, &layer), (&above, &layer)])), "belongs to no file: ffff"),
        (v2_with(|v2| v2.layers = list(&[])), "\"piece layers\" is not a dictionary"),
        (v2_with(|v2| v2.layers = b"d1:ai1ee".to_vec()), "\"piece layers\" is not a dictionary"),
        (v2_with(|v2| drop(v2.tree_a.insert("pieces root", bytes([0; 32])))), "pieces root of zeros"),
        (v2_with(|v2| drop(v2.tree_a.insert("pieces root", bytes([1; 31])))), "no valid pieces root"),
        (v2_with(|v2| drop(v2.tree_a.insert("pieces root", int(1)))), "no valid pieces root"),
        (v2_with(|v2| drop(v2.tree_c.remove("pieces root"))), "file \"b/c\" has no valid pieces root"),
        (v2_with(|v2| drop(v2.tree_c.remove("length"))), "file \"b/c\" has no valid length"),
        (v2_with(|v2| drop(v2.tree_c.insert("length", int(-1)))), "no valid length"),
        (v2_with(|v2| drop(v2.tree_c.insert("length", int(1 << 48)))), "total size"),
        (
            v2_with(|v2| drop(v2.tree_c.insert("attr", bytes("p")))),
            "\"b/c\" in the file tree is a padding file",
        ),
        (v2_with(|v2| drop(v2.info.insert("piece length", int(8_192)))), "piece length 8192 of a v2 torrent"),
        (v2_with(|v2| drop(v2.info.insert("piece length", int(40_960)))), "not a power of two"),
        (v2_with(|v2| drop(v2.info.insert("piece length", int(0)))), "piece length 0"),
        (v2_with(|v2| drop(v2.info.insert("piece length", int(1 << 40)))), "piece length 1099511627776"),
        (v2_with_tree(|_| ()), "no files"),
        (v2_with_tree(|out| out.int(b"a", 1)), "\"a\" in the file tree is neither"),
        (v2_with_tree(|out| out.dict(b"a", |_| ())), "\"a\" in the file tree is neither"),
        (v2_with_tree(|out| out.dict(b"a", |out| out.int(b"", 1))), "\"a\" in the file tree is neither"),
        (v2_with_tree(|out| out.dict(b"", |out| out.int(b"length", 0))), "\"\" in the file tree is neither"),
        (
            v2_with_tree(|out| {
                out.dict(b"a", |out| {
                    out.dict(b"", |out| out.int(b"length", 0));
                    out.dict(b"b", |out| out.dict(b"", |out| out.int(b"length", 0)));
                });
            }),
            "\"a\" in the file tree is both",
        ),
        (v2().torrent_with_tree(&int(1)), "\"file tree\" is not a dictionary"),
        (torrent(&v2().info), "\"file tree\" is missing"),
    ];
    for (torrent, expected) in cases {
        refused(&torrent, expected);
    }
}

#[test]
fn row_1_7_a_v2_info_dictionary_is_canonical() {
    let good = v2().torrent();
    let place = good.windows(7).position(|window| window == b"i40000e").expect("the length of a");
    let mut odd = good.clone();
    odd.splice(place..place + 7, b"i040000e".iter().copied());
    refused(&odd, &format!("canonical form of a v2 torrent: at byte {place}"));
    // Outside of it the usual freedom holds.
    assert!(Metainfo::parse(&[&good[..], b"\n"].concat()).is_ok());
}

fn pad(length: i64) -> Vec<u8> {
    file(length, &[".pad", "9152"], "p")
}

#[test]
fn row_1_8_hybrids_whose_halves_disagree_are_refused() {
    let a = || file(40_000, &["a"], "");
    let c = || file(100, &["b", "c"], "");
    let good = v2().hybrid(&[a(), pad(9_152), c()], 4);
    let metainfo = Metainfo::parse(&good).expect("valid");
    assert_eq!(metainfo.version(), Version::Hybrid);
    assert_eq!((metainfo.info_hash_v1(), metainfo.files().len()), (Some(metainfo.info_hash()), 3));
    assert_eq!((metainfo.total_size(), metainfo.geometry().total()), (40_100, 49_252));
    assert!(metainfo.files()[1].padding && !metainfo.files()[1].is_on_disk());
    assert!(Metainfo::parse(&v2().hybrid(&[a(), pad(9_152), c(), pad(16_284)], 4)).is_ok());

    let cases = [
        (v2().hybrid(&[a(), c()], 3), "file \"b/c\" is not padded"),
        (v2().hybrid(&[a(), pad(9_151), c()], 4), "file \"b/c\" is not padded"),
        (v2().hybrid(&[a(), pad(9_152 + 16_384), c()], 5), "file \"b/c\" is not padded"),
        (v2().hybrid(&[a(), pad(9_152), file(101, &["b", "c"], "")], 4), "101 bytes in v1 and 100 in v2"),
        (v2().hybrid(&[a(), pad(9_152), file(100, &["b", "d"], "")], 4), "\"b/d\" in v1 is \"b/c\" in v2"),
        (v2().hybrid(&[c(), pad(16_284), a()], 4), "\"b/c\" in v1 is \"a\" in v2"),
        (v2().hybrid(&[a()], 3), "1 files in v1, 2 in v2"),
        (v2().hybrid(&[a(), pad(9_152), c(), file(0, &["z"], "")], 4), "3 files in v1, 2 in v2"),
        (v2().hybrid(&[a(), pad(9_152), c(), pad(16_285)], 5), "padding after the last file"),
    ];
    for (torrent, expected) in cases {
        refused(&torrent, expected);
    }
    let mut shape = v2();
    shape.info.extend([("length", int(40_100)), ("pieces", bytes([7; 60]))]);
    refused(&shape.torrent(), "one describes a single file");
}

#[test]
fn row_1_9_the_info_hash_is_that_of_the_raw_bytes() {
    let unsorted = b"d4:name1:x6:lengthi5e6:sourcei1e12:piece lengthi016384e6:pieces20:aaaaaaaaaaaaaaaaaaaae";
    let torrent = [b"d1:zi99999999999999999999e2:\xff\xfele4:info", &unsorted[..], b"e\r\n"].concat();
    let metainfo = Metainfo::parse(&torrent).expect("valid");
    assert_eq!(metainfo.info_bytes(), unsorted);
    assert_eq!(metainfo.info_hash(), InfoHash(sha1(unsorted)));
    assert_eq!((metainfo.geometry().total(), metainfo.source()), (5, None));
}

#[test]
fn row_1_10_what_is_no_torrent_is_refused() {
    refused(b"", "at byte 0: the data ends");
    refused(b"<html>", "at byte 0: byte 0x3c does not begin a value");
    refused(b"le", "the outermost value is not a dictionary");
    refused(b"de", "\"info\" is missing");
    refused(b"d4:infolee", "\"info\" is not a dictionary");
    refused(&[b"d4:info".to_vec(), vec![b'l'; 200]].concat(), "deeper than 100");
    let good = torrent(&single());
    refused(&good[..good.len() - 1], "the data ends");
    refused(&[&good[..], b"garbage"].concat(), "data follows");
    let tree = (0..97).fold(b"d0:d6:lengthi0eee".to_vec(), |tree, _| [b"d1:a", &tree[..], b"e"].concat());
    refused(&v2().torrent_with_tree(&tree), "deeper than 100");
}

#[test]
fn row_1_10_a_file_tree_cannot_grow_a_thousandfold() {
    // One folder of 40 long names above many files: each path repeats the names.
    let leaves = encode_dict(|out| {
        for number in 0..30_000 {
            out.raw(format!("{number:05}").as_bytes(), b"d0:d6:lengthi0eee");
        }
    });
    let name = "n".repeat(200);
    let tree = (0..40).fold(leaves, |tree, _| encode_dict(|out| out.raw(name.as_bytes(), &tree)));
    refused(&v2().torrent_with_tree(&tree), "the list of all files takes more");
}

/// A torrent with these outer keys beside `info`.
fn with_outer(parts: &[(&'static str, Vec<u8>)]) -> Metainfo {
    let info = with(single(), &[("private", int(1)), ("source", bytes("S\x1b"))]);
    let outer: Parts = parts.iter().cloned().chain([("info", encoded(&info))]).collect();
    Metainfo::parse(&encoded(&outer)).expect("nothing outside of info is worth a refusal")
}

#[test]
fn the_outer_keys_are_read_as_far_as_they_make_sense() {
    let node = |host: &str, port| list(&[bytes(host), int(port)]);
    let metainfo = with_outer(&[
        ("comment", bytes("a\nb")),
        ("created by", bytes(b"\xffx")),
        ("creation date", int(1 << 62)),
        ("nodes", list(&[node("h", 6881), node("h", 0), node("h", 65_536), int(7)])),
        ("url-list", list(&[bytes("http://w/"), bytes("http://w/"), int(1)])),
    ]);
    assert_eq!(metainfo.comment().map(Printable::as_str), Some("a\\u{a}b"));
    assert_eq!(metainfo.created_by().map(Printable::as_str), Some("\u{fffd}x"));
    assert_eq!(metainfo.creation_date(), Some(1 << 62));
    assert_eq!(metainfo.nodes(), [("h".to_owned(), 6881)]);
    assert_eq!(metainfo.web_seeds(), ["http://w/"]);
    assert_eq!(metainfo.source().map(Printable::as_str), Some("S\\u{1b}"));
    assert!(metainfo.private());

    let nonsense = ["announce", "announce-list", "comment", "creation date", "nodes", "url-list"];
    for value in
        [b"i99999999999999999999e".to_vec(), bytes("\n"), list(&[list(&[list(&[])])]), b"de".to_vec()]
    {
        let metainfo = with_outer(&nonsense.map(|key| (key, value.clone())));
        assert!(metainfo.trackers().is_empty() && metainfo.nodes().is_empty());
        assert!(metainfo.web_seeds().is_empty() && metainfo.creation_date().is_none());
    }
}

#[test]
fn trackers_stand_in_tiers_without_duplicates() {
    type Tiers<'a> = &'a [&'a [&'a str]];
    let tier = |urls: &[&str]| list(&urls.iter().map(bytes).collect::<Vec<_>>());
    let long = format!("http://{}/", "x".repeat(10_000));
    let cases: &[(&[Vec<u8>], Tiers<'_>)] = &[
        (
            &[tier(&["http://a/", "http://b/"]), tier(&["udp://c:1"])],
            &[&["http://a/", "http://b/"], &["udp://c:1"]],
        ),
        (&[tier(&["http://a/"]), tier(&["http://a/", "http://b/"])], &[&["http://a/"], &["http://b/"]]),
        (&[tier(&["http://a/"]), tier(&[]), tier(&["http://a/"])], &[&["http://a/"]]),
        (&[tier(&[" http://a/ ", "http://\x1b/", "two words", &long]), int(1)], &[&["http://a/"]]),
        (&[bytes("http://a/"), bytes("http://b/")], &[&["http://a/"], &["http://b/"]]),
        (&[], &[&["http://single/"]]),
    ];
    for (tiers, expected) in cases {
        let metainfo = with_outer(&[("announce", bytes("http://single/")), ("announce-list", list(tiers))]);
        assert_eq!(metainfo.trackers(), *expected);
    }
    let many: Vec<_> = (0..1_000).map(|number| tier(&[&format!("http://{number}/")])).collect();
    assert_eq!(with_outer(&[("announce-list", list(&many))]).trackers().len(), crate::limits::TRACKERS_MAX);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn mutated_torrents_never_panic(
        which in 0..3usize,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 1..6),
    ) {
        let mut torrent = match which {
            0 => torrent(&folder(&[file(100_000, &["a", "b"], "x"), file(0, &["c"], "")], 4)),
            1 => v2().torrent(),
            _ => v2().hybrid(&[file(40_000, &["a"], ""), pad(9_152), file(100, &["b", "c"], "")], 4),
        };
        for (place, byte, how) in edits {
            let place = place.index(torrent.len());
            match how {
                0 => torrent[place] = byte,
                // Structure is hit more often when the byte is structure.
                1 => torrent[place] = b"0123456789:ilde-"[usize::from(byte) % 16],
                2 => torrent.insert(place, b"0123456789:ilde-"[usize::from(byte) % 16]),
                _ => drop(torrent.remove(place)),
            }
        }
        if let Ok(metainfo) = Metainfo::parse(&torrent) {
            let total: u64 = metainfo.files().iter().map(|file| file.length).sum();
            prop_assert!(total <= metainfo.geometry().total());
            prop_assert!(!metainfo.name().is_empty());
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_torrent(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Metainfo::parse(&bytes).is_err());
    }
}
