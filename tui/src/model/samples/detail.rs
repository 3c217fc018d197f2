//! The first torrent from near: peers of every kind, pieces with holes, files in folders, trackers.

use std::net::{Ipv6Addr, SocketAddr};

use potluck_common::{
    Rng,
    control::{
        About, Aspects, DiscoverySnapshot, DiscoveryState, FairnessSnapshot, FilePriority, FileSnapshot,
        PeerBalance, PeerDirection, PeerSlot, PeerSnapshot, PeerSource, PieceHolders, PieceState, SlotRound,
        TorrentDetail, TrackerSnapshot, TrackerState,
    },
};

use super::{PIECES, hash};

const MIB: u64 = 1 << 20;
const CLIENTS: [&str; 9] = [
    "qBittorrent 5.1.0",
    "Transmission 4.1",
    "libtorrent 2.1",
    "rqbit 9.1",
    "unknown -XX0001-",
    "Xunlei 0.0.1",
    "Deluge 2.2",
    "Potluck 1.0.0",
    "µTorrent 3.6 日本語",
];

/// Where the samples are known from; no magnet link named any.
const SOURCES: [PeerSource; 7] = [
    PeerSource::Incoming,
    PeerSource::Pex,
    PeerSource::Lsd,
    PeerSource::Dht,
    PeerSource::Tracker,
    PeerSource::Resume,
    PeerSource::User,
];

pub(super) fn lists(peers: u32, rng: &mut Rng) -> TorrentDetail {
    let peers: Vec<PeerSnapshot> = (0..peers).map(|index| peer(index, rng)).collect();
    TorrentDetail {
        about: Some(about()),
        holders: vec![PieceHolders {
            piece: 1_200,
            peers: peers.iter().take(3).map(|peer| peer.address).collect(),
        }],
        peers,
        trackers: trackers(),
        discovery: discovery(),
        files: files(),
        pieces: pieces(rng),
        fairness: None,
        made: Aspects::ALL,
    }
}

fn about() -> About {
    About {
        directory: "/home/ada/Downloads".into(),
        comment: "\"Debian CD from cdimage.debian.org\"".into(),
        creator: "mktorrent 1.1".into(),
        created_at: Some(1_757_168_400),
        is_private: false,
        magnet:
            "magnet:?xt=urn:btih:9e3779b1a5a5a5a5a5a5a5a5a5a5a5a500000001&dn=debian-13.2.0-amd64-DVD-1.iso\
                 &tr=udp%3A%2F%2Ftracker.a.example%3A6969"
                .into(),
    }
}

/// One peer. The first ten are one of each kind, the others any.
pub(super) fn peer(index: u32, rng: &mut Rng) -> PeerSnapshot {
    let number = index % 10;
    let mut peer = plain(index, rng);
    match number {
        0..=3 => repaying(&mut peer, index, rng),
        // One is on trial at a time; the others wait.
        4 if index == 4 => {
            peer.up_rate = 195_000;
            peer.uploaded = 419_000;
            peer.slot = PeerSlot::Optimistic;
            (peer.we_choke, peer.pieces_have, peer.debt) = (false, 0, 419_000);
            peer.why = "trial 18 of 30 s: 0.40 of 2.00 MiB".into();
        }
        5 => {
            (peer.uploaded, peer.pieces_have, peer.debt) = (2 * MIB, 0, 2 * MIB);
            peer.why = "credit used: sent 2.00 MiB, got nothing".into();
        }
        4 | 6 => peer.why = "waits for a trial: chance 22 %".into(),
        7 => {
            (peer.downloaded, peer.uploaded, peer.debt) = (9 * MIB, 12 * MIB, 3 * MIB);
            (peer.snubs_us, peer.chokes_us) = (true, false);
            peer.why = "snubs us for 74 s".into();
        }
        8 => {
            (peer.is_seed, peer.pieces_have, peer.is_interested) = (true, PIECES, false);
            (peer.chokes_us, peer.down_rate) = (false, 200_000 + u64::from(rng.below(900_000)));
            peer.downloaded = peer.down_rate * 30;
            peer.age_seconds += 40.0;
            peer.why = "is a seed, wants nothing".into();
        }
        _ => {
            (peer.is_interested, peer.downloaded, peer.pieces_have) = (false, 4 * MIB, PIECES * 99 / 100);
            peer.why = "not interested in us".into();
        }
    }
    peer
}

