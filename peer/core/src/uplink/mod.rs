//! Who sends next under the upload limits: shares by weight, and both limits at once.
//!
//! An engine may have a limit, and each of its torrents (a *group* here) another. Those who wait for their turn are
//! served by start-time fair queueing (Goyal, Vin, Cheng 1996): what a connection (a *flow*) sends moves its own
//! virtual time on, by more the less it weighs, and the one that is furthest behind goes first. So those who always want
//! more share by weight, whoever wants less gets all of that at once, nothing is saved up by wanting nothing, and no
//! limit is left unused while somebody it is for wants something.
//!
//! Each flow has a place in two queues: in that of its group, and, while it is the first there and its group's limit
//! lets it, in that of the engine. A group that waits for its own limit is in no one's way.
//!
//! # Driving it
//!
//! [`Uplink::want`] says what a flow could send beyond what it may already; [`Uplink::run`] deals out what the limits
//! let pass by now; then [`Uplink::poll_granted`] tells who was dealt something, and [`Uplink::take`] hands it over. Call
//! [`Uplink::run`] again at [`Uplink::poll_timeout`]. A flow that wants several blocks at once is dealt its share even
//! while it is on its way to ask for more.

pub mod pace;
mod queue;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use potluck_common::{Instant, limits::BLOCK_LENGTH};

use self::queue::{Flow, Group, Place};
use crate::rate::TokenBucket;

/// What is dealt out at a time, in bytes: the length of nearly every block.
const QUANTUM: u64 = BLOCK_LENGTH as u64;

/// A torrent's connections, which its limit is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct GroupId(u64);

/// A connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FlowId(u64);

/// The machine; see the [module](self).
///
/// Invariants: a group is in `ready` or `held` exactly if it has a flow that wants something, and only in one of them.
#[derive(Debug)]
pub struct Uplink {
    bucket: TokenBucket,
    /// The latest time that was told.
    now: Instant,
    /// The virtual time: the start of what was dealt out last. It never goes back.
    time: u64,
    groups: BTreeMap<GroupId, Group>,
    flows: BTreeMap<FlowId, Flow>,
    /// Groups whose first flow may be served, by its virtual start.
    ready: BTreeSet<(u64, GroupId)>,
    /// Groups that wait for their own limit, by its end.
    held: BTreeSet<(Instant, GroupId)>,
    granted: VecDeque<FlowId>,
    ids: u64,
}

impl Uplink {
    /// With the engine's limit in bytes per second; `None` is no limit.
    pub fn new(bytes_per_second: Option<u64>) -> Self {
        Self {
            bucket: TokenBucket::new(bytes_per_second),
            now: Instant::ZERO,
            time: 0,
            groups: BTreeMap::new(),
            flows: BTreeMap::new(),
            ready: BTreeSet::new(),
            held: BTreeSet::new(),
            granted: VecDeque::new(),
            ids: 0,
        }
    }

    /// Changes the engine's limit, in bytes per second; `None` is none. What waits passes at the new one.
    pub fn set_limit(&mut self, now: Instant, bytes_per_second: Option<u64>) {
        self.now = self.now.max(now);
        self.bucket.change_limit(self.now, bytes_per_second);
    }

    /// Changes a torrent's own limit, as [`Uplink::set_limit`] does the engine's.
    pub fn set_group_limit(&mut self, now: Instant, id: GroupId, bytes_per_second: Option<u64>) {
        self.now = self.now.max(now);
        let Some(group) = self.groups.get_mut(&id) else { return };
        group.bucket.change_limit(self.now, bytes_per_second);
        self.place(id);
    }

    /// A torrent came, with its own limit in bytes per second.
    pub fn add_group(&mut self, bytes_per_second: Option<u64>) -> GroupId {
        let id = GroupId(self.next_id());
        self.groups.insert(id, Group::new(bytes_per_second));
        id
    }

