//! The tasks of connections: of those that stand, and of those that nobody has a use for yet.

use std::net::SocketAddr;

use bytes::BytesMut;
use potluck_common::{Duration, Instant};
use potluck_core::{
    PeerKey,
    session::{Direction, Extensions, Session, SessionConfig},
    torrent::Input,
};

use super::{Arriving, Happening, World};
use crate::wire::{
    check::{Checks, Violation},
    net::{End, HostId},
    node::Connection,
    sabotage::Sabotage,
};

/// The bytes of a handshake that name the torrent.
const NAMED_AFTER: usize = 48;
/// How long the listener waits for them.
const GREETING_TIME: Duration = Duration::from_secs(10);

impl World<'_> {
    /// Something came to this end.
    pub(super) fn has_news(&mut self, end: End) {
        let Some(half) = self.network.half(end) else { return self.lost_sight_of(end) };
        let host = half.host();
        if self.hostile.contains_key(&host) {
            self.hostile_hears(host, end);
        } else if self.arriving.contains_key(&end) {
            self.read_greeting(end);
        } else {
            self.wake_connection(end);
        }
    }

    /// The network knows nothing of it any more; its task must hear that, too.
    fn lost_sight_of(&mut self, end: End) {
        self.arriving.remove(&end);
        self.wake_connection(end);
    }

    /// What this end's task writes has room again.
    pub(super) fn has_room(&mut self, end: End) {
        let waits = self.connections.get_mut(&end).is_some_and(|connection| connection.output_bytes() > 0);
        if waits || self.early.get_mut(&end).is_some_and(|early| early.output_bytes() > 0) {
            self.wake_connection(end);
        }
    }

    pub(super) fn wake_connection(&mut self, end: End) {
        let at = self.now() + self.task_delay();
        self.wake_connection_at(end, at);
    }

    pub(super) fn wake_connection_at(&mut self, end: End, at: Instant) {
        let early = self.early.get_mut(&end).map(|early| &mut early.wake_at);
        let connection = self.connections.get_mut(&end).map(|connection| &mut connection.wake_at);
        let Some(wake_at) = connection.or(early) else { return };
        if wake_at.is_none_or(|known| at < known) {
            *wake_at = Some(at);
            self.agenda.at(at, Happening::Connection(end));
        }
    }

    pub(super) fn run_connection(&mut self, end: End) -> Result<(), Violation> {
        let now = self.now();
        if self.early.contains_key(&end) {
            return self.run_early(end);
        }
        let Some(connection) = self.connections.get_mut(&end) else { return Ok(()) };
        if connection.wake_at != Some(now) {
            return Ok(());
        }
        (connection.wake_at, connection.sleeps_until) = (None, None);
        let host = connection.host;
        let Some(node) = self.nodes.get_mut(&host) else { return Ok(()) };
        let run = node.run;
        let Some(machine) = node.machine.as_mut() else { return Ok(()) };
        let ran = connection.run(&mut self.agenda, &mut self.network, machine);
        if Checks::is_time_for_recounts(&mut self.rng) {
            connection.session.assert_invariants();
        }
        Self::check_output(host, connection.output_bytes())?;
        self.checks.connection_woke(end, now)?;
        self.trace.note(
            now,
            &[5, end.number(), self.network.digest.value()],
            format_args!("{host} at {end:?} ran: {ran:?}"),
        );
        if ran.sent > 0 {
            self.note_sent(end, host, ran.sent);
        }
        for span in ran.reads {
            self.begin_read(end, host, run, span);
        }
        self.follow_sharing(host, run);
        if let Some(report) = ran.report {
            self.tell_torrent(host, run, report);
        }
        if let Some(reason) = ran.closed {
            self.connections.remove(&end);
            self.checks.connection_closed(end);
            return self.check_blame(host, end, &reason);
        }
        if ran.goes_on {
            self.wake_connection(end);
        } else if let Some(at) = ran.wake_at {
            let at = at.max(now);
            self.wake_connection_at(end, at);
            if let Some(connection) = self.connections.get_mut(&end) {
                connection.sleeps_until = Some(at);
            }
        }
        Ok(())
    }

    /// An end of a connection learns that it stands.
    pub(super) fn established(&mut self, end: End, host: HostId, run: u32, dialled: SocketAddr) {
        if self.network.half(end).is_none_or(|half| !half.is_open()) {
            // It was reset before.
            if end.is_dialler {
                self.dial_failed(host, run, dialled);
            }
            return;
        }
        if self.hostile.contains_key(&host) {
            return self.hostile_meets(host, end);
        }
        let is_there = self.nodes.get(&host).is_some_and(|node| node.is_running() && node.run == run);
        if !is_there {
            self.network.abort(&mut self.agenda, end);
        } else if end.is_dialler {
            self.join_torrent(end, host, Direction::Outgoing, self.now(), BytesMut::new());
        } else {
            self.arriving.insert(end, Arriving { since: self.now(), received: BytesMut::new() });
            self.agenda.after(GREETING_TIME, Happening::GreetingOver(end));
            self.read_greeting(end);
        }
    }

    /// The listener reads until it knows which torrent is meant.
    fn read_greeting(&mut self, end: End) {
        let Some(half) = self.network.half(end) else { return };
        let (host, is_at_end) = (half.host(), half.is_at_end());
        let Some(mut arriving) = self.arriving.remove(&end) else { return };
        while arriving.received.len() < NAMED_AFTER {
            let bytes = self.network.read(&mut self.agenda, end, NAMED_AFTER);
            if bytes.is_empty() {
                break;
            }
            arriving.received.extend_from_slice(&bytes);
        }
        let received = &arriving.received;
        let begins_well = potluck_common::wire::PROTOCOL.starts_with(&received[..received.len().min(20)]);
        if is_at_end || !begins_well {
            self.network.close(&mut self.agenda, end);
        } else if received.len() < NAMED_AFTER {
            self.arriving.insert(end, arriving);
        } else if received[28..48] == *self.metadata.info_hash.as_bytes() {
            self.join_torrent(end, host, Direction::Incoming, arriving.since, arriving.received);
        } else {
            self.network.close(&mut self.agenda, end);
        }
    }

    pub(super) fn greeting_over(&mut self, end: End) {
        if self.arriving.remove(&end).is_some() {
            self.network.close(&mut self.agenda, end);
        }
    }

    /// A connection becomes one of the torrent.
    pub(super) fn join_torrent(
        &mut self,
        end: End,
        host: HostId,
        direction: Direction,
        since: Instant,
        received: BytesMut,
    ) {
        if self.nodes.get(&host).is_some_and(|node| node.magnet.is_some()) {
            self.join_magnet(end, host, direction, since, received);
        } else {
            self.open_session(end, host, direction, since, received, false);
        }
    }

    /// A session begins, or goes on where one without metadata ended.
    pub(super) fn open_session(
        &mut self,
        end: End,
        host: HostId,
        direction: Direction,
        since: Instant,
        received: BytesMut,
        is_continued: bool,
    ) {
        let now = self.now();
        let extensions =
            Extensions { metadata: self.served.clone(), pex: self.plan.pex, dht_port: self.dht_port(host) };
        if direction == Direction::Incoming {
            self.note_visit(host, end);
        }
        let Some(remote) = self.network.half(end).map(|half| half.remote) else { return };
        let Some(node) = self.nodes.get_mut(&host) else { return };
        let key = PeerKey(node.next_key);
        node.next_key += 1;
        let down_limit = node.member.down_limit;
        let listen_port = node.address.port();
        let Some(machine) = node.machine.as_mut() else {
            return self.network.abort(&mut self.agenda, end);
        };
        let config = SessionConfig {
            info_hash: self.metadata.info_hash,
            peer_id: machine.peer_id,
            direction,
            remote,
            geometry: self.payload.geometry,
            listen_port: Some(listen_port),
            client: "Potluck wire",
            extensions,
            upload_only: machine.torrent.is_upload_only(),
            private: self.plan.is_private(),
        };
        let begin = if is_continued { Session::continued } else { Session::new };
        let session = begin(config, &machine.torrent.offered(), since);
        machine.ends.insert(key, end);
        if direction == Direction::Outgoing {
            machine.dialled(remote);
        }
        machine.torrent.handle(now, Input::PeerConnected { peer: key, address: remote, direction });
        self.trace.note(
            now,
            &[6, host as u64, end.number(), key.0],
            format_args!("{host} is connected to {remote} by {end:?}, {key:?}, {direction:?}"),
        );
        let mut connection = Connection::new(key, host, end, session, received, down_limit);
        connection.gives_twice = self.is_sabotaged(Sabotage::GivesTwice);
        self.connections.insert(end, connection);
        self.wake_connection(end);
        self.wake_torrent(host);
    }
}
