//! Whom to upload to while we seed: everybody in turn, by time and by what they had, never by speed.

use std::cmp::Reverse;

use potluck_common::{Duration, Instant};

use super::{
    Choker,
    peer::{Peer, Slot},
    round::{Holders, draw},
};
use crate::PeerKey;

/// Of three rounds of a seed, all slots are kept in the last one.
const TURN_ROUNDS: u32 = 3;
/// While others wait, nobody stays longer than this,
const TURN_TIME_MAX: Duration = Duration::from_secs(60);
/// if it had so many pieces in that time.
const TURN_PIECES_MAX: u64 = 20;

impl Choker {
    /// The holders while we seed: those unchoked last stay, and in two of three rounds a fifth makes room.
    pub(super) fn holders_in_turn(&mut self, now: Instant) -> Holders {
        let total = self.total();
        let waiting = self.waiting(now);
        let makes_room = self.round.number % TURN_ROUNDS != TURN_ROUNDS - 1;
        let admitted = if makes_room { (total / 5).max(1).min(waiting.len()) } else { 0 };
        let mut holding: Vec<_> = self.unchoked.iter().map(|key| (&self.peers[key], *key)).collect();
        holding.retain(|(peer, _)| peer.slot().is_some());
        holding.sort_by_key(|(peer, key)| (Reverse(peer.flipped), *key));
        let (over, holding): (Vec<_>, Vec<_>) =
            holding.into_iter().partition(|(peer, _)| self.had_its_turn(now, peer));
        let mut holders = self.locked_holders(now);
        for (_, key) in &holding {
            if holders.len() + admitted < total {
                holders.insert(*key, Slot::Turn);
            }
        }
        let mut lots = self.lots_for_a_turn(&waiting);
        while holders.len() < total
            && let Some(key) = draw(&mut self.rng, &mut lots)
        {
            holders.insert(key, Slot::Turn);
        }
        // Nobody else waits: whoever has a slot may stay.
        let stays =
            holding.into_iter().chain(over).map(|(_, key)| key).filter(|key| !holders.contains_key(key));
        let stays: Vec<_> = stays.take(total.saturating_sub(holders.len())).collect();
        holders.extend(stays.into_iter().map(|key| (key, Slot::Turn)));
        holders
    }

    fn had_its_turn(&self, now: Instant, peer: &Peer) -> bool {
        let pieces = TURN_PIECES_MAX * u64::from(self.config.piece_length);
        peer.flipped.get().is_some_and(|flipped| now.since(flipped) >= TURN_TIME_MAX)
            && peer.sent_in_slot >= pieces
    }

    /// Whoever had less is more likely to be next. Somebody unknown counts as the median, so that nothing is bought with
    /// a new address.
    pub(super) fn lots_for_a_turn(&self, keys: &[PeerKey]) -> Vec<(f64, PeerKey)> {
        let served = |key: &PeerKey| self.ledger.of(self.peers[key].account).sent;
        let mut known: Vec<_> = keys.iter().map(served).filter(|bytes| *bytes > 0).collect();
        let middle = known.len() / 2;
        let median = if known.is_empty() { 0 } else { *known.select_nth_unstable(middle).1 };
        let median = median.max(u64::from(self.config.piece_length)) as f64;
        let weight = |key: &PeerKey| {
            let share = if served(key) == 0 { 1.0 } else { served(key) as f64 / median };
            1.0 / (1.0 + share.powi(4))
        };
        keys.iter().map(|key| (weight(key), *key)).collect()
    }
}
