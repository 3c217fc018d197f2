//! What the world does for hostile peers.

use potluck_common::{Duration, announce::AnnounceRequest};

use super::{Happening, World};
use crate::wire::{
    net::{End, HostId},
    plan::Meeting,
};

/// How often one does something.
const TURN: Duration = Duration::from_millis(250);
/// How often it asks the tracker.
const ASKS_EVERY: u64 = 120;

impl World<'_> {
    pub(super) fn ruse(&mut self, host: HostId) {
        let is_first_look = self.now().as_micros() / TURN.as_micros() as u64;
        let asks = (is_first_look + host as u64).is_multiple_of(ASKS_EVERY);
        self.meet_others(host, asks);
        let Some(hostile) = self.hostile.get_mut(&host) else { return };
        let turn = hostile.turn();
        if let Some(address) = turn.dial {
            self.begin_dial(host, 0, address);
        }
        for (end, bytes) in turn.say {
            // What its system has no room for waits there: a hostile system takes everything.
            self.network.write(&mut self.agenda, end, bytes);
        }
        for end in turn.hang_up {
            self.network.close(&mut self.agenda, end);
        }
        self.listen_to_all(host);
        self.agenda.after(TURN, Happening::Ruse(host));
    }

    fn meet_others(&mut self, host: HostId, asks: bool) {
        let own = self.address(host);
        let known = match self.plan.meeting {
            Meeting::Dht => self.plan.members.len(),
            _ => self.told_by_users(),
        };
        let others: Vec<_> = (0..known).map(|other| self.address(other)).filter(|a| *a != own).collect();
        if let Some(hostile) = self.hostile.get_mut(&host) {
            hostile.learn(others);
        }
        let has_tracker = matches!(self.plan.meeting, Meeting::Tracker | Meeting::Both);
        if asks && has_tracker && self.now() >= self.tracker.down_until {
            let peer_id = self.hostile[&host].peer_id;
            let mut request = AnnounceRequest::new(self.metadata.info_hash, peer_id, own.port());
            request.left = 1;
            let id = potluck_core::announce::AnnounceId(0);
            self.agenda.after(
                TURN,
                Happening::Announce { host, run: 0, id, is_magnet: false, request: Box::new(request) },
            );
        }
    }

    /// It reads as much as it likes of what came.
    fn listen_to_all(&mut self, host: HostId) {
        let ends: Vec<End> =
            self.network.ends().filter(|(_, half)| half.host() == host).map(|(end, _)| end).collect();
        for end in ends {
            self.hostile_hears(host, end);
        }
    }

    pub(super) fn hostile_meets(&mut self, host: HostId, end: End) {
        let Some(remote) = self.network.half(end).map(|half| half.remote) else { return };
        if let Some(hostile) = self.hostile.get_mut(&host) {
            hostile.meets(self.agenda.now(), end, remote);
        }
    }

    pub(super) fn hostile_hears(&mut self, host: HostId, end: End) {
        let Some(hostile) = self.hostile.get_mut(&host) else { return };
        let bytes = self.network.read(&mut self.agenda, end, hostile.reads());
        hostile.hears(end, &bytes);
        if self.network.half(end).is_none_or(crate::wire::net::Half::is_at_end) {
            hostile.lost(end);
            self.network.close(&mut self.agenda, end);
        }
    }
}
