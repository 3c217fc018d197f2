//! Each panel as it looks, at sensible sizes, in Unicode and in ASCII; and at any size.

use potluck_common::control::{
    Detail, DiskSnapshot, History, HistoryRange, SessionSnapshot, State, TorrentDetail, TorrentRow,
};
use proptest::prelude::*;
use ratatui::{
    Frame, Terminal, backend::TestBackend, buffer::Buffer, layout::Rect, style::Style, text::Line,
    widgets::Block,
};

use super::{
    events::{EventColumn, EventRow},
    peers::PeerRow,
    pieces::Pieces,
    trackers::{SourceRow, TrackerColumn},
    *,
};
use crate::{
    model::{
        columns::{FileColumn, PeerColumn, Sort, TorrentColumn},
        list::ListCursor,
        samples,
    },
    theme::{ColorDepth, ThemeName},
    view::{
        capture,
        look::Look,
        table::{Column, Table},
    },
};

/// A panel in its frame.
type Draw = fn(&mut Frame<'_>, Rect, &Look<'_>, &State);

/// A panel's name, how it is drawn, and the sizes that it is looked at in.
type Case = (&'static str, Draw, &'static [(u16, u16)]);

/// Every panel.
const PANELS: &[Case] = &[
    ("header", header, &[(60, 1), (80, 1), (140, 1), (200, 1)]),
    ("torrents", torrents, &[(60, 9), (80, 14), (140, 14), (200, 20)]),
    ("torrents_moved", torrents_moved, &[(80, 8)]),
    ("overview", overview, &[(60, 8), (80, 8), (70, 18)]),
    ("pieces", pieces, &[(60, 8), (80, 12), (120, 16)]),
    ("pieces_cursor", pieces_cursor, &[(80, 12)]),
    ("files", files, &[(60, 10), (100, 10)]),
    ("peers", peers, &[(60, 12), (80, 16), (140, 20), (200, 20)]),
    ("all_peers", all_peers, &[(80, 14), (200, 14)]),
    ("trackers", trackers, &[(60, 8), (80, 8), (120, 8)]),
    ("fairness", fairness, &[(45, 8), (72, 10), (100, 12)]),
    ("disk", disk_quiet, &[(44, 5), (44, 9), (72, 9)]),
    ("disk_behind", disk_behind, &[(44, 5), (72, 9)]),
    ("events", events, &[(44, 6), (80, 12), (140, 22)]),
    ("speed", speed, &[(30, 4), (50, 7), (80, 12)]),
    ("speed_log", speed_log, &[(80, 12)]),
];

fn now() -> f64 {
    samples::STARTED_AT + samples::UPTIME_SECONDS as f64
}

fn drawn(draw: Draw, state: &State, theme: &Theme, width: u16, height: u16) -> Buffer {
    let look = Look { theme, bits: false, now: now() };
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test backend cannot fail");
    terminal.draw(|frame| draw(frame, frame.area(), &look, state)).expect("a test backend cannot fail");
    terminal.backend().buffer().clone()
}

fn inside(frame: &mut Frame<'_>, area: Rect, look: &Look<'_>, title: &'static str, right: &str) -> Rect {
    let block = Block::bordered()
        .border_set(look.theme.symbols.border)
        .title(format!(" {title} "))
        .title(Line::raw(format!(" {right} ")).right_aligned());
    let inner = block.inner(area);
    frame.render_widget(block, area);
    inner
}

fn disk_quiet(frame: &mut Frame<'_>, area: Rect, look: &Look<'_>, state: &State) {
    let inner = inside(frame, area, look, "Disk", "");
    disk::draw(frame, inner, look, state.disk.as_ref());
}

/// As it is when more comes than it takes.
fn disk_behind(frame: &mut Frame<'_>, area: Rect, look: &Look<'_>, state: &State) {
    let inner = inside(frame, area, look, "Disk", "");
    let behind = state.disk.clone().map(|disk| DiskSnapshot {
        unwritten: 64 << 20,
        queued: 64 << 20,
        slow_writes: 12,
        errors: 2,
        last_error: Some("cannot write /home/ada/Downloads/x: no space left".into()),
        limit: Some("the disk limits: 64.0 MiB wait for it".into()),
        ..disk
    });
    disk::draw(frame, inner, look, behind.as_ref());
}

