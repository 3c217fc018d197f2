//! Colours, where they are wanted.

use std::fmt;

/// Puts text into a colour, or leaves it as it is.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    colored: bool,
}

impl Paint {
    /// Colours text only if `colored`.
    pub const fn new(colored: bool) -> Self {
        Self { colored }
    }

    /// Whether it colours.
    pub const fn is_colored(self) -> bool {
        self.colored
    }

    /// Bold.
    pub fn bold(self, text: impl fmt::Display) -> String {
        self.sgr("1", text)
    }

    /// Less prominent.
    pub fn dim(self, text: impl fmt::Display) -> String {
        self.sgr("2", text)
    }

    /// Bad.
    pub fn red(self, text: impl fmt::Display) -> String {
        self.sgr("31", text)
    }

    /// Good.
    pub fn green(self, text: impl fmt::Display) -> String {
        self.sgr("32", text)
    }

    /// To be noticed.
    pub fn yellow(self, text: impl fmt::Display) -> String {
        self.sgr("33", text)
    }

    fn sgr(self, code: &str, text: impl fmt::Display) -> String {
        if self.colored { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}
