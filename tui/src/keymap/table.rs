//! The table of keys.

use crossterm::event::KeyCode;

use super::{Action, Context, Key};

/// Keys, where they are pressed, what they do, and how that is called.
#[derive(Debug)]
pub struct Binding {
    /// Its name in a configuration file. Bindings that share one have the same keys, in different contexts.
    pub name: &'static str,
    /// The keys that do it unless a person chose others; the first is shown first.
    pub keys: &'static [Key],
    /// Where.
    pub contexts: &'static [Context],
    /// What.
    pub action: Action,
    /// What, for the help.
    pub words: &'static str,
    /// What, for the footer; empty where it is not shown there.
    pub short: &'static str,
}

use Context as C;

const SCREENS: &[Context] = &[
    C::Torrents,
    C::Overview,
    C::Pieces,
    C::Files,
    C::Ledger,
    C::Trackers,
    C::Log,
    C::Peers,
    C::Discovery,
    C::Fairness,
    C::Events,
    C::Settings,
];
/// Where the selected torrent is meant.
const TORRENT: &[Context] = &[C::Torrents, C::Overview, C::Pieces, C::Files, C::Ledger, C::Trackers, C::Log];
const TORRENT_BUT_FILES: &[Context] = &[C::Torrents, C::Overview, C::Pieces, C::Ledger, C::Trackers, C::Log];
const LABELLED: &[Context] = &[C::Torrents, C::Overview, C::Files, C::Ledger, C::Trackers];
const DETAIL_BUT_PIECES: &[Context] = &[C::Overview, C::Files, C::Ledger, C::Trackers, C::Log];
const TABBED: &[Context] = &[C::Torrents, C::Overview, C::Pieces, C::Files, C::Ledger, C::Trackers, C::Log];
const UNTABBED: &[Context] = &[C::Peers, C::Discovery, C::Fairness, C::Events, C::Settings];
const SORTED: &[Context] = &[C::Torrents, C::Files, C::Ledger, C::Peers];
const WIDE: &[Context] = &[C::Torrents, C::Ledger, C::Peers];
const HAPPENED: &[Context] = &[C::Log, C::Events];
const LISTS: &[Context] = &[
    C::Torrents,
    C::Overview,
    C::Pieces,
    C::Files,
    C::Ledger,
    C::Trackers,
    C::Log,
    C::Peers,
    C::Discovery,
    C::Events,
    C::Settings,
    C::Delete,
    C::Sort,
];
const DIALOGS: &[Context] = &[C::Help, C::Add, C::Delete, C::Line, C::Limits, C::Sort];
const TYPED: &[Context] = &[C::Help, C::Add, C::Line, C::Limits];

const fn char(character: char) -> Key {
    Key::char(character)
}

const fn key(code: KeyCode) -> Key {
    Key::plain(code)
}

const fn bind(
    name: &'static str,
    keys: &'static [Key],
    contexts: &'static [Context],
    action: Action,
    words: &'static str,
    short: &'static str,
) -> Binding {
    Binding { name, keys, contexts, action, words, short }
}

use Action as A;
use KeyCode as K;

