//! Rates over time, for graphs.

use serde::{Deserialize, Serialize};

/// How far back a graph reaches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryRange {
    /// 60 samples, each a second.
    Minute,
    /// 150 samples, each 2 s.
    FiveMinutes,
    /// 240 samples, each 15 s.
    Hour,
    /// 288 samples, each 5 min.
    Day,
}

impl HistoryRange {
    /// All of them, the shortest first.
    pub const ALL: [Self; 4] = [Self::Minute, Self::FiveMinutes, Self::Hour, Self::Day];

    /// Seconds that one sample stands for.
    pub const fn interval_seconds(self) -> u32 {
        match self {
            Self::Minute => 1,
            Self::FiveMinutes => 2,
            Self::Hour => 15,
            Self::Day => 300,
        }
    }

    /// How many samples reach back so far.
    pub const fn samples(self) -> usize {
        match self {
            Self::Minute => 60,
            Self::FiveMinutes => 150,
            Self::Hour => 240,
            Self::Day => 288,
        }
    }
}

/// Mean rates in bytes per second, a sample for each interval, the oldest first; what was before the first is not known.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct History {
    /// How far back it reaches, and so how long its intervals are.
    pub range: HistoryRange,
    /// Payload that came. At most [`HistoryRange::samples`].
    pub down: Vec<u64>,
    /// Payload that was sent; as many samples as `down`.
    pub up: Vec<u64>,
}
