//! Power cuts at every step, damaged states, what is believed, and the life of a journal.

mod cuts;
mod damage;
mod judging;
mod life;
pub(crate) mod model;
mod order;

use potluck_common::{Geometry, InfoHash};

use super::{
    FileMark, ResumeState, Written,
    store::{Entry, Shape},
};
use crate::disk::FileStamp;

const HASH: InfoHash = InfoHash([7; 20]);
const PIECES: u32 = 40;
const SHAPE: Shape = Shape { info_hash: HASH, pieces: PIECES, files: 2 };

/// The `number`th of states of which no two are equal.
fn numbered(number: u64) -> ResumeState {
    let mut state = ResumeState::unknown(HASH, PIECES, 2);
    let geometry = Geometry::new(u64::from(PIECES), 1).expect("valid");
    for piece in geometry.iter().take(number as usize) {
        state.known.insert(piece);
        state.have.insert(piece);
    }
    let stamp = FileStamp { length: number, modified_ns: 1_700_000_000_123_456_789 };
    state.files = vec![FileMark::Settled(stamp), FileMark::Writing(Written { stamp, until_ns: 5 })];
    state.generation = number;
    state
}

/// Saves the first `count` numbered states.
fn save_all(entry: &mut Entry, count: u64) {
    for number in 1..=count {
        entry.save(&mut numbered(number)).expect("saved");
    }
}
