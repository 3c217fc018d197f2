//! Dials, and who can be dialled.

use std::net::SocketAddr;

use potluck_common::Duration;
use potluck_core::torrent::Input;

use super::{Happening, World};
use crate::wire::{
    check::Violation,
    net::{DIAL_TIME, HostId},
    node::dial_ended,
};

/// Dials of one address under way. A second one follows if the peer connected to us and left meanwhile.
const DIALS_AT_ONCE_MAX: u32 = 2;

impl World<'_> {
    /// A torrent wants to connect.
    pub(super) fn dial(&mut self, host: HostId, run: u32, to: SocketAddr) -> Result<(), Violation> {
        let node = self.nodes.get_mut(&host).expect("it runs");
        if node.address == to {
            return Err(Violation::new("nobody dials itself", format!("{host} dials {to}")));
        }
        let dials = node.dialling_mut().expect("it runs").entry(to).or_default();
        *dials += 1;
        if *dials > DIALS_AT_ONCE_MAX {
            return Err(Violation::new("an address is dialled once at a time", format!("{host} dials {to}")));
        }
        self.check_dial(host, to)?;
        self.begin_dial(host, run, to);
        Ok(())
    }

    pub(super) fn begin_dial(&mut self, from: HostId, run: u32, to: SocketAddr) {
        let delay = match self.host_at(to.ip()) {
            Some(other) => self.network.paths.delay(from, other),
            None => Duration::from_millis(50),
        };
        self.agenda.after(delay, Happening::Knock { from, run, to });
    }

    /// The first packet of a dial comes to its host, or to nobody.
    pub(super) fn knock(&mut self, from: HostId, run: u32, to: SocketAddr) {
        let fails_after = |delay: Duration| (delay, Happening::DialFailed { from, run, to });
        let host = self.host_at(to.ip()).filter(|host| self.address(*host) == to);
        let Some(host) = host.filter(|host| self.plan.members[*host].is_dialable) else {
            let (delay, what) = fails_after(DIAL_TIME);
            return self.agenda.after(delay, what);
        };
        if self.network.paths.is_cut(from, host) || !self.network.paths.is_up(host) {
            let (delay, what) = fails_after(DIAL_TIME);
            return self.agenda.after(delay, what);
        }
        let back = self.network.paths.delay(host, from);
        let listener_run = match self.nodes.get(&host) {
            Some(node) if node.is_running() => Some(node.run),
            _ => self.hostile.contains_key(&host).then_some(0),
        };
        let Some(listener_run) = listener_run else {
            // Nobody listens there, and its system says so.
            let (_, what) = fails_after(back);
            return self.agenda.after(back, what);
        };
        // What is lost is sent again after a second.
        let lost = if self.rng.below(30) == 0 { Duration::from_secs(1) } else { Duration::ZERO };
        self.connect((from, run), (host, listener_run), to, back + lost);
    }

    fn connect(
        &mut self,
        (from, run): (HostId, u32),
        (to, listener_run): (HostId, u32),
        address: SocketAddr,
        back: Duration,
    ) {
        let mut seen_at = self.address(from);
        seen_at.set_port(self.network.ephemeral_port());
        let end = self.network.open((from, seen_at), (to, address));
        let forth = self.network.paths.delay(from, to);
        let dialled = address;
        self.agenda.after(back, Happening::Established { end, host: from, run, dialled });
        let end = end.other();
        self.agenda.after(back + forth, Happening::Established { end, host: to, run: listener_run, dialled });
    }

    pub(super) fn dial_failed(&mut self, from: HostId, run: u32, to: SocketAddr) {
        if let Some(hostile) = self.hostile.get_mut(&from) {
            return hostile.dial_failed(to);
        }
        let Some(node) = self.nodes.get_mut(&from).filter(|node| node.run == run) else { return };
        let Some(dialling) = node.dialling_mut() else { return };
        dial_ended(dialling, to);
        // Now and then the engine has as many connections as it may.
        let input = if self.rng.below(50) == 0 { Input::DialPostponed(to) } else { Input::DialFailed(to) };
        self.tell_torrent(from, run, input);
    }
}
