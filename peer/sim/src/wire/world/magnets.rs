//! The task of a torrent of which only the hash is known, until it becomes one of the others: as the engine's.

use bytes::{Bytes, BytesMut};
use potluck_common::{Duration, InfoHash, Instant, PeerId, control::EventKind};
use potluck_core::{
    PeerKey,
    dht::DhtInput,
    session::{
        Direction, Extensions, MetadataCommand, MetadataEvent, MetadataSession, MetadataSessionConfig,
    },
    torrent::{
        Input, Source,
        magnet::{Magnet, MagnetEffect, MagnetInput},
    },
};

use super::{Happening, World, disks::Job};
use crate::wire::{
    check::{Checks, Violation},
    net::{End, HostId},
    node::{Early, EarlyConnection, EarlyRan, MagnetTask, Order, Stage, magnet_config_of},
    sabotage::Sabotage,
};

/// So long connections have to be handed over, as in the engine.
const HAND_OVER_TIME: Duration = Duration::from_secs(1);

impl World<'_> {
    /// A node that knows the hash alone begins to look for the metadata.
    pub(super) fn start_magnet(&mut self, host: HostId, run: u32) {
        let Some(node) = self.nodes.get(&host).filter(|node| node.run == run) else { return };
        let now = self.now();
        let mut id = *b"-PC0100-............";
        self.rng.fill(&mut id[8..]);
        let (peer_id, info_hash) = (PeerId(id), self.metadata.info_hash);
        let expected = self.expected_hash();
        let trackers = self.trackers_asked();
        let config = magnet_config_of(&node.member, info_hash, expected, peer_id, node.address, trackers);
        let mut machine = Magnet::new(config, self.rng.next_u64(), now);
        let known = self.named_by_users();
        machine.handle(now, MagnetInput::Candidates(known, Source::User));
        self.trace.note(
            now,
            &[13, host as u64, u64::from(run)],
            format_args!("{host} starts with the hash, run {run}"),
        );
        let node = self.nodes.get_mut(&host).expect("just seen");
        node.magnet = Some(MagnetTask::new(machine, peer_id));
        self.wake_torrent(host);
        self.join_dht(host, run);
        self.checks.machine_started(host, now);
    }

    /// What the hash of the metadata has to be.
    fn expected_hash(&self) -> InfoHash {
        match &self.served {
            // A defect on purpose: whatever is served is taken.
            Some(info) if self.is_sabotaged(Sabotage::TakesAnyMetadata) => {
                InfoHash(potluck_common::hash::sha1(info))
            }
            _ => self.metadata.info_hash,
        }
    }

    pub(super) fn run_magnet(&mut self, host: HostId, run: u32) -> Result<(), Violation> {
        let now = self.now();
        let Some(magnet) = self.magnet_of(host, run) else { return Ok(()) };
        if magnet.wake_at != Some(now) {
            return Ok(());
        }
        magnet.wake_at = None;
        let batch = magnet.batch();
        self.checks.torrent_woke(host, now, batch.is_empty())?;
        let magnet = self.nodes.get_mut(&host).and_then(|node| node.magnet.as_mut()).expect("just seen");
        for input in batch {
            self.trace.note(now, &[14, host as u64], format_args!("{host} hears {input:?}"));
            if let MagnetInput::Peer(peer, events) = &input
                && events.iter().any(|event| matches!(event, MetadataEvent::Closed(_)))
            {
                magnet.ends.remove(peer);
            }
            magnet.machine.handle(now, input);
        }
        match magnet.stage {
            Stage::Fetching => {}
            Stage::TakingOver(_) if magnet.ends.is_empty() => return self.took_over(host, run),
            Stage::TakingOver(_) | Stage::Becoming => {
                self.plan_magnet_wake(host, run);
                return Ok(());
            }
        }
        magnet.machine.handle_timeout(now);
        magnet.machine.settle(now);
        if Checks::is_time_for_recounts(&mut self.rng) {
            magnet.machine.assert_invariants();
        }
        while let Some(effect) = self.magnet_of(host, run).and_then(|magnet| magnet.machine.poll_effect()) {
            self.trace.note(now, &[15, host as u64], format_args!("{host} wants {effect:?}"));
            self.magnet_effect(host, run, effect)?;
        }
        self.check_kept_metadata(host)?;
        self.plan_magnet_wake(host, run);
        Ok(())
    }

    pub(super) fn magnet_of(&mut self, host: HostId, run: u32) -> Option<&mut MagnetTask> {
        self.nodes.get_mut(&host).filter(|node| node.run == run)?.magnet.as_mut()
    }

    fn plan_magnet_wake(&mut self, host: HostId, run: u32) {
        let now = self.now();
        let sabotage = self.plan.sabotage;
        let Some(magnet) = self.magnet_of(host, run) else { return };
        if magnet.finished {
            return self.stop_over(host, run);
        }
        if !magnet.inputs.is_empty() {
            return self.wake_torrent(host);
        }
        if magnet.stage == Stage::Fetching
            && let Some(at) = magnet.machine.poll_timeout()
            && sabotage != Some(Sabotage::NeverWakes)
        {
            let at = if sabotage == Some(Sabotage::WakesAlways) { now } else { at };
            self.wake_torrent_at(host, at.max(now));
        }
    }

    fn magnet_effect(&mut self, host: HostId, run: u32, effect: MagnetEffect) -> Result<(), Violation> {
        match effect {
            MagnetEffect::Peer(key, commands) => self.order_session(host, run, key, commands)?,
            MagnetEffect::Dial(address) => return self.dial(host, run, address),
            MagnetEffect::Announce(announce, statistics) => self.announce(host, run, announce, statistics),
            MagnetEffect::WantPeers => {
                let info_hash = self.metadata.info_hash;
                self.tell_dht(host, run, DhtInput::Hurry(info_hash));
            }
            MagnetEffect::DhtNode(node) => self.hear_of_node(host, run, node)?,
            MagnetEffect::Event(EventKind::PeerBanned { peer, why }) => {
                return self.check_ban_of_giver(host, peer, &why);
            }
            MagnetEffect::Event(_) => {}
            MagnetEffect::Complete(info) => {
                self.check_metadata(host, &info)?;
                self.take_over(host, run, info);
            }
            MagnetEffect::Finished => {
                if let Some(magnet) = self.magnet_of(host, run) {
                    magnet.finished = true;
                }
            }
        }
        Ok(())
    }

    fn order_session(
        &mut self,
        host: HostId,
        run: u32,
        key: PeerKey,
        commands: Vec<MetadataCommand>,
    ) -> Result<(), Violation> {
        let end = self.magnet_of(host, run).and_then(|magnet| magnet.ends.get(&key).copied());
        let Some(end) = end else {
            return Err(Violation::new(
                "no command to a closed session",
                format!("{host} commands {key:?}: {commands:?}"),
            ));
        };
        self.order(end, Order::Commands(commands));
        Ok(())
    }

    fn order(&mut self, end: End, order: Order) {
        if let Some(connection) = self.early.get_mut(&end) {
            connection.order(order);
            self.wake_connection(end);
        }
    }

    /// A connection becomes one of a torrent without metadata.
    pub(super) fn join_magnet(
        &mut self,
        end: End,
        host: HostId,
        direction: Direction,
        since: Instant,
        received: BytesMut,
    ) {
        let now = self.now();
        let Some(remote) = self.network.half(end).map(|half| half.remote) else { return };
        let info_hash = self.metadata.info_hash;
        let extensions = Extensions { metadata: None, pex: self.plan.pex, dht_port: self.dht_port(host) };
        let Some(node) = self.nodes.get_mut(&host) else { return };
        let key = PeerKey(node.next_key);
        let listen_port = Some(node.address.port());
        let Some(magnet) = node.magnet.as_mut() else { return };
        if magnet.stage != Stage::Fetching {
            return magnet.early.push(Early { end, direction, since, received });
        }
        node.next_key += 1;
        let peer_id = magnet.peer_id;
        let client = "Potluck wire";
        let config =
            MetadataSessionConfig { info_hash, peer_id, direction, remote, listen_port, client, extensions };
        let session = MetadataSession::new(config, since);
        magnet.ends.insert(key, end);
        if direction == Direction::Outgoing {
            magnet.dialled(remote);
        }
        magnet.machine.handle(now, MagnetInput::PeerConnected { peer: key, address: remote, direction });
        self.trace.note(
            now,
            &[16, host as u64, end.number(), key.0],
            format_args!("{host} is connected to {remote} by {end:?}, {key:?}, {direction:?}, for metadata"),
        );
        self.early.insert(end, EarlyConnection::new(key, host, end, direction, session, received));
        self.wake_connection(end);
        self.wake_torrent(host);
    }

    /// The task of a connection without metadata runs.
    pub(super) fn run_early(&mut self, end: End) -> Result<(), Violation> {
        let now = self.now();
        let Some(connection) = self.early.get_mut(&end).filter(|known| known.wake_at == Some(now)) else {
            return Ok(());
        };
        connection.wake_at = None;
        let (host, key) = (connection.host, connection.key);
        let mut ran = connection.run(&mut self.agenda, &mut self.network);
        if Checks::is_time_for_recounts(&mut self.rng) {
            connection.session.assert_invariants();
        }
        Self::check_output(host, connection.output_bytes())?;
        self.checks.connection_woke(end, now)?;
        self.trace.note(
            now,
            &[17, end.number(), self.network.digest.value()],
            format_args!("{host} at {end:?} ran for metadata: {ran:?}"),
        );
        let closed = ran.closed.take();
        let is_over = closed.is_some() || ran.handed_over.is_some();
        let (wake_at, goes_on) = (ran.wake_at, ran.goes_on);
        self.tell_magnet(host, key, ran);
        if is_over {
            self.early.remove(&end);
            self.checks.connection_closed(end);
        } else if goes_on {
            self.wake_connection(end);
        } else if let Some(at) = wake_at {
            self.wake_connection_at(end, at.max(now));
        }
        match closed {
            Some(reason) => self.check_blame(host, end, &reason),
            None => Ok(()),
        }
    }

    /// What came of a run of a connection is told to its machine.
    fn tell_magnet(&mut self, host: HostId, key: PeerKey, ran: EarlyRan) {
        let EarlyRan { events, handed_over, .. } = ran;
        let hoards = self.is_sabotaged(Sabotage::HoardsMetadata);
        if handed_over.is_some() || !events.is_empty() {
            self.wake_torrent(host);
        }
        let Some(magnet) = self.nodes.get_mut(&host).and_then(|node| node.magnet.as_mut()) else { return };
        let came = magnet.count(&events);
        magnet.hoard += if hoards { came } else { 0 };
        if let Some(handed) = handed_over {
            magnet.ends.remove(&key);
            magnet.handed_over.push(handed);
        }
        if !events.is_empty() {
            magnet.inputs.push_back(MagnetInput::Peer(key, events));
        }
    }

    /// The metadata is there: connections are asked for, and come or do not.
    fn take_over(&mut self, host: HostId, run: u32, info: Bytes) {
        let is_lost = self.is_sabotaged(Sabotage::LosesMetadata);
        let Some(magnet) = self.magnet_of(host, run) else { return };
        magnet.stage = Stage::TakingOver(info);
        if is_lost {
            magnet.stage = Stage::Becoming;
            return;
        }
        let ends: Vec<End> = magnet.ends.values().copied().collect();
        for end in ends {
            self.order(end, Order::HandOver);
        }
        self.agenda.after(HAND_OVER_TIME, Happening::TookOver(host, run));
    }

    /// Connections that were not handed over by now are given up. The metadata is written down, and the payload looked for.
    pub(super) fn took_over(&mut self, host: HostId, run: u32) -> Result<(), Violation> {
        let now = self.now();
        let Some(magnet) = self.magnet_of(host, run) else { return Ok(()) };
        let Stage::TakingOver(info) = std::mem::replace(&mut magnet.stage, Stage::Becoming) else {
            return Ok(());
        };
        let left: Vec<End> = std::mem::take(&mut magnet.ends).into_values().collect();
        for end in left {
            self.early.remove(&end);
            self.checks.connection_closed(end);
            self.network.close(&mut self.agenda, end);
        }
        self.check_reading(host, &info)?;
        let node = self.nodes.get_mut(&host).expect("just seen");
        let at = node.disk.done_at(now, info.len());
        self.agenda.at(at, Happening::Disk(host, run, Job::Metadata));
        Ok(())
    }

    /// The metadata was to be written down. The torrent goes on in any case; where it was, the next run needs no other.
    pub(super) fn metadata_written(&mut self, host: HostId) {
        let now = self.now();
        let node = self.nodes.get_mut(&host).expect("the caller looked");
        node.has_metadata = true;
        node.keep_metadata(now);
        self.check_payload(host);
    }

    /// The torrent of a magnet has begun: it learns whom that knew, and goes on with its connections.
    pub(super) fn go_on(&mut self, host: HostId, mut magnet: MagnetTask) {
        let now = self.now();
        let is_private = self.plan.is_private();
        let known = magnet.known(is_private);
        let (stay, go) = magnet.take_handed_over(is_private);
        for end in go {
            self.network.close(&mut self.agenda, end);
        }
        let machine = self.nodes.get_mut(&host).and_then(|node| node.machine.as_mut()).expect("it began");
        for (addresses, source) in known {
            machine.torrent.handle(now, Input::Candidates(addresses, source));
        }
        for handed in stay {
            self.open_session(handed.end, host, handed.direction, now, handed.received, true);
        }
        for early in magnet.early {
            self.join_torrent(early.end, host, early.direction, early.since, early.received);
        }
    }
}
