//! The dashboard on a terminal: added, watched, explained, deleted, and the terminal given back whatever happens.

use std::{fs, net::TcpListener, path::Path, thread, time::Duration};

use libtest_mimic::Trial;
use portable_pty::CommandBuilder;
use rustix::process::Signal;

use crate::{
    sandbox::{PATIENCE, Sandbox, assert_same},
    terminal::OnTerminal,
    test,
    tracker::{tracker_without_farewell, wait_to_hear},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        test("dashboard_from_adding_to_deleting", dashboard_from_adding_to_deleting),
        test("dashboard_goes_on_at_the_next_start", dashboard_goes_on_at_the_next_start),
        test("dashboard_lets_one_download_at_a_time", dashboard_lets_one_download_at_a_time),
        test("dashboard_remembers_how_it_looks_and_writes_events", dashboard_remembers_how_it_looks),
        test("dashboard_gives_the_terminal_back", dashboard_gives_the_terminal_back),
        test("dashboard_is_suspended_and_comes_back", dashboard_is_suspended_and_comes_back),
        test("dashboard_without_colours", dashboard_without_colours),
        test("dashboard_at_any_size", dashboard_at_any_size),
        test("a_second_dashboard_is_refused", a_second_dashboard_is_refused),
        test("dashboard_needs_a_terminal", dashboard_needs_a_terminal),
        test(
            "a_closed_terminal_ends_the_dashboard_gracefully",
            a_closed_terminal_ends_the_dashboard_gracefully,
        ),
        test("what_is_asked_when_quitting_is_named", what_is_asked_when_quitting_is_named),
    ]
}

/// A dashboard with a folder for its list and one for what it downloads, in `sandbox`.
fn command(sandbox: &Sandbox, options: &str) -> CommandBuilder {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_potluck"));
    command.args(["tui", "--port", "0", "--bind", &sandbox.ip(), "-o", "dst"]);
    command.args(options.split_whitespace());
    command.env("POTLUCK_STATE_DIR", sandbox.path("state-of-dashboard"));
    command.env("HOME", sandbox.path("."));
    command.env("TZ", "UTC");
    command
}

fn start(sandbox: &Sandbox, cols: u16, rows: u16) -> OnTerminal {
    fs::create_dir_all(sandbox.path("dst")).expect("a folder");
    let mut board = OnTerminal::start_command(sandbox, command(sandbox, ""), cols, rows);
    board.wait_to_see("Torrents");
    board
}

/// A torrent stands in the list, and above what is shown of it; not only in a dialog or a sentence.
fn is_listed(text: &str, name: &str) -> bool {
    !text.contains("Add a torrent") && text.matches(name).count() >= 2
}

/// The keys of the screens, and what stands only there.
const SCREENS: [(&str, &str); 6] = [
    ("2", "[2 Detail]"),
    ("3", "[3 Peers]"),
    ("4", "[4 Discovery]"),
    ("5", "[5 Fairness]"),
    ("6", "[6 Events]"),
    ("7", "[7 Settings]"),
];

/// Tells the dashboard of a torrent, and of a peer that has it.
fn add(board: &mut OnTerminal, torrent: &str, peer: &str) {
    board.press("a");
    board.wait_to_see("Add a torrent");
    board.press(torrent);
    board.press("\r");
    board.wait_for_screen("it is in the list", |text| is_listed(text, torrent.trim_end_matches(".torrent")));
    board.press("P");
    board.wait_to_see("an address and a port");
    board.press(peer);
    board.press("\r");
}

pub(crate) fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "{what} never came");
        thread::sleep(Duration::from_millis(20));
    }
}

