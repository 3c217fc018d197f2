//! What the themes promise.

use ratatui::style::Color;

use super::*;

/// How much two colours stand out from each other, from 1 to 21 (WCAG 2, relative luminance).
fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
    let luminance = |rgb: [u8; 3]| {
        let [red, green, blue] = rgb.map(|value| {
            let value = f64::from(value) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    };
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn everything_can_be_read_on_its_background() {
    for (name, least) in [(ThemeName::Contrast, 7.0), (ThemeName::Dusk, 4.5), (ThemeName::Paper, 4.5)] {
        let palette = name.palette();
        let background = palette.background.rgb().expect("these have a background");
        let inks = [
            palette.text,
            palette.faint,
            palette.focus,
            palette.accent,
            palette.giving,
            palette.getting,
            palette.warning,
            palette.bad,
            palette.repaying,
            palette.seed,
        ];
        for ink in inks.iter().chain(&palette.copies) {
            let found = contrast(ink.rgb().expect("these have colours"), background);
            assert!(found >= least, "{name}: {ink:?} has {found:.1}");
        }
    }
}

#[test]
fn colours_are_as_many_as_the_terminal_has() {
    for (depth, color) in [
        (ColorDepth::True, Color::Rgb(0xf0, 0x85, 0x85)),
        (ColorDepth::Indexed, Color::Indexed(210)),
        (ColorDepth::Sixteen, Color::Red),
    ] {
        assert_eq!(Theme::named(ThemeName::Dusk, depth, false).bad().fg, Some(color));
    }
    assert_eq!(Theme::named(ThemeName::Dusk, ColorDepth::None, false).bad().fg, None);
    assert_eq!(Theme::named(ThemeName::Mono, ColorDepth::True, false).bad().fg, None);
    assert_eq!(Theme::named(ThemeName::Default, ColorDepth::True, false).bad().fg, Some(Color::Red));
}

#[test]
fn the_environment_says_how_many_colours_there_are() {
    for (term, colors, depth) in [
        ("xterm", "", ColorDepth::Sixteen),
        ("tmux-256color", "", ColorDepth::Indexed),
        ("xterm-256color", "truecolor", ColorDepth::True),
        ("xterm", "24bit", ColorDepth::True),
        ("xterm-direct", "", ColorDepth::True),
        ("", "", ColorDepth::Sixteen),
    ] {
        let found = ColorDepth::advertised(|name| match name {
            "TERM" => Some(term.into()),
            _ => (!colors.is_empty()).then(|| colors.into()),
        });
        assert_eq!(found, depth, "{term} {colors}");
    }
}

#[test]
fn themes_are_found_by_their_names() {
    for theme in ThemeName::ALL {
        assert_eq!(theme.name().parse(), Ok(theme));
    }
    assert!("neon".parse::<ThemeName>().unwrap_err().contains("colorblind"));
    assert_eq!(ThemeName::Mono.next(), ThemeName::Default);
}

#[test]
fn ascii_is_ascii() {
    assert!(format!("{ASCII:?}").is_ascii());
}
