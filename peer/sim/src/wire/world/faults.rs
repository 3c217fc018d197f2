//! The storm: what goes wrong, and that it ends.

use std::collections::BTreeSet;

use potluck_common::{Duration, Instant};

use super::{Happening, World, life::Crash};
use crate::wire::{
    net::{End, HostId},
    plan::{Fault, Role},
};

impl World<'_> {
    pub(super) fn begin_storm(&mut self) {
        for (fault, mean) in self.plan.faults.0.clone() {
            let wait = self.wait(mean);
            self.agenda.after(wait, Happening::Fault(fault));
        }
        self.agenda.after(self.plan.storm, Happening::Heal);
    }

    /// How long until the next of its kind.
    fn wait(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(-(1.0 - self.rng.fraction()).ln())
    }

    fn seconds(&mut self, least: u32, most: u32) -> Duration {
        Duration::from_millis(u64::from(least * 1_000 + self.rng.below((most - least) * 1_000)))
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        if self.is_healed {
            return;
        }
        self.faults += 1;
        self.trace.note(self.agenda.now(), &[8, fault as u64], format_args!("fault: {fault:?}"));
        match fault {
            Fault::Reset | Fault::HalfOpen => self.break_a_connection(fault == Fault::Reset),
            Fault::Clog => self.clog(),
            Fault::Partition => self.tear(),
            Fault::Kill | Fault::PowerCut | Fault::Stop => self.take_down(fault),
            Fault::Rot => self.rot(),
            Fault::TrackerDown => {
                let until = self.now() + self.seconds(1, 40);
                self.tracker.down_until = until;
            }
            _ => self.trouble_a_disk(fault),
        }
        let mean = self.plan.faults.0.iter().find(|(kind, _)| *kind == fault).map(|(_, mean)| *mean);
        let wait = self.wait(mean.expect("it is of the plan"));
        self.agenda.after(wait, Happening::Fault(fault));
    }

    fn break_a_connection(&mut self, both: bool) {
        let ends: Vec<End> =
            self.network.ends().filter(|(_, half)| half.is_open()).map(|(end, _)| end).collect();
        if let Some(end) = self.rng.choose(&ends).copied() {
            self.network.reset(&mut self.agenda, end, both);
        }
    }

    fn clog(&mut self) {
        let hosts = self.plan.members.len() as u32;
        let (from, to) = (self.rng.below(hosts) as HostId, self.rng.below(hosts) as HostId);
        let until = self.now() + self.seconds(0, 30);
        self.network.paths.clog(from, to, until);
    }

    fn tear(&mut self) {
        let chance = 10 + self.rng.below(80);
        let hosts = 0..self.plan.members.len();
        let cut: BTreeSet<HostId> = hosts.filter(|_| self.rng.below(100) < chance).collect();
        self.network.paths.tear(cut);
        let lasts = self.seconds(1, 60);
        self.agenda.after(lasts, Happening::Mend);
    }

    pub(super) fn mend(&mut self) {
        self.network.paths.heal();
        self.network.let_go(&mut self.agenda);
    }

    /// A running node, at random.
    fn some_node(&mut self) -> Option<HostId> {
        let running: Vec<HostId> =
            self.nodes.iter().filter(|(_, node)| node.is_running()).map(|(host, _)| *host).collect();
        self.rng.choose(&running).copied()
    }

    fn take_down(&mut self, fault: Fault) {
        let Some(host) = self.some_node() else { return };
        let down_for = self.seconds(0, 40);
        match fault {
            Fault::Kill => self.crash(host, Crash::Kill, down_for),
            Fault::PowerCut => self.crash(host, Crash::Power, down_for),
            _ => self.stop(host),
        }
    }

    fn trouble_a_disk(&mut self, fault: Fault) {
        let Some(host) = self.some_node() else { return };
        if fault == Fault::ReadFails && host == 0 {
            // It would say of its pieces that they are lost, and nobody else may have them.
            return;
        }
        let until = self.now() + self.seconds(0, 30);
        let troubles = &mut self.nodes.get_mut(&host).expect("just seen").disk.troubles;
        let field = match fault {
            Fault::DiskFull => &mut troubles.full,
            Fault::DiskBusy => &mut troubles.busy,
            Fault::WriteFails => &mut troubles.write_fails,
            Fault::ReadFails => &mut troubles.read_fails,
            Fault::SyncFails => &mut troubles.sync_fails,
            _ => &mut troubles.slow,
        };
        *field = until;
        self.trace.note(
            self.agenda.now(),
            &[9, host as u64],
            format_args!("{fault:?} at {host} until {until:?}"),
        );
    }

    /// A bit turns on the disk of somebody who is not the one that everybody counts on.
    fn rot(&mut self) {
        let Some(host) = self.some_node().filter(|host| *host != 0) else { return };
        if self.role(host) == Role::Poisoner {
            return;
        }
        let node = self.nodes.get_mut(&host).expect("just seen");
        let Some(machine) = &node.machine else { return };
        let have = machine.torrent.have();
        let pieces: Vec<_> = have.iter(&self.payload.geometry).collect();
        if let Some(piece) = self.rng.choose(&pieces).copied()
            && node.disk.rot(piece)
        {
            node.rotten.insert(piece);
            node.has_rotted = true;
            self.trace.note(self.agenda.now(), &[10, host as u64], format_args!("{piece:?} of {host} rots"));
        }
    }

    /// Everything is well from now on; whoever is hostile stays.
    pub(super) fn heal(&mut self) {
        self.is_healed = true;
        let now = self.now();
        self.trace.note(self.agenda.now(), &[11], format_args!("the storm is over"));
        self.mend();
        self.tracker.down_until = Instant::ZERO;
        for node in self.nodes.values_mut() {
            node.disk.troubles.end(now);
            // A drive that rots is replaced by a good copy.
            for piece in std::mem::take(&mut node.rotten) {
                if node.disk.read(piece).is_some() {
                    node.disk.place(piece, self.payload.piece(piece));
                }
            }
        }
    }
}
