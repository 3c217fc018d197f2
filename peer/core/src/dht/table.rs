//! The routing table of one address family (BEP 5): nodes that have answered us, many near us and few far away.
//!
//! Bucket `n` holds nodes whose ids share exactly `n` leading bits with ours, and the last one those that share more. Only
//! the last one is split. A node is taken in when it has answered, so that nobody gets in by being named; of one party
//! there is one node, and of one network few, so that whoever has many addresses fills no table.

use std::net::SocketAddr;

use potluck_common::{
    Duration, Instant, Rng,
    krpc::{NodeId, NodeInfo},
};

use super::policy::{Party, crowd_of};

/// Nodes of a bucket, and of an answer (BEP 5: K).
pub(super) const BUCKET_NODES: usize = 8;
/// Nodes that wait for a place in a bucket.
const SPARE_NODES: usize = 8;
/// How long a node is good after it was heard of (BEP 5).
pub(super) const GOOD_FOR: Duration = Duration::from_secs(15 * 60);
/// Unanswered questions after which a node goes.
const FAILURES_MAX: u8 = 2;
/// Nodes of one network in a bucket, and in the table.
const CROWD_BUCKET_MAX: usize = 2;
const CROWD_TABLE_MAX: usize = 8;

/// A node that has answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) info: NodeInfo,
    /// When it last sent anything that makes it good: an answer, or a question after it has once answered.
    pub(super) heard_at: Instant,
    /// When it was last asked for its own sake.
    probed_at: Instant,
    /// When somebody last spoke from its address under another id, and was asked.
    doubted_at: Option<Instant>,
    /// How long its answers take, smoothed.
    pub(super) rtt: Duration,
    /// Questions in a row that it left unanswered.
    failures: u8,
    /// Its id is one of those of its address (BEP 42).
    complies: bool,
    /// Somebody's bootstrap node, which has enough to do.
    is_bootstrap: bool,
}

impl Node {
    pub(super) fn is_good(&self, now: Instant) -> bool {
        self.failures == 0 && now.since(self.heard_at) < GOOD_FOR
    }

    /// What its place is worth: the greater stays.
    fn worth(&self, now: Instant) -> (bool, bool, bool) {
        (self.failures == 0, self.complies && !self.is_bootstrap, self.is_good(now))
    }
}

/// Who waits for a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Spare {
    pub(super) info: NodeInfo,
    /// It once answered us; others only spoke, which costs nothing.
    has_answered: bool,
}

#[derive(Clone, Debug)]
struct Bucket {
    nodes: Vec<Node>,
    /// Who may take the place of a node that goes: first those that only spoke, and the newest last.
    spares: Vec<Spare>,
    changed_at: Instant,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Table {
    own: NodeId,
    /// Never empty.
    buckets: Vec<Bucket>,
}

impl Table {
    pub(super) fn new(own: NodeId, now: Instant) -> Self {
        Self { own, buckets: vec![Bucket::new(now)] }
    }

    pub(super) fn own(&self) -> NodeId {
        self.own
    }

    pub(super) fn len(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.nodes.len()).sum()
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.buckets.iter().flat_map(|bucket| &bucket.nodes)
    }

    pub(super) fn good(&self, now: Instant) -> usize {
        self.nodes().filter(|node| node.is_good(now)).count()
    }

    fn bucket_of(&self, id: &NodeId) -> usize {
        self.own.bits_shared(id).min(self.buckets.len() - 1)
    }

    /// The node that was heard of under this id at this address.
    fn find(&mut self, node: NodeInfo) -> Option<&mut Node> {
        let bucket = self.bucket_of(&node.id);
        self.buckets[bucket].nodes.iter_mut().find(|known| known.info == node)
    }

    /// The node at this address.
    pub(super) fn at(&self, addr: SocketAddr) -> Option<&Node> {
        self.nodes().find(|node| node.info.addr == addr)
    }

