//! The task of a torrent: feeds its machine and carries out its effects, as the engine's does.

use potluck_common::{Duration, Instant, control::EventKind};
use potluck_core::{
    dht::DhtInput,
    session::{SessionCommand, SessionEvent},
    torrent::{Effect, Input},
};

use super::{Happening, World, disks::Job};
use crate::wire::{
    check::{Checks, Violation},
    net::HostId,
    node::{Told, What},
    sabotage::Sabotage,
};

impl World<'_> {
    /// The task of this torrent is to run soon.
    pub(super) fn wake_torrent(&mut self, host: HostId) {
        let delay = self.plan.network.torrent_delay_max.mul_f64(self.rng.fraction());
        self.wake_torrent_at(host, self.now() + delay);
    }

    pub(super) fn wake_torrent_at(&mut self, host: HostId, at: Instant) {
        let Some(node) = self.nodes.get_mut(&host) else { return };
        let run = node.run;
        let magnet = node.magnet.as_mut().map(|magnet| &mut magnet.wake_at);
        let Some(wake_at) = node.machine.as_mut().map(|machine| &mut machine.wake_at).or(magnet) else {
            return;
        };
        if wake_at.is_none_or(|known| at < known) {
            *wake_at = Some(at);
            self.agenda.at(at, Happening::Torrent(host, run));
        }
    }

    pub(super) fn tell_torrent(&mut self, host: HostId, run: u32, input: Input) {
        let Some(node) = self.nodes.get_mut(&host).filter(|node| node.run == run) else { return };
        if let Some(magnet) = node.magnet.as_mut() {
            magnet.tell(input);
            return self.wake_torrent(host);
        }
        let Some(machine) = node.machine.as_mut() else { return };
        match input {
            Input::Peer { .. } => machine.reports.push_back(input),
            _ => machine.inputs.push_back(input),
        }
        self.wake_torrent(host);
    }

    pub(super) fn run_torrent(&mut self, host: HostId, run: u32) -> Result<(), Violation> {
        let now = self.now();
        let Some(node) = self.nodes.get_mut(&host).filter(|node| node.run == run) else { return Ok(()) };
        if node.magnet.is_some() {
            return self.run_magnet(host, run);
        }
        let Some(machine) = node.machine.as_mut() else { return Ok(()) };
        if machine.wake_at != Some(now) {
            // Somebody else woke it before.
            return Ok(());
        }
        machine.wake_at = None;
        let batch = machine.batch();
        let mut told = Vec::new();
        self.checks.torrent_woke(host, now, batch.is_empty())?;
        for input in batch {
            self.trace.note(now, &[3, host as u64], format_args!("{host} hears {input:?}"));
            if let Input::Peer { peer, events, .. } = &input {
                told.extend(events.iter().filter_map(|event| machine.tells(*peer, event)));
                if events.iter().any(|event| matches!(event, SessionEvent::Closed(_))) {
                    machine.ends.remove(peer);
                    machine.nodes_told.remove(peer);
                }
            }
            machine.torrent.handle(now, input);
        }
        machine.torrent.handle_timeout(now);
        machine.torrent.settle(now);
        let recounts = Checks::is_time_for_recounts(&mut self.rng);
        if recounts {
            machine.torrent.assert_invariants();
        }
        for told in told {
            self.hear_of_others(host, run, told)?;
        }
        self.carry_out(host, run)?;
        self.check_machine_memory(host)?;
        if recounts {
            self.check_have(host)?;
        }
        self.plan_torrent_wake(host, run);
        Ok(())
    }

    /// A peer told of somebody beside itself.
    fn hear_of_others(&mut self, host: HostId, run: u32, told: Told) -> Result<(), Violation> {
        self.check_telling(host, told)?;
        if let Told { what: What::Node(port), by } = told
            && let Some(half) = self.network.half(by)
        {
            let node = std::net::SocketAddr::new(half.remote.ip(), port);
            self.hear_of_node(host, run, node)?;
        }
        Ok(())
    }

    fn plan_torrent_wake(&mut self, host: HostId, run: u32) {
        let now = self.now();
        let Some(node) = self.nodes.get(&host).filter(|node| node.run == run) else { return };
        let Some(machine) = &node.machine else { return };
        if machine.finished {
            return self.stop_over(host, run);
        }
        if machine.has_inputs() {
            return self.wake_torrent(host);
        }
        if let Some(at) = machine.torrent.poll_timeout() {
            let at = match self.plan.sabotage {
                Some(Sabotage::NeverWakes) => return,
                Some(Sabotage::WakesAlways) => now,
                _ => at,
            };
            self.wake_torrent_at(host, at.max(now));
        }
    }

    fn carry_out(&mut self, host: HostId, run: u32) -> Result<(), Violation> {
        loop {
            let node = self.nodes.get_mut(&host).expect("it runs");
            let Some(machine) = node.machine.as_mut() else { return Ok(()) };
            let Some(effect) = machine.torrent.poll_effect() else { return Ok(()) };
            self.trace.note(self.agenda.now(), &[4, host as u64], format_args!("{host} wants {effect:?}"));
            self.effect(host, run, effect)?;
        }
    }

    fn effect(&mut self, host: HostId, run: u32, effect: Effect) -> Result<(), Violation> {
        let now = self.now();
        let node = self.nodes.get_mut(&host).expect("it runs");
        let machine = node.machine.as_mut().expect("it runs");
        match effect {
            Effect::Peer(key, commands) => {
                let Some(end) = machine.ends.get(&key).copied() else {
                    return Err(Violation::new(
                        "no command to a closed session",
                        format!("{host} commands {key:?}: {commands:?}"),
                    ));
                };
                if let Some(connection) = self.connections.get_mut(&end) {
                    let tells = |command: &SessionCommand| matches!(command, SessionCommand::Have(_));
                    if self.plan.sabotage == Some(Sabotage::HidesPieces) && commands.iter().any(tells) {
                        return Ok(());
                    }
                    connection.command(commands);
                    self.wake_connection(end);
                }
            }
            Effect::Dial(address) => return self.dial(host, run, address),
            Effect::OpenPiece(piece) => {
                if !machine.pieces.open(piece) {
                    return Err(Violation::new("pieces are opened once", format!("{host} {piece:?}")));
                }
            }
            Effect::ClosePiece(piece) => machine.pieces.close(piece),
            Effect::StorePiece { piece, digests } => return self.begin_store(host, run, piece, digests),
            Effect::VerifyPiece(piece) => {
                let length = self.payload.geometry.length_of(piece) as usize;
                let at = node.disk.done_at(now, length);
                self.agenda.at(at, Happening::Disk(host, run, Job::Verify(piece)));
            }
            Effect::Announce(announce, statistics) => self.announce(host, run, announce, statistics),
            Effect::WantPeers => self.tell_dht(host, run, DhtInput::Hurry(self.metadata.info_hash)),
            Effect::Demand(demand) => self.demand(host, run, demand),
            Effect::Event(kind) => return self.told(host, &kind),
            Effect::Completed(time) => {
                let mark = node.disk.mark();
                let at = node.disk.done_at(now, 0);
                self.agenda.at(at, Happening::Disk(host, run, Job::Settle { time, mark }));
                self.announce_as_seed(host, run);
                self.note_done(host);
            }
            Effect::Finished => machine.finished = true,
        }
        Ok(())
    }

    /// What a person is told.
    fn told(&mut self, host: HostId, kind: &EventKind) -> Result<(), Violation> {
        match kind {
            EventKind::PeerBanned { peer, why } => {
                let whom = self.host_at(peer.ip());
                let is_wronged = |other: HostId| {
                    self.role(other).is_honest()
                        && !self.nodes.get(&other).is_some_and(|node| node.has_rotted)
                };
                if self.role(host).is_honest()
                    && let Some(other) = whom.filter(|other| is_wronged(*other))
                {
                    return Err(Violation::new(
                        "no honest peer is banned",
                        format!("{host} bans {other}: {why}"),
                    ));
                }
            }
            // Nothing but a person ends this: one comes after a while.
            EventKind::Failed { .. } => {
                let delay = Duration::from_millis(u64::from(1_000 + self.rng.below(15_000)));
                let run = self.nodes[&host].run;
                self.agenda.after(delay, Happening::Person(host, run));
            }
            _ => {}
        }
        Ok(())
    }
}
