//! Blocks, lines and dots as shapes, so that they meet whatever the font.

use std::fmt::Write as _;

/// A cell's width and height in pixels.
pub(super) const CELL: (u32, u32) = (8, 16);

/// How a character is drawn.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Shape {
    /// As a filled path, with so much of the colour, in percent.
    Filled(String, u8),
    /// As a line.
    Stroked(String),
}

/// The shape of a character whose cell is at `x` and `y`, in pixels; `None` for what is text.
pub(super) fn shape(character: char, x: u32, y: u32) -> Option<Shape> {
    let (width, height) = CELL;
    let rectangle = |x: u32, y: u32, width: u32, height: u32| format!("M{x} {y}h{width}v{height}h-{width}z");
    let whole = || rectangle(x, y, width, height);
    let (middle, line) = (x + width / 2, y + height / 2);
    Some(match character {
        '█' => Shape::Filled(whole(), 100),
        '▓' => Shape::Filled(whole(), 75),
        '▒' => Shape::Filled(whole(), 50),
        '░' => Shape::Filled(whole(), 25),
        // From seven eighths down to one, from the left.
        '▉'..='▏' => Shape::Filled(rectangle(x, y, 0x2590 - character as u32, height), 100),
        // From one eighth up to seven, from below.
        '▁'..='▇' => {
            let filled = (character as u32 - 0x2580) * 2;
            Shape::Filled(rectangle(x, y + height - filled, width, filled), 100)
        }
        '\u{2801}'..='\u{28ff}' => Shape::Filled(dots(character as u32 - 0x2800, x, y), 100),
        '─' => Shape::Stroked(format!("M{x} {line}h{width}")),
        '│' => Shape::Stroked(format!("M{middle} {y}v{height}")),
        '┤' => Shape::Stroked(format!("M{middle} {y}v{height}M{x} {line}h4")),
        '╭' => Shape::Stroked(format!("M{middle} {}v-4q0-4 4-4", y + height)),
        '╮' => Shape::Stroked(format!("M{x} {line}q4 0 4 4v4")),
        '╰' => Shape::Stroked(format!("M{middle} {y}v4q0 4 4 4")),
        '╯' => Shape::Stroked(format!("M{x} {line}q4 0 4-4v-4")),
        _ => return None,
    })
}

/// Dots that are below each other as one bar.
fn dots(bits: u32, x: u32, y: u32) -> String {
    const COLUMNS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
    let mut path = String::new();
    for (column, rows) in (0_u32..).zip(COLUMNS) {
        let is_set = |row: usize| rows.get(row).is_some_and(|dot| bits & dot != 0);
        let mut row = 0;
        while row < 4 {
            let run = (row..4).take_while(|row| is_set(*row)).count();
            if run > 0 {
                let height = 4 * run as u32;
                let _ = write!(path, "M{} {}h3v{height}h-3z", x + 4 * column, y + 4 * row as u32);
            }
            row += run.max(1);
        }
    }
    path
}
