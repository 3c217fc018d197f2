//! The choker that ships, with the slots that a session of one torrent gives it.
//!
//! It is a session whose user set the limit of its uplink (`--up`), and set it right: the slots at the start and the pool that
//! changes them know the uplink to the byte. A session without a limit starts with five slots and tries out whether more
//! of them carry more; how well it finds that out is not simulated.

use potluck_common::Instant;
use potluck_core::{
    choker::{Choker, ChokerCommand, ChokerEvent, Slots},
    slots::{self, SlotPool, TorrentId},
};

use super::Command;

/// The only torrent of the session.
const TORRENT: TorrentId = TorrentId(0);

/// Our rule of one node.
#[derive(Debug)]
pub(crate) struct Ours {
    choker: Choker,
    /// `None` when the number of slots does not change.
    pool: Option<SlotPool>,
    sent_bytes: u64,
    report_next: Instant,
}

impl Ours {
    /// With an automatic number of slots on an uplink of this many bytes per second, or five.
    pub(crate) fn new(choker: Choker, up: Option<u64>, now: Instant) -> Self {
        let pool = up.map(|up| SlotPool::new(Some(up)));
        Self { choker, pool, sent_bytes: 0, report_next: now }
    }

    pub(crate) fn handle(&mut self, now: Instant, event: ChokerEvent) {
        if let ChokerEvent::Sent(_, bytes) = event {
            self.sent_bytes += bytes;
        }
        self.choker.handle(now, event);
    }

    pub(crate) fn advance(&mut self, now: Instant) {
        if self.choker.poll_timeout().is_some_and(|due| due <= now) {
            self.choker.handle_timeout(now);
        }
        let Some(pool) = &mut self.pool else { return };
        if now >= self.report_next {
            self.report_next = now + slots::ROUND;
            pool.report(now, TORRENT, self.choker.demand(now), None);
        }
        if pool.poll_timeout().is_some_and(|due| due <= now) {
            pool.handle_timeout(now, self.sent_bytes);
        }
        while let Some((_, slots)) = pool.poll_change() {
            self.choker.handle(now, ChokerEvent::SetSlots(Slots::fixed(slots)));
        }
    }

    /// When it is to be advanced next, as long as it hears of nothing.
    pub(crate) fn due(&self) -> Instant {
        let pool = self
            .pool
            .as_ref()
            .map(|pool| pool.poll_timeout().map_or(self.report_next, |due| due.min(self.report_next)));
        [self.choker.poll_timeout(), pool].into_iter().flatten().min().unwrap_or(Instant::ZERO)
    }

    pub(crate) fn poll_command(&mut self) -> Option<Command> {
        self.choker.poll_command().map(|command| match command {
            ChokerCommand::Choke { peer, .. } => Command::Choke(peer),
            ChokerCommand::Unchoke { peer, .. } => Command::Unchoke(peer),
            ChokerCommand::Weight { peer, weight } => Command::Weight(peer, weight.percent()),
            ChokerCommand::Evict { peer, .. } => Command::Evict(peer),
        })
    }

    pub(crate) fn assert_invariants(&self) {
        self.choker.assert_invariants();
        self.pool.iter().for_each(SlotPool::assert_invariants);
    }
}
