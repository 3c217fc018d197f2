//! How near transfers of ours come to what this machine could do at all.
//!
//! `cargo bench -p potluck-peer --bench loopback` moves 1 GiB over loopback to one process of ours, from one other and
//! from four, in turn with the limits: the same bytes over one loopback socket, SHA-1-hashed by pieces and written to
//! the same disk by two plain threads; and a quarter of them over each of four sockets, by four such pairs of threads.
//! Before each run as much memory as it may need is taken and given back, so that none is the first to touch it, and the
//! first round of all is not counted.
//! Prints each round, and the medians of the ratios to the limit in the same round. `POTLUCK_BENCH_MIB` and
//! `POTLUCK_BENCH_ROUNDS` change the amount.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "peers/memory.rs"]
mod memory;

use std::{
    error::Error,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    ops::Range,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use potluck_common::{
    Rng,
    hash::Sha1,
    metainfo::{
        Metainfo,
        create::{Options, PieceLength},
    },
};
use potluck_peer::{
    create,
    disk::Progress,
    engine::{Engine, EngineConfig, Intent, TorrentParams},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PIECE: usize = 1024 * 1024;

/// What a run may need beside the pages of the copy.
const MEMORY: u64 = 256 * 1024 * 1024;

/// What is timed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Job {
    /// Plain threads, a pair for each of so many sockets.
    Limit { sockets: usize },
    /// Our leecher, and so many seeders of ours.
    Ours { seeders: usize },
}

const JOBS: [Job; 4] = [
    Job::Limit { sockets: 1 },
    Job::Ours { seeders: 1 },
    Job::Limit { sockets: 4 },
    Job::Ours { seeders: 4 },
];

/// What is compared: jobs by their place in [`JOBS`], and the least that the first should come to of the second.
const COMPARISONS: [(usize, usize, Option<f64>); 3] = [(1, 0, Some(0.75)), (3, 0, Some(0.9)), (3, 2, None)];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--seeder") {
        return seed(Path::new(&arguments[at + 1]), Path::new(&arguments[at + 2]));
    }
    let setting =
        |name, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (mebibytes, rounds) =
        (setting("POTLUCK_BENCH_MIB", 1024usize), setting("POTLUCK_BENCH_ROUNDS", 5usize).max(1));
    let folder = tempfile::tempdir_in(std::env::current_exe()?.parent().ok_or("no folder")?)?;
    let bench = Bench::prepare(folder.path(), mebibytes)?;
    println!("{mebibytes} MiB, {rounds} counted rounds after a warm-up");
    let mut runs: [Vec<Run>; JOBS.len()] = Default::default();
    for round in 0..=rounds {
        let note = if round == 0 { " (warm-up)" } else { "" };
        println!("round {round}{note}");
        let mut order: Vec<usize> = (0..JOBS.len()).collect();
        order.rotate_left(round % JOBS.len());
        for job in order {
            memory::warm(bench.bytes + MEMORY);
            let run = match JOBS[job] {
                Job::Limit { sockets } => bench.limit(sockets)?,
                Job::Ours { seeders } => bench.ours(seeders)?,
            };
            println!("  {:22} {run}", format!("{:?}", JOBS[job]));
            if round > 0 {
                runs[job].push(run);
            }
        }
    }
    for (job, runs) in JOBS.iter().zip(&runs) {
        let (rate, cpu) =
            (median(runs.iter().map(Run::rate)) / 1e6, median(runs.iter().map(Run::cpu_per_gib)));
        println!("{:22} {rate:5.0} MB/s {cpu:.2} CPU-s/GiB", format!("{job:?}"));
    }
    for (ours, limit, goal) in COMPARISONS {
        print_comparison(ours, limit, goal, &runs);
    }
    Ok(())
}

fn print_comparison(ours: usize, limit: usize, goal: Option<f64>, runs: &[Vec<Run>]) {
    let mut ratios: Vec<f64> =
        runs[ours].iter().zip(&runs[limit]).map(|(ours, limit)| ours.rate() / limit.rate()).collect();
    ratios.sort_by(f64::total_cmp);
    let ratio = median(ratios.iter().copied());
    let verdict = match goal {
        Some(goal) if ratio >= goal => format!(", goal {goal}: met"),
        Some(goal) => format!(", goal {goal}: MISSED"),
        None => String::new(),
    };
    println!(
        "{:?} to {:?}: median {ratio:.2}, {:.2} to {:.2}{verdict}",
        JOBS[ours],
        JOBS[limit],
        ratios[0],
        ratios[ratios.len() - 1]
    );
}

/// One run.
struct Run {
    bytes: u64,
    wall: Duration,
    cpu: Duration,
}

impl Run {
    fn rate(&self) -> f64 {
        self.bytes as f64 / self.wall.as_secs_f64()
    }

    fn cpu_per_gib(&self) -> f64 {
        self.cpu.as_secs_f64() * f64::from(1 << 30) / self.bytes as f64
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:5.0} MB/s {:.2} CPU-s/GiB", self.rate() / 1e6, self.cpu_per_gib())
    }
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

struct Bench {
    folder: PathBuf,
    payload: PathBuf,
    torrent: PathBuf,
    metainfo: Metainfo,
    bytes: u64,
}

impl Bench {
    fn prepare(folder: &Path, mebibytes: usize) -> Result<Self> {
        let payload = folder.join("seed/payload");
        fs::create_dir(folder.join("seed"))?;
        let mut file = File::create(&payload)?;
        let mut rng = Rng::new(1);
        let mut piece = vec![0; PIECE];
        for _ in 0..mebibytes {
            rng.fill(&mut piece);
            file.write_all(&piece)?;
        }
        let options = Options { piece_length: PieceLength::Fixed(PIECE as u32), ..Options::default() };
        let bytes = create::create(&payload, options, 2, &Progress::new())?.torrent;
        let torrent = folder.join("payload.torrent");
        fs::write(&torrent, &bytes)?;
        let metainfo = Metainfo::parse(&bytes)?;
        Ok(Self { folder: folder.to_owned(), payload, torrent, metainfo, bytes: (mebibytes * PIECE) as u64 })
    }

