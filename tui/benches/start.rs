//! How long the real program takes from its start to its first frame, and what it costs while nothing happens:
//! `cargo bench -p potluck --bench start [-- COUNT...]`.
//!
//! It makes a list of so many torrents of one byte, all of them seeding, then starts `potluck` on a terminal of its own a few
//! times: until the first whole frame stands there, until its torrents do, until nothing is left to be done, and what
//! it costs from then on. Nobody outside is talked to. Linux only, as it reads `/proc`.

#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use potluck_common::{
    control::{
        AddTorrent, Command, Request, RequestBody, Settings, State, TorrentSource, TorrentState, UpdateBody,
        View,
    },
    hash::sha1,
};
use potluck_peer::{
    engine::{Engine, EngineConfig},
    manager::{Client, Manager, ManagerConfig},
};

/// Columns and lines.
const SIZE: (u16, u16) = (120, 40);
/// Starts of which the middle one counts.
const STARTS: usize = 7;
/// How long it is looked at what idling costs.
const IDLE: Duration = Duration::from_secs(30);
/// It has come to rest when it used less than this of a processor for [`REST`].
const AT_REST: f64 = 0.02;
const REST: Duration = Duration::from_secs(2);
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(180);
/// The goals.
const FIRST_FRAME_GOAL: Duration = Duration::from_millis(100);
const IDLE_GOAL_PERCENT: f64 = 1.0;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let mut counts: Vec<usize> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    if counts.is_empty() {
        counts = vec![1, 10_000];
    }
    for count in counts {
        let home = tempfile::tempdir()?;
        tokio::runtime::Runtime::new()?.block_on(prepare(home.path(), count))?;
        println!("{count} torrents that seed, {} x {}, {STARTS} starts", SIZE.0, SIZE.1);
        let mut first_frames = Vec::new();
        let mut lists = Vec::new();
        for _ in 0..STARTS {
            let mut board = Board::start(home.path())?;
            first_frames.push(board.until(is_whole)?);
            lists.push(board.until(|text| text.contains("tiny "))?);
            board.quit()?;
        }
        let first_frame = show_times("  the first frame", first_frames);
        show_times("  the torrents in it", lists);
        let mut board = Board::start(home.path())?;
        board.until(is_whole)?;
        let (seconds, busy) = board.rest()?;
        println!("  at rest after                    {seconds:>8.1} s, and {busy:.2} s of processor time");
        let percent = board.idle()?;
        println!(
            "  idle, of one processor           {percent:>8.3} %, {:.0} MB",
            board.resident_bytes()? / 1e6
        );
        let is_good = first_frame <= FIRST_FRAME_GOAL && percent < IDLE_GOAL_PERCENT;
        let goal = FIRST_FRAME_GOAL.as_millis();
        println!("  goal: {goal} ms and {IDLE_GOAL_PERCENT} %: {}", if is_good { "held" } else { "MISSED" });
    }
    Ok(())
}

/// The line of keys is the last that is drawn.
fn is_whole(text: &str) -> bool {
    text.lines().nth(usize::from(SIZE.1) - 1).is_some_and(|line| line.contains("quit"))
}

/// Prints the middle, the best and the worst of several times.
fn show_times(what: &str, mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let middle = times[times.len() / 2];
    let (best, worst) = (millis(times[0]), millis(times[times.len() - 1]));
    println!("{what:<34} {:>8.1} ms ({best:.1} to {worst:.1})", millis(middle));
    middle
}

/// Makes a list of torrents that are there and seed, as a run before would have left it.
async fn prepare(home: &Path, count: usize) -> Outcome {
    let data = home.join("data");
    fs::create_dir(&data)?;
    for number in 0..count {
        fs::write(data.join(format!("tiny {number}")), "x")?;
    }
    let state_dir = home.join("state");
    let config = EngineConfig {
        bind: Some([127, 0, 0, 1].into()),
        ports: 0..=0,
        state_dir: Some(state_dir.clone()),
        ..EngineConfig::default()
    };
    let settings = Settings { directory: data, ..Settings::default() };
    let engine = Engine::start(config).await?;
    let manager =
        Manager::start(ManagerConfig { engine, store: Some(state_dir.join("list")), settings }).await?;
    let mut client = manager.connect();
    let mut number = 0;
    let mut send = |client: &Client, body| {
        number += 1;
        client.requests.send(Request { number, body })
    };
    send(&client, RequestBody::View(View::default()))?;
    for number in 0..count {
        let source = TorrentSource::Metainfo(tiny(number));
        let add = AddTorrent { source, directory: None, paused: Some(false), labels: Vec::new() };
        send(&client, RequestBody::Command(Command::Add(add)))?;
    }
    let mut state = State::default();
    let seeds = |state: &State| {
        state.torrents.values().filter(|row| row.summary.state == TorrentState::Seeding).count()
    };
    while seeds(&state) < count {
        let update = client.updates.recv().await.ok_or("the list ended")?;
        if let UpdateBody::Reply(reply) = &update.body {
            reply.result.as_ref().map_err(|error| error.message.to_string())?;
        }
        state.apply(update.body);
    }
    manager.shutdown(PATIENCE).await;
    Ok(())
}

