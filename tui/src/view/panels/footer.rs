//! The last line: what keys do.

use ratatui::text::{Line, Span};

use crate::{
    theme::Theme,
    view::text::{Part, line_of},
};

/// A key and what it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hint<'a> {
    /// The key, as it is written on a keyboard.
    pub key: &'a str,
    /// What it does, in a word or two.
    pub does: &'a str,
    /// Hints with a larger number are left out first.
    pub rank: u8,
}

/// As many of `hints` as `width` cells hold, the key before what it does.
pub fn line(hints: &[Hint<'_>], theme: &Theme, width: u16) -> Line<'static> {
    let part = |hint: &Hint<'_>| {
        Part::new(
            hint.rank,
            vec![
                Span::styled(hint.key.to_string(), theme.strong()),
                Span::styled(format!(" {}", hint.does), theme.faint()),
            ],
        )
    };
    let mut line = line_of(hints.iter().map(part).collect(), 3, usize::from(width.saturating_sub(2)));
    line.spans.insert(0, Span::raw(" "));
    line
}