    /// A node has answered a question of ours. Returns one that should be asked whether it is still there, as its place
    /// is wanted.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        info: NodeInfo,
        rtt: Duration,
        is_bootstrap: bool,
    ) -> Option<NodeInfo> {
        if info.id == self.own {
            return None;
        }
        if let Some(node) = self.find(info) {
            node.heard_at = now;
            node.failures = 0;
            node.rtt = (node.rtt * 7 + rtt) / 8;
            let bucket = self.bucket_of(&info.id);
            self.buckets[bucket].changed_at = now;
            return None;
        }
        // Who shows another id than before is nobody to rely on (BEP 45).
        self.remove_where(now, |known| known.addr == info.addr);
        if !self.has_room_for_party(now, info) {
            return None;
        }
        let complies = info.id.complies_with(info.addr.ip());
        let (heard_at, probed_at) = (now, now);
        let (failures, doubted_at) = (0, None);
        let node = Node { info, heard_at, probed_at, doubted_at, rtt, failures, complies, is_bootstrap };
        self.insert(now, node)
    }

    /// Whether its party and its network are not in the table yet, or can be had out of it.
    fn has_room_for_party(&mut self, now: Instant, info: NodeInfo) -> bool {
        let party = Party::of(info.addr);
        let same = |known: &Node| Party::of(known.info.addr) == party || known.info.id == info.id;
        if self.nodes().any(|known| same(known) && known.failures == 0) {
            return false;
        }
        self.remove_where(now, |known| Party::of(known.addr) == party || known.id == info.id);
        !self.is_crowded(info)
    }

    /// Whether there are as many nodes of its network as may be.
    fn is_crowded(&self, info: NodeInfo) -> bool {
        let Some(crowd) = crowd_of(info.addr) else { return false };
        let in_crowd =
            |known: &&Node| crowd_of(known.info.addr) == Some(crowd) && known.info.addr != info.addr;
        let bucket = &self.buckets[self.bucket_of(&info.id)];
        // The last bucket will be split further; what is in it now says nothing of the part that is meant.
        let is_last = self.bucket_of(&info.id) + 1 == self.buckets.len();
        !is_last && bucket.nodes.iter().filter(in_crowd).count() >= CROWD_BUCKET_MAX
            || self.nodes().filter(in_crowd).count() >= CROWD_TABLE_MAX
    }

    fn insert(&mut self, now: Instant, node: Node) -> Option<NodeInfo> {
        loop {
            let number = self.bucket_of(&node.info.id);
            let can_split = number + 1 == self.buckets.len() && self.buckets.len() < NodeId::BITS;
            let bucket = &mut self.buckets[number];
            bucket.spares.retain(|spare| spare.info.addr != node.info.addr && spare.info.id != node.info.id);
            if bucket.nodes.len() < BUCKET_NODES {
                bucket.nodes.push(node);
                bucket.changed_at = now;
                return None;
            }
            if can_split {
                self.split(now);
                continue;
            }
            let (place, least) = bucket.least(now).expect("a full bucket");
            if least.worth(now) < node.worth(now) && (least.failures > 0 || !least.worth(now).1) {
                bucket.nodes[place] = node;
                bucket.changed_at = now;
                return None;
            }
            bucket.keep_spare(Spare { info: node.info, has_answered: true });
            return bucket.questionable(now);
        }
    }

    /// Divides the last bucket.
    fn split(&mut self, now: Instant) {
        let shared = self.buckets.len() - 1;
        let own = self.own;
        let last = self.buckets.last_mut().expect("never empty");
        let mut near = Bucket::new(last.changed_at.max(now - GOOD_FOR));
        let is_near = |id: &NodeId| own.bits_shared(id) > shared;
        near.nodes.extend(last.nodes.extract_if(.., |node| is_near(&node.info.id)));
        near.spares.extend(last.spares.extract_if(.., |spare| is_near(&spare.info.id)));
        self.buckets.push(near);
    }

    /// A node asked us something.
    pub(super) fn asked_us(&mut self, now: Instant, info: NodeInfo) {
        if let Some(node) = self.find(info) {
            node.heard_at = now;
        }
    }

    /// Somebody speaks of a node, or it speaks itself. Whether it should be asked, as there is a place for it; if not it
    /// may wait for one.
    pub(super) fn wants(&mut self, now: Instant, info: NodeInfo, spoke: bool) -> bool {
        if info.id == self.own || self.find(info).is_some() {
            return false;
        }
        let number = self.bucket_of(&info.id);
        let is_last = number + 1 == self.buckets.len();
        let bucket = &self.buckets[number];
        let has_room = bucket.nodes.len() < BUCKET_NODES
            || (is_last && self.buckets.len() < NodeId::BITS)
            || bucket.nodes.iter().any(|node| node.failures > 0);
        let party = Party::of(info.addr);
        let known = self.nodes().any(|node| Party::of(node.info.addr) == party && node.is_good(now));
        // Whom an answer would gain no place is not asked: it might ask us for the same reason, and so on without end.
        let same = |other: &Node| Party::of(other.info.addr) == party || other.info.id == info.id;
        let is_beside =
            self.nodes().any(|node| node.info.addr != info.addr && same(node) && node.failures == 0);
        if known || is_beside || self.is_crowded(info) {
            return false;
        }
        if !has_room && spoke {
            self.buckets[number].keep_spare(Spare { info, has_answered: false });
        }
        has_room
    }

    /// A node did not answer. Returns who may take its place, and must be asked first.
    pub(super) fn failed(&mut self, now: Instant, info: NodeInfo) -> Option<Spare> {
        let node = self.find(info)?;
        node.failures = node.failures.saturating_add(1);
        let gone = node.failures >= FAILURES_MAX;
        let number = self.bucket_of(&info.id);
        let bucket = &mut self.buckets[number];
        if gone {
            bucket.nodes.retain(|node| node.info != info);
            bucket.changed_at = now;
        }
        bucket.spares.pop()
    }

    /// A node waits for a place again.
    pub(super) fn keep_spare(&mut self, spare: Spare) {
        let number = self.bucket_of(&spare.info.id);
        self.buckets[number].keep_spare(spare);
    }

    /// Whether the node at this address has a place under another id.
    pub(super) fn has_other_at(&self, info: NodeInfo) -> bool {
        self.at(info.addr).is_some_and(|known| known.info.id != info.id)
    }

    /// Somebody spoke from the address of a node under another id. Whether to ask who is there now: anybody can forge that, so
    /// that it is seldom asked.
    pub(super) fn may_doubt(&self, now: Instant, info: NodeInfo) -> bool {
        let known = self.at(info.addr);
        known.is_some_and(|known| known.doubted_at.is_none_or(|at| now.since(at) > PROBE_INTERVAL))
    }

    /// It is being asked who is at this address. If that has a place under another id, that is in doubt.
    pub(super) fn doubt(&mut self, now: Instant, info: NodeInfo) {
        let mut nodes = self.buckets.iter_mut().flat_map(|bucket| &mut bucket.nodes);
        let known = nodes.find(|node| node.info.addr == info.addr && node.info.id != info.id);
        if let Some(known) = known {
            known.doubted_at = Some(now);
        }
    }

    /// Whoever is at the address of this node has a place under no other id.
    pub(super) fn forget_others(&mut self, now: Instant, node: NodeInfo) {
        self.remove_where(now, |known| known.addr == node.addr && known.id != node.id);
    }

    pub(super) fn contains(&self, info: NodeInfo) -> bool {
        self.buckets[self.bucket_of(&info.id)].nodes.iter().any(|known| known.info == info)
    }

    /// An id in the bucket of `id`, to ask for.
    pub(super) fn beside(&self, id: &NodeId, rng: &mut Rng) -> NodeId {
        self.own.random_sharing(self.bucket_of(id), rng)
    }

    fn remove_where(&mut self, now: Instant, goes: impl Fn(&NodeInfo) -> bool) {
        for bucket in &mut self.buckets {
            let before = bucket.nodes.len();
            bucket.nodes.retain(|node| !goes(&node.info));
            if bucket.nodes.len() < before {
                bucket.changed_at = now;
            }
        }
    }

    /// The `count` nodes closest to `target` that did not fail lately, closest first.
    pub(super) fn closest(&self, target: &NodeId, count: usize) -> Vec<Node> {
        let home = self.bucket_of(target);
        // Nearer buckets of ours share as many bits with the target as the home bucket's range has in common.
        let nearer = self.buckets[home + 1..].iter().flat_map(|bucket| &bucket.nodes);
        let mut found: Vec<Node> = Vec::with_capacity(2 * BUCKET_NODES);
        let mut take = |nodes: &mut dyn Iterator<Item = &Node>| {
            let from = found.len();
            found.extend(nodes.filter(|node| node.failures == 0));
            found[from..].sort_by_cached_key(|node| node.info.id.distance(target));
            found.len() >= count
        };
        let _enough = take(&mut self.buckets[home].nodes.iter())
            || take(&mut nearer.into_iter())
            || self.buckets[..home].iter().rev().any(|bucket| take(&mut bucket.nodes.iter()));
        found.truncate(count);
        found
    }

    /// The node that has been silent for longest, and an id of its bucket to ask it for, when it is to be asked whether it
    /// is still there. It counts as asked from now on.
    pub(super) fn stalest(&mut self, now: Instant, rng: &mut Rng) -> Option<(NodeInfo, NodeId)> {
        let last = self.buckets.len() - 1;
        let nodes = self.buckets.iter_mut().enumerate();
        let nodes =
            nodes.flat_map(|(number, bucket)| bucket.nodes.iter_mut().map(move |node| (number, node)));
        let (number, node) = nodes
            .filter(|(_, node)| now.since(node.probed_at) > PROBE_INTERVAL && !node.is_bootstrap)
            .min_by_key(|(_, node)| node.heard_at)?;
        if node.failures == 0 && now.since(node.heard_at) < PROBE_AFTER {
            return None;
        }
        node.probed_at = now;
        let bits = if number == last { number + (rng.below(2) as usize) } else { number };
        Some((node.info, self.own.random_sharing(bits, rng)))
    }

    /// An id in a bucket in which nothing changed for long; the bucket counts as changed from now on.
    pub(super) fn refresh(&mut self, now: Instant, rng: &mut Rng) -> Option<NodeId> {
        let number = self.buckets.iter().position(|bucket| now.since(bucket.changed_at) >= GOOD_FOR)?;
        self.buckets[number].changed_at = now;
        Some(self.own.random_sharing(number, rng))
    }

    /// We are somebody else from now on. Nodes keep their state; not all of them find a place.
    pub(super) fn rename(&mut self, now: Instant, own: NodeId) {
        let nodes: Vec<Node> = self.nodes().copied().collect();
        *self = Self::new(own, now);
        for node in nodes.into_iter().filter(|node| node.info.id != own) {
            self.insert(now, node);
        }
    }

    pub(super) fn assert_invariants(&self) {
        assert!(!self.buckets.is_empty() && self.buckets.len() <= NodeId::BITS);
        let last = self.buckets.len() - 1;
        for (number, bucket) in self.buckets.iter().enumerate() {
            assert!(bucket.nodes.len() <= BUCKET_NODES && bucket.spares.len() <= SPARE_NODES);
            let ids = bucket
                .nodes
                .iter()
                .map(|node| node.info.id)
                .chain(bucket.spares.iter().map(|spare| spare.info.id));
            for id in ids {
                let shared = self.own.bits_shared(&id);
                assert!(
                    shared == number || (number == last && shared > number),
                    "{id} is in bucket {number}"
                );
            }
        }
        let mut parties: Vec<Party> = self.nodes().map(|node| Party::of(node.info.addr)).collect();
        parties.sort_unstable();
        assert!(parties.is_sorted_by(|a, b| a < b), "a party is in the table twice");
        let mut crowds: Vec<_> = self.nodes().filter_map(|node| crowd_of(node.info.addr)).collect();
        crowds.sort_unstable();
        assert!(
            crowds.chunk_by(|a, b| a == b).all(|crowd| crowd.len() <= CROWD_TABLE_MAX),
            "one network fills it"
        );
        assert!(self.nodes().all(|node| node.info.id != self.own), "we are in our own table");
    }
}

