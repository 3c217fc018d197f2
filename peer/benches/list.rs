//! What a list of many torrents costs: `cargo bench -p potluck-peer --bench list [-- COUNT] [-- dht]`.
//!
//! With `dht` the engine has a node of the DHT among a hundred others on this host, which are a process of their own. It adds torrents of one byte that is there, paused; begins again; looks at how long the first snapshot takes, and what the list
//! costs while nothing happens; then starts all of them, and looks at that again. Linux only, as it reads `/proc`.

#![expect(clippy::print_stdout, reason = "it prints a table")]

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{IpAddr, SocketAddr},
    process::{Child, Command as Program, Stdio},
    time::{Duration, Instant},
};

use potluck_common::{
    InfoHash,
    control::{
        AddTorrent, Command, Request, RequestBody, Settings, State, TorrentSource, TorrentState, UpdateBody,
        View,
    },
    hash::sha1,
};
use potluck_peer::{
    dht::{DhtNode, DhtSettings, NodeConfig},
    engine::{Engine, EngineConfig},
    manager::{Client, Manager, ManagerConfig},
};

/// How long it is looked at what idling costs.
const IDLE: Duration = Duration::from_secs(20);
const END: Duration = Duration::from_secs(60);
/// Others in the DHT.
const DHT_NODES: usize = 100;
const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main(worker_threads = 2)]
async fn main() -> Outcome {
    if std::env::args().any(|word| word == "be-the-dht") {
        return be_the_dht().await;
    }
    let mut others = std::env::args().any(|word| word == "dht").then(Others::start).transpose()?;
    let dht = others.as_ref().map(|others| others.settings.clone());
    let count = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(10_000);
    let home = tempfile::tempdir()?;
    let data = home.path().join("data");
    fs::create_dir(&data)?;
    for number in 0..count {
        fs::write(data.join(format!("tiny {number}")), "x")?;
    }
    let begun = Instant::now();
    let manager = start(home.path(), dht.as_ref()).await?;
    let mut screen = Screen::attach(&manager).await?;
    for number in 0..count {
        let source = TorrentSource::Metainfo(tiny(number));
        let add = AddTorrent { source, directory: None, paused: Some(true), labels: Vec::new() };
        screen.send(RequestBody::Command(Command::Add(add)))?;
    }
    screen.until(|state| state.torrents.len() == count).await?;
    show("added", begun.elapsed().as_secs_f64(), "s");
    let begun = Instant::now();
    manager.shutdown(END).await;
    drop(screen);
    show("ended", begun.elapsed().as_secs_f64(), "s");

    let (begun, busy) = (Instant::now(), processor_seconds()?);
    let manager = start(home.path(), dht.as_ref()).await?;
    show("the next run is started", begun.elapsed().as_secs_f64() * 1e3, "ms");
    let mut screen = Screen::attach(&manager).await?;
    show("first snapshot", begun.elapsed().as_secs_f64() * 1e3, "ms");
    show("  processor", (processor_seconds()? - busy) * 1e3, "ms");
    assert_eq!(screen.state.torrents.len(), count);
    screen.idle("paused").await?;

    let all: Vec<InfoHash> = screen.state.torrents.keys().copied().collect();
    let (begun, busy) = (Instant::now(), processor_seconds()?);
    screen.send(RequestBody::Command(Command::Start(all)))?;
    let is_checked =
        |state: &TorrentState| !matches!(state, TorrentState::Checking { .. } | TorrentState::Stopped);
    screen.until(|state| state.torrents.values().all(|row| is_checked(&row.summary.state))).await?;
    show("all are started", begun.elapsed().as_secs_f64(), "s");
    show("  processor", processor_seconds()? - busy, "s");
    screen.idle("running").await?;
    let begun = Instant::now();
    manager.shutdown(END).await;
    show("ended", begun.elapsed().as_secs_f64(), "s");

    let begun = Instant::now();
    let manager = start(home.path(), dht.as_ref()).await?;
    let screen = Screen::attach(&manager).await?;
    show("first snapshot where all run", begun.elapsed().as_secs_f64() * 1e3, "ms");
    assert_eq!(screen.state.torrents.len(), count);
    manager.shutdown(END).await;
    others.as_mut().map(Others::end).transpose()?;
    Ok(())
}

/// The other nodes of the DHT.
struct Others {
    process: Child,
    settings: DhtSettings,
}

