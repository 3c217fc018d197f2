//! Questions that wait for their answers, and how long that may take.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use potluck_common::{
    Duration, Instant, Rng,
    krpc::{Body, Message, NodeId, Query},
};

use super::{outbox::Outbox, policy::machine_of, search::SearchId};

/// Questions that may wait at one time, searches and upkeep together.
const TRANSACTIONS_MAX: usize = 1_024;

/// Bounds of the short timeout, after which an answer is no longer waited for but still taken.
const SHORT_MIN: Duration = Duration::from_millis(150);
const SHORT_MAX: Duration = Duration::from_secs(2);
/// Bounds of the long timeout, after which a node counts as silent.
const LONG_MIN: Duration = Duration::from_secs(3);
const LONG_MAX: Duration = Duration::from_secs(10);

/// Bytes of a ping of ours at most: one that says that we are read-only (BEP 43).
pub(super) const PING_BYTES_MAX: usize = 74;

/// Our software, as others see it (BEP 20's letters): `PT`, 0.1.
pub(super) const VERSION: &[u8] = b"PT\x00\x01";

/// What a question is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// Whether somebody whom we know is still there.
    Probe,
    /// Whether there is a node that spoke to us or was named by others.
    Meet,
    /// Whom such a one knows, once it has answered: a place in our table is for those who know the way.
    Vet,
    /// A search asks its next node.
    Search(SearchId),
    /// A search tells of us.
    Announce(SearchId),
}

