//! A frame as a picture.

use std::{collections::BTreeMap, fmt::Write as _};

use ratatui::{
    buffer::{Buffer, Cell, CellWidth},
    style::{Color, Modifier},
};

use super::shapes::{CELL, Shape, shape};

/// What stands for the terminal's own colours: text, and what it stands on.
const TERMINAL: [&str; 2] = ["#d6d9e4", "#1a1c25"];
/// What stands for the sixteen that people choose for their terminal.
const SIXTEEN: [&str; 16] = [
    "#1a1c25", "#e06c75", "#98c379", "#d9a950", "#6f9df1", "#c678dd", "#56b6c2", "#c8ccd8", "#6b7186",
    "#f08585", "#b5e08f", "#f0d080", "#8ab4f8", "#dc9ff0", "#7cd6e0", "#ffffff",
];
/// Pixels around the frame.
const MARGIN: u32 = 8;

/// What text looks like.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Face {
    color: String,
    is_bold: bool,
    is_dim: bool,
}

/// The parts of a picture, gathered by how they look so that each look is told once.
#[derive(Default)]
struct Picture {
    backgrounds: BTreeMap<String, String>,
    filled: BTreeMap<(String, u8), String>,
    stroked: BTreeMap<String, String>,
    texts: BTreeMap<Face, String>,
}

/// Draws what is in `buffer` as an SVG picture. `title` says what it shows to those who do not see it.
pub fn svg(buffer: &Buffer, title: &str) -> String {
    let mut picture = Picture::default();
    for y in 0..buffer.area.height {
        picture.add_line(buffer, y);
    }
    let (width, height) = (u32::from(buffer.area.width) * CELL.0, u32::from(buffer.area.height) * CELL.1);
    picture.to_svg(width, height, buffer, title)
}

impl Picture {
    fn add_line(&mut self, buffer: &Buffer, y: u16) {
        let cell = |x: u16| &buffer[(buffer.area.x + x, buffer.area.y + y)];
        let mut x = 0;
        while x < buffer.area.width {
            let (face, background) = looks(cell(x));
            self.add_background(&background, x, y, cell(x).symbol().cell_width().max(1));
            if let Some(shape) = shape_of(cell(x), x, y) {
                self.add_shape(shape, face);
                x += 1;
                continue;
            }
            // A text goes on while it looks the same, up to two spaces, so that columns stay where they are in any font.
            let mut text = String::new();
            let begin = x;
            while x < buffer.area.width {
                let next = cell(x);
                let is_other =
                    looks(next) != (face.clone(), background.clone()) || shape_of(next, x, y).is_some();
                if x > begin && (is_other || text.ends_with("  ")) {
                    break;
                }
                if x > begin {
                    self.add_background(&background, x, y, next.symbol().cell_width().max(1));
                }
                text.push_str(next.symbol());
                x += next.symbol().cell_width().max(1);
            }
            self.add_text(&text, face, begin, y);
        }
    }

    fn add_background(&mut self, color: &str, x: u16, y: u16, cells: u16) {
        if color != TERMINAL[1] {
            let (x, y, width) = (u32::from(x) * CELL.0, u32::from(y) * CELL.1, u32::from(cells) * CELL.0);
            let path = self.backgrounds.entry(color.to_string()).or_default();
            let _ = write!(path, "M{x} {y}h{width}v{}h-{width}z", CELL.1);
        }
    }

    fn add_shape(&mut self, shape: Shape, face: Face) {
        match shape {
            Shape::Filled(path, share) => *self.filled.entry((face.color, share)).or_default() += &path,
            Shape::Stroked(path) => *self.stroked.entry(face.color).or_default() += &path,
        }
    }

    fn add_text(&mut self, text: &str, face: Face, x: u16, y: u16) {
        let begin = text.len() - text.trim_start().len();
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        let cells: u32 = ratatui::text::Span::raw(text).width() as u32;
        let x = (u32::from(x) + begin as u32) * CELL.0;
        let y = u32::from(y) * CELL.1 + 12;
        let length = cells * CELL.0;
        let texts = self.texts.entry(face).or_default();
        let _ = write!(texts, "<text x=\"{x}\" y=\"{y}\" textLength=\"{length}\">{}</text>", escaped(text));
    }

