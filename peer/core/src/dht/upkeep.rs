//! What a node does for its place in the network: joining, asking whether others are still there, and being known.

use std::net::{IpAddr, SocketAddr};

use potluck_common::{
    Duration, Instant, Rng,
    announce::Family,
    krpc::{NodeId, NodeInfo, Query, Response, Want},
};

use super::{
    Dht,
    named::Named,
    policy::{invents, is_local, may_name},
    rpc::{Purpose, Question, Transaction},
    search::Goal,
    slot,
    table::{BUCKET_NODES, Table},
    votes::Votes,
};

/// The first wait after nobody answered; it doubles up to the last.
const REJOIN_MIN: Duration = Duration::from_secs(5);
const REJOIN_MAX: Duration = Duration::from_secs(10 * 60);
/// The longest wait while few are known, and they answer: they may have begun when we did, and soon know more.
const REJOIN_POOR_MAX: Duration = Duration::from_secs(60);
/// How often those near us are looked for again.
const REJOIN_ORDINARY: Duration = Duration::from_secs(30 * 60);
/// How often somebody may be asked whether it is still there.
const PROBE_EVERY: Duration = Duration::from_secs(5);
/// Nodes that may be asked for their own sake at one time.
const PROBES_MAX: usize = 16;
/// Of these, how many may be strangers: anybody can speak, or be spoken of, and those whom we know come first.
pub(super) const STRANGERS_MAX: usize = PROBES_MAX / 2;
/// How often we may become somebody else on the word of others.
const RENAME_EVERY: Duration = Duration::from_secs(10 * 60);

/// Our part in the network of one address family (BEP 32, 45: with an id of its own).
#[derive(Debug)]
pub(super) struct Network {
    pub(super) table: Table,
    pub(super) votes: Votes,
    pub(super) external: Option<IpAddr>,
    /// Nodes of the last run.
    pub(super) saved: Vec<NodeInfo>,
    /// Nodes that peers or torrents told of, and that wait to be asked.
    pub(super) named: Named,
    renamed_at: Option<Instant>,
    /// When to look for those near us; `None` while that is under way.
    pub(super) join_at: Option<Instant>,
    /// The last join came to know nodes that know each other.
    pub(super) is_confirmed: bool,
    /// Joins in a row that nobody answered.
    pub(super) unanswered: u32,
    /// Joins in a row that were answered, after which few were known all the same.
    poor: u32,
    probe_at: Instant,
}

impl Network {
    pub(super) fn new(now: Instant, own: NodeId, saved: Vec<NodeInfo>) -> Self {
        Self {
            table: Table::new(own, now),
            votes: Votes::default(),
            external: None,
            saved,
            named: Named::default(),
            renamed_at: None,
            join_at: Some(now),
            is_confirmed: false,
            unanswered: 0,
            poor: 0,
            probe_at: now + PROBE_EVERY,
        }
    }

    /// Whether a search would find somebody to ask.
    pub(super) fn is_ready(&self) -> bool {
        self.table.len() >= BUCKET_NODES || (self.table.len() > 0 && self.join_at.is_some())
    }

    /// Whether others are to be asked, too, whom it has no place for: what the table has may be liars only.
    pub(super) fn knows_few(&self) -> bool {
        self.table.len() < BUCKET_NODES || !self.is_confirmed
    }

    /// Whether an answer speaks for who gave it: it names somebody other than itself and us, and nobody who can hardly be
    /// there.
    fn is_reference(&self, node: NodeInfo, transaction: &Transaction, response: &Response<'_>) -> bool {
        let named = match Family::of(node.addr.ip()) {
            Family::V4 => response.nodes,
            Family::V6 => response.nodes6,
        };
        let is_other = |named: &NodeInfo| named.addr != node.addr && !self.is_us(*named);
        let named = || named.iter().filter(|named| may_name(node.addr, named.addr) && is_other(named));
        let invents = transaction.target.is_some_and(|target| invents(&node.id, &target, named()));
        named().next().is_some() && !invents
    }

