//! All keys, those of the screen first. It is made of the table of keys, so that it tells what is true.

use ratatui::{
    Frame,
    layout::{HorizontalAlignment, Rect},
    text::{Line, Span},
};

use super::dialogs::{cover, typed_line};
use crate::{
    keymap::{self, Binding, Context},
    model::{dashboard::Dashboard, field::Field, hits::Hits, list::ListCursor},
    view::{look::Look, text},
};

/// Cells of the column of keys.
const KEYS_WIDTH: usize = 18;

/// A line of the help.
enum Entry {
    Title(&'static str),
    Key(&'static Binding),
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
    let entries = entries(model.screen_context(), query.text());
    let height = (entries.len() as u16).saturating_add(5);
    let inner = cover(frame, (90, height), "Help: every key, and what it does", look, hits);
    let [above, list] = {
        let above = Rect { height: inner.height.min(2), ..inner };
        [above, Rect { y: inner.y + above.height, height: inner.height - above.height, ..inner }]
    };
    let (before, after) = query.parts();
    let mut spans = vec![Span::styled("search: ", look.theme.faint())];
    spans.extend(typed_line(before, after, usize::from(inner.width).saturating_sub(10), look).spans);
    frame.render_widget(Line::from(spans), Rect { height: above.height.min(1), ..above });
    let height = usize::from(list.height);
    // The cursor is the first line that is seen.
    let first = cursor.selected.min(entries.len().saturating_sub(height));
    for (y, entry) in (list.y..list.bottom()).zip(entries.iter().skip(first)) {
        let line = match entry {
            Entry::Title(title) => Line::styled(*title, look.theme.accent()),
            Entry::Key(binding) => key_line(binding, look),
        };
        let row = Rect { y, height: 1, ..list };
        text::put(frame.buffer_mut(), row, &line, HorizontalAlignment::Left, look.theme.symbols.ellipsis);
    }
    if entries.is_empty() {
        let line = Line::styled("no key does that", look.theme.warning());
        frame.render_widget(line, Rect { height: list.height.min(1), ..list });
    }
}

fn key_line(binding: &'static Binding, look: &Look<'_>) -> Line<'static> {
    let keys: Vec<String> = binding.keys.iter().map(ToString::to_string).collect();
    Line::from(vec![
        Span::styled(format!("  {:<KEYS_WIDTH$}", keys.join(" ")), look.theme.strong()),
        Span::raw(binding.words),
    ])
}

/// What the table says, the context first; each key once. Only what holds all words of `query`.
fn entries(here: Context, query: &str) -> Vec<Entry> {
    let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
    let is_found = |binding: &Binding, context: Context| {
        let keys: Vec<String> = binding.keys.iter().map(ToString::to_string).collect();
        let text = format!("{} {} {}", binding.words, keys.join(" "), context.title()).to_lowercase();
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
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_can_be_done_is_told_once() {
        for context in Context::ALL {
            let told: Vec<&Binding> = (entries(context, "").into_iter())
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
        let found = |query: &str| {
            entries(Context::Torrents, query).iter().filter(|entry| matches!(entry, Entry::Key(_))).count()
        };
        assert_eq!(found("turtle"), 1);
        assert!(found("tracker") >= 1 && found("piece") >= 2);
        assert_eq!(found("no such thing"), 0);
    }
}
