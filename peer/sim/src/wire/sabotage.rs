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
    /// Whoever has the metadata gives it with a wrong byte.
    BreaksMetadata,
    /// The same, and whoever fetches it takes it for the right one.
    TakesAnyMetadata,
    /// The metadata that came is thrown away.
    LosesMetadata,
    /// Whatever comes of metadata is kept a second time.
    HoardsMetadata,
    /// Metadata is given again and again.
    GivesTwice,
    /// A private torrent is treated as any other.
    ForgetsPrivacy,
    /// Nodes of the DHT that peers tell of are forgotten.
    ForgetsPorts,
    /// Ports of which hostile peers tell are asked without end.
    AsksEveryPort,
    /// Peers that were to be remembered are not.
    ForgetsPeers,
}

impl Sabotage {
    /// All of them, each with the property that must be missed.
    pub(super) const ALL: [(Self, &'static str); 18] = [
        (Self::ForgetsWrites, "what is claimed lies on the disk"),
        (Self::BreaksBytes, "no honest peer is banned"),
        (Self::HidesPieces, "both ends agree"),
        (Self::NeverWakes, "everybody ends"),
        (Self::WakesAlways, "nobody is woken for nothing"),
        (Self::LosesBlocks, "what is to be stored is in memory"),
        (Self::IsMute, "each stall has a sentence"),
        (Self::MissesStops, "the tracker counts right"),
        (Self::ClaimsEarly, "what is claimed lies on the disk"),
        (Self::BreaksMetadata, "nobody is banned for good metadata"),
        (Self::TakesAnyMetadata, "metadata has the right hash"),
        (Self::LosesMetadata, "everybody ends"),
        (Self::HoardsMetadata, "what is kept of metadata is bounded"),
        (Self::GivesTwice, "metadata is given twice a minute"),
        (Self::ForgetsPrivacy, "a private torrent is told by its trackers"),
        (Self::ForgetsPorts, "nodes that peers tell of are asked"),
        (Self::AsksEveryPort, "who tells of many ports has few asked"),
        (Self::ForgetsPeers, "peers are remembered"),
    ];
}
