//! The pieces of a torrent: the map, and what is rare.

use potluck_common::control::{PieceHolders, PieceState, TorrentSummary};
use ratatui::{
    Frame,
    layout::{HorizontalAlignment, Rect},
    style::Style,
    text::{Line, Span},
};

use crate::{
    units::{Bytes, Copies, Grouped, count},
    view::{
        heat_map::{self, Band, Grid},
        look::Look,
        text::{self, Part, line_of},
    },
};

/// With fewer lines than this there is no line for the meaning of the shades.
const LEGEND_HEIGHT_MIN: u16 = 4;
/// With fewer there are no empty lines around the map.
const AIRY_HEIGHT_MIN: u16 = 9;

/// From so many columns the pieces of the cell under the cursor are named.
const RANGE_WIDTH_MIN: u16 = 72;

/// What the panel shows.
#[derive(Clone, Copy, Debug)]
pub struct Pieces<'a> {
    /// The torrent.
    pub summary: &'a TorrentSummary,
    /// Its pieces; none while they are not known.
    pub pieces: &'a [PieceState],
    /// The piece that was chosen.
    pub cursor: Option<u32>,
    /// Who has the pieces that were asked about.
    pub holders: &'a [PieceHolders],
}

/// Draws the panel; tells where the map is and how pieces are divided among its cells.
pub fn draw(frame: &mut Frame<'_>, area: Rect, look: &Look<'_>, shown: &Pieces<'_>) -> (Rect, Grid) {
    let area = area.intersection(frame.area());
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    if inner.is_empty() {
        return (Rect::default(), Grid::default());
    }
    let is_airy = inner.height >= AIRY_HEIGHT_MIN;
    let above = 1 + u16::from(is_airy);
    let below = u16::from(inner.height >= LEGEND_HEIGHT_MIN)
        + u16::from(is_airy)
        + u16::from(is_airy && shown.cursor.is_some());
    let height = inner.height.saturating_sub(above + below);
    let map = Rect { y: inner.y + above, height, ..inner };
    let grid = Grid::fit(shown.pieces.len() as u32, map.width, map.height);
    let (above, below) = around(shown, look, inner, grid);
    let lines = above.into_iter().zip(inner.y..).chain(below.into_iter().zip(map.bottom()..));
    for (line, y) in lines {
        let place = Rect { y, height: 1, ..inner };
        text::put(frame.buffer_mut(), place, &line, HorizontalAlignment::Left, look.theme.symbols.ellipsis);
    }
    if shown.pieces.is_empty() && map.height > 0 {
        frame.render_widget(Line::styled("its pieces are not known yet", look.theme.faint()), map);
    }
    let grid = heat_map::draw(frame.buffer_mut(), map, look.theme, shown.pieces, shown.cursor);
    (map, grid)
}

/// The lines above the map and below it.
fn around(
    shown: &Pieces<'_>,
    look: &Look<'_>,
    inner: Rect,
    grid: Grid,
) -> (Vec<Line<'static>>, Vec<Line<'static>>) {
    let mut above = vec![numbers(shown, look, inner.width)];
    let mut below = Vec::new();
    if inner.height >= LEGEND_HEIGHT_MIN {
        let chosen = chosen(shown, look, inner.width, grid);
        below.push(chosen.unwrap_or_else(|| legend(shown, look, inner.width)));
    }
    if inner.height >= AIRY_HEIGHT_MIN {
        above.push(Line::default());
        below.insert(0, Line::default());
        if shown.cursor.is_some() {
            below.push(legend(shown, look, inner.width));
        }
    }
    (above, below)
}

