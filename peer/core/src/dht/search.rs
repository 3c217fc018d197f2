//! Searches: one lookup in each address family, what they found, and whom they told of us.

use std::{collections::BTreeSet, net::SocketAddr};

use potluck_common::{
    InfoHash, Instant,
    addr::canonical,
    announce::Family,
    krpc::{NodeId, NodeInfo, Query, Response, Want},
};

use super::{
    Dht, DhtEffect, LookupId, SearchReport, Tracked,
    leg::Leg,
    policy::may_name,
    rpc::{Purpose, Question},
    slot,
};

/// Peers that one search names.
const PEERS_MAX: usize = 2_000;
/// Peers that are taken from one answer.
const ANSWER_PEERS_MAX: usize = 200;

/// A search, never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct SearchId(pub(super) u64);

/// What a search is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Goal {
    /// To become known to those near us, and to know them.
    Join,
    /// To know nodes in a part of the network.
    Refresh,
    /// Peers of a tracked torrent, and to tell of us.
    Tracked(InfoHash, Tracked),
    /// Peers, once.
    Lookup(InfoHash, LookupId),
}

impl Goal {
    pub(super) fn info_hash(self) -> Option<InfoHash> {
        match self {
            Self::Join | Self::Refresh => None,
            Self::Tracked(info_hash, _) | Self::Lookup(info_hash, _) => Some(info_hash),
        }
    }

    fn lookup(self) -> Option<LookupId> {
        match self {
            Self::Lookup(_, lookup) => Some(lookup),
            _ => None,
        }
    }
}

#[derive(Debug)]
pub(super) struct Search {
    pub(super) goal: Goal,
    pub(super) legs: Vec<Leg>,
    started_at: Instant,
    peers: BTreeSet<SocketAddr>,
    /// Steps to the first node that named peers.
    peers_depth: Option<u32>,
    /// Announces without an answer.
    announcing: u32,
    announced_to: u32,
}

impl Search {
    fn leg(&mut self, family: Family) -> Option<&mut Leg> {
        self.legs.iter_mut().find(|leg| leg.family == family)
    }

    fn report(&self, now: Instant) -> SearchReport {
        let depth = self.legs.iter().map(|leg| leg.depth).max().unwrap_or_default();
        SearchReport {
            asked: self.legs.iter().map(|leg| leg.asked).sum(),
            answered: self.legs.iter().map(|leg| leg.answered).sum(),
            announced_to: self.announced_to,
            peers: self.peers.len() as u32,
            rounds: self.peers_depth.unwrap_or(depth),
            depth,
            took: now.since(self.started_at),
        }
    }
}

impl Dht {
    /// Begins a search in these families with the nodes that are known.
    pub(super) fn search(&mut self, now: Instant, goal: Goal, target: Option<NodeId>, families: &[Family]) {
        let id = SearchId(self.searches_ever);
        self.searches_ever += 1;
        let legs = families.iter().filter_map(|family| self.begin_leg(now, *family, target)).collect();
        let (peers, started_at) = (BTreeSet::new(), now);
        let search =
            Search { goal, legs, started_at, peers, peers_depth: None, announcing: 0, announced_to: 0 };
        self.searches.insert(id, search);
        self.pump(now, id);
    }

    /// `target` is ourselves when nothing is said.
    fn begin_leg(&self, now: Instant, family: Family, target: Option<NodeId>) -> Option<Leg> {
        let network = self.networks[slot(family)].as_ref()?;
        let own = network.table.own();
        let mut leg = Leg::new(family, own, target.unwrap_or(own));
        for node in network.table.closest(&leg.target, BEGIN_NODES) {
            leg.begin_with(node.info, Some(node.rtt));
        }
        if network.knows_few() {
            let saved = network.saved.iter().filter(|node| !self.silent.contains(now, node.addr));
            saved.take(SAVED_ASKED_MAX).for_each(|node| leg.begin_with(*node, None));
            self.bootstrap.iter().for_each(|addr| leg.begin_at(*addr));
        }
        Some(leg)
    }

    /// Asks whoever is to be asked next, and ends what is over.
    pub(super) fn pump(&mut self, now: Instant, id: SearchId) {
        let Some(search) = self.searches.get_mut(&id) else { return };
        let read_only = self.config.read_only || !self.is_reachable;
        let both = self.networks.iter().all(Option::is_some);
        for leg in &mut search.legs {
            loop {
                if !self.rpc.has_room(Purpose::Search(id)) {
                    self.stalled.insert(id);
                    break;
                }
                let Some(next) = leg.next() else { break };
                let want = if both && search.goal == Goal::Join { Want::BOTH } else { Want::DEFAULT };
                let query = match search.goal {
                    Goal::Join | Goal::Refresh => Query::FindNode { target: leg.target, want },
                    Goal::Tracked(info_hash, tracked) => {
                        Query::GetPeers { info_hash, want, no_seeds: tracked.is_seed }
                    }
                    Goal::Lookup(info_hash, _) => Query::GetPeers { info_hash, want, no_seeds: false },
                };
                if self.silent.contains(now, next.addr) {
                    leg.silent(next.addr);
                    continue;
                }
                let own =
                    self.networks[slot(leg.family)].as_ref().map_or(leg.target, |known| known.table.own());
                let question = Question {
                    to: next.addr,
                    expected: next.id,
                    rtt: next.rtt,
                    purpose: Purpose::Search(id),
                    own,
                    read_only,
                    query,
                };
                self.rpc.send(now, &mut self.out, question);
            }
        }
        self.close_legs(now, id);
    }

