//! What was decided about a peer, and why, in words.

use std::fmt;

use potluck_common::{Duration, Instant};

use crate::PeerKey;

/// What a peer is from now on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Choked.
    Choke,
    /// Unchoked.
    Unchoke,
    /// Parted with, to make room.
    Evict,
}

/// Why a peer is choked or unchoked. [`Why::in_words`] says it to a person.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// Unchoked: it is among those that give us most.
    Repays {
        /// What it gives us.
        bytes_per_second: u64,
    },
    /// Unchoked to see what it gives in return.
    Optimistic {
        /// When the trial began.
        since: Instant,
        /// How long it lasts.
        lasts: Duration,
    },
    /// Unchoked without a slot: it gives us more than one that has a slot, but wants nothing now (BEP 3).
    RepaysUnasked {
        /// What it gives us.
        bytes_per_second: u64,
    },
    /// Unchoked: we are a seed, and it is its turn.
    Seeding {
        /// What we send it.
        bytes_per_second: u64,
    },
    /// Unchoked without a slot: it wanted something a moment ago, and is not choked before the round ends.
    Resting,
    /// Choked: it has not told us that it wants anything, or no longer does.
    NotInterested,
    /// Choked: it is a seed, or wants nothing for good (BEP 21).
    UploadOnly,
    /// Choked: others give us more.
    Slower {
        /// How many do.
        than_best: u32,
    },
    /// Choked: it lets us ask and sends nothing.
    Snubs {
        /// Since when.
        since: Instant,
    },
    /// Choked: it took more on trial than it gave, and its credit is used up.
    CreditUsed {
        /// What it owes.
        debt_bytes: u64,
    },
    /// Choked: we are a seed, and it had its turn.
    HadItsTurn,
    /// Choked: every slot is taken.
    WaitsForSlot,
    /// Evicted: it owes us most, and nothing has passed lately.
    Owes {
        /// What it owes beyond its credit.
        debt_bytes: u64,
    },
    /// Evicted: nothing has passed for longest.
    OfNoUse,
}

impl Why {
    /// The reason as it stands at `now`, such as "trial 18 of 30 s".
    pub fn in_words(self, now: Instant) -> String {
        match self {
            Self::Repays { bytes_per_second } => format!("repays {}", Rate(bytes_per_second)),
            Self::Optimistic { since, lasts } => {
                let passed = now.since(since).min(lasts);
                if lasts < Duration::from_secs(10) {
                    // In time lapse whole seconds would say nothing.
                    format!("trial {:.1} of {:.1} s", passed.as_secs_f64(), lasts.as_secs_f64())
                } else {
                    format!("trial {} of {} s", passed.as_secs(), lasts.as_secs())
                }
            }
            Self::RepaysUnasked { bytes_per_second } => {
                format!("repays {} and wants nothing now", Rate(bytes_per_second))
            }
            Self::Seeding { bytes_per_second } => format!("seeding: {} to it", Rate(bytes_per_second)),
            Self::Resting => "wants nothing for a moment".to_owned(),
            Self::NotInterested => "not interested in us".to_owned(),
            Self::UploadOnly => "wants nothing: it only uploads".to_owned(),
            Self::Slower { than_best } => format!("slower than the {than_best} best"),
            Self::Snubs { since } => format!("snubs us {} s", now.since(since).as_secs()),
            Self::CreditUsed { debt_bytes } => format!("credit used: owes {}", Bytes(debt_bytes)),
            Self::HadItsTurn => "had its turn".to_owned(),
            Self::WaitsForSlot => "waiting for a slot".to_owned(),
            Self::Owes { debt_bytes } => {
                format!("nearly all connections are taken and it owes {}", Bytes(debt_bytes))
            }
            Self::OfNoUse => "nearly all connections are taken and it was of no use for longest".to_owned(),
        }
    }
}

/// Bytes for people.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..1_000 => write!(f, "{} B", self.0),
            1_000..1_000_000 => write!(f, "{} kB", self.0 / 1_000),
            _ => write!(f, "{:.1} MB", self.0 as f64 / 1e6),
        }
    }
}

/// Bytes per second for people.
struct Rate(u64);

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", Bytes(self.0))
    }
}

/// One decision about one peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decision {
    /// When it was made.
    pub at: Instant,
    /// Whom it is about.
    pub peer: PeerKey,
    /// What the peer is from then on.
    pub action: Action,
    /// Why.
    pub why: Why,
    /// Its place among those that give us something and want something of us; 1 is the fastest.
    pub rank: Option<u32>,
    /// The rate it was judged by: what it gives us, or while we seed what we send it, in bytes per second over 20 s.
    pub rate_bytes_per_second: u64,
    /// What its identity took from us beyond what it gave, in bytes.
    pub debt_bytes: u64,
    /// How long it has been connected.
    pub age: Duration,
}