/// A peer that does nothing.
fn plain(index: u32, rng: &mut Rng) -> PeerSnapshot {
    PeerSnapshot {
        address: address(index),
        direction: if index.is_multiple_of(3) { PeerDirection::Outgoing } else { PeerDirection::Incoming },
        source: SOURCES[index as usize * 5 % SOURCES.len()],
        client: CLIENTS[index as usize % CLIENTS.len()].into(),
        pieces_have: 1 + rng.below(PIECES - 1),
        is_seed: false,
        down_rate: 0,
        up_rate: 0,
        downloaded: 0,
        uploaded: 0,
        chokes_us: true,
        we_are_interested: index % 10 != 4,
        we_choke: true,
        is_interested: true,
        slot: PeerSlot::None,
        snubs_us: false,
        why: "".into(),
        rank: None,
        debt: 0,
        age_seconds: f64::from(index * 37 % 4_000) + 8.0,
    }
}

fn repaying(peer: &mut PeerSnapshot, index: u32, rng: &mut Rng) {
    let rank = index / 10 * 4 + index % 10 + 1;
    peer.down_rate = 1_990_000 / u64::from(rank) + u64::from(rng.below(9_000));
    peer.chokes_us = false;
    peer.rank = Some(rank);
    peer.downloaded = (398 * MIB) / u64::from(rank);
    peer.uploaded = (186 * MIB) / u64::from(rank);
    peer.age_seconds += 1.2 * peer.downloaded as f64 / peer.down_rate as f64;
    if rank <= 4 {
        (peer.we_choke, peer.slot) = (false, PeerSlot::Earned);
        peer.up_rate = 410_000 - 9_000 * u64::from(rank);
        peer.why = format!("repays {} kB/s", peer.down_rate / 1000).as_str().into();
    } else {
        peer.why = "slower than the 4 best".into();
    }
}

fn address(index: u32) -> SocketAddr {
    let port = 6881 + (index * 911 % 50_000) as u16;
    if index % 10 == 9 {
        return (Ipv6Addr::new(0x2001, 0xdb8, 0, 7, 0, 0, 0, index as u16 + 9), port).into();
    }
    (
        [[203, 0, 113, index as u8], [198, 51, 100, index as u8], [192, 0, 2, index as u8]]
            [index as usize % 3],
        port,
    )
        .into()
}

/// Runs of pieces that we have, and availability in waves, with a few rare ones and holes.
fn pieces(rng: &mut Rng) -> Vec<PieceState> {
    let mut left = 1_893;
    (0..PIECES)
        .map(|piece| {
            let wave = 8.0 + 6.0 * (f64::from(piece) / 90.0).sin() + f64::from(rng.below(4));
            // What is rare was fetched first.
            let chance = (132.0 - 7.0 * wave).clamp(15.0, 100.0) as u32;
            let is_due = PIECES - piece <= left || rng.below(100) < chance;
            let have = left > 0 && is_due;
            let availability = match piece {
                700..=702 | 2_411 => 0,
                1_200..=1_206 => 3,
                _ => wave as u16,
            };
            let have = have && availability != 0 && !(1_200..=1_206).contains(&piece);
            left -= u32::from(have);
            let in_flight = !have && availability > 0 && rng.below(80) == 0;
            PieceState { have, in_flight, is_skipped: false, availability }
        })
        .collect()
}

