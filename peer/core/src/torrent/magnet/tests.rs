//! The machine among honest and hostile peers, without sockets.

use std::{collections::BTreeSet, net::SocketAddr};

use bytes::Bytes;
use potluck_common::{
    Duration, InfoHash, Instant, PeerId, Printable, Rng, control::TorrentState, hash::sha1,
    limits::METADATA_PIECE_BYTES, wire::PexMessage,
};

use super::{Magnet, MagnetConfig, MagnetEffect, MagnetInput};
use crate::{
    PeerKey,
    metadata::Expected,
    session::{Direction, MetadataCommand, MetadataEvent},
    torrent::Source,
};

struct World {
    machine: Magnet,
    info: Bytes,
    now: Instant,
    next_key: u64,
    /// Whether who is dialled there lies.
    lies: fn(SocketAddr) -> bool,
    /// Whether who is there says that it has the metadata, and answers nothing.
    is_silent: fn(SocketAddr) -> bool,
    /// Whether nobody is there.
    is_dead: fn(SocketAddr) -> bool,
    /// How often more peers were asked for.
    wants: u32,
    closed: Vec<(SocketAddr, String)>,
    peers: Vec<(PeerKey, SocketAddr)>,
    complete: Option<Bytes>,
    is_finished: bool,
}

fn address(number: u8) -> SocketAddr {
    ([10, 0, 0, number], 6881).into()
}

impl World {
    fn new(lies: fn(SocketAddr) -> bool) -> Self {
        let mut info = vec![0; 100_000];
        Rng::new(5).fill(&mut info);
        let now = Instant::from_secs(10);
        let hash = InfoHash(sha1(&info));
        let config = MagnetConfig {
            info_hash: hash,
            expected: Expected { v1: Some(hash), v2: None },
            name: Printable::new("a name"),
            peer_id: PeerId([1; 20]),
            ours: BTreeSet::new(),
            trackers: Vec::new(),
            connections_max: 200,
            dials_max: 16,
        };
        Self {
            machine: Magnet::new(config, 3, now),
            info: info.into(),
            now,
            next_key: 0,
            lies,
            is_silent: |_| false,
            is_dead: |_| false,
            wants: 0,
            closed: Vec::new(),
            peers: Vec::new(),
            complete: None,
            is_finished: false,
        }
    }

    fn knows(&mut self, numbers: std::ops::Range<u8>) {
        let addresses = numbers.map(address).collect();
        self.machine.handle(self.now, MagnetInput::Candidates(addresses, Source::Tracker));
    }

    fn tells(&mut self, peer: PeerKey, event: MetadataEvent) {
        self.machine.handle(self.now, MagnetInput::Peer(peer, vec![event]));
    }

    fn runs(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.machine.settle(self.now);
            while let Some(effect) = self.machine.poll_effect() {
                self.carry_out(effect);
            }
            self.machine.assert_invariants();
            self.machine.settle(self.now);
            if let Some(effect) = self.machine.poll_effect() {
                self.carry_out(effect);
                continue;
            }
            let next = self.machine.poll_timeout().filter(|next| *next <= end && self.complete.is_none());
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            self.machine.handle_timeout(self.now);
        }
    }

    fn carry_out(&mut self, effect: MagnetEffect) {
        match effect {
            MagnetEffect::Dial(address) if (self.is_dead)(address) => {
                self.machine.handle(self.now, MagnetInput::DialFailed(address));
            }
            MagnetEffect::Dial(address) => drop(self.connects(address, Direction::Outgoing)),
            MagnetEffect::WantPeers => self.wants += 1,
            MagnetEffect::Peer(peer, commands) => {
                for command in commands {
                    self.obeys(peer, command);
                }
            }
            MagnetEffect::Complete(info) => self.complete = Some(info),
            MagnetEffect::Finished => self.is_finished = true,
            _ => {}
        }
    }

    fn connects(&mut self, address: SocketAddr, direction: Direction) -> PeerKey {
        self.next_key += 1;
        let peer = PeerKey(self.next_key);
        self.peers.push((peer, address));
        self.machine.handle(self.now, MagnetInput::PeerConnected { peer, address, direction });
        let mut peer_id = [0; 20];
        peer_id[..8].copy_from_slice(&peer.0.to_be_bytes());
        let peer_id = PeerId(peer_id);
        self.tells(peer, MetadataEvent::Handshaken { peer_id, extended: true });
        self.tells(
            peer,
            MetadataEvent::Extended {
                client: None,
                listen_port: None,
                your_ip: None,
                gives_metadata: true,
                metadata_size: Some(self.info.len() as u32),
            },
        );
        peer
    }

    fn obeys(&mut self, peer: PeerKey, command: MetadataCommand) {
        match command {
            MetadataCommand::Ask(piece) => {
                let address = self.peers.iter().find(|(key, _)| *key == peer).expect("it is connected").1;
                if (self.is_silent)(address) {
                    return;
                }
                let begin = (piece * METADATA_PIECE_BYTES) as usize;
                let payload =
                    self.info.slice(begin..self.info.len().min(begin + METADATA_PIECE_BYTES as usize));
                let payload = if (self.lies)(address) { vec![1; payload.len()].into() } else { payload };
                self.tells(peer, MetadataEvent::Data { piece, total_size: None, payload });
            }
            MetadataCommand::Close(reason) => {
                let (_, address) = self.peers.iter().find(|(key, _)| *key == peer).expect("it is connected");
                self.closed.push((*address, reason.why.to_string()));
                self.peers.retain(|(key, _)| *key != peer);
                self.tells(peer, MetadataEvent::Closed(reason));
            }
        }
    }
}

