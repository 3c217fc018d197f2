//! Torrents in every state.

use potluck_common::{
    Printable, Rng,
    control::{Limits, TorrentError, TorrentErrorKind, TorrentRow, TorrentState, TorrentSummary},
};

use super::{PIECES, STARTED_AT, UPTIME_SECONDS, hash};

const NAMES: [&str; 14] = [
    "debian-13.2.0-amd64-DVD-1.iso",
    "linux-6.18.tar.xz",
    "field-recordings-2019",
    "old-archive",
    "wiki-dump-2026.zst",
    "映画祭-2025-記録映像-第一巻",
    "blender-open-movie-4k",
    "openstreetmap-planet-260105.osm.pbf",
    "Große-Sammlung-alter-Karten",
    "genome-assemblies-release-114",
    "raspios-bookworm-arm64.img.xz",
    "🎵 netlabel archive 🎵",
    "a-torrent-whose-name-is-much-longer-than-any-sensible-column-of-any-sensible-terminal-could-ever-be.tar.zst",
    "x",
];

/// What one torrent of the sample is doing.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Downloading,
    Seeding,
    Slow,
    Stalled,
    Checking,
    Paused,
    Failed,
    DiskFull,
    Idle,
    New,
}

/// What the torrent with this number is doing.
fn kind(number: u32) -> Kind {
    use Kind::{Checking, DiskFull, Downloading, Failed, Idle, New, Paused, Seeding, Slow, Stalled};
    match number {
        1 => Downloading,
        2 => Seeding,
        3 => Slow,
        4 => Stalled,
        5 => New,
        6 => Checking,
        7 => Failed,
        8 => DiskFull,
        9 => Paused,
        _ => [Seeding, Idle, Downloading, Paused, Seeding, Idle, Idle][number as usize % 7],
    }
}

/// One row of the list.
pub(super) fn row(number: u32, rng: &mut Rng) -> TorrentRow {
    let summary = summary(number, kind(number), rng);
    let age_seconds = summary.age_seconds;
    let kind = kind(number);
    let have = summary.have_size;
    let uploaded_ever = match kind {
        Kind::Seeding => have * 4 + u64::from(rng.below(1 << 30)),
        Kind::New => 0,
        _ => have / 10 * u64::from(rng.below(30)),
    };
    TorrentRow {
        number,
        is_paused: kind == Kind::Paused,
        is_queued: false,
        queue_place: number.into(),
        directory: "/home/ada/Downloads".into(),
        labels: match number % 5 {
            1 => vec!["linux".into()],
            3 => vec!["music".into(), "archive".into()],
            _ => Vec::new(),
        },
        added_at: STARTED_AT as u64 + UPTIME_SECONDS - age_seconds as u64,
        completed_at: matches!(kind, Kind::Seeding | Kind::Idle).then_some(STARTED_AT as u64),
        available_at: (kind == Kind::Stalled).then_some(STARTED_AT as u64 - 3 * 86_400),
        downloaded_ever: have,
        uploaded_ever,
        limits: Limits { down: None, up: (number == 3).then_some(200 * 1024) },
        is_private: number % 6 == 4,
        summary,
    }
}

