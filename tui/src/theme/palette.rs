//! The colours of the themes, in as many colours as a terminal has.

use std::{fmt, str::FromStr};

use ratatui::style::Color;

/// Which theme.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum ThemeName {
    /// The terminal's own sixteen colours.
    #[default]
    Default,
    /// Dark, and calm.
    Dusk,
    /// Light.
    Paper,
    /// White on black; every colour stands out at least as much as WCAG AA asks.
    Contrast,
    /// Blue and orange instead of green and red.
    Colorblind,
    /// No colours.
    Mono,
}

impl ThemeName {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Default, Self::Dusk, Self::Paper, Self::Contrast, Self::Colorblind, Self::Mono];

    /// As it is called on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Dusk => "dusk",
            Self::Paper => "paper",
            Self::Contrast => "contrast",
            Self::Colorblind => "colorblind",
            Self::Mono => "mono",
        }
    }

    /// The one after it, around.
    #[must_use]
    pub fn next(self) -> Self {
        let place = Self::ALL.iter().position(|name| *name == self).unwrap_or(0);
        Self::ALL[(place + 1) % Self::ALL.len()]
    }

    pub(super) const fn palette(self) -> &'static Palette {
        match self {
            Self::Default | Self::Mono => &DEFAULT,
            Self::Dusk => &DUSK,
            Self::Paper => &PAPER,
            Self::Contrast => &CONTRAST,
            Self::Colorblind => &COLORBLIND,
        }
    }
}

impl fmt::Display for ThemeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ThemeName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = Self::ALL.map(Self::name).join(", ");
        (Self::ALL.into_iter().find(|theme| theme.name() == text))
            .ok_or_else(|| format!("{text:?} is not a theme; there are {names}"))
    }
}

/// How many colours a terminal shows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ColorDepth {
    /// None, or none are wanted.
    None,
    /// The sixteen that its user chose.
    Sixteen,
    /// Those and a cube of 216, and 24 greys.
    Indexed,
    /// All.
    True,
}

impl ColorDepth {
    /// What a terminal says of itself in the environment. Whether colours are wanted (`NO_COLOR`) is for others to say.
    pub fn advertised(variable: impl Fn(&str) -> Option<String>) -> Self {
        let term = variable("TERM").unwrap_or_default();
        let colors = variable("COLORTERM").unwrap_or_default();
        if colors == "truecolor" || colors == "24bit" || term.ends_with("-direct") {
            Self::True
        } else if term.contains("256color") {
            Self::Indexed
        } else {
            Self::Sixteen
        }
    }
}

/// A colour: what it is where all are shown, and its nearest of sixteen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ink {
    /// `None` leaves it to the terminal everywhere.
    rgb: Option<[u8; 3]>,
    sixteen: Color,
}

impl Ink {
    const fn terminal(sixteen: Color) -> Self {
        Self { rgb: None, sixteen }
    }

    const fn new(rgb: [u8; 3], sixteen: Color) -> Self {
        Self { rgb: Some(rgb), sixteen }
    }

    pub(super) fn color(self, depth: ColorDepth) -> Color {
        match (depth, self.rgb) {
            (ColorDepth::None, _) => Color::Reset,
            (ColorDepth::True, Some([red, green, blue])) => Color::Rgb(red, green, blue),
            (ColorDepth::Indexed, Some(rgb)) => Color::Indexed(nearest_indexed(rgb)),
            _ => self.sixteen,
        }
    }

    #[cfg(test)]
    pub(super) fn rgb(self) -> Option<[u8; 3]> {
        self.rgb
    }
}

