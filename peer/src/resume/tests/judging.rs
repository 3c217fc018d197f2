//! What is believed, as a table and against a naive model.

use std::path::Path;

use potluck_common::{Bitfield, PieceIndex};
use proptest::prelude::*;

use super::HASH;
use crate::{
    disk::{FileStamp, Layout, testing::storage},
    resume::{
        FileMark, ResumeState, Written,
        judge::{Verdict, judge},
    },
};

/// In pieces of 10 bytes: `a` is 0 to 2, `b` 2 to 4, `c` 5 and 6; piece 2 is of both `a` and `b`, 5 of padding too.
const FILES: [(&str, u64); 5] = [("a", 25), ("b", 25), ("pad", 5), ("empty", 0), ("c", 15)];

fn layout() -> Layout {
    storage(Path::new("/nowhere"), &FILES, 10, &[0; 70]).layout().clone()
}

fn set(layout: &Layout, numbers: &[u32]) -> Bitfield {
    let mut field = Bitfield::empty(layout.geometry().pieces());
    for piece in numbers.iter().filter_map(|number| layout.geometry().piece(*number)) {
        field.insert(piece);
    }
    field
}

fn numbers(layout: &Layout, field: &Bitfield) -> Vec<u32> {
    field.iter(layout.geometry()).map(PieceIndex::get).collect()
}

fn stamp(length: u64, modified_ns: i64) -> FileStamp {
    FileStamp { length, modified_ns }
}

/// It was so long, and nothing is known of times.
fn writing(length: u64) -> FileMark {
    FileMark::Writing(Written { stamp: stamp(length, FileStamp::UNKNOWN), until_ns: FileStamp::UNKNOWN })
}

/// Was being written to, and somebody may have written another version over it since.
#[test]
fn after_a_crash_the_time_of_a_file_must_fit_its_claim() {
    let layout = layout();
    let check = |name: &str, modified: i64, until: i64, now: i64, is_believed: bool| {
        let at =
            |seconds: i64| if seconds == i64::MIN { FileStamp::UNKNOWN } else { seconds * 1_000_000_000 };
        let mut saved = ResumeState::unknown(HASH, 7, 5);
        (saved.have, saved.known) = (set(&layout, &[0]), Bitfield::full(7));
        saved.files[0] = FileMark::Writing(Written { stamp: stamp(10, at(modified)), until_ns: at(until) });
        let stamps = [Some(stamp(12, at(now))), None, None, None, None];
        let Verdict::Trust(trust) = judge(&layout, &[true; 5], &saved, &stamps) else { panic!("{name}") };
        let (have, check): (&[u32], &[u32]) = if is_believed { (&[0], &[1, 2]) } else { (&[], &[0, 1, 2]) };
        assert_eq!(
            (&numbers(&layout, &trust.have)[..], &numbers(&layout, &trust.check)[..]),
            (have, check),
            "{name}"
        );
    };
    check("as it was", 1000, 1300, 1000, true);
    check("written to after the claim", 1000, 1300, 1299, true);
    check("just in time", 1000, 1300, 1300, true);
    check("copied over it later", 1000, 1300, 1301, false);
    check("an older version in its place", 1000, 1300, 900, false);
    check("a time that was rounded", 1000, 1300, 998, true);
    check("new when it was noted", i64::MIN, 1300, 5, true);
    check("new, and copied over later", i64::MIN, 1300, 2000, false);
    check("times are not known", 1000, i64::MIN, 9000, true);
    check("nor now", 1000, 1300, i64::MIN, true);
}

