//! What each key does where. One table makes the dispatch, the footer, the help and every sentence that names a key, so that
//! none of them can lie; a person may choose other keys for what stands in it.
//!
//! Numbers go to screens, letters act. A key means the same in every context that has it, as far as there is something that
//! it can mean: movement is vim's and the arrows', so that `l` is a label everywhere but in the map of pieces (one piece to
//! the right) and among events (their level).

mod clash;
mod key;
mod map;
mod table;

pub use self::{
    clash::Clash,
    key::Key,
    map::{Bound, Keymap, Taken},
    table::{BINDINGS, Binding},
};

/// Where keys are pressed: a screen, a tab of a torrent, or a dialog.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Context {
    /// The list of torrents.
    Torrents,
    /// A torrent's overview.
    Overview,
    /// A torrent's pieces.
    Pieces,
    /// A torrent's files.
    Files,
    /// A torrent's peers.
    Ledger,
    /// A torrent's trackers.
    Trackers,
    /// What happened to a torrent.
    Log,
    /// The peers of all torrents.
    Peers,
    /// Where peers come from.
    Discovery,
    /// How uploads are shared.
    Fairness,
    /// What happened.
    Events,
    /// What may be changed.
    Settings,
    /// Dialog: all keys.
    Help,
    /// Dialog: a torrent to add.
    Add,
    /// Dialog: torrents to take out.
    Delete,
    /// Dialog: one line to type.
    Line,
    /// Dialog: limits of torrents.
    Limits,
    /// Dialog: how a list is sorted.
    Sort,
}

/// What a key does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the table says in words what each does")]
pub enum Action {
    // Movement
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Left,
    Right,
    // Places
    Open,
    Back,
    NextTab,
    PreviousTab,
    Screen(u8),
    ShowFiles,
    ShowPeers,
    ShowEvents,
    // Torrents
    Pause,
    Add,
    Delete,
    Verify,
    Reannounce,
    Label,
    Limits,
    CopyMagnet,
    AddPeer,
    Mark,
    MarkAll,
    QueueUp,
    QueueDown,
    QueueFirst,
    QueueLast,
    QueueOrder,
    // Files
    SkipFile,
    RaiseFile,
    LowerFile,
    // Lists
    Filter,
    SortMenu,
    Reverse,
    ColumnsLeft,
    ColumnsRight,
    EventLevel,
    ChokesOnly,
    Export,
    // Everything
    Turtle,
    GraphRange,
    BitsOrBytes,
    GraphScale,
    Zen,
    Shorter,
    Taller,
    ToggleDetail,
    ToggleSpeed,
    ToggleFairness,
    ToggleEvents,
    ToggleDisk,
    Help,
    Redraw,
    Suspend,
    Quit,
    // Settings
    Change,
    // Dialogs
    Accept,
    Close,
    NextField,
    Complete,
    TogglePaused,
    KeepData,
    DeleteData,
    EraseBack,
    EraseForward,
    EraseWord,
    EraseLine,
}

impl Context {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Torrents,
        Self::Overview,
        Self::Pieces,
        Self::Files,
        Self::Ledger,
        Self::Trackers,
        Self::Log,
        Self::Peers,
        Self::Discovery,
        Self::Fairness,
        Self::Events,
        Self::Settings,
        Self::Help,
        Self::Add,
        Self::Delete,
        Self::Line,
        Self::Limits,
        Self::Sort,
    ];

    /// Its name, for the help.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Torrents => "Torrents",
            Self::Overview => "Overview of a torrent",
            Self::Pieces => "Pieces of a torrent",
            Self::Files => "Files of a torrent",
            Self::Ledger => "Peers of a torrent",
            Self::Trackers => "Trackers of a torrent",
            Self::Log => "Log of a torrent",
            Self::Peers => "Peers of all torrents",
            Self::Discovery => "Discovery",
            Self::Fairness => "Fairness",
            Self::Events => "Events",
            Self::Settings => "Settings",
            Self::Help => "This help",
            Self::Add => "Adding a torrent",
            Self::Delete => "Deleting",
            Self::Line => "Typing a line",
            Self::Limits => "Limits",
            Self::Sort => "Sorting",
        }
    }

    /// Characters are typed.
    pub const fn is_typed_into(self) -> bool {
        matches!(self, Self::Help | Self::Add | Self::Line | Self::Limits)
    }

    /// It lies over a screen.
    pub const fn is_dialog(self) -> bool {
        self.is_typed_into() || matches!(self, Self::Delete | Self::Sort)
    }

    /// Whether a key may do something here, and is not typed.
    pub const fn hears(self, key: Key) -> bool {
        !self.is_typed_into() || !key.is_character()
    }
}

#[cfg(test)]
mod tests;
