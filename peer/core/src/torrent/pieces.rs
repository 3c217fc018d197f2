//! From received blocks to verified pieces, and who is to blame when a hash does not hold.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use potluck_common::{
    BlockSpan, Instant, PieceIndex, Printable,
    announce::AnnounceReply,
    control::{EventKind, PeerSource},
    hash::Sha1Digest,
};

use super::{BanSubject, Effect, Torrent, contract::ip_of};
use crate::{
    PeerKey,
    announce::{AnnounceFailure, AnnounceId},
    blame::Verdict,
    choker::ChokerEvent,
    picker::Outcome,
    session::{Blame as Fault, SessionCommand},
};

impl Torrent {
    pub(super) fn received(
        &mut self,
        now: Instant,
        key: PeerKey,
        spans: &[BlockSpan],
        duplicates: &[BlockSpan],
    ) {
        let bytes: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
        self.down.add(now, bytes);
        self.downloaded_here = true;
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.down.add(now, bytes);
            peer.last_useful = now;
        }
        let mut counting = 0;
        let mut cancels: BTreeMap<PeerKey, Vec<BlockSpan>> = BTreeMap::new();
        for span in spans {
            if duplicates.contains(span) {
                self.wasted += u64::from(span.length);
                self.picker.released(key, *span);
                continue;
            }
            let receipt = self.picker.received(key, *span);
            if receipt.outcome == Outcome::New {
                counting += u64::from(span.length);
            } else {
                self.wasted += u64::from(span.length);
                // The buffer took what the picker does not count: the two must not disagree.
                if self.open.contains(&span.piece) {
                    self.restart(span.piece);
                }
            }
            for other in receipt.cancel {
                cancels.entry(other).or_default().push(*span);
            }
            if receipt.piece_complete {
                self.store_or_wait(now, span.piece);
            }
        }
        self.credit(now, key, counting);
        self.cancel(cancels);
    }

    pub(super) fn piece_stored(&mut self, now: Instant, piece: PieceIndex, digests: &[Sha1Digest]) {
        self.storing.end(now, piece);
        if !digests.is_empty() {
            let verdicts = self.blame.passed(piece, digests);
            self.punish(now, verdicts);
        }
        let was_wanted = self.picker.is_wanted(piece);
        self.picker.stored(piece);
        self.unread.stored(piece);
        self.count_stored(piece);
        self.forget_buffer(piece);
        self.store_answered(now, piece);
        self.tell_of_piece(now, piece, was_wanted);
    }

    /// A piece is there, which was wanted until now or was not.
    pub(super) fn tell_of_piece(&mut self, now: Instant, piece: PieceIndex, was_wanted: bool) {
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in keys {
            let peer = self.peers.get_mut(&key).expect("just listed");
            if was_wanted && peer.has.has(piece) {
                peer.interesting -= 1;
                self.update_interest(key);
            }
            if !self.peers[&key].connection.closing {
                self.tell_have(key, piece);
            }
        }
        self.complete_when_nothing_is_left(now);
    }

    pub(super) fn tell_have(&mut self, key: PeerKey, piece: PieceIndex) {
        let commands = self.commands.entry(key).or_default();
        match commands.last_mut() {
            Some(SessionCommand::Have(pieces)) => pieces.push(piece),
            _ => commands.push(SessionCommand::Have(vec![piece])),
        }
    }

    pub(super) fn complete_when_nothing_is_left(&mut self, now: Instant) {
        if self.completed || self.picker.wanted_left() > 0 {
            return;
        }
        self.completed = true;
        self.book.set_seed(true);
        self.completions += 1;
        self.choker.handle(now, ChokerEvent::BecameSeed(true));
        if self.picker.have().is_full() && self.downloaded_here {
            self.announcer.completed(now);
        }
        let seconds = now.since(self.born).as_secs_f64();
        self.event(EventKind::Completed { downloaded: self.down.total(), seconds });
        self.effects.push_back(Effect::Completed(self.completions));
        let keys: Vec<PeerKey> = self.peers.keys().copied().collect();
        for key in keys {
            self.command(key, SessionCommand::UploadOnly(true));
            self.part_if_both_are_done(key);
        }
    }

    pub(super) fn piece_mismatch(&mut self, now: Instant, piece: PieceIndex, digests: &[Sha1Digest]) {
        self.storing.end(now, piece);
        self.store_answered(now, piece);
        self.hash_failures += 1;
        self.wasted += u64::from(self.config.geometry.length_of(piece));
        let givers = self.picker.contributors(piece);
        let contributors = self.contributors(piece);
        if contributors.len() != digests.len() {
            // Nobody can be blamed for blocks that are not the picker's.
            return self.restart(piece);
        }
        let distinct: BTreeSet<PeerKey> = givers.iter().copied().flatten().collect();
        self.event(EventKind::HashFailed { piece: piece.get(), contributors: distinct.len() as u32 });
        self.take_back(now, piece);
        let verdicts = self.blame.failed(piece, digests, &contributors);
        self.picker.failed(piece);
        self.forget_buffer(piece);
        self.punish(now, verdicts);
        if distinct.len() > 1 {
            self.fetch_again_from_one(now, piece, &distinct);
        }
        self.everyone_may_be_hungry();
    }

    /// A failed piece of several givers is fetched again from one peer, if possible one that did not give before, so
    /// that the comparison of digests names the culprit. Of equals the fastest, so that nobody is chosen who waits for
    /// it to hold the piece back.
    fn fetch_again_from_one(&mut self, now: Instant, piece: PieceIndex, givers: &BTreeSet<PeerKey>) {
        let mut able = Vec::new();
        for (key, peer) in &mut self.peers {
            if peer.has.has(piece) && !peer.chokes_us && !peer.connection.closing {
                able.push((*key, peer.snubs_us, Reverse(peer.down.recent(now))));
            }
        }
        let suspicion = |key: PeerKey| self.subject(key).map_or(0, |who| self.blame.suspicion(who));
        let chosen = able
            .into_iter()
            .min_by_key(|(key, snubs_us, rate)| (*snubs_us, suspicion(*key), givers.contains(key), *rate));
        self.picker.set_exclusive(piece, chosen.map(|(key, ..)| key));
    }

    fn contributors(&self, piece: PieceIndex) -> Vec<Option<BanSubject>> {
        let givers = self.picker.contributors(piece);
        givers.into_iter().map(|giver| self.subject(giver?)).collect()
    }

    fn subject(&self, key: PeerKey) -> Option<BanSubject> {
        self.giver(key).map(|giver| giver.subject)
    }

    fn punish(&mut self, now: Instant, verdicts: Vec<Verdict<BanSubject>>) {
        for Verdict { identity, guilt, .. } in verdicts.into_iter().filter(|verdict| verdict.ban) {
            let peers: Vec<PeerKey> = (self.peers.iter())
                .filter(|(_, peer)| {
                    peer.connection
                        .id
                        .is_some_and(|id| BanSubject::of(ip_of(peer.connection.address), id) == identity)
                })
                .map(|(key, _)| *key)
                .collect();
            // Several of its pieces may be judged one after the other.
            let is_news = self.book.ban(now, identity);
            let why = format!("it {guilt}");
            for key in peers {
                let address = self.peers[&key].connection.address;
                if is_news {
                    self.event(EventKind::PeerBanned { peer: address, why: Printable::new(&why) });
                }
                self.close(key, Fault::PeerBan, &why);
            }
        }
    }

    pub(super) fn announced(
        &mut self,
        now: Instant,
        id: AnnounceId,
        outcome: Result<AnnounceReply, AnnounceFailure>,
    ) {
        self.announcer.handle(now, id, outcome.as_ref());
        if let Some(tracker) = self.announcing.remove(&id) {
            self.report_announce(now, tracker, &outcome);
        }
        if let Ok(reply) = outcome {
            if let Some(ip) = reply.external_ip {
                self.book.is_us(ip);
            }
            self.learn(now, reply.peers, PeerSource::Tracker);
        }
    }

    /// Bytes of the pieces that the picker has started.
    pub(super) fn picker_buffered(&self) -> u64 {
        self.open.iter().map(|piece| u64::from(self.config.geometry.length_of(*piece))).sum()
    }
}
