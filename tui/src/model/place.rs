//! The screens of the dashboard, the tabs of a torrent, and its lists.

use crate::view::layout::Panel;
pub use crate::view::layout::Screen as Place;

impl Place {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Torrents,
        Self::Detail,
        Self::Peers,
        Self::Discovery,
        Self::Fairness,
        Self::Events,
        Self::Settings,
    ];

    /// Its name.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Torrents => "Torrents",
            Self::Detail => "Detail",
            Self::Peers => "Peers",
            Self::Discovery => "Discovery",
            Self::Fairness => "Fairness",
            Self::Events => "Events",
            Self::Settings => "Settings",
        }
    }

    /// The one `steps` after it, around.
    #[must_use]
    pub fn after(self, steps: usize) -> Self {
        Self::ALL[(self as usize + steps) % Self::ALL.len()]
    }
}

/// What is shown of one torrent.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Tab {
    /// How far, how fast, and what it is.
    #[default]
    Overview,
    /// Which pieces are there, and how rare the others are.
    Pieces,
    /// Its files and their priorities.
    Files,
    /// Its peers: the tit-for-tat ledger.
    Peers,
    /// Its trackers.
    Trackers,
    /// What happened to it.
    Log,
}

impl Tab {
    /// All of them, in their order.
    pub const ALL: [Self; 6] =
        [Self::Overview, Self::Pieces, Self::Files, Self::Peers, Self::Trackers, Self::Log];

    /// Its name.
    pub const fn title(self) -> &'static str {
        self.panel().title()
    }

    /// What shows it.
    pub const fn panel(self) -> Panel {
        match self {
            Self::Overview => Panel::Overview,
            Self::Pieces => Panel::Pieces,
            Self::Files => Panel::Files,
            Self::Peers => Panel::Peers,
            Self::Trackers => Panel::Trackers,
            Self::Log => Panel::Log,
        }
    }

    /// The one `steps` after it, around.
    #[must_use]
    pub fn after(self, steps: usize) -> Self {
        Self::ALL[(self as usize + steps) % Self::ALL.len()]
    }
}

/// A list that has a cursor.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum List {
    /// All torrents.
    Torrents,
    /// The files of a torrent.
    Files,
    /// The peers of a torrent.
    Peers,
    /// The peers of all torrents.
    AllPeers,
    /// The trackers of a torrent.
    Trackers,
    /// What happened to a torrent.
    Log,
    /// What happened.
    Events,
    /// What may be changed.
    Settings,
}

impl List {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Torrents,
        Self::Files,
        Self::Peers,
        Self::AllPeers,
        Self::Trackers,
        Self::Log,
        Self::Events,
        Self::Settings,
    ];
}
