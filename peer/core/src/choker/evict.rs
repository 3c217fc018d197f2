//! Who makes room when there are nearly as many connections as there may be.

use std::cmp::Reverse;

use potluck_common::{Duration, Instant};

use super::{
    Action, Choker, ChokerCommand, Why,
    peer::{Peer, Stamp},
};
use crate::PeerKey;

/// How often.
const EVERY: Duration = Duration::from_secs(300);
/// How full it must be, in hundredths of the limit.
const FULL_PERCENT: usize = 90;
/// How many of those connected, in hundredths.
const EVICTED_PERCENT: usize = 4;
/// Whoever came, gave or took something within this time stays.
const USED_WITHIN: Duration = Duration::from_secs(60);

impl Choker {
    /// Every five minutes, when there are nearly as many connections as there may be, those worth least make room for
    /// others: debtors first, then who wants nothing, then whoever has been of no use for longest.
    pub(super) fn evict(&mut self, now: Instant) {
        let Some(max) = self.config.connections_max else { return };
        let is_full = self.peers.len() * 100 >= max as usize * FULL_PERCENT;
        if !is_full || now.since(self.evicted) < EVERY {
            return;
        }
        self.evicted = now;
        let count = (self.peers.len() * EVICTED_PERCENT).div_ceil(100);
        let mut worst: Vec<_> = self.peers.iter().filter(|(_, peer)| is_unused(now, peer)).collect();
        worst.sort_by_key(|(key, peer)| {
            let used = peer.got_last.max(peer.sent_last);
            let waits = peer.wants() && used == Stamp::NEVER;
            (Reverse(self.bad_debt(peer)), peer.wants(), waits, used.max(Stamp::at(peer.connected)), **key)
        });
        for key in worst.into_iter().map(|(key, _)| *key).take(count).collect::<Vec<_>>() {
            self.part_with(now, key);
        }
    }

    /// What somebody owes us beyond its credit. While we seed nobody owes anything.
    fn bad_debt(&self, peer: &Peer) -> u64 {
        if self.seeding { 0 } else { self.debt_of(peer).saturating_sub(self.credit()) }
    }

    fn part_with(&mut self, now: Instant, key: PeerKey) {
        let debt_bytes = self.bad_debt(&self.peers[&key]);
        let why = if debt_bytes > 0 { Why::Owes { debt_bytes } } else { Why::OfNoUse };
        self.judge(now, key);
        let decision = self.why(key).expect("it is connected");
        self.write_down(super::Decision { action: Action::Evict, why, ..decision });
        self.gone(now, key);
        self.commands.push_back(ChokerCommand::Evict { peer: key, why });
    }
}

fn is_unused(now: Instant, peer: &Peer) -> bool {
    let used = |last: Stamp| last.get().is_some_and(|last| now.since(last) < USED_WITHIN);
    peer.is_choked()
        && now.since(peer.connected) >= USED_WITHIN
        && !used(peer.got_last)
        && !used(peer.sent_last)
}
