//! Lines of text that fit: cut with an ellipsis, put to one side, and parts that are left out whole.

use ratatui::{
    buffer::{Buffer, CellWidth},
    layout::{HorizontalAlignment, Rect},
    style::Style,
    text::{Line, Span},
};

/// `text` in at most `width` cells; what is cut off is replaced by `ellipsis`.
pub fn fitted(text: &str, width: usize, ellipsis: &str) -> String {
    let span = Span::raw(text);
    if span.width() <= width {
        return text.to_string();
    }
    let Some(mut left) = width.checked_sub(Span::raw(ellipsis).width()) else { return String::new() };
    let mut short = String::with_capacity(text.len().min(4 * width));
    for grapheme in span.styled_graphemes(Style::new()) {
        let cells = usize::from(grapheme.symbol.cell_width());
        let Some(rest) = left.checked_sub(cells) else { break };
        left = rest;
        short.push_str(grapheme.symbol);
    }
    short + ellipsis
}

/// Writes a line into the first row of `area`, cut with an ellipsis if it is too long.
pub fn put(buffer: &mut Buffer, area: Rect, line: &Line<'_>, side: HorizontalAlignment, ellipsis: &str) {
    let area = area.intersection(buffer.area);
    if area.is_empty() {
        return;
    }
    let (width, all) = (usize::from(area.width), line.width());
    let free = width.saturating_sub(all);
    let mut x = area.x
        + match side {
            HorizontalAlignment::Left => 0,
            HorizontalAlignment::Center => free as u16 / 2,
            HorizontalAlignment::Right => free as u16,
        };
    if all <= width {
        buffer.set_line(x, area.y, line, area.width);
        return;
    }
    for span in &line.spans {
        let style = line.style.patch(span.style);
        let left = usize::from(area.right() - x);
        // The ellipsis stands in the last span that begins within the area.
        let is_cut = span.width() > left || (span.width() == left && x + left as u16 == area.right());
        let text = if is_cut && !is_last_of(line, span) {
            cut(&span.content, left, ellipsis)
        } else {
            fitted(&span.content, left, ellipsis)
        };
        x = buffer.set_stringn(x, area.y, text, left, style).0;
        if is_cut {
            break;
        }
    }
}

fn is_last_of(line: &Line<'_>, span: &Span<'_>) -> bool {
    line.spans.last().is_some_and(|last| std::ptr::eq(last, span))
}

/// Like [`fitted`], and cut even if it just fits, as something follows.
fn cut(text: &str, width: usize, ellipsis: &str) -> String {
    fitted(&format!("{text} "), width, ellipsis)
}

/// One of several parts of a line.
#[derive(Clone, Debug)]
pub struct Part {
    /// Parts with a larger number are left out first.
    pub rank: u8,
    /// What it says.
    pub spans: Vec<Span<'static>>,
}

impl Part {
    /// A part that is left out after those of a larger `rank`.
    pub fn new(rank: u8, spans: Vec<Span<'static>>) -> Self {
        Self { rank, spans }
    }

    /// A part of one style.
    pub fn of(rank: u8, text: impl Into<String>, style: Style) -> Self {
        Self::new(rank, vec![Span::styled(text.into(), style)])
    }

    fn width(&self) -> usize {
        self.spans.iter().map(Span::width).sum()
    }
}

/// As many parts as fit, `gap` cells apart; what does not fit is left out whole, never cut in the middle of a number.
pub fn line_of(parts: Vec<Part>, gap: usize, width: usize) -> Line<'static> {
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|index| parts[*index].rank);
    let mut left = width + gap;
    let mut is_shown = vec![false; parts.len()];
    for index in order {
        // What matters less must not stand where what matters more had no room.
        let Some(rest) = left.checked_sub(parts[index].width() + gap) else { break };
        (left, is_shown[index]) = (rest, true);
    }
    let mut line = Line::default();
    for (part, _) in parts.into_iter().zip(is_shown).filter(|(_, is_shown)| *is_shown) {
        if !line.spans.is_empty() {
            line.push_span(Span::raw(" ".repeat(gap)));
        }
        line.spans.extend(part.spans);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_off_is_said_so() {
        for (text, width, short) in [
            ("debian.iso", 10, "debian.iso"),
            ("debian.iso", 9, "debian.i…"),
            ("debian.iso", 1, "…"),
            ("debian.iso", 0, ""),
            ("映画祭", 6, "映画祭"),
            ("映画祭", 5, "映画…"),
            ("映画祭", 4, "映…"),
            ("e\u{301}a\u{308}o", 2, "e\u{301}…"),
            ("", 0, ""),
        ] {
            assert_eq!(fitted(text, width, "…"), short, "{text} in {width}");
            assert!(Span::raw(short).width() <= width);
        }
    }

    #[test]
    fn lines_stand_on_their_side() {
        let line = Line::from(vec![Span::raw("ab"), Span::raw("cd")]);
        for (width, side, text) in [
            (6, HorizontalAlignment::Left, "abcd  "),
            (6, HorizontalAlignment::Right, "  abcd"),
            (6, HorizontalAlignment::Center, " abcd "),
            (4, HorizontalAlignment::Right, "abcd"),
            (3, HorizontalAlignment::Right, "ab…"),
            (2, HorizontalAlignment::Left, "a…"),
            (1, HorizontalAlignment::Left, "…"),
        ] {
            let mut buffer = Buffer::empty(Rect::new(0, 0, width, 1));
            put(&mut buffer, Rect::new(0, 0, width, 1), &line, side, "…");
            let found: String = buffer.content().iter().map(ratatui::buffer::Cell::symbol).collect();
            assert_eq!(found, text, "in {width}");
        }
    }

    #[test]
    fn parts_are_left_out_whole_by_rank() {
        let parts = || {
            vec![
                Part::of(0, "aa", Style::new()),
                Part::of(2, "bbb", Style::new()),
                Part::of(1, "c", Style::new()),
            ]
        };
        for (width, text) in [(20, "aa  bbb  c"), (10, "aa  bbb  c"), (9, "aa  c"), (4, "aa"), (1, "")] {
            assert_eq!(line_of(parts(), 2, width).to_string(), text);
        }
    }
}
