//! Keys, as people name them.

use std::{fmt, str::FromStr};

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use potluck_common::Printable;
use ratatui::text::Span;

/// Keys with names, as they are written and as others call them.
const NAMED: [(&str, KeyCode); 22] = [
    ("space", KeyCode::Char(' ')),
    ("enter", KeyCode::Enter),
    ("return", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("escape", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("backspace", KeyCode::Backspace),
    ("del", KeyCode::Delete),
    ("delete", KeyCode::Delete),
    ("insert", KeyCode::Insert),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pgup", KeyCode::PageUp),
    ("pageup", KeyCode::PageUp),
    ("page-up", KeyCode::PageUp),
    ("pgdn", KeyCode::PageDown),
    ("pagedown", KeyCode::PageDown),
    ("page-down", KeyCode::PageDown),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
];

/// A key, with Control or without. Shift is in the character.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    /// Which one.
    pub code: KeyCode,
    /// Control is held.
    pub control: bool,
}

impl Key {
    /// A key by itself.
    pub const fn plain(code: KeyCode) -> Self {
        Self { code, control: false }
    }

    /// A character.
    pub const fn char(character: char) -> Self {
        Self::plain(KeyCode::Char(character))
    }

    /// A character with Control.
    pub const fn control(character: char) -> Self {
        Self { code: KeyCode::Char(character), control: true }
    }

    /// What a terminal tells of a key; `None` when it is released, or held with something that means nothing to us.
    pub fn of(event: KeyEvent) -> Option<Self> {
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        let is_strange = event
            .modifiers
            .intersects(KeyModifiers::ALT | KeyModifiers::SUPER | KeyModifiers::HYPER | KeyModifiers::META);
        if event.kind == KeyEventKind::Release || is_strange {
            return None;
        }
        let code = match event.code {
            KeyCode::Char(character) if control => KeyCode::Char(character.to_ascii_lowercase()),
            KeyCode::Tab if event.modifiers.contains(KeyModifiers::SHIFT) => KeyCode::BackTab,
            code => code,
        };
        Some(Self { code, control })
    }

    /// It is typed where something is typed.
    pub const fn is_character(self) -> bool {
        matches!(self, Self { code: KeyCode::Char(_), control: false })
    }
}

impl FromStr for Key {
    type Err = String;

    /// Reads what [`Key`] displays, in any case but for single letters; or says why that is no key that a terminal tells.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.to_lowercase();
        if lower == "shift-tab" {
            return Ok(Self::plain(KeyCode::BackTab));
        }
        for (held, why) in [
            ("alt-", "Alt means nothing here"),
            ("shift-", "a terminal tells Shift only with Tab; write a letter as a capital"),
        ] {
            if lower.len() > held.len() && lower.starts_with(held) {
                return Err(why.to_owned());
            }
        }
        let plain = lower.strip_prefix("ctrl-").filter(|rest| !rest.is_empty());
        if let Some(name) = plain {
            return with_control(name).map(|code| Self { code, control: true });
        }
        match single(text) {
            Some(character) if is_shown(character) => Ok(Self::char(character)),
            Some(_) => Err("this character is not one that can be shown".to_owned()),
            None => named(&lower)
                .map(Self::plain)
                .ok_or_else(|| "write a character, space, enter, F5, ctrl-l or shift-tab".to_owned()),
        }
    }
}

fn single(text: &str) -> Option<char> {
    let mut characters = text.chars();
    characters.next().filter(|_| characters.next().is_none())
}

/// Whether a character can be named on the screen: it has one cell, and is no sign of control.
fn is_shown(character: char) -> bool {
    let text = character.to_string();
    Printable::new(&text).as_str() == text && Span::raw(text).width() == 1
}

fn named(lower: &str) -> Option<KeyCode> {
    let number = || lower.strip_prefix('f')?.parse().ok().filter(|number| (1..=12).contains(number));
    let code = NAMED.iter().find(|(name, _)| *name == lower).map(|(_, code)| *code);
    code.or_else(|| number().map(KeyCode::F))
}

/// What a terminal can tell of a key that is held with Control; `name` is in lower case.
fn with_control(name: &str) -> Result<KeyCode, String> {
    match (single(name), named(name)) {
        (Some('i'), _) => Err("a terminal takes it for Tab".to_owned()),
        (Some('m'), _) => Err("a terminal takes it for Enter".to_owned()),
        (Some(letter @ 'a'..='z'), _) => Ok(KeyCode::Char(letter)),
        (None, Some(code)) if !matches!(code, KeyCode::Char(_)) => match code {
            KeyCode::Enter | KeyCode::Esc | KeyCode::Tab | KeyCode::Backspace => {
                Err("a terminal tells nothing of Ctrl with it".to_owned())
            }
            code => Ok(code),
        },
        _ => Err("Ctrl goes with letters, arrows and keys such as ctrl-home".to_owned()),
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.control {
            f.write_str("Ctrl-")?;
        }
        match self.code {
            KeyCode::Char(' ') => f.write_str("Space"),
            KeyCode::Char(character) if self.control => write!(f, "{}", character.to_ascii_uppercase()),
            KeyCode::Char(character) => write!(f, "{character}"),
            KeyCode::F(number) => write!(f, "F{number}"),
            KeyCode::Up => f.write_str("Up"),
            KeyCode::Down => f.write_str("Down"),
            KeyCode::Left => f.write_str("Left"),
            KeyCode::Right => f.write_str("Right"),
            KeyCode::PageUp => f.write_str("PgUp"),
            KeyCode::PageDown => f.write_str("PgDn"),
            KeyCode::Backspace => f.write_str("Backspace"),
            KeyCode::BackTab => f.write_str("Shift-Tab"),
            KeyCode::Delete => f.write_str("Del"),
            other => write!(f, "{other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_shown() {
        let mut codes: Vec<KeyCode> =
            NAMED.iter().map(|(_, code)| *code).chain((1..=12).map(KeyCode::F)).collect();
        codes.extend([
            KeyCode::BackTab,
            KeyCode::Char('g'),
            KeyCode::Char('G'),
            KeyCode::Char('ü'),
            KeyCode::Char('-'),
        ]);
        for code in codes {
            let key = Key::plain(code);
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        for key in [Key::control('l'), Key { code: KeyCode::Home, control: true }] {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        for (text, key) in [
            ("CTRL-L", Key::control('l')),
            ("f5", Key::plain(KeyCode::F(5))),
            ("Escape", Key::plain(KeyCode::Esc)),
            ("Page-Up", Key::plain(KeyCode::PageUp)),
        ] {
            assert_eq!(text.parse(), Ok(key), "{text}");
        }
    }

    #[test]
    fn what_no_terminal_tells_is_no_key() {
        for (text, why) in [
            ("", "write a character"),
            ("gg", "write a character"),
            ("f13", "write a character"),
            ("f0", "write a character"),
            ("alt-x", "Alt means nothing"),
            ("shift-g", "as a capital"),
            ("ctrl-i", "for Tab"),
            ("ctrl-M", "for Enter"),
            ("ctrl-esc", "nothing of Ctrl"),
            ("ctrl-space", "goes with letters"),
            ("ctrl-1", "goes with letters"),
            ("\u{7}", "not one that can be shown"),
            ("\u{202e}", "not one that can be shown"),
            ("漢", "not one that can be shown"),
        ] {
            let error = text.parse::<Key>().expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
