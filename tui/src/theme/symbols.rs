//! The characters that the screens are drawn with.

use ratatui::symbols::{bar, border};

/// The characters of bars, maps and frames.
#[derive(Debug)]
pub struct Symbols {
    /// Frames of panels.
    pub border: border::Set<'static>,
    /// Steps of a horizontal bar, from one eighth to a whole cell.
    pub bar: [&'static str; 8],
    /// The part of a bar that is not filled.
    pub bar_rest: &'static str,
    /// Steps of a vertical bar.
    pub column: bar::Set<'static>,
    /// Copies of a piece: none, one, few, many, (almost) everyone.
    pub copies: [&'static str; 5],
    /// A peer that has everything.
    pub seeding: &'static str,
    /// A peer that fetches.
    pub downloading: &'static str,
    /// A peer that takes without giving.
    pub free_rider: &'static str,
    /// A peer without anything to report yet.
    pub waiting: &'static str,
    /// Nothing goes from this one to that one.
    pub nothing: &'static str,
    /// Somebody who is given to.
    pub open: &'static str,
    /// Somebody who is choked.
    pub closed: &'static str,
    /// A cell of the availability map whose pieces nobody here wants.
    pub skipped: &'static str,
    /// A cell of the availability map whose pieces we have.
    pub have: &'static str,
    /// A cell whose missing pieces are all on their way.
    pub in_flight: &'static str,
    /// A cell by the copies of its rarest missing piece: none, 1 to 3, 4 to 8, more.
    pub bands: [&'static str; 4],
    /// Stands before the row under the cursor.
    pub selected: &'static str,
    /// Stands before a marked row.
    pub marked: &'static str,
    /// Somebody who waits for a person: paused.
    pub paused: &'static str,
    /// Something failed.
    pub failed: &'static str,
    /// Sorted upwards.
    pub ascending: &'static str,
    /// Sorted downwards.
    pub descending: &'static str,
    /// Stands for what was cut off.
    pub ellipsis: &'static str,
    /// Columns further left.
    pub more_left: &'static str,
    /// Columns further right.
    pub more_right: &'static str,
    /// A step of a path.
    pub step: &'static str,
    /// Graphs are made of braille dots; else of `_.-'`.
    pub has_braille: bool,
    /// The vertical axis of a graph: beside a label, and elsewhere.
    pub axis: [&'static str; 2],
}

/// Unicode blocks and lines.
pub static UNICODE: Symbols = Symbols {
    border: border::ROUNDED,
    bar: ["▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"],
    bar_rest: "·",
    column: bar::NINE_LEVELS,
    copies: [" ", "░", "▒", "▓", "█"],
    seeding: "▲",
    downloading: "▼",
    free_rider: "!",
    waiting: "…",
    nothing: "·",
    open: "→",
    closed: "×",
    skipped: "-",
    have: "█",
    in_flight: "▄",
    bands: ["!", "░", "▒", "▓"],
    selected: ">",
    marked: "*",
    paused: "‖",
    failed: "✗",
    ascending: "▲",
    descending: "▼",
    ellipsis: "…",
    more_left: "‹",
    more_right: "›",
    step: "▸",
    has_braille: true,
    axis: ["┤", "│"],
};

/// Characters that every terminal, font and screen reader knows.
pub static ASCII: Symbols = Symbols {
    border: border::Set {
        top_left: "+",
        top_right: "+",
        bottom_left: "+",
        bottom_right: "+",
        vertical_left: "|",
        vertical_right: "|",
        horizontal_top: "-",
        horizontal_bottom: "-",
    },
    bar: ["-", "-", "-", "=", "=", "=", "#", "#"],
    bar_rest: ".",
    column: bar::Set {
        full: "#",
        seven_eighths: "#",
        three_quarters: "#",
        five_eighths: "=",
        half: "=",
        three_eighths: "-",
        one_quarter: "-",
        one_eighth: "_",
        empty: " ",
    },
    copies: [" ", ".", ":", "+", "#"],
    seeding: "^",
    downloading: "v",
    free_rider: "!",
    waiting: ".",
    nothing: ".",
    open: ">",
    closed: "x",
    skipped: "-",
    have: "#",
    in_flight: "=",
    bands: ["!", ".", ":", "+"],
    selected: ">",
    marked: "*",
    paused: "=",
    failed: "x",
    ascending: "^",
    descending: "v",
    ellipsis: "~",
    more_left: "<",
    more_right: ">",
    step: ">",
    has_braille: false,
    axis: ["|", "|"],
};
