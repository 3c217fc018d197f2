//! What comes: questions, answers, refusals, and the silence that is none of them.

use std::net::SocketAddr;

use potluck_common::{
    Duration, Instant,
    addr::is_dialable,
    announce::Family,
    krpc::{Body, ErrorCode, KrpcError, Message, NodeInfo, Query, Response},
};

use super::{
    Dht,
    rpc::{PING_BYTES_MAX, Purpose, Transaction},
    server::Asked,
    slot,
    table::BUCKET_NODES,
};

/// How soon somebody who did not answer is asked again when it is heard of: whoever has to hear of us against its will hears
/// this seldom.
const SILENT_MIN: Duration = Duration::from_secs(60);

impl Dht {
    pub(super) fn received(&mut self, now: Instant, from: SocketAddr, payload: &[u8]) {
        let family = Family::of(from.ip());
        if self.networks[slot(family)].is_none() || !is_dialable(from) {
            return;
        }
        match Message::decode(payload) {
            Ok(message) => match message.body {
                Body::Query { id, query } => {
                    let asked = Asked::new(from, payload.len(), message.transaction);
                    self.asked(now, asked, NodeInfo { id, addr: from }, message.read_only, query);
                }
                Body::Response(response) => self.answered(now, from, &message, &response),
                Body::Error { .. } => self.was_refused(now, from, message.transaction),
            },
            Err(KrpcError::Query { transaction, missing }) if !self.is_read_only() => {
                if self.guard.admits(now, from) {
                    let asked = Asked::new(from, payload.len(), transaction);
                    self.refuse(now, asked, ErrorCode::Protocol, missing);
                }
            }
            Err(_) => {
                let _counted = self.guard.admits(now, from);
            }
        }
    }

    fn asked(&mut self, now: Instant, asked: Asked<'_>, node: NodeInfo, read_only: bool, query: Query<'_>) {
        let family = Family::of(node.addr.ip());
        if !self.guard.admits(now, node.addr) || node.id == self.id(family) {
            return;
        }
        if let Some(network) = &mut self.networks[slot(family)] {
            network.table.asked_us(now, node);
        }
        let meets = !read_only && {
            self.heard_of(now, node.addr);
            self.wants(now, node, true) && self.guard.pays(now, PING_BYTES_MAX, false)
        };
        if !self.is_read_only() {
            // The address may be forged: a question to whoever is there counts as a part of the answer.
            self.answer(now, Asked { kept: if meets { PING_BYTES_MAX } else { 0 }, ..asked }, query);
        }
        if meets
            && self.probe(now, node.addr, Some(node.id), Query::Ping, Purpose::Meet)
            && let Some(network) = &mut self.networks[slot(family)]
        {
            network.table.doubt(now, node);
        }
    }

    /// There may be a node at this address after all, though it once did not answer. Who knows many nodes leaves it at that:
    /// behind a NAT are those who are heard and cannot be asked, and they would be in the table by turns.
    pub(super) fn heard_of(&mut self, now: Instant, addr: SocketAddr) {
        let network = self.networks[slot(Family::of(addr.ip()))].as_ref();
        let knows_few = network.is_some_and(|network| network.table.len() < BUCKET_NODES);
        let is_old = |since: &Instant| now.since(*since) >= SILENT_MIN;
        if knows_few && self.silent.get(now, addr).is_some_and(is_old) {
            self.silent.forget(addr);
        }
    }

    fn answered(&mut self, now: Instant, from: SocketAddr, message: &Message<'_>, response: &Response<'_>) {
        let Some(transaction) = self.rpc.take(now, message.transaction, from) else {
            let _counted = self.guard.admits(now, from);
            return;
        };
        let family = Family::of(from.ip());
        self.heard_at[slot(family)] = Some(now);
        self.silent.forget(from);
        let node = NodeInfo { id: response.id, addr: from };
        if let Some(ip) = message.ip {
            self.vote(now, from, ip.ip());
        }
        if transaction.expected.is_some_and(|expected| expected != node.id) {
            self.is_another(now, node);
            self.ended_badly(now, transaction);
            return;
        }
        if let Some(network) = &mut self.networks[slot(family)] {
            network.table.forget_others(now, node);
        }
        self.known(now, node, &transaction, response);
        match transaction.purpose {
            Purpose::Probe | Purpose::Meet | Purpose::Vet => self.offer_named(now, from, response),
            Purpose::Search(id) => self.search_answered(now, id, node, response),
            Purpose::Announce(id) => self.announce_ended(now, id, true),
        }
    }

    /// A question was refused: whoever is there is alive, and for this of no use.
    fn was_refused(&mut self, now: Instant, from: SocketAddr, transaction: &[u8]) {
        let Some(transaction) = self.rpc.take(now, transaction, from) else {
            let _counted = self.guard.admits(now, from);
            return;
        };
        self.heard_at[slot(Family::of(from.ip()))] = Some(now);
        self.silent.forget(from);
        // An error names nobody: it counts for who was asked, if that is known to be there.
        if let Some(network) = &mut self.networks[slot(Family::of(from.ip()))]
            && let Some(known) = network.table.at(from).map(|node| node.info)
            && transaction.expected.is_none_or(|expected| expected == known.id)
        {
            network.table.answered(now, known, now.since(transaction.sent_at), false);
        }
        self.ended_badly(now, transaction);
    }

    /// Nothing came of a question, and nothing will.
    pub(super) fn unanswered(&mut self, now: Instant, transaction: Transaction) {
        let Transaction { to, expected, sent_at, .. } = transaction;
        let family = Family::of(to.ip());
        // Where nobody else of the family was heard of since, it is our network that is silent.
        let is_their_fault = self.heard_at[slot(family)].is_some_and(|heard_at| heard_at >= sent_at);
        if let Some(network) = &mut self.networks[slot(family)].as_mut().filter(|_| is_their_fault) {
            let known = network.table.at(to).map(|node| node.info);
            if known.is_none() {
                network.saved.retain(|node| node.addr != to);
                *self.silent.entry(now, to, || now) = now;
            }
            if let Some(known) = known.filter(|known| expected.is_none_or(|expected| expected == known.id)) {
                self.failed(now, known);
            }
        }
        self.rejoin_if_empty(now, family);
        self.ended_badly(now, transaction);
    }

    /// Nothing came of a question: what it was for goes on without.
    fn ended_badly(&mut self, now: Instant, transaction: Transaction) {
        match transaction.purpose {
            Purpose::Probe | Purpose::Meet | Purpose::Vet => {}
            Purpose::Search(id) => self.search_unanswered(now, id, transaction.to, false),
            Purpose::Announce(id) => self.announce_ended(now, id, false),
        }
    }

    /// The network says that nothing arrives there. Anybody can forge such a message who knows our address, so that nobody is
    /// to blame before its time has passed, and an answer still counts; others are asked meanwhile.
    pub(super) fn unreachable(&mut self, now: Instant, addr: SocketAddr) {
        for transaction in self.rpc.make_late(addr) {
            if let Purpose::Search(id) = transaction.purpose {
                self.search_unanswered(now, id, addr, true);
            }
        }
    }

    /// Our own system refused to send: nobody is to blame, and nothing will come.
    pub(super) fn unsent(&mut self, now: Instant, addr: SocketAddr) {
        while let Some(transaction) = self.rpc.take_to(addr) {
            self.ended_badly(now, transaction);
        }
    }
}