#[test]
fn metadata_comes_from_those_whose_addresses_are_known() {
    let mut world = World::new(|_| false);
    let words = world.machine.waits_for();
    assert_eq!(words, "waiting for a peer that has the metadata: the link names no tracker and no peer");
    assert_eq!(world.machine.summary(world.now).state, TorrentState::Metadata { have: 0, size: None });
    world.knows(1..5);
    world.runs(Duration::from_secs(10));
    assert_eq!(world.complete.as_ref(), Some(&world.info));
}

#[test]
fn row_1_12_liars_are_banned_and_the_honest_one_is_heard() {
    let mut world = World::new(|address| address.ip() != std::net::IpAddr::from([10, 0, 0, 40]));
    world.knows(1..20);
    world.runs(Duration::from_secs(60));
    assert_eq!(world.complete, None);
    assert!(world.machine.waits_for().contains("was something else"), "{}", world.machine.waits_for());
    world.knows(40..41);
    world.runs(Duration::from_secs(60));
    assert_eq!(world.complete.as_ref(), Some(&world.info));
    assert!(world.next_key <= 20, "who is banned is not dialled again: {}", world.next_key);
}

#[test]
fn silent_claimants_stop_no_dialling_and_keep_nobody_out() {
    for silent in [8, 39, 40, 60] {
        let mut world = World::new(|_| false);
        world.is_silent = |address| address.ip() != std::net::IpAddr::from([10, 0, 0, 100]);
        world.knows(1..silent + 1);
        world.runs(Duration::from_secs(2));
        assert_eq!(world.peers.len(), usize::from(silent).min(40));
        world.knows(100..101);
        world.runs(Duration::from_secs(120));
        assert_eq!(world.complete.as_ref(), Some(&world.info), "{silent}");
    }
}

#[test]
fn one_host_does_not_fill_the_room() {
    let mut world = World::new(|_| true);
    world.is_silent = |_| true;
    let host = |port: u16| SocketAddr::from(([8, 8, 8, 8], port));
    for port in 1..=60 {
        world.connects(host(port), Direction::Incoming);
        world.runs(Duration::ZERO);
    }
    assert_eq!(world.peers.len(), 20, "half of the room while nobody else is here");
    for number in 1..=30 {
        world.connects(address(number), Direction::Incoming);
    }
    world.runs(Duration::from_secs(60));
    assert!(world.peers.len() > 20, "{}", world.peers.len());
}

#[test]
fn more_peers_are_asked_for_while_all_that_are_known_are_dead() {
    let mut world = World::new(|_| false);
    world.is_dead = |_| true;
    world.knows(1..3);
    world.runs(Duration::from_secs(200));
    assert!((3..=4).contains(&world.wants), "once a minute: {}", world.wants);
}

#[test]
fn row_2_12_peer_exchange_comes_no_more_often_than_once_a_minute() {
    for (every, closes) in [(1, true), (29, true), (31, false), (60, false)] {
        let mut world = World::new(|_| false);
        world.is_silent = |_| true;
        let peer = world.connects(address(1), Direction::Incoming);
        for _ in 0..10 {
            let message = PexMessage::default().encode().into();
            world.tells(peer, MetadataEvent::Pex(message));
            world.runs(Duration::from_secs(every));
        }
        let why = world.closed.first().map(|(_, why)| why.as_str());
        assert_eq!(why.is_some_and(|why| why.contains("peer exchange")), closes, "every {every} s: {why:?}");
    }
}

