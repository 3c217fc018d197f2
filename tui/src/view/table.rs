//! Tables of which only the visible rows are made.
//!
//! Columns have priorities: where there is little room the less important ones are left out, and can be brought in by
//! moving sideways. Widths depend on nothing but the room, so that nothing jumps when numbers change.

use ratatui::{
    Frame,
    buffer::Buffer,
    layout::{HorizontalAlignment, Rect},
    style::Style,
    text::Line,
};

use super::{
    look::{Look, Placed},
    text,
};
use crate::model::{columns::Sort, list::ListCursor};

/// How a column is to be laid out.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// What stands above it.
    pub title: &'static str,
    /// The least cells that it needs.
    pub least: u16,
    /// The cells that it has where there is room for all.
    pub wide: u16,
    /// The most cells that it can use.
    pub most: u16,
    /// On which side it stands: numbers to the right.
    pub side: HorizontalAlignment,
    /// 0 always stays; of the others those with a larger number are left out first.
    pub rank: u8,
}

impl Spec {
    /// A column of numbers.
    pub const fn number(title: &'static str, least: u16, wide: u16, rank: u8) -> Self {
        Self { title, least, wide, most: wide, side: HorizontalAlignment::Right, rank }
    }

    /// A column of text.
    pub const fn text(title: &'static str, least: u16, wide: u16, most: u16, rank: u8) -> Self {
        Self { title, least, wide, most, side: HorizontalAlignment::Left, rank }
    }
}

/// A kind of column of one table.
pub trait Column: Copy + PartialEq + 'static {
    /// What a row is made of.
    type Row<'a>;

    /// All of them, in the order in which they stand.
    const SHOWN: &'static [Self];

    /// How it is laid out.
    fn spec(self) -> Spec;

    /// What stands in it, in `width` cells.
    fn cell(self, row: &Self::Row<'_>, look: &Look<'_>, width: u16) -> Line<'static>;
}

/// A table to draw.
pub struct Table<'a, C: Column> {
    /// How many rows there are.
    pub len: usize,
    /// Makes one of them.
    pub row: &'a dyn Fn(usize) -> Option<C::Row<'a>>,
    /// Where the person is; `None` where there is nothing to select.
    pub cursor: Option<ListCursor>,
    /// What is visible: the same, or what else is to be seen.
    pub scroll: ListCursor,
    /// Keys act on this table.
    pub is_focused: bool,
    /// By what it is sorted.
    pub sort: Option<Sort<C>>,
    /// Whether a row is marked; `None` where nothing can be.
    pub is_marked: Option<&'a dyn Fn(usize) -> bool>,
    /// Less important columns that were moved out to the left.
    pub offset: usize,
    /// Columns that are not wanted here.
    pub without: &'a [C],
    /// The titles of the columns stand above the rows, if there are any.
    pub has_titles: bool,
    /// What stands in an empty table.
    pub empty: &'a str,
}

/// Where a column stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place<C> {
    column: C,
    x: u16,
    width: u16,
}

/// Cells between columns.
const GAP: u16 = 1;

impl<C: Column> Table<'_, C> {
    /// Draws the titles and the visible rows.
    pub fn draw(&self, frame: &mut Frame<'_>, area: Rect, look: &Look<'_>) -> Placed<C> {
        let area = area.intersection(frame.area());
        let nothing = Placed { rows: Rect::default(), first: 0, columns: Vec::new() };
        if area.height < 1 || area.width < 4 {
            return nothing;
        }
        let gutter = gutter(self.cursor.is_some(), self.is_marked.is_some());
        let body = Rect { x: area.x + gutter, width: area.width - gutter, height: 1, ..area };
        let columns: Vec<C> =
            C::SHOWN.iter().copied().filter(|column| !self.without.contains(column)).collect();
        let (places, hidden) = places(&columns, body.width, self.offset, self.has_titles);
        let buffer = frame.buffer_mut();
        let titles = if self.has_titles && self.len > 0 {
            self.draw_titles(buffer, body, &places, hidden, look)
        } else {
            Vec::new()
        };
        let above = u16::from(self.has_titles && self.len > 0);
        let rows = Rect { y: area.y + above, height: area.height - above, ..area };
        if self.len == 0 && rows.height > 0 {
            let line = Line::styled(format!(" {}", self.empty), look.theme.faint());
            text::put(buffer, rows, &line, HorizontalAlignment::Left, look.theme.symbols.ellipsis);
        }
        let window = self.scroll.window(self.len, usize::from(rows.height));
        for (index, y) in window.clone().zip(rows.y..rows.bottom()) {
            let line = Rect { y, height: 1, ..rows };
            self.draw_row(buffer, line, gutter, index, &places, look);
        }
        Placed { rows, first: window.start, columns: titles }
    }

    fn draw_titles(
        &self,
        buffer: &mut Buffer,
        area: Rect,
        places: &[Place<C>],
        hidden: Hidden,
        look: &Look<'_>,
    ) -> Vec<(Rect, C)> {
        let (theme, symbols) = (look.theme, look.theme.symbols);
        let mut titles = Vec::with_capacity(places.len());
        for place in places {
            let spec = place.column.spec();
            let cell = Rect { x: area.x + place.x, width: place.width, ..area };
            let line = match self.sort.filter(|sort| sort.column == place.column) {
                Some(sort) => {
                    let arrow = if sort.descending { symbols.descending } else { symbols.ascending };
                    let title = text::fitted(spec.title, usize::from(place.width).saturating_sub(1), "");
                    Line::styled(format!("{title}{arrow}"), theme.strong())
                }
                None => Line::styled(spec.title, theme.faint()),
            };
            text::put(buffer, cell, &line, spec.side, symbols.ellipsis);
            titles.push((cell, place.column));
        }
        if hidden.left {
            buffer.set_stringn(area.x.saturating_sub(1), area.y, symbols.more_left, 1, theme.accent());
        }
        if hidden.right {
            buffer.set_stringn(area.right() - 1, area.y, symbols.more_right, 1, theme.accent());
        }
        titles
    }

    fn draw_row(
        &self,
        buffer: &mut Buffer,
        area: Rect,
        gutter: u16,
        index: usize,
        places: &[Place<C>],
        look: &Look<'_>,
    ) {
        let Some(row) = (self.row)(index) else { return };
        let (theme, symbols) = (look.theme, look.theme.symbols);
        let is_selected = self
            .cursor
            .is_some_and(|cursor| cursor.clamped(self.len, usize::from(area.height)).selected == index);
        let mut x = area.x;
        if self.cursor.is_some() {
            let symbol = if is_selected { symbols.selected } else { " " };
            buffer.set_stringn(x, area.y, symbol, 1, theme.strong());
            x += 1;
        }
        if self.is_marked.is_some_and(|is_marked| is_marked(index)) {
            buffer.set_stringn(x, area.y, symbols.marked, 1, theme.accent());
        }
        let x = area.x + gutter;
        for place in places {
            let cell = Rect { x: x + place.x, width: place.width, ..area };
            let line = place.column.cell(&row, look, place.width);
            text::put(buffer, cell, &line, place.column.spec().side, symbols.ellipsis);
        }
        if is_selected {
            buffer.set_style(area, self.selection(look));
        }
    }

    fn selection(&self, look: &Look<'_>) -> Style {
        if self.is_focused { look.theme.selection() } else { look.theme.selection_elsewhere() }
    }
}

