//! Defects on purpose: that each property is missed when it should be.

/// What is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sabotage {
    /// What is stored is not written.
    ForgetsWrites,
    /// Honest peers send wrong bytes now and then.
    BreaksBytes,
    /// Nobody is told of new pieces.
    HidesPieces,
    /// Torrents hear no timers.
    NeverWakes,
    /// Torrents are woken by timers that are not due.
    WakesAlways,
    /// Blocks that came are not there when their piece is stored.
    LosesBlocks,
    /// Nobody says why nothing comes.
    IsMute,
    /// Whoever stops is counted on.
    MissesStops,
    /// Resume states claim what no sync covers.
    ClaimsEarly,
}

impl Sabotage {
    /// All of them, each with the property that must be missed.
    pub(super) const ALL: [(Self, &'static str); 9] = [
        (Self::ForgetsWrites, "what is claimed lies on the disk"),
        (Self::BreaksBytes, "no honest peer is banned"),
        (Self::HidesPieces, "both ends agree"),
        (Self::NeverWakes, "everybody ends"),
        (Self::WakesAlways, "nobody is woken for nothing"),
        (Self::LosesBlocks, "what is to be stored is in memory"),
        (Self::IsMute, "each stall has a sentence"),
        (Self::MissesStops, "the tracker counts right"),
        (Self::ClaimsEarly, "what is claimed lies on the disk"),
    ];
}
