//! What was drawn, as text or as a picture (SVG).

mod shapes;
mod svg;

use ratatui::buffer::{Buffer, CellWidth};

pub use self::svg::svg;

/// The characters that were drawn, a line each, without spaces at the ends of lines.
pub fn text(buffer: &Buffer) -> String {
    let mut text = String::with_capacity(buffer.content().len() * 2);
    for y in buffer.area.top()..buffer.area.bottom() {
        let mut x = buffer.area.left();
        while x < buffer.area.right() {
            let symbol = buffer[(x, y)].symbol();
            text.push_str(symbol);
            // What a wide character covers is not drawn.
            x += symbol.cell_width().max(1);
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests;