fn dashboard_from_adding_to_deleting() {
    let sandbox = Sandbox::new();
    sandbox.file("src/feature.bin", 3_000_000, 1);
    sandbox.create("src/feature.bin");
    let (_seed, peer) = sandbox.seed("feature.bin.torrent -o src --up 400k");
    let mut board = start(&sandbox, 140, 40);
    board.wait_to_see("nothing here yet");
    add(&mut board, "feature.bin.torrent", &peer.to_string());
    // The ledger says of the seeder, in words, why it is treated as it is.
    board.press("p");
    board.wait_to_see(&peer.ip().to_string());
    board.wait_to_see("wants nothing");
    board.press("1");
    board.wait_to_see("complete");
    let (copy, original) = (sandbox.path("dst/feature.bin"), sandbox.path("src/feature.bin"));
    assert_same(&copy, &original);
    board.press("d");
    board.wait_to_see("Delete feature.bin?");
    board.press("D");
    board.wait_to_see("nothing here yet");
    wait_until("the data are gone", || !copy.exists());
    board.press("q");
    assert_eq!(board.finish(), 0, "{:?}", board.seen);
    board.assert_restored();
    let (_, after) = board.seen.rsplit_once("\x1b[?1049l").expect("restored");
    assert!(after.contains("they go on when you start potluck again"), "{after:?}");
    assert!(original.exists(), "what others have is theirs");
}

fn dashboard_goes_on_at_the_next_start() {
    let sandbox = Sandbox::new();
    sandbox.file("src/long.bin", 2_000_000, 2);
    sandbox.create("src/long.bin");
    let mut board = start(&sandbox, 80, 24);
    board.press("\x1b[200~");
    board.press(&sandbox.path("long.bin.torrent").display().to_string());
    board.press("\x1b[201~");
    board.wait_to_see("Add a torrent");
    board.press("\r");
    board.wait_for_screen("it is in the list", |text| is_listed(text, "long.bin"));
    board.press("l");
    board.wait_to_see("Labels of long.bin");
    board.press("holiday\r");
    board.wait_for_screen("the dialog closes", |text| !text.contains("Labels of"));
    board.press("\x03");
    assert_eq!(board.finish(), 0, "{:?}", board.seen);
    let (_seed, peer) = sandbox.seed("long.bin.torrent -o src");
    let mut board = start(&sandbox, 80, 24);
    board.wait_to_see("long.bin");
    // The filter knows what it is called.
    board.press("/label:work\r");
    board.wait_to_see("the filter shows nothing");
    board.press("/\x15label:holiday\r");
    board.wait_for_screen("it is found", |text| !text.contains("the filter shows nothing"));
    board.press("P");
    board.wait_to_see("an address and a port");
    board.press(&format!("{peer}\r"));
    board.wait_to_see("complete");
    assert_same(&sandbox.path("dst/long.bin"), &sandbox.path("src/long.bin"));
}

fn dashboard_lets_one_download_at_a_time() {
    let sandbox = Sandbox::new();
    for name in ["one", "two"] {
        sandbox.file(&format!("src/{name}.bin"), 20_000, 1);
        sandbox.create(&format!("src/{name}.bin"));
    }
    let mut board = start(&sandbox, 100, 30);
    for name in ["one.bin", "two.bin"] {
        board.press("a");
        board.wait_to_see("Add a torrent");
        board.press(&format!("{name}.torrent\r"));
        // That it is being added is said before it is in the list.
        board.wait_for_screen("it is in the list", |text| {
            let is_row = |line: &str| line.contains('│') && line.contains(name);
            !text.contains("Add a torrent") && text.lines().any(is_row)
        });
    }
    board.press("7jjjjjjjj\r");
    board.wait_for_screen("the dialog", |text| text.matches("Downloads at a time").count() == 2);
    board.press("\x151\r");
    board.wait_to_see("one torrent downloads at a time");
    board.press("1G");
    board.wait_to_see("two.bin: queued: 1 of 1 download runs, this is the next");
    board.press("Kg");
    board.wait_to_see("one.bin: queued: 1 of 1 download runs, this is the next");
    board.press("q");
    assert_eq!(board.finish(), 0, "{:?}", board.seen);
    // The order and the limit are kept.
    let mut board = start(&sandbox, 100, 30);
    board.wait_to_see("one.bin: queued: 1 of 1 download runs, this is the next");
}

