//! No hole is hidden, and every piece has its cell.

use proptest::prelude::*;
use ratatui::style::Color;

use super::*;

fn piece(have: bool, in_flight: bool, availability: u16) -> PieceState {
    PieceState { have, in_flight, is_skipped: false, availability }
}

#[test]
fn a_cell_shows_its_worst_piece() {
    let (have, flies, gone) = (piece(true, false, 3), piece(false, true, 12), piece(false, true, 0));
    for (pieces, band) in [
        (vec![have, have], Band::Have),
        (vec![have, flies], Band::InFlight),
        (vec![flies, gone], Band::Nobody),
        (vec![have, piece(false, false, 9), flies], Band::Many),
        (vec![piece(false, false, 9), piece(false, false, 8)], Band::Some),
        (vec![piece(false, false, 3), piece(false, false, 90)], Band::Few),
        (vec![piece(true, false, 0), piece(false, false, 1)], Band::Few),
        (vec![], Band::Have),
    ] {
        assert_eq!(Band::of_pieces(&pieces, false), band, "{pieces:?}");
    }
    let skipped = PieceState { is_skipped: true, ..piece(false, false, 0) };
    assert_eq!(Band::of_pieces(&[skipped, skipped], false), Band::Skipped);
    assert_eq!(Band::of_pieces(&[skipped, have], false), Band::Have);
    assert_eq!(Band::of_pieces(&[skipped, gone], false), Band::Nobody);
    assert!(is_complete(&[skipped, have]), "nobody waits for what is skipped");
    // Once all is there, it shows what the others lack.
    assert_eq!(Band::of_pieces(&[have, piece(true, false, 0)], true), Band::Nobody);
    assert_eq!(Band::of_pieces(&[have, have], true), Band::Few);
}

#[test]
fn the_cursor_is_on_the_worst_piece_of_its_cell() {
    let (have, many, few, gone) =
        (piece(true, false, 0), piece(false, false, 9), piece(false, false, 2), piece(false, false, 0));
    let pieces = [have, many, few, few, gone, many, gone, have, have, have];
    for (cursor, per_cell, chosen) in
        [(0, 4, 2), (3, 4, 2), (4, 4, 4), (7, 4, 4), (8, 4, 8), (9, 4, 8), (5, 1, 5), (0, 99, 4), (50, 4, 50)]
    {
        assert_eq!(worst(&pieces, cursor, per_cell), chosen, "{cursor} with {per_cell} a cell");
    }
    // Once all is there, what the others lack is the worst.
    assert_eq!(worst(&[piece(true, false, 3), piece(true, false, 0)], 0, 2), 1);
}

#[test]
fn the_rarest_are_counted() {
    let pieces =
        [piece(true, false, 0), piece(false, false, 3), piece(false, true, 3), piece(false, false, 7)];
    assert_eq!(rarest(&pieces), Some((3, 2)));
    assert_eq!(rarest(&[piece(true, false, 5), piece(true, false, 4)]), Some((4, 1)));
    assert_eq!(rarest(&[]), None);
    let skipped = PieceState { is_skipped: true, ..piece(false, false, 0) };
    assert_eq!(
        rarest(&[skipped, piece(false, false, 2)]),
        Some((2, 1)),
        "no hole where nobody wants anything"
    );
    assert_eq!(rarest(&[skipped]), None);
}

fn any_piece() -> impl Strategy<Value = PieceState> {
    (any::<bool>(), any::<bool>(), any::<bool>(), 0..12_u16).prop_map(|(have, in_flight, skips, copies)| {
        PieceState { is_skipped: skips && !have, ..piece(have, in_flight, copies) }
    })
}

proptest! {
    #[test]
    fn no_hole_is_hidden(
        pieces in proptest::collection::vec(any_piece(), 1..400), width in 1..40_u16, height in 1..12_u16
    ) {
        for ascii in [false, true] {
            let theme = Theme::new(true, ascii);
            let area = Rect::new(0, 0, width, height);
            let mut buffer = Buffer::empty(area);
            let grid = draw(&mut buffer, area, &theme, &pieces, None);
            let lacking = |piece: &PieceState| !piece.have && !piece.is_skipped && piece.availability == 0;
            for (number, _) in pieces.iter().enumerate().filter(|(_, piece)| lacking(piece)) {
                let (x, y) = grid.place(number as u32);
                prop_assert_eq!(buffer[(x, y)].symbol(), theme.symbols.bands[0]);
                prop_assert_eq!(buffer[(x, y)].fg, Color::Red);
            }
            let shown = buffer.content().iter().filter(|cell| cell.symbol() != " ").count();
            prop_assert_eq!(shown as u32, grid.cells());
            let is_complete = is_complete(&pieces);
            let is_hole = |piece: &PieceState| {
                piece.availability == 0 && !piece.is_skipped && (!piece.have || is_complete)
            };
            if !pieces.iter().any(is_hole) {
                prop_assert!(buffer.content().iter().all(|cell| cell.symbol() != theme.symbols.bands[0]));
            }
        }
    }

    #[test]
    fn every_piece_has_its_place(pieces in 0..5_000_u32, columns in 0..120_u16, lines in 0..30_u16, piece: u32) {
        let grid = Grid::fit(pieces, columns, lines);
        let cells = u32::from(columns) * u32::from(lines);
        prop_assert!(cells == 0 || grid.cells() <= cells);
        if pieces > 0 {
            let piece = piece % pieces;
            let (x, y) = grid.place(piece);
            let first = (u32::from(y) * u32::from(grid.columns) + u32::from(x)) * grid.per_cell;
            prop_assert!(x < grid.columns && (cells == 0 || y < lines));
            prop_assert!((first..first + grid.per_cell).contains(&piece));
        }
    }
}
