//! Whole swarms of the machines that ship, in virtual time: torrents and sessions over links with a delay, uplinks
//! with a limit, and a disk that is a map.

mod accounts;
mod alone;
mod chokes;
mod connections;
mod decisions;
mod demand;
mod disk;
mod fairness;
mod partition;
mod pex;
mod reach;
mod sources;
mod stalls;
mod super_seeding;
mod swarms;
mod wishes;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
};

use bytes::BytesMut;
use potluck_common::{
    Bitfield, BlockSpan, Duration, Geometry, InfoHash, Instant, PeerId, PieceIndex, Printable, Rng,
    control::{EventKind, FilePriority, Limits, PeerSource, TorrentState},
    hash::sha1,
};

use super::{DiskTrouble, Effect, Input, Torrent, TorrentConfig, TorrentFile, TroubleKind};
use crate::{
    PeerKey,
    session::{Direction, Extensions, Session, SessionConfig, SessionEffect, SessionEvent},
};

const STEP: Duration = Duration::from_millis(5);
const DELAY: Duration = Duration::from_millis(10);

/// What the payload holds at each place, the same for everyone.
fn content(span: BlockSpan) -> Vec<u8> {
    let byte =
        |offset: u32| (span.piece.get().wrapping_mul(31).wrapping_add(offset.wrapping_mul(7)) % 251) as u8;
    (span.begin..span.begin + span.length).map(byte).collect()
}

/// One direction of one connection: bytes with the time at which they arrive.
#[derive(Default)]
struct Pipe(VecDeque<(Instant, Vec<u8>)>);

struct Connection {
    session: Session,
    input: BytesMut,
    /// The other end: node and key.
    remote: (usize, PeerKey),
}

struct Node {
    torrent: Torrent,
    address: SocketAddr,
    connections: BTreeMap<PeerKey, Connection>,
    disk: BTreeMap<PieceIndex, Vec<u8>>,
    open: BTreeMap<PieceIndex, BTreeMap<u32, Vec<u8>>>,
    /// Pieces that the disk can hold.
    room: usize,
    /// Complete pieces for which there was no room.
    kept: BTreeMap<PieceIndex, BTreeMap<u32, Vec<u8>>>,
    /// When a piece was to be stored and there was no room.
    refused: Vec<Instant>,
    /// Stores fail as this has it.
    whims: Option<Rng>,
    /// Stores that failed for a defect; three are the end of a torrent.
    defects: u32,
    /// Its disk does nothing for now with what it is handed.
    is_stuck: bool,
    /// What it was handed.
    handed: Vec<PieceIndex>,
    /// What is to be made durable waits in `unsynced`.
    syncs_later: bool,
    unsynced: Vec<u64>,
    events: Vec<EventKind>,
    uplink_bytes_per_second: u64,
    uplink_left: f64,
    poisons: bool,
    finished: bool,
}

impl Node {
    fn store(&mut self, now: Instant, piece: PieceIndex, wanted: &[u8]) -> Input {
        let kept = self.kept.remove(&piece);
        let blocks = kept.or_else(|| self.open.remove(&piece)).expect("a stored piece was open");
        let digests = blocks.values().map(|block| sha1(block)).collect();
        let bytes: Vec<u8> = blocks.values().flatten().copied().collect();
        if bytes != wanted {
            return Input::PieceMismatch(piece, digests);
        }
        let kind = match self.whims.as_mut().map(|whims| whims.below(20)) {
            Some(0..5) => Some(TroubleKind::Full),
            Some(5..10) => Some(TroubleKind::Passing),
            Some(10) if self.defects < 2 => {
                self.defects += 1;
                Some(TroubleKind::Defect)
            }
            _ => (self.disk.len() >= self.room).then_some(TroubleKind::Full),
        };
        if let Some(kind) = kind {
            if kind != TroubleKind::Defect {
                self.kept.insert(piece, blocks);
            }
            self.refused.push(now);
            let message = Printable::new("cannot write f: no space left on the disk");
            return Input::WriteFailed(piece, DiskTrouble { message, kind });
        }
        self.disk.insert(piece, bytes);
        Input::PieceStored(piece, digests)
    }
}

