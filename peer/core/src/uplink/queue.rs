//! What is known of a flow and of a group.

use std::collections::BTreeSet;

use potluck_common::Instant;

use super::{FlowId, GroupId};
use crate::rate::TokenBucket;

/// A connection.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) group: GroupId,
    /// Its weight.
    pub(super) percent: u8,
    /// What it could send beyond `granted`, in bytes; it is queued exactly if that is something.
    pub(super) wanted: u64,
    /// What was dealt to it and it has not taken, in bytes.
    pub(super) granted: u64,
    /// When what it waits for begins, as long as it is queued.
    pub(super) start: Tags,
    /// When what was last dealt to it ended.
    pub(super) finish: Tags,
}

impl Flow {
    pub(super) fn new(group: GroupId) -> Self {
        Self { group, percent: 100, wanted: 0, granted: 0, start: Tags::default(), finish: Tags::default() }
    }

    /// Deals out what it wants, at most `most` bytes; returns how many.
    pub(super) fn serve(&mut self, most: u64) -> u64 {
        let bytes = self.wanted.min(most);
        self.wanted -= bytes;
        self.granted += bytes;
        self.finish = self.start.later(bytes * 100 / u64::from(self.percent));
        bytes
    }
}

/// A flow's place in virtual time: bytes of an ordinary flow.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Tags {
    /// Among all flows.
    pub(super) in_engine: u64,
    /// Among those of its group, whose time passes at another speed.
    pub(super) in_group: u64,
}

impl Tags {
    pub(super) fn at_least(self, in_engine: u64, in_group: u64) -> Self {
        Self { in_engine: self.in_engine.max(in_engine), in_group: self.in_group.max(in_group) }
    }

    fn later(self, by: u64) -> Self {
        Self { in_engine: self.in_engine.saturating_add(by), in_group: self.in_group.saturating_add(by) }
    }
}

/// A torrent.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) bucket: TokenBucket,
    /// The virtual time among its flows: the start of what was dealt out last. It never goes back.
    pub(super) time: u64,
    /// Its flows that want something, by their virtual start.
    pub(super) queue: BTreeSet<(u64, FlowId)>,
    pub(super) place: Place,
}

impl Group {
    pub(super) fn new(bytes_per_second: Option<u64>) -> Self {
        Self {
            bucket: TokenBucket::new(bytes_per_second),
            time: 0,
            queue: BTreeSet::new(),
            place: Place::Nowhere,
        }
    }
}

/// Where a group waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// It has no flow that wants anything.
    Nowhere,
    /// Among those to be served, by the virtual start of its first flow.
    Ready(u64),
    /// For its own limit, until then.
    Held(Instant),
}
