//! What happened in the sample's last minutes.

use potluck_common::control::{Event, EventKind, PeerAction, PeerDecision, PeerSource};

use super::{UPTIME_SECONDS, hash};

/// One of each kind, the oldest first, among torrents up to this number.
pub(super) fn events(torrents: u32) -> Vec<Event> {
    let kinds = kinds();
    let count = kinds.len() as f64;
    (kinds.into_iter().enumerate())
        .map(|(index, (number, kind))| Event {
            at: UPTIME_SECONDS as f64 - (count - index as f64) * 7.3,
            info_hash: hash(number.min(torrents)),
            kind,
        })
        .collect()
}

fn kinds() -> Vec<(u32, EventKind)> {
    let peer = |text: &str| text.parse().expect("an address");
    vec![
        (6, EventKind::Checked { have: 812, pieces: 2_436, rechecked: 2_436 }),
        (
            1,
            EventKind::TrackerReplied {
                tracker: "udp://tracker.a.example:6969".into(),
                peers: 200,
                warning: None,
            },
        ),
        (
            1,
            EventKind::PeerConnected {
                peer: peer("203.0.113.0:6881"),
                client: Some("qBittorrent 5.1.0".into()),
                source: PeerSource::Dht,
            },
        ),
        (4, EventKind::Stalled { why: "5,437 pieces exist nowhere: nobody of 2 peers has them".into() }),
        (
            1,
            EventKind::PeerDisconnected {
                peer: peer("192.0.2.40:51413"),
                why: "it closed the connection".into(),
            },
        ),
        (
            1,
            EventKind::PeerBanned { peer: peer("198.51.100.66:6881"), why: "sent 2 bad pieces alone".into() },
        ),
        (3, EventKind::HashFailed { piece: 811, contributors: 3 }),
        (2, EventKind::Completed { downloaded: 155_189_248, seconds: 94.0 }),
        (
            2,
            EventKind::SuperSeedEnded {
                why: "each piece was seen at two peers".into(),
                uploaded: 166_000_000,
            },
        ),
        (8, EventKind::DiskFull { why: "no space left on /home/ada/Downloads".into() }),
        (2, EventKind::PieceLost { piece: 12, fetched_again: true, why: None }),
        (
            1,
            EventKind::TrackerFailed {
                tracker: "http://dead.example/announce".into(),
                why: "timed out after 15 s".into(),
                retry_seconds: 240,
            },
        ),
        (8, EventKind::DiskFreed),
        (
            7,
            EventKind::Failed {
                message: "/media/usb/blender-open-movie-4k is not there: mount it and press Space".into(),
            },
        ),
        (5, EventKind::Resumed),
        (1, decision("203.0.113.0:6881", PeerAction::Unchoke, "repays 1990 kB/s", Some(1))),
        (1, decision("192.0.2.5:11436", PeerAction::Choke, "credit used: sent 2.00 MiB, got nothing", None)),
        (
            1,
            decision("198.51.100.13:18724", PeerAction::Evict, "idle for 8 minutes, and it is crowded", None),
        ),
        (1, decision("198.51.100.4:10525", PeerAction::Unchoke, "trial: chance 22 %", None)),
    ]
}

fn decision(peer: &str, action: PeerAction, why: &str, rank: Option<u32>) -> EventKind {
    EventKind::Decision(PeerDecision {
        peer: peer.parse().expect("an address"),
        action,
        why: why.into(),
        rank,
        rate: 0,
        debt: 0,
        age_seconds: 60.0,
    })
}