/// The nearest of xterm's 216 colours (16 to 231) and 24 greys (232 to 255).
fn nearest_indexed(rgb: [u8; 3]) -> u8 {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let distance = |other: [u8; 3]| -> u32 {
        rgb.iter().zip(other).map(|(one, other)| u32::from(one.abs_diff(other)).pow(2)).sum()
    };
    let step = |value: u8| {
        (0..6u8).min_by_key(|step| STEPS[usize::from(*step)].abs_diff(value)).expect("there are six steps")
    };
    let cube = rgb.map(step);
    let cube_distance = distance(cube.map(|step| STEPS[usize::from(step)]));
    let mean = rgb.iter().map(|value| u32::from(*value)).sum::<u32>() / 3;
    let grey = (mean.saturating_sub(3) / 10).min(23) as u8;
    let grey_distance = distance([8 + 10 * grey; 3]);
    if grey_distance < cube_distance { 232 + grey } else { 16 + 36 * cube[0] + 6 * cube[1] + cube[2] }
}

/// The colours of a theme, by their role.
#[derive(Debug)]
pub(super) struct Palette {
    pub(super) background: Ink,
    pub(super) text: Ink,
    pub(super) faint: Ink,
    pub(super) focus: Ink,
    pub(super) accent: Ink,
    pub(super) giving: Ink,
    pub(super) getting: Ink,
    pub(super) warning: Ink,
    pub(super) bad: Ink,
    pub(super) repaying: Ink,
    pub(super) seed: Ink,
    pub(super) have: Ink,
    /// One copy, few, many, almost everywhere.
    pub(super) copies: [Ink; 4],
    /// Behind the row under the cursor; `None` reverses it.
    pub(super) selection: Option<Ink>,
}

const DEFAULT: Palette = Palette {
    background: Ink::terminal(Color::Reset),
    text: Ink::terminal(Color::Reset),
    faint: Ink::terminal(Color::DarkGray),
    focus: Ink::terminal(Color::Cyan),
    accent: Ink::terminal(Color::Magenta),
    giving: Ink::terminal(Color::Green),
    getting: Ink::terminal(Color::Cyan),
    warning: Ink::terminal(Color::Yellow),
    bad: Ink::terminal(Color::Red),
    repaying: Ink::terminal(Color::Green),
    seed: Ink::terminal(Color::Blue),
    have: Ink::terminal(Color::Green),
    copies: [
        Ink::terminal(Color::Yellow),
        Ink::terminal(Color::Blue),
        Ink::terminal(Color::Cyan),
        Ink::terminal(Color::Green),
    ],
    selection: None,
};

const DUSK: Palette = Palette {
    background: Ink::new([0x1a, 0x1c, 0x25], Color::Black),
    text: Ink::new([0xd6, 0xd9, 0xe4], Color::Gray),
    faint: Ink::new([0x80, 0x86, 0x9c], Color::DarkGray),
    focus: Ink::new([0x7c, 0xc7, 0xe8], Color::Cyan),
    accent: Ink::new([0xd0, 0x9b, 0xf0], Color::Magenta),
    giving: Ink::new([0x9b, 0xd4, 0x85], Color::Green),
    getting: Ink::new([0x7c, 0xc7, 0xe8], Color::Cyan),
    warning: Ink::new([0xe8, 0xc5, 0x6b], Color::Yellow),
    bad: Ink::new([0xf0, 0x85, 0x85], Color::Red),
    repaying: Ink::new([0x9b, 0xd4, 0x85], Color::Green),
    seed: Ink::new([0x8a, 0xa8, 0xf8], Color::Blue),
    have: Ink::new([0x6f, 0xa8, 0x64], Color::Green),
    copies: [
        Ink::new([0xe8, 0xc5, 0x6b], Color::Yellow),
        Ink::new([0x8a, 0xa8, 0xf8], Color::Blue),
        Ink::new([0x7c, 0xc7, 0xe8], Color::Cyan),
        Ink::new([0x9b, 0xd4, 0x85], Color::Green),
    ],
    selection: Some(Ink::new([0x33, 0x39, 0x4f], Color::DarkGray)),
};

