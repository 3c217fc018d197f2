//! What a run is about: how many peers of which kind, how fast, by which rules. Read from TOML, bounded and checked.

use serde::Deserialize;
use thiserror::Error;

/// How a peer chooses whom to upload to while it downloads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeechRule {
    /// Potluck's choker, the code that ships.
    Ours,
    /// BEP 3: the three fastest and an optimistic one.
    Bep3,
    /// Everybody who is interested.
    UnchokeAll,
    /// Four slots by the rate of the last round, and an optimistic one every fourth round.
    Superseedr,
    /// By the rate of the last round, and the optimistic slot to whoever waited longest.
    Libtorrent,
}

/// How a seed chooses whom to upload to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeedRule {
    /// Potluck's choker, the code that ships.
    Ours,
    /// Whoever was unchoked last stays, and in two of three rounds one makes room.
    Mainline,
    /// Whoever takes fastest.
    Fastest,
    /// Everybody who is interested.
    UnchokeAll,
    /// Four slots by the rate of the last round, and an optimistic one every fourth round.
    Superseedr,
    /// Round robin by quota: 20 pieces and a minute.
    Libtorrent,
}

/// A way to take without giving. [`FreeRiderKind::about`] describes each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FreeRiderKind {
    /// Uploads nothing.
    ZeroUpload,
    /// Uploads nothing, and connects to everybody it can.
    LargeView,
    /// Uploads nothing, and comes back as somebody else every minute.
    IdentityReset,
    /// Both of the former.
    LargeViewReset,
    /// Uploads 1 kB/s in all.
    Trickle,
    /// Uploads nothing and shows no pieces, so that nobody asks it for any.
    HaveHider,
    /// Gives each peer just enough to be unchoked by it.
    Bittyrant,
    /// Uploads rubbish as fast as it can.
    Garbage,
}

impl FreeRiderKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::ZeroUpload,
        Self::LargeView,
        Self::IdentityReset,
        Self::LargeViewReset,
        Self::Trickle,
        Self::HaveHider,
        Self::Bittyrant,
        Self::Garbage,
    ];

    /// Its name in scenarios.
    pub fn name(self) -> &'static str {
        match self {
            Self::ZeroUpload => "zero-upload",
            Self::LargeView => "large-view",
            Self::IdentityReset => "identity-reset",
            Self::LargeViewReset => "large-view-reset",
            Self::Trickle => "trickle",
            Self::HaveHider => "have-hider",
            Self::Bittyrant => "bittyrant",
            Self::Garbage => "garbage",
        }
    }

    /// What it does, in a line.
    pub fn about(self) -> &'static str {
        match self {
            Self::ZeroUpload => "shows what it has and uploads nothing",
            Self::LargeView => {
                "uploads nothing and keeps 199 connections, so that it is tried by more peers (Sirivianos 2007)"
            }
            Self::IdentityReset => {
                "uploads nothing and comes back from a new address every 60 s, so that it owes nobody"
            }
            Self::LargeViewReset => {
                "uploads nothing, keeps 199 connections and comes back from a new address every 60 s"
            }
            Self::Trickle => "uploads 1 kB/s in all, so that its rate is never zero",
            Self::HaveHider => {
                "uploads nothing and shows no pieces, so that nobody asks and nobody can feel snubbed"
            }
            Self::Bittyrant => {
                "gives each peer as little as keeps it unchoked there, and best value first (Piatek 2007)"
            }
            Self::Garbage => "uploads blocks that fail their piece's hash as fast as its uplink allows",
        }
    }

    /// Whether it uploads anything at all.
    pub(crate) fn uploads(self) -> bool {
        matches!(self, Self::Trickle | Self::Bittyrant | Self::Garbage)
    }

    /// Whether anybody can get a piece from it.
    pub(crate) fn gives_pieces(self) -> bool {
        self.uploads() && self != Self::Garbage
    }

    /// Whether it opens as many connections as it can.
    pub(crate) fn has_large_view(self) -> bool {
        matches!(self, Self::LargeView | Self::LargeViewReset)
    }

    /// Whether it comes back as somebody else every minute.
    pub(crate) fn resets_identity(self) -> bool {
        matches!(self, Self::IdentityReset | Self::LargeViewReset)
    }
}