    /// Whether somebody means us: our id, or our address, whatever the port.
    fn is_us(&self, named: NodeInfo) -> bool {
        let ip = named.addr.ip().to_canonical();
        named.id == self.table.own() || (!is_local(ip) && self.external == Some(ip))
    }

    pub(super) fn next_deadline(&self) -> Instant {
        let probe_at = if self.table.len() > 0 { self.probe_at } else { Instant::FAR_FUTURE };
        self.join_at.unwrap_or(Instant::FAR_FUTURE).min(probe_at)
    }
}

impl Dht {
    /// Joins where it is time, and asks one node whether it is still there.
    pub(super) fn keep_up(&mut self, now: Instant, family: Family) {
        let has_bootstrap = self.has_bootstrap(family);
        let Some(network) = &mut self.networks[slot(family)] else { return };
        if network.join_at.is_some_and(|at| at <= now) {
            // With nobody to ask it waits for an address.
            let can_ask = network.table.len() > 0 || !network.saved.is_empty() || has_bootstrap;
            network.join_at = if can_ask { None } else { Some(Instant::FAR_FUTURE) };
            if can_ask {
                if network.knows_few() {
                    // They were chosen, and there may be nobody else: that one datagram was lost is no reason to leave them out.
                    self.bootstrap.iter().for_each(|addr| self.silent.forget(*addr));
                }
                self.search(now, Goal::Join, None, &[family]);
            }
        }
        let may_probe = self.may_probe(Purpose::Probe);
        let Some(network) = &mut self.networks[slot(family)] else { return };
        if network.probe_at > now {
            return;
        }
        network.probe_at = now + PROBE_EVERY;
        if !may_probe {
            return;
        }
        if let Some((node, target)) = network.table.stalest(now, &mut self.rng) {
            let query = Query::FindNode { target, want: Want::DEFAULT };
            self.probe(now, node.addr, Some(node.id), query, Purpose::Probe);
        } else if network.table.len() > 0
            && let Some(target) = network.table.refresh(now, &mut self.rng)
        {
            self.search(now, Goal::Refresh, Some(target), &[family]);
        }
    }

    fn has_bootstrap(&self, family: Family) -> bool {
        self.bootstrap.iter().any(|addr| Family::of(addr.ip()) == family)
    }

    /// Whether one more node may be asked for its own sake.
    pub(super) fn may_probe(&self, purpose: Purpose) -> bool {
        let is_busy = self.rpc.probes(false) >= PROBES_MAX
            || (purpose != Purpose::Probe && self.rpc.probes(true) >= STRANGERS_MAX);
        !is_busy && self.rpc.has_room(purpose)
    }

    /// Asks one node for its own sake, if not too many are asked so already; whether it is asked.
    pub(super) fn probe(
        &mut self,
        now: Instant,
        to: SocketAddr,
        expected: Option<NodeId>,
        query: Query<'_>,
        purpose: Purpose,
    ) -> bool {
        let family = Family::of(to.ip());
        let Some(network) = &self.networks[slot(family)] else { return false };
        if !self.may_probe(purpose) || self.rpc.is_probed(to) || self.silent.contains(now, to) {
            return false;
        }
        let (own, read_only) = (network.table.own(), self.is_read_only());
        let rtt = network.table.at(to).map(|node| node.rtt);
        let question = Question { to, expected, rtt, purpose, own, read_only, query };
        self.rpc.send(now, &mut self.out, question);
        true
    }

