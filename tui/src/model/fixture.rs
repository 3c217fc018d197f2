//! A demo in the middle of its run, made of a seed, for the tests of the screens.

use std::{net::IpAddr, sync::Arc};

use potluck_common::{
    InfoHash, Printable, Rng,
    control::{
        EventKind, PeerAction, PeerDecision, PeerDirection, PeerSlot, PeerSnapshot, PeerSource, PieceState,
        TorrentDetail, TorrentSnapshot, TorrentState, TorrentSummary, TrackerSnapshot, TrackerState,
    },
};

use super::demo::{Demo, Member, Phase, Role};
use crate::update::demo::{Message, update};

const PIECE_LENGTH: u32 = 256 * 1024;
const PIECES: u32 = 192;

fn ip(index: usize) -> IpAddr {
    IpAddr::from([127, 77, 0, index as u8 + 1])
}

/// A seeder, six leechers and a free rider that nothing is known of.
pub(crate) fn fresh() -> Demo {
    let mut members = vec![Member::new("seeder", Role::Seeder, ip(0))];
    members.extend((1..=6).map(|n| Member::new(&format!("leecher {n}"), Role::Leecher, ip(n))));
    members.push(Member::new("free rider", Role::FreeRider, ip(7)));
    Demo::new(u64::from(PIECE_LENGTH) * u64::from(PIECES), PIECE_LENGTH, 3 << 19, members)
}

/// The same swarm after 17 s.
pub(crate) fn midway() -> Demo {
    let mut demo = fresh();
    demo.tracker = "http://127.77.0.100:40001/announce".into();
    update(&mut demo, Message::Phase(Phase::Sharing));
    let mut rng = Rng::new(7);
    for (index, have) in [192, 96, 110, 84, 131, 192, 40, 12].into_iter().enumerate() {
        update(&mut demo, Message::Tick(2.0 * index as f64 + 1.25));
        update(&mut demo, Message::Snapshot(index, Arc::new(snapshot(index, have, &mut rng))));
    }
    for step in 0..60 {
        update(&mut demo, Message::Tick(2.0 + 0.25 * f64::from(step)));
        *demo.speed.back_mut().expect("just pushed") = 1_000_000 + u64::from(rng.below(6_000_000));
    }
    update(&mut demo, Message::Happened(1, decision(2, PeerAction::Unchoke, "repays 812 kB/s")));
    update(&mut demo, Message::Happened(4, decision(7, PeerAction::Choke, "credit used: owes 524 kB")));
    let lapse = "time lapse: members choose whom to give to every 1.0 s instead of every 10 s";
    update(&mut demo, Message::Note(lapse.into()));
    update(&mut demo, Message::Happened(7, EventKind::Stalled { why: "7 of 7 peers choke us".into() }));
    demo
}

/// A swarm that has just ended.
pub(crate) fn over() -> Demo {
    let mut demo = midway();
    let mut rng = Rng::new(8);
    for index in 0..7 {
        update(&mut demo, Message::Tick(34.5));
        update(&mut demo, Message::Snapshot(index, Arc::new(snapshot(index, PIECES, &mut rng))));
    }
    update(&mut demo, Message::Phase(Phase::Over("six copies, every byte as it was sent".into())));
    demo
}

/// What was decided about the member with this index.
fn decision(peer: usize, action: PeerAction, why: &str) -> EventKind {
    EventKind::Decision(PeerDecision {
        peer: (ip(peer), 51_413).into(),
        action,
        why: why.into(),
        rank: None,
        rate: 0,
        debt: 0,
        age_seconds: 16.0,
    })
}

