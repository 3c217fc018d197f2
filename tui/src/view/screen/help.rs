//! All keys, those of the screen first. It is made of the table of keys, so that it tells what is true.

use ratatui::{
    Frame,
    layout::{HorizontalAlignment, Rect},
    text::{Line, Span},
};

use super::{
    dialogs::{cover, typed_line},
    signs::{Sign, signs, signs_title},
};
use crate::{
    keymap::{self, Binding, Context},
    model::{dashboard::Dashboard, field::Field, hits::Hits, list::ListCursor},
    view::{look::Look, text},
};

/// Most columns that it takes.
const WIDTH_MAX: u16 = 100;

/// An entry of the help.
enum Entry {
    Title(&'static str),
    Key(&'static Binding),
    /// A sign on the screen, and what it means.
    Sign(Sign),
}

/// Draws the help over the screen.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    model: &Dashboard,
    query: &Field,
    cursor: ListCursor,
    look: &Look<'_>,
    hits: &mut Hits,
) {
    let entries = entries(model.screen_context(), query.text(), look);
    let width = WIDTH_MAX.min(frame.area().width.saturating_sub(4));
    let lines = lines(&entries, usize::from(width.saturating_sub(4)), look);
    let height = (lines.len() as u16).saturating_add(5);
    let inner = cover(frame, (width, height), "Help: every key, and what it does", look, hits);
    let [above, list] = {
        let above = Rect { height: inner.height.min(2), ..inner };
        [above, Rect { y: inner.y + above.height, height: inner.height - above.height, ..inner }]
    };
    let (before, after) = query.parts();
    let mut spans = vec![Span::styled("search: ", look.theme.faint())];
    spans.extend(typed_line(before, after, usize::from(inner.width).saturating_sub(10), look).spans);
    frame.render_widget(Line::from(spans), Rect { height: above.height.min(1), ..above });
    // The cursor is the first line that is seen.
    let most = lines.len().saturating_sub(usize::from(list.height));
    hits.add_help(most);
    for (y, line) in (list.y..list.bottom()).zip(lines.iter().skip(cursor.selected.min(most))) {
        let row = Rect { y, height: 1, ..list };
        text::put(frame.buffer_mut(), row, line, HorizontalAlignment::Left, look.theme.symbols.ellipsis);
    }
    if entries.is_empty() {
        let line = Line::styled("no key does that", look.theme.warning());
        frame.render_widget(line, Rect { height: list.height.min(1), ..list });
    }
}

fn keys(binding: &Binding) -> String {
    binding.keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// The lines of all entries. The column of keys is as wide as the longest of the table, and words are never cut.
fn lines(entries: &[Entry], width: usize, look: &Look<'_>) -> Vec<Line<'static>> {
    let keys_width = keymap::BINDINGS.iter().map(|binding| keys(binding).len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for entry in entries {
        let (left, words) = match entry {
            Entry::Title(title) => {
                lines.push(Line::styled(*title, look.theme.accent()));
                continue;
            }
            Entry::Key(binding) => (keys(binding), binding.words),
            Entry::Sign(sign) => (sign.sign.clone(), sign.words),
        };
        let padding = keys_width.saturating_sub(Span::raw(left.as_str()).width());
        let mut left = format!("  {left}{}  ", " ".repeat(padding));
        for words in wrapped(words, width.saturating_sub(keys_width + 4).max(12)) {
            lines.push(Line::from(vec![Span::styled(left, look.theme.strong()), Span::raw(words)]));
            left = " ".repeat(keys_width + 4);
        }
    }
    lines
}

/// Words in lines of at most `width` characters; a single longer word has a line of its own.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// What the table says, the context first; each key once. Only what holds all words of `query`.
fn entries(here: Context, query: &str, look: &Look<'_>) -> Vec<Entry> {
    let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
    let is_found = |binding: &Binding, context: Context| {
        let text = format!("{} {} {}", binding.words, keys(binding), context.title()).to_lowercase();
        words.iter().all(|word| text.contains(word))
    };
    let others = Context::ALL.into_iter().filter(|context| *context != here);
    let mut told: Vec<*const Binding> = Vec::new();
    let mut entries = Vec::new();
    for context in std::iter::once(here).chain(others) {
        let found: Vec<&Binding> = keymap::bindings(context)
            .filter(|binding| is_found(binding, context) && !told.contains(&std::ptr::from_ref(*binding)))
            .collect();
        if !found.is_empty() {
            entries.push(Entry::Title(context.title()));
        }
        told.extend(found.iter().map(|binding| std::ptr::from_ref(*binding)));
        entries.extend(found.into_iter().map(Entry::Key));
        let is_meant = |sign: &Sign| {
            let text = format!("signs {} {} {}", sign.sign, sign.words, context.title()).to_lowercase();
            words.iter().all(|word| text.contains(word))
        };
        let signs: Vec<Sign> = signs(context, look.theme).into_iter().filter(is_meant).collect();
        if let Some(title) = signs_title(context).filter(|_| !signs.is_empty()) {
            entries.push(Entry::Title(title));
        }
        entries.extend(signs.into_iter().map(Entry::Sign));
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theme::Theme;

    #[test]
    fn everything_that_can_be_done_is_told_once() {
        let theme = Theme::new(true, false);
        let look = Look { theme: &theme, bits: false, now: 0.0 };
        for context in Context::ALL {
            let told: Vec<&Binding> = (entries(context, "", &look).into_iter())
                .filter_map(|entry| if let Entry::Key(binding) = entry { Some(binding) } else { None })
                .collect();
            assert_eq!(told.len(), keymap::BINDINGS.len(), "{context:?}");
            for binding in keymap::BINDINGS {
                assert!(told.iter().any(|other| std::ptr::eq(*other, binding)), "{binding:?}");
            }
            let own = keymap::bindings(context).count();
            assert!(told[..own].iter().all(|binding| binding.contexts.contains(&context)), "{context:?}");
        }
    }

    #[test]
    fn the_help_is_searched() {
        let theme = Theme::new(true, false);
        let look = Look { theme: &theme, bits: false, now: 0.0 };
        let found = |query: &str| {
            entries(Context::Torrents, query, &look)
                .iter()
                .filter(|entry| matches!(entry, Entry::Key(_)))
                .count()
        };
        assert_eq!(found("turtle"), 1);
        assert!(found("tracker") >= 1 && found("piece") >= 2);
        assert_eq!(found("no such thing"), 0);
    }

    #[test]
    fn nothing_of_it_is_cut() {
        let theme = Theme::new(true, false);
        let look = Look { theme: &theme, bits: false, now: 0.0 };
        for width in [52, 60, 72, 96] {
            for context in Context::ALL {
                let lines = lines(&entries(context, "", &look), width, &look);
                let wide = lines.iter().find(|line| line.width() > width);
                assert!(wide.is_none(), "{wide:?} in {width}");
            }
        }
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
    }

    #[test]
    fn signs_of_peers_are_explained() {
        let theme = Theme::new(true, false);
        let look = Look { theme: &theme, bits: false, now: 0.0 };
        let told: Vec<String> = (entries(Context::Ledger, "", &look).into_iter())
            .filter_map(|entry| if let Entry::Sign(sign) = entry { Some(sign.sign) } else { None })
            .collect();
        for sign in ["O I", "D d", "U u", "K", "?", "S", "try", "turn", "-"] {
            assert_eq!(told.iter().filter(|other| *other == sign).count(), 1, "{sign}");
        }
    }
}