    /// A join has ended.
    pub(super) fn joined(&mut self, now: Instant, family: Family, answered: bool, is_confirmed: bool) {
        let jitter = Duration::from_millis(u64::from(self.rng.below(2_000)));
        let Some(network) = &mut self.networks[slot(family)] else { return };
        network.unanswered = if answered { 0 } else { network.unanswered + 1 };
        network.is_confirmed = is_confirmed;
        network.poor = if network.unanswered == 0 && network.knows_few() { network.poor + 1 } else { 0 };
        let wait = match (network.unanswered, network.poor) {
            (0, 0) => REJOIN_ORDINARY,
            (0, poor) => (REJOIN_MIN * (1 << (poor - 1).min(10))).min(REJOIN_POOR_MAX),
            (unanswered, _) => (REJOIN_MIN * (1 << (unanswered - 1).min(10))).min(REJOIN_MAX),
        };
        network.join_at.get_or_insert(now + wait + jitter);
    }

    /// A node has answered a question of ours, so that it may find a place in the table: if it knows the way, or we know few.
    pub(super) fn known(
        &mut self,
        now: Instant,
        node: NodeInfo,
        transaction: &Transaction,
        response: &Response<'_>,
    ) {
        let family = Family::of(node.addr.ip());
        let Some(network) = &self.networks[slot(family)] else { return };
        let is_known = network.table.contains(node);
        let is_fit = network.table.len() < BUCKET_NODES || network.is_reference(node, transaction, response);
        let is_listed = match transaction.purpose {
            // It was asked for nodes for its own sake.
            Purpose::Probe if is_known && !is_fit => return self.failed(now, node),
            _ if is_known => true,
            Purpose::Meet if !is_fit => return self.vet(now, node),
            // What a search looks for is known to all, and others may have placed nodes beside it that who is honest names:
            // it is asked for what only we know.
            Purpose::Search(_) if !is_fit => {
                if !self.unfit.contains(now, node.addr) {
                    self.vet(now, node);
                }
                false
            }
            Purpose::Vet if !is_fit => {
                // Two that are not fit for each other would else ask each other without end.
                self.unfit.entry(now, node.addr, || ());
                false
            }
            _ => is_fit,
        };
        if is_listed {
            self.list(now, node, now.since(transaction.sent_at));
        }
    }

    /// A node gets a place in the table if there is one for it.
    fn list(&mut self, now: Instant, node: NodeInfo, rtt: Duration) {
        let is_bootstrap = self.bootstrap.contains(&node.addr);
        let Some(network) = &mut self.networks[slot(Family::of(node.addr.ip()))] else { return };
        let was_empty = network.table.len() == 0;
        let questionable = network.table.answered(now, node, rtt, is_bootstrap);
        if was_empty && network.table.len() > 0 {
            network.join_at = network.join_at.map(|_| now);
        }
        if let Some(node) = questionable {
            self.ask_beside(now, node, Purpose::Probe);
        }
    }

    /// A node is there. Whether it knows the way is asked before it has a place.
    fn vet(&mut self, now: Instant, node: NodeInfo) {
        let Some(network) = &mut self.networks[slot(Family::of(node.addr.ip()))] else { return };
        if network.table.wants(now, node, false) {
            self.ask_beside(now, node, Purpose::Vet);
        }
    }

    /// Asks a node for nodes in the part of the network where it is; whether it is asked.
    fn ask_beside(&mut self, now: Instant, node: NodeInfo, purpose: Purpose) -> bool {
        let Some(network) = &self.networks[slot(Family::of(node.addr.ip()))] else { return false };
        let target = network.table.beside(&node.id, &mut self.rng);
        let query = Query::FindNode { target, want: Want::DEFAULT };
        self.probe(now, node.addr, Some(node.id), query, purpose)
    }

    /// Somebody answered under another id than it was named by: it is nobody to rely on (BEP 45), whoever is to blame.
    pub(super) fn is_another(&mut self, now: Instant, node: NodeInfo) {
        let family = Family::of(node.addr.ip());
        if let Some(network) = &mut self.networks[slot(family)] {
            network.table.forget_others(now, node);
        }
        self.rejoin_if_empty(now, family);
    }

