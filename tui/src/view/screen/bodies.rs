//! What stands in each panel.

use potluck_common::control::{Detail, Level};
use ratatui::{
    Frame,
    layout::{HorizontalAlignment, Rect},
};

use super::{is_focused, settings};
use crate::{
    keymap::Action,
    model::{
        columns::{FileColumn, PeerColumn, Sort, TorrentColumn},
        dashboard::Dashboard,
        hits::{Hits, Target},
        list::ListCursor,
        place::{List, Place},
    },
    units::count,
    view::{
        layout::Panel,
        look::{Look, Placed},
        panels::{
            disk,
            events::{EventColumn, EventRow},
            fairness, header,
            peers::{self, PeerRow},
            pieces::{self, Pieces},
            speed,
            trackers::{SourceRow, TrackerColumn},
        },
        table::{Column, Table, offset_most},
        text,
    },
};

/// From so many columns titles say more.
const WORDY_WIDTH_MIN: u16 = 120;

/// From so many events say how long ago they were.
const AGO_WIDTH_MIN: u16 = 120;

/// What stands above a panel, on the left and on the right.
pub(super) fn titles(panel: Panel, model: &Dashboard, look: &Look<'_>) -> (String, String) {
    let right = match panel {
        Panel::Torrents => torrents_shown(model, look),
        Panel::Peers => counted(List::Peers, model, model.detail().map(peer_counts).unwrap_or_default()),
        Panel::AllPeers => {
            let all = peers::counts(model.state.peers.iter().map(|entry| &entry.peer));
            counted(List::AllPeers, model, all)
        }
        Panel::Files => {
            let files = model.detail().map_or(0, |detail| detail.lists.files.len());
            counted(List::Files, model, count(files as u64, "file"))
        }
        Panel::Log => events_shown(List::Log, model),
        Panel::Events => events_shown(List::Events, model),
        Panel::Speed => history(model).map(|history| speed::newest(history, look)).unwrap_or_default(),
        _ => String::new(),
    };
    (left_title(panel, model, look), right)
}

fn left_title(panel: Panel, model: &Dashboard, look: &Look<'_>) -> String {
    let title = match panel {
        Panel::Speed if model.place == Place::Detail => {
            format!("Speed {}, this torrent", speed::range_name(model.range))
        }
        Panel::Speed => format!("Speed {}", speed::range_name(model.range)),
        Panel::Fairness if model.place == Place::Detail => "Fairness, this torrent".to_owned(),
        Panel::Fairness => "Fairness of all uploads".to_owned(),
        Panel::AllPeers => "Peers of all torrents".to_owned(),
        Panel::Peers if model.size.0 >= WORDY_WIDTH_MIN => "Peers: who gives, who gets, why".to_owned(),
        Panel::Pieces => "Pieces and availability".to_owned(),
        Panel::Trackers if model.place == Place::Discovery => "Trackers and discovery".to_owned(),
        _ => panel.title().to_owned(),
    };
    // Beside a panel that names the torrent, others need not.
    let names_it = match model.place {
        Place::Torrents | Place::Detail => {
            panel == model.tab.panel() || matches!(panel, Panel::Pieces | Panel::Peers)
        }
        Place::Discovery => panel == Panel::Trackers,
        _ => false,
    };
    match model.selected().filter(|_| names_it) {
        Some(row) => {
            let name = text::fitted(row.summary.name.as_str(), 32, look.theme.symbols.ellipsis);
            format!("{name} {} {title}", look.theme.symbols.step)
        }
        None => title,
    }
}

/// How many torrents are shown, and by what they are chosen and sorted.
fn torrents_shown(model: &Dashboard, look: &Look<'_>) -> String {
    let (shown, all) = (model.order.len(), model.state.torrents.len());
    let mut words = if shown == all { all.to_string() } else { format!("{shown} of {all}") };
    if !model.marks.is_empty() {
        words = format!("{words}, {} marked", model.marks.len());
        let hidden = model.marked_hidden();
        if hidden > 0 {
            words = format!("{words} ({hidden} hidden)");
        }
    }
    let filter = model.filter_text(List::Torrents);
    if !filter.is_empty() {
        words = format!("{words}  filter {filter}");
    }
    let symbols = look.theme.symbols;
    let arrow = if model.torrent_sort.descending { symbols.descending } else { symbols.ascending };
    format!("{words}  sort {} {arrow}", model.torrent_sort.column.words())
}

/// What a list shows, with what it is filtered by.
fn counted(list: List, model: &Dashboard, all: String) -> String {
    match model.filter_text(list) {
        "" => all,
        filter => format!("{} shown  filter {filter}", model.len(list)),
    }
}

/// Which events are shown, and whose time stands beside them.
fn events_shown(list: List, model: &Dashboard) -> String {
    let zone = model.zone.name(model.now as i64);
    let all = if model.chokes_only {
        format!("choke decisions, {zone}")
    } else {
        format!("{} and above, {zone}", level_name(model.level))
    };
    match model.filter_text(list) {
        "" => all,
        filter => format!("{all}  filter {filter}"),
    }
}

fn peer_counts(detail: &Detail) -> String {
    peers::counts(detail.lists.peers.iter())
}