#[test]
fn only_what_agrees_is_believed() {
    use FileMark::{Absent, Settled};
    let layout = layout();
    let all: [u32; 7] = [0, 1, 2, 3, 4, 5, 6];
    let exact =
        [Settled(stamp(25, 1)), Settled(stamp(25, 2)), Absent, Settled(stamp(0, 3)), Settled(stamp(15, 4))];
    let now = [Some(stamp(25, 1)), Some(stamp(25, 2)), None, Some(stamp(0, 3)), Some(stamp(15, 4))];
    let check = |name: &str,
                 have: &[u32],
                 known: &[u32],
                 marks: [FileMark; 5],
                 now: [Option<FileStamp>; 5],
                 expected: Result<(&[u32], &[u32]), usize>| {
        let saved = ResumeState {
            have: set(&layout, have),
            known: set(&layout, known),
            files: marks.to_vec(),
            ..ResumeState::unknown(HASH, 7, 5)
        };
        let verdict = match judge(&layout, &[true, true, false, true, true], &saved, &now) {
            Verdict::Missing(file) => Err(file),
            Verdict::Trust(trust) => Ok((numbers(&layout, &trust.have), numbers(&layout, &trust.check))),
        };
        assert_eq!(verdict, expected.map(|(have, check)| (have.to_vec(), check.to_vec())), "{name}");
    };
    let with = |place: usize, mark: FileMark| {
        let mut marks = exact;
        marks[place] = mark;
        marks
    };
    let but = |place: usize, stamp: Option<FileStamp>| {
        let mut stamps = now;
        stamps[place] = stamp;
        stamps
    };
    check("all is as it was", &all, &all, exact, now, Ok((&all, &[])));
    check("a part is known", &[0, 1], &[0, 1, 2], exact, now, Ok((&[0, 1], &[3, 4, 5, 6])));
    check("another time", &all, &all, exact, but(0, Some(stamp(25, 9))), Ok((&[3, 4, 5, 6], &[0, 1, 2])));
    check("longer", &all, &all, exact, but(1, Some(stamp(26, 2))), Ok((&[0, 1, 5, 6], &[2, 3, 4])));
    check(
        "no time",
        &all,
        &all,
        with(4, Settled(stamp(15, FileStamp::UNKNOWN))),
        but(4, Some(stamp(15, FileStamp::UNKNOWN))),
        Ok((&[0, 1, 2, 3, 4], &[5, 6])),
    );
    check("one that was not there is", &[0], &all, with(1, Absent), now, Ok((&[0], &[2, 3, 4])));
    check("being written", &[0, 2, 5], &all, with(0, writing(20)), now, Ok((&[0, 2, 5], &[1])));
    check(
        "being written and shorter than it was",
        &[0, 5],
        &all,
        with(0, writing(20)),
        but(0, Some(stamp(19, 1))),
        Ok((&[5], &[0, 1, 2])),
    );
    check(
        "claimed past the end",
        &[0, 1, 5],
        &all,
        with(0, writing(15)),
        but(0, Some(stamp(15, 1))),
        Ok((&[0, 5], &[1, 2])),
    );
    check("about to be made", &[5, 6], &all, with(0, writing(0)), but(0, None), Ok((&[5, 6], &[0, 1, 2])));
    check("gone from what was incomplete", &[0, 1, 5], &all, exact, but(4, None), Ok((&[0, 1], &[5, 6])));
    check("gone", &all, &all, exact, but(1, None), Err(1));
    check("short", &all, &all, exact, but(4, Some(stamp(14, 4))), Err(4));
    check("everything gone", &all, &all, exact, [None; 5], Err(0));
    check("an empty file gone", &all, &all, exact, but(3, None), Ok((&all, &[])));
    check(
        "gone while it was written, with all claimed",
        &all,
        &all,
        with(1, writing(25)),
        but(1, None),
        Err(1),
    );
}

/// The pieces that were there once count as there when it comes to what is missed, and never when it comes to what is
/// believed.
#[test]
fn what_was_there_once_is_missed() {
    let layout = layout();
    let settled = |length| FileMark::Settled(stamp(length, 1));
    let there = [Some(stamp(25, 1)), Some(stamp(25, 1)), None, None, Some(stamp(15, 1))];
    let check = |once: &[u32], now: [Option<FileStamp>; 5], expected: Option<usize>| {
        let saved = ResumeState {
            have: set(&layout, &[0, 1]),
            known: set(&layout, &[0, 1]),
            once: set(&layout, once),
            files: vec![settled(25), settled(25), FileMark::Absent, FileMark::Absent, settled(15)],
            ..ResumeState::unknown(HASH, 7, 5)
        };
        let found = match judge(&layout, &[true, true, false, false, true], &saved, &now) {
            Verdict::Missing(file) => Some(file),
            Verdict::Trust(trust) => {
                assert_eq!(trust.have, saved.have, "{once:?}");
                None
            }
        };
        assert_eq!(found, expected, "{once:?}");
    };
    let without_c = [there[0], there[1], None, None, None];
    check(&[2, 3, 4, 5, 6], there, None);
    check(&[2, 3, 4, 5, 6], without_c, Some(4));
    check(&[2, 3, 4, 5], without_c, None);
    check(&[], without_c, None);
}

