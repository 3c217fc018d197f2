//! How members come, crash, stop and come back.

use std::{collections::BTreeSet, net::SocketAddr};

use potluck_common::{Bitfield, Duration, announce::TrackerUrl, control::FilePriority};
use potluck_core::torrent::{Input, Source, Torrent};

use super::{Happening, World};
use crate::wire::{
    check::Violation,
    disk::Disk,
    hostile::Hostile,
    net::{End, HostId},
    node::{Machine, Node, config_of},
    plan::{FalsePorts, Meeting, Role},
    sabotage::Sabotage,
};

/// What a person gives a program to stop.
const STOP_TIME: Duration = Duration::from_secs(2);

/// How a node goes down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Crash {
    /// The program dies; the system says so to the peers and keeps what was written.
    Kill,
    /// Nobody says anything, and what was not synced may be lost.
    Power,
}

impl World<'_> {
    pub(super) fn populate(&mut self) {
        for host in 0..self.plan.members.len() {
            self.agenda.after(self.plan.members[host].joins_after, Happening::Join(host));
        }
    }

    pub(super) fn join(&mut self, host: HostId) {
        self.joined += 1;
        let member = self.plan.members[host].clone();
        if member.role == Role::Bystander {
            return self.join_dht(host, 0);
        }
        if let Role::Hostile(ruse) = member.role {
            let mut hostile =
                Hostile::new(ruse, self.payload.geometry, self.metadata.clone(), self.rng.fork());
            if self.plan.beyond.tells_ports && self.plan.beyond.has_false_ports {
                hostile.false_ports = Some(FalsePorts::ALL[host % FalsePorts::ALL.len()]);
            }
            self.hostile.insert(host, hostile);
            self.agenda.after(Duration::ZERO, Happening::Ruse(host));
            return;
        }
        let mut disk = Disk::new(member.disk, self.rng.fork());
        for piece in self.payload.geometry.iter() {
            if self.rng.below(100) < member.has_percent {
                disk.place(piece, self.payload.piece(piece));
            }
        }
        let address = self.address(host);
        let node = Node::new(member, address, disk, self.payload.geometry.pieces());
        self.nodes.insert(host, node);
        self.check_payload(host);
    }

    /// The node is up: what it does not believe is read and hashed.
    pub(super) fn check_payload(&mut self, host: HostId) {
        let geometry = self.payload.geometry;
        let now = self.now();
        let node = self.nodes.get_mut(&host).expect("it is there");
        let to_hash =
            geometry.iter().filter(|piece| !node.claims.has(*piece) && node.disk.read(*piece).is_some());
        let bytes: u32 = to_hash.map(|piece| geometry.length_of(piece)).sum();
        let at = node.disk.done_at(now, bytes as usize);
        let run = node.run;
        self.agenda.at(at, Happening::Checked(host, run));
    }

    /// The payload is checked: the machine begins.
    pub(super) fn start_machine(&mut self, host: HostId, run: u32) -> Result<(), Violation> {
        let Some(node) = self.nodes.get_mut(&host).filter(|node| node.run == run) else { return Ok(()) };
        if !node.has_metadata {
            self.start_magnet(host, run);
            return Ok(());
        }
        let magnet = node.magnet.take();
        let node = &self.nodes[&host];
        let have = self.believed(node);
        let now = self.now();
        let trackers = self.trackers_asked();
        let mut member = node.member.clone();
        if member.role.begins_complete() {
            member.priorities.fill(FilePriority::Normal);
        }
        let (address, info_hash) = (node.address, self.metadata.info_hash);
        let mut config = config_of(&member, &self.plan, info_hash, have, address, trackers, &mut self.rng);
        config.peer_id = magnet.as_ref().map_or(config.peer_id, |magnet| magnet.peer_id);
        let peer_id = config.peer_id;
        let mut torrent = Torrent::new(config, self.rng.next_u64(), now);
        let known = match &member.knows {
            Some(known) => known.iter().map(|other| self.address(*other)).collect(),
            None => self.named_by_users(),
        };
        self.note_named(host, &known);
        torrent.handle(now, Input::Candidates(known, Source::User));
        self.remind(host, &mut torrent)?;
        self.trace.note(
            now,
            &[1, host as u64, u64::from(run), u64::from(torrent.have().count())],
            format_args!("{host} starts, run {run}, with {} pieces", torrent.have().count()),
        );
        let node = self.nodes.get_mut(&host).expect("just seen");
        node.machine = Some(Machine::new(torrent, peer_id, member.up_limit));
        let every = self.plan.claims_every;
        self.agenda.after(every, Happening::Claim(host, run));
        self.wake_torrent(host);
        self.join_dht(host, run);
        self.note_joined(host);
        self.checks.machine_started(host, now);
        if let Some(magnet) = magnet {
            self.go_on(host, magnet);
        }
        self.check_have(host)
    }

    /// Of the first so many members everybody is told by its user.
    pub(super) fn told_by_users(&self) -> usize {
        match self.plan.meeting {
            Meeting::Tracker | Meeting::Dht => 0,
            Meeting::User | Meeting::Both => self.plan.members.len(),
            Meeting::Exchange => 1,
        }
    }

    /// The addresses that every user names.
    pub(super) fn named_by_users(&self) -> Vec<SocketAddr> {
        (0..self.told_by_users()).map(|other| self.address(other)).collect()
    }

    /// The trackers of the torrent.
    pub(super) fn trackers_asked(&self) -> Vec<Vec<TrackerUrl>> {
        let asks = matches!(self.plan.meeting, Meeting::Tracker | Meeting::Both);
        if asks { vec![vec![self.tracker.url.clone()]] } else { Vec::new() }
    }

    /// The torrent of a node learns whom it met in its last run.
    fn remind(&mut self, host: HostId, torrent: &mut Torrent) -> Result<(), Violation> {
        let now = self.now();
        let remembered = self.nodes[&host].remembered.clone();
        if !self.is_sabotaged(Sabotage::ForgetsPeers) {
            torrent.handle(now, Input::Candidates(remembered.clone(), Source::Resume));
        }
        self.check_remembered(host, &remembered, torrent.summary(now).candidates)
    }

    /// What the node goes on with: what it claimed, and what holds of the rest.
    fn believed(&self, node: &Node) -> Bitfield {
        let mut have = node.claims.clone();
        for piece in self.payload.geometry.iter() {
            if node.disk.read(piece).is_some_and(|bytes| self.payload.holds(piece, bytes)) {
                have.insert(piece);
            }
        }
        have
    }

    pub(super) fn crash(&mut self, host: HostId, crash: Crash, down_for: Duration) {
        self.crashes += u32::from(self.nodes.contains_key(&host));
        if let Some(run) = self.go_down(host, crash) {
            self.agenda.after(down_for, Happening::Restart(host, run));
        }
    }

    /// A node ends what it does; returns the number of its next run.
    pub(super) fn go_down(&mut self, host: HostId, crash: Crash) -> Option<u32> {
        let now = self.now();
        let node = self.nodes.get_mut(&host)?;
        node.run += 1;
        let run = node.run;
        let loses = crash == Crash::Power || node.has_lost_sync;
        if loses {
            node.disk.lose_unsynced();
            node.has_lost_sync = false;
        }
        node.forget_machine();
        self.trace.note(
            now,
            &[2, host as u64, u64::from(crash == Crash::Power)],
            format_args!("{host} goes down: {crash:?}"),
        );
        self.leave_dht(host);
        self.end_connections(host, crash);
        self.network.paths.set_up(host, crash == Crash::Kill);
        self.checks.machine_ended(host);
        self.checks.forget_named(host);
        Some(run)
    }

    /// Every connection of a host goes with it.
    fn end_connections(&mut self, host: HostId, crash: Crash) {
        let ends: BTreeSet<End> =
            self.network.ends().filter(|(_, half)| half.host() == host).map(|(end, _)| end).collect();
        for end in ends {
            self.connections.remove(&end);
            self.early.remove(&end);
            self.arriving.remove(&end);
            match crash {
                Crash::Kill => self.network.abort(&mut self.agenda, end),
                Crash::Power => self.network.vanish(end),
            }
        }
    }

    pub(super) fn restart(&mut self, host: HostId, run: u32) {
        let Some(node) = self.nodes.get(&host).filter(|node| node.run == run) else { return };
        debug_assert!(!node.is_running(), "it was down");
        self.network.paths.set_up(host, true);
        self.check_payload(host);
    }

    /// A person stops the program.
    pub(super) fn stop(&mut self, host: HostId) {
        let Some(node) = self.nodes.get_mut(&host) else { return };
        let run = node.run;
        if node.stop_by.is_some() || !node.is_running() {
            return;
        }
        node.machine.iter_mut().for_each(|machine| machine.inputs.push_back(Input::Stop));
        node.magnet.iter_mut().for_each(|magnet| magnet.tell(Input::Stop));
        node.stop_by = Some(self.agenda.now() + STOP_TIME);
        self.agenda.after(STOP_TIME, Happening::StopOver(host, run));
        self.wake_torrent(host);
    }

    /// Somebody sees that a torrent failed, and starts it anew.
    pub(super) fn person_comes(&mut self, host: HostId, run: u32) {
        if self.nodes.get(&host).is_some_and(|node| node.run == run) {
            self.stop(host);
        }
    }

    /// It is stopped: what was written is made durable and claimed, and after a while it comes back.
    pub(super) fn stop_over(&mut self, host: HostId, run: u32) {
        let Some(node) = self.nodes.get_mut(&host).filter(|node| node.run == run) else { return };
        if !node.is_running() {
            return;
        }
        let remembers = self.plan.beyond.remembers_peers && !self.plan.is_private();
        if let Some(machine) = node.machine.as_ref().filter(|_| remembers) {
            node.remembered = machine.torrent.good_peers();
        }
        if let Some(have) = node.machine.as_ref().map(|machine| machine.torrent.have().clone())
            && !node.has_lost_sync
            && node.disk.troubles.of_sync(self.agenda.now()).is_none()
        {
            node.disk.synced(node.disk.mark());
            node.claims = have;
        }
        let down_for = Duration::from_millis(u64::from(500 + self.rng.below(10_000)));
        self.crash(host, Crash::Kill, down_for);
    }
}

impl Node {
    fn forget_machine(&mut self) {
        self.stop_by = None;
        self.machine = None;
        self.magnet = None;
        self.has_metadata = self.keeps_metadata;
    }
}