fn session(state: &State) -> Option<&SessionSnapshot> {
    state.session.as_ref()
}

/// The lists of the torrent from near, if there is one.
fn near(state: &State) -> Option<(&TorrentRow, &Detail)> {
    let detail = state.detail.as_ref()?;
    Some((state.torrents.get(&detail.info_hash)?, detail))
}

fn rows(state: &State) -> Vec<&TorrentRow> {
    let mut rows: Vec<&TorrentRow> = state.torrents.values().collect();
    rows.sort_by_key(|row| row.number);
    rows
}

fn table<'a, C: Column>(len: usize, row: &'a dyn Fn(usize) -> Option<C::Row<'a>>) -> Table<'a, C> {
    Table {
        len,
        row,
        cursor: Some(ListCursor::at(1)),
        scroll: ListCursor::at(1),
        is_focused: true,
        sort: None,
        is_marked: None,
        offset: 0,
        without: &[],
        has_titles: true,
        empty: "nothing here",
    }
}

fn header(frame: &mut Frame<'_>, area: Rect, look: &Look<'_>, state: &State) {
    frame.render_widget(header::line(session(state), look, area.width), area);
}

fn torrents(frame: &mut Frame<'_>, area: Rect, look: &Look<'_>, state: &State) {
    torrents_from(0, frame, area, look, state);
}

fn torrents_moved(frame: &mut Frame<'_>, area: Rect, look: &Look<'_>, state: &State) {
    torrents_from(4, frame, area, look, state);
}

fn torrents_from(offset: usize, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>, state: &State) {
    let rows = rows(state);
    let inner = inside(frame, area, look, "1 Torrents", &format!("{} shown", rows.len()));
    let row = |index: usize| rows.get(index).copied();
    let table = Table {
        sort: Some(Sort::by(TorrentColumn::Down, true)),
        is_marked: Some(&|index| index == 3),
        offset,
        empty: "no torrents yet: press a to add one",
        ..table::<TorrentColumn>(rows.len(), &row)
    };
    table.draw(frame, inner, look);
}

fn overview(frame: &mut Frame<'_>, area: Rect, look: &Look<'_>, state: &State) {
    let inner = inside(frame, area, look, "Overview", "");
    let near = near(state);
    let about = near.and_then(|(_, detail)| detail.lists.about.as_ref());
    overview::draw(frame, inner, look, near.map(|(row, _)| row), about);
}

fn pieces(frame: &mut Frame<'_>, area: Rect, look: &Look<'_>, state: &State) {
    pieces_with(None, frame, area, look, state);
}

fn pieces_cursor(frame: &mut Frame<'_>, area: Rect, look: &Look<'_>, state: &State) {
    pieces_with(Some(1_204), frame, area, look, state);
}

fn pieces_with(cursor: Option<u32>, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>, state: &State) {
    let inner = inside(frame, area, look, "Pieces", "");
    let Some((row, detail)) = near(state) else { return };
    let shown = Pieces {
        summary: &row.summary,
        pieces: &detail.lists.pieces,
        cursor,
        holders: &detail.lists.holders,
    };
    pieces::draw(frame, inner, look, &shown);
}

fn files(frame: &mut Frame<'_>, area: Rect, look: &Look<'_>, state: &State) {
    let inner = inside(frame, area, look, "Files", "");
    let files = near(state).map(|(_, detail)| detail.lists.files.as_slice()).unwrap_or_default();
    table::<FileColumn>(files.len(), &|index| files.get(index)).draw(frame, inner, look);
}

fn peers(frame: &mut Frame<'_>, area: Rect, look: &Look<'_>, state: &State) {
    let peers = near(state).map(|(_, detail)| detail.lists.peers.as_slice()).unwrap_or_default();
    let inner = inside(frame, area, look, "Peers", &peers::counts(peers.iter()));
    let row =
        |index: usize| Some(PeerRow { peer: peers.get(index)?, torrent: None, pieces: samples::PIECES });
    let table = Table { without: &[PeerColumn::Torrent], ..table::<PeerColumn>(peers.len(), &row) };
    table.draw(frame, inner, look);
}

