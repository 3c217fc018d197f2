//! One torrent by itself, and peers who come, say little and stay.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use potluck_common::{
    Bitfield, BlockSpan, Duration, Geometry, InfoHash, Instant, PeerId, PieceIndex, Printable,
    control::{FilePriority, Limits},
    wire::PexMessage,
};

use crate::{
    PeerKey,
    choker::Demand,
    session::{Blame, CloseReason, Direction, SessionCommand, SessionEvent},
    torrent::{Effect, Input, Torrent, TorrentConfig, TorrentFile},
};

/// The torrent, and what it was told to do with its peers.
pub(super) struct Alone {
    pub(super) torrent: Torrent,
    pub(super) now: Instant,
    next: u64,
    /// The addresses of those who are connected.
    pub(super) there: BTreeMap<PeerKey, SocketAddr>,
    granted: Vec<PieceIndex>,
    /// What it could use of the upload slots, each time that it said so.
    pub(super) demands: Vec<Demand>,
    /// The addresses that it wanted to dial.
    pub(super) dialled: Vec<SocketAddr>,
    /// What it asked of whom.
    pub(super) assigned: Vec<(PeerKey, BlockSpan)>,
    /// Whom it told of which peers, and when.
    pub(super) told: Vec<(Instant, PeerKey, PexMessage)>,
    /// Why it ended which connections.
    pub(super) closed: Vec<(PeerKey, String)>,
    /// What else it wanted done.
    pub(super) effects: Vec<Effect>,
}

impl Alone {
    /// A seed with room for so many.
    pub(super) fn seed(connections_max: usize) -> Self {
        Self::seed_with(connections_max, None)
    }

    /// One whose upload slots are set by its user.
    pub(super) fn seed_with(connections_max: usize, slots: Option<u32>) -> Self {
        Self::of(&Self::config(connections_max, slots))
    }

    /// Somebody who wants all and has nothing.
    pub(super) fn leecher(connections_max: usize) -> Self {
        Self::leecher_with(connections_max, |_| {})
    }

    /// The same with `change` made to what it knows at its birth.
    pub(super) fn leecher_with(connections_max: usize, change: impl FnOnce(&mut TorrentConfig)) -> Self {
        let have = Bitfield::empty(geometry().pieces());
        let mut config = TorrentConfig { have, ..Self::config(connections_max, None) };
        change(&mut config);
        Self::of(&config)
    }

    fn config(connections_max: usize, slots: Option<u32>) -> TorrentConfig {
        let (path, length) = (Printable::new("alone"), geometry().total());
        TorrentConfig {
            info_hash: InfoHash([7; 20]),
            name: Printable::new("alone"),
            geometry: geometry(),
            have: Bitfield::full(geometry().pieces()),
            files: vec![TorrentFile {
                path,
                offset: 0,
                length,
                priority: FilePriority::Normal,
                padding: false,
            }],
            sequential: false,
            private: false,
            pex: true,
            peer_id: PeerId([1; 20]),
            ours: BTreeSet::new(),
            trackers: Vec::new(),
            buffer_bytes_max: 4 << 20,
            connections_max,
            dials_max: 8,
            slots,
            choker_pace: 1,
            limits: Limits::default(),
            super_seed: false,
            fetches_damaged: false,
        }
    }

    fn of(config: &TorrentConfig) -> Self {
        let now = Instant::from_secs(1);
        Self {
            torrent: Torrent::new(config.clone(), 1, now),
            now,
            next: 0,
            there: BTreeMap::new(),
            granted: Vec::new(),
            demands: Vec::new(),
            dialled: Vec::new(),
            assigned: Vec::new(),
            told: Vec::new(),
            closed: Vec::new(),
            effects: Vec::new(),
        }
    }

    /// Somebody connects, completes the handshake and has nothing.
    pub(super) fn join(&mut self, address: &str) -> PeerKey {
        self.join_as(address, self.next)
    }

    pub(super) fn join_as(&mut self, address: &str, name: u64) -> PeerKey {
        let ip: std::net::IpAddr = address.parse().expect("an address");
        let address = SocketAddr::new(ip, 20_001 + self.next as u16);
        self.connect(address, name, Direction::Incoming)
    }