    /// For each socket two plain threads: one reads and sends, one receives, hashes and writes.
    fn limit(&self, sockets: usize) -> Result<Run> {
        let copy = self.folder.join("limit");
        File::create(&copy)?;
        let start = Start::now();
        thread::scope(|scope| {
            let pieces = self.bytes as usize / PIECE;
            let pairs: Vec<_> = (0..sockets)
                .map(|number| {
                    let share = pieces * number / sockets..pieces * (number + 1) / sockets;
                    scope.spawn(|| self.move_plainly(&copy, share))
                })
                .collect();
            pairs
                .into_iter()
                .try_for_each(|pair| pair.join().map_err(|_| io::Error::other("a thread panicked"))?)
        })?;
        let run = start.stop(self.bytes, Duration::ZERO);
        fs::remove_file(copy)?;
        Ok(run)
    }

    /// Moves the pieces of one range from the payload to `copy` over one socket.
    fn move_plainly(&self, copy: &Path, pieces: Range<usize>) -> io::Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let mut outgoing = TcpStream::connect(listener.local_addr()?)?;
        let (mut incoming, _) = listener.accept()?;
        let (source, target) = (File::open(&self.payload)?, File::options().write(true).open(copy)?);
        let offset = |piece: usize| (piece * PIECE) as u64;
        let all = pieces.clone();
        thread::scope(|scope| {
            let sender = scope.spawn(move || -> io::Result<()> {
                let mut buffer = vec![0; PIECE];
                for piece in all {
                    source.read_exact_at(&mut buffer, offset(piece))?;
                    outgoing.write_all(&buffer)?;
                }
                Ok(())
            });
            let mut buffer = vec![0; PIECE];
            for piece in pieces {
                incoming.read_exact(&mut buffer)?;
                let mut hasher = Sha1::new();
                hasher.update(&buffer);
                std::hint::black_box(hasher.finish());
                target.write_all_at(&buffer, offset(piece))?;
            }
            sender.join().map_err(|_| io::Error::other("a thread panicked"))?
        })
    }

    /// Our leecher in this process, our seeders in others.
    fn ours(&self, seeders: usize) -> Result<Run> {
        let seeders: Vec<Seeder> = (0..seeders)
            .map(|_| Seeder::start(&self.torrent, &self.folder.join("seed")))
            .collect::<Result<_>>()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let folder = self.folder.join("leech");
        let cpu = || seeders.iter().map(Seeder::cpu).sum::<Duration>();
        let cpu_before = cpu();
        let start = Start::now();
        runtime.block_on(async {
            let config = EngineConfig {
                bind: Some(Ipv4Addr::LOCALHOST.into()),
                ports: 0..=0,
                ..EngineConfig::default()
            };
            let engine = Engine::start(config).await?;
            let mut params = TorrentParams::new(self.metainfo.clone(), folder.clone());
            params.peers.extend(seeders.iter().map(|seeder| seeder.address));
            let torrent = engine.add(params).await?;
            torrent.wait_complete().await.map_err(|error| error.message.to_string())?;
            Ok::<_, Box<dyn Error>>(())
        })?;
        let run = start.stop(self.bytes, cpu().saturating_sub(cpu_before));
        drop(seeders);
        runtime.shutdown_timeout(Duration::from_secs(2));
        fs::remove_dir_all(folder)?;
        Ok(run)
    }
}

struct Start {
    wall: Instant,
    cpu: Duration,
}

impl Start {
    fn now() -> Self {
        Self { wall: Instant::now(), cpu: cpu_of("self").unwrap_or_default() }
    }

    fn stop(self, bytes: u64, elsewhere: Duration) -> Run {
        let cpu = cpu_of("self").unwrap_or_default().saturating_sub(self.cpu) + elsewhere;
        Run { bytes, wall: self.wall.elapsed(), cpu }
    }
}

/// The processor time of a process, user and system, from `/proc` (zero where there is none).
fn cpu_of(process: &str) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

struct Seeder {
    child: Child,
    address: SocketAddr,
}

impl Seeder {
    fn start(torrent: &Path, folder: &Path) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--seeder")
            .args([torrent, folder])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        io::BufRead::read_line(&mut io::BufReader::new(child.stdout.take().ok_or("no output")?), &mut line)?;
        let address = line.trim().parse()?;
        Ok(Self { child, address })
    }

    fn cpu(&self) -> Duration {
        cpu_of(&self.child.id().to_string()).unwrap_or_default()
    }
}

impl Drop for Seeder {
    fn drop(&mut self) {
        // It ends when its standard input does.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The other process: seeds until its standard input ends.
fn seed(torrent: &Path, folder: &Path) -> Result<()> {
    let metainfo = Metainfo::parse(&fs::read(torrent)?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let config =
            EngineConfig { bind: Some(Ipv4Addr::LOCALHOST.into()), ports: 0..=0, ..EngineConfig::default() };
        let engine = Engine::start(config).await?;
        let params =
            TorrentParams { intent: Intent::Seed, ..TorrentParams::new(metainfo, folder.to_owned()) };
        let torrent = engine.add(params).await?;
        torrent.wait_complete().await.map_err(|error| error.message.to_string())?;
        println!("{}", engine.listen_addrs()[0]);
        tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new())).await??;
        Ok::<_, Box<dyn Error>>(())
    })
}
