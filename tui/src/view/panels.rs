//! The panels of the screens: each a pure function of what it shows, the room that it has, and a [`Look`].
//!
//! A panel draws within its area; the frame around it is somebody else's. Lists are [`Table`](super::table::Table)s of the
//! columns that are defined here.

pub mod disk;
pub mod events;
pub mod fairness;
pub mod files;
pub mod header;
pub mod overview;
pub mod peers;
pub mod pieces;
pub mod speed;
pub mod torrents;
pub mod trackers;

mod words;

use ratatui::{style::Style, text::Span};

use crate::theme::Theme;

/// A line of a bar: what is done in `style`, and the rest faintly.
fn bar_spans(part: u64, whole: u64, width: usize, style: Style, theme: &Theme) -> Vec<Span<'static>> {
    let (done, rest) = super::bar(part, whole, width, theme.symbols);
    vec![Span::styled(done, style), Span::styled(rest, theme.faint())]
}

#[cfg(test)]
mod tests;