struct World {
    now: Instant,
    geometry: Geometry,
    nodes: Vec<Node>,
    pipes: BTreeMap<(usize, PeerKey), Pipe>,
    next_key: u64,
    trace: Vec<u8>,
    /// When somebody heard on which connection that it is choked (`true`) or unchoked.
    chokes_heard: Vec<(Instant, usize, PeerKey, bool)>,
    steps: u64,
    network: partition::Network,
}

struct Member {
    seeds: bool,
    uplink: u64,
    poisons: bool,
    super_seeds: bool,
}

fn seeder(uplink: u64) -> Member {
    Member { seeds: true, uplink, poisons: false, super_seeds: false }
}

fn leecher(uplink: u64) -> Member {
    Member { seeds: false, uplink, poisons: false, super_seeds: false }
}

fn poisoner(uplink: u64) -> Member {
    Member { seeds: true, uplink, poisons: true, super_seeds: false }
}

impl World {
    fn new(geometry: Geometry, seed: u64, members: &[Member]) -> Self {
        let now = Instant::from_secs(1);
        let address = |number: usize| -> SocketAddr { ([10, 0, 0, number as u8 + 1], 6881).into() };
        let nodes = members.iter().enumerate().map(|(number, member)| {
            let have = if member.seeds {
                Bitfield::full(geometry.pieces())
            } else {
                Bitfield::empty(geometry.pieces())
            };
            let mut id = [b'x'; 20];
            id[19] = number as u8;
            let config = TorrentConfig {
                info_hash: InfoHash([7; 20]),
                name: Printable::new("swarm"),
                geometry,
                have,
                files: vec![TorrentFile {
                    path: Printable::new("swarm"),
                    offset: 0,
                    length: geometry.total(),
                    priority: FilePriority::Normal,
                    padding: false,
                }],
                sequential: false,
                private: false,
                pex: true,
                peer_id: PeerId(id),
                ours: BTreeSet::from([address(number)]),
                trackers: Vec::new(),
                buffer_bytes_max: 4 << 20,
                connections_max: 50,
                dials_max: 8,
                slots: None,
                choker_pace: 1,
                limits: Limits::default(),
                super_seed: member.super_seeds,
                fetches_damaged: true,
            };
            let mut torrent = Torrent::new(config, seed * 1000 + number as u64, now);
            let everyone = (0..members.len()).map(address).collect();
            torrent.handle(now, Input::Candidates(everyone, PeerSource::Tracker));
            let disk = geometry
                .iter()
                .filter(|_| member.seeds)
                .map(|piece| (piece, whole(&geometry, piece)))
                .collect();
            Node {
                torrent,
                address: address(number),
                connections: BTreeMap::new(),
                disk,
                open: BTreeMap::new(),
                room: usize::MAX,
                kept: BTreeMap::new(),
                refused: Vec::new(),
                whims: None,
                defects: 0,
                is_stuck: false,
                handed: Vec::new(),
                syncs_later: false,
                unsynced: Vec::new(),
                events: Vec::new(),
                uplink_bytes_per_second: member.uplink,
                uplink_left: 0.0,
                poisons: member.poisons,
                finished: false,
            }
        });
        Self {
            now,
            geometry,
            nodes: nodes.collect(),
            pipes: BTreeMap::new(),
            next_key: 1,
            trace: Vec::new(),
            chokes_heard: Vec::new(),
            steps: 0,
            network: partition::Network::default(),
        }
    }

    /// Runs until `done` or for `seconds` of virtual time; says which.
    fn run_until(&mut self, seconds: u64, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + Duration::from_secs(seconds);
        while self.now < end {
            self.step();
            if done(self) {
                return true;
            }
        }
        false
    }

    fn step(&mut self) {
        self.now += self.network.step();
        self.steps += 1;
        self.time_out_dials();
        for number in 0..self.nodes.len() {
            self.deliver(number);
            self.upload(number);
            self.collect(number);
            let node = &mut self.nodes[number];
            node.torrent.handle_timeout(self.now);
            node.torrent.settle(self.now);
            if self.steps.is_multiple_of(16) {
                node.torrent.assert_invariants();
            }
            self.carry_out(number);
            self.transmit(number);
        }
    }

