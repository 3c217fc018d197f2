//! The map of a torrent's pieces: which we have, which are on their way, and how many peers have the others.
//!
//! A cell stands for as many pieces as it takes to show all of them, and shows the worst of them: a piece that exists
//! nowhere is never averaged away.

use potluck_common::control::PieceState;
use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::{Modifier, Style},
};

use crate::theme::Theme;

/// What a cell shows of its pieces, the best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Band {
    /// Nobody here wants them.
    Skipped,
    /// We have all of them.
    Have,
    /// Those that we lack are on their way.
    InFlight,
    /// More than eight connected peers have the rarest that we lack.
    Many,
    /// Four to eight have it.
    Some,
    /// One to three have it.
    Few,
    /// Nobody has it.
    Nobody,
}

impl Band {
    /// That of so many copies among the connected peers.
    pub const fn of_copies(copies: u16) -> Self {
        match copies {
            0 => Self::Nobody,
            1..=3 => Self::Few,
            4..=8 => Self::Some,
            _ => Self::Many,
        }
    }

    /// That of one piece. While something is missing what we have is of no interest to us; once all is there, what the
    /// others lack is.
    fn of_piece(piece: PieceState, is_complete: bool) -> Self {
        match piece {
            PieceState { is_skipped: true, .. } => Self::Skipped,
            PieceState { have: true, .. } if !is_complete => Self::Have,
            // What only somebody had who is gone will not arrive.
            PieceState { availability: 0, .. } => Self::Nobody,
            PieceState { in_flight: true, have: false, .. } => Self::InFlight,
            PieceState { availability, .. } => Self::of_copies(availability),
        }
    }

    /// The worst among those of some pieces.
    pub fn of_pieces(pieces: &[PieceState], is_complete: bool) -> Self {
        pieces.iter().map(|piece| Self::of_piece(*piece, is_complete)).max().unwrap_or(Self::Have)
    }

    /// The character that it is drawn with.
    pub fn symbol(self, theme: &Theme) -> &'static str {
        let symbols = theme.symbols;
        match self {
            Self::Skipped => symbols.skipped,
            Self::Have => symbols.have,
            Self::InFlight => symbols.in_flight,
            Self::Many => symbols.bands[3],
            Self::Some => symbols.bands[2],
            Self::Few => symbols.bands[1],
            Self::Nobody => symbols.bands[0],
        }
    }

    /// The style that it is drawn with.
    pub fn style(self, theme: &Theme) -> Style {
        match self {
            Self::Skipped => theme.faint(),
            Self::Have => theme.have(),
            Self::InFlight => theme.in_flight(),
            Self::Many => theme.copies(3),
            Self::Some => theme.copies(2),
            Self::Few => theme.copies(1),
            Self::Nobody => theme.copies(0),
        }
    }
}

/// How pieces are divided among cells, which are filled line by line.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Grid {
    /// How many pieces there are.
    pub pieces: u32,
    /// How many of them a cell stands for; the last cell may have fewer. At least 1.
    pub per_cell: u32,
    /// Cells in a line; at least 1.
    pub columns: u16,
}

impl Grid {
    /// The grid in which `pieces` fit into so many columns and lines, with as few pieces in a cell as possible.
    pub fn fit(pieces: u32, columns: u16, lines: u16) -> Self {
        let cells = (u32::from(columns) * u32::from(lines)).max(1);
        Self { pieces, per_cell: pieces.div_ceil(cells).max(1), columns: columns.max(1) }
    }

    /// How many cells there are.
    pub fn cells(&self) -> u32 {
        self.pieces.div_ceil(self.per_cell)
    }

    /// Where a piece is, from the upper left.
    pub fn place(&self, piece: u32) -> (u16, u16) {
        let (cell, columns) = (piece / self.per_cell, u32::from(self.columns));
        ((cell % columns) as u16, (cell / columns) as u16)
    }

    /// The pieces of each cell.
    pub fn chunks<'a>(&self, pieces: &'a [PieceState]) -> impl Iterator<Item = &'a [PieceState]> {
        pieces.chunks(self.per_cell as usize)
    }
}

/// Draws the map of `pieces`, and the cell of `cursor` reversed.
pub fn draw(
    buffer: &mut Buffer,
    area: Rect,
    theme: &Theme,
    pieces: &[PieceState],
    cursor: Option<u32>,
) -> Grid {
    let area = area.intersection(buffer.area);
    let grid = Grid::fit(pieces.len() as u32, area.width, area.height);
    if area.is_empty() {
        return grid;
    }
    let is_complete = is_complete(pieces);
    for (cell, pieces) in grid.chunks(pieces).enumerate() {
        let (x, y) = (cell as u32 % u32::from(area.width), cell as u32 / u32::from(area.width));
        let band = Band::of_pieces(pieces, is_complete);
        if let Some(cell) = buffer.cell_mut(Position::new(area.x + x as u16, area.y + y as u16)) {
            cell.set_symbol(band.symbol(theme)).set_style(band.style(theme));
        }
    }
    if let Some(piece) = cursor.filter(|piece| *piece < grid.pieces) {
        let (x, y) = grid.place(piece);
        if let Some(cell) = buffer.cell_mut(Position::new(area.x + x, area.y + y)) {
            cell.set_style(Style::new().add_modifier(Modifier::REVERSED));
        }
    }
    grid
}

/// The worst of the pieces that share a cell with `piece`: the one that the cell shows. Of several the rarest, of those the first.
pub fn worst(pieces: &[PieceState], piece: u32, per_cell: u32) -> u32 {
    let per_cell = per_cell.max(1);
    let first = piece / per_cell * per_cell;
    let is_complete = per_cell > 1 && is_complete(pieces);
    let badness = |number: &u32| {
        let state = pieces[*number as usize];
        (std::cmp::Reverse(Band::of_piece(state, is_complete)), state.availability)
    };
    (first..first.saturating_add(per_cell).min(pieces.len() as u32)).min_by_key(badness).unwrap_or(piece)
}

/// Whether we have every piece that we want.
pub fn is_complete(pieces: &[PieceState]) -> bool {
    pieces.iter().all(|piece| piece.have || piece.is_skipped)
}

/// The fewest copies that any wanted piece has which we lack (once we have all: any of those), and how many have no more.
pub fn rarest(pieces: &[PieceState]) -> Option<(u16, u32)> {
    let is_complete = is_complete(pieces);
    let of_interest = || pieces.iter().filter(|piece| !piece.is_skipped && (is_complete || !piece.have));
    let fewest = of_interest().map(|piece| piece.availability).min()?;
    Some((fewest, of_interest().filter(|piece| piece.availability == fewest).count() as u32))
}

#[cfg(test)]
mod tests;
