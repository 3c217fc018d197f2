//! The scenarios that come with the program.

/// One of them: its name, and its file.
pub type Entry = (&'static str, &'static str);

macro_rules! library {
    ($($name:literal),* $(,)?) => {
        /// Every scenario that comes with the program.
        pub const ALL: &[Entry] = &[$(($name, include_str!(concat!("../scenarios/", $name, ".toml")))),*];
    };
}

library![
    "g1",
    "g1-small",
    "g2",
    "g2-small",
    "g3",
    "g3-reset",
    "g4",
    "g5",
    "g6",
    "g7",
    "g7-slow-seed",
    "g7-super-seed",
    "g8",
    "g9-seed-leaves",
    "g10-10",
    "g10-50",
    "g10-90",
    "crowd-1000",
    "crowd-10000",
    "rider-zero-upload",
    "rider-large-view",
    "rider-identity-reset",
    "rider-large-view-reset",
    "rider-trickle",
    "rider-have-hider",
    "rider-bittyrant",
    "rider-garbage",
    "calibrate-bep3",
    "calibrate-bep3-large-view",
    "calibrate-superseedr",
    "calibrate-libtorrent",
    "calibrate-unchoke-all",
];

/// The goals of fairness, G1 to G10.
pub const GOALS: &str = include_str!("../goals.toml");

/// Every file of goals that comes with the program.
pub const GOAL_FILES: &[Entry] = &[
    ("goals", GOALS),
    ("smoke", include_str!("../smoke.toml")),
    ("calibration", include_str!("../calibration.toml")),
];

/// Sets of scenarios that run together.
pub const SETS: &[(&str, &[&str], &str)] = &[
    (
        "fairness",
        &[
            "g1",
            "g2",
            "g3",
            "g3-reset",
            "g4",
            "g5",
            "g6",
            "g7",
            "g7-slow-seed",
            "g7-super-seed",
            "g8",
            "g9-seed-leaves",
            "g10-10",
            "g10-50",
            "g10-90",
        ],
        "every goal of fairness, G1 to G10",
    ),
    ("smoke", &["g1", "g2", "g3-reset", "g7", "g7-super-seed"], "a part of them, for every change"),
    (
        "calibration",
        &[
            "calibrate-bep3",
            "calibrate-bep3-large-view",
            "calibrate-superseedr",
            "calibrate-libtorrent",
            "calibrate-unchoke-all",
        ],
        "simple rules, whose figures are known",
    ),
];

/// The file of a scenario.
pub fn find(name: &str) -> Option<&'static str> {
    ALL.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
