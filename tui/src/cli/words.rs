//! Splits a command into its program and arguments, as a shell would, without being one.

/// The words of `command`; quotes keep spaces, a backslash keeps the next character (not inside single quotes).
/// Variables, globs, pipes and the like are ordinary characters. `None` when a quote is not closed.
pub fn split_words(command: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut characters = command.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), close) if open == close => quote = None,
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().push(characters.next()?),
            (None, space) if space.is_whitespace() => words.extend(word.take()),
            (_, other) => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_split() {
        let cases: [(&str, Option<&[&str]>); 9] = [
            ("", Some(&[])),
            ("notify-send done", Some(&["notify-send", "done"])),
            ("  a   b  ", Some(&["a", "b"])),
            ("a 'b c' \"d e\"f", Some(&["a", "b c", "d ef"])),
            (r"a\ b 'c\d' \'", Some(&["a b", r"c\d", "'"])),
            ("a '' b", Some(&["a", "", "b"])),
            ("a; rm -rf $HOME | x", Some(&["a;", "rm", "-rf", "$HOME", "|", "x"])),
            ("a 'b", None),
            ("a \\", None),
        ];
        for (command, words) in cases {
            let words = words.map(|words| words.iter().map(ToString::to_string).collect());
            assert_eq!(split_words(command), words, "{command}");
        }
    }
}