impl Others {
    fn start() -> Outcome<Self> {
        let program = std::env::current_exe()?;
        let (input, output) = (Stdio::piped(), Stdio::piped());
        let mut process = Program::new(program).arg("be-the-dht").stdin(input).stdout(output).spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let first: SocketAddr = line.trim().parse()?;
        Ok(Self { process, settings: joining_by(Some(first)) })
    }

    fn end(&mut self) -> Outcome {
        drop(self.process.stdin.take());
        self.process.wait()?;
        Ok(())
    }
}

/// Nodes that know each other, until nobody reads what they say.
async fn be_the_dht() -> Outcome {
    let node = |first: Option<SocketAddr>| {
        DhtNode::start(NodeConfig {
            bind: Some(LOOPBACK),
            ports: 0..=0,
            settings: joining_by(first),
            state_dir: None,
        })
    };
    let first = node(None)?;
    let address = first.addresses()[0];
    let mut others = Vec::new();
    for _ in 1..DHT_NODES {
        let other = node(Some(address))?;
        other.joined().await;
        others.push(other);
    }
    println!("{address}");
    tokio::task::spawn_blocking(|| std::io::stdin().lines().count()).await?;
    Ok(())
}

fn joining_by(first: Option<SocketAddr>) -> DhtSettings {
    let bootstrap = first.into_iter().map(Into::into).collect();
    DhtSettings { bootstrap, answer_bytes_per_second: 100_000, ..DhtSettings::default() }
}

async fn start(home: &std::path::Path, dht: Option<&DhtSettings>) -> Outcome<Manager> {
    let config = EngineConfig {
        bind: Some(LOOPBACK),
        dht: dht.cloned(),
        ports: 0..=0,
        state_dir: Some(home.join("state")),
        ..EngineConfig::default()
    };
    let engine = Engine::start(config).await?;
    let settings = Settings { directory: home.join("data"), ..Settings::default() };
    Ok(Manager::start(ManagerConfig { engine, store: Some(home.join("list")), settings }).await?)
}

/// A torrent of one byte.
fn tiny(number: usize) -> Vec<u8> {
    let name = format!("tiny {number}");
    let info = format!("d4:infod6:lengthi1e4:name{}:{name}12:piece lengthi16384e6:pieces20:", name.len());
    [info.as_bytes(), &sha1(b"x"), b"ee"].concat()
}

/// A user interface that looks at the list.
struct Screen {
    client: Client,
    state: State,
    requests: u64,
    updates: u64,
}

impl Screen {
    async fn attach(manager: &Manager) -> Outcome<Self> {
        let mut screen = Self { client: manager.connect(), state: State::default(), requests: 0, updates: 0 };
        screen.send(RequestBody::View(View::default()))?;
        screen.until(|state| state.session.is_some()).await?;
        Ok(screen)
    }

    fn send(&mut self, body: RequestBody) -> Outcome {
        self.requests += 1;
        Ok(self.client.requests.send(Request { number: self.requests, body })?)
    }

    async fn until(&mut self, seen: impl Fn(&State) -> bool) -> Outcome {
        while !seen(&self.state) {
            let update = self.client.updates.recv().await.ok_or("the list ended")?;
            if let UpdateBody::Reply(reply) = &update.body {
                reply.result.as_ref().map_err(|error| error.message.to_string())?;
            }
            self.updates += 1;
            self.state.apply(update.body);
        }
        Ok(())
    }

    /// Looks at a list in which nothing happens.
    async fn idle(&mut self, what: &str) -> Outcome {
        tokio::time::sleep(Duration::from_secs(2)).await;
        while self.client.updates.try_recv().is_ok() {}
        let (busy, mut updates) = (processor_seconds()?, 0);
        let end = tokio::time::Instant::now() + IDLE;
        while let Ok(update) = tokio::time::timeout_at(end, self.client.updates.recv()).await {
            self.state.apply(update.ok_or("the list ended")?.body);
            updates += 1;
        }
        let per_minute = (processor_seconds()? - busy) * 60.0 / IDLE.as_secs_f64();
        println!("{what}: {updates} updates in {} s", IDLE.as_secs());
        show("  processor for each idle minute", per_minute * 1e3, "ms");
        show("  memory", resident_bytes()? / 1e6, "MB");
        Ok(())
    }
}

fn show(what: &str, value: f64, unit: &str) {
    println!("{what}: {value:.1} {unit}");
}

/// What this process used so far.
fn processor_seconds() -> Outcome<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().ok_or("no fields")?.split_whitespace().collect();
    let ticks = |number: usize| fields[number].parse::<f64>();
    // A hundred ticks a second, on every Linux.
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}

fn resident_bytes() -> Outcome<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse::<f64>()? * 1024.0)
}
