//! The dashboard: what is known of the engine, and where a person is in it.

mod events;
mod lists;
mod look;
mod sentence;
mod view;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::PathBuf,
};

use potluck_common::{
    InfoHash, Printable,
    control::{Command, HistoryRange, Level, Request, RequestBody, State, TorrentRow, View},
};

use super::{
    arrange::{Arrangement, Toggles, arrange},
    columns::{FileColumn, PeerColumn, Sort, TorrentColumn},
    dialog::{Add, Dialog},
    filter::Filter,
    hits::Hits,
    list::ListCursor,
    place::{List, Place, Tab},
    setting::Taste,
    zone::Zone,
};
use crate::keymap::{Context, Keymap};

pub use self::{look::Look, sentence::Tone};

/// How long a notice stands, in seconds.
const NOTICE_SECONDS: f64 = 6.0;

/// Everything that the dashboard shows. Only `update` changes it.
#[derive(Debug)]
pub struct Dashboard {
    /// What the engine told.
    pub state: State,
    /// The screen.
    pub place: Place,
    /// The tab of the torrent.
    pub tab: Tab,
    /// What lies over the screen, the topmost last.
    pub dialogs: Vec<Dialog>,
    /// Columns and lines of the terminal.
    pub size: (u16, u16),
    /// The time of the last tick, in seconds since 1970 (UTC).
    pub now: f64,
    /// The cursor of each list.
    pub cursors: BTreeMap<List, ListCursor>,
    /// The torrents that are shown, in their order.
    pub order: Vec<InfoHash>,
    /// The positions of the files that are shown, in their order.
    pub file_order: Vec<usize>,
    /// The positions of the torrent's peers that are shown, in their order.
    pub peer_order: Vec<usize>,
    /// The positions of the peers of all torrents that are shown, in their order.
    pub all_peer_order: Vec<usize>,
    /// How the torrents are sorted.
    pub torrent_sort: Sort<TorrentColumn>,
    /// How the files are sorted.
    pub file_sort: Option<Sort<FileColumn>>,
    /// How the peers of a torrent are sorted, and those of all torrents.
    pub peer_sorts: [Sort<PeerColumn>; 2],
    /// What each list shows.
    pub filters: BTreeMap<List, Filter>,
    /// How many columns of each list were left behind on the left.
    pub shifts: BTreeMap<List, usize>,
    /// The torrents that are marked.
    pub marks: BTreeSet<InfoHash>,
    /// The piece under the cursor.
    pub piece: u32,
    /// From which level on events are shown.
    pub level: Level,
    /// Only whom the choker lets in or out is shown.
    pub chokes_only: bool,
    /// How far back graphs reach.
    pub range: HistoryRange,
    /// Which panels stand beside the list.
    pub toggles: Toggles,
    /// Lines that the list of torrents has beyond the usual.
    pub split: i16,
    /// The mouse holds the border below the list.
    pub is_splitting: bool,
    /// Only the totals.
    pub zen: bool,
    /// How it looks.
    pub taste: Taste,
    /// Which keys do what.
    pub keymap: Keymap,
    /// What happened to the last request.
    pub notice: Option<Notice>,
    /// What was asked and not answered, in words.
    pub pending: BTreeMap<u64, String>,
    /// What was asked to be added and not answered, as it was typed.
    pub adding: BTreeMap<u64, Add>,
    /// What could not be added, with the reason; it is opened again when nothing else is.
    pub refused: VecDeque<Add>,
    /// The engine is gone: nothing that is shown changes any more.
    pub is_lost: bool,
    /// Where things were drawn last.
    pub hits: Hits,
    /// What the clock on the wall shows.
    pub zone: Zone,
    /// Paths that begin with `~` are in here.
    pub home: Option<PathBuf>,
    /// Paths that begin with neither `/` nor `~` are in here.
    pub directory: PathBuf,
    /// A torrent that the filter hides, and that stays while the cursor is on it.
    kept: Option<InfoHash>,
    sent_view: View,
    requests: u64,
}

/// A sentence of what has just happened.
#[derive(Clone, PartialEq, Debug)]
pub struct Notice {
    /// The sentence.
    pub text: Printable,
    /// It is bad news.
    pub is_bad: bool,
    /// The request that it answers, or the next one if it answers none.
    of: u64,
    /// When it goes away, in seconds since 1970.
    until: f64,
}