#[test]
fn of_a_private_torrent_only_those_go_on_whom_a_tracker_or_the_user_named() {
    let mut world = World::new(|_| false);
    world.is_silent = |_| true;
    let sources = [Source::Tracker, Source::User, Source::Dht, Source::Lsd, Source::Pex];
    for (number, source) in (1..).zip(sources) {
        world.machine.handle(world.now, MagnetInput::Candidates(vec![address(number)], source));
    }
    world.runs(Duration::from_secs(10));
    let comes = |world: &mut World, number, listen_port| {
        let peer =
            world.connects((address(number).ip(), 50_000 + u16::from(number)).into(), Direction::Incoming);
        let event = MetadataEvent::Extended {
            client: None,
            listen_port,
            your_ip: None,
            gives_metadata: true,
            metadata_size: Some(world.info.len() as u32),
        };
        world.tells(peer, event);
        peer
    };
    comes(&mut world, 6, Some(6881));
    comes(&mut world, 7, None);
    world.machine.handle(world.now, MagnetInput::Candidates(vec![address(8)], Source::Tracker));
    comes(&mut world, 8, Some(6881));
    assert_eq!(world.peers.len(), 8);
    let last = |ip: std::net::IpAddr| match ip {
        std::net::IpAddr::V4(ip) => ip.octets()[3],
        std::net::IpAddr::V6(_) => 0,
    };
    for (is_private, expected) in [(false, vec![1, 2, 3, 4, 5, 6, 7, 8]), (true, vec![1, 2, 8])] {
        let goes_on = world.peers.iter().filter(|(key, _)| world.machine.goes_on(*key, is_private));
        let mut goes_on: Vec<u8> = goes_on.map(|(_, address)| last(address.ip())).collect();
        goes_on.sort_unstable();
        assert_eq!(goes_on, expected, "private: {is_private}");
        // Those who listen where they said are here.
        let known = world.machine.addresses(is_private).map(|(address, _)| last(address.ip()));
        let expected: Vec<u8> = expected.into_iter().filter(|number| *number < 6).collect();
        assert_eq!(known.collect::<Vec<u8>>(), expected, "private: {is_private}");
    }
}

#[test]
fn it_stops_at_once() {
    let mut world = World::new(|_| true);
    world.knows(1..3);
    world.runs(Duration::from_secs(1));
    world.machine.handle(world.now, MagnetInput::Stop);
    world.runs(Duration::ZERO);
    assert!(world.is_finished && world.peers.is_empty());
}

fn listens(port: u16) -> MetadataEvent {
    let (client, your_ip, metadata_size) = (None, None, None);
    MetadataEvent::Extended { client, listen_port: Some(port), your_ip, gives_metadata: true, metadata_size }
}

impl World {
    /// A connection whose peer id is this byte throughout: greater than ours.
    fn has_id(&mut self, address: SocketAddr, direction: Direction, id: u8) -> PeerKey {
        self.next_key += 1;
        let peer = PeerKey(self.next_key);
        self.peers.push((peer, address));
        self.machine.handle(self.now, MagnetInput::PeerConnected { peer, address, direction });
        self.tells(peer, MetadataEvent::Handshaken { peer_id: PeerId([id; 20]), extended: true });
        peer
    }

    fn is_there(&self, peer: PeerKey) -> bool {
        self.peers.iter().any(|(key, _)| *key == peer)
    }
}

#[test]
fn row_2_12_whoever_names_port_after_port_stands_for_one_address() {
    let mut world = World::new(|_| false);
    let peer = world.has_id(([10, 0, 0, 9], 50_000).into(), Direction::Incoming, 9);
    (1..=500).for_each(|port| world.tells(peer, listens(port)));
    world.runs(Duration::from_secs(1));
    assert!(world.is_there(peer));
    assert_eq!(world.machine.book.addresses().count(), 1);
    world.obeys(peer, MetadataCommand::Close(crate::session::CloseReason::new(super::Blame::Nobody, "left")));
    world.machine.assert_invariants();
    assert_eq!(world.machine.book.connected_ones().count(), 0);
}

#[test]
fn whoever_copies_a_peer_id_does_not_take_its_owners_place() {
    let mut world = World::new(|_| false);
    world.knows(5..6);
    world.machine.settle(world.now);
    while world.machine.poll_effect().is_some() {}
    let owner = world.has_id(address(5), Direction::Outgoing, 5);
    world.now += Duration::from_secs(60);
    let thief = world.has_id(([10, 0, 0, 66], 50_000).into(), Direction::Incoming, 5);
    assert!(world.is_there(owner) && world.is_there(thief));
    world.machine.settle(world.now);
    while let Some(effect) = world.machine.poll_effect() {
        if let MagnetEffect::Peer(peer, commands) = effect {
            let closes = commands.into_iter().filter(|said| matches!(said, MetadataCommand::Close(_)));
            closes.for_each(|command| world.obeys(peer, command));
        }
    }
    assert!(!world.is_there(thief) && world.is_there(owner));
    world.machine.assert_invariants();
}
