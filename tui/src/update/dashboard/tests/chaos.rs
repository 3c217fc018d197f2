//! Anything at all, in any order: keys, pastes, the mouse, updates and sizes.

use crossterm::event::KeyCode;
use potluck_common::{
    Rng,
    control::{Delta, ListDelta, State},
};
use ratatui::{Terminal, backend::TestBackend};

use super::*;
use crate::{theme::Theme, view};

/// Keys, pastes, mouse events, updates and sizes together; `POTLUCK_CHAOS` may name another number.
const MESSAGES: u32 = 100_000;
/// Dashboards that they are shared by.
const SEEDS: u32 = 4;
/// A frame is drawn after so many.
const FRAME_EVERY: u32 = 101;

#[test]
fn nothing_that_happens_breaks_anything() {
    let messages = std::env::var("POTLUCK_CHAOS").ok().and_then(|text| text.parse().ok()).unwrap_or(MESSAGES);
    std::thread::scope(|scope| {
        for seed in 0..SEEDS {
            scope.spawn(move || anything(seed, messages / SEEDS));
        }
    });
}

fn anything(seed: u32, messages: u32) {
    let mut rng = Rng::new(u64::from(seed));
    let worlds = [samples::state(), samples::empty(), samples::sized(7, 12, 30)];
    let mut model = board();
    for number in 0..messages {
        let message = message(&mut rng, &worlds, &model);
        let told = format!("{message:?}");
        update(&mut model, message);
        model.assert_invariants();
        assert!(model.dialogs.len() <= 2, "dialogs pile up after {told}");
        if number % FRAME_EVERY == 0 {
            let (width, height) = model.size;
            let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test backend");
            let theme = Theme::new(true, model.taste.ascii);
            let mut hits = Hits::default();
            terminal.draw(|frame| hits = view::screen::draw(frame, &model, &theme)).expect("a test backend");
            update(&mut model, Message::Drawn(hits));
            model.assert_invariants();
        }
    }
}

fn message(rng: &mut Rng, worlds: &[State], model: &Dashboard) -> Message {
    match rng.below(100) {
        0..70 => Message::Key(key(rng)),
        70..73 => Message::Paste(paste(rng)),
        73..85 => Message::Mouse(mouse(rng)),
        85..90 => Message::Resize(1 + rng.below(210) as u16, 1 + rng.below(70) as u16),
        90..92 => Message::Tick(1_000.0 + f64::from(rng.below(100_000))),
        92..94 => Message::Completed {
            prefix: String::new(),
            paths: (0..rng.below(4)).map(|number| format!("/ä/{number}")).collect(),
        },
        94..96 => Message::Control(whole(&worlds[rng.below(worlds.len() as u32) as usize])),
        96..98 => Message::Control(reply(rng, model)),
        _ => Message::Control(Update { number: 3, body: UpdateBody::Delta(Box::new(delta(rng, model))) }),
    }
}

fn key(rng: &mut Rng) -> Key {
    const CODES: [KeyCode; 16] = [
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::Tab,
        KeyCode::BackTab,
        KeyCode::Backspace,
        KeyCode::Delete,
        KeyCode::Up,
        KeyCode::Down,
        KeyCode::Left,
        KeyCode::Right,
        KeyCode::PageUp,
        KeyCode::PageDown,
        KeyCode::Home,
        KeyCode::End,
        KeyCode::F(2),
        KeyCode::Insert,
    ];
    match rng.below(8) {
        0..3 => Key::plain(CODES[rng.below(CODES.len() as u32) as usize]),
        3 => Key::control((b'a' + rng.below(26) as u8) as char),
        4 => Key::char(['ü', '日', '\u{301}', '\u{202e}', '\x1b', ' '][rng.below(6) as usize]),
        _ => Key::char((b' ' + rng.below(95) as u8) as char),
    }
}

fn paste(rng: &mut Rng) -> String {
    let parts = [
        "magnet:?xt=urn:btih:00",
        "\n",
        "/日本/x.torrent",
        "\x1b[2J",
        " ",
        "https://e.example/ü",
        "\u{202e}",
    ];
    (0..rng.below(6)).map(|_| parts[rng.below(parts.len() as u32) as usize]).collect()
}

fn mouse(rng: &mut Rng) -> Mouse {
    let kind =
        [MouseKind::Click, MouseKind::Drag, MouseKind::WheelUp, MouseKind::WheelDown][rng.below(4) as usize];
    Mouse { kind, column: rng.below(220) as u16, row: rng.below(70) as u16 }
}

fn reply(rng: &mut Rng, model: &Dashboard) -> Update {
    let number = model.pending.keys().next().copied().unwrap_or(u64::from(rng.below(9)));
    let result = if rng.below(2) == 0 {
        Ok(Printable::new("done"))
    } else {
        Err(CommandError { kind: CommandErrorKind::NotFound, message: Printable::new("no such torrent") })
    };
    Update { number: 4, body: UpdateBody::Reply(Reply { number, result }) }
}

/// Some rows change, some go, and lists grow and shrink.
fn delta(rng: &mut Rng, model: &Dashboard) -> Delta {
    let mut delta = Delta::default();
    for row in model.state.torrents.values() {
        match rng.below(8) {
            0 => delta.removed.push(row.summary.info_hash),
            1..4 => {
                let mut row = row.clone();
                row.summary.down_rate = u64::from(rng.below(10_000_000));
                row.summary.pieces = rng.below(3_000);
                delta.torrents.push(row);
            }
            _ => {}
        }
    }
    if rng.below(2) == 0 {
        let count = rng.below(model.state.peers.len() as u32 + 1) as usize;
        delta.peers = Some(ListDelta::Whole(model.state.peers[..count].to_vec()));
    }
    if let Some(detail) = &model.state.detail {
        let mut near = potluck_common::control::DetailDelta::none(detail.info_hash);
        let count = |len: usize, rng: &mut Rng| rng.below(len as u32 + 1) as usize;
        let lists = &detail.lists;
        near.peers = Some(ListDelta::Whole(lists.peers[..count(lists.peers.len(), rng)].to_vec()));
        near.files = Some(ListDelta::Whole(lists.files[..count(lists.files.len(), rng)].to_vec()));
        near.trackers = Some(ListDelta::Whole(lists.trackers[..count(lists.trackers.len(), rng)].to_vec()));
        delta.detail = Some(near);
    }
    delta.events = model.state.events.iter().take(rng.below(5) as usize).cloned().collect();
    delta
}
