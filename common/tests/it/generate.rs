//! How the torrents of the repository are made: the committed files are byte for byte what this makes.
//!
//! `cargo test -p potluck-common --test it -- --ignored write_the_torrents` writes them anew. The hashes in the
//! manifest are not written by it: they were taken from another implementation, once.

use potluck_common::{
    bencode::{DictWriter, encode_dict, encode_list},
    hash::sha1,
    metainfo::{
        FileMerkle, MerkleHasher, Version,
        create::{Options, PieceLength, Plan},
    },
};

use crate::manifest::{content, folder, read};

/// A file's path below the torrent's name, its length and its seed.
type File = (&'static str, u64, u64);

const SINGLE: &[File] = &[("", 100_000, 1)];
const MANY: &[File] = &[
    ("empty", 0, 0),
    ("folder/one byte", 1, 10),
    ("folder/sub/deep.bin", 70_000, 11),
    ("folder/sub/exact.bin", 32_768, 12),
    ("grüße 日本語 🎲.txt", 5_000, 13),
    ("last", 3, 14),
];
const V2: &[File] =
    &[("a", 40_000, 20), ("b/empty", 0, 0), ("b/one byte", 1, 21), ("c", 16_384, 22), ("d", 65_537, 23)];

#[test]
fn the_torrents_are_what_the_generator_makes() {
    for (file, bytes) in samples().into_iter().chain(bad()) {
        assert!(read(&file) == bytes, "torrents/{file} differs from what the generator makes");
    }
}

#[test]
#[ignore = "writes into the source tree"]
#[expect(clippy::disallowed_methods, reason = "this test is the shell of a pure crate")]
fn write_the_torrents() {
    for (file, bytes) in samples().into_iter().chain(bad()) {
        std::fs::write(folder().join(&file), bytes)
            .unwrap_or_else(|error| panic!("torrents/{file}: {error}"));
    }
}

fn samples() -> Vec<(String, Vec<u8>)> {
    let options = |version, piece_length| Options {
        version,
        piece_length: PieceLength::Fixed(piece_length),
        ..Options::default()
    };
    let private = Options {
        private: true,
        trackers: vec![
            vec!["http://tracker.example/secret/announce".into(), "udp://tracker.example:6969".into()],
            vec!["https://backup.example/announce".into()],
        ],
        source: Some("EXAMPLE".into()),
        ..options(Version::V1, 32_768)
    };
    let samples = [
        ("single", planned("single.bin", SINGLE, options(Version::V1, 32_768))),
        ("many", planned("many", MANY, options(Version::V1, 32_768))),
        ("odd-pieces", planned("odd-pieces.bin", SINGLE, options(Version::V1, 40 * 1024))),
        ("private", planned("private.bin", SINGLE, private)),
        ("padding", padding()),
        ("attributes", attributes()),
        ("unsorted", unsorted()),
        ("unsafe-names", unsafe_names()),
        ("v2", planned("v2", V2, options(Version::V2, 16_384))),
        ("hybrid", planned("hybrid", V2, options(Version::Hybrid, 16_384))),
        ("hybrid-single", planned("hybrid.bin", SINGLE, options(Version::Hybrid, 32_768))),
    ];
    samples.map(|(name, bytes)| (format!("{name}.torrent"), bytes)).into()
}

/// The torrent of `files` as our own code makes it.
fn planned(name: &str, files: &[File], options: Options) -> Vec<u8> {
    let paths = files.iter().map(|(path, length, _)| (path.split('/').map(str::to_owned).collect(), *length));
    let plan = Plan::new(name, paths.collect(), files[0].0.is_empty(), options).expect("a sample is valid");
    let mut payload = vec![0; plan.geometry().total() as usize];
    let mut merkles = Vec::new();
    for file in plan.files() {
        let Some(source) = file.source else { continue };
        let bytes = content(file.entry.length, files[source].2);
        payload[file.entry.offset as usize..][..bytes.len()].copy_from_slice(&bytes);
        if plan.version().has_v2() {
            merkles.push(merkle(&bytes, plan.geometry().piece_length()));
        }
    }
    let hashes = if plan.version().has_v1() {
        payload.chunks(plan.geometry().piece_length() as usize)
    } else {
        [].chunks(1)
    };
    plan.finish(&hashes.map(sha1).collect::<Vec<_>>(), &merkles)
}

fn merkle(bytes: &[u8], piece_length: u32) -> FileMerkle {
    let mut hasher = MerkleHasher::new(piece_length);
    hasher.update(bytes);
    hasher.finish()
}

/// The piece hashes of these contents one after another.
fn pieces(payload: &[Vec<u8>], piece_length: usize) -> Vec<u8> {
    payload.concat().chunks(piece_length).flat_map(sha1).collect()
}

fn bytes(value: impl AsRef<[u8]>) -> Vec<u8> {
    let value = value.as_ref();
    [value.len().to_string().as_bytes(), b":", value].concat()
}

fn int(value: i64) -> Vec<u8> {
    format!("i{value}e").into_bytes()
}

/// An entry of the v1 file list.
fn entry(attributes: &str, length: i64, path: &[&[u8]]) -> Vec<u8> {
    encode_dict(|out| {
        if !attributes.is_empty() {
            out.bytes(b"attr", attributes.as_bytes());
        }
        out.int(b"length", length);
        out.list(b"path", |out| path.iter().for_each(|name| out.bytes(name)));
    })
}

fn list(values: &[Vec<u8>]) -> Vec<u8> {
    encode_list(|out| values.iter().for_each(|value| out.raw(value)))
}

/// A dictionary of these pairs in this order, whatever that is.
fn raw_dict(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let pairs: Vec<_> = pairs.iter().map(|(key, value)| [bytes(key), value.clone()].concat()).collect();
    [&b"d"[..], &pairs.concat(), b"e"].concat()
}

/// A torrent with nothing but this info dictionary.
fn torrent(info: &[(&str, Vec<u8>)]) -> Vec<u8> {
    raw_dict(&[("info", raw_dict(info))])
}

/// A v1 torrent of this file list.
fn folder_torrent(name: &str, files: &[Vec<u8>], pieces: &[u8]) -> Vec<u8> {
    let files = ("files", list(files));
    torrent(&[files, ("name", bytes(name)), ("piece length", int(32_768)), ("pieces", bytes(pieces))])
}

/// v1 files padded to piece boundaries (BEP 47), the padding called as libtorrent calls it.
fn padding() -> Vec<u8> {
    let payload =
        [content(40_000, 30), vec![0; 25_536], content(5, 31), vec![0; 32_763], content(32_768, 32)];
    let files = [
        entry("", 40_000, &[b"a"]),
        entry("p", 25_536, &[b".pad", b"25536"]),
        entry("", 5, &[b"b"]),
        entry("p", 32_763, &[b".pad", b"32763"]),
        entry("", 32_768, &[b"c"]),
    ];
    folder_torrent("padding", &files, &pieces(&payload, 32_768))
}

/// Every attribute of BEP 47: an executable, a hidden file, and a link that leads out of the folder.
fn attributes() -> Vec<u8> {
    let link = encode_dict(|out| {
        out.bytes(b"attr", b"l");
        out.int(b"length", 0);
        out.list(b"path", |out| out.bytes(b"link"));
        out.list(b"symlink path", |out| {
            for name in ["..", "..", "etc", "passwd"] {
                out.bytes(name.as_bytes());
            }
        });
    });
    let files = [entry("x", 1_000, &[b"run.sh"]), entry("h", 10, &[b".hidden"]), link];
    folder_torrent("attributes", &files, &pieces(&[content(1_000, 40), content(10, 41)], 32_768))
}

/// An info dictionary in no order, an integer beyond 64 bits and a key that is no text, and a line end after it all.
fn unsorted() -> Vec<u8> {
    let info = [
        ("pieces", bytes(pieces(&[content(50_000, 50)], 32_768))),
        ("length", int(50_000)),
        ("x-huge", b"i99999999999999999999e".to_vec()),
        ("piece length", int(32_768)),
        ("name", bytes("unsorted.bin")),
    ];
    let rest = b"7:comment19:unsorted on purpose2:\xff\xfelee\n";
    [b"d4:info", &raw_dict(&info)[..], rest].concat()
}

/// Names that must not reach a file system, equal names, and a file that is called like a folder.
fn unsafe_names() -> Vec<u8> {
    let paths: &[&[&[u8]]] = &[
        &[b"..", b"..", b"escape"],
        &[b"/absolute"],
        &[b"back\\slash"],
        &[b"new\nline\x1b[31m"],
        &[b"bad\xffutf"],
        &["rtl\u{202e}gpj.exe".as_bytes()],
        &[b"same"],
        &[b"same"],
        &[b"SAME"],
        &[b"folder"],
        &[b"folder", b"file"],
        &[b"a..b"],
        &[b"..x"],
    ];
    let files: Vec<_> = paths.iter().map(|path| entry("", 1, path)).collect();
    let payload: Vec<_> = (60..60 + files.len() as u64).map(|seed| content(1, seed)).collect();
    folder_torrent("unsafe/../names", &files, &pieces(&payload, 32_768))
}

/// The pairs of a good single-file info dictionary with `changes`; a change to nothing removes the key.
fn single_with(changes: &[(&'static str, Vec<u8>)]) -> Vec<u8> {
    let mut info: std::collections::BTreeMap<_, _> = [
        ("length", int(100_000)),
        ("name", bytes("bad")),
        ("piece length", int(32_768)),
        ("pieces", bytes([7; 80])),
    ]
    .into();
    info.extend(changes.iter().cloned());
    info.retain(|_, value| !value.is_empty());
    torrent(&info.into_iter().collect::<Vec<_>>())
}

/// A torrent of a file list whose sizes are to be refused, with four piece hashes.
fn listed(files: &[Vec<u8>]) -> Vec<u8> {
    single_with(&[("length", Vec::new()), ("files", list(files))])
}

fn bad() -> Vec<(String, Vec<u8>)> {
    let all =
        bad_sizes().into_iter().chain(bad_pieces()).chain(bad_v2()).chain(bad_hybrid()).chain(bad_encoding());
    all.map(|(name, bytes)| (format!("bad/{name}.torrent"), bytes)).collect()
}

type Named = Vec<(&'static str, Vec<u8>)>;

fn bad_sizes() -> Named {
    let length = |value: &[u8]| single_with(&[("length", value.to_vec())]);
    let piece_length = |value: i64| single_with(&[("piece length", int(value))]);
    vec![
        ("length-negative", length(b"i-1e")),
        ("length-2-63", length(b"i9223372036854775808e")),
        ("length-2-64-plus-1", length(b"i18446744073709551617e")),
        ("length-missing", length(b"")),
        ("length-and-files", single_with(&[("files", list(&[entry("", 1, &[b"a"])]))])),
        ("length-negative-that-sums-right", listed(&[entry("", 100_001, &[b"a"]), entry("", -1, &[b"b"])])),
        (
            "sum-beyond-2-48",
            listed(&[entry("", 1 << 47, &[b"a"]), entry("", 1 << 47, &[b"b"]), entry("", 1, &[b"c"])]),
        ),
        ("sum-wraps-2-64", listed(&vec![entry("", 1 << 62, &[b"a"]); 4])),
        ("files-empty", listed(&[])),
        ("files-path-empty", listed(&[entry("", 100_000, &[])])),
        ("piece-length-0", piece_length(0)),
        ("piece-length-negative", piece_length(-32_768)),
        ("piece-length-2-32-plus-16384", piece_length((1 << 32) + 16_384)),
        ("piece-length-2-62", piece_length(1 << 62)),
        ("piece-length-missing", single_with(&[("piece length", Vec::new())])),
        ("too-many-pieces", single_with(&[("length", int(1 << 40)), ("piece length", int(1))])),
    ]
}

fn bad_pieces() -> Named {
    let pieces = |value: Vec<u8>| single_with(&[("pieces", value)]);
    vec![
        ("pieces-one-too-few", pieces(bytes([7; 60]))),
        ("pieces-one-too-many", pieces(bytes([7; 100]))),
        ("pieces-59-bytes", pieces(bytes([7; 59]))),
        ("pieces-list", pieces(list(&[bytes([7; 80])]))),
        ("pieces-missing", pieces(Vec::new())),
    ]
}

/// The content of the v2 and hybrid torrents: `a` has three pieces, `b` one.
struct V2Parts {
    a: FileMerkle,
    b: FileMerkle,
}

fn v2_parts() -> V2Parts {
    V2Parts { a: merkle(&content(40_000, 70), 16_384), b: merkle(&content(100, 71), 16_384) }
}

/// A file of the tree with this length and root.
fn leaf(out: &mut DictWriter<'_>, name: &[u8], length: i64, root: &[u8]) {
    out.dict(name, |out| {
        out.dict(b"", |out| {
            out.int(b"length", length);
            out.bytes(b"pieces root", root);
        });
    });
}

impl V2Parts {
    fn root_a(&self) -> [u8; 32] {
        self.a.root.expect("not empty")
    }

    fn root_b(&self) -> [u8; 32] {
        self.b.root.expect("not empty")
    }

    fn tree(&self) -> Vec<u8> {
        encode_dict(|out| {
            leaf(out, b"a", 40_000, &self.root_a());
            leaf(out, b"b", 100, &self.root_b());
        })
    }

    fn layers(&self) -> Vec<u8> {
        encode_dict(|out| out.bytes(&self.root_a(), self.a.layer.as_flattened()))
    }

    fn torrent(&self, tree: Vec<u8>, piece_length: i64, layers: Vec<u8>) -> Vec<u8> {
        let info = [
            ("file tree", tree),
            ("meta version", int(2)),
            ("name", bytes("bad")),
            ("piece length", int(piece_length)),
        ];
        let _ = self;
        raw_dict(&[("info", raw_dict(&info)), ("piece layers", layers)])
    }

    fn hybrid(&self, files: &[Vec<u8>], pieces: usize) -> Vec<u8> {
        let info = [
            ("file tree", self.tree()),
            ("files", list(files)),
            ("meta version", int(2)),
            ("name", bytes("bad")),
            ("piece length", int(16_384)),
            ("pieces", bytes(vec![7; 20 * pieces])),
        ];
        raw_dict(&[("info", raw_dict(&info)), ("piece layers", self.layers())])
    }
}

fn bad_v2() -> Named {
    let v2 = v2_parts();
    let layer = v2.a.layer.concat();
    let mut wrong = layer.clone();
    wrong[95] ^= 1;
    let layers =
        |layer: &[u8]| v2.torrent(v2.tree(), 16_384, encode_dict(|out| out.bytes(&v2.root_a(), layer)));
    let tree = |build: &dyn Fn(&mut DictWriter<'_>)| v2.torrent(encode_dict(build), 16_384, b"de".to_vec());
    let unknown = encode_dict(|out| {
        out.bytes(&v2.root_a(), &layer);
        out.bytes(&[255; 32], &layer);
    });
    let padding = |out: &mut DictWriter<'_>| {
        out.dict(b"a", |out| {
            out.dict(b"", |out| {
                out.bytes(b"attr", b"p");
                out.int(b"length", 0);
            });
        });
    };
    let both = |out: &mut DictWriter<'_>| {
        out.dict(b"a", |out| {
            out.dict(b"", |out| out.int(b"length", 0));
            leaf(out, b"b", 100, &v2.root_b());
        });
    };
    vec![
        ("v2-layer-wrong", layers(&wrong)),
        ("v2-layer-short", layers(&layer[..64])),
        ("v2-layer-long", layers(&[&layer[..], &[1; 32]].concat())),
        ("v2-layer-missing", v2.torrent(v2.tree(), 16_384, b"de".to_vec())),
        ("v2-layer-unknown-root", v2.torrent(v2.tree(), 16_384, unknown)),
        ("v2-root-zero", tree(&|out| leaf(out, b"a", 100, &[0; 32]))),
        ("v2-root-31-bytes", tree(&|out| leaf(out, b"a", 100, &[1; 31]))),
        ("v2-root-missing", tree(&|out| out.dict(b"a", |out| out.dict(b"", |out| out.int(b"length", 1))))),
        ("v2-piece-length-8-kib", v2.torrent(v2.tree(), 8_192, v2.layers())),
        ("v2-piece-length-40-kib", v2.torrent(v2.tree(), 40_960, v2.layers())),
        ("v2-file-and-folder", tree(&both)),
        ("v2-padding-in-tree", tree(&padding)),
        ("v2-length-negative", tree(&|out| leaf(out, b"a", -1, &v2.root_a()))),
        ("v2-sum-beyond-2-48", tree(&|out| leaf(out, b"a", (1 << 48) + 1, &v2.root_a()))),
        ("v2-tree-empty", tree(&|_| ())),
        (
            "v2-info-unsorted",
            torrent(&[("name", bytes("bad")), ("meta version", int(2)), ("piece length", int(16_384))]),
        ),
        ("meta-version-3", single_with(&[("meta version", int(3))])),
    ]
}

fn bad_hybrid() -> Named {
    let v2 = v2_parts();
    let a = || entry("", 40_000, &[b"a"]);
    let b = || entry("", 100, &[b"b"]);
    let pad = |length| entry("p", length, &[b".pad", b"9152"]);
    vec![
        ("hybrid-size", v2.hybrid(&[a(), pad(9_152), entry("", 101, &[b"b"])], 4)),
        ("hybrid-name", v2.hybrid(&[a(), pad(9_152), entry("", 100, &[b"c"])], 4)),
        ("hybrid-order", v2.hybrid(&[b(), pad(16_284), a()], 4)),
        ("hybrid-pad-missing", v2.hybrid(&[a(), b()], 3)),
        ("hybrid-pad-short", v2.hybrid(&[a(), pad(9_151), b()], 4)),
        ("hybrid-file-missing", v2.hybrid(&[a()], 3)),
        ("hybrid-file-extra", v2.hybrid(&[a(), pad(9_152), b(), entry("", 0, &[b"c"])], 4)),
        ("hybrid-padding-at-end", v2.hybrid(&[a(), pad(9_152), b(), pad(32_768)], 6)),
    ]
}

fn bad_encoding() -> Named {
    let good = single_with(&[]);
    let with_comment = |value: &[u8]| [b"d7:comment", value, &good[1..]].concat();
    vec![
        ("empty", Vec::new()),
        ("web-page", b"<!DOCTYPE html><title>404</title>\n".to_vec()),
        ("no-dictionary", b"le".to_vec()),
        ("no-info", raw_dict(&[("announce", bytes("http://tracker.example/announce"))])),
        ("cut-short", good[..good.len() / 2].to_vec()),
        ("trailing-data", [&good[..], b"garbage"].concat()),
        ("nested-20000-deep", with_comment(&[vec![b'l'; 20_000], vec![b'e'; 20_000]].concat())),
        ("string-length-2-64-plus-1", with_comment(b"18446744073709551617:a")),
        ("string-length-4-gib", with_comment(b"4294967296:a")),
        ("string-length-negative", with_comment(b"-1:")),
        ("integer-plus-sign", with_comment(b"i+5e")),
        ("integer-empty", with_comment(b"ie")),
        ("key-not-string", [b"di5e0:", &good[1..]].concat()),
        ("key-duplicate", [&good[..good.len() - 1], &good[1..]].concat()),
        ("key-without-value", b"d4:infoe".to_vec()),
    ]
}