    /// A connection stands, and its handshake is complete.
    pub(super) fn connect(&mut self, address: SocketAddr, name: u64, direction: Direction) -> PeerKey {
        let key = PeerKey(self.next);
        self.next += 1;
        let mut id = [b'-'; 20];
        id[..8].copy_from_slice(&name.to_be_bytes());
        self.there.insert(key, address);
        let connected = Input::PeerConnected { peer: key, address, direction };
        self.torrent.handle(self.now, connected);
        let none = Bitfield::empty(geometry().pieces());
        let handshaken = SessionEvent::Handshaken { peer_id: PeerId(id), fast: true, extended: true };
        self.says(key, vec![handshaken, SessionEvent::Bitfield(none)]);
        key
    }

    pub(super) fn says(&mut self, peer: PeerKey, events: Vec<SessionEvent>) {
        if self.there.contains_key(&peer) {
            self.torrent.handle(self.now, Input::Peer { peer, events, duplicates: Vec::new() });
            self.settle();
        }
    }

    /// Two peers come that between them have every piece, and neither has all.
    fn meets_all_pieces(&mut self) {
        for half in 0..2 {
            let mut has = Bitfield::empty(geometry().pieces());
            for piece in geometry().iter().skip(half).step_by(2) {
                has.insert(piece);
            }
            let key = self.join(&format!("8.8.{half}.8"));
            self.says(key, vec![SessionEvent::Bitfield(has)]);
        }
    }

    pub(super) fn leaves(&mut self, peer: PeerKey) {
        self.there.remove(&peer);
        let events = vec![SessionEvent::Closed(CloseReason::new(Blame::Nobody, "left"))];
        self.torrent.handle(self.now, Input::Peer { peer, events, duplicates: Vec::new() });
        self.settle();
    }

    pub(super) fn settle(&mut self) {
        self.torrent.settle(self.now);
        while let Some(effect) = self.torrent.poll_effect() {
            let (key, commands) = match effect {
                Effect::Peer(key, commands) => (key, commands),
                Effect::Demand(demand) => {
                    self.demands.push(demand);
                    continue;
                }
                Effect::Dial(address) => {
                    self.dialled.push(address);
                    continue;
                }
                other => {
                    self.effects.push(other);
                    continue;
                }
            };
            for command in commands {
                match command {
                    SessionCommand::Close(reason) => {
                        self.closed.push((key, reason.why.to_string()));
                        self.leaves(key);
                    }
                    SessionCommand::Pex(payload) => {
                        let message = PexMessage::decode(&payload).expect("we write what can be read");
                        self.told.push((self.now, key, message));
                    }
                    SessionCommand::AllowFast(pieces) => self.granted.extend(pieces),
                    SessionCommand::Assign(spans) => {
                        self.assigned.extend(spans.into_iter().map(|span| (key, span)));
                    }
                    _ => {}
                }
            }
        }
        self.torrent.assert_invariants();
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            self.torrent.handle_timeout(self.now);
            self.settle();
        }
    }

    fn of_network(&self, begin: &str) -> usize {
        self.there.values().filter(|address| address.ip().to_string().starts_with(begin)).count()
    }
}

pub(super) fn geometry() -> Geometry {
    Geometry::new(64 * 65_536, 65_536).expect("in bounds")
}

#[test]
fn row_2_14_a_flood_from_one_network_displaces_itself() {
    for flood in ["81.2.3.", "2606:1:2:"] {
        let mut alone = Alone::seed(50);
        let honest: Vec<PeerKey> = (0..20).map(|n| alone.join(&format!("9.9.{n}.1"))).collect();
        for minute in 0..3 {
            for n in 0..200 {
                let rest = if flood.contains(':') { format!("{n:x}::1") } else { n.to_string() };
                alone.join(&format!("{flood}{rest}"));
                if n % 20 == minute {
                    alone.pass(1);
                }
            }
        }
        let stayed = honest.iter().filter(|key| alone.there.contains_key(key)).count();
        assert_eq!((stayed, alone.of_network(flood)), (20, 30), "{flood}");
        alone.join("7.7.7.7");
        assert_eq!(alone.of_network("7.7.7"), 1, "and a newcomer is let in");
    }
}

