//! Whether the two halves of a hybrid torrent describe the same payload (BEP 52, "Upgrade path").
//!
//! A torrent whose halves differ would give one swarm two contents under one name, so it is refused.

use super::{
    error::{Disagreement, MetainfoError},
    info::Layout,
};

/// Checks the v1 list against the file tree: the same files in the same order with the same lengths, each beginning
/// at a piece boundary in v1 because of padding before it, and no further pieces at the end.
pub(super) fn check(v1: &Layout<'_>, v2: &Layout<'_>) -> Result<(), MetainfoError> {
    disagreement(v1, v2).map_or(Ok(()), |what| Err(MetainfoError::Hybrid(what)))
}

fn disagreement(v1: &Layout<'_>, v2: &Layout<'_>) -> Option<Disagreement> {
    if v1.single != v2.single {
        return Some(Disagreement::Shape);
    }
    let payload = || v1.files.iter().zip(&v1.offsets).filter(|(file, _)| !file.attributes.padding);
    for ((file, offset), (other, other_offset)) in payload().zip(v2.files.iter().zip(&v2.offsets)) {
        if file.components != other.components {
            return Some(Disagreement::Path { v1: file.shown(), v2: other.shown() });
        }
        if file.length != other.length {
            return Some(Disagreement::Length { path: file.shown(), v1: file.length, v2: other.length });
        }
        // In v2 every file begins at a piece boundary.
        if file.length > 0 && offset != other_offset {
            return Some(Disagreement::Alignment { path: file.shown() });
        }
    }
    let count = payload().count();
    if count != v2.files.len() {
        return Some(Disagreement::FileCount { v1: count, v2: v2.files.len() });
    }
    (v1.geometry.pieces() != v2.geometry.pieces()).then_some(Disagreement::Tail)
}
