//! What a torrent remembers from run to run, so that nothing is hashed or fetched twice.
//!
//! Two rules make it safe. A bit never runs ahead of the data: pieces are claimed only after what they lie in was made
//! durable. And a claim is believed only as far as the files agree with what was noted of them, their length and time of
//! modification; whatever else is there is checked. After a crash, when the last writes were noted nowhere, the time must lie
//! between the last claim and a few minutes after it. So the worst that a crash or a damaged state can cost is hashing, and
//! a change by somebody else is noticed unless it keeps both the length and the time, or falls into those minutes.
//!
//! - [`ResumeState`] is what is remembered, and its encoding.
//! - [`Entry`](store::Entry) keeps it in the state folder, two generations deep, behind a file system that tests cut at
//!   every step.
//! - [`judge`] decides, without touching anything, what to believe.
//! - [`Journal`] brings the three together with the payload; a [`Keeper`] drives it while a torrent runs.

mod destination;
pub(crate) mod fs;
mod journal;
mod judge;
mod keeper;
mod state;
mod store;
#[cfg(test)]
pub(crate) mod tests;

use std::{io, path::Path};

use potluck_common::metainfo::Metainfo;

pub use self::state::{FileMark, ResumeState, StateError, Written};
pub(crate) use self::{
    destination::resolved,
    journal::{Journal, Opening},
    judge::{Trust, Verdict},
    keeper::{Keeper, Totals, lock},
    store::{Entry, OpenError, Shape, forget},
};

/// Makes the folder that resume states are kept in, if it is missing, and finds out whether it can be written to.
pub fn prepare_folder(state_dir: &Path) -> io::Result<()> {
    fs::RealFs::open(&store::folder_of(state_dir))?.probe()
}

/// The newest resume state that can be read of a torrent with this destination, without its lock; `None` if there is
/// none. For tests and tools.
pub fn peek(state_dir: &Path, metainfo: &Metainfo, directory: &Path) -> Option<ResumeState> {
    store::peek(state_dir, metainfo, directory)
}