    fn to_svg(&self, width: u32, height: u32, buffer: &Buffer, title: &str) -> String {
        let (all_width, all_height) = (width + 2 * MARGIN, height + 2 * MARGIN);
        // What stands everywhere is drawn once.
        let base = buffer.content().first().map_or_else(|| TERMINAL[1].to_string(), |cell| looks(cell).1);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-{MARGIN} -{MARGIN} {all_width} {all_height}\" \
             width=\"{all_width}\" height=\"{all_height}\" role=\"img\" font-size=\"13\" \
             font-family=\"ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace\">\n<title>{}</title>\n\
             <rect x=\"-{MARGIN}\" y=\"-{MARGIN}\" width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{base}\"/>\n",
            escaped(title)
        );
        for (color, path) in self.backgrounds.iter().filter(|(color, _)| **color != base) {
            let _ = writeln!(svg, "<path fill=\"{color}\" d=\"{path}\"/>");
        }
        for ((color, share), path) in &self.filled {
            let opacity = f32::from(*share) / 100.0;
            let _ = writeln!(svg, "<path fill=\"{color}\" fill-opacity=\"{opacity}\" d=\"{path}\"/>");
        }
        for (color, path) in &self.stroked {
            let _ = writeln!(svg, "<path fill=\"none\" stroke=\"{color}\" d=\"{path}\"/>");
        }
        for (face, texts) in &self.texts {
            let bold = if face.is_bold { " font-weight=\"bold\"" } else { "" };
            let dim = if face.is_dim { " fill-opacity=\"0.6\"" } else { "" };
            let _ = writeln!(svg, "<g fill=\"{}\"{bold}{dim}>{texts}</g>", face.color);
        }
        svg + "</svg>\n"
    }
}

fn shape_of(cell: &Cell, x: u16, y: u16) -> Option<Shape> {
    let mut characters = cell.symbol().chars();
    let (character, None) = (characters.next()?, characters.next()) else { return None };
    shape(character, u32::from(x) * CELL.0, u32::from(y) * CELL.1)
}

/// What a cell's text looks like, and what it stands on.
fn looks(cell: &Cell) -> (Face, String) {
    let (mut front, mut back) = (color(cell.fg, 0), color(cell.bg, 1));
    if cell.modifier.contains(Modifier::REVERSED) {
        (front, back) = (back, front);
    }
    let face = Face {
        color: front,
        is_bold: cell.modifier.contains(Modifier::BOLD),
        is_dim: cell.modifier.contains(Modifier::DIM),
    };
    (face, back)
}

/// A colour as it is written in a picture; `layer` is 0 for text and 1 for what it stands on.
fn color(color: Color, layer: usize) -> String {
    let sixteen = |number: usize| SIXTEEN[number].to_string();
    match color {
        Color::Reset => TERMINAL[layer].to_string(),
        Color::Black => sixteen(0),
        Color::Red => sixteen(1),
        Color::Green => sixteen(2),
        Color::Yellow => sixteen(3),
        Color::Blue => sixteen(4),
        Color::Magenta => sixteen(5),
        Color::Cyan => sixteen(6),
        Color::Gray => sixteen(7),
        Color::DarkGray => sixteen(8),
        Color::LightRed => sixteen(9),
        Color::LightGreen => sixteen(10),
        Color::LightYellow => sixteen(11),
        Color::LightBlue => sixteen(12),
        Color::LightMagenta => sixteen(13),
        Color::LightCyan => sixteen(14),
        Color::White => sixteen(15),
        Color::Rgb(red, green, blue) => format!("#{red:02x}{green:02x}{blue:02x}"),
        Color::Indexed(number) => indexed(number),
    }
}

/// One of xterm's 256 colours.
fn indexed(number: u8) -> String {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    match number {
        0..16 => SIXTEEN[usize::from(number)].to_string(),
        16..232 => {
            let step = |divisor: u8| STEPS[usize::from((number - 16) / divisor % 6)];
            format!("#{:02x}{:02x}{:02x}", step(36), step(6), step(1))
        }
        grey => {
            let value = 8 + 10 * (grey - 232);
            format!("#{value:02x}{value:02x}{value:02x}")
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
