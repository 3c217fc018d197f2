//! Upload limits: who may send is woken, and how many slots there are is told.

use potluck_core::{choker::Demand, torrent::Input};

use super::{Happening, World};
use crate::wire::net::HostId;

impl World<'_> {
    /// A torrent could use so much of its node's slots.
    pub(super) fn demand(&mut self, host: HostId, run: u32, demand: Demand) {
        let now = self.now();
        let machine = self.nodes.get_mut(&host).and_then(|node| node.machine.as_mut());
        let Some(sharing) = machine.and_then(|machine| machine.sharing.as_mut()) else { return };
        sharing.report(now, demand);
        self.follow_sharing(host, run);
    }

    /// Something falls due.
    pub(super) fn take_turns(&mut self, host: HostId, run: u32) {
        let now = self.now();
        let Some(node) = self.nodes.get_mut(&host).filter(|node| node.run == run) else { return };
        let Some(sharing) = node.machine.as_mut().and_then(|machine| machine.sharing.as_mut()) else {
            return;
        };
        if sharing.wakes_at != Some(now) {
            return;
        }
        sharing.wakes_at = None;
        sharing.advance(now);
        self.follow_sharing(host, run);
    }

    /// Tells whom it concerns what was dealt out.
    pub(super) fn follow_sharing(&mut self, host: HostId, run: u32) {
        let Some(node) = self.nodes.get_mut(&host) else { return };
        let Some(sharing) = node.machine.as_mut().and_then(|machine| machine.sharing.as_mut()) else {
            return;
        };
        let slots: Vec<u32> = std::iter::from_fn(|| sharing.poll_slots()).collect();
        let granted: Vec<_> = std::iter::from_fn(|| sharing.poll_granted()).collect();
        if let Some(at) = sharing.poll_timeout().map(|at| at.max(self.agenda.now()))
            && sharing.wakes_at.is_none_or(|known| at < known)
        {
            sharing.wakes_at = Some(at);
            self.agenda.at(at, Happening::Turn(host, run));
        }
        for slots in slots {
            self.tell_torrent(host, run, Input::SetSlots(slots));
        }
        for end in granted {
            self.wake_connection(end);
        }
    }
}
