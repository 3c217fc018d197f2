//! What an engine whose user set `--up` does with it: whose turn it is to upload, and how many slots there are. Its one
//! torrent has all of both.

use std::collections::BTreeMap;

use potluck_common::Instant;
use potluck_core::{
    choker::Demand,
    slots::{SlotPool, TorrentId},
    uplink::{FlowId, GroupId, Uplink},
};

use crate::wire::net::End;

/// The only torrent of the engine.
const TORRENT: TorrentId = TorrentId(0);

/// The upload limit of a node, and its slots.
#[derive(Debug)]
pub(in crate::wire) struct Sharing {
    uplink: Uplink,
    group: GroupId,
    /// Whose flow it is: connections that have sent something.
    ends: BTreeMap<FlowId, End>,
    pool: SlotPool,
    /// All payload sent, in bytes.
    sent: u64,
    /// When its timer runs, if it does.
    pub(in crate::wire) wakes_at: Option<Instant>,
}

impl Sharing {
    /// Under this limit, in bytes per second.
    pub(in crate::wire) fn new(bytes_per_second: u64) -> Self {
        let mut uplink = Uplink::new(Some(bytes_per_second));
        let group = uplink.add_group(None);
        let pool = SlotPool::new(Some(bytes_per_second));
        Self { uplink, group, ends: BTreeMap::new(), pool, sent: 0, wakes_at: None }
    }

    /// The torrent tells what it could use.
    pub(in crate::wire) fn report(&mut self, now: Instant, demand: Demand) {
        self.pool.report(now, TORRENT, demand, None);
    }

    /// So much payload was sent, in bytes.
    pub(in crate::wire) fn count_sent(&mut self, bytes: u64) {
        self.sent += bytes;
    }

    /// Lets time pass.
    pub(in crate::wire) fn advance(&mut self, now: Instant) {
        if self.pool.poll_timeout().is_some_and(|at| at <= now) {
            self.pool.handle_timeout(now, self.sent);
        }
        self.uplink.run(now);
    }

    /// The number of slots, if it changed.
    pub(in crate::wire) fn poll_slots(&mut self) -> Option<u32> {
        self.pool.poll_change().map(|(_, slots)| slots)
    }

    /// A connection that may send more than it knows.
    pub(in crate::wire) fn poll_granted(&mut self) -> Option<End> {
        while let Some(flow) = self.uplink.poll_granted() {
            if let Some(end) = self.ends.get(&flow) {
                return Some(*end);
            }
        }
        None
    }

    pub(in crate::wire) fn poll_timeout(&self) -> Option<Instant> {
        self.uplink.poll_timeout().into_iter().chain(self.pool.poll_timeout()).min()
    }
}

/// One connection's way to its share.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// There from the first block on.
    flow: Option<FlowId>,
    percent: u8,
    /// What may be sent, in bytes.
    credit: u64,
}

impl Turns {
    /// What the connection counts for, in hundredths of an ordinary one.
    pub(super) fn set_weight(&mut self, sharing: &mut Sharing, percent: u8) {
        self.percent = percent;
        if let Some(flow) = self.flow {
            sharing.uplink.set_weight(flow, percent);
        }
    }

    /// Whether so many bytes may be sent now; so many could follow them at once. If not, the connection is woken when more
    /// may.
    pub(super) fn pass(
        &mut self,
        sharing: &mut Sharing,
        end: End,
        now: Instant,
        bytes: u64,
        next: u64,
    ) -> bool {
        if self.credit < bytes {
            let Sharing { uplink, ends, .. } = sharing;
            let flow = *self.flow.get_or_insert_with(|| {
                let flow = uplink.add_flow(sharing.group);
                uplink.set_weight(flow, self.percent);
                ends.insert(flow, end);
                flow
            });
            self.credit += uplink.take(flow);
            uplink.want(now, flow, (bytes + next).saturating_sub(self.credit));
            uplink.run(now);
            self.credit += uplink.take(flow);
        }
        let passes = self.credit >= bytes;
        self.credit -= if passes { bytes } else { 0 };
        passes
    }

    /// Nothing is to be sent any more.
    pub(super) fn give_up(&mut self, sharing: &mut Sharing) {
        self.credit = 0;
        if let Some(flow) = self.flow.take() {
            sharing.uplink.remove_flow(flow);
            sharing.ends.remove(&flow);
        }
    }
}
