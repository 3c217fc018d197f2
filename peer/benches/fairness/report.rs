//! What became of one swarm.

use serde::{Deserialize, Serialize};

/// One line of the results.
#[derive(Serialize, Deserialize, Debug)]
pub(super) struct Report {
    /// The name of its kind.
    pub(super) kind: String,
    /// Its number in its run.
    pub(super) swarm: usize,
    /// Bytes of the payload.
    pub(super) size: u64,
    /// Why it does not count.
    pub(super) failure: Option<String>,
    /// The figures, if it counts.
    #[serde(flatten)]
    pub(super) figures: Option<Figures>,
    /// The contributors, then the free riders.
    pub(super) members: Vec<Line>,
}

/// The figures that the goals are about.
#[derive(Serialize, Deserialize, Clone, Copy, Debug)]
pub(super) struct Figures {
    /// Mean download time of the free riders over that of the contributors.
    pub(super) fr_over_good: f64,
    /// Some free rider was not complete when patience ended: the former is at least so much.
    pub(super) is_lower_bound: bool,
    /// Mean download time of the contributors over the bound.
    pub(super) mean_over_bound: f64,
    /// What contributors gave to free riders, of all that they gave.
    pub(super) leechers_share_to_free_riders: f64,
    /// What a free rider got from the seed, in the mean.
    pub(super) seed_bytes_to_a_free_rider: u64,
}

/// One taker.
#[derive(Serialize, Deserialize, Debug)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) client: String,
    pub(super) contributes: bool,
    /// When it was complete.
    pub(super) seconds: Option<f64>,
    pub(super) downloaded: u64,
    pub(super) uploaded: u64,
    /// What of the download came from the seed, if that is known.
    pub(super) from_seed: Option<u64>,
}