    fn deliver(&mut self, number: usize) {
        let keys: Vec<PeerKey> = self.nodes[number].connections.keys().copied().collect();
        for key in keys {
            let pipe = self.pipes.entry((number, key)).or_default();
            let connection = self.nodes[number].connections.get_mut(&key).expect("just listed");
            let is_cut = self.network.is_cut(number, connection.remote.0);
            while !is_cut && pipe.0.front().is_some_and(|(at, _)| *at <= self.now) {
                let (_, bytes) = pipe.0.pop_front().expect("just seen");
                connection.input.extend_from_slice(&bytes);
            }
            connection.session.receive(self.now, &mut connection.input);
            if connection.session.poll_timeout().is_some_and(|at| at <= self.now) {
                connection.session.handle_timeout(self.now);
            }
            if self.steps.is_multiple_of(16) {
                connection.session.assert_invariants();
            }
        }
    }

    fn upload(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        let burst = node.uplink_bytes_per_second as f64 * 0.05 + 20_000.0;
        node.uplink_left =
            (node.uplink_left + node.uplink_bytes_per_second as f64 * STEP.as_secs_f64()).min(burst);
        let mut idle = false;
        while node.uplink_left > 0.0 && !idle {
            idle = true;
            for connection in node.connections.values_mut() {
                let Some(span) = connection.session.next_upload(self.now) else { continue };
                idle = false;
                let mut payload = content(span);
                if node.poisons {
                    payload[0] ^= 0xff;
                }
                let mut bytes = connection.session.output().split().to_vec();
                bytes.extend_from_slice(&Session::piece_header(span));
                bytes.extend_from_slice(&payload);
                node.uplink_left -= payload.len() as f64;
                connection.session.upload_sent(self.now, span);
                self.pipes.entry(connection.remote).or_default().0.push_back((self.now + DELAY, bytes));
            }
        }
    }

    /// Hands what the sessions say to their torrent.
    fn collect(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        let keys: Vec<PeerKey> = node.connections.keys().copied().collect();
        for key in keys {
            let connection = node.connections.get_mut(&key).expect("just listed");
            let (mut events, mut duplicates) = (Vec::new(), Vec::new());
            while let Some(effect) = connection.session.poll_effect() {
                match effect {
                    SessionEffect::Block { span, payload } => {
                        let slot = node.open.get_mut(&span.piece);
                        if slot.is_none_or(|blocks| blocks.contains_key(&span.begin)) {
                            duplicates.push(span);
                        } else {
                            node.open
                                .get_mut(&span.piece)
                                .expect("is open")
                                .insert(span.begin, payload.to_vec());
                        }
                    }
                    SessionEffect::Event(event) => events.push(event),
                    SessionEffect::Close(_) => {}
                }
            }
            let closed = events.iter().any(|event| matches!(event, SessionEvent::Closed(_)));
            for event in &events {
                if matches!(event, SessionEvent::Choked | SessionEvent::Unchoked) {
                    self.chokes_heard.push((self.now, number, key, *event == SessionEvent::Choked));
                }
            }
            if !events.is_empty() {
                self.trace
                    .extend_from_slice(format!("{:?} {number} {key:?} {events:?}", self.now).as_bytes());
                node.torrent.handle(self.now, Input::Peer { peer: key, events, duplicates });
            }
            if closed {
                // The other end sees the connection end.
                let (other, other_key) = node.connections.remove(&key).expect("just listed").remote;
                if self.network.is_cut(number, other) {
                    self.network.unheard.push((other, other_key));
                    return self.collect(number);
                }
                if let Some(connection) = self.nodes[other].connections.get_mut(&other_key) {
                    let reason =
                        crate::session::CloseReason::new(crate::session::Blame::Nobody, "the peer closed");
                    connection.session.handle(self.now, crate::session::SessionCommand::Close(reason));
                }
                return self.collect(number);
            }
        }
    }

