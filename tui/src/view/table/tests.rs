//! Where columns and rows come to stand.

use ratatui::{Terminal, backend::TestBackend};

use super::*;
use crate::{theme::Theme, view::capture};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Fruit {
    Name,
    Weight,
    Price,
    Origin,
}

impl Column for Fruit {
    type Row<'a> = (&'a str, u32);

    const SHOWN: &'static [Self] = &[Self::Name, Self::Weight, Self::Price, Self::Origin];

    fn spec(self) -> Spec {
        match self {
            Self::Name => Spec::text("Name", 6, 8, 20, 0),
            Self::Weight => Spec::number("Weight", 6, 6, 2),
            Self::Price => Spec::number("Price", 5, 7, 1),
            Self::Origin => Spec::text("Origin", 6, 10, 10, 3),
        }
    }

    fn cell(self, row: &(&str, u32), _look: &Look<'_>, width: u16) -> Line<'static> {
        match self {
            Self::Name => Line::raw(row.0.to_string()),
            Self::Price if width >= 7 => Line::raw(format!("{}.00", row.1)),
            Self::Weight | Self::Price => Line::raw(row.1.to_string()),
            Self::Origin => Line::raw("somewhere"),
        }
    }
}

const ROWS: [(&str, u32); 4] =
    [("apple", 1), ("林檎と蜜柑と桃", 22), ("a very long name of a fruit", 333), ("fig", 4)];

fn table<'a>(offset: usize, cursor: ListCursor) -> Table<'a, Fruit> {
    Table {
        len: ROWS.len(),
        row: &|index| ROWS.get(index).copied(),
        cursor: Some(cursor),
        scroll: cursor,
        is_focused: true,
        sort: Some(Sort::by(Fruit::Weight, true)),
        is_marked: Some(&|index| index == 3),
        offset,
        without: &[],
        has_titles: true,
        empty: "nothing",
    }
}

fn drawn(table: &Table<'_, Fruit>, width: u16, height: u16) -> (Vec<String>, Placed<Fruit>) {
    let theme = Theme::new(true, false);
    let look = Look { theme: &theme, bits: false, now: 0.0 };
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test backend cannot fail");
    let mut placed = None;
    terminal
        .draw(|frame| placed = Some(table.draw(frame, frame.area(), &look)))
        .expect("a test backend cannot fail");
    let lines = capture::text(terminal.backend().buffer()).lines().map(str::to_string).collect();
    (lines, placed.expect("it was drawn"))
}

#[test]
fn columns_come_by_their_importance() {
    for (offset, width, titles) in [
        (0, 44, "  Name               Weigh▼   Price Origin    "),
        (0, 30, "  Name     Weigh▼   Price Origin"),
        (0, 22, "  Name   Price      ›"),
        (1, 22, "‹Name   Price Origin"),
        (1, 16, "‹Name   Price   ›"),
        (0, 12, "  Name      ›"),
    ] {
        let (lines, _) = drawn(&table(offset, ListCursor::default()), width, 3);
        let squeezed = |line: &str| line.split_whitespace().map(str::to_string).collect::<Vec<_>>();
        assert_eq!(squeezed(&lines[0]), squeezed(titles), "{offset} in {width}:\n{}", lines.join("\n"));
    }
    assert_eq!(offset_most::<Fruit>(80, &[]), 0);
    assert_eq!(offset_most::<Fruit>(22, &[]), 1);
}

#[test]
fn rows_are_cut_and_never_break_the_columns() {
    let (lines, placed) = drawn(&table(0, ListCursor::at(1)), 36, 5);
    assert_eq!(
        lines,
        [
            "  Name     Weigh▼   Price Origin",
            "  apple         1    1.00 somewhere",
            "> 林檎と…      22   22.00 somewhere",
            "  a very …    333  333.00 somewhere",
            " *fig           4    4.00 somewhere",
        ]
    );
    assert_eq!((placed.first, placed.rows), (0, Rect::new(0, 1, 36, 4)));
    assert_eq!(placed.columns[1].1, Fruit::Weight);
}

#[test]
fn only_visible_rows_are_made() {
    let made = std::cell::RefCell::new(Vec::new());
    let row = |index: usize| {
        made.borrow_mut().push(index);
        Some(("x", index as u32))
    };
    let many = Table { len: 1_000_000, row: &row, is_marked: None, ..table(0, ListCursor::at(500_000)) };
    let (_, placed) = drawn(&many, 40, 6);
    assert_eq!(*made.borrow(), (499_996..=500_000).collect::<Vec<_>>());
    assert_eq!(placed.first, 499_996);
}

#[test]
fn an_empty_table_says_so() {
    let row = |_: usize| None;
    let nothing = Table { len: 0, row: &row, ..table(0, ListCursor::default()) };
    let (lines, _) = drawn(&nothing, 20, 3);
    assert_eq!(lines[0].trim(), "nothing");
    for (width, height) in [(1, 1), (3, 5), (4, 1), (5, 2)] {
        drawn(&table(0, ListCursor::default()), width, height);
    }
}
