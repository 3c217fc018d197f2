//! What lies over a screen and asks a person something.

use potluck_common::InfoHash;

use super::{
    columns::{FileColumn, PeerColumn, TorrentColumn},
    field::Field,
    list::ListCursor,
    place::List,
    setting::Setting,
};

/// Something that lies over the screen. Keys go to the topmost one.
#[derive(Clone, PartialEq, Debug)]
pub enum Dialog {
    /// All keys, those of the screen first; what is typed searches them.
    Help {
        /// What is searched for.
        query: Field,
        /// Which line is seen.
        cursor: ListCursor,
    },
    /// Takes a torrent in.
    Add(Add),
    /// Takes torrents out.
    Delete {
        /// Which.
        torrents: Vec<InfoHash>,
        /// What is to happen to them.
        choice: DeleteChoice,
    },
    /// A line to be typed.
    Line {
        /// What for.
        purpose: Purpose,
        /// What is typed.
        field: Field,
        /// Why it cannot be taken.
        trouble: Option<String>,
    },
    /// The limits of torrents.
    Limits {
        /// Which.
        torrents: Vec<InfoHash>,
        /// Of what comes, and of what is sent.
        fields: [Field; 2],
        /// The torrents have different ones: empty leaves them as they are.
        differ: [bool; 2],
        /// The one that is typed into.
        focus: usize,
        /// Why they cannot be taken.
        trouble: Option<String>,
    },
    /// By which column a list is sorted.
    Sort {
        /// The list.
        list: List,
        /// Which column.
        cursor: ListCursor,
    },
}

/// What a typed line is for.
#[derive(Clone, PartialEq, Debug)]
pub enum Purpose {
    /// Which entries of a list are shown. It works while it is typed.
    Filter {
        /// The list.
        list: List,
        /// What the filter was before.
        before: String,
    },
    /// What torrents are called.
    Labels {
        /// Which.
        torrents: Vec<InfoHash>,
        /// They have different ones: empty leaves them as they are.
        differ: bool,
    },
    /// A peer's address.
    Peer(InfoHash),
    /// The value of a setting.
    Setting(Setting),
    /// The file that what a list of events shows is written to.
    Export(List),
}

/// What is to be added, and where it goes.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Add {
    /// The path or the URL of a .torrent file, and the folder for the payload; empty is where new torrents go.
    pub fields: [Field; 2],
    /// The one that is typed into.
    pub focus: usize,
    /// It waits until somebody starts it; `None` is as the settings say.
    pub paused: Option<bool>,
    /// How what is typed could go on.
    pub completions: Vec<String>,
    /// Why it cannot be added.
    pub trouble: Option<String>,
}

/// What is to happen to torrents that are taken out.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum DeleteChoice {
    /// Their payload stays where it is.
    #[default]
    KeepData,
    /// Their payload is deleted.
    DeleteData,
    /// Nothing.
    Cancel,
}

impl DeleteChoice {
    /// All of them, in the order in which they stand.
    pub const ALL: [Self; 3] = [Self::KeepData, Self::DeleteData, Self::Cancel];
}

/// By what a list can be sorted: titles and words.
pub fn sort_choices(list: List) -> Vec<(&'static str, &'static str)> {
    match list {
        List::Torrents => TorrentColumn::ALL.iter().map(|column| (column.title(), column.words())).collect(),
        List::Peers | List::AllPeers => {
            PeerColumn::ALL.iter().map(|column| (column.title(), column.words())).collect()
        }
        List::Files => FileColumn::ALL.iter().map(|column| (column.title(), column.words())).collect(),
        List::Trackers | List::Log | List::Events | List::Settings => Vec::new(),
    }
}