fn dashboard_remembers_how_it_looks() {
    let sandbox = Sandbox::new();
    sandbox.file("src/one.bin", 20_000, 1);
    sandbox.create("src/one.bin");
    let mut board = start(&sandbox, 100, 30);
    board.press("aone.bin.torrent\r");
    board.wait_for_screen("it is in the list", |text| is_listed(text, "one.bin"));
    board.press("6");
    board.wait_to_see("are there");
    board.press("E");
    board.wait_to_see("Write these events to a file");
    for (name, words) in [("events.txt", "written to"), ("events.txt", "was not written: File exists")] {
        board.press(&format!("\x15~/{name}\r"));
        board.wait_to_see(words);
        board.press("E");
    }
    board.wait_to_see("Write these events to a file");
    board.press("\x1b");
    board.wait_for_screen("the dialog closes", |text| !text.contains("Write these events"));
    let text = fs::read_to_string(sandbox.path("events.txt")).expect("it was written");
    assert!(text.lines().any(|line| line.contains("one.bin: ") && line.contains("+00:00")), "{text}");
    board.press("7GkkkY\r");
    board.wait_for_screen("another theme", |text| text.contains("logarithmic") && text.contains("dusk"));
    board.press("q");
    assert_eq!(board.finish(), 0, "{:?}", board.seen);
    let mut board = start(&sandbox, 100, 30);
    board.press("7");
    board.wait_for_screen("the same", |text| text.contains("logarithmic") && text.contains("dusk"));
}

fn dashboard_gives_the_terminal_back() {
    let sandbox = Sandbox::new();
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 143), (Signal::INT, 0)] {
        let mut board = start(&sandbox, 80, 24);
        board.wait_to_see("nothing here yet");
        board.signal(signal);
        assert_eq!(board.finish(), code, "{signal:?}: {:?}", board.seen);
        board.assert_restored();
    }
    let mut board = start(&sandbox, 80, 24);
    // Before anything is there it can be left, too.
    board.press("q");
    assert_eq!(board.finish(), 0, "{:?}", board.seen);
    board.assert_restored();
}

fn dashboard_is_suspended_and_comes_back() {
    let sandbox = Sandbox::new();
    let mut board = start(&sandbox, 80, 24);
    board.wait_to_see("nothing here yet");
    for by_key in [true, false] {
        if by_key {
            board.press("\x1a");
        } else {
            board.signal(Signal::TSTP);
        }
        let times = 1 + usize::from(!by_key);
        board.wait_for_count("\x1b[?1049l", times);
        #[cfg(target_os = "linux")]
        wait_until("the process stops", || board.is_stopped());
        board.signal(Signal::CONT);
        board.wait_for_count("\x1b[?1049h", times + 1);
        board.wait_to_see("nothing here yet");
    }
    board.press("q");
    assert_eq!(board.finish(), 0, "{:?}", board.seen);
    board.assert_restored();
}

fn dashboard_without_colours() {
    let sandbox = Sandbox::new();
    let mut command = command(&sandbox, "--ascii");
    command.env("NO_COLOR", "1");
    command.env("POTLUCK_IT_COLORLESS", "1");
    fs::create_dir_all(sandbox.path("dst")).expect("a folder");
    let mut board = OnTerminal::start_command(&sandbox, command, 100, 30);
    board.wait_to_see("nothing here yet");
    for (key, title) in SCREENS {
        board.press(key);
        board.wait_to_see(title);
    }
    board.press("?");
    board.wait_to_see("Help");
    board.press("\r");
    board.press("q");
    assert_eq!(board.finish(), 0, "{:?}", board.seen);
    let colours: Vec<&str> = (board.seen.split("\x1b[").skip(1))
        .filter_map(|rest| rest.split_once('m').map(|(numbers, _)| numbers))
        .filter(|numbers| numbers.chars().all(|letter| letter.is_ascii_digit() || letter == ';'))
        .filter(|numbers| {
            // 39 and 49 are the terminal's own.
            numbers
                .split(';')
                .any(|number| matches!(number.parse::<u32>(), Ok(30..=38 | 40..=48 | 90..=97 | 100..=107)))
        })
        .collect();
    assert!(colours.is_empty(), "{colours:?}");
    let strange: Vec<char> = board.seen.chars().filter(|letter| !letter.is_ascii()).collect();
    assert!(strange.is_empty(), "{strange:?}");
}