impl Default for Dashboard {
    fn default() -> Self {
        Self {
            state: State::default(),
            place: Place::Torrents,
            tab: Tab::default(),
            dialogs: Vec::new(),
            size: (80, 24),
            now: 0.0,
            cursors: List::ALL.into_iter().map(|list| (list, ListCursor::default())).collect(),
            order: Vec::new(),
            file_order: Vec::new(),
            peer_order: Vec::new(),
            all_peer_order: Vec::new(),
            torrent_sort: Sort::by(TorrentColumn::Number, false),
            file_sort: None,
            peer_sorts: [Sort::by(PeerColumn::Rank, false), Sort::by(PeerColumn::Down, true)],
            filters: BTreeMap::new(),
            shifts: BTreeMap::new(),
            marks: BTreeSet::new(),
            piece: 0,
            level: Level::Info,
            chokes_only: false,
            range: HistoryRange::FiveMinutes,
            toggles: Toggles::default(),
            split: 0,
            is_splitting: false,
            zen: false,
            taste: Taste::default(),
            keymap: Keymap::default(),
            notice: None,
            pending: BTreeMap::new(),
            adding: BTreeMap::new(),
            refused: VecDeque::new(),
            is_lost: false,
            hits: Hits::default(),
            zone: Zone::default(),
            home: None,
            directory: PathBuf::new(),
            kept: None,
            sent_view: View::default(),
            requests: 0,
        }
    }
}

impl Dashboard {
    /// A dashboard that knows nothing yet. `home` is what `~` stands for, `directory` where other paths begin.
    pub fn new(home: Option<PathBuf>, directory: PathBuf) -> Self {
        Self { home, directory, ..Self::default() }
    }

    /// The torrent under the cursor.
    pub fn selected(&self) -> Option<&TorrentRow> {
        let place = self.cursor(List::Torrents).selected;
        self.order.get(place).and_then(|info_hash| self.state.torrents.get(info_hash))
    }

    /// What a command is for: the marked torrents where they are seen, else the selected one.
    ///
    /// What a filter hides is left alone: nobody deletes what they do not see.
    pub fn targets(&self) -> Vec<InfoHash> {
        let is_marked = |torrent: &&InfoHash| self.place == Place::Torrents && self.marks.contains(*torrent);
        let marked: Vec<InfoHash> = self.order.iter().filter(is_marked).copied().collect();
        if !marked.is_empty() {
            return marked;
        }
        self.selected().map(|row| row.summary.info_hash).into_iter().collect()
    }

    /// How many marked torrents the filter hides.
    pub fn marked_hidden(&self) -> usize {
        self.marks.len() - self.order.iter().filter(|torrent| self.marks.contains(torrent)).count()
    }

    /// That marked torrents are hidden, if a command of the list passes them by.
    pub fn left_alone(&self) -> Option<String> {
        let hidden = self.marked_hidden();
        let verb = if hidden == 1 { "is" } else { "are" };
        (self.place == Place::Torrents && hidden > 0)
            .then(|| format!("{hidden} of {} marked {verb} hidden and left alone", self.marks.len()))
    }

    /// Torrents, in words.
    pub fn called(&self, torrents: &[InfoHash]) -> String {
        match torrents {
            [only] => (self.state.torrents.get(only))
                .map_or_else(|| only.to_string(), |row| row.summary.name.to_string()),
            several => format!("{} torrents", several.len()),
        }
    }

    /// The cursor of a list.
    pub fn cursor(&self, list: List) -> ListCursor {
        self.cursors.get(&list).copied().unwrap_or_default()
    }

    /// The cursor of a list, to be moved.
    pub fn cursor_mut(&mut self, list: List) -> &mut ListCursor {
        self.cursors.entry(list).or_default()
    }

    /// What a list shows.
    pub fn filter_text(&self, list: List) -> &str {
        self.filters.get(&list).map_or("", Filter::text)
    }

    /// How many columns of a list were left behind on the left.
    pub fn shift(&self, list: List) -> usize {
        self.shifts.get(&list).copied().unwrap_or(0)
    }

    /// Where the keys go.
    pub fn context(&self) -> Context {
        match self.dialogs.last() {
            None => self.screen_context(),
            Some(Dialog::Help { .. }) => Context::Help,
            Some(Dialog::Add(_)) => Context::Add,
            Some(Dialog::Delete { .. }) => Context::Delete,
            Some(Dialog::Line { .. }) => Context::Line,
            Some(Dialog::Limits { .. }) => Context::Limits,
            Some(Dialog::Sort { .. }) => Context::Sort,
        }
    }

    /// Where they would go without a dialog.
    pub fn screen_context(&self) -> Context {
        match (self.place, self.tab) {
            (Place::Torrents, _) => Context::Torrents,
            (Place::Detail, Tab::Overview) => Context::Overview,
            (Place::Detail, Tab::Pieces) => Context::Pieces,
            (Place::Detail, Tab::Files) => Context::Files,
            (Place::Detail, Tab::Peers) => Context::Ledger,
            (Place::Detail, Tab::Trackers) => Context::Trackers,
            (Place::Detail, Tab::Log) => Context::Log,
            (Place::Peers, _) => Context::Peers,
            (Place::Discovery, _) => Context::Discovery,
            (Place::Fairness, _) => Context::Fairness,
            (Place::Events, _) => Context::Events,
            (Place::Settings, _) => Context::Settings,
        }
    }