const PAPER: Palette = Palette {
    background: Ink::new([0xfa, 0xf8, 0xf2], Color::White),
    text: Ink::new([0x2b, 0x2b, 0x30], Color::Black),
    faint: Ink::new([0x6d, 0x6d, 0x74], Color::DarkGray),
    focus: Ink::new([0x0b, 0x63, 0x8f], Color::Blue),
    accent: Ink::new([0x8a, 0x2f, 0xa0], Color::Magenta),
    giving: Ink::new([0x2f, 0x70, 0x24], Color::Green),
    getting: Ink::new([0x0b, 0x63, 0x8f], Color::Blue),
    warning: Ink::new([0x8a, 0x5a, 0x00], Color::Yellow),
    bad: Ink::new([0xb0, 0x1e, 0x2a], Color::Red),
    repaying: Ink::new([0x2f, 0x70, 0x24], Color::Green),
    seed: Ink::new([0x2c, 0x4d, 0xb8], Color::Blue),
    have: Ink::new([0x4d, 0x8a, 0x43], Color::Green),
    copies: [
        Ink::new([0x8a, 0x5a, 0x00], Color::Yellow),
        Ink::new([0x2c, 0x4d, 0xb8], Color::Blue),
        Ink::new([0x0b, 0x63, 0x8f], Color::Cyan),
        Ink::new([0x2f, 0x70, 0x24], Color::Green),
    ],
    selection: Some(Ink::new([0xd9, 0xe6, 0xee], Color::Gray)),
};

const CONTRAST: Palette = Palette {
    background: Ink::new([0x00, 0x00, 0x00], Color::Black),
    text: Ink::new([0xff, 0xff, 0xff], Color::White),
    faint: Ink::new([0xb8, 0xb8, 0xb8], Color::Gray),
    focus: Ink::new([0x5c, 0xe1, 0xff], Color::LightCyan),
    accent: Ink::new([0xff, 0x9d, 0xff], Color::LightMagenta),
    giving: Ink::new([0x66, 0xff, 0x66], Color::LightGreen),
    getting: Ink::new([0x5c, 0xe1, 0xff], Color::LightCyan),
    warning: Ink::new([0xff, 0xe0, 0x33], Color::LightYellow),
    bad: Ink::new([0xff, 0x80, 0x80], Color::LightRed),
    repaying: Ink::new([0x66, 0xff, 0x66], Color::LightGreen),
    seed: Ink::new([0x9f, 0xbd, 0xff], Color::LightBlue),
    have: Ink::new([0x66, 0xff, 0x66], Color::LightGreen),
    copies: [
        Ink::new([0xff, 0xe0, 0x33], Color::LightYellow),
        Ink::new([0x9f, 0xbd, 0xff], Color::LightBlue),
        Ink::new([0x5c, 0xe1, 0xff], Color::LightCyan),
        Ink::new([0x66, 0xff, 0x66], Color::LightGreen),
    ],
    selection: None,
};

/// Blue gives and orange takes, which people with any common colour blindness tell apart.
const COLORBLIND: Palette = Palette {
    background: Ink::terminal(Color::Reset),
    text: Ink::terminal(Color::Reset),
    faint: Ink::terminal(Color::DarkGray),
    focus: Ink::new([0x56, 0xb4, 0xe9], Color::LightBlue),
    accent: Ink::new([0xcc, 0x79, 0xa7], Color::LightMagenta),
    giving: Ink::new([0x4a, 0x90, 0xd9], Color::Blue),
    getting: Ink::new([0x56, 0xb4, 0xe9], Color::LightBlue),
    warning: Ink::new([0xd9, 0xb6, 0x1c], Color::Yellow),
    bad: Ink::new([0xe0, 0x7a, 0x10], Color::LightRed),
    repaying: Ink::new([0x4a, 0x90, 0xd9], Color::Blue),
    seed: Ink::new([0x56, 0xb4, 0xe9], Color::LightBlue),
    have: Ink::new([0x4a, 0x90, 0xd9], Color::Blue),
    copies: [
        Ink::new([0xd9, 0xb6, 0x1c], Color::Yellow),
        Ink::new([0xcc, 0x79, 0xa7], Color::LightMagenta),
        Ink::new([0x56, 0xb4, 0xe9], Color::LightBlue),
        Ink::new([0x4a, 0x90, 0xd9], Color::Blue),
    ],
    selection: None,
};