fn summary(number: u32, kind: Kind, rng: &mut Rng) -> TorrentSummary {
    let piece_length = if number == 2 { 1 << 19 } else { 1 << 20 };
    let pieces = match number {
        1 => PIECES,
        2 => 296,
        3 => 21_504,
        4 => 9_216,
        5 => 33_792,
        _ => 40 + rng.below(60_000),
    };
    let total_size = u64::from(pieces) * u64::from(piece_length);
    let pieces_have = match kind {
        Kind::Downloading | Kind::DiskFull if number > 1 => pieces / 100 * (20 + rng.below(75)),
        Kind::Downloading | Kind::DiskFull => 1_893,
        Kind::Seeding | Kind::Idle => pieces,
        Kind::Slow => pieces / 32,
        Kind::Stalled => pieces / 100 * 41,
        Kind::Paused => pieces / 3,
        Kind::Checking | Kind::Failed | Kind::New => 0,
    };
    let have_size = u64::from(pieces_have) * u64::from(piece_length);
    let (down_rate, up_rate) = rates(number, kind, rng);
    let swarm = swarm(number, kind, rng);
    let left = total_size - have_size;
    TorrentSummary {
        info_hash: hash(number),
        name: Printable::new(&name(number)),
        state: state(kind, pieces),
        is_durable: pieces_have == pieces,
        total_size,
        wanted_size: total_size,
        wanted_have: have_size,
        have_size,
        piece_length,
        pieces,
        pieces_have,
        downloaded: have_size / 2,
        uploaded: have_size / 3,
        wasted: 16 * 1024 * u64::from(number % 4),
        hash_failures: number % 4,
        down_rate,
        up_rate,
        eta_seconds: (down_rate > 0).then(|| left / down_rate.max(1)),
        unchoked_by: if down_rate > 0 { 3 + number % 7 } else { 0 },
        unchoked: if up_rate > 0 { 5 } else { 0 },
        seeds_connected: swarm.seeds,
        leechers_connected: swarm.leechers,
        seeds_known: swarm.known.then_some(swarm.seeds * 2 + 12),
        leechers_known: swarm.known.then_some(swarm.leechers * 3 + 9),
        candidates: swarm.leechers * 4,
        distributed_copies: swarm.copies,
        age_seconds: f64::from(60 * number * number * 30),
        stall: stall(kind),
        pace: (kind == Kind::Slow).then(|| "6 of 10 peers give; 4 choke us".into()),
        trouble: (kind == Kind::DiskFull).then(|| TorrentError {
            kind: TorrentErrorKind::Disk,
            message: "no space left on /home/ada/Downloads: free 4.20 GiB; it goes on by itself".into(),
        }),
    }
}

fn name(number: u32) -> String {
    let name = NAMES[(number as usize - 1) % NAMES.len()];
    let round = (number as usize - 1) / NAMES.len();
    if round == 0 { name.to_string() } else { format!("{name}.{round}") }
}

fn state(kind: Kind, pieces: u32) -> TorrentState {
    match kind {
        Kind::Downloading | Kind::Slow | Kind::Stalled | Kind::DiskFull | Kind::New => {
            TorrentState::Downloading
        }
        Kind::Seeding | Kind::Idle => TorrentState::Seeding,
        Kind::Checking => TorrentState::Checking { done: pieces / 3, total: pieces },
        Kind::Paused => TorrentState::Stopped,
        Kind::Failed => TorrentState::Failed(TorrentError {
            kind: TorrentErrorKind::MissingPayload,
            message: "/media/usb/blender-open-movie-4k is not there: mount it and press Space".into(),
        }),
    }
}

fn stall(kind: Kind) -> Option<Printable> {
    match kind {
        Kind::Stalled => Some("5,437 pieces exist nowhere: nobody of 2 peers has them".into()),
        Kind::New => Some("8 of 8 peers choke us; newcomer chance is 1 in 8 each 30 s".into()),
        _ => None,
    }
}

fn rates(number: u32, kind: Kind, rng: &mut Rng) -> (u64, u64) {
    match (kind, number) {
        (Kind::Downloading, 1) => (6_396_000, 1_258_000),
        (Kind::Seeding, 2) => (0, 740_000),
        (Kind::Slow, _) => (2_307_000, 209_000),
        (Kind::Downloading, _) => (u64::from(rng.below(90_000)), u64::from(rng.below(9_000))),
        (Kind::Seeding, _) => (0, u64::from(rng.below(30_000))),
        _ => (0, 0),
    }
}

struct Swarm {
    seeds: u32,
    leechers: u32,
    known: bool,
    copies: f32,
}

fn swarm(number: u32, kind: Kind, rng: &mut Rng) -> Swarm {
    let (seeds, leechers, copies) = match (kind, number) {
        (Kind::Downloading, 1) => (12, 48, 14.20),
        (Kind::Seeding, 2) => (3, 18, 4.00),
        (Kind::Slow, _) => (1, 9, 0.97),
        (Kind::Stalled, _) => (0, 2, 0.41),
        (Kind::Downloading | Kind::Seeding | Kind::DiskFull, _) => {
            let (seeds, leechers) = (rng.below(30), rng.below(60));
            (seeds, leechers, seeds as f32 + rng.below(1000) as f32 / 100.0)
        }
        (Kind::New, _) => (0, 8, 3.12),
        (Kind::Idle, _) => (rng.below(3), 0, 1.0),
        (Kind::Checking | Kind::Paused | Kind::Failed, _) => (0, 0, 0.0),
    };
    Swarm { seeds, leechers, known: !matches!(kind, Kind::Checking | Kind::Failed), copies }
}