/// Leechers of the same bandwidth.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// How many of the leechers are of this class, in relation to the other classes.
    pub share: f64,
    /// The uplink, in bytes per second.
    pub up: f64,
    /// The downlink, in bytes per second.
    pub down: f64,
}

/// The seeds that are there at the start.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Seeds {
    /// How many.
    pub count: u32,
    /// The uplink of each, in bytes per second.
    pub up: f64,
    /// The most connections of each.
    pub connections_max: u32,
    /// They leave after this time, in seconds.
    pub leave_after_s: Option<f64>,
    /// They leave this long after each piece is with some leecher who gives what it has, in seconds.
    pub leave_after_full_copy_s: Option<f64>,
    /// They show each peer one piece at a time (BEP 16).
    pub super_seeding: bool,
}

impl Default for Seeds {
    fn default() -> Self {
        Self {
            count: 1,
            up: 500_000.0,
            connections_max: 1_000,
            leave_after_s: None,
            leave_after_full_copy_s: None,
            super_seeding: false,
        }
    }
}

/// Leechers that take without giving.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreeRiders {
    /// What part of the leechers they are, 0 to 1.
    pub share: f64,
    /// How they go about it.
    pub kind: FreeRiderKind,
}

/// When leechers come.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "kind")]
pub enum Arrivals {
    /// All at the start.
    Flash,
    /// Evenly at random over this time.
    Uniform {
        /// In seconds.
        over_s: f64,
    },
    /// One after another, with exponentially distributed pauses.
    Poisson {
        /// The mean pause, in seconds.
        pause_s: f64,
    },
}

/// Contributors that follow another rule than the others.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mix {
    /// What part of the contributors they are, 0 to 1.
    pub share: f64,
    /// Their rule.
    pub rule: LeechRule,
}

/// One scenario; what its file does not say is as in the goals: 200 leechers, 400 pieces of 256 KiB, 125 kB/s up and
/// 1 MB/s down, a seed of 500 kB/s, 40 neighbours, and contributors that leave when they are done.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// What it shows, in a line.
    pub about: String,
    /// How many leechers come.
    pub leechers: u32,
    /// Pieces of the payload.
    pub pieces: u32,
    /// Bytes in each of them.
    pub piece_bytes: u32,
    /// Blocks in each of them: what is asked for at once.
    pub blocks_per_piece: u32,
    /// How many connections a leecher looks for.
    pub neighbours: u32,
    /// How many it accepts.
    pub connections_max: u32,
    /// Whether those who have few connections look for more.
    pub replenish: bool,
    /// How long contributors stay when they are done, in seconds.
    pub linger_s: f64,
    /// When the run ends at the latest, in seconds.
    pub limit_s: u32,
    /// The step of the simulation, in milliseconds.
    pub tick_ms: u32,
    /// Rules hear of the bytes of a link every so many steps.
    pub report_steps: u32,
    /// Pickers forget who chokes them, which saves a quarter of the memory; otherwise they remember which pieces a peer
    /// worked on until it leaves.
    pub lean: bool,
    /// Up to this many milliseconds pass before the first bytes after an unchoke.
    pub latency_ms: u32,
    /// It takes this many milliseconds more until a link has its full speed.
    pub ramp_ms: u32,
    /// The rule of leechers.
    pub rule: LeechRule,
    /// The rule of seeds.
    pub seed_rule: SeedRule,
    /// Whether the number of slots of our rule follows the uplink, as in a session; five if not.
    pub auto_slots: bool,
    /// Slots of the comparison rules.
    pub slots: u32,
    /// The seeds at the start.
    pub seeds: Seeds,
    /// Classes of bandwidth; one of them when there are none.
    #[serde(rename = "class")]
    pub classes: Vec<Class>,
    /// Who takes without giving.
    pub free_riders: Option<FreeRiders>,
    /// When leechers come.
    pub arrivals: Arrivals,
    /// Contributors that follow another rule.
    pub mix: Option<Mix>,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            about: String::new(),
            leechers: 200,
            pieces: 400,
            piece_bytes: 256 * 1024,
            blocks_per_piece: 16,
            neighbours: 40,
            connections_max: 200,
            replenish: true,
            linger_s: 0.0,
            limit_s: 40_000,
            tick_ms: 1_000,
            report_steps: 1,
            lean: false,
            latency_ms: 0,
            ramp_ms: 0,
            rule: LeechRule::Ours,
            seed_rule: SeedRule::Ours,
            auto_slots: true,
            slots: 4,
            seeds: Seeds::default(),
            classes: Vec::new(),
            free_riders: None,
            arrivals: Arrivals::Flash,
            mix: None,
        }
    }
}

