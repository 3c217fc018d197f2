//! What to believe of what was remembered. Touches nothing: states and stamps go in, a verdict comes out.

use potluck_common::{Bitfield, Geometry, PieceIndex};

use super::state::{FileMark, ResumeState, Written};
use crate::disk::{FileStamp, Layout, LayoutFile, Part};

/// What follows from a state and the files as they are now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Everything that is wanted was there, and now this file is missing or too short. Whatever the reason, a drive that
    /// is not connected or a slip of somebody's hand, a new download is not the answer.
    Missing(usize),
    /// These pieces can be believed in.
    Trust(Trust),
}

/// The pieces of a torrent, judged. No piece is in both sets; what is in neither is known not to be there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Trust {
    /// There without a doubt.
    pub(crate) have: Bitfield,
    /// To be hashed.
    pub(crate) check: Bitfield,
}

impl Trust {
    /// Believes nothing.
    pub(crate) fn nothing(pieces: u32) -> Self {
        Self { have: Bitfield::empty(pieces), check: Bitfield::full(pieces) }
    }
}

/// How far what was remembered of a file holds, the best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Grade {
    /// It is as it was.
    Exact,
    /// It was being written to: the pieces that were claimed were durable before, and more may have come.
    Claims,
    /// Somebody else changed it.
    Changed,
}

/// As coarse as some file systems keep times once the system has forgotten the finer one.
const COARSE_NS: i64 = 2_000_000_000;

/// Judges `saved` by the stamps of the files as they are now.
pub(crate) fn judge(
    layout: &Layout,
    wanted: &[bool],
    saved: &ResumeState,
    stamps: &[Option<FileStamp>],
) -> Verdict {
    if let Some(file) = missing(layout, wanted, saved, stamps) {
        return Verdict::Missing(file);
    }
    let grades: Vec<Grade> =
        saved.files.iter().zip(stamps).map(|(mark, stamp)| grade(*mark, *stamp)).collect();
    let geometry = layout.geometry();
    let mut trust =
        Trust { have: Bitfield::empty(geometry.pieces()), check: Bitfield::empty(geometry.pieces()) };
    for piece in geometry.iter() {
        let grade = parts(layout, piece).map(|part| grades[part.file]).max().unwrap_or(Grade::Exact);
        let fits =
            || parts(layout, piece).all(|part| reaches(stamps[part.file], part.offset + part.length as u64));
        let (known, have) = (saved.known.has(piece), saved.have.has(piece));
        match grade {
            Grade::Exact if known && !have => {}
            Grade::Exact | Grade::Claims if known && have && fits() => {
                trust.have.insert(piece);
            }
            _ => {
                trust.check.insert(piece);
            }
        }
    }
    Verdict::Trust(trust)
}

/// The first wanted file that was there and is missing or too short now, if all that is wanted was there.
pub(super) fn missing(
    layout: &Layout,
    wanted: &[bool],
    saved: &ResumeState,
    stamps: &[Option<FileStamp>],
) -> Option<usize> {
    let is_wanted = |number: &usize| wanted[*number] && !layout.files()[*number].padding;
    let was_there = |number: &usize| saved.files[*number] != FileMark::Absent;
    let lacks = |number: &usize| !reaches(stamps[*number], layout.files()[*number].length);
    let mut files = (0..layout.files().len()).filter(is_wanted);
    let first = files.clone().filter(was_there).find(lacks)?;
    let was_once = |piece| saved.have.has(piece) || saved.once.has(piece);
    let was_complete =
        files.all(|number| pieces_of(layout.geometry(), &layout.files()[number]).all(was_once));
    was_complete.then_some(first)
}

fn grade(mark: FileMark, now: Option<FileStamp>) -> Grade {
    match (mark, now) {
        (FileMark::Absent, None) => Grade::Exact,
        (FileMark::Settled(then), Some(now)) if then.agrees(&now) => Grade::Exact,
        (FileMark::Writing(then), Some(now)) if may_be_ours(then, now) => Grade::Claims,
        (FileMark::Writing(then), None) if then.stamp.length == 0 => Grade::Claims,
        _ => Grade::Changed,
    }
}

/// Whether a file that was being written to can be like this without anybody else.
fn may_be_ours(then: Written, now: FileStamp) -> bool {
    let is_in_order = |earlier: i64, later: i64| {
        earlier == FileStamp::UNKNOWN || later == FileStamp::UNKNOWN || earlier <= later
    };
    now.length >= then.stamp.length
        && is_in_order(then.stamp.modified_ns.saturating_sub(COARSE_NS), now.modified_ns)
        && is_in_order(now.modified_ns, then.until_ns)
}

/// Whether a file has at least so many bytes; one that is missing has none.
fn reaches(stamp: Option<FileStamp>, length: u64) -> bool {
    match stamp {
        Some(stamp) => stamp.length >= length,
        None => length == 0,
    }
}

fn parts(layout: &Layout, piece: PieceIndex) -> impl Iterator<Item = Part> + '_ {
    let geometry = layout.geometry();
    let parts = layout.parts(geometry.offset_of(piece), geometry.length_of(piece) as usize);
    parts.filter(|part| !layout.files()[part.file].padding)
}

/// Whether every piece that `file` has a part of is in `have`.
pub(super) fn all_in(have: &Bitfield, geometry: &Geometry, file: &LayoutFile) -> bool {
    pieces_of(geometry, file).all(|piece| have.has(piece))
}

/// The pieces that `file` has a part of.
pub(super) fn pieces_of<'a>(
    geometry: &'a Geometry,
    file: &LayoutFile,
) -> impl Iterator<Item = PieceIndex> + use<'a> {
    geometry.pieces_of_range(file.offset, file.length).filter_map(|number| geometry.piece(number))
}