fn files() -> Vec<FileSnapshot> {
    use FilePriority::{High, Low, Normal, Skip};
    let file = |path: &str, length: u64, percent: u64, priority| FileSnapshot {
        path: path.into(),
        length,
        have: length / 100 * percent + if percent == 100 { length % 100 } else { 0 },
        priority,
    };
    vec![
        file("debian-13/README.txt", 6_812, 100, High),
        file("debian-13/images/debian-13.2.0-amd64-DVD-1.iso", 2_900 * MIB, 64, Normal),
        file("debian-13/images/debian-13.2.0-amd64-netinst.iso", 160 * MIB, 100, High),
        file("debian-13/doc/de/installationsanleitung.pdf", 3 * MIB, 12, Low),
        file("debian-13/doc/en/install.pdf", 3 * MIB, 100, Normal),
        file("debian-13/doc/ja/インストールガイド.pdf", 4 * MIB, 0, Skip),
        file("debian-13/SHA512SUMS", 412, 100, Normal),
    ]
}

fn trackers() -> Vec<TrackerSnapshot> {
    let tracker = |url: &str, tier, state, message: &str, next, swarm: Option<(u32, u32)>| TrackerSnapshot {
        url: url.into(),
        tier,
        state,
        message: message.into(),
        failures: if state == TrackerState::Failed { 3 } else { 0 },
        next_seconds: next,
        seeders: swarm.map(|swarm| swarm.0),
        leechers: swarm.map(|swarm| swarm.1),
        peers: swarm.map_or(0, |swarm| swarm.0 + swarm.1),
    };
    vec![
        tracker(
            "udp://tracker.a.example:6969",
            0,
            TrackerState::Working,
            "200 peers, 3 new",
            Some(1_320),
            Some((12, 31)),
        ),
        tracker("https://t.b.example/announce", 0, TrackerState::Announcing, "", None, Some((11, 28))),
        tracker(
            "http://dead.example/announce",
            1,
            TrackerState::Failed,
            "timed out after 15 s",
            Some(240),
            None,
        ),
        tracker("udp://[2001:db8::53]:1337", 2, TrackerState::Idle, "", None, None),
    ]
}

fn discovery() -> Vec<DiscoverySnapshot> {
    use DiscoveryState::{Off, Searching, Working};
    let source = |source, state, message: &str, found, connected, next| DiscoverySnapshot {
        source,
        state,
        message: message.into(),
        found,
        connected,
        next_seconds: next,
    };
    vec![
        source(PeerSource::Dht, Searching, "asked 40 nodes", 38, 12, Some(660)),
        source(PeerSource::Pex, Working, "17 peers tell", 21, 9, None),
        source(PeerSource::Lsd, Off, "switched off", 0, 0, None),
        source(PeerSource::Incoming, Working, "", 2, 2, None),
    ]
}

/// How uploads are shared, of one torrent or of all.
pub(super) fn fairness(of_one: bool, up_rate: u64) -> FairnessSnapshot {
    let round = |earned, optimistic, empty| SlotRound { earned, optimistic, turns: 0, empty };
    let balance = |index: u32, received: u64, sent: u64| PeerBalance {
        info_hash: hash(1),
        address: address(index),
        client: CLIENTS[index as usize % CLIENTS.len()].into(),
        received,
        sent,
    };
    FairnessSnapshot {
        slots_earned: 4,
        slots_optimistic: 1,
        is_automatic: true,
        next_round_seconds: Some(6),
        rounds: if of_one {
            (0..12).map(|number| if number == 8 { round(3, 1, 1) } else { round(4, 1, 0) }).collect()
        } else {
            Vec::new()
        },
        up_rate,
        up_capacity: Some(3 << 20),
        to_repaying: 961 * MIB,
        to_trials: 26 * MIB,
        to_never_repaying: 13 * MIB,
        while_seeding: 3 << 30,
        from_seeds: 412 * MIB,
        jain: Some(0.97),
        trials_in_vain: 14,
        trials: 61,
        is_attacked: false,
        feeders: vec![
            balance(0, 398 * MIB, 186 * MIB),
            balance(1, 201 * MIB, 105 * MIB),
            balance(2, 161 * MIB, 90 * MIB),
            balance(3, 120 * MIB, 60 * MIB),
            balance(9, 4 * MIB, 0),
        ],
        debtors: vec![balance(7, 9 * MIB, 12 * MIB), balance(5, 0, 2 * MIB), balance(4, 0, 419_000)],
    }
}