/// Why a scenario cannot be run.
#[derive(Clone, PartialEq, Debug, Error)]
pub enum ScenarioError {
    /// The file is not what a scenario looks like.
    #[error("{0}")]
    Syntax(String),
    /// A number is out of bounds.
    #[error("`{key}` is {value}; write a number from {least} to {most}")]
    Bound {
        /// The key in the file.
        key: &'static str,
        /// What it says.
        value: f64,
        /// The least it may say.
        least: f64,
        /// The most it may say.
        most: f64,
    },
}

impl Scenario {
    /// Reads a scenario and checks its bounds.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let mut scenario: Self =
            toml::from_str(text).map_err(|error| ScenarioError::Syntax(error.to_string()))?;
        if scenario.classes.is_empty() {
            scenario.classes = vec![Class { share: 1.0, up: 125_000.0, down: 1_000_000.0 }];
        }
        scenario.check()?;
        Ok(scenario)
    }

    /// Bytes of the payload.
    pub fn payload_bytes(&self) -> f64 {
        f64::from(self.pieces) * f64::from(self.piece_bytes)
    }

    /// Bytes of a block.
    pub(crate) fn block_bytes(&self) -> f64 {
        f64::from(self.piece_bytes) / f64::from(self.blocks_per_piece)
    }

    fn check(&self) -> Result<(), ScenarioError> {
        let rates = 1.0..=1e12;
        let seconds = 0.0..=1e7;
        let mut bounds = vec![
            ("leechers", f64::from(self.leechers), 1.0..=100_000.0),
            ("pieces", f64::from(self.pieces), 1.0..=1_000_000.0),
            ("piece_bytes", f64::from(self.piece_bytes), 1_024.0..=1e9),
            ("blocks_per_piece", f64::from(self.blocks_per_piece), 1.0..=1_024.0),
            ("neighbours", f64::from(self.neighbours), 1.0..=1_000.0),
            ("connections_max", f64::from(self.connections_max), f64::from(self.neighbours)..=10_000.0),
            ("linger_s", self.linger_s, seconds.clone()),
            ("limit_s", f64::from(self.limit_s), 1.0..=1e6),
            ("tick_ms", f64::from(self.tick_ms), 10.0..=10_000.0),
            ("report_steps", f64::from(self.report_steps), 1.0..=100.0),
            ("latency_ms", f64::from(self.latency_ms), 0.0..=10_000.0),
            ("ramp_ms", f64::from(self.ramp_ms), 0.0..=60_000.0),
            ("slots", f64::from(self.slots), 2.0..=1_000.0),
            ("seeds.count", f64::from(self.seeds.count), 1.0..=10_000.0),
            ("seeds.up", self.seeds.up, rates.clone()),
            ("seeds.connections_max", f64::from(self.seeds.connections_max), 1.0..=100_000.0),
            ("seeds.leave_after_s", self.seeds.leave_after_s.unwrap_or(0.0), seconds.clone()),
            (
                "seeds.leave_after_full_copy_s",
                self.seeds.leave_after_full_copy_s.unwrap_or(0.0),
                seconds.clone(),
            ),
            ("free_riders.share", self.free_riders.as_ref().map_or(0.0, |riders| riders.share), 0.0..=0.99),
            ("mix.share", self.mix.map_or(0.0, |mix| mix.share), 0.0..=1.0),
        ];
        for class in &self.classes {
            bounds.push(("class.share", class.share, 1e-6..=1e6));
            bounds.push(("class.up", class.up, rates.clone()));
            bounds.push(("class.down", class.down, rates.clone()));
        }
        match self.arrivals {
            Arrivals::Flash => {}
            Arrivals::Uniform { over_s } => bounds.push(("arrivals.over_s", over_s, seconds)),
            Arrivals::Poisson { pause_s } => bounds.push(("arrivals.pause_s", pause_s, 1e-6..=1e6)),
        }
        for (key, value, range) in bounds {
            if !range.contains(&value) {
                return Err(ScenarioError::Bound { key, value, least: *range.start(), most: *range.end() });
            }
        }
        Ok(())
    }
}
