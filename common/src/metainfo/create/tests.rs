//! What is planned and hashed comes back from parsing.

use proptest::prelude::*;

use super::{super::MerkleHasher, super::Metainfo, *};
use crate::{
    bencode::{self, Limits},
    hash::sha1,
    rng::Rng,
};

fn options(version: Version, piece_length: u32) -> Options {
    Options { version, piece_length: PieceLength::Fixed(piece_length), ..Options::default() }
}

fn files(paths: &[(&str, u64)]) -> Vec<(Vec<String>, u64)> {
    paths.iter().map(|(path, length)| (path.split('/').map(str::to_owned).collect(), *length)).collect()
}

/// Finishes `plan` with the hashes of made-up contents; the simplest shell there can be.
fn finish(plan: &Plan) -> Vec<u8> {
    let mut payload = vec![0; plan.geometry().total() as usize];
    let mut merkles = Vec::new();
    for file in plan.files().iter().filter(|file| !file.entry.padding) {
        let range = file.entry.offset as usize..(file.entry.offset + file.entry.length) as usize;
        Rng::new(file.source.expect("no padding") as u64).fill(&mut payload[range.clone()]);
        let mut hasher = MerkleHasher::new(plan.geometry().piece_length().next_power_of_two().max(16_384));
        hasher.update(&payload[range]);
        merkles.push(hasher.finish());
    }
    let hashes: Vec<_> = payload.chunks(plan.geometry().piece_length() as usize).map(sha1).collect();
    plan.finish(
        if plan.version().has_v1() { &hashes } else { &[] },
        if plan.version().has_v2() { &merkles } else { &[] },
    )
}

#[track_caller]
fn check_round_trip(plan: &Plan) {
    let torrent = finish(plan);
    bencode::parse(&torrent, &Limits::METAINFO.strict()).expect("what we write is canonical");
    let metainfo = Metainfo::parse(&torrent).expect("what we write is valid");
    assert_eq!((metainfo.version(), metainfo.name()), (plan.version(), &plan.name[..]));
    assert_eq!((metainfo.geometry(), metainfo.is_single_file()), (plan.geometry(), plan.single));
    let planned: Vec<_> = plan.files().iter().map(|file| file.entry.clone()).collect();
    let parsed: Vec<_> =
        metainfo.files().iter().map(|file| FileEntry { pieces_root: None, ..file.clone() }).collect();
    assert_eq!(parsed, planned);
}

#[test]
fn files_are_ordered_and_padded() {
    let given = files(&[("b/2", 5), ("a b", 20_000), ("b.txt", 16_384), ("é", 7)]);
    let layout = |version| {
        let plan = Plan::new("t", given.clone(), false, options(version, 16_384)).expect("valid");
        check_round_trip(&plan);
        let files = plan.files().iter();
        files
            .map(|file| (file.entry.path.to_slash_string(), file.entry.offset, file.source))
            .collect::<Vec<_>>()
    };
    let expected = |entries: &[(&str, u64, Option<usize>)]| {
        entries
            .iter()
            .map(|(path, offset, source)| ((*path).to_owned(), *offset, *source))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        layout(Version::V1),
        expected(&[
            ("t/a b", 0, Some(1)),
            ("t/b/2", 20_000, Some(0)),
            ("t/b.txt", 20_005, Some(2)),
            ("t/é", 36_389, Some(3))
        ])
    );
    assert_eq!(
        layout(Version::V2),
        expected(&[
            ("t/a b", 0, Some(1)),
            ("t/b/2", 32_768, Some(0)),
            ("t/b.txt", 49_152, Some(2)),
            ("t/é", 65_536, Some(3))
        ])
    );
    assert_eq!(
        layout(Version::Hybrid),
        expected(&[
            ("t/a b", 0, Some(1)),
            ("t/.pad/12768", 20_000, None),
            ("t/b/2", 32_768, Some(0)),
            ("t/.pad/16379", 32_773, None),
            ("t/b.txt", 49_152, Some(2)),
            ("t/é", 65_536, Some(3))
        ])
    );
}

#[test]
fn the_piece_length_makes_one_to_two_thousand_pieces() {
    let mut total = 1u64;
    while total < TOTAL_SIZE_MAX / 16 {
        let length = piece_length(PieceLength::Auto, total);
        let pieces = total.div_ceil(length);
        assert!(length.is_power_of_two() && (AUTO_MIN..=AUTO_MAX).contains(&length));
        assert!(pieces <= 2_000 || length == AUTO_MAX, "{total} {length}");
        assert!(pieces >= 1_000 || length == AUTO_MIN, "{total} {length}");
        total = total * 3 / 2 + 1;
    }
    assert_eq!(piece_length(PieceLength::Auto, u64::MAX), AUTO_MAX);
    assert_eq!(piece_length(PieceLength::Auto, 1 << 30), 1 << 20);
}