/// Cells before the first column: of the cursor and the mark, or of space.
fn gutter(has_cursor: bool, has_marks: bool) -> u16 {
    (u16::from(has_cursor) + u16::from(has_marks)).max(1)
}

/// Whether there are columns beyond those that are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Hidden {
    left: bool,
    right: bool,
}

/// How often a table of this width can be moved sideways before nothing more comes in.
pub fn offset_most<C: Column>(width: u16, without: &[C]) -> usize {
    let columns: Vec<C> = C::SHOWN.iter().copied().filter(|column| !without.contains(column)).collect();
    (0..columns.len())
        .find(|offset| !places(&columns, width.saturating_sub(2), *offset, true).1.right)
        .unwrap_or(0)
}

/// Which columns are shown in `width` cells, and where.
fn places<C: Column>(columns: &[C], width: u16, offset: usize, has_mark: bool) -> (Vec<Place<C>>, Hidden) {
    let mut shown = moved(columns, offset);
    let left = shown.len() < columns.len();
    let mut right = false;
    if needed(&shown) > width {
        // A mark says that there are more.
        right = has_mark;
        let room = if has_mark { width.saturating_sub(2) } else { width };
        while needed(&shown) > room && leave_out(&mut shown, offset > 0) {}
    }
    let room = if right { width.saturating_sub(2) } else { width };
    let widths = widths(&shown, room);
    let mut x = 0;
    let mut places = Vec::with_capacity(shown.len());
    for (column, cells) in shown.into_iter().zip(widths) {
        places.push(Place { column, x, width: cells.min(width.saturating_sub(x)) });
        x += cells + GAP;
    }
    (places, Hidden { left, right })
}

/// The columns without the first `offset` of those that may be left out.
fn moved<C: Column>(columns: &[C], offset: usize) -> Vec<C> {
    let mut out = 0;
    let stays = |column: &C| {
        let is_out = column.spec().rank > 0 && out < offset;
        out += usize::from(is_out);
        !is_out
    };
    columns.iter().copied().filter(stays).collect()
}

/// Leaves the least important column out; moved sideways, the last one. There is always one left.
fn leave_out<C: Column>(shown: &mut Vec<C>, is_moved: bool) -> bool {
    let ranks = shown.iter().map(|column| column.spec().rank).enumerate().filter(|(_, rank)| *rank > 0);
    let least = if is_moved { ranks.last() } else { ranks.max_by_key(|(_, rank)| *rank) };
    match least {
        Some((index, _)) => drop(shown.remove(index)),
        None if shown.len() > 1 => drop(shown.pop()),
        None => return false,
    }
    true
}

fn needed<C: Column>(shown: &[C]) -> u16 {
    shown.iter().map(|column| column.spec().least + GAP).sum::<u16>().saturating_sub(GAP)
}

/// What is left over goes to columns that are wider where they can be, the most important first, and then evenly to those
/// that can use still more.
fn widths<C: Column>(shown: &[C], width: u16) -> Vec<u16> {
    let specs: Vec<Spec> = shown.iter().map(|column| column.spec()).collect();
    let mut widths: Vec<u16> = specs.iter().map(|spec| spec.least).collect();
    let mut left = width.saturating_sub(needed(shown));
    let mut order: Vec<usize> = (0..specs.len()).collect();
    order.sort_by_key(|index| specs[*index].rank);
    for index in order {
        let more = specs[index].wide - specs[index].least;
        // Numbers need all of it for another unit; text can use any part.
        let given =
            if specs[index].side == HorizontalAlignment::Right && more > left { 0 } else { more.min(left) };
        widths[index] += given;
        left -= given;
    }
    while left > 0 {
        let hungry: Vec<usize> =
            (0..specs.len()).filter(|index| widths[*index] < specs[*index].most).collect();
        if hungry.is_empty() {
            break;
        }
        let share = (left / hungry.len() as u16).max(1);
        for index in hungry {
            let given = share.min(specs[index].most - widths[index]).min(left);
            widths[index] += given;
            left -= given;
        }
    }
    widths
}

#[cfg(test)]
mod tests;
