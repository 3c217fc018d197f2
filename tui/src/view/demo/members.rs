//! The table of the swarm's members: one line each, with fewer columns on a narrow terminal.

use potluck_common::control::TorrentState;
use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::Paragraph,
};

use crate::{
    model::demo::{Demo, Member, Role},
    theme::Theme,
    units::{Bytes, PerSecond, Seconds, percent},
    view::bar,
};

/// A column to the right of the bar: its heading, its width, the terminal width from which it is shown, its text.
type Column = (&'static str, usize, u16, fn(&Member) -> String);

/// In order of importance, and of their places.
const COLUMNS: [Column; 6] = [
    // What arrived in the last seconds is of no interest once all is there.
    ("Down", 10, 0, |member| rate(member, |s| if s.have_size < s.total_size { s.down_rate } else { 0 })),
    ("Up", 10, 0, |member| rate(member, |snapshot| snapshot.up_rate)),
    ("Gave", 9, 76, |member| amount(member, |snapshot| snapshot.uploaded)),
    ("Got", 9, 96, |member| amount(member, |snapshot| snapshot.downloaded)),
    ("Open to", 7, 110, open_to),
    ("Open for it", 11, 124, open_for_it),
];

/// Columns of the symbol and the name, and of the percentage, with their spaces.
const NAME_WIDTH: usize = 11;
const PERCENT_WIDTH: usize = 6;
const STATE_WIDTH: usize = 34;
const BAR_WIDTH_MAX: usize = 60;

/// Lines that the table needs.
pub(super) fn height(demo: &Demo) -> u16 {
    demo.members.len() as u16 + 1
}

/// Draws the table.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, demo: &Demo, theme: &Theme) {
    let columns: Vec<&Column> = COLUMNS.iter().filter(|column| area.width >= column.2).collect();
    let has_state = area.width >= 140;
    let fixed = 2 + NAME_WIDTH + PERCENT_WIDTH + columns.iter().map(|column| column.1 + 1).sum::<usize>();
    let fixed = fixed + if has_state { STATE_WIDTH + 2 } else { 0 };
    let bar_width = usize::from(area.width).saturating_sub(fixed + 1).min(BAR_WIDTH_MAX);

    let mut lines = vec![heading(&columns, bar_width, has_state, theme)];
    for member in &demo.members {
        lines.push(member_line(member, &columns, bar_width, has_state, theme));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn heading(columns: &[&Column], bar_width: usize, has_state: bool, theme: &Theme) -> Line<'static> {
    let mut spans =
        vec![Span::raw(format!("  {:NAME_WIDTH$} {:bar_width$}{:PERCENT_WIDTH$}", "", "Has", ""))];
    spans.extend(columns.iter().map(|(name, width, ..)| Span::raw(format!(" {name:>width$}"))));
    if has_state {
        spans.push(Span::raw("  State"));
    }
    Line::from(spans).style(theme.faint())
}

fn member_line(
    member: &Member,
    columns: &[&Column],
    bar_width: usize,
    has_state: bool,
    theme: &Theme,
) -> Line<'static> {
    let (symbol, style) = look(member, theme);
    let (have, all) =
        member.snapshot.as_ref().map_or((0, 1), |snapshot| (snapshot.have_size, snapshot.total_size));
    let (done, rest) = bar(have, all, bar_width, theme.symbols);
    let mut spans = vec![
        Span::styled(format!("{symbol} "), style),
        Span::styled(format!("{:NAME_WIDTH$} ", member.name), theme.strong()),
        Span::styled(done, style),
        Span::styled(rest, theme.faint()),
        Span::raw(format!("{:>width$} %", percent(have, all), width = PERCENT_WIDTH - 2)),
    ];
    spans.extend(columns.iter().map(|(_, width, _, text)| Span::raw(format!(" {:>width$}", text(member)))));
    if has_state {
        spans.push(Span::styled(format!("  {}", state(member)), theme.faint()));
    }
    Line::from(spans)
}

/// The symbol and the colour of a member: whether it gives, gets, or only takes.
fn look(member: &Member, theme: &Theme) -> (&'static str, Style) {
    match member.role {
        _ if member.snapshot.is_none() => (theme.symbols.waiting, theme.faint()),
        Role::FreeRider => (theme.symbols.free_rider, theme.warning()),
        _ if member.is_complete() => (theme.symbols.seeding, theme.giving()),
        _ => (theme.symbols.downloading, theme.getting()),
    }
}

fn state(member: &Member) -> String {
    let Some(snapshot) = &member.snapshot else { return "starts".into() };
    let gives = if member.role == Role::FreeRider { "gives nothing" } else { "gives" };
    match (&snapshot.state, member.complete_at) {
        (TorrentState::Checking { done, total }, _) => format!("checks piece {done} of {total}"),
        (TorrentState::Failed(error), _) => error.message.to_string(),
        (TorrentState::Seeding, Some(at)) => format!("complete after {at:.1} s, {gives}"),
        (TorrentState::Seeding, None) => gives.into(),
        _ => match (&snapshot.stall, snapshot.eta_seconds) {
            (Some(why), _) => why.to_string(),
            (None, Some(eta)) => format!("complete in {}", Seconds(eta)),
            (None, None) => "fetches".into(),
        },
    }
}

/// A figure of a snapshot.
type Figure = fn(&potluck_common::control::TorrentSnapshot) -> u64;

fn rate(member: &Member, figure: Figure) -> String {
    member.snapshot.as_deref().map_or_else(String::new, |snapshot| PerSecond(figure(snapshot)).to_string())
}

fn amount(member: &Member, figure: Figure) -> String {
    member.snapshot.as_deref().map_or_else(String::new, |snapshot| Bytes(figure(snapshot)).to_string())
}

/// How many members it sends to.
fn open_to(member: &Member) -> String {
    let peers = member.snapshot.iter().flat_map(|snapshot| &snapshot.detail.peers);
    peers.filter(|peer| !peer.we_choke && peer.is_interested).count().to_string()
}

/// How many members send to it.
fn open_for_it(member: &Member) -> String {
    let peers = member.snapshot.iter().flat_map(|snapshot| &snapshot.detail.peers);
    peers.filter(|peer| !peer.chokes_us && peer.we_are_interested).count().to_string()
}
