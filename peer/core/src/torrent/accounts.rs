//! What counts for a peer in the choker's ledger, and what counts no more.
//!
//! A block counts once, for the peer of whom we asked it and who brought it first: what comes a second time, or after it
//! was cancelled, is checked by no hash, and garbage must not be a currency. What was in a piece that failed its hash is
//! taken back from everybody who gave a part, also when they left or came back meanwhile.

use std::collections::BTreeMap;

use potluck_common::{Duration, Instant, PieceIndex};

use super::{BanSubject, Torrent, contract::ip_of, peers::Peer};
use crate::{Identity, PeerKey, choker::ChokerEvent};

/// Gone peers who are remembered while their blocks may still be judged.
const GONE_MAX: usize = 4_096;
/// Identities without a connection that something is to be taken back from.
const OWING_MAX: usize = 4_096;
/// How long that is remembered: as long as the ledger remembers who left.
const OWING_KEPT: Duration = Duration::from_secs(60 * 60);

/// Whom a connection stood for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Giver {
    /// Whom a ban would shut out.
    pub(super) subject: BanSubject,
    /// By what the choker remembers it.
    identity: Identity,
}

impl Giver {
    /// `None` before its handshake is complete.
    fn of(peer: &Peer) -> Option<Self> {
        let (ip, id) = (ip_of(peer.connection.address), peer.connection.id?);
        Some(Self { subject: BanSubject::of(ip, id), identity: Identity::of_peer(ip, id) })
    }
}

/// Those who left and may have given something that is worth nothing.
#[derive(Debug, Default)]
pub(super) struct GoneGivers {
    gone: BTreeMap<PeerKey, Giver>,
    /// What is to be taken back when they return.
    owing: BTreeMap<Identity, Owes>,
}

/// What somebody owes who left.
#[derive(Debug)]
struct Owes {
    bytes: u64,
    /// Since it last became more.
    since: Instant,
}

impl Owes {
    fn is_over(&self, now: Instant) -> bool {
        now.since(self.since) >= OWING_KEPT
    }
}

impl GoneGivers {
    fn owes(&mut self, now: Instant, who: Identity, bytes: u64) {
        self.owing.retain(|_, owes| !owes.is_over(now));
        let owes = self.owing.entry(who).or_insert(Owes { bytes: 0, since: now });
        *owes = Owes { bytes: owes.bytes.saturating_add(bytes), since: now };
        if self.owing.len() > OWING_MAX {
            let oldest = self.owing.iter().min_by_key(|(_, owes)| owes.since).map(|(who, _)| *who);
            oldest.and_then(|oldest| self.owing.remove(&oldest));
        }
    }
}

impl Torrent {
    /// Whom a connection stands or stood for.
    pub(super) fn giver(&self, key: PeerKey) -> Option<Giver> {
        let living = self.peers.get(&key).and_then(Giver::of);
        living.or_else(|| self.gone_givers.gone.get(&key).copied())
    }

    /// A peer left; what it gave may not be judged yet.
    pub(super) fn remember_giver(&mut self, key: PeerKey, peer: &Peer) {
        let Some(giver) = Giver::of(peer).filter(|_| peer.down.total() > 0) else { return };
        let gone = &mut self.gone_givers.gone;
        gone.insert(key, giver);
        if gone.len() > GONE_MAX {
            gone.pop_first();
        }
    }

    /// A peer brought so many bytes that count.
    pub(super) fn credit(&mut self, now: Instant, key: PeerKey, bytes: u64) {
        if bytes > 0 {
            self.choker.handle(now, ChokerEvent::Got(key, bytes));
            self.book_received(now, key, bytes);
        }
    }

    /// The blocks of a piece that failed its hash count for nobody.
    pub(super) fn take_back(&mut self, now: Instant, piece: PieceIndex) {
        let mut given: BTreeMap<PeerKey, u64> = BTreeMap::new();
        for (block, giver) in self.picker.contributors(piece).into_iter().enumerate() {
            let span = self.config.geometry.block(piece, block as u32);
            if let (Some(giver), Some(span)) = (giver, span) {
                *given.entry(giver).or_default() += u64::from(span.length);
            }
        }
        for (giver, bytes) in given {
            self.take_back_from(now, giver, bytes);
        }
    }

    fn take_back_from(&mut self, now: Instant, key: PeerKey, bytes: u64) {
        let Some(giver) = self.giver(key) else { return };
        self.fairness.take_back(giver.identity, bytes);
        let same = |peer: &Peer| Giver::of(peer).is_some_and(|other| other.identity == giver.identity);
        let is_there = |key: &PeerKey| self.peers.get(key).is_some_and(|peer| peer.is_counted);
        let returned =
            || self.peers.iter().find(|(_, peer)| peer.is_counted && same(peer)).map(|(key, _)| *key);
        if let Some(key) = Some(key).filter(is_there).or_else(returned) {
            return self.choker.handle(now, ChokerEvent::HashFail(key, bytes));
        }
        self.gone_givers.owes(now, giver.identity, bytes);
    }

    /// Somebody connected: what it owes from an earlier connection is taken back now.
    pub(super) fn settle_account(&mut self, now: Instant, key: PeerKey, identity: Identity) {
        let owes = self.gone_givers.owing.remove(&identity);
        if let Some(owes) = owes.filter(|owes| !owes.is_over(now)) {
            self.choker.handle(now, ChokerEvent::HashFail(key, owes.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn who(number: u32) -> Identity {
        Identity::of(IpAddr::V4(Ipv4Addr::from_bits(number)))
    }

    #[test]
    fn what_is_owed_is_forgotten_after_an_hour_and_of_too_many_the_oldest() {
        let (mut givers, begun) = (GoneGivers::default(), Instant::from_secs(1));
        let count = OWING_MAX as u32;
        // Descending, so that the oldest is the last in order.
        for number in 0..=count {
            givers.owes(
                begun + Duration::from_millis(u64::from(number)),
                who(0x0900_0000 + count - number),
                1,
            );
        }
        assert_eq!(givers.owing.len(), OWING_MAX);
        assert!(!givers.owing.contains_key(&who(0x0900_0000 + count)), "the oldest");
        let later = begun + Duration::from_secs(3_000);
        givers.owes(later, who(0x0900_0000), 1);
        givers.owes(begun + OWING_KEPT + Duration::from_secs(100), who(1), 1);
        let left: Vec<(Identity, u64)> = givers.owing.iter().map(|(who, owes)| (*who, owes.bytes)).collect();
        assert_eq!(left, [(who(1), 1), (who(0x0900_0000), 2)]);
    }
}