    fn close_legs(&mut self, now: Instant, id: SearchId) {
        let Some(search) = self.searches.get_mut(&id) else { return };
        let read_only = self.config.read_only || !self.is_reachable;
        for leg in search.legs.iter_mut().filter(|leg| !leg.is_closed && leg.is_done()) {
            leg.is_closed = true;
            let Goal::Tracked(info_hash, Tracked { announce_port: Some(port), is_seed }) = search.goal else {
                continue;
            };
            let Some(network) = &self.networks[slot(leg.family)] else { continue };
            for (node, token) in leg.announce_to() {
                if !self.rpc.has_room(Purpose::Announce(id)) {
                    break;
                }
                let query = Query::AnnouncePeer {
                    info_hash,
                    port,
                    implied_port: false,
                    token: &token,
                    seed: is_seed,
                };
                search.announcing += 1;
                let question = Question {
                    to: node.addr,
                    expected: Some(node.id),
                    rtt: None,
                    purpose: Purpose::Announce(id),
                    own: network.table.own(),
                    read_only,
                    query,
                };
                self.rpc.send(now, &mut self.out, question);
            }
        }
        if search.announcing == 0 && search.legs.iter().all(|leg| leg.is_closed) {
            self.finish(now, id);
        }
    }

    fn finish(&mut self, now: Instant, id: SearchId) {
        let Some(search) = self.searches.remove(&id) else { return };
        let report = search.report(now);
        match search.goal {
            Goal::Join => {
                for leg in &search.legs {
                    self.joined(now, leg.family, report.answered > 0, leg.is_confirmed());
                }
            }
            Goal::Refresh => {}
            Goal::Tracked(info_hash, _) => self.tracked.searched(now, info_hash, report),
            Goal::Lookup(..) => self.lookups_running -= 1,
        }
        if let Some(info_hash) = search.goal.info_hash() {
            self.out.push(DhtEffect::Searched { info_hash, lookup: search.goal.lookup(), report });
        }
    }

    /// A node has answered a search.
    pub(super) fn search_answered(
        &mut self,
        now: Instant,
        id: SearchId,
        from: NodeInfo,
        response: &Response<'_>,
    ) {
        let Some(search) = self.searches.get_mut(&id) else { return };
        let family = Family::of(from.addr.ip());
        let goal = search.goal;
        let Some(leg) = search.leg(family) else { return };
        let named = match family {
            Family::V4 => response.nodes,
            Family::V6 => response.nodes6,
        };
        let token = if goal.info_hash().is_some() { response.token } else { None };
        let Some(depth) = leg.answered(from, token, named.iter()) else { return };
        if let Some(info_hash) = goal.info_hash() {
            let peers: Vec<SocketAddr> = response
                .peers
                .iter()
                .take(ANSWER_PEERS_MAX)
                .map(canonical)
                .filter(|peer| may_name(from.addr, *peer))
                .filter(|peer| search.peers.len() < PEERS_MAX && search.peers.insert(*peer))
                .collect();
            if !peers.is_empty() {
                search.peers_depth = Some(search.peers_depth.map_or(depth, |known| known.min(depth)));
                self.out.push(DhtEffect::Peers { info_hash, peers, lookup: goal.lookup() });
            }
        } else {
            self.offer_named(now, from.addr, response);
        }
        self.pump(now, id);
    }

    /// A node took our announce, or did not.
    pub(super) fn announce_ended(&mut self, now: Instant, id: SearchId, taken: bool) {
        let Some(search) = self.searches.get_mut(&id) else { return };
        search.announcing -= 1;
        search.announced_to += u32::from(taken);
        self.close_legs(now, id);
    }

    /// A question of a search is late, or will not be answered.
    pub(super) fn search_unanswered(&mut self, now: Instant, id: SearchId, addr: SocketAddr, is_late: bool) {
        let Some(search) = self.searches.get_mut(&id) else { return };
        if let Some(leg) = search.leg(Family::of(addr.ip())) {
            if is_late {
                leg.late(addr);
            } else {
                leg.silent(addr);
            }
        }
        self.pump(now, id);
    }
}

/// Nodes of our table that a search begins with: more than one bucket, which may be full of liars.
const BEGIN_NODES: usize = 24;
/// Nodes of the last run that a search begins with.
const SAVED_ASKED_MAX: usize = 50;