impl Purpose {
    /// For the sake of our tables.
    fn is_upkeep(self) -> bool {
        matches!(self, Self::Probe | Self::Meet | Self::Vet)
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Transaction {
    pub(super) to: SocketAddr,
    /// Who is expected to answer, where that is known.
    pub(super) expected: Option<NodeId>,
    /// Near whom nodes were asked for.
    pub(super) target: Option<NodeId>,
    pub(super) sent_at: Instant,
    pub(super) purpose: Purpose,
    /// The short timeout has passed.
    is_late: bool,
    deadline: Instant,
}

/// What the passing of time did to a question.
#[derive(Clone, Copy, Debug)]
pub(super) enum Passed {
    /// It is late; somebody else may be asked.
    Late(Transaction),
    /// Nobody answers.
    Silent(Transaction),
}

/// How long answers take, over all nodes (RFC 6298's way).
#[derive(Clone, Copy, Debug)]
struct Estimate {
    smoothed: Duration,
    deviation: Duration,
}

impl Estimate {
    fn add(&mut self, rtt: Duration) {
        let error = self.smoothed.abs_diff(rtt);
        self.deviation = (self.deviation * 3 + error) / 4;
        self.smoothed = (self.smoothed * 7 + rtt) / 8;
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Transactions {
    open: BTreeMap<u32, Transaction>,
    deadlines: BTreeSet<(Instant, u32)>,
    /// Addresses that are asked whether somebody is there, and whether only to meet it.
    probed: BTreeMap<SocketAddr, Purpose>,
    estimate: Estimate,
    rng: Rng,
}

impl Transactions {
    pub(super) fn new(rng: Rng) -> Self {
        let estimate =
            Estimate { smoothed: Duration::from_millis(200), deviation: Duration::from_millis(100) };
        Self { open: BTreeMap::new(), deadlines: BTreeSet::new(), probed: BTreeMap::new(), estimate, rng }
    }

    /// Whether one more question can be kept; upkeep leaves some room for searches.
    pub(super) fn has_room(&self, purpose: Purpose) -> bool {
        let kept_free = if purpose.is_upkeep() { TRANSACTIONS_MAX / 8 } else { 0 };
        self.open.len() + kept_free < TRANSACTIONS_MAX
    }

    pub(super) fn is_probed(&self, addr: SocketAddr) -> bool {
        self.probed.contains_key(&addr)
    }

    /// Addresses that are asked for the sake of our tables, all or those whom we do not know.
    pub(super) fn probes(&self, strangers_only: bool) -> usize {
        self.probed.values().filter(|purpose| !strangers_only || **purpose != Purpose::Probe).count()
    }

    /// Addresses of the host of this one that are asked for the sake of our tables.
    pub(super) fn probes_of_host(&self, ip: IpAddr) -> usize {
        let host = machine_of(ip);
        self.probed.keys().filter(|addr| machine_of(addr.ip()) == host).count()
    }

    /// Sends a question. `rtt` is how long answers of this node take, where that is known.
    pub(super) fn send(&mut self, now: Instant, out: &mut Outbox, question: Question<'_>) {
        let Question { to, expected, rtt, purpose, own, read_only, query } = question;
        let short = match rtt {
            Some(rtt) => rtt * 2 + self.estimate.deviation * 2,
            None => self.estimate.smoothed + self.estimate.deviation * 4,
        };
        let deadline = now + short.clamp(SHORT_MIN, SHORT_MAX);
        let id = loop {
            let id = self.rng.next_u64() as u32;
            if !self.open.contains_key(&id) {
                break id;
            }
        };
        if purpose.is_upkeep() {
            self.probed.insert(to, purpose);
        }
        let target = match query {
            Query::FindNode { target, .. } => Some(target),
            Query::GetPeers { info_hash, .. } => Some(info_hash.into()),
            Query::Ping | Query::AnnouncePeer { .. } | Query::Other { .. } => None,
        };
        let is_late = false;
        self.open.insert(id, Transaction { to, expected, target, sent_at: now, purpose, is_late, deadline });
        self.deadlines.insert((deadline, id));
        let transaction = id.to_be_bytes();
        let body = Body::Query { id: own, query };
        let message =
            Message { transaction: &transaction, version: Some(VERSION), ip: None, read_only, body };
        out.send(to, message.encode());
    }

    /// The question that this answers, if it was asked and asked there. Its time goes into the estimate.
    pub(super) fn take(&mut self, now: Instant, transaction: &[u8], from: SocketAddr) -> Option<Transaction> {
        let id = u32::from_be_bytes(transaction.try_into().ok()?);
        if self.open.get(&id)?.to != from {
            return None;
        }
        let transaction = self.remove(id)?;
        self.estimate.add(now.since(transaction.sent_at));
        Some(transaction)
    }

    fn remove(&mut self, id: u32) -> Option<Transaction> {
        let transaction = self.open.remove(&id)?;
        self.deadlines.remove(&(transaction.deadline, id));
        if transaction.purpose.is_upkeep() {
            self.probed.remove(&transaction.to);
        }
        Some(transaction)
    }

    /// The next question whose time has passed.
    pub(super) fn passed(&mut self, now: Instant) -> Option<Passed> {
        let (deadline, id) = *self.deadlines.first()?;
        if deadline > now {
            return None;
        }
        match self.become_late(id) {
            Some(transaction) => Some(Passed::Late(transaction)),
            None => self.remove(id).map(Passed::Silent),
        }
    }

    /// The short timeout of a question counts as passed, unless it has.
    fn become_late(&mut self, id: u32) -> Option<Transaction> {
        let long = (self.estimate.smoothed * 4 + self.estimate.deviation * 8).clamp(LONG_MIN, LONG_MAX);
        let transaction = self.open.get_mut(&id).filter(|transaction| !transaction.is_late)?;
        self.deadlines.remove(&(transaction.deadline, id));
        transaction.is_late = true;
        transaction.deadline = transaction.sent_at + long;
        self.deadlines.insert((transaction.deadline, id));
        Some(*transaction)
    }

    /// Questions to this address count as late from now on. Returns those that did not before.
    pub(super) fn make_late(&mut self, addr: SocketAddr) -> Vec<Transaction> {
        let to: Vec<u32> = self.open.iter().filter(|(_, open)| open.to == addr).map(|(id, _)| *id).collect();
        to.into_iter().filter_map(|id| self.become_late(id)).collect()
    }

    /// Takes a question to this address that no longer needs to be waited for.
    pub(super) fn take_to(&mut self, addr: SocketAddr) -> Option<Transaction> {
        let id = self.open.iter().find(|(_, transaction)| transaction.to == addr).map(|(id, _)| *id)?;
        self.remove(id)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    pub(super) fn assert_invariants(&self) {
        assert!(self.open.len() <= TRANSACTIONS_MAX, "too many questions");
        assert_eq!(self.open.len(), self.deadlines.len(), "every question has one deadline");
        for (id, transaction) in &self.open {
            assert!(self.deadlines.contains(&(transaction.deadline, *id)));
        }
        let probes = self.open.values().filter(|open| open.purpose.is_upkeep());
        let probed: BTreeMap<_, _> = probes.map(|probe| (probe.to, probe.purpose)).collect();
        assert!(probed == self.probed, "probes are known");
    }
}

/// What is asked, of whom and what for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'q> {
    pub(super) to: SocketAddr,
    pub(super) expected: Option<NodeId>,
    pub(super) rtt: Option<Duration>,
    pub(super) purpose: Purpose,
    /// Who we are.
    pub(super) own: NodeId,
    pub(super) read_only: bool,
    pub(super) query: Query<'q>,
}
