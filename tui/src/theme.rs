//! Colours and characters of the terminal screens.

use ratatui::{
    style::{Color, Modifier, Style},
    symbols::{bar, border},
};

/// How the screens look. The default follows the terminal's own sixteen colours; without colours the same things are
/// told apart by weight and by symbols, never by colour alone.
#[derive(Clone, Copy, Debug)]
pub struct Theme {
    colored: bool,
    /// The characters to draw with.
    pub symbols: &'static Symbols,
}

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
};

impl Theme {
    /// A theme with or without colours, of Unicode or ASCII characters.
    pub fn new(colored: bool, ascii: bool) -> Self {
        Self { colored, symbols: if ascii { &ASCII } else { &UNICODE } }
    }

    /// Titles and what is most important.
    pub fn strong(&self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Labels, frames and what is less important.
    pub fn faint(&self) -> Style {
        if self.colored { Style::new().fg(Color::DarkGray) } else { Style::new().add_modifier(Modifier::DIM) }
    }

    /// Who gives: seeds, uploads.
    pub fn giving(&self) -> Style {
        self.color(Color::Green)
    }

    /// Who gets: leechers, downloads.
    pub fn getting(&self) -> Style {
        self.color(Color::Cyan)
    }

    /// What a person should look at.
    pub fn warning(&self) -> Style {
        self.color(Color::Yellow)
    }

    /// What is wrong.
    pub fn bad(&self) -> Style {
        self.color(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// The product's own colour.
    pub fn accent(&self) -> Style {
        self.color(Color::Magenta).add_modifier(Modifier::BOLD)
    }

    /// From no copy of a piece (0) to a copy almost everywhere (4).
    pub fn copies(&self, level: usize) -> Style {
        match level {
            0 => self.bad(),
            1 => self.color(Color::Yellow),
            2 => self.color(Color::Blue),
            3 => self.color(Color::Cyan),
            _ => self.color(Color::Green),
        }
    }

    fn color(&self, color: Color) -> Style {
        if self.colored { Style::new().fg(color) } else { Style::new() }
    }
}