#[test]
fn row_2_14_forty_behind_one_address_are_welcome_while_there_is_room() {
    for (address, room, expected) in
        [("9.9.9.9", 200, 40), ("9.9.9.9", 60, 30), ("192.168.1.1", 50, 40), ("127.0.0.1", 50, 40)]
    {
        let mut alone = Alone::seed(room);
        for _ in 0..40 {
            alone.join(address);
        }
        assert_eq!(alone.of_network(address), expected, "{address} among {room}");
    }
}

#[test]
fn row_2_16_when_it_is_full_those_who_want_nothing_for_ten_minutes_go() {
    let mut alone = Alone::seed(20);
    let dull: Vec<PeerKey> = (0..10).map(|n| alone.join(&format!("9.9.{n}.1"))).collect();
    let keen: Vec<PeerKey> = (0..7).map(|n| alone.join(&format!("8.8.{n}.1"))).collect();
    for key in &keen {
        alone.says(*key, vec![SessionEvent::Interested]);
    }
    alone.pass(1_200);
    assert_eq!(alone.there.len(), 17, "there is room");
    let late = alone.join("7.7.7.7");
    // It says again and again what it said before.
    for _ in 0..599 {
        for key in &dull {
            alone.says(*key, vec![SessionEvent::NotInterested]);
        }
        alone.pass(1);
    }
    assert!(dull.iter().all(|key| !alone.there.contains_key(key)));
    assert!(keen.iter().chain([&late]).all(|key| alone.there.contains_key(key)));
}

#[test]
fn in_a_flash_crowd_the_only_source_allows_nothing_fast() {
    let mut alone = Alone::seed(50);
    for n in 0..5 {
        alone.join(&format!("9.9.9.{n}"));
    }
    assert_eq!(alone.granted, [], "what each would get nobody else has");
    alone.meets_all_pieces();
    alone.join("9.9.9.9");
    assert!(!alone.granted.is_empty(), "now they can be had of others");
}

#[test]
fn row_2_17_reconnecting_grants_no_more_pieces() {
    let mut alone = Alone::seed(50);
    alone.meets_all_pieces();
    let mut first = alone.join("9.9.9.9");
    assert!((1..=10).contains(&alone.granted.len()), "{:?}", alone.granted);
    let granted = alone.granted.len();
    for name in 0..100 {
        alone.leaves(first);
        first = alone.join_as("9.9.9.9", name);
        let none = Bitfield::empty(geometry().pieces());
        alone.says(first, vec![SessionEvent::Bitfield(none)]);
    }
    assert_eq!(alone.granted.len(), granted);
    alone.pass(3_600);
    alone.leaves(first);
    alone.join("9.9.9.9");
    assert_eq!(alone.granted.len(), 2 * granted, "an hour later it may be in need again");
}

#[test]
fn a_seed_that_nobody_wants_asks_for_no_attention() {
    let mut alone = Alone::seed(50);
    alone.torrent.handle(alone.now, Input::Settled(1));
    alone.settle();
    assert!(alone.torrent.is_idle());
    assert_eq!(alone.torrent.poll_timeout(), None, "no tracker, nobody there");
    alone.pass(3600);
    let peer = alone.join("9.9.9.9");
    assert!(!alone.torrent.is_idle());
    assert!(alone.torrent.poll_timeout().is_some_and(|at| at <= alone.now + Duration::from_secs(10)));
    alone.leaves(peer);
    assert_eq!(alone.torrent.poll_timeout(), None);
}

#[test]
fn row_5_9_ten_years_and_jumps_of_the_clock_overflow_nothing() {
    let year = Duration::from_secs(365 * 86_400);
    let mut alone = Alone::seed(50);
    for jump in [Duration::from_secs(3_600), year, 9 * year, 1_000 * year, Duration::MAX] {
        let key = alone.join("9.9.9.9");
        alone.says(key, vec![SessionEvent::Interested, SessionEvent::Uploaded(1 << 40)]);
        alone.now += jump;
        alone.pass(5);
        alone.says(key, vec![SessionEvent::Uploaded(1 << 40), SessionEvent::Wasted(1)]);
        let snapshot = alone.torrent.snapshot(alone.now);
        assert!(snapshot.age_seconds.is_finite() && snapshot.uploaded >= 1 << 40);
        // A clock that was put back is none of ours, and does no harm either.
        alone.torrent.handle_timeout(Instant::from_secs(2));
        alone.settle();
    }
}