    fn carry_out(&mut self, number: usize) {
        while let Some(effect) = self.nodes[number].torrent.poll_effect() {
            let node = &mut self.nodes[number];
            match effect {
                Effect::Peer(key, commands) => {
                    let Some(connection) = node.connections.get_mut(&key) else { continue };
                    for command in commands {
                        connection.session.handle(self.now, command);
                    }
                }
                Effect::Dial(address) => self.connect(number, address),
                Effect::OpenPiece(piece) => drop(node.open.insert(piece, BTreeMap::new())),
                Effect::ClosePiece(piece) => drop((node.open.remove(&piece), node.kept.remove(&piece))),
                Effect::StorePiece { piece, .. } if node.is_stuck => node.handed.push(piece),
                Effect::StorePiece { piece, .. } => {
                    let input = node.store(self.now, piece, &whole(&self.geometry, piece));
                    node.torrent.handle(self.now, input);
                    node.torrent.settle(self.now);
                }
                Effect::VerifyPiece(piece) => {
                    let holds = node.disk.get(&piece) == Some(&whole(&self.geometry, piece));
                    node.torrent.handle(self.now, Input::PieceVerified(piece, Ok(holds)));
                    node.torrent.settle(self.now);
                }
                Effect::Announce(..) => unreachable!("no tracker was given"),
                Effect::Event(kind) => node.events.push(kind),
                Effect::Demand(_) | Effect::WantPeers => {}
                Effect::Completed(time) if node.syncs_later => node.unsynced.push(time),
                Effect::Completed(time) => node.torrent.handle(self.now, Input::Settled(time)),
                Effect::Finished => node.finished = true,
            }
        }
    }

    fn connect(&mut self, from: usize, address: SocketAddr) {
        let to = self.nodes.iter().position(|node| node.address == address).expect("only members are known");
        if self.network.is_cut(from, to) {
            return self.network.hopeless.push((self.now, from, address));
        }
        let keys = [PeerKey(self.next_key), PeerKey(self.next_key + 1)];
        self.next_key += 2;
        let ends = [
            (from, keys[0], Direction::Outgoing, to, keys[1]),
            (to, keys[1], Direction::Incoming, from, keys[0]),
        ];
        for (number, key, direction, other, other_key) in ends {
            let mut remote = self.nodes[other].address;
            if direction == Direction::Incoming {
                remote.set_port(40_000 + key.0 as u16);
            }
            let node = &mut self.nodes[number];
            let config = SessionConfig {
                info_hash: InfoHash([7; 20]),
                peer_id: PeerId({
                    let mut id = [b'x'; 20];
                    id[19] = number as u8;
                    id
                }),
                direction,
                remote,
                geometry: self.geometry,
                listen_port: Some(6881),
                client: "Potluck test",
                upload_only: node.torrent.is_upload_only(),
                private: false,
                extensions: Extensions::default(),
            };
            let session = Session::new(config, &node.torrent.offered(), self.now);
            let connection = Connection { session, input: BytesMut::new(), remote: (other, other_key) };
            node.connections.insert(key, connection);
            node.torrent.handle(self.now, Input::PeerConnected { peer: key, address: remote, direction });
        }
    }

    fn transmit(&mut self, number: usize) {
        for connection in self.nodes[number].connections.values_mut() {
            let output = connection.session.output();
            if !output.is_empty() {
                let bytes = output.split().to_vec();
                self.pipes.entry(connection.remote).or_default().0.push_back((self.now + DELAY, bytes));
            }
        }
    }

    fn all_complete(&self) -> bool {
        self.nodes.iter().all(|node| node.torrent.is_complete())
    }

    fn assert_byte_exact(&self, number: usize) {
        for piece in self.geometry.iter() {
            assert_eq!(
                self.nodes[number].disk[&piece],
                whole(&self.geometry, piece),
                "piece {piece:?} of {number}"
            );
        }
    }
}

fn whole(geometry: &Geometry, piece: PieceIndex) -> Vec<u8> {
    content(BlockSpan { piece, begin: 0, length: geometry.length_of(piece) })
}

fn geometry(total: u64, piece_length: u64) -> Geometry {
    Geometry::new(total, piece_length).expect("in bounds")
}
