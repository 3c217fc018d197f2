//! The kinds of swarms: who contributes.

/// The takers that give.
pub(super) const CONTRIBUTORS: usize = 10;
/// The takers that do not.
pub(super) const FREE_RIDERS: usize = 3;
/// What the seed sends at most, in bytes per second.
pub(super) const SEED_UP: u64 = 300_000;
/// What a contributor sends at most, in bytes per second.
pub(super) const UP: u64 = 100_000;
/// What a taker receives at most, in bytes per second.
pub(super) const DOWN: u64 = 800_000;

/// A program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Client {
    Ours,
    /// With so many slots; none is a free rider's.
    Libtorrent {
        slots: u32,
    },
}

/// Who contributes in a swarm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    even: Client,
    odd: Client,
}

const EIGHT: Client = Client::Libtorrent { slots: 8 };
const FOUR: Client = Client::Libtorrent { slots: 4 };

const ALL: [Kind; 5] = [
    Kind { name: "libtorrent-8", even: EIGHT, odd: EIGHT },
    Kind { name: "libtorrent-4", even: FOUR, odd: FOUR },
    Kind { name: "ours", even: Client::Ours, odd: Client::Ours },
    Kind { name: "half-8", even: Client::Ours, odd: EIGHT },
    Kind { name: "half-4", even: Client::Ours, odd: FOUR },
];

impl Kind {
    pub(super) fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|kind| kind.name == name)
    }

    /// Ours wherever one of ours contributes.
    pub(super) fn seed(self) -> Client {
        self.even
    }

    pub(super) fn contributor(self, number: usize) -> Client {
        if number.is_multiple_of(2) { self.even } else { self.odd }
    }
}

/// Seconds below which the mean of all takers cannot be, were they alike, for `size` bytes (Kumar and Ross 2006).
pub(super) fn bound_seconds(size: u64) -> f64 {
    let takers = (CONTRIBUTORS + FREE_RIDERS) as u64;
    let capacity = SEED_UP + UP * CONTRIBUTORS as u64;
    let seconds = |bytes: u64, rate: u64| bytes as f64 / rate as f64;
    seconds(size, SEED_UP).max(seconds(size, DOWN)).max(seconds(size * takers, capacity))
}