fn all_peers(frame: &mut Frame<'_>, area: Rect, look: &Look<'_>, state: &State) {
    let inner = inside(frame, area, look, "Peers of all torrents", "");
    let row = |index: usize| {
        let entry = state.peers.get(index)?;
        let torrent = state.torrents.get(&entry.info_hash).map(|row| &row.summary);
        let pieces = torrent.map_or(0, |summary| summary.pieces);
        Some(PeerRow { peer: &entry.peer, torrent: torrent.map(|summary| &summary.name), pieces })
    };
    let scroll = ListCursor::at(62);
    Table { cursor: Some(scroll), scroll, ..table::<PeerColumn>(state.peers.len(), &row) }
        .draw(frame, inner, look);
}

fn trackers(frame: &mut Frame<'_>, area: Rect, look: &Look<'_>, state: &State) {
    let inner = inside(frame, area, look, "Trackers", "");
    let none = TorrentDetail::default();
    let lists = near(state).map_or(&none, |(_, detail)| &detail.lists);
    let len = lists.trackers.len() + lists.discovery.len();
    table::<TrackerColumn>(len, &|index| SourceRow::at(lists, index)).draw(frame, inner, look);
}

fn fairness(frame: &mut Frame<'_>, area: Rect, look: &Look<'_>, state: &State) {
    let inner = inside(frame, area, look, "Fairness", "");
    let fairness = near(state).and_then(|(_, detail)| detail.lists.fairness.as_ref());
    fairness::draw(frame, inner, look, fairness);
}

fn events(frame: &mut Frame<'_>, area: Rect, look: &Look<'_>, state: &State) {
    let inner = inside(frame, area, look, "Events", "level: debug");
    let row = |index: usize| {
        let event = state.events.iter().rev().nth(index)?;
        let torrent = state.torrents.get(&event.info_hash).map(|row| row.summary.name.as_str());
        Some(EventRow { event, torrent, started_at: samples::STARTED_AT, clock_offset: 3_600 })
    };
    let events = table::<EventColumn>(state.events.len(), &row);
    Table { has_titles: false, cursor: None, ..events }.draw(frame, inner, look);
}

fn speed(frame: &mut Frame<'_>, area: Rect, look: &Look<'_>, state: &State) {
    speed_on(false, frame, area, look, state);
}

fn speed_log(frame: &mut Frame<'_>, area: Rect, look: &Look<'_>, state: &State) {
    speed_on(true, frame, area, look, state);
}

fn speed_on(log: bool, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>, state: &State) {
    let newest = state.history.as_ref().map(|history| speed::newest(history, look)).unwrap_or_default();
    let inner = inside(frame, area, look, "Speed 5m", &newest);
    speed::draw(frame, inner, look, state.history.as_ref(), log);
}

#[test]
fn panels_look_like_this() {
    let state = samples::state();
    for (name, draw, sizes) in PANELS {
        let mut frames = Vec::new();
        let mut add = |(width, height): (u16, u16), ascii: bool| {
            let panel = capture::text(&drawn(*draw, &state, &Theme::new(true, ascii), width, height));
            frames.push(format!("{width}x{height}{}\n{panel}", if ascii { " ASCII" } else { "" }));
        };
        sizes.iter().for_each(|size| add(*size, false));
        add(sizes[sizes.len() / 2], true);
        insta::assert_snapshot!(*name, frames.join("\n"));
    }
}

#[test]
fn empty_panels_say_so() {
    let mut frames = Vec::new();
    for state in [samples::empty(), State::default()] {
        for (name, draw, _) in PANELS {
            let panel = capture::text(&drawn(*draw, &state, &Theme::new(true, false), 80, 6));
            frames.push(format!("{name}\n{panel}"));
        }
    }
    insta::assert_snapshot!("empty", frames.concat());
}