fn snapshot(index: usize, have: u32, rng: &mut Rng) -> TorrentSnapshot {
    let mut order: Vec<u32> = (0..PIECES).collect();
    rng.shuffle(&mut order);
    let mut piece_states = vec![PieceState { availability: 3, ..PieceState::default() }; PIECES as usize];
    for piece in &order[..have as usize] {
        piece_states[*piece as usize].have = true;
    }
    let (is_complete, is_free_rider) = (have == PIECES, index == 7);
    let have_size = u64::from(have) * u64::from(PIECE_LENGTH);
    let peers: Vec<PeerSnapshot> =
        (0..8).filter(|other| *other != index).map(|other| peer(index, other, rng)).collect();
    let summary = TorrentSummary {
        info_hash: InfoHash([7; 20]),
        name: Printable::new("potluck-demo.bin"),
        state: if is_complete { TorrentState::Seeding } else { TorrentState::Downloading },
        is_durable: is_complete,
        total_size: u64::from(PIECE_LENGTH) * u64::from(PIECES),
        wanted_size: u64::from(PIECE_LENGTH) * u64::from(PIECES),
        wanted_have: have_size,
        have_size,
        piece_length: PIECE_LENGTH,
        pieces: PIECES,
        pieces_have: have,
        downloaded: if index == 0 { 0 } else { have_size },
        uploaded: match index {
            0 => 62_000_000,
            7 => 0,
            _ => u64::from(rng.below(60_000_000)),
        },
        wasted: 0,
        hash_failures: 0,
        down_rate: if is_complete { 0 } else { u64::from(rng.below(2_000_000)) },
        up_rate: if is_free_rider { 0 } else { u64::from(rng.below(2_000_000)) },
        eta_seconds: (!is_complete && !is_free_rider).then(|| u64::from(rng.below(60))),
        unchoked_by: 3,
        unchoked: 2,
        seeds_connected: 2,
        leechers_connected: 5,
        seeds_known: Some(2),
        leechers_known: Some(6),
        candidates: 0,
        distributed_copies: 2.5,
        age_seconds: 17.0,
        stall: is_free_rider.then(|| "7 of 7 peers choke us".into()),
        pace: None,
        trouble: None,
    };
    let detail = TorrentDetail {
        peers,
        discovery: Vec::new(),
        trackers: vec![TrackerSnapshot {
            url: "http://127.77.0.100:40001/announce".into(),
            tier: 0,
            state: TrackerState::Working,
            message: "7 peers".into(),
            failures: 0,
            next_seconds: Some(20),
            seeders: Some(2),
            leechers: Some(6),
            peers: 7,
        }],
        pieces: piece_states,
        ..TorrentDetail::default()
    };
    TorrentSnapshot { summary, detail }
}

fn peer(index: usize, other: usize, rng: &mut Rng) -> PeerSnapshot {
    let gives = index != 7 && other != 7 && other != 0 && rng.below(2) == 0;
    let up_rate = if gives { u64::from(rng.below(900_000)) } else { 0 };
    let (is_tried, is_interested) = (index == 3 && other == 7, other != 0);
    let rank = (gives && index != 0).then_some(other as u32);
    PeerSnapshot {
        address: (ip(other), 51_413).into(),
        direction: PeerDirection::Outgoing,
        source: PeerSource::Tracker,
        client: "Potluck 0.1.0".into(),
        pieces_have: 100,
        is_seed: other == 0,
        down_rate: 0,
        up_rate,
        downloaded: 0,
        uploaded: if other == 7 { 300_000 } else { 0 },
        chokes_us: rng.below(2) == 0,
        we_are_interested: other == 0 || rng.below(3) > 0,
        we_choke: !gives && !is_tried,
        is_interested,
        slot: PeerSlot::None,
        snubs_us: false,
        why: Printable::new(&match (index, other) {
            _ if !is_interested => "wants nothing: it only uploads".into(),
            (0, _) if gives => format!("seeding: {} kB/s to it", up_rate / 1000),
            (0, _) => "had its turn".into(),
            _ if gives => format!("repays {} kB/s", up_rate / 1000),
            _ if is_tried => "trial 12 of 30 s".into(),
            (_, 7) => "credit used: owes 524 kB".into(),
            _ => "slower than the 3 best".into(),
        }),
        rank,
        debt: if other == 7 { 524_288 } else { 0 },
        age_seconds: 16.0,
    }
}
