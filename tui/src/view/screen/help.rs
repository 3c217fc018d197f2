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
    keymap::{Binding, Bound, Context, Keymap},
    model::{dashboard::Dashboard, field::Field, hits::Hits, list::ListCursor},
    view::{look::Look, text},
};

/// Most columns that it takes.
const WIDTH_MAX: u16 = 100;

/// Cells of the column of keys.
const KEYS_WIDTH: usize = 21;

/// An entry of the help.
enum Entry<'a> {
    Title(&'static str),
    Key(Bound<'a>),
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
    let entries = entries(&model.keymap, model.screen_context(), query.text(), look);
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

/// The lines of all entries: neither keys nor words are ever cut.
fn lines(entries: &[Entry<'_>], width: usize, look: &Look<'_>) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for entry in entries {
        let (left, words) = match entry {
            Entry::Title(title) => {
                lines.push(Line::styled(*title, look.theme.accent()));
                continue;
            }
            Entry::Key(bound) => (bound.to_string(), bound.binding.words),
            Entry::Sign(sign) => (sign.sign.clone(), sign.words),
        };
        let mut lefts = wrapped(&left, KEYS_WIDTH).into_iter();
        let mut words = wrapped(words, width.saturating_sub(KEYS_WIDTH + 4).max(12)).into_iter();
        loop {
            let (left, words) = (lefts.next(), words.next());
            if left.is_none() && words.is_none() {
                break;
            }
            let left = left.unwrap_or_default();
            let padding = KEYS_WIDTH.saturating_sub(Span::raw(left.as_str()).width());
            let left = Span::styled(format!("  {left}{}  ", " ".repeat(padding)), look.theme.strong());
            lines.push(Line::from(vec![left, Span::raw(words.unwrap_or_default())]));
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
fn entries<'a>(keymap: &'a Keymap, here: Context, query: &str, look: &Look<'_>) -> Vec<Entry<'a>> {
    let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
    let is_found = |bound: &Bound<'_>, context: Context| {
        let text = format!("{} {bound} {}", bound.binding.words, context.title()).to_lowercase();
        words.iter().all(|word| text.contains(word))
    };
    let others = Context::ALL.into_iter().filter(|context| *context != here);
    let mut told: Vec<*const Binding> = Vec::new();
    let mut entries = Vec::new();
    for context in std::iter::once(here).chain(others) {
        let found: Vec<Bound<'_>> = (keymap.bindings(context))
            .filter(|bound| is_found(bound, context) && !told.contains(&std::ptr::from_ref(bound.binding)))
            .collect();
        if !found.is_empty() {
            entries.push(Entry::Title(context.title()));
        }
        told.extend(found.iter().map(|bound| std::ptr::from_ref(bound.binding)));
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
    use crate::{
        keymap::{BINDINGS, Key},
        theme::Theme,
    };

    #[test]
    fn everything_that_can_be_done_is_told_once() {
        let keymap = Keymap::default();
        let theme = Theme::new(true, false);
        let look = Look { theme: &theme, bits: false, now: 0.0 };
        for context in Context::ALL {
            let told: Vec<&Binding> = (entries(&keymap, context, "", &look).into_iter())
                .filter_map(|entry| if let Entry::Key(bound) = entry { Some(bound.binding) } else { None })
                .collect();
            assert_eq!(told.len(), BINDINGS.len(), "{context:?}");
            for binding in BINDINGS {
                assert!(told.iter().any(|other| std::ptr::eq(*other, binding)), "{binding:?}");
            }
            let own = keymap.bindings(context).count();
            assert!(told[..own].iter().all(|binding| binding.contexts.contains(&context)), "{context:?}");
        }
    }

    #[test]
    fn the_help_is_searched() {
        let keymap = Keymap::default();
        let theme = Theme::new(true, false);
        let look = Look { theme: &theme, bits: false, now: 0.0 };
        let found = |query: &str| {
            entries(&keymap, Context::Torrents, query, &look)
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
        let mut keymap = Keymap::default();
        let many: Vec<Key> = ('A'..='H').map(Key::control).collect();
        assert!(keymap.choose("pause", &many) && keymap.choose("zen", &[]));
        let theme = Theme::new(true, false);
        let look = Look { theme: &theme, bits: false, now: 0.0 };
        for width in [52, 60, 72, 96] {
            for context in Context::ALL {
                let lines = lines(&entries(&keymap, context, "", &look), width, &look);
                let wide = lines.iter().find(|line| line.width() > width);
                assert!(wide.is_none(), "{wide:?} in {width}");
                let text: Vec<String> = lines.iter().map(ToString::to_string).collect();
                assert!(many.iter().all(|key| text.join(" ").contains(&key.to_string())), "{width}");
            }
        }
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
    }

    #[test]
    fn signs_of_peers_are_explained() {
        let theme = Theme::new(true, false);
        let look = Look { theme: &theme, bits: false, now: 0.0 };
        let told: Vec<String> = (entries(&Keymap::default(), Context::Ledger, "", &look).into_iter())
            .filter_map(|entry| if let Entry::Sign(sign) = entry { Some(sign.sign) } else { None })
            .collect();
        for sign in ["O I", "D d", "U u", "K", "?", "S", "try", "turn", "-"] {
            assert_eq!(told.iter().filter(|other| *other == sign).count(), 1, "{sign}");
        }
    }
}