/// A torrent of one byte.
fn tiny(number: usize) -> Vec<u8> {
    let name = format!("tiny {number}");
    let info = format!("d4:infod6:lengthi1e4:name{}:{name}12:piece lengthi16384e6:pieces20:", name.len());
    [info.as_bytes(), &sha1(b"x"), b"ee"].concat()
}

/// The program on a terminal. It is ended with this.
struct Board {
    begun: Instant,
    /// When what is on the screen came.
    seen: Instant,
    child: Box<dyn Child + Send + Sync>,
    keyboard: Box<dyn io::Write + Send>,
    // The terminal lives as long as somebody holds it.
    _terminal: Box<dyn MasterPty + Send>,
    output: Receiver<(Instant, Vec<u8>)>,
    screen: vt100::Parser,
}

impl Board {
    fn start(home: &Path) -> Outcome<Self> {
        let (cols, rows) = SIZE;
        let pair = native_pty_system().openpty(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 })?;
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_potluck"));
        command.args(["tui", "--port", "0", "--bind", "127.0.0.1"]);
        command.cwd(home);
        command.env("POTLUCK_STATE_DIR", home.join("state"));
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        for variable in ["POTLUCK_NO_DHT", "POTLUCK_NO_LSD", "POTLUCK_NO_PORT_MAP"] {
            command.env(variable, "1");
        }
        let mut reader = pair.master.try_clone_reader()?;
        let begun = Instant::now();
        let child = pair.slave.spawn_command(command)?;
        drop(pair.slave);
        let (sender, output) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 16_384];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                if sender.send((Instant::now(), buffer[..length].to_vec())).is_err() {
                    break;
                }
            }
        });
        let cells = |count| std::num::NonZero::new(count).ok_or("a terminal has cells");
        let screen = vt100::Parser::new(cells(rows)?, cells(cols)?, 0);
        let keyboard = pair.master.take_writer()?;
        Ok(Self { begun, seen: begun, child, keyboard, _terminal: pair.master, output, screen })
    }

    /// When the screen was as wanted, since the start.
    fn until(&mut self, is_wanted: impl Fn(&str) -> bool) -> Outcome<Duration> {
        while !is_wanted(&self.screen.screen().contents()) {
            let (when, bytes) = self.output.recv_timeout(PATIENCE)?;
            self.seen = when;
            self.screen.process(&bytes);
        }
        Ok(self.seen - self.begun)
    }

    /// Waits until hardly anything is done any more; says when that began, and what it took, in seconds.
    fn rest(&mut self) -> Outcome<(f64, f64)> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (from, busy) = (self.begun.elapsed(), self.processor_seconds()?);
            self.look_on(REST)?;
            let used = self.processor_seconds()? - busy;
            if used < AT_REST * REST.as_secs_f64() {
                return Ok((from.as_secs_f64(), busy));
            }
            if Instant::now() > deadline {
                return Err("it does not come to rest".into());
            }
        }
    }

    /// What it costs while nothing happens, in percent of a processor.
    fn idle(&mut self) -> Outcome<f64> {
        let busy = self.processor_seconds()?;
        self.look_on(IDLE)?;
        Ok((self.processor_seconds()? - busy) * 100.0 / IDLE.as_secs_f64())
    }

    /// Reads what it draws for a while.
    fn look_on(&mut self, time: Duration) -> Outcome {
        let end = Instant::now() + time;
        loop {
            match self.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok((when, bytes)) => {
                    self.seen = when;
                    self.screen.process(&bytes);
                }
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Ends it as a person does, so that the next start finds what such an end leaves.
    fn quit(mut self) -> Outcome {
        self.keyboard.write_all(b"q")?;
        let ended = self.child.wait()?;
        if ended.success() { Ok(()) } else { Err(format!("it ended with {ended}").into()) }
    }

    fn read(&self, file: &str) -> Outcome<String> {
        let process = self.child.process_id().ok_or("it has ended")?;
        Ok(fs::read_to_string(format!("/proc/{process}/{file}"))?)
    }

    /// What the process used so far.
    fn processor_seconds(&self) -> Outcome<f64> {
        let stat = self.read("stat")?;
        let fields: Vec<&str> = stat.rsplit(')').next().ok_or("no fields")?.split_whitespace().collect();
        let ticks = |number: usize| fields[number].parse::<f64>();
        // A hundred ticks a second, on every Linux.
        Ok((ticks(11)? + ticks(12)?) / 100.0)
    }

    fn resident_bytes(&self) -> Outcome<f64> {
        let status = self.read("status")?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse::<f64>()? * 1024.0)
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        // Its list is for the next: it has to be gone before that begins.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