fn dashboard_at_any_size() {
    let sandbox = Sandbox::new();
    let mut board = start(&sandbox, 80, 24);
    board.wait_to_see("nothing here yet");
    for (cols, rows) in [(50, 12), (200, 60), (60, 16), (1, 1), (140, 40)] {
        board.resize(cols, rows);
        match (cols, rows) {
            (50, 12) => board.wait_to_see("need 60x16, have 50x12"),
            (1, 1) => {}
            _ => board.wait_to_see("nothing here yet"),
        }
    }
    board.press("q");
    assert_eq!(board.finish(), 0, "{:?}", board.seen);
    board.assert_restored();
}

fn a_second_dashboard_is_refused() {
    let sandbox = Sandbox::new();
    let mut board = start(&sandbox, 80, 24);
    board.wait_to_see("nothing here yet");
    let mut second = OnTerminal::start_command(&sandbox, command(&sandbox, ""), 80, 24);
    assert_eq!(second.finish(), 10, "{:?}", second.seen);
    second.assert_restored();
    let (_, after) = second.seen.rsplit_once("\x1b[?1049l").expect("restored");
    assert!(after.contains("another Potluck uses the list of torrents"), "{after:?}");
    board.press("q");
    assert_eq!(board.finish(), 0, "{:?}", board.seen);
}

fn dashboard_needs_a_terminal() {
    let sandbox = Sandbox::new();
    sandbox.potluck("tui").fails(2, &["tui", "needs a terminal"]);
    assert!(!Path::new(&sandbox.path("state-of-dashboard")).exists());
}

fn a_closed_terminal_ends_the_dashboard_gracefully() {
    let sandbox = Sandbox::new();
    let (tracker, heard) = tracker_without_farewell(&sandbox);
    sandbox.file("src/one.bin", 2_000_000, 3);
    sandbox.create(&format!("src/one.bin --tracker http://{tracker}/announce"));
    fs::create_dir_all(sandbox.path("dst")).expect("a folder");
    for hears_of_it in [true, false] {
        let mut command = command(&sandbox, "");
        // Whose terminal it is not gets no SIGHUP.
        command.set_controlling_tty(hears_of_it);
        let mut board = OnTerminal::start_command(&sandbox, command, 80, 24);
        board.wait_to_see("Torrents");
        if hears_of_it {
            board.press("aone.bin.torrent\r");
        }
        board.wait_for_screen("it is in the list", |text| is_listed(text, "one.bin"));
        wait_to_hear(&heard, "started");
        board.hang_up();
        wait_to_hear(&heard, "stopped");
        assert_eq!(board.finish(), 143, "{:?}", board.seen);
    }
}

fn what_is_asked_when_quitting_is_named() {
    let sandbox = Sandbox::new();
    let silent = TcpListener::bind(format!("{}:0", sandbox.ip())).expect("a port");
    let url = format!("http://{}/x", silent.local_addr().expect("bound"));
    let mut board = start(&sandbox, 100, 24);
    board.wait_to_see("nothing here yet");
    board.press("a");
    board.wait_to_see("Add a torrent");
    board.press(&format!("{url}\r"));
    board.wait_to_see(&format!("adding {url}"));
    board.press("q");
    assert_eq!(board.finish(), 0, "{:?}", board.seen);
    board.assert_restored();
    let (_, after) = board.seen.rsplit_once("\x1b[?1049l").expect("restored");
    assert!(after.contains(&format!("you quit before this was done: adding {url}")), "{after:?}");
}
