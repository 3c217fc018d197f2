//! Golden frames of every screen at every size that the layout distinguishes, in the default theme and in ASCII; and
//! what holds at every size.

use potluck_common::{Rng, control::State};
use ratatui::{Terminal, backend::TestBackend, buffer::Buffer, style::Color};

use super::*;
use crate::{
    model::place::Tab,
    model::{list::ListCursor, place::List, samples},
    theme::{ColorDepth, ThemeName},
    update::dashboard::{Message, update},
    view::capture,
};

/// The sizes of the golden frames.
const SIZES: [(u16, u16); 5] = [(60, 16), (80, 24), (100, 30), (140, 40), (200, 60)];

/// The screens, with the tabs of that of a torrent.
const SCREENS: [(&str, Place, Tab); 12] = [
    ("torrents", Place::Torrents, Tab::Overview),
    ("torrents_pieces", Place::Torrents, Tab::Pieces),
    ("overview", Place::Detail, Tab::Overview),
    ("pieces", Place::Detail, Tab::Pieces),
    ("files", Place::Detail, Tab::Files),
    ("peers", Place::Detail, Tab::Peers),
    ("trackers", Place::Detail, Tab::Trackers),
    ("log", Place::Detail, Tab::Log),
    ("all_peers", Place::Peers, Tab::Overview),
    ("discovery", Place::Discovery, Tab::Overview),
    ("fairness", Place::Fairness, Tab::Overview),
    ("events", Place::Events, Tab::Overview),
];

/// A dashboard that was told all of `state`.
fn board(state: &State, (width, height): (u16, u16)) -> Dashboard {
    let mut model = Dashboard::new(Some("/home/ada".into()), "/home/ada".into());
    update(&mut model, Message::Resize(width, height));
    update(&mut model, Message::Tick(samples::STARTED_AT + samples::UPTIME_SECONDS as f64));
    update(&mut model, Message::Control(samples::whole(state)));
    model
}

fn drawn(model: &Dashboard, theme: &Theme, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test backend cannot fail");
    terminal.draw(|frame| drop(draw(frame, model, theme))).expect("a test backend cannot fail");
    terminal.backend().buffer().clone()
}

fn at(state: &State, size: (u16, u16), place: Place, tab: Tab) -> Dashboard {
    let mut model = board(state, size);
    (model.place, model.tab, model.piece) = (place, tab, 1_204);
    *model.cursor_mut(List::Events) = ListCursor::at(model.len(List::Events).saturating_sub(1));
    *model.cursor_mut(List::Log) = ListCursor::at(model.len(List::Log).saturating_sub(1));
    model
}

#[test]
fn golden_frames() {
    let state = samples::state();
    for (name, place, tab) in SCREENS {
        for ascii in [false, true] {
            let theme = Theme::new(true, ascii);
            let frames = SIZES.map(|size| {
                let text = capture::text(&drawn(&at(&state, size, place, tab), &theme, size));
                format!("{}x{}\n{text}", size.0, size.1)
            });
            let name = if ascii { format!("{name}_ascii") } else { name.to_string() };
            insta::assert_snapshot!(name, frames.join("\n"));
        }
    }
}

#[test]
fn a_new_user_is_told_what_to_do() {
    let frames = SIZES
        .map(|size| capture::text(&drawn(&board(&samples::empty(), size), &Theme::new(true, false), size)));
    assert!(frames.iter().all(|frame| frame.contains("press a to add one")));
    insta::assert_snapshot!("empty", frames[1]);
}

#[test]
fn nothing_is_told_by_colour_alone() {
    let state = samples::state();
    for (name, place, tab) in SCREENS {
        for size in [SIZES[1], SIZES[4]] {
            let model = at(&state, size, place, tab);
            let plain = drawn(&model, &Theme::new(false, false), size);
            let has_color =
                plain.content().iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
            assert!(!has_color, "{name} has colours without colours");
            for theme in ThemeName::ALL {
                let colored = drawn(&model, &Theme::named(theme, ColorDepth::True, false), size);
                assert_eq!(capture::text(&colored), capture::text(&plain), "{name} in {theme}");
            }
        }
    }
}

#[test]
fn no_size_panics() {
    let mut rng = Rng::new(11);
    for state in [samples::state(), samples::empty(), State::default()] {
        for (_, place, tab) in SCREENS {
            for _ in 0..12 {
                let size = (rng.below(300) as u16, rng.below(100) as u16);
                let drawn_on = (rng.below(300) as u16, rng.below(100) as u16);
                let model = at(&state, size, place, tab);
                drawn(&model, &Theme::new(true, false), size);
                // A terminal may be resized between the model and the frame.
                drawn(&model, &Theme::new(true, true), drawn_on);
            }
        }
    }
}