    /// A node of the table failed. Somebody else may take its place, and is asked first.
    pub(super) fn failed(&mut self, now: Instant, node: NodeInfo) {
        let family = Family::of(node.addr.ip());
        let Some(network) = &mut self.networks[slot(family)] else { return };
        if let Some(spare) = network.table.failed(now, node)
            && !self.ask_beside(now, spare.info, Purpose::Probe)
            && let Some(network) = &mut self.networks[slot(family)]
        {
            network.table.keep_spare(spare);
        }
    }

    /// The table may have lost its last nodes: then it is time to begin again.
    pub(super) fn rejoin_if_empty(&mut self, now: Instant, family: Family) {
        let Some(network) = &mut self.networks[slot(family)] else { return };
        let soon = now + REJOIN_MIN;
        if network.table.len() == 0 && network.unanswered == 0 && network.join_at.is_some_and(|at| at > soon)
        {
            network.join_at = Some(soon);
        }
    }

    /// Nodes that an answer names are asked if the tables have a place for them.
    pub(super) fn offer_named(&mut self, now: Instant, by: SocketAddr, response: &Response<'_>) {
        let named = response.nodes.iter().take(BUCKET_NODES);
        for node in named.chain(response.nodes6.iter().take(BUCKET_NODES)) {
            if may_name(by, node.addr) {
                self.offer(now, node);
            }
        }
    }

    /// Somebody speaks of a node.
    fn offer(&mut self, now: Instant, node: NodeInfo) {
        if self.wants(now, node, false) {
            self.probe(now, node.addr, Some(node.id), Query::Ping, Purpose::Meet);
        }
    }

    /// Whether a node that is spoken of, or spoke itself, is to be asked whether it is there.
    pub(super) fn wants(&mut self, now: Instant, node: NodeInfo, spoke: bool) -> bool {
        if self.silent.contains(now, node.addr) || self.unfit.contains(now, node.addr) {
            return false;
        }
        let may_meet = self.may_probe(Purpose::Meet) && !self.rpc.is_probed(node.addr);
        let Some(network) = &mut self.networks[slot(Family::of(node.addr.ip()))] else { return false };
        if network.table.has_other_at(node) {
            // Whoever found out its address has another id from then on (BEP 42), and leads nowhere under the old one.
            return spoke && may_meet && network.table.may_doubt(now, node);
        }
        network.table.wants(now, node, spoke) && may_meet
    }

    /// A node sees us at this address.
    pub(super) fn vote(&mut self, now: Instant, voter: SocketAddr, ip: IpAddr) {
        let Some(network) = &mut self.networks[slot(Family::of(voter.ip()))] else { return };
        let Some(agreed) = network.votes.add(voter.ip(), ip) else { return };
        let lately = network.renamed_at.is_some_and(|at| now.since(at) < RENAME_EVERY);
        if network.external != Some(agreed) && !lately {
            self.found_external(now, agreed);
        }
    }

    /// Our address is certain: our id becomes one of those that belong to it (BEP 42).
    pub(super) fn found_external(&mut self, now: Instant, ip: IpAddr) {
        let ip = ip.to_canonical();
        let family = Family::of(ip);
        let Some(network) = &mut self.networks[slot(family)] else { return };
        network.external = Some(ip);
        network.votes.clear();
        if network.table.own().complies_with(ip) {
            return;
        }
        network.renamed_at = Some(now);
        let own = NodeId::of_address(ip, &mut self.rng);
        network.table.rename(now, own);
        if family == self.store_family() {
            self.store.rename(own);
        }
        let Some(network) = &mut self.networks[slot(family)] else { return };
        // A join under way looks for somebody else; the next one begins at once.
        network.join_at = Some(now);
    }
}

/// An id of the last run, or any.
pub(super) fn first_id(saved: Option<NodeId>, rng: &mut Rng) -> NodeId {
    let fresh = NodeId::random(rng);
    saved.unwrap_or(fresh)
}