    /// The list that movement goes through, if the screen has one.
    pub fn focused_list(&self) -> Option<List> {
        Some(match self.screen_context() {
            // In an overview, to look at one torrent after the other.
            Context::Torrents | Context::Overview | Context::Discovery => List::Torrents,
            Context::Files => List::Files,
            Context::Ledger => List::Peers,
            Context::Trackers => List::Trackers,
            Context::Log => List::Log,
            Context::Peers => List::AllPeers,
            Context::Events => List::Events,
            Context::Settings => List::Settings,
            _ => return None,
        })
    }

    /// What stands where.
    pub fn arrangement(&self) -> Arrangement {
        let mut arrangement = self.usual_arrangement();
        arrangement.move_split(self.split);
        arrangement
    }

    fn usual_arrangement(&self) -> Arrangement {
        arrange(self.size, self.place, self.tab, self.toggles, self.zen)
    }

    /// Gives the list of torrents so many lines more or less, as far as there are some.
    pub fn move_split(&mut self, lines: i16) {
        let Some(usual) = self.usual_arrangement().split() else { return };
        let beyond = |model: &Self| {
            let y = model.arrangement().split().map_or(usual.y, |split| split.y);
            y.cast_signed() - usual.y.cast_signed()
        };
        // What has no effect on this terminal is not kept, or the way back would begin with nothing, too.
        self.split = beyond(self).saturating_add(lines);
        self.split = beyond(self);
    }

    /// Says something in the status line, for a while.
    pub fn say(&mut self, text: impl AsRef<str>) {
        self.notice_with(self.requests + 1, text.as_ref(), false);
    }

    /// Says bad news.
    pub fn complain(&mut self, text: impl AsRef<str>) {
        self.notice_with(self.requests + 1, text.as_ref(), true);
    }

    /// Says how a request went. What was asked or done after it has the last word, unless that is good news and this is bad.
    pub fn answer(&mut self, request: u64, text: &str, is_bad: bool) {
        let is_late = |notice: &Notice| notice.of > request && (notice.is_bad || !is_bad);
        if !self.notice.as_ref().is_some_and(is_late) {
            self.notice_with(request, text, is_bad);
        }
    }

    fn notice_with(&mut self, of: u64, text: &str, is_bad: bool) {
        let until = self.now + NOTICE_SECONDS;
        self.notice = Some(Notice { text: Printable::new(text), is_bad, of, until });
    }

    /// The time has passed to `now`.
    pub fn tick(&mut self, now: f64) {
        self.now = now;
        self.notice.take_if(|notice| notice.until <= now);
    }

    /// When something goes away by itself, in seconds since 1970.
    pub fn changes_at(&self) -> Option<f64> {
        self.notice.as_ref().map(|notice| notice.until)
    }

    /// A request for `command`, whose answer is shown as that to `words`.
    pub fn ask(&mut self, command: Command, words: impl Into<String>) -> Request {
        self.requests += 1;
        self.pending.insert(self.requests, words.into());
        Request { number: self.requests, body: RequestBody::Command(command) }
    }

    /// A request for `command`, whose answer is only shown if it is an error.
    pub fn ask_quietly(&mut self, command: Command) -> Request {
        self.requests += 1;
        Request { number: self.requests, body: RequestBody::Command(command) }
    }

    /// A request for what is to be seen, if that is not what the engine thinks.
    pub fn ask_for_view(&mut self) -> Option<Request> {
        let view = self.view();
        if self.requests > 0 && view == self.sent_view {
            return None;
        }
        self.requests += 1;
        self.sent_view = view.clone();
        Some(Request { number: self.requests, body: RequestBody::View(view) })
    }

    /// Something is wrong inside of the model; for tests.
    pub fn assert_invariants(&self) {
        for list in List::ALL {
            let (len, cursor) = (self.len(list), self.cursor(list));
            assert!(cursor.selected < len.max(1), "{list:?} has {len} entries, and {cursor:?}");
        }
        assert!(self.order.iter().all(|info_hash| self.state.torrents.contains_key(info_hash)));
        assert!(self.marks.iter().all(|info_hash| self.state.torrents.contains_key(info_hash)));
        let files = self.detail().map_or(0, |detail| detail.lists.files.len());
        assert!(self.file_order.iter().all(|place| *place < files));
        let peers = self.detail().map_or(0, |detail| detail.lists.peers.len());
        assert!(self.peer_order.iter().all(|place| *place < peers));
        assert!(self.all_peer_order.iter().all(|place| *place < self.state.peers.len()));
    }
}