    /// A torrent left; what is left of its flows goes with it.
    pub fn remove_group(&mut self, id: GroupId) {
        let flows = self.flows.iter().filter(|(_, flow)| flow.group == id);
        for flow in flows.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.remove_flow(flow);
        }
        self.groups.remove(&id);
    }

    /// A connection of `group` came; it weighs 100.
    pub fn add_flow(&mut self, group: GroupId) -> FlowId {
        let id = FlowId(self.next_id());
        self.flows.insert(id, Flow::new(group));
        id
    }

    /// A connection left.
    pub fn remove_flow(&mut self, id: FlowId) {
        self.dequeue(id);
        self.flows.remove(&id);
    }

    /// What a flow counts for, in hundredths of the ordinary; at least 1. It holds from its next block on.
    pub fn set_weight(&mut self, id: FlowId, percent: u8) {
        if let Some(flow) = self.flows.get_mut(&id) {
            flow.percent = percent.max(1);
        }
    }

    /// A flow could send so many bytes at once, beyond what was dealt to it.
    pub fn want(&mut self, now: Instant, id: FlowId, bytes: u64) {
        self.now = self.now.max(now);
        let Some(flow) = self.flows.get_mut(&id) else { return };
        let waited = flow.wanted > 0;
        flow.wanted = bytes;
        match (waited, bytes > 0) {
            (false, true) => self.enqueue(id),
            (true, false) => self.dequeue(id),
            _ => {}
        }
    }

    /// Deals out what the limits let pass by `now`.
    pub fn run(&mut self, now: Instant) {
        self.now = self.now.max(now);
        while let Some((_, id)) = self.held.first().copied().filter(|(at, _)| *at <= self.now) {
            self.place(id);
        }
        while self.bucket.free_at() <= self.now
            && let Some((_, id)) = self.ready.first().copied()
        {
            self.serve(id);
        }
    }

    /// When [`Uplink::run`] has something to deal out, if nothing else happens.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let free_at = self.bucket.free_at();
        match self.ready.first() {
            Some(_) => Some(free_at),
            None => self.held.first().map(|(at, _)| free_at.max(*at)),
        }
    }

    /// The next flow that was dealt something since it last took it; call until `None`.
    pub fn poll_granted(&mut self) -> Option<FlowId> {
        let has_some = |id: &FlowId| self.flows.get(id).is_some_and(|flow| flow.granted > 0);
        while let Some(id) = self.granted.pop_front() {
            if has_some(&id) {
                return Some(id);
            }
        }
        None
    }

    /// Hands over what was dealt to a flow, in bytes.
    pub fn take(&mut self, id: FlowId) -> u64 {
        self.flows.get_mut(&id).map_or(0, |flow| std::mem::take(&mut flow.granted))
    }

    fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// A flow begins to wait. Its virtual time is not behind that of the others: nobody saves up for later.
    fn enqueue(&mut self, id: FlowId) {
        let flow = self.flows.get_mut(&id).expect("whoever calls looked it up");
        let group = self.groups.get_mut(&flow.group).expect("a group outlives its flows");
        flow.start = flow.finish.at_least(self.time, group.time);
        group.queue.insert((flow.start.in_group, id));
        let group = flow.group;
        self.place(group);
    }

    /// A flow waits no more.
    fn dequeue(&mut self, id: FlowId) {
        let Some(flow) = self.flows.get(&id) else { return };
        let Some(group) = self.groups.get_mut(&flow.group) else { return };
        if group.queue.remove(&(flow.start.in_group, id)) {
            let group = flow.group;
            self.place(group);
        }
    }

    /// Serves the first flow of a group that may be served.
    fn serve(&mut self, id: GroupId) {
        let group = self.groups.get_mut(&id).expect("what is queued is there");
        let (_, first) = group.queue.pop_first().expect("a ready group has a flow that waits");
        let flow = self.flows.get_mut(&first).expect("what is queued is there");
        let bytes = flow.serve(QUANTUM);
        self.time = self.time.max(flow.start.in_engine);
        group.time = group.time.max(flow.start.in_group);
        self.bucket.reserve(self.now, bytes);
        group.bucket.reserve(self.now, bytes);
        if flow.granted == bytes {
            self.granted.push_back(first);
        }
        if flow.wanted > 0 {
            self.enqueue(first);
        } else {
            self.place(id);
        }
    }

    /// Puts a group where it belongs.
    fn place(&mut self, id: GroupId) {
        let group = self.groups.get_mut(&id).expect("whoever calls looked it up");
        match group.place {
            Place::Nowhere => {}
            Place::Ready(start) => drop(self.ready.remove(&(start, id))),
            Place::Held(at) => drop(self.held.remove(&(at, id))),
        }
        let first = group.queue.first().map(|(_, first)| self.flows[first].start.in_engine);
        let held_until = group.bucket.free_at();
        group.place = match first {
            None => Place::Nowhere,
            Some(start) if held_until <= self.now => Place::Ready(start),
            Some(_) => Place::Held(held_until),
        };
        match group.place {
            Place::Nowhere => {}
            Place::Ready(start) => drop(self.ready.insert((start, id))),
            Place::Held(at) => drop(self.held.insert((at, id))),
        }
    }

    /// Checks what must always hold; called after each step in tests.
    pub fn assert_invariants(&self) {
        for (id, group) in &self.groups {
            let place = match group.place {
                Place::Nowhere => true,
                Place::Ready(start) => self.ready.contains(&(start, *id)),
                Place::Held(at) => self.held.contains(&(at, *id)),
            };
            assert!(place, "a group is where it says");
            assert_eq!(
                group.queue.is_empty(),
                group.place == Place::Nowhere,
                "a group with flows is somewhere"
            );
        }
        let placed = self.groups.values().filter(|group| group.place != Place::Nowhere).count();
        assert_eq!(placed, self.ready.len() + self.held.len(), "and nowhere else");
        let queued: usize = self.groups.values().map(|group| group.queue.len()).sum();
        assert_eq!(queued, self.flows.values().filter(|flow| flow.wanted > 0).count(), "who wants is queued");
    }
}