/// Every key. What matters most in a context stands first: the footer shows as many as there is room for.
pub static BINDINGS: &[Binding] = &[
    bind(
        "add",
        &[char('a')],
        SCREENS,
        A::Add,
        "add a torrent: its .torrent file or the URL of that; pasting one does the same",
        "add",
    ),
    bind("pause", &[char(' ')], TORRENT_BUT_FILES, A::Pause, "pause, or go on", "pause"),
    bind("skip-file", &[char(' ')], &[C::Files], A::SkipFile, "skip this file, or fetch it", "skip/want"),
    bind(
        "raise-file",
        &[char('+'), char('=')],
        &[C::Files],
        A::RaiseFile,
        "fetch this file sooner",
        "sooner",
    ),
    bind("lower-file", &[char('-')], &[C::Files], A::LowerFile, "fetch this file later", "later"),
    bind(
        "open",
        &[key(K::Enter)],
        &[C::Torrents, C::Peers, C::Discovery],
        A::Open,
        "look at the torrent from near",
        "open",
    ),
    bind("change", &[key(K::Enter), char(' ')], &[C::Settings], A::Change, "change this", "change"),
    bind(
        "delete",
        &[char('d'), key(K::Delete)],
        TORRENT,
        A::Delete,
        "delete: asks whether the data goes, too",
        "delete",
    ),
    bind("next-tab", &[key(K::Tab)], TABBED, A::NextTab, "next tab of the torrent", ""),
    bind("next-screen", &[key(K::Tab)], UNTABBED, A::NextTab, "next screen", "screen"),
    bind(
        "peers",
        &[char('p')],
        SCREENS,
        A::ShowPeers,
        "peers of the torrent: who gives, who takes, and why",
        "peers",
    ),
    bind(
        "filter",
        &[char('/')],
        SORTED,
        A::Filter,
        "filter: words, and state:seed ratio>2 label:x size>1G done<100 copies<1 private:no",
        "filter",
    ),
    bind(
        "filter",
        &[char('/')],
        HAPPENED,
        A::Filter,
        "filter: words that are searched in what happened",
        "filter",
    ),
    bind("sort", &[char('s')], SORTED, A::SortMenu, "sort by one of the columns", "sort"),
    bind("level", &[char('l')], HAPPENED, A::EventLevel, "from which level on events are shown", "level"),
    bind("chokes", &[char('C')], HAPPENED, A::ChokesOnly, "only whom we choke or unchoke", "chokes"),
    bind("export", &[char('E')], HAPPENED, A::Export, "write what is shown to a file", "export"),
    bind("files", &[char('f')], SCREENS, A::ShowFiles, "files of the torrent and their priorities", "files"),
    bind("verify", &[char('v')], TORRENT, A::Verify, "verify the data on the disk", "verify"),
    bind("limits", &[char('L')], TORRENT, A::Limits, "limits of the torrent", "limits"),
    bind("turtle", &[char('T')], SCREENS, A::Turtle, "turtle: the slow limits instead", "turtle"),
    bind("help", &[char('?'), key(K::F(1))], SCREENS, A::Help, "this help", "help"),
    bind(
        "quit",
        &[char('q'), Key::control('c')],
        SCREENS,
        A::Quit,
        "quit; transfers stop, and go on where they were when they are started again",
        "quit",
    ),
    bind("reannounce", &[char('r')], TORRENT, A::Reannounce, "ask the trackers for peers now", "reannounce"),
    bind("copy-magnet", &[char('c')], TORRENT, A::CopyMagnet, "copy the magnet link", "copy magnet"),
    bind("label", &[char('l')], LABELLED, A::Label, "labels of the torrent", "label"),
    bind(
        "add-peer",
        &[char('P')],
        TORRENT,
        A::AddPeer,
        "name a peer of the torrent by its address",
        "add peer",
    ),
    bind(
        "mark",
        &[char('m')],
        &[C::Torrents],
        A::Mark,
        "mark: what is done is done to all that are marked",
        "mark",
    ),
    bind(
        "mark-all",
        &[char('M')],
        &[C::Torrents],
        A::MarkAll,
        "mark all that the filter shows, or none",
        "mark all",
    ),
    bind(
        "queue-order",
        &[char('o')],
        &[C::Torrents],
        A::QueueOrder,
        "list the torrents in the order of the queue",
        "queue",
    ),
    bind("queue-up", &[char('K')], TORRENT, A::QueueUp, "in the queue before the one that is before it", ""),
    bind(
        "queue-down",
        &[char('J')],
        TORRENT,
        A::QueueDown,
        "in the queue behind the one that is behind it",
        "",
    ),
    bind("queue-first", &[char('[')], TORRENT, A::QueueFirst, "in the queue before all others", ""),
    bind("queue-last", &[char(']')], TORRENT, A::QueueLast, "in the queue behind all others", ""),
    bind("reverse", &[char('S')], SORTED, A::Reverse, "sort the other way round", "reverse"),
    bind("columns-right", &[char('>'), char('.')], WIDE, A::ColumnsRight, "more columns to the right", ""),
    bind(
        "columns-left",
        &[char('<'), char(',')],
        WIDE,
        A::ColumnsLeft,
        "back to the columns on the left",
        "",
    ),
    bind(
        "graph-range",
        &[char('t')],
        SCREENS,
        A::GraphRange,
        "how far back graphs reach: 1m, 5m, 1h, 1d",
        "graph",
    ),
    bind("events", &[char('e')], SCREENS, A::ShowEvents, "what happened, of all torrents", "events"),
    bind("bits", &[char('y')], SCREENS, A::BitsOrBytes, "rates in bits or in bytes", "bits"),
    bind(
        "graph-scale",
        &[char('Y')],
        SCREENS,
        A::GraphScale,
        "graphs on a logarithmic scale, or on a linear one",
        "",
    ),
    bind("zen", &[char('z')], SCREENS, A::Zen, "zen: only the totals", "zen"),
    bind("screen-torrents", &[char('1')], SCREENS, A::Screen(0), "screen: torrents", ""),
    bind("screen-torrent", &[char('2')], SCREENS, A::Screen(1), "screen: one torrent", ""),
    bind("screen-peers", &[char('3')], SCREENS, A::Screen(2), "screen: the peers of all torrents", ""),
    bind(
        "screen-discovery",
        &[char('4')],
        SCREENS,
        A::Screen(3),
        "screen: discovery, where peers come from",
        "",
    ),
    bind(
        "screen-fairness",
        &[char('5')],
        SCREENS,
        A::Screen(4),
        "screen: fairness, how uploads are shared",
        "",
    ),
    bind("screen-events", &[char('6')], SCREENS, A::Screen(5), "screen: events", ""),
    bind("screen-settings", &[char('7')], SCREENS, A::Screen(6), "screen: settings", ""),
    bind(
        "taller",
        &[char('}')],
        &[C::Torrents],
        A::Taller,
        "a taller list; the mouse drags its lower border",
        "",
    ),
    bind("shorter", &[char('{')], &[C::Torrents], A::Shorter, "a shorter list", ""),
    bind(
        "toggle-detail",
        &[key(K::F(2))],
        SCREENS,
        A::ToggleDetail,
        "show or hide the torrent's panels beside the list",
        "",
    ),
    bind("toggle-speed", &[key(K::F(3))], SCREENS, A::ToggleSpeed, "show or hide the graph", ""),
    bind(
        "toggle-fairness",
        &[key(K::F(4))],
        SCREENS,
        A::ToggleFairness,
        "show or hide fairness beside the list",
        "",
    ),
    bind(
        "toggle-events",
        &[key(K::F(5))],
        SCREENS,
        A::ToggleEvents,
        "show or hide the events beside the list",
        "",
    ),
    bind("toggle-disk", &[key(K::F(6))], SCREENS, A::ToggleDisk, "show or hide what the disk does", ""),
    bind("previous-tab", &[key(K::BackTab)], TABBED, A::PreviousTab, "previous tab of the torrent", ""),
    bind("previous-screen", &[key(K::BackTab)], UNTABBED, A::PreviousTab, "previous screen", ""),
    bind("tab-right", &[key(K::Right)], DETAIL_BUT_PIECES, A::NextTab, "next tab of the torrent", ""),
    bind("tab-left", &[key(K::Left)], DETAIL_BUT_PIECES, A::PreviousTab, "previous tab of the torrent", ""),
    bind("next-piece", &[key(K::Right), char('l')], &[C::Pieces], A::Right, "next piece", ""),
    bind("previous-piece", &[key(K::Left), char('h')], &[C::Pieces], A::Left, "previous piece", ""),
    bind("down", &[key(K::Down), char('j')], LISTS, A::Down, "down", ""),
    bind("up", &[key(K::Up), char('k')], LISTS, A::Up, "up", ""),
    bind("page-down", &[key(K::PageDown), Key::control('f')], LISTS, A::PageDown, "a page down", ""),
    bind("page-up", &[key(K::PageUp), Key::control('b')], LISTS, A::PageUp, "a page up", ""),
    bind("first", &[char('g'), key(K::Home)], LISTS, A::First, "to the beginning", ""),
    bind("last", &[char('G'), key(K::End)], LISTS, A::Last, "to the end", ""),
    bind(
        "back",
        &[key(K::Esc), key(K::Backspace)],
        SCREENS,
        A::Back,
        "back: filter, marks, then the list of torrents",
        "",
    ),
    bind("redraw", &[Key::control('l')], SCREENS, A::Redraw, "draw everything anew", ""),
    bind(
        "suspend",
        &[Key::control('z')],
        SCREENS,
        A::Suspend,
        "leave the terminal to the shell for a while (fg)",
        "",
    ),
    // Dialogs.
    bind("accept", &[key(K::Enter)], DIALOGS, A::Accept, "take it", "take"),
    bind(
        "complete",
        &[key(K::Tab)],
        &[C::Add],
        A::Complete,
        "complete the path, or the next field",
        "complete",
    ),
    bind(
        "other-field",
        &[key(K::BackTab), key(K::Down), key(K::Up)],
        &[C::Add],
        A::NextField,
        "the other field",
        "",
    ),
    bind(
        "other-limit",
        &[key(K::Tab), key(K::BackTab), key(K::Down), key(K::Up)],
        &[C::Limits],
        A::NextField,
        "the other field",
        "next",
    ),
    bind(
        "start-paused",
        &[Key::control('p')],
        &[C::Add],
        A::TogglePaused,
        "start it at once, or paused",
        "paused",
    ),
    bind(
        "keep-data",
        &[char('t')],
        &[C::Delete],
        A::KeepData,
        "take the torrent out, keep its data",
        "torrent",
    ),
    bind(
        "delete-data",
        &[char('D')],
        &[C::Delete],
        A::DeleteData,
        "take the torrent out and delete its data",
        "and data",
    ),
    bind("cancel", &[key(K::Esc), Key::control('c')], DIALOGS, A::Close, "leave it", "cancel"),
    bind("cancel-delete", &[char('q'), char('n')], &[C::Delete], A::Close, "leave it", ""),
    bind("cancel-sort", &[char('q')], &[C::Sort], A::Close, "leave it", ""),
    bind("help-down", &[key(K::Down)], &[C::Help], A::Down, "down", ""),
    bind("help-up", &[key(K::Up)], &[C::Help], A::Up, "up", ""),
    bind("help-page-down", &[key(K::PageDown)], &[C::Help], A::PageDown, "a page down", ""),
    bind("help-page-up", &[key(K::PageUp)], &[C::Help], A::PageUp, "a page up", ""),
    bind("erase-back", &[key(K::Backspace)], TYPED, A::EraseBack, "erase the character before", ""),
    bind("erase-forward", &[key(K::Delete)], TYPED, A::EraseForward, "erase the character here", ""),
    bind("erase-word", &[Key::control('w')], TYPED, A::EraseWord, "erase the word before", ""),
    bind("erase-line", &[Key::control('u')], TYPED, A::EraseLine, "erase all before", ""),
    bind("cursor-left", &[key(K::Left)], TYPED, A::Left, "one character to the left", ""),
    bind("cursor-right", &[key(K::Right)], TYPED, A::Right, "one character to the right", ""),
    bind("cursor-start", &[key(K::Home), Key::control('a')], TYPED, A::First, "to the beginning", ""),
    bind("cursor-end", &[key(K::End), Key::control('e')], TYPED, A::Last, "to the end", ""),
    bind("redraw", &[Key::control('l')], DIALOGS, A::Redraw, "draw everything anew", ""),
    bind(
        "suspend",
        &[Key::control('z')],
        DIALOGS,
        A::Suspend,
        "leave the terminal to the shell for a while (fg)",
        "",
    ),
];
