//! A line of text that a person edits.

use potluck_common::printable::is_unsafe;

/// Most characters of a line; a magnet link with many trackers fits.
const CHARS_MAX: usize = 4096;

/// A line of text and the place where the next character goes. It holds nothing that a terminal would obey.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Field {
    text: String,
    /// In bytes; always at the beginning of a character or at the end.
    cursor: usize,
}

impl Field {
    /// A line with text, to be continued at its end.
    pub fn new(text: &str) -> Self {
        let mut field = Self::default();
        field.insert(text);
        field
    }

    /// What stands in it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What stands before the cursor, and after it.
    pub fn parts(&self) -> (&str, &str) {
        self.text.split_at(self.cursor)
    }

    /// Inserts text. Line ends become spaces; what a terminal would obey is left out, and what is too much.
    pub fn insert(&mut self, text: &str) {
        let mut room = CHARS_MAX.saturating_sub(self.text.chars().count());
        for character in text.chars() {
            let character = if matches!(character, '\n' | '\r' | '\t') { ' ' } else { character };
            if room == 0 {
                break;
            }
            if !is_unsafe(character) {
                self.text.insert(self.cursor, character);
                self.cursor += character.len_utf8();
                room -= 1;
            }
        }
    }

    /// Replaces everything.
    pub fn set(&mut self, text: &str) {
        *self = Self::new(text);
    }

    /// Removes the character before the cursor.
    pub fn backspace(&mut self) {
        if let Some(character) = self.parts().0.chars().next_back() {
            self.cursor -= character.len_utf8();
            self.text.remove(self.cursor);
        }
    }

    /// Removes the character at the cursor.
    pub fn delete(&mut self) {
        if self.cursor < self.text.len() {
            self.text.remove(self.cursor);
        }
    }

    /// Removes the word, or the part of a path, before the cursor.
    pub fn delete_word(&mut self) {
        let before = self.parts().0;
        let rest = before.trim_end_matches([' ', '/']);
        let start = rest.rfind([' ', '/']).map_or(0, |at| at + 1);
        self.text.replace_range(start..self.cursor, "");
        self.cursor = start;
    }

    /// Removes everything before the cursor.
    pub fn delete_to_start(&mut self) {
        self.text.replace_range(..self.cursor, "");
        self.cursor = 0;
    }

    /// One character to the left.
    pub fn left(&mut self) {
        self.cursor -= self.parts().0.chars().next_back().map_or(0, char::len_utf8);
    }

    /// One character to the right.
    pub fn right(&mut self) {
        self.cursor += self.parts().1.chars().next().map_or(0, char::len_utf8);
    }

    /// To the beginning.
    pub fn home(&mut self) {
        self.cursor = 0;
    }

    /// To the end.
    pub fn end(&mut self) {
        self.cursor = self.text.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_edited_as_people_expect() {
        let mut field = Field::new("~/a b/grüße.torrent");
        field.delete_word();
        assert_eq!(field.text(), "~/a b/");
        field.delete_word();
        assert_eq!(field.text(), "~/a ");
        field.insert("ü\n\x1b[2Jx");
        assert_eq!(field.text(), "~/a ü [2Jx");
        field.left();
        field.backspace();
        field.delete();
        assert_eq!(field.text(), "~/a ü [2");
        field.home();
        field.left();
        field.delete();
        field.right();
        assert_eq!(field.parts(), ("/", "a ü [2"));
        field.delete_to_start();
        field.end();
        field.right();
        field.backspace();
        assert_eq!(field.text(), "a ü [");
        field.insert(&"x".repeat(10_000));
        assert_eq!(field.text().chars().count(), CHARS_MAX);
    }
}
