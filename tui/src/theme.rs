//! Colours and characters of the terminal screens.
//!
//! Screens ask for roles ("what gives", "what is wrong"), never for colours. Without colours the same things are told
//! apart by words, symbols and weight: nothing is told by colour alone.

mod palette;
mod symbols;

use ratatui::style::{Modifier, Style};

use self::palette::{Ink, Palette};
pub use self::{
    palette::{ColorDepth, ThemeName},
    symbols::{ASCII, Symbols, UNICODE},
};

/// How the screens look. The default follows the terminal's own sixteen colours.
#[derive(Clone, Copy, Debug)]
pub struct Theme {
    palette: &'static Palette,
    depth: ColorDepth,
    /// The characters to draw with.
    pub symbols: &'static Symbols,
}

impl Theme {
    /// The default theme with or without colours, of Unicode or ASCII characters.
    pub fn new(colored: bool, ascii: bool) -> Self {
        let depth = if colored { ColorDepth::Sixteen } else { ColorDepth::None };
        Self::named(ThemeName::Default, depth, ascii)
    }

    /// A theme by its name, in as many colours as the terminal has, of Unicode or ASCII characters.
    pub fn named(name: ThemeName, depth: ColorDepth, ascii: bool) -> Self {
        let depth = if name == ThemeName::Mono { ColorDepth::None } else { depth };
        Self { palette: name.palette(), depth, symbols: if ascii { &ASCII } else { &UNICODE } }
    }

    /// How many colours there are.
    pub fn depth(&self) -> ColorDepth {
        self.depth
    }

    /// Whether anything is coloured.
    pub fn is_colored(&self) -> bool {
        self.depth != ColorDepth::None
    }

    /// What everything else lies on.
    pub fn base(&self) -> Style {
        self.ink(self.palette.text).bg(self.palette.background.color(self.depth))
    }

    /// Titles and what is most important.
    pub fn strong(&self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Labels and what is less important.
    pub fn faint(&self) -> Style {
        if self.is_colored() {
            self.ink(self.palette.faint)
        } else {
            Style::new().add_modifier(Modifier::DIM)
        }
    }

    /// Frames of panels.
    pub fn frame(&self) -> Style {
        self.faint()
    }

    /// The frame of the panel that keys act on.
    pub fn focus(&self) -> Style {
        self.ink(self.palette.focus).add_modifier(Modifier::BOLD)
    }

    /// Who gives: seeds, uploads.
    pub fn giving(&self) -> Style {
        self.ink(self.palette.giving)
    }

    /// Who gets: leechers, downloads.
    pub fn getting(&self) -> Style {
        self.ink(self.palette.getting)
    }

    /// What a person should look at.
    pub fn warning(&self) -> Style {
        self.ink(self.palette.warning)
    }

    /// What is wrong.
    pub fn bad(&self) -> Style {
        self.ink(self.palette.bad).add_modifier(Modifier::BOLD)
    }

    /// The product's own colour.
    pub fn accent(&self) -> Style {
        self.ink(self.palette.accent).add_modifier(Modifier::BOLD)
    }

    /// A peer that gives back for what it gets.
    pub fn repaying(&self) -> Style {
        self.ink(self.palette.repaying)
    }

    /// A peer that is tried out.
    pub fn trial(&self) -> Style {
        self.ink(self.palette.warning)
    }

    /// A peer that took and did not give.
    pub fn debtor(&self) -> Style {
        self.ink(self.palette.bad)
    }

    /// A peer that has everything.
    pub fn seed(&self) -> Style {
        self.ink(self.palette.seed)
    }

    /// Lies over the row under the cursor, where keys act on it.
    pub fn selection(&self) -> Style {
        match (self.is_colored(), self.palette.selection) {
            (true, Some(background)) => {
                Style::new().bg(background.color(self.depth)).add_modifier(Modifier::BOLD)
            }
            // Reversed colours of single cells would make a patchwork.
            _ => self.base().remove_modifier(Modifier::all()).add_modifier(Modifier::REVERSED),
        }
    }

    /// Lies over the row under the cursor of a panel that keys do not act on.
    pub fn selection_elsewhere(&self) -> Style {
        self.strong()
    }

    /// From no copy of a piece (0) to a copy almost everywhere (4).
    pub fn copies(&self, level: usize) -> Style {
        match level {
            0 => self.bad(),
            level => self.ink(self.palette.copies[level.min(4) - 1]),
        }
    }

    /// A cell of the availability map whose pieces we have.
    pub fn have(&self) -> Style {
        self.ink(self.palette.have)
    }

    /// A cell of the availability map whose missing pieces are on their way.
    pub fn in_flight(&self) -> Style {
        self.ink(self.palette.accent).add_modifier(Modifier::BOLD)
    }

    fn ink(&self, ink: Ink) -> Style {
        if self.is_colored() { Style::new().fg(ink.color(self.depth)) } else { Style::new() }
    }
}

#[cfg(test)]
mod tests;
