//! Where a person is in a list.

use std::ops::Range;

/// The entry that keys act on, and the first that is visible. What stands in the list may change under it: whoever
/// changes the list keeps the cursor on the same entry, by its identity.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ListCursor {
    /// The entry that keys act on.
    pub selected: usize,
    /// The first visible entry, as far as `selected` is visible then.
    pub top: usize,
}

impl ListCursor {
    /// A cursor on the entry `selected`.
    pub fn at(selected: usize) -> Self {
        Self { selected, top: 0 }
    }

    /// Which of `len` entries are visible in `height` lines; the selected one always is.
    pub fn window(&self, len: usize, height: usize) -> Range<usize> {
        let top = self.clamped(len, height).top;
        top..len.min(top + height)
    }

    /// The same, moved as little as it takes to be within `len` entries, with the selected one within `height` lines and
    /// no empty line while there are entries to fill it.
    #[must_use]
    pub fn clamped(&self, len: usize, height: usize) -> Self {
        let selected = self.selected.min(len.saturating_sub(1));
        let lowest = (selected + 1).saturating_sub(height);
        let top = self.top.clamp(lowest, selected.max(lowest)).min(len.saturating_sub(height));
        Self { selected, top }
    }

    /// Goes `steps` entries down, or up if negative.
    pub fn step(&mut self, steps: isize, len: usize) {
        self.selected = self.selected.saturating_add_signed(steps).min(len.saturating_sub(1));
    }

    /// Moves what is visible by `lines` and takes the selected entry along only as far as it must.
    pub fn scroll(&mut self, lines: isize, len: usize, height: usize) {
        self.top = self.top.saturating_add_signed(lines).min(len.saturating_sub(height));
        let last = (self.top + height.max(1) - 1).min(len.saturating_sub(1));
        self.selected = self.selected.clamp(self.top.min(last), last);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_window_moves_as_little_as_it_must() {
        // selected, top, entries, lines: what is visible
        let cases = [
            (0, 0, 0, 5, 0..0),
            (0, 0, 3, 5, 0..3),
            (4, 0, 10, 5, 0..5),
            (5, 0, 10, 5, 1..6),
            (9, 0, 10, 5, 5..10),
            (2, 4, 10, 5, 2..7),
            (9, 9, 10, 5, 5..10),
            (99, 50, 10, 5, 5..10),
            (3, 0, 10, 0, 4..4),
        ];
        for (selected, top, len, height, visible) in cases {
            let cursor = ListCursor { selected, top };
            assert_eq!(cursor.window(len, height), visible, "{cursor:?} of {len} in {height}");
        }
    }

    proptest! {
        #[test]
        fn the_selected_entry_is_visible(
            selected in 0_usize..50, top in 0_usize..50, len in 1_usize..40, height in 1_usize..20,
            steps in proptest::collection::vec((any::<bool>(), -30_isize..30), 0..20)
        ) {
            let mut cursor = ListCursor { selected, top };
            for (scrolls, steps) in steps {
                cursor = cursor.clamped(len, height);
                if scrolls { cursor.scroll(steps, len, height) } else { cursor.step(steps, len) }
                let visible = cursor.window(len, height);
                prop_assert!(cursor.selected < len && visible.contains(&cursor.selected));
                prop_assert_eq!(visible.len(), height.min(len));
            }
        }
    }
}
