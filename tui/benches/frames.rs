//! How long it takes from a key to the frame that answers it: `cargo bench -p potluck --bench frames`.
//!
//! 10,000 torrents, 2,000 peers of one of them and a terminal of 200 columns and 60 lines. A step is what the dashboard
//! does for one message: change the model, draw the whole frame, and find what differs from the last one. What it tells
//! the terminal, and what a terminal makes of that, is not in it.

#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::time::{Duration, Instant};

use crossterm::event::KeyCode;
use potluck::{
    keymap::Key,
    model::{
        dashboard::Dashboard,
        place::{Place, Tab},
        samples,
    },
    theme::{ColorDepth, Theme, ThemeName},
    update::dashboard::{Message, update},
    view::screen,
};
use potluck_common::control::{Delta, State, TorrentRow, Update, UpdateBody};
use ratatui::{Terminal, backend::TestBackend};

const TORRENTS: u32 = 10_000;
const PEERS: u32 = 2_000;
const SIZE: (u16, u16) = (200, 60);
/// Steps of a run, of which the first tenth is not counted.
const STEPS: usize = 600;
const RUNS: usize = 3;
/// The goals.
const GOAL_MEDIAN: Duration = Duration::from_millis(16);
const GOAL_P99: Duration = Duration::from_millis(50);

/// A dashboard and a terminal that keeps what was drawn.
struct Bench {
    model: Dashboard,
    terminal: Terminal<TestBackend>,
    theme: Theme,
}

impl Bench {
    fn new(state: &State) -> Self {
        let mut model = Dashboard::new(None, "/".into());
        update(&mut model, Message::Resize(SIZE.0, SIZE.1));
        update(&mut model, Message::Tick(samples::STARTED_AT + samples::UPTIME_SECONDS as f64));
        update(&mut model, Message::Control(samples::whole(state)));
        let terminal = Terminal::new(TestBackend::new(SIZE.0, SIZE.1)).expect("a test backend cannot fail");
        Self { model, terminal, theme: Theme::named(ThemeName::Dusk, ColorDepth::True, false) }
    }

    fn step(&mut self, message: Message) -> Duration {
        let began = Instant::now();
        update(&mut self.model, message);
        let mut hits = None;
        let (model, theme) = (&self.model, &self.theme);
        self.terminal
            .draw(|frame| hits = Some(screen::draw(frame, model, theme)))
            .expect("a test backend cannot fail");
        update(&mut self.model, Message::Drawn(hits.expect("it was drawn")));
        began.elapsed()
    }

    /// Prints the median and the 99th percentile of each run, and says whether all are as good as asked for.
    fn measure(&mut self, what: &str, mut message: impl FnMut(usize) -> Message) -> bool {
        let mut is_good = true;
        let mut figures = Vec::new();
        for _ in 0..RUNS {
            let mut times: Vec<Duration> = (0..STEPS).map(|step| self.step(message(step))).collect();
            let times = &mut times[STEPS / 10..];
            times.sort_unstable();
            let (median, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
            is_good &= median <= GOAL_MEDIAN && p99 <= GOAL_P99;
            figures.push(format!("{:>7.2} {:>7.2}", millis(median), millis(p99)));
        }
        println!("{what:<44} {}", figures.join("   "));
        is_good
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Up and down through a list.
fn walk(step: usize) -> Message {
    Message::Key(Key::char(if step % 40 < 30 { 'j' } else { 'k' }))
}

fn delta(delta: Delta) -> Message {
    Message::Control(Update { number: 2, body: UpdateBody::Delta(Box::new(delta)) })
}

/// Four times a second each torrent that moves has other rates: here one in ten.
fn changed(rows: &[TorrentRow], step: usize) -> Message {
    let rows = rows.iter().skip(step % 10).step_by(10).cloned();
    let torrents = rows
        .map(|mut row| {
            row.summary.down_rate = row.summary.down_rate.wrapping_add(step as u64 * 4_099) % 9_000_000;
            row
        })
        .collect();
    delta(Delta { torrents, ..Delta::default() })
}

fn main() {
    let state = samples::sized(1, TORRENTS, PEERS);
    let rows: Vec<TorrentRow> = state.torrents.values().cloned().collect();
    println!("{TORRENTS} torrents, {PEERS} peers, {} x {}; median and 99th percentile in ms", SIZE.0, SIZE.1);
    println!("of {RUNS} runs of {STEPS} steps each");

    let began = Instant::now();
    let mut bench = Bench::new(&state);
    bench.step(Message::Tick(samples::STARTED_AT));
    println!("{:<44} {:>7.2}", "all torrents told, and the first frame", millis(began.elapsed()));

    let mut is_good = bench.measure("a key in the list of torrents", walk);
    is_good &= bench.measure("a delta of 1,000 torrents", |step| changed(&rows, step));
    update(&mut bench.model, Message::Key(Key::char('s')));
    is_good &= bench.measure("a key in the menu of orders", walk);
    bench.model.dialogs.clear();
    for (what, place, tab) in [
        ("a key in the ledger", Place::Detail, Tab::Peers),
        ("a key in the map of pieces", Place::Detail, Tab::Pieces),
        ("a key in the peers of all torrents", Place::Peers, Tab::Peers),
        ("a key in the log", Place::Events, Tab::Peers),
    ] {
        (bench.model.place, bench.model.tab) = (place, tab);
        is_good &= bench.measure(what, walk);
    }
    bench.model.place = Place::Torrents;
    update(&mut bench.model, Message::Key(Key::char('/')));
    is_good &= bench.measure("a letter of a filter", |step| {
        Message::Key(if step % 8 < 4 {
            Key::char("debi".as_bytes()[step % 4].into())
        } else {
            Key::plain(KeyCode::Backspace)
        })
    });
    let (median, p99) = (millis(GOAL_MEDIAN), millis(GOAL_P99));
    println!("goal: {median:.0} ms and {p99:.0} ms: {}", if is_good { "held" } else { "MISSED" });
}