#[test]
fn everything_said_comes_back() {
    let said = Options {
        private: true,
        trackers: vec![vec!["http://a/".into(), "udp://b:1".into()], vec![], vec!["http://c/".into()]],
        web_seeds: vec!["http://w/".into()],
        comment: Some("wörds".into()),
        created_by: Some("us".into()),
        creation_date: Some(i64::MIN),
        source: Some("S".into()),
        ..Options::default()
    };
    let plan = Plan::new("näme", files(&[("ignored", 5)]), true, said).expect("valid");
    let metainfo = Metainfo::parse(&finish(&plan)).expect("valid");
    assert_eq!(metainfo.trackers(), [vec!["http://a/", "udp://b:1"], vec!["http://c/"]]);
    assert_eq!(metainfo.web_seeds(), ["http://w/"]);
    assert_eq!(metainfo.comment().map(Printable::as_str), Some("wörds"));
    assert_eq!(metainfo.created_by().map(Printable::as_str), Some("us"));
    assert_eq!(metainfo.source().map(Printable::as_str), Some("S"));
    assert_eq!((metainfo.creation_date(), metainfo.private()), (Some(i64::MIN), true));
    assert_eq!((metainfo.name(), metainfo.is_single_file()), ("näme", true));
    assert_eq!(metainfo.files()[0].path.components(), ["näme"]);
}

#[test]
fn what_would_not_come_back_as_it_is_is_refused() {
    type Files<'a> = &'a [(&'a str, u64)];
    let long = "x".repeat(241);
    let deep = vec!["d"; 101].join("/");
    let cases: &[(&str, Files<'_>, &str)] = &[
        ("t", &[], "nothing to share"),
        ("t", &[("a", 0), ("b", 0)], "nothing to share"),
        ("..", &[("a", 1)], "\"../a\" is not safe"),
        ("a/b", &[("a", 1)], "is not safe"),
        ("t", &[("a", 1), ("..", 1)], "\"t/..\" is not safe"),
        ("t", &[("a\\b", 1)], "is not safe"),
        ("t", &[("a\nb", 1)], "\"t/a\\u{a}b\" is not safe"),
        ("t", &[("a//b", 1)], "is not safe"),
        ("t", &[(&long, 1)], "is not safe"),
        ("t", &[("a", 1), ("A", 1)], "\"t/A\" meets another"),
        ("t", &[("a", 1), ("a", 1)], "\"t/a\" meets another"),
        ("t", &[("a", 1), ("a/b", 1)], "\"t/a\" meets another"),
        ("t", &[(&deep, 1)], "deeper than 100"),
        ("t", &[("a", u64::MAX), ("b", 1)], "total size"),
        ("t", &[("a", 1 << 47), ("b", 1 << 47), ("c", 1)], "total size"),
        ("t", &[("a", 1 << 47)], "pieces are above"),
    ];
    for (name, paths, expected) in cases {
        for version in [Version::V1, Version::V2, Version::Hybrid] {
            let outcome = Plan::new(name, files(paths), false, options(version, 16_384));
            let message = outcome.map(|_| ()).expect_err(expected).to_string();
            assert!(message.contains(expected), "{message:?} does not say {expected:?}");
        }
    }
    let own_name = |version| Plan::new("t", files(&[("t", 1)]), false, options(version, 16_384));
    assert!(own_name(Version::V1).is_ok());
    assert_eq!(own_name(Version::Hybrid).map(|_| ()), Err(CreateError::FolderOfOwnName));
    for length in [0, 8_192, 40_960] {
        let outcome = Plan::new("t", files(&[("a", 1)]), false, options(Version::Hybrid, length)).map(|_| ());
        assert_eq!(outcome, Err(CreateError::PieceLengthV2(length.into())));
    }
    let outcome = Plan::new("t", files(&[("a", 1)]), false, options(Version::V1, 0)).map(|_| ());
    assert_eq!(outcome, Err(CreateError::Geometry(GeometryError::PieceLength(0))));
    let url = Options { trackers: vec![vec!["a b".into()]], ..Options::default() };
    let outcome = Plan::new("t", files(&[("a", 1)]), false, url).map(|_| ());
    assert_eq!(outcome, Err(CreateError::Url("a b".into())));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_planned_is_parsed_back(
        paths in proptest::collection::btree_map("([A-C]|[a-c.é ]{1,3}x)(/[a-c]{1,2}){0,3}", 0u64..60_000, 1..12),
        height in 0u32..3,
        odd in 1u32..100_000,
    ) {
        let given: Vec<_> = paths.iter().map(|(path, length)| (&path[..], *length)).collect();
        for (version, length) in
            [(Version::V1, odd), (Version::V2, 16_384 << height), (Version::Hybrid, 16_384 << height)]
        {
            // Names that collide or hold nothing are refused, as the table above says.
            if let Ok(plan) = Plan::new("t", files(&given), false, options(version, length)) {
                check_round_trip(&plan);
            }
        }
    }
}