/// How many are there, on their way and rare.
fn numbers(shown: &Pieces<'_>, look: &Look<'_>, width: u16) -> Line<'static> {
    let (summary, theme) = (shown.summary, look.theme);
    let have = Grouped(u64::from(summary.pieces_have));
    let all = count(u64::from(summary.pieces), "piece");
    let size = Bytes(u64::from(summary.piece_length));
    let mut parts = vec![
        Part::of(0, format!("{have} of {all}"), theme.strong()),
        Part::of(5, format!("of {size}"), theme.faint()),
    ];
    let in_flight = shown.pieces.iter().filter(|piece| piece.in_flight && !piece.have).count();
    if in_flight > 0 {
        parts.push(Part::of(3, format!("{in_flight} in flight"), theme.in_flight()));
    }
    if let Some((copies, pieces)) = heat_map::rarest(shown.pieces) {
        parts.push(match copies {
            0 if heat_map::is_complete(shown.pieces) => {
                Part::of(1, format!("only here: {}", count(u64::from(pieces), "piece")), theme.warning())
            }
            0 => Part::of(1, format!("! {} nowhere", count(u64::from(pieces), "piece")), theme.bad()),
            copies => {
                Part::of(1, format!("rarest x{copies}: {}", count(u64::from(pieces), "piece")), Style::new())
            }
        });
    }
    parts.push(Part::of(2, format!("copies {}", Copies(summary.distributed_copies)), Style::new()));
    line_of(parts, 3, usize::from(width))
}

/// What the cell under the cursor shows: the worst of its pieces, and who has that.
fn chosen(shown: &Pieces<'_>, look: &Look<'_>, width: u16, grid: Grid) -> Option<Line<'static>> {
    let (theme, cursor) = (look.theme, shown.cursor?);
    let number = heat_map::worst(shown.pieces, cursor, grid.per_cell);
    let piece = shown.pieces.get(number as usize)?;
    let mut spans = Vec::new();
    if grid.per_cell > 1 {
        let first = cursor / grid.per_cell * grid.per_cell;
        let last = (first + grid.per_cell).min(grid.pieces) - 1;
        let (first, last) = (Grouped(u64::from(first)), Grouped(u64::from(last)));
        let range = if width >= RANGE_WIDTH_MIN { format!(" of {first}-{last}") } else { String::new() };
        spans.push(Span::styled(format!("worst{range}: "), theme.faint()));
    }
    spans.push(Span::styled(format!("piece {}", Grouped(u64::from(number))), theme.strong()));
    let what = match (piece.have, piece.in_flight) {
        _ if piece.is_skipped => ", skipped",
        (true, _) => ", we have it",
        (false, true) => ", in flight",
        (false, false) => ", missing",
    };
    let copies = match piece.availability {
        1 => "1 peer has it".into(),
        copies => format!("{copies} peers have it"),
    };
    spans.push(Span::raw(format!("{what}; {copies}")));
    let mut line = Line::from(spans);
    let holders = shown.holders.iter().filter(|holders| holders.piece == number);
    for (index, holder) in holders.flat_map(|holders| &holders.peers).enumerate() {
        let text = format!("{}{holder}", if index == 0 { ": " } else { ", " });
        if line.width() + text.len() > usize::from(width) {
            break;
        }
        line.push_span(Span::styled(text, theme.faint()));
    }
    Some(line)
}

/// What the shades mean.
fn legend(shown: &Pieces<'_>, look: &Look<'_>, width: u16) -> Line<'static> {
    let theme = look.theme;
    let part = |rank, band: Band, words: &str| {
        Part::new(
            rank,
            vec![
                Span::styled(band.symbol(theme), band.style(theme)),
                Span::styled(format!(" {words}"), theme.faint()),
            ],
        )
    };
    let is_complete = !shown.pieces.is_empty() && heat_map::is_complete(shown.pieces);
    let mut parts = if is_complete {
        vec![Part::of(3, "at others:", theme.faint())]
    } else {
        vec![
            part(1, Band::Have, "have"),
            part(2, Band::InFlight, "in flight"),
            Part::of(6, "copies:", theme.faint()),
        ]
    };
    parts.extend([
        part(5, Band::Many, ">8"),
        part(4, Band::Some, "4-8"),
        part(3, Band::Few, "1-3"),
        part(0, Band::Nobody, if is_complete { "only here" } else { "none" }),
    ]);
    if shown.pieces.iter().any(|piece| piece.is_skipped) {
        parts.push(part(6, Band::Skipped, "skipped"));
    }
    let per_cell = Grid::fit(shown.pieces.len() as u32, width, 1).per_cell;
    if per_cell > 1 {
        parts.push(Part::of(7, "a cell is its worst piece", theme.faint()));
    }
    line_of(parts, 2, usize::from(width))
}