#[test]
fn ascii_panels_are_ascii() {
    // Names are as their authors wrote them.
    let mut state = samples::state();
    state.torrents.values_mut().for_each(|row| row.summary.name = "a-name".into());
    let detail = state.detail.as_mut().expect("a sample has one");
    detail.lists.files.iter_mut().for_each(|file| file.path = "a/path".into());
    detail.lists.peers.iter_mut().for_each(|peer| peer.client = "a client".into());
    state.peers.iter_mut().for_each(|entry| entry.peer.client = "a client".into());
    for (name, draw, sizes) in PANELS {
        for (width, height) in *sizes {
            let text = capture::text(&drawn(*draw, &state, &Theme::new(false, true), *width, *height));
            let strange: Vec<char> = text.chars().filter(|c| !c.is_ascii()).collect();
            assert!(strange.is_empty(), "{name} has {strange:?}:\n{text}");
        }
    }
}

#[test]
fn nothing_is_told_by_colour_alone() {
    let state = samples::state();
    for (name, draw, sizes) in PANELS {
        for (width, height) in *sizes {
            let plain = drawn(*draw, &state, &Theme::new(false, false), *width, *height);
            let is_plain = |cell: &ratatui::buffer::Cell| {
                cell.fg == ratatui::style::Color::Reset && cell.bg == ratatui::style::Color::Reset
            };
            assert!(plain.content().iter().all(is_plain), "{name} has colours without colours");
            for theme in ThemeName::ALL {
                let theme = Theme::named(theme, ColorDepth::True, false);
                let text = capture::text(&drawn(*draw, &state, &theme, *width, *height));
                assert_eq!(text, capture::text(&plain), "{name} says something else in colours");
            }
        }
    }
}

/// Two peers of different kinds differ in more than their colour.
#[test]
fn kinds_of_peers_have_signs_of_their_own() {
    let state = samples::state();
    let (_, detail) = near(&state).expect("a sample has one");
    let theme = Theme::named(ThemeName::Dusk, ColorDepth::True, false);
    let mut signs: Vec<(String, Style)> = Vec::new();
    for peer in &detail.lists.peers {
        let (sign, style) = words::peer(peer, &theme);
        let sign = sign.split(' ').next().unwrap_or_default().to_string();
        match signs.iter().find(|(_, other)| *other == style) {
            Some((other, _)) => assert_eq!(*other, sign),
            None => signs.push((sign, style)),
        }
    }
    signs.sort_by(|(one, _), (other, _)| one.cmp(other));
    assert_eq!(
        signs.iter().map(|(sign, _)| sign.as_str()).collect::<Vec<_>>(),
        ["", "+", "-", "seed", "try"]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn no_size_and_no_state_panics(
        panel in 0..PANELS.len(), width in 0..300_u16, height in 0..100_u16, small: bool,
        seed in 0..4_u64, torrents in 0..12_u32, ascii: bool
    ) {
        let (width, height) = if small { (width % 40, height % 12) } else { (width, height) };
        let state = samples::sized(seed, torrents, torrents * 2);
        drawn(PANELS[panel].1, &state, &Theme::new(true, ascii), width, height);
    }
}

#[test]
fn extremes_are_drawn() {
    let mut state = samples::state();
    for row in state.torrents.values_mut() {
        let summary = &mut row.summary;
        (summary.down_rate, summary.up_rate) = (u64::MAX, u64::MAX);
        (summary.wanted_size, summary.wanted_have, summary.have_size) = (u64::MAX, u64::MAX - 1, u64::MAX);
        (summary.seeds_connected, summary.seeds_known) = (u32::MAX / 2, Some(u32::MAX));
        summary.distributed_copies = f32::INFINITY;
        summary.eta_seconds = Some(u64::MAX);
        (row.uploaded_ever, row.downloaded_ever) = (u64::MAX, 1);
    }
    state.history = Some(History { range: HistoryRange::Day, down: vec![u64::MAX; 288], up: vec![0; 288] });
    for (_, draw, sizes) in PANELS {
        for (width, height) in *sizes {
            drawn(*draw, &state, &Theme::new(true, false), *width, *height);
        }
    }
    let text = capture::text(&drawn(torrents, &state, &Theme::new(true, false), 200, 5));
    insta::assert_snapshot!("extremes", text);
}
