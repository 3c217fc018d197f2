//! A graph of samples over time, filled, of braille dots (two columns and four lines a cell) or of `_.-'`.

use ratatui::{
    buffer::Buffer,
    layout::{HorizontalAlignment, Position, Rect},
    style::Style,
    text::Line,
};

use super::text;
use crate::{theme::Theme, units::Short};

/// Cells of the labels of the vertical axis, with the axis.
pub const AXIS_WIDTH: u16 = 6;
/// Dots of a cell from below, in its left and its right half.
const DOTS: [[u32; 4]; 2] = [[0x40, 0x04, 0x02, 0x01], [0x80, 0x20, 0x10, 0x08]];
/// The same with characters that every terminal has.
const ASCII_STEPS: [&str; 4] = ["_", ".", "-", "'"];
/// A logarithmic scale tells apart what is above this, in bytes per second.
const LOG_UNIT: f64 = 4096.0;

/// A graph to draw.
#[derive(Clone, Copy, Debug)]
pub struct Chart<'a> {
    /// The samples, the newest last.
    pub samples: &'a [u64],
    /// How many samples the whole width stands for.
    pub span: usize,
    /// The scale is logarithmic.
    pub log: bool,
    /// What it is drawn in.
    pub style: Style,
    /// What it shows, in one character.
    pub symbol: &'static str,
}

impl Chart<'_> {
    /// Draws the graph with its vertical axis.
    pub fn draw(&self, buffer: &mut Buffer, area: Rect, theme: &Theme) {
        let area = area.intersection(buffer.area);
        if area.height == 0 || area.width <= AXIS_WIDTH {
            return;
        }
        let plot = Rect { x: area.x + AXIS_WIDTH, width: area.width - AXIS_WIDTH, ..area };
        let per_cell = if theme.symbols.has_braille { 2 } else { 1 };
        let values = columns(self.samples, self.span, usize::from(plot.width) * per_cell);
        let top = top(values.iter().flatten().copied().max().unwrap_or(0));
        self.draw_axis(buffer, area, theme, top);
        // The highest line of dots stays empty, so that a graph below another does not grow together with it.
        let dots = u32::from(plot.height) * 4 - u32::from(plot.height > 1);
        let heights: Vec<Option<u32>> =
            (values.iter()).map(|value| value.map(|value| self.height(value, top, dots))).collect();
        for (x, heights) in (plot.x..plot.right()).zip(heights.chunks(per_cell)) {
            for y in plot.y..plot.bottom() {
                let below = u32::from(plot.bottom() - 1 - y) * 4;
                let Some(cell) = buffer.cell_mut(Position::new(x, y)) else { continue };
                let symbol = if per_cell == 2 {
                    braille(heights, below)
                } else {
                    ascii(heights[0], below).to_string()
                };
                cell.set_symbol(&symbol).set_style(self.style);
            }
        }
    }

    /// How many of `dots` a value is high; what is known has at least one.
    fn height(&self, value: u64, top: u64, dots: u32) -> u32 {
        let share = if self.log {
            (1.0 + value as f64 / LOG_UNIT).ln() / (1.0 + top as f64 / LOG_UNIT).ln()
        } else {
            value as f64 / top as f64
        };
        ((share * f64::from(dots)).round() as u32).clamp(1, dots)
    }

    /// The scale: its top, its half where there is room, and nothing.
    fn draw_axis(&self, buffer: &mut Buffer, area: Rect, theme: &Theme, top: u64) {
        for y in area.y..area.bottom() {
            let (line, last) = (y - area.y, area.height - 1);
            let label = match line {
                0 => Short(top).to_string(),
                line if line == last => "0".into(),
                line if !self.log && 2 * line == last && last >= 4 => Short(top / 2).to_string(),
                _ => String::new(),
            };
            let axis = theme.symbols.axis[usize::from(label.is_empty())];
            let symbol = if line == last / 2 && last > 0 { self.symbol } else { " " };
            let cells = Rect { y, height: 1, width: AXIS_WIDTH, ..area };
            text::put(
                buffer,
                Rect { width: 1, ..cells },
                &Line::styled(if last == 0 { self.symbol } else { symbol }, self.style),
                HorizontalAlignment::Left,
                "",
            );
            let label = Line::styled(format!("{label:>4}{axis}"), theme.faint());
            text::put(
                buffer,
                Rect { x: cells.x + 1, width: 5, ..cells },
                &label,
                HorizontalAlignment::Left,
                "",
            );
        }
    }
}

/// The mean in each of `dots` columns that share `span` samples evenly, the newest at the right; `None` before the first.
fn columns(samples: &[u64], span: usize, dots: usize) -> Vec<Option<u64>> {
    let span = span.max(1);
    let samples = &samples[samples.len().saturating_sub(span)..];
    let unknown = span - samples.len();
    // Each sample is `dots` parts long and each column `span` parts, so that no fraction is needed.
    let mean = |column: usize| {
        let (begin, end) = (column * span, (column + 1) * span);
        let (mut sum, mut parts) = (0, 0);
        for place in (begin / dots).max(unknown)..end.div_ceil(dots) {
            let part = (end.min((place + 1) * dots) - begin.max(place * dots)) as u128;
            (sum, parts) = (sum + u128::from(samples[place - unknown]) * part, parts + part);
        }
        // What is mostly unknown is not shown.
        (2 * parts >= span as u128).then(|| (sum / parts) as u64)
    };
    (0..dots).map(mean).collect()
}

/// The top of a scale: the next of a few round numbers, so that it seldom changes.
fn top(most: u64) -> u64 {
    const ROUND: [u64; 10] = [1, 2, 3, 5, 8, 10, 20, 50, 100, 200];
    let mut unit = 1024_u64;
    loop {
        for round in ROUND.into_iter().chain([500]) {
            match unit.checked_mul(round) {
                Some(top) if top >= most => return top,
                Some(_) => {}
                None => return u64::MAX,
            }
        }
        let Some(next) = unit.checked_mul(1024) else { return u64::MAX };
        unit = next;
    }
}

/// A cell of two columns of dots, of which `below` are in the cells below it.
fn braille(heights: &[Option<u32>], below: u32) -> String {
    let mut dots = 0;
    for (height, column) in heights.iter().zip(DOTS) {
        let here = height.unwrap_or(0).saturating_sub(below).min(4);
        dots |= column[..here as usize].iter().sum::<u32>();
    }
    if dots == 0 { " ".into() } else { char::from_u32(0x2800 + dots).unwrap_or(' ').to_string() }
}

/// A cell of a line without a filling.
fn ascii(height: Option<u32>, below: u32) -> &'static str {
    match height.and_then(|height| (height.max(1) - 1).checked_sub(below)) {
        Some(step @ 0..4) => ASCII_STEPS[step as usize],
        _ => " ",
    }
}

#[cfg(test)]
mod tests;
