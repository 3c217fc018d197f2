//! Text from outside, made safe for a terminal and a log.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

/// Text of foreign origin (torrent and file names, client names, tracker messages) that can be shown as it is: no
/// control character, escape sequence, newline or bidirectional override is left in it, and its length is bounded.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct Printable(String);

/// Most characters that a [`Printable`] keeps; longer text ends in an ellipsis.
pub const PRINTABLE_CHARS_MAX: usize = 512;

impl Printable {
    /// Makes `text` safe; unsafe characters become visible escapes such as `\u{1b}`.
    pub fn new(text: &str) -> Self {
        Self::bounded(text, PRINTABLE_CHARS_MAX)
    }

    /// Makes raw bytes safe; what is not UTF-8 becomes U+FFFD.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        // A character is at most four bytes, so the cut cannot lose a character that would be kept.
        Self::new(&String::from_utf8_lossy(&bytes[..bytes.len().min(4 * PRINTABLE_CHARS_MAX + 4)]))
    }

    /// Like [`Printable::new`] with another bound on the characters kept.
    pub fn bounded(text: &str, chars_max: usize) -> Self {
        let mut safe = String::with_capacity(text.len().min(4 * chars_max));
        for (count, character) in text.chars().enumerate() {
            if count == chars_max {
                safe.push('…');
                break;
            }
            if is_unsafe(character) {
                safe.extend(character.escape_unicode());
            } else {
                safe.push(character);
            }
        }
        Self(safe)
    }

    /// The safe text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a character could move the cursor, change the terminal's state or reorder what stands around it.
pub fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// What comes over a socket is from outside, whatever it says.
impl<'de> Deserialize<'de> for Printable {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(&String::deserialize(deserializer)?))
    }
}

impl fmt::Display for Printable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Printable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl From<&str> for Printable {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<Cow<'_, str>> for Printable {
    fn from(text: Cow<'_, str>) -> Self {
        Self::new(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_unsafe_survives() {
        let cases = [
            ("plain näme 日本", "plain näme 日本"),
            ("a\x1b[31mb", "a\\u{1b}[31mb"),
            ("two\r\nlines", "two\\u{d}\\u{a}lines"),
            ("rtl\u{202e}gpj.exe", "rtl\\u{202e}gpj.exe"),
            ("\u{9b}2J", "\\u{9b}2J"),
        ];
        for (raw, shown) in cases {
            assert_eq!(Printable::new(raw).as_str(), shown);
        }
        assert_eq!(Printable::from_bytes(b"\xff\xfeok").as_str(), "\u{fffd}\u{fffd}ok");
        assert_eq!(Printable::bounded("abcdef", 3).as_str(), "abc…");
    }
}