const fn level_name(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warnings",
        Level::Error => "errors",
    }
}

/// The rates that the graph shows: of the torrent where it is seen from near, else of the session.
fn history(model: &Dashboard) -> Option<&potluck_common::control::History> {
    if model.place == Place::Detail {
        model.detail().and_then(|detail| detail.history.as_ref())
    } else {
        model.state.history.as_ref()
    }
}

/// The session in a few numbers.
pub(super) fn header(frame: &mut Frame<'_>, area: Rect, model: &Dashboard, look: &Look<'_>) {
    let line = header::line(model.state.session.as_ref(), look, area.width);
    text::put(frame.buffer_mut(), area, &line, HorizontalAlignment::Left, "");
}

/// Draws a panel within its frame.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    panel: Panel,
    model: &Dashboard,
    look: &Look<'_>,
    hits: &mut Hits,
) {
    let body = Body { model, look, is_focused: is_focused(panel, model) };
    match panel {
        Panel::Settings => settings::draw(frame, area, model, look, hits),
        Panel::Torrents => body.torrents(frame, area, hits),
        Panel::Overview => {
            let about = model.detail().and_then(|detail| detail.lists.about.as_ref());
            crate::view::panels::overview::draw(frame, area, look, model.selected(), about);
        }
        Panel::Pieces => body.pieces(frame, area, hits),
        Panel::Files => body.files(frame, area, hits),
        Panel::Peers => body.peers(frame, area, hits),
        Panel::AllPeers => body.all_peers(frame, area, hits),
        Panel::Trackers => body.trackers(frame, area, hits),
        Panel::Log => body.events(frame, area, List::Log, hits),
        Panel::Events => body.events(frame, area, List::Events, hits),
        Panel::Fairness => {
            let near = model.detail().and_then(|detail| detail.lists.fairness.as_ref());
            let shown = if model.place == Place::Detail { near } else { model.state.fairness.as_ref() };
            fairness::draw(frame, area, look, shown);
        }
        Panel::Disk => disk::draw(frame, area, look, model.state.disk.as_ref()),
        Panel::Speed => speed::draw(frame, area, look, history(model), model.taste.log),
        Panel::Header | Panel::Status | Panel::Footer => {}
    }
}

/// What all lists are drawn with.
struct Body<'a> {
    model: &'a Dashboard,
    look: &'a Look<'a>,
    is_focused: bool,
}

