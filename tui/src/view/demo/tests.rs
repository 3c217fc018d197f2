//! Golden frames at every size that the layout distinguishes, and sizes at random.

use potluck_common::Rng;
use ratatui::{Terminal, backend::TestBackend};

use super::*;
use crate::model::fixture;

fn frame(demo: &Demo, theme: &Theme, width: u16, height: u16) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test backend cannot fail");
    terminal.draw(|frame| draw(frame, demo, theme)).expect("a test backend cannot fail");
    terminal.backend().clone()
}

#[test]
fn golden_frames() {
    let theme = Theme::new(true, false);
    for (width, height) in [(20, 5), (60, 16), (80, 24), (100, 30), (100, 38), (140, 40), (200, 60)] {
        let name = format!("midway_{width}x{height}");
        insta::assert_snapshot!(name, frame(&fixture::midway(), &theme, width, height));
    }
    insta::assert_snapshot!("starting_80x24", frame(&fixture::fresh(), &theme, 80, 24));
    insta::assert_snapshot!("over_80x24", frame(&fixture::over(), &theme, 80, 24));
}

#[test]
fn ascii_frames_are_ascii() {
    let theme = Theme::new(false, true);
    for (width, height) in [(60, 16), (80, 24), (200, 60)] {
        let text = frame(&fixture::midway(), &theme, width, height).to_string();
        let strange: Vec<char> = text.chars().filter(|c| !c.is_ascii()).collect();
        assert!(strange.is_empty(), "{strange:?} at {width}x{height}:\n{text}");
    }
    insta::assert_snapshot!("ascii_80x24", frame(&fixture::midway(), &theme, 80, 24));
}

#[test]
fn no_size_and_no_state_panics() {
    let theme = Theme::new(true, false);
    let mut rng = Rng::new(3);
    for demo in [fixture::fresh(), fixture::midway(), fixture::over()] {
        for _ in 0..60 {
            frame(&demo, &theme, 1 + rng.below(220) as u16, 1 + rng.below(70) as u16);
        }
        for (width, height) in
            [(1, 1), (60, 16), (59, 16), (99, 38), (100, 37), (80, 22), (80, 21), (500, 200)]
        {
            frame(&demo, &theme, width, height);
        }
    }
}

#[test]
fn without_colours_nothing_is_coloured() {
    use ratatui::style::Color;
    let backend = frame(&fixture::midway(), &Theme::new(false, false), 200, 60);
    assert!(backend.buffer().content().iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
}
