//! Frames as text and as pictures.

use ratatui::{
    layout::Rect,
    style::{Color, Modifier, Style},
};

use super::{
    shapes::{Shape, shape},
    *,
};

fn frame() -> Buffer {
    let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 3));
    buffer.set_string(0, 0, "╭──╮", Style::new().fg(Color::DarkGray));
    buffer.set_string(
        0,
        1,
        "映画 <a&b>",
        Style::new().fg(Color::Rgb(1, 2, 255)).add_modifier(Modifier::BOLD),
    );
    buffer.set_string(0, 2, "██▌ ⣤ x  y", Style::new().fg(Color::Indexed(210)));
    buffer.set_style(Rect::new(6, 2, 1, 1), Style::new().add_modifier(Modifier::REVERSED));
    buffer
}

#[test]
fn text_has_what_can_be_seen() {
    assert_eq!(text(&frame()), "╭──╮\n映画 <a&b>\n██▌ ⣤ x  y\n");
}

#[test]
fn a_picture_has_shapes_and_texts() {
    insta::assert_snapshot!(svg(&frame(), "A <frame>"));
}

#[test]
fn a_picture_is_as_wide_as_its_cells_and_well_formed() {
    let picture = svg(&frame(), "");
    assert!(picture.contains("textLength=\"80\">映画 &lt;a&amp;b&gt;</text>"), "{picture}");
    for tag in ["svg", "g", "text", "title"] {
        let opened =
            picture.matches(&format!("<{tag} ")).count() + picture.matches(&format!("<{tag}>")).count();
        assert_eq!(opened, picture.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn blocks_and_dots_become_bars() {
    let filled = |path: &str, share| Some(Shape::Filled(path.into(), share));
    for (character, expected) in [
        ('█', filled("M8 16h8v16h-8z", 100)),
        ('░', filled("M8 16h8v16h-8z", 25)),
        ('▏', filled("M8 16h1v16h-1z", 100)),
        ('▉', filled("M8 16h7v16h-7z", 100)),
        ('▄', filled("M8 24h8v8h-8z", 100)),
        ('⣀', filled("M8 28h3v4h-3zM12 28h3v4h-3z", 100)),
        ('⡅', filled("M8 16h3v4h-3zM8 24h3v8h-3z", 100)),
        ('─', Some(Shape::Stroked("M8 24h8".into()))),
        ('x', None),
        (' ', None),
    ] {
        assert_eq!(shape(character, 8, 16), expected, "{character}");
    }
}
