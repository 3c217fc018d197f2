//! What every panel needs to know beside what it shows, and where it says that it has drawn.

use ratatui::layout::Rect;

use crate::{
    theme::Theme,
    units::{BitsPerSecond, PerSecond},
};

/// How everything is shown.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// Colours and characters.
    pub theme: &'a Theme,
    /// Rates are in bits per second.
    pub bits: bool,
    /// The time of the newest tick, in seconds since 1970 (UTC).
    pub now: f64,
}

impl Look<'_> {
    /// A rate of so many bytes per second; `-` when nothing moves.
    pub fn rate(&self, bytes: u64) -> String {
        if self.bits { BitsPerSecond(bytes).to_string() } else { PerSecond(bytes).to_string() }
    }
}

/// Where the entries of a list were drawn, so that a mouse finds them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Placed<C> {
    /// The lines of the entries, one each.
    pub rows: Rect,
    /// The entry on the first of them.
    pub first: usize,
    /// The titles of the columns.
    pub columns: Vec<(Rect, C)>,
}