#[test]
fn a_file_that_nobody_wants_may_go() {
    let layout = layout();
    let settled = |length| FileMark::Settled(stamp(length, 1));
    let saved = ResumeState {
        have: set(&layout, &[0, 1, 2]),
        known: Bitfield::full(7),
        files: vec![settled(25), settled(5), FileMark::Absent, FileMark::Absent, FileMark::Absent],
        ..ResumeState::unknown(HASH, 7, 5)
    };
    let only_a = [true, false, false, false, false];
    let now = [Some(stamp(25, 1)), None, None, None, None];
    let Verdict::Trust(trust) = judge(&layout, &only_a, &saved, &now) else { panic!("not missed") };
    assert_eq!((numbers(&layout, &trust.have), numbers(&layout, &trust.check)), (vec![0, 1], vec![2, 3, 4]));
    let gone = [None, Some(stamp(5, 1)), None, None, None];
    assert_eq!(
        judge(&layout, &only_a, &saved, &gone),
        Verdict::Missing(0),
        "it was complete as it was wanted"
    );
    let also_c = [true, false, false, false, true];
    assert!(
        matches!(judge(&layout, &also_c, &saved, &gone), Verdict::Trust(_)),
        "there was something to fetch"
    );
}

fn mark() -> impl Strategy<Value = FileMark> {
    prop_oneof![
        Just(FileMark::Absent),
        (0u64..8, 0i64..2).prop_map(|(length, at)| FileMark::Settled(stamp(length, at))),
        (0u64..8).prop_map(writing),
    ]
}

proptest! {
    #[test]
    fn agrees_with_a_model_of_bytes(
        files in prop::collection::vec((0u64..7, any::<bool>(), any::<bool>(), mark(), prop::option::of((0u64..8, 0i64..2))), 1..6),
        bits in prop::collection::vec((any::<bool>(), any::<bool>()), 40),
        piece_length in 1u64..6,
    ) {
        let names: Vec<String> =
            files.iter().enumerate().map(|(n, file)| format!("{}{n}", if file.1 { "pad" } else { "" })).collect();
        let lengths: Vec<(&str, u64)> = names.iter().zip(&files).map(|(name, file)| (&name[..], file.0)).collect();
        let total: u64 = files.iter().map(|file| file.0).sum();
        let layout = storage(Path::new("/nowhere"), &lengths, piece_length, &vec![0; total as usize]).layout().clone();
        let pieces = layout.geometry().pieces();
        let mut saved = ResumeState::unknown(HASH, pieces, files.len());
        for (piece, (known, have)) in layout.geometry().iter().zip(&bits) {
            if *known { saved.known.insert(piece); }
            if *known && *have { saved.have.insert(piece); }
        }
        saved.files = files.iter().map(|file| if file.1 { FileMark::Absent } else { file.3 }).collect();
        let now: Vec<_> = files.iter().map(|file| file.4.filter(|_| !file.1).map(|(l, at)| stamp(l, at))).collect();
        let wanted: Vec<bool> = files.iter().map(|file| file.2).collect();

        // Byte by byte: the file of each, and whether that byte is there.
        let owner: Vec<(usize, u64)> =
            files.iter().enumerate().flat_map(|(n, file)| (0..file.0).map(move |at| (n, at))).collect();
        let bytes_of = |piece: u64| &owner[(piece * piece_length) as usize..((piece + 1) * piece_length).min(total) as usize];
        let is_there = |(file, at): &(usize, u64)| files[*file].1 || now[*file].is_some_and(|now| now.length > *at);
        let is_exact = |file: usize| files[file].1 || match saved.files[file] {
            FileMark::Absent => now[file].is_none(),
            FileMark::Settled(then) => now[file] == Some(then),
            FileMark::Writing(_) => false,
        };
        let is_claim = |file: usize| matches!(saved.files[file], FileMark::Writing(then) if now[file].map_or(0, |n| n.length) >= then.stamp.length);

        match judge(&layout, &wanted, &saved, &now) {
            Verdict::Missing(file) => {
                prop_assert!(wanted[file] && !files[file].1 && now[file].is_none_or(|now| now.length < files[file].0));
                for piece in layout.geometry().iter() {
                    let is_wanted = bytes_of(u64::from(piece.get())).iter().any(|(file, _)| wanted[*file] && !files[*file].1);
                    prop_assert!(!is_wanted || saved.have.has(piece), "it was complete");
                }
            }
            Verdict::Trust(trust) => for piece in layout.geometry().iter() {
                let bytes = bytes_of(u64::from(piece.get()));
                let (known, have) = (saved.known.has(piece), saved.have.has(piece));
                let exact = bytes.iter().all(|(file, _)| is_exact(*file));
                let sound = bytes.iter().all(|(file, _)| is_exact(*file) || is_claim(*file));
                let expect_have = have && sound && bytes.iter().all(is_there);
                let known_absent = exact && known && !have;
                prop_assert_eq!(trust.have.has(piece), expect_have);
                prop_assert_eq!(trust.check.has(piece), !expect_have && !known_absent);
            }
        }
    }
}