impl Body<'_> {
    fn torrents(&self, frame: &mut Frame<'_>, area: Rect, hits: &mut Hits) {
        let model = self.model;
        let row = |place: usize| model.state.torrents.get(model.order.get(place)?);
        let is_marked =
            |place: usize| model.order.get(place).is_some_and(|info_hash| model.marks.contains(info_hash));
        let empty = match model.state.session {
            None => "waiting for the engine".to_owned(),
            Some(_) if model.state.torrents.is_empty() => {
                format!("no torrents yet{}", model.hint(Action::Add, ": press ", " to add one"))
            }
            Some(_) => self.filter_leaves_none(),
        };
        let table = Table {
            sort: Some(model.torrent_sort),
            is_marked: Some(&is_marked),
            empty: &empty,
            ..self.table(List::Torrents, model.order.len(), &row, area)
        };
        let placed = table.draw(frame, area, self.look);
        remember(hits, List::Torrents, &placed, TorrentColumn::ALL);
    }

    fn filter_leaves_none(&self) -> String {
        format!("the filter leaves none{}", self.model.hint(Action::Back, ": ", " takes it away"))
    }

    fn pieces(&self, frame: &mut Frame<'_>, area: Rect, hits: &mut Hits) {
        let (Some(row), detail) = (self.model.selected(), self.model.detail()) else { return };
        let shown = Pieces {
            summary: &row.summary,
            pieces: detail.map_or(&[], |detail| &detail.lists.pieces),
            cursor: self.is_focused.then_some(self.model.piece),
            holders: detail.map_or(&[], |detail| &detail.lists.holders),
        };
        let (map, grid) = pieces::draw(frame, area, self.look, &shown);
        hits.add_map(map, grid.per_cell);
    }

    fn files(&self, frame: &mut Frame<'_>, area: Rect, hits: &mut Hits) {
        let files = self.model.detail().map(|detail| detail.lists.files.as_slice()).unwrap_or_default();
        let row = |place: usize| files.get(*self.model.file_order.get(place)?);
        let table = Table {
            sort: self.model.file_sort,
            empty: "its files are not known yet",
            ..self.table(List::Files, self.model.file_order.len(), &row, area)
        };
        remember(hits, List::Files, &table.draw(frame, area, self.look), FileColumn::ALL);
    }

    fn peers(&self, frame: &mut Frame<'_>, area: Rect, hits: &mut Hits) {
        let peers = self.model.detail().map(|detail| detail.lists.peers.as_slice()).unwrap_or_default();
        let pieces = self.model.selected().map_or(0, |row| row.summary.pieces);
        let row = |place: usize| {
            let peer = peers.get(*self.model.peer_order.get(place)?)?;
            Some(PeerRow { peer, torrent: None, pieces })
        };
        let table = Table {
            without: &[PeerColumn::Torrent],
            ..self.peer_table(List::Peers, self.model.peer_order.len(), &row, area, self.model.peer_sorts[0])
        };
        remember(hits, List::Peers, &table.draw(frame, area, self.look), PeerColumn::ALL);
    }

    fn all_peers(&self, frame: &mut Frame<'_>, area: Rect, hits: &mut Hits) {
        let model = self.model;
        let row = |place: usize| {
            let entry = model.state.peers.get(*model.all_peer_order.get(place)?)?;
            let torrent = model.state.torrents.get(&entry.info_hash).map(|row| &row.summary);
            Some(PeerRow {
                peer: &entry.peer,
                torrent: torrent.map(|summary| &summary.name),
                pieces: torrent.map_or(0, |summary| summary.pieces),
            })
        };
        let (len, sort) = (model.all_peer_order.len(), model.peer_sorts[1]);
        let table = self.peer_table(List::AllPeers, len, &row, area, sort);
        remember(hits, List::AllPeers, &table.draw(frame, area, self.look), PeerColumn::ALL);
    }

    fn peer_table<'t>(
        &self,
        list: List,
        len: usize,
        row: &'t dyn Fn(usize) -> Option<PeerRow<'t>>,
        area: Rect,
        sort: Sort<PeerColumn>,
    ) -> Table<'t, PeerColumn> {
        Table { sort: Some(sort), empty: "no peer is connected", ..self.table(list, len, row, area) }
    }

    fn trackers(&self, frame: &mut Frame<'_>, area: Rect, hits: &mut Hits) {
        let lists = self.model.detail().map(|detail| &detail.lists);
        let row = |place: usize| SourceRow::at(lists?, place);
        let len = self.model.len(List::Trackers);
        let table: Table<'_, TrackerColumn> =
            Table { empty: "no source of peers is known yet", ..self.table(List::Trackers, len, &row, area) };
        remember(hits, List::Trackers, &table.draw(frame, area, self.look), &[]);
    }

    /// What happened, the newest below.
    fn events(&self, frame: &mut Frame<'_>, area: Rect, list: List, hits: &mut Hits) {
        let model = self.model;
        let events = model.shown_events(list);
        let started_at = model.started_at();
        let row = |place: usize| {
            let event = *events.get(place)?;
            let torrent = model.state.torrents.get(&event.info_hash).map(|row| row.summary.name.as_str());
            let clock_offset = model.zone.ahead_seconds((started_at + event.at) as i64);
            Some(EventRow { event, torrent, started_at, clock_offset })
        };
        let empty = if model.filter_text(list).is_empty() {
            "nothing has happened yet".to_owned()
        } else {
            self.filter_leaves_none()
        };
        let mut table: Table<'_, EventColumn> = Table {
            has_titles: false,
            // What happened needs the room more than how long ago that is.
            without: match (list == List::Log, area.width < AGO_WIDTH_MIN) {
                (true, true) => &[EventColumn::Torrent, EventColumn::Ago],
                (true, false) => &[EventColumn::Torrent],
                (false, true) => &[EventColumn::Ago],
                (false, false) => &[],
            },
            empty: &empty,
            ..self.table(list, events.len(), &row, area)
        };
        if !self.is_focused {
            // Beside something else, the newest are shown.
            table.scroll = ListCursor::at(events.len().saturating_sub(1));
        }
        let placed = table.draw(frame, area, self.look);
        if self.is_focused {
            remember(hits, list, &placed, &[]);
        }
    }

    fn table<'t, C: Column>(
        &self,
        list: List,
        len: usize,
        row: &'t dyn Fn(usize) -> Option<C::Row<'t>>,
        area: Rect,
    ) -> Table<'t, C> {
        let cursor = self.model.cursor(list);
        Table {
            len,
            row,
            // What keys act on has a cursor, and so has the list that chooses what else is shown.
            cursor: (self.is_focused || list == List::Torrents).then_some(cursor),
            scroll: cursor,
            is_focused: self.is_focused,
            sort: None,
            is_marked: None,
            offset: self.model.shift(list).min(shift_most(list, area.width)),
            without: &[],
            has_titles: true,
            empty: "",
        }
    }
}

/// How often the columns of a list can be moved.
fn shift_most(list: List, width: u16) -> usize {
    match list {
        List::Torrents => offset_most::<TorrentColumn>(width, &[]),
        List::Peers => offset_most::<PeerColumn>(width, &[PeerColumn::Torrent]),
        List::AllPeers => offset_most::<PeerColumn>(width, &[]),
        _ => 0,
    }
}

/// Tells where the entries and the titles of a list stand. `all` are its columns by their numbers.
fn remember<C: Column>(hits: &mut Hits, list: List, placed: &Placed<C>, all: &[C]) {
    hits.add_list(list, placed.rows, placed.first);
    hits.add_shift(list, shift_most(list, placed.rows.width));
    for (area, column) in &placed.columns {
        if let Some(number) = all.iter().position(|other| other == column) {
            hits.add(*area, Target::Column(list, number));
        }
    }
}