/// How soon a node is asked again for its own sake.
const PROBE_INTERVAL: Duration = Duration::from_secs(60);
/// How long after it was heard of it is asked, which is before it would stop being good.
const PROBE_AFTER: Duration = Duration::from_secs(13 * 60);

impl Bucket {
    fn new(now: Instant) -> Self {
        Self { nodes: Vec::new(), spares: Vec::new(), changed_at: now }
    }

    /// The node that is worth least; of several the one that was heard of least recently.
    fn least(&self, now: Instant) -> Option<(usize, Node)> {
        let nodes = self.nodes.iter().copied().enumerate();
        nodes.min_by_key(|(_, node)| (node.worth(now), node.heard_at))
    }

    /// A node that was not heard of for long, and is to be asked as others wait for its place.
    fn questionable(&mut self, now: Instant) -> Option<NodeInfo> {
        let waits = |node: &&mut Node| !node.is_good(now) && now.since(node.probed_at) > PROBE_INTERVAL;
        let node = self.nodes.iter_mut().filter(waits).min_by_key(|node| node.heard_at)?;
        node.probed_at = now;
        Some(node.info)
    }

    fn keep_spare(&mut self, spare: Spare) {
        let party = Party::of(spare.info.addr);
        let same = |known: &Spare| Party::of(known.info.addr) == party || known.info.id == spare.info.id;
        let has_answered =
            spare.has_answered || self.spares.iter().any(|known| same(known) && known.has_answered);
        self.spares.retain(|known| !same(known));
        // Who only spoke goes before all who answered.
        let place = if has_answered { self.spares.len() } else { self.spoken() };
        self.spares.insert(place, Spare { has_answered, ..spare });
        if self.spares.len() > SPARE_NODES {
            self.spares.remove(0);
        }
    }

    /// How many spares only spoke.
    fn spoken(&self) -> usize {
        self.spares.partition_point(|spare| !spare.has_answered)
    }
}
